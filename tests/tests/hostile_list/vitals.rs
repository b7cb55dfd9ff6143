//! What this process has and does, and how a healthy store in it fares.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use artifact_store::{ArtifactStore, Backend, Error, Grants, blocking};

use crate::place::Place;

/// What the process holds, and the most memory that it had since [`Watch::begin_one`].
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub files: usize,
    pub threads: usize,
    pub resident: usize,
    pub peak: usize,
}

impl Usage {
    pub fn now() -> Self {
        let count = |name: &str| fs::read_dir(format!("/proc/self/{name}")).unwrap().count();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
        };
        let (resident, peak) = (bytes("VmRSS:"), bytes("VmHWM:"));
        Self { files: count("fd"), threads: count("task"), resident, peak }
    }

    /// How many files and threads may stay behind: each idle instance has its directory, and each
    /// idle thread of the library waits for work for a while.
    pub fn slack(at_once: usize) -> usize {
        8 + 2 * at_once
    }

    pub fn is_like(&self, before: &Self, slack: usize) -> bool {
        self.files <= before.files + slack && self.threads <= before.threads + slack
    }
}

/// What was logged.
#[derive(Clone, Copy, Default)]
pub struct Log {
    pub bytes: usize,
    /// Whether there are characters in it that drive a terminal or turn the text round.
    pub is_raw: bool,
}

impl Write for &Watch {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.log.lock().unwrap();
        // Each call has a line of its own, and a page of a listing is one.
        if !String::from_utf8_lossy(bytes).contains(" artifact_store: called ") {
            log.bytes += bytes.len();
        }
        let is_raw = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        log.is_raw |= String::from_utf8_lossy(bytes).chars().any(is_raw);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Noted {
    log: Mutex<Log>,
    panics: Mutex<Vec<String>>,
}

/// Takes note of each panic and of all that is logged.
#[derive(Clone, Default)]
pub struct Watch(Arc<Noted>);

impl Watch {
    pub fn begin() -> Self {
        let watch = Self::default();
        let (noted, writer) = (watch.clone(), watch.clone());
        std::panic::set_hook(Box::new(move |info| {
            let text = format!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            eprintln!("{text}");
            noted.0.panics.lock().unwrap().push(info.to_string());
        }));
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || -> Box<dyn Write> { Box::new(Owned(writer.clone())) })
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("there is no other");
        watch
    }

    pub fn begin_one(&self) {
        *self.0.log.lock().unwrap() = Log::default();
        // The mark of the highest water goes down to that of today.
        fs::write("/proc/self/clear_refs", "5").unwrap();
    }

    pub fn end_one(&self) -> (Vec<String>, Log) {
        (std::mem::take(&mut self.0.panics.lock().unwrap()), *self.0.log.lock().unwrap())
    }
}

struct Owned(Watch);

impl Write for Owned {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A store of the built-in backend that is used all the time, by way of both APIs.
pub struct Health(Arc<[Pulse; 2]>, Arc<AtomicBool>);

#[derive(Default)]
struct Pulse {
    /// How often it went round.
    rounds: AtomicU64,
    /// The longest call since [`Health::begin_one`], in milliseconds, and the first trouble.
    longest: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// Longer than any call of the healthy store may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Without waiting for the disk, which others use as well.
fn healthy(dir: &Path) -> Backend {
    let grants = Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", "off");
    Backend::fs(dir).grants(grants)
}

impl Health {
    pub fn begin(place: &Place) -> Self {
        let store = blocking::ArtifactStore::open(healthy(&place.healthy())).unwrap();
        let health = Self(Arc::default(), Arc::default());
        let (stops, ends) = (Arc::clone(&health.1), Arc::clone(&health.1));
        let (pulses, others) = (Arc::clone(&health.0), Arc::clone(&health.0));
        std::thread::spawn(move || {
            for n in 0.. {
                if stops.load(SeqCst) {
                    return;
                }
                pulses[0].round(n, |n| here(&store, n));
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let backend = healthy(&place.healthy_too());
        crate::act::runtime().spawn(async move {
            let store = ArtifactStore::open(backend).await.unwrap();
            for n in 0.. {
                if ends.load(SeqCst) {
                    return;
                }
                let begun = Instant::now();
                let outcome = there(&store, n).await;
                others[1].note(begun.elapsed(), outcome);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        health
    }

    /// The store is used no more.
    pub fn end(&self) {
        self.1.store(true, SeqCst);
    }

    pub fn begin_one(&self) {
        for pulse in &*self.0 {
            pulse.longest.store(0, SeqCst);
            *pulse.trouble.lock().unwrap() = None;
        }
    }

    /// How long a call took at most, and what was wrong, since then: the present round ends first,
    /// and a whole one follows.
    pub fn end_one(&self) -> (Duration, Option<String>) {
        let waits = Instant::now();
        let (mut longest, mut trouble) = (0, None);
        for pulse in &*self.0 {
            let rounds = pulse.rounds.load(SeqCst);
            while pulse.rounds.load(SeqCst) < rounds + 2 && waits.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            longest = longest.max(pulse.longest.load(SeqCst));
            trouble = trouble.or(pulse.trouble.lock().unwrap().take());
        }
        let stands_still = waits.elapsed() >= PATIENCE;
        (Duration::from_millis(longest), trouble.or(stands_still.then(|| "it hangs".into())))
    }
}

impl Pulse {
    fn round(&self, n: u64, call: impl FnOnce(u64) -> Result<(), String>) {
        let begun = Instant::now();
        let outcome = call(n);
        self.note(begun.elapsed(), outcome);
    }

    fn note(&self, took: Duration, outcome: Result<(), String>) {
        let took = took.as_millis().try_into().unwrap_or(u64::MAX);
        self.longest.fetch_max(took, SeqCst);
        if let Err(error) = outcome {
            self.trouble.lock().unwrap().get_or_insert(error);
        }
        self.rounds.fetch_add(1, SeqCst);
    }
}

fn here(store: &blocking::ArtifactStore, n: u64) -> Result<(), String> {
    let text = |error: Error| format!("{error:?}");
    let (key, data) = (format!("k{}", n % 10), n.to_string());
    store.put(&key, data.clone()).map_err(text)?;
    let got = store.get(&key).map_err(text)?;
    let listed = store.list("k").collect::<Result<Vec<_>, _>>().map_err(text)?;
    is_right(n, got == data, listed.len() as u64)
}

async fn there(store: &ArtifactStore, n: u64) -> Result<(), String> {
    let text = |error: Error| format!("{error:?}");
    let (key, data) = (format!("k{}", n % 10), n.to_string());
    store.put(&key, data.clone()).await.map_err(text)?;
    let got = store.get(&key).await.map_err(text)?;
    let (mut listing, mut count) = (store.list("k"), 0);
    while listing.next().await.map_err(text)?.is_some() {
        count += 1;
    }
    is_right(n, got == data, count)
}

fn is_right(n: u64, is_same: bool, listed: u64) -> Result<(), String> {
    match is_same && listed == (n + 1).min(10) {
        true => Ok(()),
        false => Err(format!("the same bytes: {is_same}, {listed} artifacts in round {n}")),
    }
}
