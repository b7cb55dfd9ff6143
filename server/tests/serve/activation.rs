//! Sockets that are opened by whoever starts the server, as systemd does.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{KEY, command, start, terminate};

/// `serve` with these sockets from descriptor 3 on. A shell puts them there, since it keeps its
/// process id when it becomes the program.
fn activated(dir: &Path, sockets: [OwnedFd; 2], count: u32, names: &str, more: &[&str]) -> Command {
    passed_to("$$", dir, sockets, count, names, more)
}

/// The same with sockets that are meant for the process with this id.
fn passed_to(
    id: &str,
    dir: &Path,
    sockets: [OwnedFd; 2],
    count: u32,
    names: &str,
    more: &[&str],
) -> Command {
    let inner = command(dir, &[&["serve"], more].concat(), &KEY);
    let script = format!(
        "exec 3<&0 4<&1 0</dev/null 1>/dev/null; export LISTEN_PID={id} LISTEN_FDS=$0 \
         LISTEN_FDNAMES=$1; shift; exec \"$@\""
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, &count.to_string(), names]).arg(inner.get_program());
    shell.args(inner.get_args()).current_dir(dir);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let [first, second] = sockets.map(Stdio::from);
    shell.stdin(first).stdout(second).stderr(Stdio::piped());
    shell
}

fn listener() -> (TcpListener, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = listener.try_clone().unwrap().into();
    (listener, passed)
}

#[test]
fn sockets_that_are_passed_are_served_and_readiness_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut buffer = [0; 64];
        let length = told.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let ((s3, first), (admin, second)) = (listener(), listener());
    let mut command = activated(dir.path(), [first, second], 2, "s3:admin", &[]);
    let mut serving = start(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(serving.client.address, s3.local_addr().unwrap());
    assert_eq!(serving.admin, Some(admin.local_addr().unwrap()));
    assert_eq!(hear(), "READY=1");
    serving.client.put("/artifacts/k", b"1").ok();
    assert_eq!(terminate(&mut serving).code(), Some(0));
    assert_eq!(hear(), "STOPPING=1");
    // Nobody loses a connection between two servers.
    let (client, waiting) = (serving.client.clone(), listener().1);
    let late = std::thread::spawn(move || client.get("/artifacts/k").ok().text());
    // One socket needs no name.
    let _again = start(&mut activated(dir.path(), [s3.into(), waiting], 1, "store.socket", &[]));
    assert_eq!(late.join().unwrap(), "1");
}

#[test]
fn sockets_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let check = |sockets: [OwnedFd; 2], count, names: &str, more: &[&str], code, expected: &str| {
        let output = activated(dir.path(), sockets, count, names, more).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{expected}: {text}");
    };
    let two = || [listener().1, listener().1];
    check(two(), 2, "s3:ftp", &[], 2, "a socket named `ftp`; `s3`, `http` and `admin` are known");
    check(two(), 1, "admin", &[], 2, "--s3 ADDRESS:PORT");
    check(two(), 1, "s3", &["--s3", "127.0.0.1:0"], 2, "there can be no address `127.0.0.1:0`");
    check(two(), 3, "s3:admin:x", &[], 1, "cannot use the socket `x` of systemd");
    let unix = UnixListener::bind(dir.path().join("unix")).unwrap();
    check([unix.into(), listener().1], 1, "s3", &[], 1, "cannot use the socket `s3` of systemd");
    let (a, b) = UnixDatagram::pair().unwrap();
    check([a.into(), b.into()], 1, "s3", &[], 1, "it does not listen for connections");
    // Without keys of a configuration only this machine is served.
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    check([open.into(), listener().1], 1, "s3", &[], 2, "is no loopback address");
    // They may be meant for a process that started this one.
    let output = passed_to("1", dir.path(), two(), 2, "s3:admin", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
