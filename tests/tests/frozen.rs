//! A mount whose server does not answer: every command ends in time or by a signal, and the library
//! blocks no executor.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use artifact_store::{ArtifactStore, Backend, ErrorKind, Limits};
use artifact_store_tests::cli;
use rustix::process::{Pid, Signal, kill_process};

/// A directory that a server in another process shows at a second place.
struct Mount {
    dir: tempfile::TempDir,
    server: Child,
}

impl Mount {
    /// None where this user can make no mount.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (below, at) = (dir.path().join("below"), dir.path().join("at"));
        std::fs::create_dir(&below).unwrap();
        std::fs::create_dir(&at).unwrap();
        let server = Command::new("bindfs").arg("-f").args([&below, &at]).spawn().ok()?;
        let mount = Self { dir, server };
        let patience = Instant::now() + Duration::from_secs(20);
        while !is_mounted(&mount.at()) {
            if Instant::now() > patience {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(mount)
    }

    fn at(&self) -> PathBuf {
        self.dir.path().join("at")
    }

    fn freeze(&self) {
        kill_process(Pid::from_child(&self.server), Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
}

fn is_mounted(at: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == at.to_str())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.server), Signal::CONT);
        let _ = Command::new("umount").arg("-l").arg(self.at()).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn mount() -> Option<Mount> {
    let mount = Mount::new();
    if mount.is_none() {
        eprintln!("ignored: there is no bindfs, or this user can make no mount");
    }
    mount
}

fn command(mount: &Mount, arguments: &[&str]) -> Command {
    let mut command = cli();
    command.args(arguments).current_dir(mount.dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Starts all of these commands.
fn at_once<'a>(
    mount: &Mount,
    all: impl IntoIterator<Item = Vec<&'a str>>,
) -> Vec<(Child, Vec<&'a str>)> {
    let start = |arguments: Vec<&'a str>| (command(mount, &arguments).spawn().unwrap(), arguments);
    all.into_iter().map(start).collect()
}

/// Its exit code; none where a signal ended it. It is killed where nothing else ends it `within` a time
/// since `begun`.
fn ends(mut child: Child, begun: Instant, within: Duration, what: &str) -> Option<i32> {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            eprintln!("{what}: {status} after {:?}", begun.elapsed());
            return status.code();
        }
        if begun.elapsed() > within {
            let _ = child.kill();
            panic!("{what} does not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

const COMMANDS: [&[&str]; 14] = [
    &["list"],
    &["stat", "k"],
    &["exists", "k"],
    &["du"],
    &["put", "k", "file"],
    &["put", "-r", "tree", "p"],
    &["get", "k"],
    &["get", "k", "-o", "out"],
    &["get", "k", "l", "-o", "out/"],
    &["get", "-r", "", "out"],
    &["delete", "k"],
    &["delete", "--prefix", "p", "--yes"],
    &["verify"],
    &["copy", "k", "l"],
];

/// Those whose store answers, and whose files do not.
const LOCAL: [&[&str]; 8] = [
    &["put", "k", "at/file"],
    &["put", "-r", "at", "p"],
    &["put", "-r", "at/tree", "p"],
    &["get", "k", "-o", "at/out"],
    &["get", "k", "-o", "at/below/it/out"],
    &["get", "k", "-o", "at/out/"],
    &["get", "-r", "", "at"],
    &["get", "-r", "", "at/below/it"],
];

/// With an artifact and some files.
fn filled() -> Option<Mount> {
    let mount = mount()?;
    let dir = mount.dir.path();
    std::fs::write(dir.join("file"), "x").unwrap();
    for tree in ["tree", "at/tree"] {
        std::fs::create_dir(dir.join(tree)).unwrap();
        std::fs::write(dir.join(tree).join("file"), "x").unwrap();
    }
    std::fs::write(dir.join("at/file"), "x").unwrap();
    for store in ["at", "well"] {
        let put = command(&mount, &["--dir", store, "put", "k", "file"]).status().unwrap();
        assert!(put.success());
    }
    Some(mount)
}

#[test]
fn a_timeout_ends_every_command() {
    let Some(mount) = filled() else { return };
    mount.freeze();
    for dir in ["at", "at/below/it"] {
        let all =
            COMMANDS.map(|arguments| [&["--timeout", "2s", "--dir", dir], arguments].concat());
        let begun = Instant::now();
        for (child, arguments) in at_once(&mount, all) {
            let code = ends(child, begun, Duration::from_secs(30), &arguments.join(" "));
            assert_eq!(code, Some(6), "{arguments:?}");
        }
    }
}

#[test]
fn a_signal_ends_every_command() {
    let Some(mount) = filled() else { return };
    mount.freeze();
    for signal in [Signal::TERM, Signal::INT] {
        let frozen = COMMANDS.iter().map(|arguments| [&["--dir", "at"], *arguments].concat());
        let local = LOCAL.iter().map(|arguments| [&["--dir", "well"], *arguments].concat());
        let children = at_once(&mount, frozen.chain(local));
        // As long as all of them may take to come to what is frozen.
        thread::sleep(Duration::from_secs(4));
        let begun = Instant::now();
        for (child, _) in &children {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
        for (child, arguments) in children {
            let what = format!("{signal:?} {arguments:?}");
            let code = ends(child, begun, Duration::from_secs(20), &what);
            assert_ne!(code, Some(0), "{arguments:?}");
        }
    }
}

/// A task beside it goes on, and it fails in time.
#[test]
fn opening_blocks_no_executor() {
    let Some(mount) = mount() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = Limits::default().call_timeout(Duration::from_secs(2));
    let config = mount.at().join("stores.toml");
    std::fs::write(&config, "[stores.main]\nbackend = \"fs\"\ndirectories = [{ host = \".\" }]\n")
        .unwrap();
    mount.freeze();
    runtime.block_on(async {
        let ticks = async {
            let mut longest = Duration::ZERO;
            loop {
                let before = Instant::now();
                tokio::time::sleep(Duration::from_millis(10)).await;
                longest = longest.max(before.elapsed());
                assert!(longest < Duration::from_secs(2), "{longest:?}");
            }
        };
        let calls = async {
            let begun = Instant::now();
            let error = ArtifactStore::open(Backend::fs(mount.at()).limits(limits)).await;
            let error = error.err().unwrap();
            assert!(
                matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Timeout(_)),
                "{error:?}"
            );
            assert!(error.is_retryable());
            eprintln!("opening: {:?}", begun.elapsed());
            let second = Duration::from_secs(1);
            for opening in [
                tokio::time::timeout(second, ArtifactStore::open_dir(mount.at().join("a"))).await,
                tokio::time::timeout(second, ArtifactStore::open_configured(&config, "main")).await,
            ] {
                assert!(opening.is_err(), "it cannot be open");
            }
        };
        tokio::select! {
            () = calls => {}
            never = ticks => never,
        }
    });
}
