//! Many processes on one directory, and processes that are killed: this executable runs itself
//! in a role, and the parent judges by what the roles report and by what lies in the directory.

mod backups;
mod roles;
mod sweeps;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ErrorKind, ReadOptions};
use libtest_mimic::{Arguments, Trial};

use roles::{Role, payload};

fn main() {
    if roles::play() {
        return;
    }
    let trials: &[(&str, fn())] = &[
        ("readers_see_whole_generations_of_all_writers", readers_see_whole_generations),
        ("of_many_creating_processes_one_wins", of_many_creators_one_wins),
        ("deletes_and_puts_in_one_directory_do_not_disturb_each_other", deletes_against_puts),
        ("a_listing_names_once_what_was_there_throughout", a_listing_among_writers),
        ("a_listing_names_what_is_replaced_meanwhile", a_listing_among_replacements),
        ("a_read_stays_with_its_generation", a_read_stays_with_its_generation),
        ("a_sweep_spares_a_slow_upload", sweeps::spare_a_slow_upload),
        ("sweeps_at_once_share_the_litter", sweeps::at_once),
        ("absurd_times_cost_no_artifact", sweeps::absurd_times),
        ("readers_that_are_killed_leave_nothing", sweeps::killed_readers),
        ("a_copy_of_a_store_that_is_written_to_is_sound", backups::copy_among_writers),
        ("a_copy_by_hard_links_is_a_snapshot", backups::hard_links),
        ("an_exit_in_mid_write_stores_nothing", an_exit_in_mid_write_stores_nothing),
        ("no_replace_is_lost_by_processes_that_are_killed", versions::killed),
        ("the_first_replace_overtakes_nobody", versions::the_first),
        ("a_killed_writer_loses_nothing_that_it_acknowledged", a_killed_writer),
    ];
    let trials = trials.iter().map(|(name, test)| {
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn temporaries(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(found) = fs::read_dir(dir.join("tmp")) else { return Vec::new() };
    found.map(|entry| entry.unwrap().path()).collect()
}

/// Nothing is left of what was under way, and all that is there is sound.
fn is_tidy(store: &ArtifactStore, dir: &Path) {
    store.sweep(Duration::ZERO).unwrap();
    assert_eq!(temporaries(dir), [] as [std::path::PathBuf; 0]);
    let findings: Vec<_> = store.audit().map(Result::unwrap).collect();
    assert!(findings.is_empty(), "{findings:?}");
}

fn readers_see_whole_generations() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("k", payload("first", 0)).unwrap();
    let readers = [(); 2].map(|()| Role::start("read", dir.path(), &["k"]));
    let writers = ["a", "b", "c"].map(|who| Role::start("write", dir.path(), &["k", who, "40"]));
    for mut role in writers {
        role.go();
        assert_eq!(role.finish(), ["40"]);
    }
    let mut seen = BTreeSet::new();
    for mut reader in readers {
        // It reads until its input ends, and would have failed over a mixture.
        reader.go();
        let generations = reader.finish();
        assert!(!generations.is_empty());
        seen.extend(generations);
    }
    assert!(seen.len() > 1, "nobody read while somebody wrote: {seen:?}");
    is_tidy(&store, dir.path());
}

fn of_many_creators_one_wins() {
    const KEYS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let count = KEYS.to_string();
    let mut roles =
        ["a", "b", "c", "d"].map(|who| Role::start("create", dir.path(), &[who, &count]));
    roles.iter_mut().for_each(Role::go);
    let mut winners = BTreeMap::new();
    for (role, who) in roles.into_iter().zip(["a", "b", "c", "d"]) {
        for key in role.finish() {
            assert_eq!(winners.insert(key, who), None, "two have created one key");
        }
    }
    assert_eq!(winners.len(), KEYS);
    for (key, who) in winners {
        assert_eq!(store.get(&key).unwrap(), payload(who, 0));
    }
    is_tidy(&store, dir.path());
}

/// Keys of artifacts that lie in one directory.
fn keys_of_one_directory(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key-{n}")).collect()
}

fn deletes_against_puts() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let keys = keys_of_one_directory(6);
    let [stays, goes, contested @ ..] = &keys[..] else { unreachable!() };
    store.put(stays, "stays").unwrap();
    store.put(goes, "goes").unwrap();
    let mut with_all = vec!["25"];
    with_all.extend(contested.iter().map(String::as_str));
    let mut roles = ["put-all", "put-all", "delete-all", "delete-all"]
        .map(|role| Role::start(role, dir.path(), &with_all));
    roles.iter_mut().for_each(Role::go);
    store.delete(goes).unwrap();
    for role in roles {
        role.finish();
        assert_eq!(store.get(stays).unwrap(), "stays");
        assert!(matches!(store.get(goes).unwrap_err().kind(), ErrorKind::NotFound));
    }
    for key in contested {
        match store.get(key) {
            Ok(data) => assert_eq!(data, key),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}"),
        }
    }
    is_tidy(&store, dir.path());
}

fn a_listing_among_writers() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    // One directory is full of them, so that pages end within it.
    let stable: Vec<_> = (0..1100)
        .map(|n| format!("stable/{n}"))
        .chain(keys_of_one_directory(40))
        .chain([format!("stable/{}", "long".repeat(60))])
        .collect();
    let mut filler = Role::start("fill", dir.path(), &[]);
    filler.go();
    for key in &stable {
        filler.tell(key);
    }
    filler.finish();
    let mut others: Vec<_> = [(); 2].map(|()| Role::start("churn", dir.path(), &["churn"])).into();
    // The directory that is listed is changed, too.
    others.push(Role::start("churn", dir.path(), &["key-x"]));
    for role in &mut others {
        assert_eq!(role.hear().as_deref(), Some("ready"));
        role.go();
    }
    let mut listed_churn = 0;
    for _ in 0..15 {
        let mut times = BTreeMap::new();
        for entry in store.list("") {
            *times.entry(entry.unwrap().key).or_insert(0) += 1;
        }
        for key in &stable {
            assert_eq!(times.remove(key), Some(1), "{key}");
        }
        assert!(times.keys().all(|key| key.starts_with("churn") || key.starts_with("key-x")));
        listed_churn += times.len();
    }
    for role in others {
        role.finish();
    }
    assert!(listed_churn > 0, "nobody wrote while somebody listed");
    is_tidy(&store, dir.path());
}

/// Some filesystems move a name that is replaced to the end of its directory, behind what a reader of
/// it gets to see, or let it be seen twice.
fn a_listing_among_replacements() {
    let keys = keys_of_one_directory(1500);
    let shared_memory = tempfile::tempdir_in("/dev/shm").ok();
    for dir in [Some(tempfile::tempdir().unwrap()), shared_memory].into_iter().flatten() {
        let store = ArtifactStore::open_dir(dir.path()).unwrap();
        let mut others = [0, 1].map(|at| {
            let mut role = Role::start("replace", dir.path(), &[&at.to_string()]);
            role.go();
            keys.iter().for_each(|key| role.tell(key));
            role.tell("");
            role
        });
        for role in &mut others {
            assert_eq!(role.hear().as_deref(), Some("ready"));
        }
        for round in 0..40 {
            let mut times = BTreeMap::new();
            for entry in store.list("") {
                *times.entry(entry.unwrap().key).or_insert(0) += 1;
            }
            for key in &keys {
                assert_eq!(times.remove(key), Some(1), "{key} in round {round}");
            }
            assert!(times.is_empty(), "{times:?}");
        }
        for role in others {
            role.finish();
        }
    }
}

fn a_read_stays_with_its_generation() {
    const SIZE: usize = 8 << 20;
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    for (change, after) in [("put", Some(vec![2; SIZE])), ("delete", None)] {
        let old = store.put("k", vec![1; SIZE]).unwrap();
        let mut reader = store.read("k", ReadOptions::default()).unwrap();
        assert_eq!(reader.info().checksum, old.checksum);
        let mut bytes = vec![0; 100_000];
        reader.read_exact(&mut bytes).unwrap();
        let mut role = Role::start("change", dir.path(), &["k", change, &SIZE.to_string()]);
        role.go();
        role.finish();
        reader.read_to_end(&mut bytes).unwrap();
        assert!(bytes == vec![1; SIZE], "after a {change}");
        assert_eq!(store.get("k").ok().map(|data| data.to_vec()), after);
    }
}

fn an_exit_in_mid_write_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("k", "old").unwrap();
    for key in ["k", "new"] {
        let mut role = Role::start("abandon", dir.path(), &[key]);
        role.go();
        role.finish();
        assert_eq!(store.get("k").unwrap(), "old");
        assert!(matches!(store.get("new").unwrap_err().kind(), ErrorKind::NotFound));
        assert_eq!(temporaries(dir.path()).len(), 1, "it ended with the write under way");
        is_tidy(&store, dir.path());
        assert_eq!(store.list("").count(), 1);
    }
}

/// What a key may hold: the generations that were tried since the last one acknowledged.
type Tries = BTreeMap<String, Vec<Option<u64>>>;

fn a_killed_writer() {
    const ROUNDS: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let mut possible = Tries::new();
    let (mut next, mut acknowledged, mut cut) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut role = Role::start("acknowledge", dir.path(), &[&next.to_string()]);
        role.go();
        // Other rounds end sooner or later, and at another point of a write.
        let mut acks = 0;
        while acks <= round % 7 {
            assert_eq!(role.hear(), Some(next.to_string()), "round {round}");
            settle(&mut possible, next);
            (next, acks) = (next + 1, acks + 1);
        }
        std::thread::sleep(Duration::from_micros(round * 331 % 4000));
        for line in role.kill() {
            assert_eq!(line, next.to_string(), "round {round}");
            settle(&mut possible, next);
            (next, acks) = (next + 1, acks + 1);
        }
        acknowledged += acks;
        // One was under way, and it may have taken effect or not.
        let (key, _, after) = roles::step(next);
        let before = possible.get(&key).map_or(vec![None], Vec::clone);
        possible.insert(key.clone(), [before, vec![after]].concat());
        next += 1;
        cut += temporaries(dir.path()).len().min(1);
        check_all(&store, &mut possible, round);
        if round % 20 == 19 {
            is_tidy(&store, dir.path());
        }
    }
    is_tidy(&store, dir.path());
    let listed: BTreeSet<_> = store.list("").map(|entry| entry.unwrap().key).collect();
    let there = possible.iter().filter(|(_, states)| states[0].is_some());
    assert_eq!(listed, there.map(|(key, _)| key.clone()).collect());
    assert!(cut > 0, "no writer was killed in the midst of a write");
    println!(
        "{ROUNDS} writers killed, {acknowledged} changes acknowledged, {cut} cut in mid-write"
    );
}

fn settle(possible: &mut Tries, generation: u64) {
    let (key, _, after) = roles::step(generation);
    possible.insert(key, vec![after]);
}

/// Every key holds one of the generations that it may, whole; that one stays.
fn check_all(store: &ArtifactStore, possible: &mut Tries, round: u64) {
    for (key, states) in possible {
        let found = match store.get(key) {
            Ok(data) => {
                let is_it = |state: &&Option<u64>| state.is_some_and(|n| payload(key, n) == data);
                *states.iter().find(is_it).unwrap_or_else(|| {
                    panic!(
                        "round {round}: `{key}` holds {} bytes of none of {states:?}",
                        data.len()
                    )
                })
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}");
                assert!(states.contains(&None), "round {round}: `{key}` is lost: {states:?}");
                None
            }
        };
        *states = vec![found];
    }
}
