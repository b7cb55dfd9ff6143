//! A backend reaches what it was granted and nothing else, however it asks.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants};
use artifact_store_tests::{guest, tree};

fn intruder(grants: Grants) -> ArtifactStore {
    ArtifactStore::open(Backend::from_file(guest("intruder")).grants(grants)).unwrap()
}

/// What the attempt found, or that it was refused.
fn attempt(store: &ArtifactStore, what: &str) -> Option<String> {
    match store.get(what) {
        Ok(found) => Some(String::from_utf8_lossy(&found).into_owned()),
        Err(error) => {
            let kind = error.kind();
            let refused =
                matches!(kind, ErrorKind::AccessDenied(text) if !text.contains("no such attempt"));
            assert!(refused, "{what}: {error:?}");
            None
        }
    }
}

/// A granted directory beside one that is not, with links from one into the other.
struct Place {
    granted: PathBuf,
    outside: PathBuf,
    _root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (granted, outside) = (root.path().join("granted"), root.path().join("outside"));
        fs::create_dir_all(granted.join("dir")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(granted.join("inside"), "mine").unwrap();
        fs::write(granted.join("dir/file"), "mine, too").unwrap();
        fs::write(outside.join("secret"), "hush").unwrap();
        symlink(outside.join("secret"), granted.join("file-out")).unwrap();
        symlink("../outside/secret", granted.join("relative-out")).unwrap();
        symlink("../outside", granted.join("dir-out")).unwrap();
        Self { granted, outside, _root: root }
    }
}

#[test]
fn a_read_only_grant_changes_nothing() {
    let place = Place::new();
    let before = tree(&place.granted);
    let store = intruder(Grants::none().read_only(&place.granted, "/"));
    for what in [
        "create /new",
        "overwrite /inside",
        "append /inside",
        "truncate /inside",
        "cut-open /inside",
        "write-open /inside",
        "touch /inside",
        "remove /inside",
        "mkdir /new",
        "rmdir /dir",
        "rename /inside /other",
        "rename /inside /dir/inside",
        "link /inside /other",
        "symlink inside /other",
    ] {
        assert_eq!(attempt(&store, what), None, "{what}");
        assert_eq!(tree(&place.granted), before, "{what}");
    }
    assert_eq!(attempt(&store, "read /inside").unwrap(), "mine");

    // It is the grant that refuses them.
    let store = intruder(Grants::none().read_write(&place.granted, "/"));
    for what in [
        "create /new",
        "overwrite /inside",
        "append /inside",
        "truncate /inside",
        "mkdir /dir/new",
        "link /inside /other",
        "symlink inside /another",
        "rename /inside /dir/inside",
        "remove /dir/inside",
        "rmdir /dir",
    ] {
        assert_eq!(attempt(&store, what).as_deref(), Some("done"), "{what}");
    }
}

/// The same from a writable grant into one that is not.
#[test]
fn nothing_moves_between_a_writable_and_a_read_only_grant() {
    let (writable, fixed) = (Place::new(), Place::new());
    let before = tree(&fixed.granted);
    let grants =
        Grants::none().read_write(&writable.granted, "/").read_only(&fixed.granted, "/fixed");
    let store = intruder(grants);
    for what in [
        "rename /fixed/inside /taken",
        "rename /inside /fixed/given",
        "link /fixed/inside /linked",
        "link /inside /fixed/linked",
        "symlink ../inside /fixed/linked",
        "truncate /fixed/inside",
    ] {
        assert_eq!(attempt(&store, what), None, "{what}");
    }
    assert_eq!(tree(&fixed.granted), before);
    assert_eq!(attempt(&store, "read /fixed/inside").unwrap(), "mine");
}

#[test]
fn no_path_link_or_rename_leads_out() {
    let place = Place::new();
    let before = tree(&place.outside);
    let store = intruder(Grants::none().read_write(&place.granted, "/"));
    let absolute = place.outside.display();
    for what in [
        "read /../outside/secret".to_owned(),
        "read ../outside/secret".into(),
        "read /dir/../../outside/secret".into(),
        "read /inside/../../outside/secret".into(),
        "read /./..//outside/secret".into(),
        "read /file-out".into(),
        "read /relative-out".into(),
        "read /dir-out/secret".into(),
        "read /dir-out/../outside/secret".into(),
        format!("read {absolute}/secret"),
        format!("read /{absolute}/secret"),
        "read /proc/self/environ".into(),
        "read /etc/hostname".into(),
        "list /..".into(),
        "list /dir-out".into(),
        format!("list {absolute}"),
        "create /../outside/new".into(),
        "create /dir-out/new".into(),
        "overwrite /file-out".into(),
        "truncate /relative-out".into(),
        "append /dir-out/secret".into(),
        "touch /file-out".into(),
        "mkdir /dir-out/new".into(),
        "remove /dir-out/secret".into(),
        "rename /inside /../outside/moved".into(),
        "rename /inside /dir-out/moved".into(),
        "rename /dir-out/secret /moved".into(),
        "link /dir-out/secret /linked".into(),
        "link /inside /dir-out/linked".into(),
        "link /../outside/secret /linked".into(),
        format!("symlink {absolute}/secret /absolute"),
    ] {
        assert_eq!(attempt(&store, &what), None, "{what}");
    }
    assert_eq!(tree(&place.outside), before);

    // What it may make leads nowhere either.
    for what in ["symlink ../outside /made", "link /file-out /same", "rename /dir-out /dir/out"] {
        attempt(&store, what);
    }
    for what in ["read /made/secret", "read /same", "read /dir/out/secret", "create /made/new"] {
        assert_eq!(attempt(&store, what), None, "{what}");
    }
    assert_eq!(tree(&place.outside), before);
}

/// Only the test's own thread sets and reads variables of this process.
#[test]
fn the_environment_is_what_was_granted() {
    let seen = |grants| attempt(&intruder(grants), "environment").unwrap();
    assert!(std::env::vars_os().next().is_some(), "there is something to hide");
    assert_eq!(seen(Grants::none()), "[]");
    assert_eq!(seen(Grants::none().env("REGION", "eu")), r#"[("REGION", "eu")]"#);
    assert_eq!(attempt(&intruder(Grants::none()), "stdin").unwrap(), "");
}

#[test]
fn there_is_no_network() {
    let (tcp, udp) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    let store = intruder(Grants::none());
    for what in [
        format!("connect {}", tcp.local_addr().unwrap()),
        format!("send {}", udp.local_addr().unwrap()),
        "listen 127.0.0.1:0".into(),
        "resolve localhost:80".into(),
    ] {
        assert_eq!(attempt(&store, &what), None, "{what}");
    }
    assert_eq!(tcp.accept().err().unwrap().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(udp.recv(&mut [0; 1]).err().unwrap().kind(), std::io::ErrorKind::WouldBlock);
}

/// To end the process is to end the instance.
#[test]
fn a_backend_that_exits_takes_nobody_with_it() {
    let store = intruder(Grants::none());
    for what in ["exit", "abort"] {
        let error = store.get(what).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
    }
    assert_eq!(attempt(&store, "environment").unwrap(), "[]");
}
