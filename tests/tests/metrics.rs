//! What operators count: one test, since the recorder is one of the whole process.

use std::io::{self, Write};
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Limits, ReadOptions, SwapOptions};
use artifact_store_tests::guest;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

fn hostile() -> Backend {
    let limits = Limits::default().call_timeout(Duration::from_secs(3));
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
    store.swap_loaded(before, SwapOptions::default());
    let trial = SwapOptions::default().trial_calls(1);
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
