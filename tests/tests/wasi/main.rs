//! The host's own `wasi:filesystem`, by single calls of both of its generations: what a backend may
//! open, what it never waits for, and what each refusal is called.
#![cfg(unix)]

mod handles;
mod refusals;
mod special_files;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifact_store::ErrorKind;
use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::guest_on;
use tempfile::TempDir;

const GENERATIONS: [&str; 2] = ["2", "3"];

/// What a call brings, or the code of its refusal.
fn call(store: &ArtifactStore, generation: &str, what: &str) -> Result<String, String> {
    match store.get(&format!("{generation} {what}")) {
        Ok(done) => Ok(String::from_utf8_lossy(&done).into_owned()),
        Err(error) => match error.kind() {
            ErrorKind::Other(code) => Err(code.clone()),
            kind => panic!("{generation} {what}: {kind:?}"),
        },
    }
}

fn done() -> Result<String, String> {
    Ok("done".into())
}

fn refused(code: &str) -> Result<String, String> {
    Err(code.into())
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A device that is nobody's, where this process may make one.
fn make_device(path: &Path) -> bool {
    let made = Command::new("mknod").arg(path).args(["c", "1", "3"]).output();
    made.is_ok_and(|output| output.status.success())
}

fn make_socket(path: &Path) {
    // A path of a socket is short.
    let made = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(made.path().join("s")).unwrap());
    fs::rename(made.path().join("s"), path).unwrap();
}

/// A granted directory with something of each kind in it.
struct Scene {
    dir: TempDir,
    store: ArtifactStore,
    special: Vec<&'static str>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("dir")).unwrap();
        fs::write(at("file"), "old").unwrap();
        make_pipe(&at("pipe"));
        make_socket(&at("socket"));
        let mut special = vec!["pipe", "socket"];
        if make_device(&at("device")) {
            special.push("device");
        }
        for name in special.iter().copied().chain(["file", "dir"]) {
            symlink(name, at(&format!("to-{name}"))).unwrap();
            symlink(format!("../{name}"), at(&format!("dir/to-{name}"))).unwrap();
        }
        let store = ArtifactStore::open(guest_on("wasi_calls", dir.path())).unwrap();
        Self { dir, store, special }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn a_file_is_truncated_only_where_that_is_asked_for() {
    for generation in GENERATIONS {
        let scene = Scene::new();
        let call = |what: &str| call(&scene.store, generation, what);
        let text = || fs::read_to_string(scene.at("file")).unwrap();
        for open in ["open w file", "open wc file", "open rw file", "open wl to-file"] {
            assert_eq!(call(open), done(), "{open}");
            assert_eq!(text(), "old", "{open}");
        }
        assert_eq!(call("open wcx file"), refused("exist"));
        for open in ["open wt file", "open wct file", "open rt file", "open wtl to-file"] {
            fs::write(scene.at("file"), "old").unwrap();
            assert_eq!(call(open), done(), "{open}");
            assert_eq!(text(), "", "{open}");
        }
        assert_eq!(call("write wct made new"), done());
        assert_eq!(call("append made er"), done());
        assert_eq!(call("read r made"), Ok("newer".into()));
        assert_eq!(call("write w made old"), done());
        assert_eq!(fs::read_to_string(scene.at("made")).unwrap(), "older");
    }
}

/// A backend that hands a stream more than it permits has it held by nobody.
#[test]
fn more_than_a_stream_permits_is_not_taken() {
    let scene = Scene::new();
    let error = scene.store.get("2 hoard file 200 8000000").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
    assert_eq!(call(&scene.store, "2", "hoard file 100 65536"), Ok("100".into()));
    assert_eq!(call(&scene.store, "3", "hoard file 10 8000000"), Ok("10".into()));
}

/// `now` is the storage's time, and not a time of the host's that is written down.
#[test]
fn a_file_that_is_touched_has_the_time_of_now() {
    let scene = Scene::new();
    for generation in GENERATIONS {
        for (touch, name) in [
            ("touch l to-file", "file"),
            ("touch - file", "file"),
            ("touch-open rd dir", "dir"),
            ("touch l dir", "dir"),
        ] {
            let old = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
            fs::File::open(scene.at(name)).unwrap().set_times(old).unwrap();
            let before = fs::metadata(scene.at(name)).unwrap();
            assert_eq!(call(&scene.store, generation, touch), done(), "{touch}");
            let after = fs::metadata(scene.at(name)).unwrap();
            assert!(after.mtime() > 1_700_000_000, "{touch}");
            assert_eq!(after.atime(), before.atime(), "{touch}");
        }
    }
}

#[test]
fn readers_of_a_directory_that_is_opened_once_see_all_of_it() {
    let scene = Scene::new();
    for n in 0..5000 {
        fs::write(scene.at("dir").join(n.to_string()), "").unwrap();
    }
    for generation in GENERATIONS {
        for _ in 0..2 {
            let counted = call(&scene.store, generation, "count dir 1000000").unwrap();
            assert_eq!(counted.parse::<usize>().unwrap(), 5000 + scene.special.len() + 2);
        }
    }
}

/// An old kernel, or a container that permits few calls of the system. All tests of this program
/// run there once more.
#[cfg(target_os = "linux")]
#[test]
fn all_of_this_holds_without_the_optional_calls_of_the_system() {
    const AGAIN: &str = "ARTIFACT_STORE_TEST_AGAIN";
    if std::env::var_os(AGAIN).is_some() {
        return;
    }
    for error in [libc::ENOSYS, libc::EPERM] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        artifact_store_tests::confine::refuse(
            &mut command,
            &[
                (libc::SYS_openat2, error),
                (libc::SYS_preadv2, error),
                (libc::SYS_pwritev2, error),
                (libc::SYS_statx, error),
            ],
        );
        let output = command.env(AGAIN, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{error}: {said}");
    }
}
