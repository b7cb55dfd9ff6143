//! Runs the cases: for each, round after round, one subject after the other.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::cases::{Case, Op, RANGE, TASKS};
use crate::subjects::{self, Kind, Subject, bucket};

/// How long one subject is measured in one case, and in how many rounds.
pub fn plan(quick: bool) -> (Duration, usize) {
    if quick { (Duration::from_millis(60), 4) } else { (Duration::from_millis(250), 8) }
}

pub fn all(cases: &[Case], quick: bool, only: Option<&str>, dir: &Path, results: &mut File) {
    let server = bucket::Server::start(cases.iter().any(|case| case.op.is_remote()));
    for case in cases {
        if case.op.is_remote() && !server.is_there() {
            eprintln!("{} {} is left out: WEED names no SeaweedFS", case.op.name(), case.size);
            continue;
        }
        let (op, size, threads) = (case.op.name(), case.size, case.threads);
        eprintln!("{op} {size}, {threads} at once{}", if case.durable { ", durable" } else { "" });
        for (kind, seen, per_second) in one(case, quick, only, dir) {
            let line = json!({
                "op": op,
                "size": size,
                "threads": threads,
                "subject": kind.name,
                "durable": case.durable,
                "median_us": seen.median,
                "p99_us": seen.p99,
                "min_us": seen.min,
                "per_second": per_second,
                "samples": seen.samples,
            });
            writeln!(results, "{line}").expect("the results can be written");
            seen.show(kind.name);
        }
    }
}

pub struct Seen {
    pub median: f64,
    pub p99: f64,
    pub min: f64,
    pub samples: usize,
}

impl Seen {
    pub fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let at = |share: f64| {
            let index = ((samples.len() - 1) as f64 * share).round() as usize;
            samples[index].as_nanos() as f64 / 1000.0
        };
        Self { median: at(0.5), p99: at(0.99), min: at(0.0), samples: samples.len() }
    }

    pub fn show(&self, name: &str) {
        eprintln!("    {name:24} {:12.1} us    p99 {:12.1} us", self.median, self.p99);
    }
}

fn one(
    case: &Case,
    quick: bool,
    only: Option<&str>,
    dir: &Path,
) -> Vec<(&'static Kind, Seen, f64)> {
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let data = Bytes::from_iter((0..case.bytes()).map(|n| (n * 31 % 251) as u8));
    let chosen = subjects::ALL.iter().filter(|kind| only.is_none_or(|only| only == kind.name));
    let fitting = chosen.filter(|kind| {
        if case.op.needs_order() && !kind.has_order() || case.op == Op::Copy && !kind.has_copy() {
            return false;
        }
        if case.op.needs_tasks() && !kind.has_tasks() {
            return false;
        }
        if kind.is_remote || case.op.is_remote() {
            return kind.is_remote == case.op.is_remote();
        }
        let is_reader = !case.op.changes() && (!kind.durable || kind.name == "opendal");
        is_reader || (case.op.changes() && kind.durable == case.durable)
    });
    let mut subjects: Vec<_> = fitting
        .map(|kind| {
            let dir = dir.path().join(kind.name);
            std::fs::create_dir(&dir).expect("a directory");
            let subject = (kind.open)(&dir);
            for thread in 0..case.threads {
                for n in 0..case.keys() {
                    subject.put(&key(case.op, thread, n), &data);
                }
            }
            (kind, subject, Vec::new(), Vec::new())
        })
        .collect();
    let (time, rounds) = plan(quick);
    for round in 0..rounds {
        // Each subject follows each other one in some round.
        for at in 0..subjects.len() {
            let count = subjects.len();
            let (_, subject, samples, speeds) = &mut subjects[(at + round) % count];
            let before = samples.len();
            let took = measure(case, &**subject, &data, time, samples);
            speeds.push((samples.len() - before) as f64 / took.as_secs_f64());
        }
    }
    let seen = subjects.into_iter().map(|(kind, _, samples, mut speeds)| {
        speeds.sort_unstable_by(f64::total_cmp);
        (kind, Seen::of(samples), speeds[speeds.len() / 2])
    });
    seen.collect()
}

pub fn key(op: Op, thread: usize, n: usize) -> String {
    match op {
        Op::Level => format!("bench/{}/{n}", n / 100),
        _ => format!("bench/{thread}-{n}"),
    }
}

/// One round of one subject. Returns how long its operations took, with all threads at work.
pub fn measure(
    case: &Case,
    subject: &dyn Subject,
    data: &Bytes,
    time: Duration,
    samples: &mut Vec<Duration>,
) -> Duration {
    let barrier = Barrier::new(case.threads);
    let work = |thread: usize| {
        let mut samples = Vec::new();
        barrier.wait();
        let began = Instant::now();
        let mut n = 0;
        while n < 2 || began.elapsed() < time {
            let key = key(case.op, thread, n % case.keys());
            let start = Instant::now();
            perform(case, subject, &key, data);
            samples.push(start.elapsed());
            if case.op == Op::Delete {
                // What is to be deleted next has to be there.
                subject.put(&key, data);
            }
            n += 1;
        }
        samples
    };
    let all: Vec<Vec<Duration>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..case.threads)
            .map(|n| {
                scope.spawn({
                    let work = &work;
                    move || work(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no operation fails")).collect()
    });
    let busy = all.iter().map(|samples| samples.iter().sum::<Duration>()).max();
    samples.extend(all.into_iter().flatten());
    busy.unwrap_or_default()
}

/// The operation; what it reads has to be all of it.
fn perform(case: &Case, subject: &dyn Subject, key: &str, data: &Bytes) {
    match case.op {
        Op::Get | Op::BucketGet => assert_eq!(subject.get(key), data.len()),
        Op::Put | Op::BucketPut => subject.put(key, data),
        Op::Read => assert_eq!(subject.read(key), data.len()),
        Op::Write => subject.write(key, data),
        Op::Range => {
            assert_eq!(subject.range(key, (data.len() / 2 + 1) as u64, RANGE), RANGE);
        }
        Op::Stat => subject.stat(key),
        Op::Delete => subject.delete(key),
        Op::Copy => subject.copy(key, &format!("{key}-copy")),
        Op::Together | Op::BucketTogether => {
            let keys = (0..TASKS).map(|n| self::key(case.op, 0, n % case.keys())).collect();
            assert_eq!(subject.together(keys), TASKS * data.len());
        }
        Op::List => assert_eq!(subject.list(), case.size),
        Op::Level => assert_eq!(subject.level("bench/42/"), 100),
        Op::Page => assert_eq!(subject.page("bench/", "bench/0-5", 100), 100),
        // Those are 99 and 990 to 999.
        Op::After => assert_eq!(subject.after("bench/", "bench/0-989"), 11),
    }
}
