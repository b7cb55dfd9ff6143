//! What only the backend sees: stale temporaries, foreign items, damage that no listing shows;
//! through the library and the command line.
#![cfg(unix)]

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, FindingKind};
use artifact_store_tests::{cli, guest_on};

const HOUR: Duration = Duration::from_secs(3600);

/// The file of the artifact `k`, as `docs/format.md` names it.
const FILE_OF_K: &str = "d4e/_k";

fn unswept(dir: &Path) -> ArtifactStore {
    ArtifactStore::open(Backend::fs(dir).sweep_older_than(None)).unwrap()
}

/// An unfinished write that was last written to `age` ago.
fn leave_temporary(dir: &Path, name: &str, age: Duration) {
    let path = dir.join("tmp").join(name.repeat(32));
    fs::create_dir_all(dir.join("tmp")).unwrap();
    fs::write(&path, "half").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn temporaries(dir: &Path) -> usize {
    fs::read_dir(dir.join("tmp")).unwrap().count()
}

#[test]
fn an_audit_tells_what_is_no_sound_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", "123").unwrap();
    store.put("sound", "456").unwrap();
    assert_eq!(store.audit().count(), 0);

    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::write(dir.path().join(FILE_OF_K), "").unwrap();
    leave_temporary(dir.path(), "a", HOUR);
    let mut found: Vec<_> = store.audit().map(|finding| finding.unwrap()).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let told: Vec<_> = found.iter().map(|f| (f.kind, f.name.as_str(), f.size)).collect();
    let temporary = format!("tmp/{}", "a".repeat(32));
    assert_eq!(
        told,
        [
            (FindingKind::Damaged, FILE_OF_K, Some(0)),
            (FindingKind::Foreign, "notes.txt", Some(4)),
            (FindingKind::Temporary, &*temporary, Some(4)),
        ]
    );
    assert!(found[0].detail.contains("`k`"), "{}", found[0].detail);
    assert!(found[2].modified.unwrap() < SystemTime::now() - HOUR / 2);
}

#[test]
fn a_sweep_takes_old_temporaries_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", "123").unwrap();
    fs::write(dir.path().join("tmp/notes.txt"), "mine").unwrap();
    leave_temporary(dir.path(), "a", 3 * HOUR);
    leave_temporary(dir.path(), "b", HOUR);
    let swept = store.sweep(2 * HOUR).unwrap();
    assert_eq!((swept.removed, swept.bytes, swept.kept), (1, 4, 1));
    assert_eq!(temporaries(dir.path()), 2);
    let again = store.sweep(2 * HOUR).unwrap();
    assert_eq!((again.removed, again.kept), (0, 1));
    assert_eq!(store.get("k").unwrap(), "123");
}

#[test]
fn to_open_a_store_sweeps_it_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    leave_temporary(dir.path(), "a", 25 * HOUR);
    leave_temporary(dir.path(), "b", 23 * HOUR);
    unswept(dir.path()).put("k", "1").unwrap();
    assert_eq!(temporaries(dir.path()), 2);

    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    // Nobody waits for it, so that only its effect can be waited for.
    let patience = Instant::now() + Duration::from_secs(60);
    while temporaries(dir.path()) > 1 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(temporaries(dir.path()), 1);
    assert_eq!(store.sweep(24 * HOUR).unwrap().kept, 1);
}

#[test]
fn a_backend_without_maintenance_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(guest_on("plain", dir.path())).unwrap();
    for error in [store.sweep(HOUR).unwrap_err(), store.audit().next().unwrap().unwrap_err()] {
        assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    }
}

/// The exit code and standard output of `verify` with these arguments.
fn verify(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cli().arg("verify").args(arguments).arg("--dir").arg(dir).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn verify_reads_everything_and_names_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (code, text) = verify(&dir.join("absent"), &[]);
    assert_eq!((code, &*text), (Some(3), ""), "what is not there is not sound");

    let store = unswept(dir);
    store.put("k", "123").unwrap();
    store.put("other", vec![7; 1_000_000]).unwrap();
    let (code, text) = verify(dir, &[]);
    assert_eq!((code, text.starts_with("2 artifacts are sound")), (Some(0), true), "{text}");

    // The payload's last byte: no header shows it.
    let mut bytes = fs::read(dir.join(FILE_OF_K)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.join(FILE_OF_K), bytes).unwrap();
    leave_temporary(dir, "a", 48 * HOUR);
    leave_temporary(dir, "b", HOUR);
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let (code, text) = verify(dir, &[]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("damaged  `k`: "), "{text}");
    assert!(text.contains("foreign  notes.txt, 4 bytes: "), "{text}");
    assert!(text.contains("1 damaged, 2 unfinished writes, 1 foreign"), "{text}");
    assert_eq!(temporaries(dir), 2, "without --repair nothing is changed");
    assert_eq!(verify(dir, &["oth"]).0, Some(0), "the damage lies outside of the prefix");

    let (code, text) = verify(dir, &["--repair", "--json"]);
    assert_eq!(code, Some(5), "{text}");
    let lines: Vec<_> = text.lines().collect();
    let damaged = "{\"type\":\"artifact\",\"key\":\"k\",\"state\":\"damaged\",\"error\":\"";
    assert!(lines.iter().any(|line| line.starts_with(damaged)), "{text}");
    let summary = "{\"type\":\"summary\",\"sound\":1,\"unchecked\":0,\"bytes\":1000000,\
                   \"damaged\":1,\"unreadable\":0,\"temporary\":1,\"foreign\":1,\
                   \"complete\":true,\"audited\":true,\"removed\":1}";
    assert_eq!(lines.last(), Some(&summary));
    assert_eq!(temporaries(dir), 1);
    store.put("k", "123").unwrap();
    assert_eq!(verify(dir, &[]).0, Some(0));
}
