//! What a crash of the machine leaves, in every state that it can leave; and what a failing
//! filesystem does. The wrong backends of `guests/examples/careless.rs` are caught, each by the
//! rule that it breaks.

use artifact_store::conformance::crash::{self, FaultReport, Options, Report, Rule};
use artifact_store::{Backend, Grants};
use artifact_store_tests::{guest, guest_on};

/// A key that the built-in backend keeps in the directory of `crash/key`, and one that it does not.
fn options() -> Options {
    let mut options = Options::default();
    options.neighbours = vec!["crash/near".into(), "zz".into()];
    options
}

fn careless(what: &str) -> Backend {
    Backend::from_file(guest("careless")).grants(Grants::none().env("CARELESS", what))
}

fn crashes(backend: &Backend) -> Report {
    let report = crash::check(backend, &options(), |_| {}).expect("the backend can be loaded");
    for scenario in &report.scenarios {
        println!("{}: {} changes, {} states", scenario.name, scenario.events, scenario.states);
    }
    println!("{} states tried", report.states());
    report.violations.iter().for_each(|violation| println!("{violation}"));
    report
}

fn failures(backend: &Backend) -> FaultReport {
    let report = crash::faults(backend, &options(), |_| {}).expect("the backend can be loaded");
    for operation in &report.operations {
        let (name, calls) = (operation.name, operation.calls);
        println!("{name}: {calls} calls, {} failures", operation.outcomes.len());
    }
    println!("{} failures tried", report.injected());
    report.violations.iter().for_each(|violation| println!("{violation}"));
    report
}

#[test]
fn the_built_in_backend_survives_every_crash() {
    let report = crashes(&Backend::fs("."));
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.unobserved.is_empty(), "{:#?}", report.unobserved);
    assert!(report.scenarios.iter().all(|scenario| scenario.states > 1), "{report:?}");
    assert!(report.states() > 300, "{}", report.states());
}

#[test]
fn the_built_in_backend_survives_every_failure() {
    let report = failures(&Backend::fs("."));
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.unobserved.is_empty(), "{:#?}", report.unobserved);
    assert!(report.operations.iter().all(|operation| operation.calls > 3), "{report:?}");
}

/// What a backend that leaves out `what` does wrong after a crash.
fn caught(what: &str) -> Vec<Rule> {
    let report = crashes(&careless(what));
    // It cannot create, list or sweep, nor do what fifteen scenarios replace or delete by its
    // version, and that is not passed over.
    assert_eq!(report.unobserved.len(), 18, "{:#?}", report.unobserved);
    report.violations.iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_careful_backend_passes() {
    assert_eq!(caught("nothing"), []);
    assert!(failures(&careless("nothing")).violations.is_empty());
}

#[test]
fn each_missing_care_is_caught_by_its_rule() {
    for (what, rule) in [
        ("sync of the file", Rule::Acknowledged),
        ("order", Rule::Whole),
        ("a temporary file", Rule::Whole),
        ("sync of the directory", Rule::Acknowledged),
        ("sync of the parent", Rule::Acknowledged),
        ("sync after a deletion", Rule::Acknowledged),
    ] {
        let caught = caught(what);
        assert!(caught.contains(&rule), "without {what}: {caught:?}");
    }
}

#[test]
fn each_failure_that_is_dealt_with_wrongly_is_caught_by_its_rule() {
    for (what, rule) in [
        ("care for a failed sync", Rule::Ignored),
        ("a new file after a failed sync", Rule::SyncedAgain),
        ("removal of a temporary file", Rule::Removed),
        ("a temporary file", Rule::Untouched),
    ] {
        let report = failures(&careless(what));
        let caught: Vec<_> = report.violations.iter().map(|violation| violation.rule).collect();
        assert!(caught.contains(&rule), "without {what}: {caught:?}");
    }
}

/// A component of another toolchain uses WASI 0.2, and cannot sync a directory there.
#[test]
fn a_backend_on_the_older_wasi_is_watched_as_well() {
    let report = crashes(&guest_on("plain", ".".as_ref()));
    let lost = |name: &str, rule| {
        let broken =
            |violation: &crash::Violation| violation.scenario == name && violation.rule == rule;
        report.violations.iter().any(broken)
    };
    assert!(lost("first put in an empty directory", Rule::Acknowledged), "{report:#?}");
    assert!(lost("delete", Rule::Acknowledged), "{report:#?}");
    assert!(report.violations.iter().all(|violation| violation.rule != Rule::Whole), "{report:#?}");
}

/// A new store is an entry of the directory above it. Where that cannot be synced the filesystem keeps
/// its entries in order by itself; any other failure of the sync is one of the store.
#[test]
#[cfg(target_os = "linux")]
fn a_new_store_needs_a_sync_of_the_directories_above_where_there_is_one() {
    use std::process::Stdio;

    let put = |error: i32, above: &std::path::Path| {
        let mut command = artifact_store_tests::cli();
        // No file is synced then, so that these are all calls of it.
        command.args(["--env", "ARTIFACT_STORE_SYNC=off", "put", "k"]).stdin(Stdio::null());
        command.arg("--dir").arg(above.join("new/store"));
        if error != 0 {
            artifact_store_tests::confine::refuse(&mut command, &[(libc::SYS_fsync, error)]);
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for error in [libc::EINVAL, libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let above = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (code, said) = put(error, above.path());
            assert_eq!(code, Some(0), "{error}: {said}");
        }
    }
    for error in [libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EROFS] {
        let above = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            // Also the second time: what is there is not taken for durable.
            let (code, text) = put(error, above.path());
            assert_eq!(code, Some(1), "{error}: {text}");
            assert!(text.contains("new/store"), "{error}: {text}");
        }
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0, "{error}");
        assert_eq!(put(0, above.path()).0, Some(0), "{error}");
    }
}
