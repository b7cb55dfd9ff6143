//! What is refused, and by which code.

use std::fs;

use artifact_store::Grants;
use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{guest, guest_on};

use super::{GENERATIONS, Scene, call, refused};

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
