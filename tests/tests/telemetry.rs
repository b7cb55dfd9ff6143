//! What operators see: counters of what happened, and events that name keys only where asked to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, Limits, ReadOptions, SwapOptions};
use artifact_store_tests::guest;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::Level;

fn hostile() -> Backend {
    let limits = Limits { call_timeout: Duration::from_secs(3), ..Limits::default() };
    Backend::from_bytes("hostile", std::fs::read(guest("hostile")).unwrap()).limits(limits)
}

/// The value of the one series with these labels; 0 where there is none.
fn value(metrics: &PrometheusHandle, name: &str, labels: &[&str]) -> f64 {
    let text = metrics.render();
    let mut series = text.lines().filter(|line| {
        line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|l| line.contains(l))
    });
    let found = series.next().map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap());
    assert_eq!(series.next(), None, "{name} {labels:?}");
    found
}

/// One recorder for the whole process, so that this is one test.
#[test]
fn each_call_is_counted_once() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(Backend::fs(dir.path()).sweep_older_than(None)).unwrap();
    let count = |name: &str, labels: &[&str]| value(&metrics, name, labels);
    let (fs, put, get) = (r#"backend="fs""#, r#"operation="put""#, r#"operation="get""#);

    store.put("k", "12345").unwrap();
    store.write("l", &[7; 600_000][..], Default::default()).unwrap();
    store.get("k").unwrap();
    let mut reader = store.read("l", ReadOptions::default()).unwrap();
    assert_eq!(count("artifact_store_calls_active", &[fs]), 1.0);
    io::copy(&mut reader, &mut io::sink()).unwrap();
    assert_eq!(count("artifact_store_calls_active", &[fs]), 0.0);
    store.get("absent").unwrap_err();
    store.get("a\nb").unwrap_err();
    store.stat("k").unwrap();
    store.delete("k").unwrap();
    assert_eq!(count("artifact_store_calls_total", &[fs, put]), 2.0);
    assert_eq!(count("artifact_store_calls_total", &[fs, get]), 4.0);
    assert_eq!(count("artifact_store_call_duration_seconds_count", &[fs, get]), 4.0);
    assert_eq!(count("artifact_store_calls_total", &[fs, r#"operation="stat""#]), 1.0);
    assert_eq!(count("artifact_store_bytes_total", &[fs, put]), 600_005.0);
    assert_eq!(count("artifact_store_bytes_total", &[fs, get]), 600_005.0);
    let errors = |error: &str| count("artifact_store_errors_total", &[&format!("{error:?}")]);
    assert_eq!(errors("not-found"), 1.0);
    assert_eq!(errors("invalid-key"), 1.0);

    let before = store.swap(hostile(), SwapOptions::default()).unwrap();
    assert!(matches!(store.delete("trap").unwrap_err().kind(), ErrorKind::Trap(_)));
    assert!(matches!(store.stat("spin").unwrap_err().kind(), ErrorKind::Timeout(_)));
    assert!(matches!(store.delete("exhaust").unwrap_err().kind(), ErrorKind::Exhausted { .. }));
    assert!(matches!(store.get("short").unwrap_err().kind(), ErrorKind::Corrupt(_)));
    for error in ["trap", "timeout", "exhausted", "corrupt"] {
        assert_eq!(errors(error), 1.0, "{error}");
    }
    let swaps = |how: &str| count("artifact_store_swaps_total", &[&format!("how={how:?}")]);
    assert_eq!((swaps("swap"), swaps("rollback")), (1.0, 0.0));
    store.put_back(before, SwapOptions::default());
    let trial = SwapOptions { trial_calls: 1, ..SwapOptions::default() };
    store.swap(hostile(), trial).unwrap();
    store.delete("trap").unwrap_err();
    assert_eq!((swaps("swap"), swaps("rollback")), (3.0, 1.0));
    assert_eq!(count("artifact_store_calls_active", &[r#"backend="hostile""#]), 0.0);

    // A writer that is dropped is the caller's doing.
    let mut writer = store.writer("m", Default::default()).unwrap();
    writer.write_all(&[7; 600_000]).unwrap();
    writer.abort();
    assert_eq!(errors("io"), 1.0);
    assert_eq!(errors("other"), 0.0);

    // Each metric says what it is.
    let text = metrics.render();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(name.starts_with("artifact_store_"), "{line}");
        assert!(text.contains(&format!("# HELP {name} ")), "{text}");
        assert!(include_str!("../../docs/operating.md").contains(&format!("`{name}`")), "{name}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged at this level while `work` runs, on this thread.
fn logged(level: Level, work: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn keys_are_named_at_the_level_debug_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let work = || {
        store.put("confidential", "x").unwrap();
        store.get("confidential").unwrap();
        store.stat("confidential-too").unwrap_err();
        store.swap(hostile(), SwapOptions::default()).unwrap();
        // Its message names the key.
        store.delete("trap").unwrap_err();
        store.swap(Backend::fs(dir.path()), SwapOptions::default()).unwrap();
    };
    let text = logged(Level::INFO, work);
    assert!(!text.contains("confidential"), "{text}");
    for shown in [r#"operation="put""#, r#"outcome="not-found""#, r#"outcome="trap""#, "swapped"] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    let text = logged(Level::DEBUG, work);
    assert!(text.contains(r#"key="confidential""#), "{text}");
    assert!(text.contains(r#"error="not found""#), "{text}");
}

#[test]
fn what_a_backend_writes_is_bounded_and_harmless() {
    let store = ArtifactStore::open(hostile()).unwrap();
    let text = logged(Level::DEBUG, || store.delete("chatter").unwrap());
    let lines: Vec<_> =
        text.lines().filter(|line| line.contains("artifact_store::backend")).collect();
    let (dropped, shown): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.contains("is dropped"));
    assert_eq!(dropped.len(), 1);
    let bytes: usize = shown.iter().map(|line| line.matches("la").count() * 2).sum();
    assert!((32 << 10..=64 << 10).contains(&bytes), "{bytes}");
    // The next call has its share again.
    let text = logged(Level::DEBUG, || store.delete("say").unwrap());
    let said: Vec<_> =
        text.lines().filter(|line| line.contains("artifact_store::backend")).collect();
    let [out, long @ .., err] = &said[..] else { panic!("{text}") };
    assert!(out.contains("stdout") && out.contains(r"\u{1b}[2Jout\r"), "{out}");
    assert!(long.len() == 3 && long.iter().all(|line| line.len() < 5 << 10), "{}", long.len());
    assert!(err.contains("stderr") && err.contains("without an end"), "{err}");
    // Nobody looks, nothing is kept.
    assert!(!logged(Level::INFO, || store.delete("say").unwrap()).contains("out"));
}

/// What a grant holds shows nowhere, unless the backend itself writes it.
#[test]
fn secrets_are_not_logged() {
    let grants = Grants::none().env("TOKEN", "hush-hush");
    let text = logged(Level::TRACE, || {
        let store = ArtifactStore::open(hostile().grants(grants)).unwrap();
        store.get("fine").unwrap();
        let error = store.delete("trap").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hush-hush"));
        assert!(!format!("{:?}", store.backend()).contains("hush-hush"));
    });
    assert!(text.contains("trap") && !text.contains("hush-hush"), "{text}");
}
