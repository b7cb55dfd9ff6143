//! The host's own `wasi:filesystem`, by single calls of both of its generations: what a backend may
//! open, what it never waits for, and what each refusal is called.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ErrorKind, Grants, Limits, Resource};
use artifact_store_tests::{guest, guest_on, in_time};
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
fn a_pipe_a_socket_or_a_device_is_not_opened_whatever_for() {
    in_time(|| {
        let scene = Scene::new();
        for generation in GENERATIONS {
            for special in &scene.special {
                for how in ["r", "w", "rw", "wc", "rwc", "wt", "wct", "rwct"] {
                    for path in [(*special).to_owned(), format!("dir/../{special}")] {
                        let open = format!("open {how} {path}");
                        let opened = call(&scene.store, generation, &open);
                        assert_eq!(opened, refused("not-permitted"), "{generation} {open}");
                    }
                    for path in [format!("to-{special}"), format!("dir/to-{special}")] {
                        let open = format!("open {how}l {path}");
                        let opened = call(&scene.store, generation, &open);
                        assert_eq!(opened, refused("not-permitted"), "{generation} {open}");
                        let open = format!("open {how} {path}");
                        let opened = call(&scene.store, generation, &open);
                        assert_eq!(opened, refused("loop"), "{generation} {open}");
                    }
                }
                let opened = call(&scene.store, generation, &format!("open rd {special}"));
                assert!(opened.is_err(), "{opened:?}");
                let made = call(&scene.store, generation, &format!("open wcx {special}"));
                assert_eq!(made, refused("exist"), "{generation} {special}");
            }
            // What is no such thing is opened.
            for open in ["open rwl to-file", "open rdl to-dir", "open rwc file", "open r dir"] {
                assert_eq!(call(&scene.store, generation, open), done(), "{generation} {open}");
            }
        }
        assert_eq!(fs::read_to_string(scene.at("file")).unwrap(), "old");
    });
}

/// Whoever waits at the other end of a pipe goes on waiting.
#[test]
fn a_pipe_is_not_touched_to_see_what_it_is() {
    in_time(|| {
        let scene = Scene::new();
        let pipe = scene.at("pipe");
        let (opened, is_opened) = mpsc::channel();
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || {
                let file = fs::OpenOptions::new().write(true).open(pipe).unwrap();
                opened.send(()).unwrap();
                file
            })
        };
        std::thread::sleep(Duration::from_millis(100));
        for generation in GENERATIONS {
            for how in ["r", "rw", "rwc"] {
                let open = format!("open {how} pipe");
                let opened = call(&scene.store, generation, &open);
                assert_eq!(opened, refused("not-permitted"), "{open}");
            }
        }
        let waited = is_opened.recv_timeout(Duration::from_millis(200));
        assert_eq!(waited, Err(mpsc::RecvTimeoutError::Timeout), "the writer was let through");
        drop(fs::File::open(pipe).unwrap());
        writer.join().unwrap();
    });
}

#[test]
fn the_names_of_pipes_sockets_and_devices_can_be_handled_without_waiting() {
    in_time(|| {
        for generation in GENERATIONS {
            let scene = Scene::new();
            let call = |what: &str| call(&scene.store, generation, what);
            for special in &scene.special {
                for (how, path) in
                    [("-", (*special).to_owned()), ("l", format!("dir/to-{special}"))]
                {
                    let stat = call(&format!("stat {how} {path}")).unwrap();
                    assert!(stat.starts_with(&format!("{special} ")), "{path}: {stat}");
                }
                for path in [(*special).to_owned(), format!("to-{special}")] {
                    let touched = call(&format!("touch l {path}"));
                    assert_eq!(touched, refused("not-permitted"), "{path}");
                    assert_eq!(call(&format!("touch - {path}")), done(), "{path}");
                }
                let sized = call(&format!("size {special} 0"));
                assert_eq!(sized, refused("not-permitted"), "{special}");
                let under = call(&format!("stat - {special}/x"));
                assert_eq!(under, refused("not-directory"), "{special}");
                assert_eq!(call(&format!("link {special} dir/linked")), done());
                assert_eq!(call(&format!("rename dir/linked dir/{special}")), done());
                assert_eq!(call(&format!("rename dir/{special} {special}")), done());
                assert_eq!(call(&format!("unlink {special}")), done());
            }
        }
    });
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

/// What each refusal is called is the same in both generations.
#[test]
fn each_refusal_has_its_own_code() {
    for generation in GENERATIONS {
        let scene = Scene::new();
        fs::write(scene.at("dir/inner"), "").unwrap();
        for (what, code) in [
            ("open r absent", "no-entry"),
            ("open r ", "no-entry"),
            ("open wcx file", "exist"),
            ("open w dir", "is-directory"),
            ("open rd file", "not-directory"),
            ("open rcd new", "invalid"),
            ("open r file/x", "not-directory"),
            ("open r to-file", "loop"),
            ("open r ../outside", "not-permitted"),
            ("open r dir/../../outside", "not-permitted"),
            ("open r /file", "not-permitted"),
            ("open rl dir/..//../outside", "not-permitted"),
            ("read r dir", if generation == "2" { "bad-descriptor" } else { "is-directory" }),
            ("mkdir dir", "exist"),
            ("mkdir absent/dir", "no-entry"),
            ("mkdir /dir", "not-permitted"),
            ("mkdir ../dir", "not-permitted"),
            ("rmdir dir", "not-empty"),
            ("rmdir file", "not-directory"),
            ("rmdir to-dir", "not-directory"),
            ("rmdir to-dir/", "not-directory"),
            ("unlink dir", "is-directory"),
            ("unlink absent", "no-entry"),
            ("unlink ../file", "not-permitted"),
            ("rename absent new", "no-entry"),
            ("rename file dir", "is-directory"),
            ("rename file ../file", "not-permitted"),
            ("rename file new/", "not-directory"),
            ("rename dir file", "not-directory"),
            ("link file dir", "exist"),
            ("link file /new", "not-permitted"),
            ("symlink /etc new", "not-permitted"),
            ("symlink file to-file", "exist"),
            ("readlink file", "invalid"),
            ("stat - absent", "no-entry"),
            ("stat - ../file", "not-permitted"),
            ("stat l ../file", "not-permitted"),
            ("touch l absent", "no-entry"),
            ("size dir 1", "is-directory"),
            ("size file 18446744073709551615", "invalid"),
        ] {
            assert_eq!(call(&scene.store, generation, what), refused(code), "{generation} {what}");
        }
        for (what, brings) in [
            ("mkdir made/", "done"),
            ("mkdir made/inner", "done"),
            ("rmdir made/inner/", "done"),
            ("rename made/ moved/", "done"),
            ("stat - moved/", "directory 4096 2"),
            ("rmdir moved", "done"),
            ("link file dir/second", "done"),
            ("stat - dir/second", "file 3 2"),
            ("readlink dir/to-file", "../file"),
            ("symlink ../file dir/made", "done"),
            ("read rl dir/made", "old"),
            ("sync rd dir", "done"),
            ("sync-data rd .", "done"),
            ("sync w file", "done"),
            ("touch-open r .", "done"),
            ("touch-open w file", "done"),
            ("size file 1", "done"),
            ("read r file", "o"),
        ] {
            let brought = call(&scene.store, generation, what);
            // What a directory's size is, each filesystem decides.
            match (brings.starts_with("directory"), &brought) {
                (true, Ok(brought)) => assert!(brought.starts_with("directory ")),
                _ => assert_eq!(brought, Ok(brings.into()), "{generation} {what}"),
            }
        }
    }
}

#[test]
fn a_read_only_grant_refuses_every_change_and_what_opens_for_one() {
    let scene = Scene::new();
    let grants = Grants::none().read_only(scene.dir.path(), "/");
    let backend = artifact_store::Backend::from_file(guest("wasi_calls")).grants(grants);
    let store = ArtifactStore::open(backend).unwrap();
    for generation in GENERATIONS {
        for what in [
            "open w file",
            "open rwc file",
            "open rt file",
            "open wcx new",
            "mkdir new",
            "rmdir dir",
            "unlink file",
            "rename file new",
            "link file new",
            "symlink file new",
            "touch l file",
            "touch - file",
            "touch-open r file",
            "touch-open rd dir",
        ] {
            assert_eq!(call(&store, generation, what), refused("not-permitted"), "{what}");
        }
        assert_eq!(call(&store, generation, "read r file"), Ok("old".into()));
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

/// Four callers of each generation open a name that stands for another thing all the time: a file, a
/// pipe, a socket, a link out of the granted directory.
#[test]
fn a_name_that_changes_all_the_time_makes_nobody_wait_and_leads_nowhere() {
    in_time(|| {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let scene = Scene::new();
        fs::remove_file(scene.at("file")).unwrap();
        let beside = scene.at("beside");
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("file"), "mine").unwrap();
        make_pipe(&beside.join("pipe"));
        make_socket(&beside.join("socket"));
        symlink(outside.path().join("secret"), beside.join("link")).unwrap();
        fs::create_dir(beside.join("dir")).unwrap();
        let is_over = AtomicBool::new(false);
        let opened = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let name = scene.at("name");
                while !is_over.load(Ordering::Relaxed) {
                    for thing in ["file", "pipe", "socket", "link", "dir"] {
                        fs::rename(beside.join(thing), &name).unwrap();
                        std::thread::yield_now();
                        fs::rename(&name, beside.join(thing)).unwrap();
                    }
                }
            });
            let callers: Vec<_> = (0..8)
                .map(|n| {
                    let (scene, opened) = (&scene, &opened);
                    scope.spawn(move || {
                        let end = Instant::now() + Duration::from_secs(4);
                        let generation = GENERATIONS[n % 2];
                        while Instant::now() < end {
                            for what in [
                                "read r name",
                                "read rl name",
                                "write wl name mine",
                                "open rwl name",
                                "open wtl dir/../name",
                                "touch l name",
                                "size name 4",
                                "stat l name",
                            ] {
                                match call(&scene.store, generation, what) {
                                    Ok(text) => {
                                        assert!(!text.contains("secret"), "{what}: {text}");
                                        opened.fetch_add(1, Ordering::Relaxed);
                                    }
                                    Err(code) => assert!(!code.is_empty(), "{what}"),
                                }
                            }
                        }
                    })
                })
                .collect();
            let ended: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
            is_over.store(true, Ordering::Relaxed);
            ended.into_iter().for_each(|ended| ended.unwrap());
        });
        assert!(opened.load(Ordering::Relaxed) > 0, "the file was never met");
        assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
        assert!(fs::metadata(beside.join("pipe")).unwrap().file_type().is_fifo());
    });
}

/// One name that is not UTF-8 keeps a foreign backend from none of the others, and is told as WASI
/// has it.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8_is_told_by_its_code() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let scene = Scene::new();
    fs::write(scene.at("dir").join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    for generation in GENERATIONS {
        let listed = call(&scene.store, generation, "list dir");
        assert_eq!(listed, refused("illegal-byte-sequence"), "{generation}");
        let listed = call(&scene.store, generation, "list .").unwrap();
        assert!(listed.contains("pipe\nsocket\n"), "{listed}");
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

/// The largest offset is the system's word for another place.
#[test]
fn nothing_is_read_or_written_at_an_offset_that_no_file_reaches() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "old").unwrap();
    let store = ArtifactStore::open(guest_on("raids", dir.path())).unwrap();
    for generation in GENERATIONS {
        for what in ["stream-past-all-ends", "stream-to-past-all-ends", "largest-file"] {
            let refused = call(&store, generation, what);
            assert!(refused.is_err(), "{generation} {what}: {refused:?}");
        }
    }
    for what in ["read-past-all-ends", "write-past-all-ends"] {
        let refused = call(&store, "2", what);
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"old");
}

/// Each reading is a handle, and an open file of the process.
#[test]
fn readings_of_a_directory_that_are_hoarded_use_up_handles() {
    let scene = Scene::new();
    for generation in GENERATIONS {
        let what = format!("{generation} hoard-readings dir 1000");
        let error = scene.store.get(&what).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Exhausted { what: Resource::Handles, .. }),
            "{error:?}"
        );
        let few = call(&scene.store, generation, "hoard-readings dir 20");
        assert_eq!(few, done(), "{generation}");
    }
}

/// A backend that has no handle left for the file that it makes leaves no file.
#[test]
fn a_file_for_which_there_is_no_handle_is_not_made() {
    for generation in GENERATIONS {
        let scene = Scene::new();
        let limits = Limits::default().handles(32);
        let backend = guest_on("wasi_calls", scene.dir.path()).limits(limits);
        let store = ArtifactStore::open(backend).unwrap();
        let opens = |n: &usize| store.get(&format!("{generation} open-many r file {n}")).is_ok();
        let most = (1..100).take_while(opens).count();
        let error = store.get(&format!("{generation} make-many made- 100")).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Exhausted { what: Resource::Handles, .. }),
            "{error:?}"
        );
        let names = fs::read_dir(scene.dir.path()).unwrap().map(|found| found.unwrap().file_name());
        let made = names.filter(|name| name.to_string_lossy().starts_with("made-")).count();
        assert_eq!(made, most, "{generation}");
    }
}

/// An old kernel, or a container that permits few calls of the system. Each test of this file runs
/// there once more.
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
