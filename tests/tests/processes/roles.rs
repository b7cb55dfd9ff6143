//! What the processes of `processes.rs` do, and how their parent talks with them: lines.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, ReadOptions, WriteOptions};

const ROLE: &str = "ARTIFACT_STORE_TEST_ROLE";

/// A process in its role.
pub struct Role {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Role {
    /// Starts this executable again; it opens the store and waits for [`go`](Self::go).
    pub fn start(role: &str, dir: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ROLE, role).arg(dir).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output }
    }

    pub fn go(&mut self) {
        self.tell("go");
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.input.as_ref().unwrap(), "{line}").unwrap();
    }

    /// The next line; none where it has ended.
    pub fn hear(&mut self) -> Option<String> {
        self.output.next().map(Result::unwrap)
    }

    /// Closes its input and waits for its end, which has to be a good one; the lines that it
    /// wrote.
    pub fn finish(mut self) -> Vec<String> {
        drop(self.input.take());
        let lines = self.output.map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success(), "a process says above what is wrong");
        lines
    }

    /// Ends it at once, wherever it is; the whole lines that it wrote.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        // It may have ended before, and well.
        let status = self.child.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "a process says above what is wrong");
        self.output.map(Result::unwrap).collect()
    }
}

/// Plays the role that this process was started for, if any.
pub fn play() -> bool {
    let Ok(role) = std::env::var(ROLE) else { return false };
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (dir, arguments) = arguments.split_first().unwrap();
    // A sweep of its own would take away what a test looks at, unless that is the test.
    let mut grants = Grants::none().read_write(dir, "/");
    if ["fill", "churn", "replace", "versions"].contains(&&*role) {
        grants = grants.env("ARTIFACT_STORE_SYNC", "off");
    }
    let backend = Backend::fs(dir).grants(grants);
    let backend = if role == "glance" { backend } else { backend.sweep_older_than(None) };
    let store = ArtifactStore::open(backend).unwrap();
    if ["churn", "versions"].contains(&&*role) {
        say("ready");
    }
    if role != "read" {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        assert_eq!(line, "go\n");
    }
    match (&*role, arguments) {
        ("write", [key, who, count]) => write(&store, key, who, count.parse().unwrap()),
        ("read", [key]) => read(&store, key),
        ("create", [who, count]) => create(&store, who, count.parse().unwrap()),
        ("put-all", [rounds, keys @ ..]) => each(rounds, keys, |key| {
            store.put(key, key.to_owned()).unwrap();
        }),
        ("delete-all", [rounds, keys @ ..]) => each(rounds, keys, |key| store.delete(key).unwrap()),
        ("glance", [key]) => say(std::str::from_utf8(&store.get(key).unwrap()).unwrap()),
        ("fill", []) => std::io::stdin().lines().for_each(|key| {
            store.put(&key.unwrap(), "").unwrap();
        }),
        ("replace", [first]) => replace(&store, first.parse().unwrap()),
        ("churn", [name]) => churn(&store, name),
        ("change", [key, "put", size]) => {
            store.put(key, vec![2; size.parse().unwrap()]).unwrap();
        }
        ("change", [key, "delete", _]) => store.delete(key).unwrap(),
        ("sweep", [age]) => {
            let swept = store.sweep(Duration::from_secs(age.parse().unwrap())).unwrap();
            say(&format!("{} removed, {} kept", swept.removed, swept.kept));
        }
        ("versions", []) => super::versions::work(&store, false, || true, say),
        ("abandon", [key]) => abandon(&store, key, Path::new(dir)),
        ("acknowledge", [first]) => acknowledge(&store, first.parse().unwrap()),
        (role, arguments) => panic!("no role is called {role} with {arguments:?}"),
    }
    true
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// Bytes that tell which generation of which key they are, of a size that differs, too.
pub fn payload(of: &str, generation: u64) -> Vec<u8> {
    let name = format!("{of}#{generation};");
    let size = usize::try_from(generation * 7919 % 300_000).unwrap();
    name.bytes().cycle().take(name.len() + size).collect()
}

/// Alternates whole puts and streams, all of one size.
fn write(store: &ArtifactStore, key: &str, who: &str, count: usize) {
    for n in 0..count {
        let data = payload(who, 33);
        match n % 2 {
            0 => store.put(key, data).unwrap(),
            _ => store.write(key, &data[..], WriteOptions::default()).unwrap(),
        };
    }
    say(&count.to_string());
}

/// Reads in both ways until its input ends, and says whose generations it saw.
fn read(store: &ArtifactStore, key: &str) {
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        drop(ended);
    });
    let mut seen = std::collections::BTreeSet::new();
    while has_ended.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
        let data = store.get(key).unwrap();
        seen.insert(writer_of(&data));
        let mut reader = store.read(key, ReadOptions::default()).unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            bytes.extend(chunk);
            std::thread::yield_now();
        }
        assert_eq!(bytes.len() as u64, reader.info().size);
        seen.insert(writer_of(&bytes));
    }
    seen.iter().for_each(|who| say(who));
}

/// Who wrote these bytes; nobody else has written any of them.
fn writer_of(data: &[u8]) -> String {
    let end = data.iter().position(|&byte| byte == b'#').expect("a generation begins so");
    let who = String::from_utf8(data[..end].to_vec()).unwrap();
    let generation = if who == "first" { 0 } else { 33 };
    assert!(data == payload(&who, generation), "a mixture that begins like one of {who}");
    who
}

/// Says which keys it has created.
fn create(store: &ArtifactStore, who: &str, count: usize) {
    for n in 0..count {
        let key = format!("contested/{n}");
        match store.put_new(&key, payload(who, 0)) {
            Ok(_) => say(&key),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}"),
        }
    }
}

fn each(rounds: &str, keys: &[&str], mut call: impl FnMut(&str)) {
    for _ in 0..rounds.parse::<usize>().unwrap() {
        keys.iter().for_each(|key| call(key));
    }
}

/// Puts, replaces and removes until its input ends.
fn churn(store: &ArtifactStore, name: &str) {
    let input = std::thread::spawn(|| std::io::stdin().lines().for_each(drop));
    for n in (0_u32..).take_while(|_| !input.is_finished()) {
        store.put(&format!("{name}-{}", n % 500), n.to_string()).unwrap();
        store.delete(&format!("{name}-{}", (n + 250) % 500)).unwrap();
    }
}

/// Puts the keys that come on its input up to an empty line, and then replaces every second one of
/// them, again and again, until its input ends.
fn replace(store: &ArtifactStore, first: usize) {
    let keys = std::io::stdin().lines().map(Result::unwrap).take_while(|line| !line.is_empty());
    let keys: Vec<_> = keys.collect();
    keys.iter().for_each(|key| {
        store.put(key, "old").unwrap();
    });
    say("ready");
    let input = std::thread::spawn(|| std::io::stdin().lines().for_each(drop));
    let others = keys.iter().skip(first).step_by(2).cycle();
    for key in others.take_while(|_| !input.is_finished()) {
        store.put(key, "new").unwrap();
    }
}

/// Ends with a write under way.
fn abandon(store: &ArtifactStore, key: &str, dir: &Path) {
    let mut writer = store.writer(key, WriteOptions::default()).unwrap();
    writer.write_all(&vec![7; 1 << 20]).unwrap();
    writer.flush().unwrap();
    while std::fs::read_dir(dir.join("tmp")).unwrap().count() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::process::exit(0);
}

/// How a key is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Put,
    Write,
    Create,
    Delete,
}

/// What generation `n` changes, and how, and which generation is there afterwards.
pub fn step(n: u64) -> (String, Change, Option<u64>) {
    let key = format!("key-{}", n % 7);
    match n % 5 {
        0 | 1 => (key, Change::Put, Some(n)),
        2 => (key, Change::Write, Some(n)),
        3 => (format!("created-{n}"), Change::Create, Some(n)),
        _ => (key, Change::Delete, None),
    }
}

/// Makes one change after the other, and says each that is done.
fn acknowledge(store: &ArtifactStore, first: u64) {
    for n in first.. {
        let (key, change, _) = step(n);
        let data = payload(&key, n);
        match change {
            Change::Put => {
                store.put(&key, data).unwrap();
            }
            Change::Write => {
                store.write(&key, &data[..], WriteOptions::default()).unwrap();
            }
            Change::Create => {
                store.put_new(&key, data).unwrap();
            }
            Change::Delete => store.delete(&key).unwrap(),
        }
        say(&n.to_string());
    }
}
