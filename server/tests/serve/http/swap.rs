//! Real requests while the backend's file is replaced.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use artifact_store::{ArtifactStore, Backend, SwapOptions, Watch};
use artifact_store_tests::{bare_component, eventually};
use tokio::runtime::Runtime;

use crate::served::Served;

/// A server whose store follows a configuration that names a component file.
struct Followed {
    served: Served,
    watch: Watch,
    backend: PathBuf,
}

impl Followed {
    fn start() -> Self {
        let mut following = None;
        let open = |artifacts: &Path, runtime: &Runtime| {
            let dir = artifacts.parent().unwrap();
            let (file, config) = (dir.join("backend.wasm"), dir.join("stores.toml"));
            std::fs::write(&file, fs()).unwrap();
            let text = "[stores.main]\nbackend = \"backend.wasm\"\n\
                        directories = [{ host = \"artifacts\" }]\n\
                        limits = { call-timeout = \"10s\" }\n";
            std::fs::write(&config, text).unwrap();
            let opened = ArtifactStore::open_watched(&config, "main", SwapOptions::default());
            let (store, watch) = runtime.block_on(opened).unwrap();
            following = Some((watch, file));
            store
        };
        let served = Served::configured(open, |server| server);
        let (watch, backend) = following.expect("it was opened");
        Self { served, watch, backend }
    }

    /// Another component in the file's place.
    fn replace(&self, component: &[u8]) {
        let new = self.backend.with_extension("new");
        std::fs::write(&new, component).unwrap();
        std::fs::rename(&new, &self.backend).unwrap();
    }

    /// The same, and waits until it serves.
    fn swap(&self, component: &[u8]) {
        let before = self.watch.status().swaps;
        self.replace(component);
        eventually("it is swapped in", || self.watch.status().swaps > before);
    }
}

fn fs() -> Vec<u8> {
    Backend::fs_component().to_vec()
}

/// The same backend with another digest: a custom section more.
fn other_fs() -> Vec<u8> {
    let mut component = fs();
    component.extend([0, 6, 5, b'o', b't', b'h', b'e', b'r']);
    component
}

#[derive(Default)]
struct Seen {
    /// Requests that each client has made.
    made: [AtomicU64; 4],
    trapped: AtomicU64,
    timed_out: AtomicU64,
    is_over: AtomicBool,
}

impl Seen {
    /// All clients have made some more requests: what they began before has ended.
    fn go_on(&self) {
        let before: Vec<_> = self.made.iter().map(|made| made.load(Relaxed)).collect();
        eventually("all clients go on", || {
            self.made.iter().zip(&before).all(|(made, before)| made.load(Relaxed) >= before + 20)
        });
    }

    fn failed(&self) -> (u64, u64) {
        (self.trapped.load(Relaxed), self.timed_out.load(Relaxed))
    }
}

/// Puts and gets artifacts of its own, and knows what each get has to bring.
fn client(served: &Served, n: usize, seen: &Seen) {
    let client = served.plain();
    let mut stored: HashMap<usize, Vec<u8>> = HashMap::new();
    for round in 0_usize.. {
        if seen.is_over.load(Relaxed) {
            break;
        }
        let k = round / 3 % 8;
        let path = format!("/artifacts/load/{n}/{k}");
        let status = if round % 3 == 0 {
            let data = format!("{n} {round} ").repeat(10 + round % 500).into_bytes();
            let put = client.put(&path, &data);
            if put.status == 204 {
                stored.insert(k, data);
            }
            put.status
        } else {
            let range = [("range", "bytes=3-12")];
            let got = client.get_with(&path, if round % 3 == 2 { &range } else { &[] });
            match stored.get(&k) {
                // The put before it failed, and nothing was there.
                None => assert_ne!(got.status, 200),
                Some(data) if got.status == 200 => assert!(got.body == *data, "client {n}, {k}"),
                Some(data) if got.status == 206 => assert_eq!(got.body, data[3..13]),
                Some(_) => {}
            }
            got.status
        };
        match status {
            200 | 204 | 206 => {}
            404 => assert!(!stored.contains_key(&k)),
            500 => drop(seen.trapped.fetch_add(1, Relaxed)),
            503 => drop(seen.timed_out.fetch_add(1, Relaxed)),
            other => panic!("status {other}"),
        }
        seen.made[n].fetch_add(1, Relaxed);
    }
}

/// Only requests that met a bad backend fail, and each with what was wrong with it.
#[test]
fn a_backend_is_replaced_under_load() {
    let followed = Followed::start();
    let seen = Seen::default();
    // Neither would take its place if it failed its first call, which is for a longer key.
    let fails = |how: &str| {
        let get = format!("(if (i32.lt_u (local.get 1) (i32.const 20)) (then {how}))");
        bare_component(&[("PUT", how), ("GET", &get)])
    };
    let (trap, hang) = (fails("unreachable"), fails("(loop $again (br $again))"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn({
                    let (served, seen) = (&followed.served, &seen);
                    move || client(served, n, seen)
                })
            })
            .collect();
        let script = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            seen.go_on();
            followed.swap(&other_fs());
            seen.go_on();
            // What is no backend takes nobody's place.
            followed.replace(b"<html>404</html>");
            seen.go_on();
            assert_eq!(seen.failed(), (0, 0), "a good backend fails no request");

            followed.swap(&trap);
            eventually("requests trap", || seen.failed().0 >= 40);
            followed.swap(&fs());
            seen.go_on();
            let failed = seen.failed();
            assert_eq!(failed.1, 0);
            seen.go_on();
            assert_eq!(seen.failed(), failed, "the bad one is gone");

            followed.swap(&hang);
            eventually("requests hang", || seen.failed().1 >= 4);
            followed.swap(&other_fs());
            seen.go_on();
            let failed = seen.failed();
            seen.go_on();
            assert_eq!(seen.failed(), failed, "the bad one is gone");
        }));
        seen.is_over.store(true, Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        script.unwrap();
    });
    assert_eq!(followed.watch.status().swaps, 5);
}
