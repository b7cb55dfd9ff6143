//! What `artifact-store check` tells people, programs and CI, and how it ends, through the real
//! binary.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use artifact_store::conformance::{checks, layer_checks};
use artifact_store_tests::service::Differences;
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
        ("allowed", "allowed"),
        ("failed", "failed"),
        ("advice", "advice"),
        ("not_offered", "not-offered"),
        ("not_observed", "not-observed"),
        ("too_slow", "too-slow"),
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
    let error = expect(dir, &["check", "--config", "stores.toml"], b"", 2);
    assert!(error.contains("name one store of the configuration with --store"), "{error}");
    let error = expect(dir, &["check"], b"", 2);
    assert!(error.contains("needs a component file"), "{error}");
}

#[test]
fn a_backend_that_hangs_is_waited_for_no_longer_than_its_time() {
    let dir = tempfile::tempdir().unwrap();
    const PUT: &str = "a_put_takes_the_place_of_another";
    let hangs = bare_component(&[("GET", "(loop $for_ever (br $for_ever)) ")]);
    std::fs::write(dir.path().join("hangs.wasm"), hangs).unwrap();
    let arguments =
        ["hangs.wasm", "--timeout", "200ms", "--only", "put-2", "--only", PUT, "--only", "get-2"];
    // That is no proof that it is wrong.
    let seen = report(dir.path(), &[&arguments[..], &["--jobs", "1"]].concat(), 6);
    assert_eq!(count(&seen, "failed") + count(&seen, "advice"), 0, "{seen:#}");
    assert_eq!(count(&seen, "too-slow"), 3, "{seen:#}");
    let text = seen.to_string();
    assert!(text.contains("err(timeout"), "{text}");
    let output = run(dir.path(), &[&["check"], &arguments[..]].concat(), b"");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("too slow  a_put_takes_the_place_of_another\n"), "{text}");
    assert!(text.contains("hold was not observed; try a longer --timeout"), "{text}");
    assert!(text.contains("breaks no rule as far as it answered in time\n"), "{text}");
}

/// One that is slow in one call and wrong in another is wrong.
#[test]
fn a_backend_that_is_slow_and_wrong_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = bare_component(&[("GET", "(loop $for_ever (br $for_ever)) ")]);
    std::fs::write(dir.path().join("hangs.wasm"), hangs).unwrap();
    // It takes every key.
    let arguments = ["hangs.wasm", "--timeout", "200ms", "--only", "keys", "--only", "get-2"];
    let seen = report(dir.path(), &[&arguments[..], &["--jobs", "1"]].concat(), 1);
    assert!(count(&seen, "failed") > 0 && count(&seen, "too-slow") > 0, "{seen:#}");
    assert!(seen["broken"].as_array().unwrap().contains(&"key-3".into()), "{seen:#}");
}

/// Each rule would take as long as the ones before.
#[test]
fn of_a_backend_that_never_answers_three_rules_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let for_ever = "(loop $for_ever (br $for_ever)) ";
    let hangs = bare_component(&["PUT", "GET", "DELETE"].map(|verb| (verb, for_ever)));
    std::fs::write(dir.path().join("hangs.wasm"), hangs).unwrap();
    let arguments = ["hangs.wasm", "--timeout", "200ms", "--crash", "--jobs", "1"];
    let seen = report(dir.path(), &arguments, 6);
    assert_eq!(count(&seen, "too-slow"), 3, "{seen:#}");
    assert_eq!(count(&seen, "failed") + count(&seen, "advice"), 0, "{seen:#}");
    assert!(count(&seen, "not-tried") > 20, "{seen:#}");
    assert_eq!(count(&seen, "passed"), 0, "{seen:#}");
    let last = seen["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(last["outcome"], "not-tried");
}

#[test]
fn an_interrupted_check_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("below");
    let concurrent = ["fs", "--concurrent", "--for", "5m", "--only", "errors"];
    for arguments in [&["fs"][..], &["fs", "--crash", "--only", "errors"], &concurrent] {
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

#[test]
fn a_trap_shows_what_the_backend_said_before() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = wrong();
    let wrong = wrong.as_str();
    let fault = ["--env", "FAULT=delete-panics"];
    let seen = report(dir.path(), &[&[wrong, "--only", "delete-2"], &fault[..]].concat(), 1);
    let failure = &seen["checks"][0]["failure"];
    assert_eq!(failure["seen"], "err(trap: the backend trapped)", "{failure:#}");
    assert_eq!(failure["is_reduced"], true, "{failure:#}");
    let cause = failure["cause"].as_str().unwrap();
    for part in ["panicked at ", "store.rs:", " | nobody told me about `\\u{1b}[2J`", "unreachable"]
    {
        assert!(cause.contains(part), "{part}: {cause}");
    }
    let arguments = [&["check", wrong, "--only", "delete-2"], &fault[..]].concat();
    let text = String::from_utf8(run(dir.path(), &arguments, b"").stdout).unwrap();
    assert!(text.contains("\n  because:  its standard error ends with: thread "), "{text}");
    // The same where a command uses the backend.
    let arguments =
        ["--backend", wrong, "--dir", ".", "delete", "k", "--env", "FAULT=delete-panics"];
    let error = expect(dir.path(), &arguments, b"", 1);
    let said = "the backend trapped: its standard error ends with: thread '<unnamed>'";
    assert!(error.contains(said) && error.contains("nobody told me about"), "{error}");
}

#[test]
fn a_part_of_the_checks_is_named_by_rule_by_rules_and_by_check() {
    let dir = tempfile::tempdir().unwrap();
    let names = |only: &[&str]| {
        let only: Vec<_> = only.iter().flat_map(|name| ["--only", name]).collect();
        let listed = expect(dir.path(), &[&["check", "--list", "--json"], &*only].concat(), b"", 0);
        let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = || checks().chain(layer_checks());
    assert_eq!(names(&[]).len(), all().count());
    assert_eq!(names(&["layer"]).len(), 7);
    assert_eq!(names(&["read-5"]), ["a_length_beyond_the_end_is_cut"]);
    let by_rules = all().filter(|it| it.rules().iter().any(|rule| rule.starts_with("read-")));
    assert_eq!(names(&["read"]).len(), by_rules.count());
    assert_eq!(names(&["keys"]).len(), 6);
    let both = names(&["a_put_can_be_repeated", "read-5"]);
    assert_eq!(both, ["a_put_can_be_repeated", "a_length_beyond_the_end_is_cut"]);
    // What is listed can be run, in the same order however many run at once.
    for jobs in ["1", "7"] {
        let arguments = ["fs", "--only", "read", "--only", "a_put_can_be_repeated", "--jobs", jobs];
        let seen = report(dir.path(), &arguments, 0);
        let lines = seen["checks"].as_array().unwrap().iter();
        let ran: Vec<_> = lines.map(|line| line["name"].as_str().unwrap()).collect();
        let mut listed = names(&["read", "a_put_can_be_repeated"]);
        // Those of layers are for a layer.
        listed.retain(|name| checks().any(|check| check.name() == name));
        assert_eq!(ran, listed);
    }
    let text = expect(dir.path(), &["check", "--list", "--only", "ranges"], b"", 0);
    assert!(text.starts_with("ranges\n  an_offset_beyond_the_end_is_invalid "), "{text}");
    for (name, why) in [
        ("put-17", "no group, rule or check"),
        ("pu", "no group, rule or check"),
        ("change-1", "this rule has no check: a test needs a crash of the machine"),
    ] {
        let error = expect(dir.path(), &["check", "fs", "--only", name], b"", 2);
        assert!(error.contains(why), "{error}");
    }
}

/// A check of several rules names the one that is broken.
#[test]
fn the_sentence_is_that_of_the_rule_that_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--env", "FAULT=reads-end-badly", &wrong(), "--only", "read-6"];
    let seen = report(dir.path(), &arguments, 1);
    let line = &seen["checks"][0];
    assert_eq!(line["name"], "a_streamed_artifact_comes_back", "{line:#}");
    assert_eq!(
        (&line["rules"][0], &line["failure"]["rule"]),
        (&"read-6".into(), &"read-11".into())
    );
    assert!(line["sentence"].as_str().unwrap().contains("MUST end, and the future"), "{line:#}");
    let broken: Vec<_> = seen["broken"].as_array().unwrap().iter().collect();
    assert!(broken.len() < count(&seen, "failed"), "each rule once: {seen:#}");
}

/// Each check has a part of the bucket, and leaves nothing in it.
#[test]
fn a_bucket_is_checked_below_its_prefix_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let service = Differences::default();
    let server = service.clone().start();
    let variables = service.variables(&server, "team");
    let output = |arguments: &[&str]| {
        let mut command = cli();
        command.args(arguments).envs(variables.clone()).current_dir(dir.path()).output().unwrap()
    };
    assert!(output(&["--backend", "s3", "put", "mine", "/dev/null"]).status.success());
    let only = ["--only", "put-1", "--only", "get-1", "--only", "list-2", "--json"];
    let checked = output(&[&["check", "s3"], &only[..]].concat());
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(0), "{report:#}");
    assert!(report["passed"].as_u64().unwrap() > 4, "{report:#}");
    // A copy of the component is told by a variable where it begins anew.
    assert!(output(&["extract", "s3", "-o", "copy.wasm"]).status.success());
    let net = server.endpoint();
    let fresh = ["check", "copy.wasm", "--allow-net", &net, "--fresh-env", "S3_PREFIX=team/ci-{}"];
    let mut arguments: Vec<String> = fresh.iter().map(|it| (*it).to_owned()).collect();
    for (name, _) in &variables {
        arguments.extend(["--env".to_owned(), (*name).to_owned()]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(only).collect();
    let checked = output(&arguments);
    let error = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{error}");
    let requests = server.requests();
    let paths = |methods: &[&str]| {
        let of_them = requests.iter().filter(|it| methods.contains(&it.method.as_str()));
        of_them.map(|it| it.path.clone()).collect::<BTreeSet<_>>()
    };
    let stored = paths(&["PUT", "POST"]);
    assert!(stored.iter().all(|path| path.contains("/team/")), "{stored:?}");
    let left: Vec<_> = stored.difference(&paths(&["DELETE"])).cloned().collect();
    assert!(matches!(&*left, [only] if only.ends_with("/team/_/mine_")), "{left:?}");
    let refused = output(&["check", "s3", "--crash"]);
    assert_eq!(refused.status.code(), Some(2));
}
