//! What operators count: one test, since the recorder is one of the whole process.

use std::io::{self, Write};
use std::time::{Duration, Instant};

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

/// A store of a configuration goes by its name, and what its configuration names is seen.
fn follows(metrics: &PrometheusHandle) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("stores.toml");
    std::fs::create_dir(place.path().join("data")).unwrap();
    std::fs::copy(guest("plain"), place.path().join("plain.wasm")).unwrap();
    let configure = |backend: &str| {
        let directories = "directories = [{ host = \"data\" }]";
        let text = format!("[stores.releases]\nbackend = \"{backend}\"\n{directories}\n");
        let new = file.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    let of_the_store = r#"store="releases""#;
    let count = |name: &str, labels: &[&str]| {
        let labels: Vec<_> = labels.iter().copied().chain([of_the_store]).collect();
        value(metrics, name, &labels)
    };
    let reloads = |result: &str| count("artifact_store_reloads_total", &[result]);
    let is_in_step = || count("artifact_store_last_reload_successful", &[]);
    let serves = |backend: &str| count("artifact_store_backend_info", &[backend]);
    let eventually = |is_so: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < until, "{}", metrics.render());
            std::thread::sleep(Duration::from_millis(20));
        }
    };

    configure("fs");
    let trial = SwapOptions::default().trial_calls(3);
    let (store, watch) = ArtifactStore::open_watched(&file, "releases", trial).unwrap();
    let (fs, plain) = (r#"backend="fs""#, r#"backend="plain.wasm""#);
    assert_eq!((serves(fs), serves(plain), is_in_step()), (1.0, 0.0, 1.0));
    store.put("k", "1").unwrap();
    assert_eq!(count("artifact_store_calls_total", &[fs, r#"operation="put""#]), 1.0);

    configure("./none.wasm");
    eventually(&|| is_in_step() == 0.0);
    assert_eq!((serves(fs), reloads("taken")), (1.0, 0.0));
    assert!(reloads("refused") >= 1.0);
    configure("fs");
    eventually(&|| is_in_step() == 1.0);
    configure("./plain.wasm");
    eventually(&|| reloads("taken") == 1.0);
    assert_eq!((serves(fs), serves(plain)), (0.0, 1.0));
    assert_eq!(count("artifact_store_trials_active", &[plain]), 1.0);
    assert_eq!(count("artifact_store_swaps_total", &[r#"how="swap""#]), 1.0);
    store.put("k", "2").unwrap();
    assert_eq!(count("artifact_store_trials_active", &[plain]), 0.0);
    drop((store, watch));
    eventually(&|| serves(plain) == 0.0);
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

    follows(&metrics);
    // Each metric says what it is.
    let text = metrics.render();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(name.starts_with("artifact_store_"), "{line}");
        assert!(text.contains(&format!("# HELP {name} ")), "{text}");
        assert!(include_str!("../../docs/operating.md").contains(&format!("`{name}`")), "{name}");
    }
}
