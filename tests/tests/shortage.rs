//! A process that may open only few files: each call succeeds or says that it can be tried again, and
//! nothing is left.

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    artifact_store_tests::scenes::needs_linux();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use artifact_store::blocking::ArtifactStore;
    use artifact_store::{Backend, Error, ErrorKind, Limits};
    use artifact_store_tests::{confine, guest_on, scenes};

    /// How many files a scene may open.
    const MOST: u64 = 64;

    type Scene = (&'static str, fn(&Path));

    const SCENES: [Scene; 5] = [
        ("many_puts_at_once_are_stored_or_can_be_tried_again", puts),
        ("many_async_puts_at_once_are_stored_or_can_be_tried_again", async_puts),
        ("an_instance_that_cannot_be_started_can_be_tried_again", starts),
        ("a_store_that_cannot_be_opened_can_be_tried_again", opening),
        ("a_backend_that_opens_too_many_files_is_told_so_in_both_generations", hoard),
    ];

    pub fn main() {
        if let Some((scene, dir)) = scenes::asked() {
            return scenes::find(SCENES, &scene).expect("a scene")(&dir);
        }
        scenes::run_all(
            SCENES.map(|(name, _)| name),
            |_| true,
            || {
                let mut command = scenes::again();
                confine::limit(&mut command, libc::RLIMIT_NOFILE, MOST);
                command
            },
        )
    }

    fn passes(error: &Error) {
        assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("`ulimit -n`"), "{error}");
    }

    fn has_no_temporary(dir: &Path) {
        let left: Vec<_> =
            fs::read_dir(dir.join("tmp")).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(left, [] as [&Path; 0]);
    }

    fn few(dir: &Path) -> Backend {
        Backend::fs(dir).limits(Limits::default().concurrency(64))
    }

    /// Takes what is left, but for a few.
    fn hold_all_but(few: usize) -> Vec<fs::File> {
        let mut held = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            held.push(file);
        }
        held.truncate(held.len().saturating_sub(few));
        held
    }

    fn puts(dir: &Path) {
        let store = ArtifactStore::open(few(dir)).unwrap();
        // The store keeps within what the process may open.
        assert_eq!(put_many(&store, dir), 200);
        store.list("").for_each(|entry| store.delete(&entry.unwrap().key).unwrap());
        // The application has opened the most of it.
        let held = hold_all_but(12);
        let stored = put_many(&store, dir);
        drop(held);
        assert_eq!(store.list("").map(Result::unwrap).count(), stored);
    }

    /// How many of many puts at once were stored; the others can be tried again.
    fn put_many(store: &ArtifactStore, dir: &Path) -> usize {
        let (next, stored) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= 200 {
                            return;
                        }
                        match store.put(&format!("k{n}"), vec![7; 50_000]) {
                            Ok(_) => drop(stored.fetch_add(1, Ordering::Relaxed)),
                            Err(error) => passes(&error),
                        }
                    }
                });
            }
        });
        has_no_temporary(dir);
        stored.into_inner()
    }

    fn async_puts(dir: &Path) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (store, stored) = runtime.block_on(async {
            let store = artifact_store::ArtifactStore::open(few(dir)).await.unwrap();
            let held = hold_all_but(12);
            let puts: Vec<_> = (0..200)
                .map(|n| {
                    let store = store.clone();
                    tokio::spawn(async move { store.put(&format!("k{n}"), vec![7; 50_000]).await })
                })
                .collect();
            let mut stored = 0;
            for put in puts {
                match put.await.unwrap() {
                    Ok(_) => stored += 1,
                    Err(error) => passes(&error),
                }
            }
            drop(held);
            (store, stored)
        });
        has_no_temporary(dir);
        let mut listing = store.list("");
        let mut listed = 0;
        while let Some(_entry) = runtime.block_on(listing.next()).unwrap() {
            listed += 1;
        }
        assert_eq!(listed, stored);
    }

    fn starts(dir: &Path) {
        let store = ArtifactStore::open(few(dir)).unwrap();
        store.put("k", "x").unwrap();
        // The only instance is at work.
        let mut reader = store.read("k", Default::default()).unwrap();
        for left in 0..6 {
            let held = hold_all_but(left);
            for _ in 0..3 {
                if let Err(error) = store.put("other", "y") {
                    passes(&error);
                }
                if let Err(error) = store.get("k") {
                    passes(&error);
                }
            }
            drop(held);
            // It is over at once.
            store.put("other", "y").unwrap();
            assert_eq!(store.get("k").unwrap(), "x");
            has_no_temporary(dir);
        }
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    }

    fn opening(dir: &Path) {
        // What the library needs for itself is there.
        let first = ArtifactStore::open(few(dir)).unwrap();
        let apart = tempfile::tempdir().unwrap();
        let (mut opened, mut refused) = (0, 0);
        for left in 0..12 {
            let held = hold_all_but(left);
            let absent = apart.path().join(left.to_string());
            let attempts = [
                ArtifactStore::open(few(dir)),
                // Its component is a file that has to be read, or its directory is to be made.
                ArtifactStore::open(guest_on("plain", dir)),
                ArtifactStore::open_dir(absent),
            ];
            drop(held);
            for attempt in attempts {
                match attempt {
                    Ok(_) => opened += 1,
                    Err(error) => {
                        passes(&error);
                        refused += 1;
                    }
                }
            }
        }
        assert!(opened > 0 && refused > 0, "{opened} {refused}");
        first.put("k", "x").unwrap();
    }

    fn hoard(dir: &Path) {
        fs::write(dir.join("file"), "x").unwrap();
        fs::create_dir(dir.join("dir")).unwrap();
        let store = ArtifactStore::open(guest_on("wasi_calls", dir)).unwrap();
        for generation in ["2", "3"] {
            for what in [
                "open-many r file 100",
                "open-many rw file 100",
                "open-many rd dir 100",
                "open-many rl dir/../file 100",
            ] {
                passes(&store.get(&format!("{generation} {what}")).unwrap_err());
                // It was that call's alone.
                let absent = store.get(&format!("{generation} open r absent")).unwrap_err();
                assert!(matches!(absent.kind(), ErrorKind::Other(_)), "{absent:?}");
                store.get(&format!("{generation} open r file")).unwrap();
            }
        }
    }
}
