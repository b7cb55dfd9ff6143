//! `check` of a layer, through the real binary.

use std::path::Path;

use artifact_store_tests::{expect, guest, run};
use serde_json::Value;

fn file(name: &str) -> String {
    guest(name).display().to_string()
}

fn prefix() -> String {
    format!("{},PREFIX=team/", file("prefix"))
}

fn report(dir: &Path, arguments: &[&str], code: i32) -> Value {
    let output = run(dir, &[&["check", "--json"], arguments].concat(), b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn line<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut lines = report["checks"].as_array().unwrap().iter();
    lines.find(|line| line["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[test]
fn an_honest_layer_keeps_every_rule_and_what_it_is_allowed_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    // The program `contract` runs all checks through it.
    let layer = prefix();
    let mut arguments = vec!["check", "--layer", &layer, "--junit", "report.xml"];
    for group in ["keys", "listing", "instances", "layers"] {
        arguments.extend(["--only", group]);
    }
    let text = expect(dir.path(), &arguments, b"", 0);
    assert!(text.contains("prefix.wasm over fs` keeps every rule"), "{text}");
    assert!(!text.contains("PREFIX"), "a variable may be a secret: {text}");
    for part in [
        "layers        9 passed, 1 allowed, 1 not offered\n",
        "allowed  keys_of_every_length_are_taken: layer-5: ",
        "allowed  a_listing_names_keys_byte_for_byte: layer-5: 1 key of 1024 to 1024 bytes",
        "not offered  rewritten_payloads_look_as_they_were_put: payloads that differ below\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let junit = std::fs::read_to_string(dir.path().join("report.xml")).unwrap();
    assert!(junit.contains("message=\"allowed: layer-5: "), "{junit}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_layer_without_a_part_of_its_own_is_not_said_to_keep_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let layer = file("layer");
    let seen = report(dir.path(), &["--layer", &layer, "--only", "layer"], 0);
    let line = line(&seen, "only_its_part_is_listed");
    assert_eq!(line["outcome"], "not-offered", "{line:#}");
    assert!(line["not_offered"].as_str().unwrap().contains("a part of the store"), "{line:#}");
    assert_eq!(seen["allowed"], 0, "{seen:#}");
}

#[test]
fn a_store_of_a_configuration_is_checked_with_its_layers() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    let config = |layer: &str| {
        let text = format!(
            "[stores.team]\nbackend = 'fs'\ndirectories = [{{ host = 'd' }}]\nlayers = [{layer}]\n"
        );
        std::fs::write(dir.path().join("stores.toml"), text).unwrap();
    };
    let only = ["--config", "stores.toml", "--only", "keys", "--only", "settings", "--only"];
    config(&format!("{{ component = '{}', env = {{ PREFIX = 'team/' }} }}", file("prefix")));
    let seen = report(dir.path(), &[&only[..], &["layers"]].concat(), 0);
    assert_eq!(line(&seen, "keys_of_every_length_are_taken")["outcome"], "allowed", "{seen:#}");
    assert_eq!(line(&seen, "what_is_required_is_asked_for")["outcome"], "passed", "{seen:#}");
    assert_eq!(line(&seen, "only_its_part_is_listed")["outcome"], "passed", "{seen:#}");
    let wrong = file("wrong_layer");
    config(&format!("{{ component = '{wrong}', env = {{ FAULT = 'follows-dots' }} }}"));
    let seen = report(dir.path(), &[&only[..], &["layers"]].concat(), 1);
    assert_eq!(seen["broken"], serde_json::json!(["layer-2"]), "{seen:#}");
    // The store itself is not touched.
    assert_eq!(std::fs::read_dir(dir.path().join("d")).unwrap().count(), 0);
}

#[test]
fn the_rule_that_a_wrong_layer_breaks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let layer = format!("{},FAULT=seals-what-came", file("wrong_layer"));
    let arguments = ["check", "--layer", &layer, "--only", "layers"];
    let output = run(dir.path(), &arguments, b"");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "FAILED  without_a_seal_nothing_is_stored_below\n  layer-4: A layer MUST NOT seal",
        "breaks 1 rule: layer-4\n",
        "end: err(\"the caller gave up\")",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_layer_that_does_not_answer_is_bounded_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let odd = |what: &str| format!("{},ODD={what}", file("odd_layer"));
    let only = ["--only", "get-2", "--only", "layer-1", "--jobs", "1", "--timeout", "300ms"];
    for what in ["loops", "hangs", "asks-for-ever"] {
        let seen = report(dir.path(), &[&["--layer", &odd(what)][..], &only].concat(), 6);
        let failure = &seen["checks"][0]["failure"];
        let seen = failure["seen"].as_str().unwrap();
        assert!(seen.contains("timed out") && seen.contains("odd_layer.wasm"), "{failure:#}");
    }
    let memory = ["--memory", "64MiB"];
    for what in ["traps", "grows"] {
        let layer = odd(what);
        let arguments = [&["--layer", &layer][..], &only[..6], &memory].concat();
        let seen = report(dir.path(), &arguments, 1);
        let failure = &seen["checks"][0]["failure"];
        let seen = failure["seen"].as_str().unwrap();
        assert!(seen.contains("odd_layer.wasm"), "{failure:#}");
    }
    // Not the outermost one.
    let (outer, inner) = (prefix(), odd("traps"));
    let arguments = ["--layer", &outer, "--layer", &inner, "--only", "get-2"];
    let seen = report(dir.path(), &arguments, 1);
    let calls = seen["checks"][0]["failure"]["calls"].to_string();
    assert!(calls.contains("below the layer") && calls.contains("odd_layer.wasm"), "{calls}");
}

#[test]
fn what_cannot_be_checked_as_a_layer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused =
        |arguments: &[&str], code| expect(dir.path(), &[&["check"], arguments].concat(), b"", code);
    let layer = |name: &str| refused(&["--layer", &file(name)], 1);
    assert!(layer("plain").contains("is a backend and no layer"), "{}", layer("plain"));
    assert!(layer("prefix").contains("PREFIX"), "{}", layer("prefix"));
    let error = refused(&["--layer", "none.wasm"], 1);
    assert!(error.contains("none.wasm"), "{error}");
    let error = refused(&["--layer", &prefix(), "--crash"], 2);
    assert!(error.contains("without a layer"), "{error}");
    // A backend is not said to keep the rules of layers.
    let error = refused(&["fs", "--only", "layer-1"], 2);
    assert!(error.contains("--layer FILE"), "{error}");
    refused(&["--layer", "encrypt"], 2);
}
