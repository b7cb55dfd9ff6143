//! What `artifact-store check` tells people, programs and CI, and how it ends, through the real
//! binary.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use artifact_store::conformance::checks;
use artifact_store_tests::{bare_component, cli, expect, guest, run};
use quick_xml::events::Event;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn wrong() -> String {
    guest("wrong").display().to_string()
}

/// The report as JSON, of a run that ends with this code.
fn report(dir: &Path, arguments: &[&str], code: i32) -> Value {
    let output = run(dir, &[&["check"], arguments, &["--json"]].concat(), b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(error.is_empty(), "nothing but the report in a pipe: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn count(report: &Value, outcome: &str) -> usize {
    let lines = report["checks"].as_array().unwrap();
    lines.iter().filter(|line| line["outcome"] == outcome).count()
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn the_numbers_are_those_of_the_checks() {
    let dir = tempfile::tempdir().unwrap();
    let arguments =
        ["--env", "FAULT=lists-twice", &wrong(), "--only", "listing", "--only", "errors"];
    let seen = report(dir.path(), &[&arguments[..], &["--seed", "7"]].concat(), 1);
    let meant = checks().filter(|it| ["listing", "errors"].contains(&it.group().name())).count();
    assert_eq!(seen["checks"].as_array().unwrap().len(), meant);
    assert_eq!(seen["seed"], 7);
    for (number, outcome) in [
        ("passed", "passed"),
        ("failed", "failed"),
        ("advice", "advice"),
        ("not_offered", "not-offered"),
        ("not_observed", "not-observed"),
        ("not_tried", "not-tried"),
    ] {
        assert_eq!(seen[number], count(&seen, outcome), "{number}");
    }
    assert!(count(&seen, "failed") > 0 && count(&seen, "passed") > 0, "{seen:#}");
    for line in seen["checks"].as_array().unwrap() {
        let is_meant = checks().any(|it| it.name() == line["name"]);
        assert!(is_meant && !line["sentence"].as_str().unwrap().is_empty(), "{line:#}");
        let is_shown = line["failure"]["calls"].as_array().is_some_and(|calls| !calls.is_empty());
        assert_eq!(is_shown, line["outcome"] == "failed", "{line:#}");
    }
}

#[test]
fn junit_is_well_formed_and_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    // Texts of a backend that XML cannot hold as they are.
    let arguments = ["--env", "FAULT=normalise", &wrong(), "--only", "keys", "--only", "ranges"];
    let seen = report(dir.path(), &[&arguments[..], &["--junit", "report.xml"]].concat(), 1);
    let text = std::fs::read_to_string(dir.path().join("report.xml")).unwrap();
    let mut xml = quick_xml::Reader::from_str(&text);
    let (mut cases, mut failures, mut stated, mut depth) = (0, 0, Vec::new(), 0);
    loop {
        let event = xml.read_event().expect("it is well-formed");
        depth += i32::from(matches!(event, Event::Start(_)));
        depth -= i32::from(matches!(event, Event::End(_)));
        let tag = match event {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => tag,
            _ => continue,
        };
        let attribute = |name: &str| {
            let value = tag.try_get_attribute(name).unwrap().unwrap().value.into_owned();
            String::from_utf8(value).unwrap()
        };
        match tag.name().as_ref() {
            b"testcase" => cases += 1,
            b"failure" => failures += 1,
            b"testsuites" => stated = vec![attribute("tests"), attribute("failures")],
            _ => {}
        }
    }
    assert_eq!(depth, 0, "every element is closed");
    assert_eq!(cases, seen["checks"].as_array().unwrap().len());
    assert_eq!(failures, count(&seen, "failed"));
    assert_eq!(stated, [cases.to_string(), failures.to_string()]);
    assert!(failures > 0, "{text}");
}

#[test]
fn a_seed_repeats_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let calls = |seed: &str| {
        let arguments = ["--env", "FAULT=lose-last-byte", &wrong(), "--only", "round-trip"];
        let seen = report(dir.path(), &[&arguments[..], &["--seed", seed]].concat(), 1);
        let lines = seen["checks"].as_array().unwrap().iter();
        lines.map(|line| line["failure"].clone()).collect::<Vec<_>>()
    };
    let first = calls("3");
    assert_eq!(first, calls("3"));
    assert_ne!(first, calls("4"));
}

#[test]
fn the_fewest_calls_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    for (fault, group, name, calls) in [
        (
            "put-only-once",
            "overwrite",
            "a_put_takes_the_place_of_another",
            &[r#"put("k", "first") -> ok"#, r#"put("k", "") -> ok"#, r#"get("k") -> ok("first")"#]
                [..],
        ),
        (
            "delete-prefix",
            "keys",
            "a_delete_touches_its_own_key_only",
            &[
                r#"put("ab", "ab") -> ok"#,
                r#"delete("a") -> ok"#,
                r#"get("ab") -> err(not-found: not found)"#,
            ],
        ),
        (
            "cache",
            "instances",
            "an_old_instance_knows_nothing_old",
            &[
                r#"put("k", "old") -> ok"#,
                r#"get("k") -> ok("old")"#,
                r#"2nd host: put("k", "newer") -> ok"#,
                r#"get("k") -> ok("old")"#,
            ],
        ),
        (
            "absent-is-empty",
            "round-trip",
            "get_of_an_absent_key_is_not_found",
            &[r#"get("a") -> ok("")"#],
        ),
    ] {
        let fault = format!("FAULT={fault}");
        let seen = report(dir.path(), &["--env", &fault, &wrong(), "--only", group], 1);
        let mut lines = seen["checks"].as_array().unwrap().iter();
        let line = lines.find(|line| line["name"] == name).unwrap_or_else(|| panic!("{seen:#}"));
        assert_eq!(line["failure"]["is_reduced"], true, "{line:#}");
        assert_eq!(line["failure"]["calls"], Value::from(calls), "{line:#}");
    }
}

#[test]
fn a_named_store_lends_its_settings_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("live")).unwrap();
    std::fs::write(dir.join("live/precious"), "mine").unwrap();
    let file = |fault: &str| {
        let backend = wrong();
        format!(
            "[stores.a]\nbackend = {backend:?}\nenv = {{ FAULT = \"{fault}\" }}\n\
             directories = [{{ host = \"live\" }}]\n[stores.b]\nbackend = \"s3\"\n\
             env = {{ S3_BUCKET = \"b\", AWS_ACCESS_KEY_ID = \"a\", AWS_SECRET_ACCESS_KEY = \"s\", AWS_REGION = \"r\" }}\n"
        )
    };
    let stores = dir.join("stores.toml");
    std::fs::write(&stores, file("delete-of-absent-fails")).unwrap();
    let named = ["--config", "stores.toml", "--store", "a", "--only", "round-trip"];
    // The store's own component with its variables.
    let seen = report(dir, &named, 1);
    assert_eq!((&seen["failed"], &seen["backend"]), (&1.into(), &"a".into()));
    // Another component in its place.
    assert_eq!(report(dir, &[&["fs"], &named[..]].concat(), 0)["failed"], 0);
    let seen = report(dir, &[&[wrong().as_str()], &named[..]].concat(), 1);
    assert_eq!(seen["failed"], 1);
    assert_eq!(entries(&dir.join("live")), 1, "the store itself is not touched");
    // A bucket is no empty store.
    let error = expect(dir, &["check", "--config", "stores.toml", "--store", "b"], b"", 2);
    assert!(error.contains("each rule needs an empty store"), "{error}");
    let error = expect(dir, &["check", "--config", "stores.toml"], b"", 2);
    assert!(error.contains("name one store of the configuration with --store"), "{error}");
    let error = expect(dir, &["check"], b"", 2);
    assert!(error.contains("needs a component file"), "{error}");
}

#[test]
fn a_backend_that_hangs_is_waited_for_no_longer_than_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = bare_component(&[("GET", "(loop $for_ever (br $for_ever)) ")]);
    std::fs::write(dir.path().join("hangs.wasm"), hangs).unwrap();
    let arguments = ["hangs.wasm", "--timeout", "200ms", "--only", "overwrite"];
    let seen = report(dir.path(), &arguments, 1);
    assert!(count(&seen, "failed") > 2, "{seen:#}");
    let text = seen.to_string();
    assert!(text.contains("err(timeout"), "{text}");
}

/// Each rule would take as long as the ones before.
#[test]
fn of_a_backend_that_never_answers_three_rules_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let for_ever = "(loop $for_ever (br $for_ever)) ";
    let hangs = bare_component(&["PUT", "GET", "DELETE"].map(|verb| (verb, for_ever)));
    std::fs::write(dir.path().join("hangs.wasm"), hangs).unwrap();
    let seen = report(dir.path(), &["hangs.wasm", "--timeout", "200ms", "--crash"], 1);
    assert_eq!(count(&seen, "failed") + count(&seen, "advice"), 3, "{seen:#}");
    assert!(count(&seen, "not-tried") > 20, "{seen:#}");
    assert_eq!(count(&seen, "passed"), 0, "{seen:#}");
    let last = seen["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(last["outcome"], "not-tried");
}

#[test]
fn an_interrupted_check_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("below");
    for arguments in [&["fs"][..], &["fs", "--crash", "--only", "errors"]] {
        let mut command = cli();
        command.arg("check").args(arguments).args(["--dir", "below"]).current_dir(dir.path());
        command.env("TMPDIR", dir.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while !below.exists() || entries(&below) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(120), "it does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        interrupt(&mut child);
        assert_eq!(entries(&below), 0);
        std::fs::remove_dir(&below).unwrap();
        assert_eq!(entries(dir.path()), 0, "nothing in the system's place for it");
    }
}

fn interrupt(child: &mut Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
