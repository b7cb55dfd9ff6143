//! Harm that is done on purpose, to show that it is noticed.

use std::fs::{self, File};
use std::time::Duration;

use crate::place::Place;

pub struct Harm {
    pub name: &'static str,
    /// What the judge has to say about it.
    pub noticed: &'static str,
    pub allowed: &'static str,
    pub act: fn(&Place) -> Vec<String>,
}

fn fine() -> Vec<String> {
    vec!["ok".into()]
}

pub fn all() -> Vec<Harm> {
    let harm = |name, noticed, act| Harm { name, noticed, allowed: "ok", act };
    vec![
        harm("another-outcome", "the outcome is `trap`", |_| vec!["trap".into()]),
        harm("one-of-many", "the outcome is `trap`", |_| vec!["ok".into(), "trap".into()]),
        harm("no-outcome", "there is no outcome", |_| vec![]),
        Harm {
            allowed: "ok 5",
            ..harm("a-bit-more", "the outcome is `ok 50`", |_| vec!["ok 50".into()])
        },
        harm("too-slow", "the call took", |_| {
            std::thread::sleep(Duration::from_secs(21));
            fine()
        }),
        harm("panic", "the host panicked", |_| {
            let _ = std::thread::spawn(|| panic!("on purpose")).join();
            fine()
        }),
        harm("long-log", "bytes more", |_| {
            tracing::warn!("{}", "long ".repeat(20_000));
            fine()
        }),
        harm("raw-log", "raw control characters", |_| {
            tracing::warn!("{}", RawText("\u{202e}"));
            fine()
        }),
        harm("deleted-outside", "outside of the grants", |place| {
            fs::remove_file(place.root().join("outside/secret")).unwrap();
            fine()
        }),
        harm("written-outside", "outside of the grants", |place| {
            fs::write(place.root().join("fixed/inside"), "intruded").unwrap();
            fine()
        }),
        harm("memory-for-a-moment", "memory had a peak", |_| {
            drop(std::hint::black_box(vec![1_u8; 512 << 20]));
            fine()
        }),
        harm("memory-for-ever", "memory adds up", |_| {
            std::mem::forget(std::hint::black_box(vec![1_u8; 600 << 20]));
            fine()
        }),
        harm("files", "files were not given back", |_| {
            std::mem::forget((0..100).map(|_| File::open("/dev/null")).collect::<Vec<_>>());
            fine()
        }),
        harm("threads", "threads were not given back", |_| {
            for _ in 0..100 {
                std::thread::spawn(|| std::thread::sleep(Duration::from_secs(600)));
            }
            fine()
        }),
        harm("neighbour-fails", "the healthy store failed", |place| {
            for _ in 0..50 {
                // What is being written there may be in the way.
                let _ = fs::remove_dir_all(place.healthy());
                std::thread::sleep(Duration::from_millis(10));
            }
            fine()
        }),
    ]
}

/// Its characters as they are.
struct RawText(&'static str);

impl std::fmt::Display for RawText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
