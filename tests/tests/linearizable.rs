//! Calls of several processes at once have the result of one order, also if processes are killed;
//! and a backend whose calls have not is found out. `artifact-store check --concurrent` does it.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use artifact_store_tests::service::Differences;
use artifact_store_tests::{cli, guest, run};
use serde_json::Value;

/// How long the trials of right backends take, in seconds.
fn long() -> String {
    std::env::var("ARTIFACT_STORE_TRIAL_SECONDS").unwrap_or_else(|_| "10".into())
}

/// The lines of the trial, of a run that ends with this code.
fn trial(dir: &Path, arguments: &[&str], code: i32) -> Vec<Value> {
    let only = ["--concurrent", "--only", "errors", "--json"];
    shown(run(dir, &[&["check"], arguments, &only].concat(), b""), code)
}

fn shown(output: Output, code: i32) -> Vec<Value> {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{error}{text}");
    assert!(error.is_empty(), "{error}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let lines = report["checks"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.filter(|line| line["group"] == "concurrent").cloned().collect();
    assert_eq!(lines.len(), 5, "{report:#}");
    lines
}

/// That each of these assertions came out so.
fn are(lines: &[Value], outcome: &str, names: &[&str]) {
    for name in names {
        let is_it = |line: &&Value| line["name"].as_str().is_some_and(|it| it.starts_with(name));
        let line = lines.iter().find(is_it).unwrap_or_else(|| panic!("{name}: {lines:#?}"));
        assert_eq!(line["outcome"], outcome, "{line:#}");
    }
}

const ORDER: &str = "one_order_explains_all_answers";
const CREATES: &str = "of_creates_at_once_one_wins";
const REPLACES: &str = "of_replaces_at_once_one_wins";
const DELETIONS: &str = "a_delete_if_removes_only_its_version";
const VERSIONS: &str = "a_version_names_one_generation";

#[test]
fn one_order_explains_what_the_directory_answers() {
    let dir = tempfile::tempdir().unwrap();
    let lines = trial(dir.path(), &["fs", "--dir", "below", "--for", &long()], 0);
    println!("{}", lines[0]["name"]);
    are(&lines, "passed", &[ORDER, CREATES, REPLACES, DELETIONS, VERSIONS]);
    // Some were killed in a call.
    assert!(!lines[0]["name"].as_str().unwrap().contains(", 0 without an answer"));
    assert_eq!(std::fs::read_dir(dir.path().join("below")).unwrap().count(), 0);
}

#[test]
fn one_order_explains_what_a_right_backend_answers() {
    let dir = tempfile::tempdir().unwrap();
    let right = guest("wrong").display().to_string();
    let lines = trial(dir.path(), &[&right, "--for", &long()], 0);
    println!("{}", lines[0]["name"]);
    are(&lines, "passed", &[ORDER, CREATES, REPLACES, DELETIONS, VERSIONS]);
}

#[test]
fn what_is_not_offered_is_not_passed() {
    let dir = tempfile::tempdir().unwrap();
    // Without streams nothing can be created or replaced, and without an inventory nothing is stated.
    let plain = guest("plain").display().to_string();
    let lines = trial(dir.path(), &[&plain, "--for", "2"], 0);
    are(&lines, "passed", &[ORDER]);
    are(&lines, "not-offered", &[CREATES, REPLACES, DELETIONS, VERSIONS]);
}

/// A bucket is left as it was.
#[test]
fn one_order_explains_what_a_bucket_answers() {
    let service = Differences::default();
    let server = service.clone().start();
    let mut command = cli();
    command.args(["check", "s3", "--concurrent", "--only", "errors", "--for", "4", "--json"]);
    command.envs(service.variables(&server, "team"));
    let lines = shown(command.output().unwrap(), 0);
    println!("{}", lines[0]["name"]);
    are(&lines, "passed", &[ORDER, CREATES, REPLACES, VERSIONS]);
    are(&lines, "not-offered", &[DELETIONS]);
    let mut command = cli();
    command.args(["--backend", "s3", "list"]).envs(service.variables(&server, "team"));
    assert_eq!(String::from_utf8_lossy(&command.output().unwrap().stdout), "");
}

/// What a replace and a delete-if of one generation break, if both take effect: which of the two is at
/// fault cannot be told.
const EITHER: &[(&str, &str)] = &[(REPLACES, "replace-2"), (DELETIONS, "delete-if-3")];

/// Finds the fault within a minute, and shows it under a right check and rule.
fn is_found(fault: &str, right: &[(&str, &str)]) {
    // Built by now.
    drop(cli());
    let dir = tempfile::tempdir().unwrap();
    let (wrong, fault) = (guest("wrong").display().to_string(), format!("FAULT={fault}"));
    let begun = Instant::now();
    let lines = trial(dir.path(), &[&wrong, "--env", &fault, "--for", "60"], 1);
    println!("{fault} was found after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let failed = lines.iter().find(|line| line["outcome"] == "failed").unwrap();
    let name = failed["name"].as_str().unwrap();
    let is_right =
        |(check, rule): &(&str, &str)| name.starts_with(check) && failed["rules"][0] == *rule;
    assert!(right.iter().any(is_right), "{failed:#}");
    let calls = failed["failure"]["calls"].as_array().unwrap();
    assert!((2..=30).contains(&calls.len()), "{failed:#}");
    assert!(calls.iter().any(|call| call.as_str().unwrap().contains("process")), "{failed:#}");
}

#[test]
fn a_create_that_looks_and_then_renames_is_found() {
    is_found("create-looks-then-renames", &[(CREATES, "create-1")]);
}

#[test]
fn a_replace_that_looks_and_then_renames_is_found() {
    is_found("replace-looks-then-renames", EITHER);
}

#[test]
fn a_replace_over_an_acknowledged_put_is_found() {
    is_found("put-overtakes", EITHER);
}

#[test]
fn a_delete_if_that_looks_and_then_removes_is_found() {
    is_found("delete-if-looks-then-removes", EITHER);
}

#[test]
fn an_answer_from_a_cache_is_found() {
    is_found("brief-cache", &[(ORDER, "change-6")]);
}
