//! Replaces of one version, mixed with puts and deletions, by processes that are killed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Info, ReadOptions, Result, WriteOptions};

use super::roles::Role;
use super::{is_tidy, temporaries};

const COUNTERS: [&str; 2] = ["counter", "in/a/counter"];
const MIXED: [&str; 2] = ["mixed", "in/a/mixed"];

/// One acknowledged change: when it was asked for and when it was answered, and for a replace also
/// when the version that it replaces was read.
#[derive(Debug)]
struct Change {
    key: String,
    kind: char,
    from: String,
    to: String,
    read: (u64, u64),
    begun: u64,
    ended: u64,
}

impl Change {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let [key, kind, from, to, times @ ..] = &*words else { panic!("{line}") };
        let times: Vec<u64> = times.iter().map(|time| time.parse().unwrap()).collect();
        let [read_begun, read_ended, begun, ended] = *times else { panic!("{line}") };
        let [key, from, to] = [key, from, to].map(|word| (*word).to_owned());
        let kind = kind.chars().next().unwrap();
        Self { key, kind, from, to, read: (read_begun, read_ended), begun, ended }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// What is under a key: the text and its version; nothing where it is absent.
fn look(store: &ArtifactStore, key: &str) -> Option<(String, String)> {
    let mut reader = match store.read(key, ReadOptions::default()) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => return None,
        reader => reader.unwrap(),
    };
    let mut text = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        text.extend(chunk);
    }
    Some((String::from_utf8(text).unwrap(), reader.info().version.clone().unwrap()))
}

/// Changes the keys in turn as long as it is told, and says each change that was acknowledged.
pub fn work(store: &ArtifactStore, plain: bool, goes_on: impl Fn() -> bool, say: impl Fn(&str)) {
    let mut random = now() | 1;
    while goes_on() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let pick = random >> 33;
        let key = match pick % 4 {
            0 if !plain => COUNTERS[usize::from(pick & 8 == 0)],
            _ => MIXED[usize::from(pick & 8 == 0)],
        };
        let read_begun = now();
        let found = look(store, key);
        let read_ended = now();
        if pick & 0x60 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = now();
        let is_mixed = MIXED.contains(&key);
        let text = format!("{}", now());
        let (kind, answer): (_, Result<Option<Info>>) = match (&found, (pick >> 8) % 6) {
            (Some((_, version)), 0) if is_mixed && !plain && pick & 0x80 == 0 => {
                ('d', store.delete_if(key, version).map(|()| None))
            }
            (_, 0) if is_mixed => ('d', store.delete(key).map(|()| None)),
            (_, 1) if is_mixed => {
                ('p', store.write(key, text.as_bytes(), WriteOptions::default()).map(Some))
            }
            (_, 2) if is_mixed => ('p', store.put(key, text).map(Some)),
            (Some((_, version)), _) if is_mixed && !plain => {
                ('r', store.put_if(key, text, version).map(Some))
            }
            (Some((number, version)), _) if !is_mixed => {
                let next = number.parse::<u64>().unwrap() + 1;
                ('r', store.put_if(key, next.to_string(), version).map(Some))
            }
            _ if is_mixed => ('c', store.put_new(key, text).map(Some)),
            _ => ('c', store.put_new(key, "0").map(Some)),
        };
        let ended = now();
        match answer {
            Ok(info) => {
                let to = info.and_then(|info| info.version).unwrap_or_else(|| "-".into());
                let from = found.map_or_else(|| "-".into(), |(_, version)| version);
                say(&format!("{key} {kind} {from} {to} {read_begun} {read_ended} {begun} {ended}"));
            }
            Err(error) => {
                let is_expected = error.is_retryable()
                    || matches!(
                        error.kind(),
                        ErrorKind::ConditionFailed | ErrorKind::AlreadyExists
                    );
                assert!(is_expected, "{key} {kind}: {error}");
                if error.is_retryable() {
                    say(&format!("open {kind} {error}"));
                }
            }
        }
    }
}

/// What must not be, by the times alone: two replaces of one version, and a change that was
/// acknowledged and then not there for who came after it.
fn judge(lines: &[String]) -> BTreeMap<char, usize> {
    let changes: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("open "))
        .map(|line| Change::parse(line))
        .collect();
    let mut kinds = BTreeMap::new();
    let mut replaced = HashMap::new();
    let mut written = HashMap::new();
    for change in &changes {
        *kinds.entry(change.kind).or_insert(0) += 1;
        written.insert(&change.to, change);
        if change.kind == 'r'
            && let Some(other) = replaced.insert(&change.from, change)
        {
            panic!("two replaces of one version: {other:?} and {change:?}");
        }
    }
    for replace in changes.iter().filter(|change| change.kind == 'r') {
        let others = changes.iter().filter(|other| other.key == replace.key);
        for other in others.filter(|other| !std::ptr::eq(*other, replace)) {
            assert!(
                other.begun < replace.read.1 || other.ended > replace.begun,
                "{replace:?} has overtaken {other:?}"
            );
            let Some(read) = written.get(&replace.from) else { continue };
            assert!(
                other.begun < read.ended || other.ended > replace.read.0,
                "{other:?} was lost after {read:?}, as {replace:?} saw"
            );
        }
    }
    kinds
}

fn start(dir: &Path) -> Role {
    let mut role = Role::start("versions", dir, &[]);
    assert_eq!(role.hear().as_deref(), Some("ready"));
    role.go();
    role
}

/// For how long, in seconds.
fn length() -> u64 {
    std::env::var("ARTIFACT_STORE_TEST_SECONDS").map_or(8, |text| text.parse().unwrap())
}

/// Several processes, each of which is killed somewhere again and again, and sweeps among them.
pub fn killed() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(Backend::fs(dir.path()).sweep_older_than(None)).unwrap();
    let begun = Instant::now();
    let mut roles: Vec<_> = [(); 4].map(|()| start(dir.path())).into();
    let (mut lines, mut kills, mut claims) = (Vec::new(), 0_u32, 0);
    while begun.elapsed() < Duration::from_secs(length()) {
        std::thread::sleep(Duration::from_micros(u64::from(kills) * 7919 % 60_000));
        lines.extend(roles.remove(0).kill());
        kills += 1;
        claims += temporaries(dir.path()).iter().filter(|path| is_claim(path)).count();
        if kills.is_multiple_of(10) {
            store.sweep(Duration::ZERO).unwrap();
        }
        roles.push(start(dir.path()));
    }
    roles.into_iter().for_each(|role| lines.extend(role.kill()));
    let open = lines.iter().filter(|line| line.starts_with("open ")).count();
    let kinds = judge(&lines);
    println!("{kills} kills, {claims} claims seen, {open} open, acknowledged {kinds:?}");
    for key in COUNTERS {
        let acknowledged =
            lines.iter().filter(|line| line.starts_with(&format!("{key} r "))).count();
        let (number, _) = look(&store, key).unwrap();
        let number: usize = number.parse().unwrap();
        assert!(number >= acknowledged, "{key}: {number}, {acknowledged} acknowledged");
    }
    assert!(kinds.values().sum::<usize>() > 20 && kinds.contains_key(&'r'), "{kinds:?}");
    // A claim goes with what it claims.
    for key in COUNTERS.iter().chain(&MIXED) {
        store.put(key, "last").unwrap();
    }
    is_tidy(&store, dir.path());
}

fn is_claim(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().contains('-')
}

/// Who puts and deletes while the first replace of a store is made is not overtaken by it.
pub fn the_first() {
    let (mut open, mut rounds, begun) = (0, 0, Instant::now());
    let mut kinds = BTreeMap::new();
    while begun.elapsed() < Duration::from_secs(length() / 2) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let backend = Backend::fs(root).sweep_older_than(None);
        let store = ArtifactStore::open(backend).unwrap();
        for key in COUNTERS.iter().chain(&MIXED) {
            store.put(key, "0").unwrap();
        }
        let end = Instant::now() + Duration::from_millis(150);
        let lines = std::sync::Mutex::new(Vec::new());
        let (store, lines_of) = (&store, &lines);
        let run = |plain: bool, after: u64| {
            move || {
                std::thread::sleep(Duration::from_millis(after));
                work(
                    store,
                    plain,
                    || Instant::now() < end,
                    |line| {
                        lines_of.lock().unwrap().push(line.to_owned());
                    },
                );
            }
        };
        std::thread::scope(|scope| {
            for (plain, after) in [(true, 0), (true, 0), (true, 0), (false, 20 + rounds % 30)] {
                scope.spawn(run(plain, after));
            }
        });
        let lines = lines.into_inner().unwrap();
        open += lines.iter().filter(|line| line.starts_with("open ")).count();
        for (kind, count) in judge(&lines) {
            *kinds.entry(kind).or_insert(0) += count;
        }
        for key in COUNTERS.iter().chain(&MIXED) {
            store.put(key, "last").unwrap();
        }
        is_tidy(store, root);
        rounds += 1;
    }
    println!("{rounds} rounds, {open} open, acknowledged {kinds:?}");
    assert!(kinds.contains_key(&'r') && kinds.contains_key(&'d'), "{kinds:?}");
}
