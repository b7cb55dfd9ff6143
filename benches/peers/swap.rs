//! What a swap costs those who call meanwhile: gets of 1 KiB by four threads, in the seconds before
//! a backend is replaced by another instance of itself, and in the seconds that begin with it.

use std::path::Path;
use std::time::{Duration, Instant};

use artifact_store::SwapOptions;
use artifact_store::blocking::ArtifactStore;
use serde_json::{Value, json};

use crate::run::Seen;
use crate::subjects::ours;

pub const OP: &str = "swap";
const SIZE: usize = 1024;
const THREADS: usize = 4;
const SECOND: Duration = Duration::from_secs(1);

/// One result for the seconds without a swap, and one for those with.
pub fn all(quick: bool, dir: &Path) -> [Value; 2] {
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let store = ArtifactStore::open(ours::backend(dir.path(), false)).expect("open");
    for thread in 0..THREADS {
        store.put(&thread.to_string(), vec![7; SIZE]).expect("put");
    }
    let swap = || {
        let backend = ours::backend(dir.path(), false);
        store.swap(backend, SwapOptions::default()).expect("swap");
    };
    // Whatever is done once is done.
    swap();
    let (mut before, mut during) = (Vec::new(), Vec::new());
    for _ in 0..if quick { 3 } else { 10 } {
        gets(&store, || {}, &mut before);
        gets(&store, swap, &mut during);
    }
    [(false, before), (true, during)].map(|(swapped, samples)| {
        let seen = Seen::of(samples);
        seen.show(if swapped { "in the second of a swap" } else { "in a second without" });
        json!({
            "op": OP, "size": SIZE, "threads": THREADS, "subject": "artifact-store-blocking",
            "durable": false, "swapped": swapped,
            "median_us": seen.median, "p99_us": seen.p99, "samples": seen.samples,
        })
    })
}

/// A second of gets, at whose beginning `first` is done by a thread of its own.
fn gets(store: &ArtifactStore, first: impl FnOnce() + Send, samples: &mut Vec<Duration>) {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let get = |key: String| {
            let mut samples = Vec::new();
            while began.elapsed() < SECOND {
                let start = Instant::now();
                assert_eq!(store.get(&key).expect("get").len(), SIZE);
                samples.push(start.elapsed());
            }
            samples
        };
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || get(thread.to_string()))).collect();
        scope.spawn(first);
        for thread in threads {
            samples.extend(thread.join().expect("no get fails"));
        }
    });
}
