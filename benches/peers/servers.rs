//! S3 servers side by side, in one run, with the same client program: `object_store`'s client with its
//! default settings, which signs each put with the SHA-256 of its bytes.
//!
//! - **artifact-store**: `artifact-store serve` on a directory, from `target/release` (build it before).
//! - **seaweedfs**: the variable `WEED` names it. It syncs where its rules say so.
//! - **s3s-fs**: the variable `S3S_FS` names it. It never syncs, and keeps no checksum.
//!
//! A server that is not there is left out.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;

use crate::cases::{Case, Op};
use crate::run::{Seen, key, measure, plan};
use crate::subjects::Subject;
use crate::subjects::bucket::{BUCKET, KEY, SECRET, weed};
use crate::subjects::object_store::client;
use crate::table;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const LISTED: usize = 10_000;
/// The columns of the table.
const NAMES: [&str; 3] = ["artifact-store", "seaweedfs", "s3s-fs"];

/// A server, which ends when this is dropped.
struct Server {
    name: &'static str,
    endpoint: String,
    _process: Process,
}

enum Process {
    Child(Child, #[allow(dead_code, reason = "it goes when the server does")] TempDir),
    Weed(#[allow(dead_code, reason = "it goes when the server does")] weed::Weed),
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Child(child, _) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Server {
    fn weed(durable: bool) -> Option<Self> {
        weed::binary()?;
        let weed = weed::Weed::start();
        if durable {
            weed.sync();
            std::thread::sleep(Duration::from_secs(2));
        }
        let endpoint = weed.endpoint();
        Some(Self { name: "seaweedfs", endpoint, _process: Process::Weed(weed) })
    }

    fn ours(durable: bool, target: &Path) -> Option<Self> {
        let binary = target.join("release/artifact-store");
        Self::child("artifact-store", target, &binary, |command, dir, port| {
            command.arg("--dir").arg(dir).args(["serve", "--s3", &format!("127.0.0.1:{port}")]);
            command.env("ARTIFACT_STORE_S3_KEY_ID", KEY).env("ARTIFACT_STORE_S3_SECRET", SECRET);
            if !durable {
                command.args(["--env", "ARTIFACT_STORE_SYNC=off"]);
            }
        })
    }

    fn s3s_fs(target: &Path) -> Option<Self> {
        let binary = PathBuf::from(std::env::var_os("S3S_FS")?);
        Self::child("s3s-fs", target, &binary, |command, dir, port| {
            std::fs::create_dir(dir.join(BUCKET)).expect("a bucket");
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--access-key", KEY, "--secret-key", SECRET]).arg(dir);
        })
    }

    fn child(
        name: &'static str,
        target: &Path,
        binary: &Path,
        arguments: impl FnOnce(&mut Command, &Path, u16),
    ) -> Option<Self> {
        if !binary.exists() {
            eprintln!("{name} is left out: there is no {}", binary.display());
            return None;
        }
        let dir = tempfile::tempdir_in(target).expect("a directory");
        let held = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = held.local_addr().expect("it is bound").port();
        drop(held);
        let mut command = Command::new(binary);
        arguments(&mut command, dir.path(), port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it is a program");
        let _process = Process::Child(child, dir);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{name} does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let endpoint = format!("http://127.0.0.1:{port}");
        Some(Self { name, endpoint, _process })
    }
}

/// Prints one table.
pub fn all(quick: bool, target: &Path) {
    println!("{}", table::machine());
    println!("| | {} |", NAMES.join(" | "));
    println!("|---|{}", "---:|".repeat(NAMES.len()));
    for durable in [true, false] {
        let servers = [
            Server::ours(durable, target),
            Server::weed(durable),
            (!durable).then(|| Server::s3s_fs(target)).flatten(),
        ];
        let servers: Vec<_> = servers.into_iter().flatten().collect();
        for case in cases(durable) {
            row(&case, quick, &servers);
        }
    }
}

/// What is read is the same whether it was synced, and so is looked at once.
fn cases(durable: bool) -> impl Iterator<Item = Case> {
    let sizes = [KIB, MIB, 64 * MIB];
    let ops: &[Op] = if durable { &[Op::Put] } else { &[Op::Put, Op::Get, Op::List] };
    ops.iter().flat_map(move |&op| {
        let sizes = if op == Op::List { vec![LISTED] } else { sizes.to_vec() };
        sizes.into_iter().flat_map(move |size| {
            // Sixteen of the largest would measure the memory of the client.
            let threads = if size > MIB { [1, 4] } else { [1, 16] };
            let threads =
                threads.into_iter().filter(move |threads| op != Op::List || *threads == 1);
            threads.map(move |threads| Case { op, size, threads, durable })
        })
    })
}

fn row(case: &Case, quick: bool, servers: &[Server]) {
    let data = Bytes::from_iter((0..case.bytes()).map(|n| (n * 31 % 251) as u8));
    let prefix = format!("{}-{}-{}", case.op.name(), case.size, case.threads);
    let mut subjects: Vec<(&Server, Box<dyn Subject>, Vec<Duration>)> = servers
        .iter()
        .map(|server| {
            let subject = client(&server.endpoint, BUCKET, &prefix);
            fill(case, &*subject, &data);
            (server, subject, Vec::new())
        })
        .collect();
    let (time, rounds) = plan(quick);
    // A request takes longer than a call.
    let time = time * 2;
    for round in 0..rounds {
        for at in 0..subjects.len() {
            let count = subjects.len();
            let (_, subject, samples) = &mut subjects[(at + round) % count];
            measure(case, &**subject, &data, time, samples);
        }
    }
    let op = case.op.name();
    let what = match (case.op, case.size) {
        (Op::List, count) => format!("{op} of {count}"),
        (_, size) if size < MIB => format!("{op} {} KiB", size / KIB),
        (_, size) => format!("{op} {} MiB", size / MIB),
    };
    let durable = match (case.op, case.durable) {
        (Op::Put, true) => ", durable",
        (Op::Put, false) => ", relaxed",
        _ => "",
    };
    let seen: BTreeMap<_, _> =
        subjects.into_iter().map(|(server, _, samples)| (server.name, Seen::of(samples))).collect();
    let cells = NAMES.map(|name| {
        seen.get(name).map_or_else(String::new, |seen| {
            format!("{} ({})", table::time(seen.median), table::time(seen.p99))
        })
    });
    println!("| {what}{durable}, {} at once | {} |", case.threads, cells.join(" | "));
}

/// Stores what the operations are about; many at once, since there may be many.
fn fill(case: &Case, subject: &dyn Subject, data: &Bytes) {
    let workers = if case.op == Op::List { 16 } else { 1 };
    let keys: Vec<_> = (0..case.threads)
        .flat_map(|thread| (0..case.keys()).map(move |n| key(case.op, thread, n)))
        .collect();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let keys = &keys;
            scope.spawn(move || {
                keys.iter().skip(worker).step_by(workers).for_each(|key| subject.put(key, data));
            });
        }
    });
}
