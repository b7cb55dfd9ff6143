//! Directories with a million names and with no end of them: whoever reads one holds a batch of it,
//! and no longer than a call may take. Where the system permits no mount of one's own the tests are
//! ignored, and say so.

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
    use std::time::{Duration, Instant};

    use artifact_store::blocking::ArtifactStore;
    use artifact_store::{Backend, Error, ErrorKind, Limits};
    use artifact_store_tests::{fuse, guest_on, scenes};

    type Scene = (&'static str, fn(&Path));

    const SCENES: [Scene; 5] = [
        ("a_directory_of_a_million_names_is_read_batch_by_batch", million),
        ("a_directory_without_an_end_is_read_until_the_call_is_over", endless),
        ("names_without_an_end_that_are_left_out_hold_up_nobody", left_out),
        ("a_directory_that_names_itself_without_an_end_holds_up_nobody", dots),
        ("a_store_without_an_end_is_listed_until_the_call_is_over", store),
    ];

    pub fn main() {
        if let Some((scene, dir)) = scenes::asked() {
            return match scenes::find(SCENES, &scene) {
                Some(scene) => scene(&dir),
                None => {
                    fuse::mount(&dir, |_| None).unwrap();
                    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
                }
            };
        }
        let is_possible = scenes::run(scenes::in_namespace(), "mount").is_ok();
        if !is_possible {
            eprintln!(
                "ignored: this system lets nobody mount a FUSE filesystem with `unshare -rm`"
            );
        }
        scenes::run_all(SCENES.map(|(name, _)| name), |_| is_possible, scenes::in_namespace)
    }

    fn open(dir: &Path, timeout: u64) -> ArtifactStore {
        let limits = Limits::default().call_timeout(Duration::from_secs(timeout)).memory(64 << 20);
        ArtifactStore::open(guest_on("wasi_calls", dir).limits(limits)).unwrap()
    }

    /// How much memory this process takes at most while `act` runs, beyond what it has now.
    fn growth<R>(act: impl FnOnce() -> R) -> (R, u64) {
        let mark = |name: &str| {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
        };
        // The mark of the highest water goes down to that of today.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = mark("VmRSS:");
        let done = act();
        (done, mark("VmHWM:").saturating_sub(before) >> 10)
    }

    /// In MiB; the instance alone may have 64.
    const MOST: u64 = 96;

    fn million(dir: &Path) {
        const NAMES: u64 = 1_000_000;
        fuse::mount(dir, |at| (at < NAMES).then(|| format!("name-{at:09}").into())).unwrap();
        let store = open(dir, 600);
        for generation in ["2", "3"] {
            let count = format!("{generation} count . 4000000000");
            let (counted, grown) = growth(|| store.get(&count).unwrap());
            assert_eq!(counted, NAMES.to_string());
            assert!(grown < MOST, "{generation}: {grown} MiB");
            // Only as much of it is read as somebody wants.
            let begun = Instant::now();
            assert!(!store.get(&format!("{generation} count . 1")).unwrap().is_empty());
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
    }

    fn is_over(error: &Error) {
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
    }

    fn ends(store: &ArtifactStore, generation: &str) {
        let count = format!("{generation} count . 4000000000");
        let begun = Instant::now();
        let (error, grown) = growth(|| store.get(&count).unwrap_err());
        is_over(&error);
        assert!(grown < MOST, "{generation}: {grown} MiB");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }

    fn endless(dir: &Path) {
        fuse::mount(dir, |at| Some(format!("{at:0200}").into())).unwrap();
        let store = open(dir, 2);
        for generation in ["2", "3"] {
            ends(&store, generation);
        }
    }

    fn left_out(dir: &Path) {
        fuse::mount(dir, |_| Some(vec![0xff; 200])).unwrap();
        let store = open(dir, 2);
        // In the other generation the first of them ends it.
        ends(&store, "3");
    }

    fn dots(dir: &Path) {
        fuse::mount(dir, |_| Some(".".into())).unwrap();
        let store = open(dir, 2);
        for generation in ["2", "3"] {
            ends(&store, generation);
        }
    }

    fn store(dir: &Path) {
        fuse::mount(dir, |at| Some(format!("{at:0200}").into())).unwrap();
        let limits = Limits::default().call_timeout(Duration::from_secs(2));
        let backend = Backend::fs(dir).sweep_older_than(None).limits(limits);
        let store = ArtifactStore::open(backend).unwrap();
        let (error, grown) = growth(|| store.list("").find_map(Result::err).unwrap());
        is_over(&error);
        assert!(grown < MOST, "{grown} MiB");
    }
}
