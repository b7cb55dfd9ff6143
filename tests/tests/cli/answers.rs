//! What the command line answers where there is no store, nothing to do, or nothing that works.

use std::path::Path;
use std::process::Output;

use artifact_store_tests::{at_a_terminal, cli, expect, guest, run, shell};

fn code_and_error(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn only_a_put_makes_a_store_and_all_other_commands_fail_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["get", "k"],
        &["get", "k", "-o", "out"],
        &["stat", "k"],
        &["delete", "k"],
        &["verify"],
        &["verify", "--repair"],
        &["verify", "--json"],
        &["--dir", "elsewhere", "list"],
        &["--dir", "else/where", "verify"],
        &["--backend", guest("plain").to_str().unwrap(), "--dir", "elsewhere", "get", "k"],
    ] {
        let output = run(dir, arguments, b"");
        let (code, error) = code_and_error(&output);
        assert_eq!(code, Some(3), "{arguments:?}: {error}");
        assert!(error.contains("does not exist") && error.contains("hint:"), "{error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn a_put_says_what_it_makes_where_that_may_be_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // The last folder is what it is for.
    assert_eq!(code_and_error(&run(dir, &["put", "k"], b"1")), (Some(0), String::new()));
    assert_eq!(code_and_error(&run(dir, &["put", "k"], b"2")), (Some(0), String::new()));
    let (code, said) = code_and_error(&run(dir, &["--dir", "a/b/c", "put", "k"], b"1"));
    assert!(code == Some(0) && said.contains("`a/b/c`") && said.contains("`a`"), "{said}");
    assert_eq!(code_and_error(&run(dir, &["--dir", "a/b/c", "put", "k"], b"1")).1, "");
    // An empty one, and one of a new disk.
    std::fs::create_dir_all(dir.join("disk/lost+found")).unwrap();
    assert_eq!(code_and_error(&run(dir, &["--dir", "disk", "put", "k"], b"1")).1, "");
    std::fs::create_dir(dir.join("home")).unwrap();
    std::fs::write(dir.join("home/letter.txt"), "mine").unwrap();
    let (code, said) = code_and_error(&run(dir, &["--dir", "home", "put", "k"], b"1"));
    assert!(code == Some(0) && said.contains("`home`") && said.contains("letter.txt"), "{said}");
    assert_eq!(code_and_error(&run(dir, &["--dir", "home", "put", "k"], b"1")).1, "");
    // A store that comes from a backup without directories that are empty.
    std::fs::remove_dir(dir.join("artifacts/tmp")).unwrap();
    assert_eq!(code_and_error(&run(dir, &["put", "l"], b"1")), (Some(0), String::new()));
    // Names like those of a store make none.
    std::fs::create_dir_all(dir.join("words/bad/cafe")).unwrap();
    let (code, said) = code_and_error(&run(dir, &["--dir", "words", "put", "k"], b"1"));
    assert!(code == Some(0) && said.contains("is now the directory of a store"), "{said}");
}

#[test]
fn an_empty_variable_counts_as_one_that_is_not_set() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"1", 0);
    for variable in ["ARTIFACT_STORE_DIR", "ARTIFACT_STORE_CONFIG"] {
        let output = cli().env(variable, "").args(["get", "k"]).current_dir(dir).output().unwrap();
        assert_eq!(output.stdout, b"1", "{variable}: {:?}", code_and_error(&output));
    }
    let mut list = cli();
    list.args(["--backend", "s3", "list"]).current_dir(dir);
    for variable in ["S3_BUCKET", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    {
        list.env(variable, "");
    }
    let (code, message) = code_and_error(&list.output().unwrap());
    assert!(code == Some(1) && message.contains("S3_BUCKET: it is not set"), "{message}");
}

#[test]
fn an_empty_argument_is_wrong_usage_or_an_invalid_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"1", 0);
    std::fs::write(
        dir.join("stores.toml"),
        "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'artifacts' }]\n",
    )
    .unwrap();
    for arguments in [
        &["--dir", "", "list"][..],
        &["--backend", "", "list"],
        &["--config", "", "list"],
        &["--config", "stores.toml", "--store", "", "list"],
        &["--env", "", "list"],
        &["--env", "=x", "list"],
        &["--allow-net", "", "list"],
        &["--proxy", "", "list"],
        &["--ca", "", "list"],
        &["get", "k", "-o", ""],
        &["put", "k", ""],
        &["delete"],
        &["delete", "--dir", "artifacts"],
    ] {
        let (code, message) = code_and_error(&run(dir, arguments, b""));
        assert_eq!(code, Some(2), "{arguments:?}: {message}");
    }
    for arguments in [&["put", ""][..], &["get", ""], &["stat", ""], &["delete", ""]] {
        let (code, message) = code_and_error(&run(dir, arguments, b""));
        assert!(code == Some(2) && message.contains("1 to 1024 bytes"), "{arguments:?}: {message}");
    }
    assert_eq!(expect(dir, &["list", ""], b"", 0), "k\n");
}

#[test]
fn deleting_what_a_listing_finds_works_with_nothing_too() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "p/1"], b"1", 0);
    let line = "\"$A\" list --null p/ | xargs -0 \"$A\" delete --";
    for _ in 0..2 {
        let output = shell(dir, line);
        assert_eq!(code_and_error(&output), (Some(0), String::new()));
    }
    assert_eq!(expect(dir, &["list"], b"", 0), "");
    assert!(expect(dir, &["delete", "--help"], b"", 0).contains("does nothing"));
}

#[test]
fn hidden_characters_are_escaped_at_a_terminal_and_raw_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let key = "a\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{e0041}f";
    let shown = r"a\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{e0041}f";
    expect(dir, &["put", key], b"1", 0);
    assert_eq!(expect(dir, &["list"], b"", 0), format!("{key}\n"));
    assert!(expect(dir, &["list", "--json"], b"", 0).contains(key));
    assert!(expect(dir, &["stat", key], b"", 0).contains(key));
    // A message is for people, wherever it goes.
    for arguments in [["get", &format!("{key}2")], ["put", &format!("{key}\u{7}")]] {
        let (_, message) = code_and_error(&run(dir, &arguments, b""));
        assert!(message.contains(shown), "{message}");
    }
    std::fs::write(dir.join("\u{202e}file"), "x").unwrap();
    for arguments in
        [["inspect", "\u{202e}file"], ["check", "\u{202e}file"], ["--config", "\u{202e}file"]]
    {
        let (_, message) = code_and_error(&run(dir, &[&arguments[..], &["list"]].concat(), b""));
        assert!(!message.contains('\u{202e}'), "{arguments:?}: {message}");
    }
    for arguments in [&["frob\u{202e}"][..], &["list", "--\u{202e}"], &["list", "a", "\u{202e}"]] {
        let (code, message) = code_and_error(&run(dir, arguments, b""));
        assert!(code == Some(2) && message.contains(r"\u{202e}"), "{arguments:?}: {message}");
        assert!(!message.contains('\u{202e}'), "{arguments:?}: {message}");
    }
    for (line, expected) in [
        ("\"$A\" list", shown),
        ("\"$A\" list --json", r#""a\u202eb\u2066c\u200bd\u2028e\udb40\udc41f""#),
        ("\"$A\" stat \"$(\"$A\" list | cat)\"", shown),
        ("\"$A\" stat --json \"$(\"$A\" list | cat)\"", r"a\u202eb"),
    ] {
        let Some(text) = at_a_terminal(dir, line, "") else { return };
        assert!(text.contains(expected) && !text.contains('\u{202e}'), "{line}: {text}");
    }
}

#[test]
fn a_put_with_a_forgotten_key_says_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("app.tar"), "bytes").unwrap();
    let output = run(dir, &["put", "app.tar"], b"");
    let (code, said) = code_and_error(&output);
    assert!(
        code == Some(0) && said.contains("empty") && said.contains("put KEY app.tar"),
        "{said}"
    );
    // What looks less like it says nothing.
    for (arguments, input) in [
        (&["put", "app.tar"][..], &b"bytes"[..]),
        (&["put", "app.tar", "-"], b""),
        (&["put", "app.tar", "app.tar"], b""),
        (&["put", "empty"], b""),
    ] {
        assert_eq!(code_and_error(&run(dir, arguments, input)), (Some(0), String::new()));
    }
    let Some(text) = at_a_terminal(dir, "\"$A\" put typed", "line\n\u{4}") else { return };
    assert!(text.contains("reading from the terminal") && text.contains("Ctrl-D"), "{text}");
    assert_eq!(expect(dir, &["get", "typed"], b"", 0), "line\n");
}

#[test]
fn a_terminal_is_given_no_binary_data_unless_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "binary"], b"bin\x1b[2Jary\0", 0);
    expect(dir, &["put", "text"], "tex\u{e9}\n".as_bytes(), 0);
    let Some(text) = at_a_terminal(dir, "\"$A\" get binary", "") else { return };
    assert!(text.contains("-o FILE") && !text.contains('\x1b'), "{text}");
    let text = at_a_terminal(dir, "\"$A\" get binary -o -", "").unwrap();
    assert!(text.contains("\x1b[2J"), "{text}");
    let text = at_a_terminal(dir, "\"$A\" cat text", "").unwrap();
    assert_eq!(text, "tex\u{e9}\r\n");
    assert_eq!(run(dir, &["get", "binary"], b"").stdout, b"bin\x1b[2Jary\0");
    // Neither where it looks like a character that is cut, and where it really is.
    let long = [&b"a"[..], &"\u{e9}".repeat(300_000).into_bytes()].concat();
    expect(dir, &["put", "long"], &long, 0);
    for (bytes, begin) in [(&b"\x9b2Jhello"[..], "hello"), (b"abc\xe2", "abc")] {
        expect(dir, &["put", "cut"], bytes, 0);
        let text = at_a_terminal(dir, "\"$A\" get cut", "").unwrap();
        assert!(text.contains("-o FILE") && !text.contains(begin), "{text}");
    }
    let text = at_a_terminal(dir, "\"$A\" get long", "").unwrap();
    assert!(text.as_bytes() == long, "{}", text.len());
}

#[test]
fn numbers_of_bytes_have_units() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bytes = [&[b'a'; 1024][..], &[b'b'; 1000], b"c"].concat();
    expect(dir, &["put", "k", "--size", "2025"], &bytes, 0);
    expect(dir, &["put", "k2", "--size", "2KiB"], &bytes, 1);
    expect(dir, &["put", "k2", "--size", "1KiB"], &bytes[..1024], 0);
    let part = ["get", "k", "--offset", "1KiB", "--length", "1kB"];
    assert_eq!(expect(dir, &part, b"", 0), "b".repeat(1000));
    expect(dir, &["get", "k", "--offset", "much"], b"", 2);
}

/// A store of the guest `wrong`, which has this fault; with artifacts `a`, `b`, … of a byte each.
fn wrong(dir: &Path, fault: &str, artifacts: usize) -> Vec<String> {
    let backend = guest("wrong").to_str().unwrap().to_owned();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].iter().take(artifacts) {
        expect(dir, &["--backend", &backend, "put", key], b"x", 0);
    }
    ["--backend".into(), backend, "--env".into(), format!("FAULT={fault}")].into()
}

fn verify(dir: &Path, store: &[String], more: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<_> = store.iter().map(String::as_str).chain(["verify"]).collect();
    let output = run(dir, &[&arguments[..], more].concat(), b"");
    let (code, error) = code_and_error(&output);
    (code, String::from_utf8(output.stdout).unwrap(), error)
}

#[test]
fn an_artifact_without_a_checksum_is_unchecked_and_not_sound() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let store = wrong(dir, "no-checksum", 3);
    let (code, text, _) = verify(dir, &store, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("0 artifacts are sound") && text.contains("3 unchecked"), "{text}");
    let (code, text, _) = verify(dir, &store, &["--json"]);
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(code, Some(1), "{text}");
    assert_eq!((&summary["sound"], &summary["unchecked"]), (&0.into(), &3.into()), "{text}");
    assert_eq!(verify(dir, &wrong(dir, "", 0), &[]).0, Some(0));
}

#[test]
fn a_store_that_cannot_be_seen_as_a_whole_is_not_green() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (fault, code, said) in [
        ("", 0, "3 artifacts are sound"),
        ("lists-one-page", 6, "incomplete: a part of the store was not read"),
        ("audit-fails", 6, "incomplete: a part of the store was not read"),
        ("reads-unavailable", 6, "3 unreadable"),
        ("reads-nothing", 5, "3 damaged"),
    ] {
        let store = wrong(dir, fault, 3);
        let (found, text, error) = verify(dir, &store, &[]);
        assert_eq!(found, Some(code), "{fault}: {text} {error}");
        assert!(text.lines().last().is_some_and(|line| line.contains(said)), "{fault}: {text}");
        let (found, text, _) = verify(dir, &store, &["--json"]);
        let summary: serde_json::Value =
            serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(found, Some(code), "{fault}: {text}");
        assert_eq!(summary["type"], "summary", "{text}");
        let complete = !["lists-one-page", "audit-fails", "reads-unavailable"].contains(&fault);
        assert_eq!(summary["complete"], complete, "{fault}: {text}");
        assert_eq!(
            text.contains("\"type\":\"failure\""),
            code == 6 && fault != "reads-unavailable"
        );
    }
    // After three failures in a row there is no point in going on.
    let store = wrong(dir, "reads-unavailable", 10);
    let (code, text, error) = verify(dir, &store, &[]);
    assert!(code == Some(6) && error.contains("stopped"), "{text} {error}");
    assert!(text.matches("unreadable  ").count() < 10, "{text}");
}

/// Runs it with a standard input that nobody closes: what reads it does not end.
fn without_input(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let (input, _feed) = std::io::pipe().unwrap();
    let mut command = cli();
    command.args(arguments).current_dir(dir).stdin(input);
    code_and_error(&command.output().unwrap())
}

#[test]
fn a_put_that_cannot_work_reads_no_input() {
    artifact_store_tests::in_time(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        expect(dir, &["put", "k"], b"1", 0);
        for (arguments, code, text) in [
            (&["put", "--create", "k"][..], 4, "already has an artifact"),
            (&["put", "--if-match", "0000000000000000", "k"], 4, "cannot put `k`"),
            (&["put", "--if-match", "0000000000000000", "none"], 4, "cannot put `none`"),
            (&["put", "--if-match", "", "k"], 2, "--if-match"),
            (&["copy", "--if-match", "", "k", "l"], 2, "--if-match"),
            (&["delete", "--if-match", "0000000000000000", "k"], 4, "cannot delete `k`"),
            (&["delete", "--if-match", "0000000000000000", "k", "l"], 2, "one key"),
            (&["delete", "--if-match", "0000000000000000", "none"], 0, ""),
            (&["put", "--meta", "BAD=1", "k"], 2, "`BAD`"),
            (&["put", "--content-type", "a\u{7}", "k"], 2, "content-type"),
            (&["put", "tab\tkey"], 2, "U+0009"),
            (&["get", "tab\tkey"], 2, "U+0009"),
            (&["list", "tab\tkey"], 2, "U+0009"),
        ] {
            let (found, said) = without_input(dir, arguments);
            assert!(found == Some(code) && said.contains(text), "{arguments:?}: {found:?} {said}");
        }
        assert_eq!(expect(dir, &["get", "k"], b"", 0), "1");
    });
}

#[test]
fn quotes_in_a_name_are_shown_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let key = "it's \"quoted\" \\ here";
    expect(dir, &["put", key], b"1", 0);
    std::fs::write(
        dir.join("stores.toml"),
        "[stores.\"bob's\"]\nbackend = 'fs'\ndirectories = [{ host = 'absent' }]\n",
    )
    .unwrap();
    for (arguments, shown) in [
        (&["get", &format!("{key}2")][..], format!("`{key}2`")),
        (&["--dir", "absent", "put", "k", "it's"], "`it's`".to_owned()),
        (&["--config", "stores.toml", "--store", "ann's", "list"], "`ann's`".into()),
        (&["--config", "stores.toml", "--store", "ann's", "list"], "`bob's`".into()),
        (&["new-backend", "it's"], "`it's`".into()),
        (&["new-layer", "it's"], "`it's`".into()),
    ] {
        let (_, said) = code_and_error(&run(dir, arguments, b""));
        assert!(said.contains(&shown), "{arguments:?}: {said}");
    }
    let file = artifact_store_tests::artifact_files(&dir.join("artifacts"));
    let file = file.iter().find(|file| file.to_string_lossy().contains("quoted")).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
    let text = String::from_utf8(run(dir, &["verify"], b"").stdout).unwrap();
    assert!(text.contains(&format!("damaged  `{key}`: ")), "{text}");
}

#[test]
fn sizes_have_units() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bytes = vec![b'x'; 2048];
    expect(dir, &["put", "k", "--size", "2KiB"], &bytes, 0);
    assert_eq!(expect(dir, &["get", "k", "--offset", "1KiB"], b"", 0).len(), 1024);
    assert_eq!(expect(dir, &["get", "k", "--length", "1.5KiB"], b"", 0).len(), 1536);
    assert!(expect(dir, &["put", "k", "--size", "2 apples"], b"", 2).contains("--size"));
    // Numbers agree with their nouns.
    let text = String::from_utf8(run(dir, &["verify"], b"").stdout).unwrap();
    assert!(text.starts_with("1 artifact is sound"), "{text}");
}

#[test]
fn all_variables_that_are_missing_have_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "[stores.z]\nbackend = 'fs'\nenv-from = [\n'ARTIFACT_TEST_ABSENT',\n'PATH', 'ARTIFACT_TEST_ALSO']\n\
                directories = [{ host = '.' }]\n";
    std::fs::write(dir.join("stores.toml"), text).unwrap();
    let output = run(dir, &["--config", "stores.toml", "config", "check"], b"");
    let (code, said) = code_and_error(&output);
    assert_eq!(code, Some(1), "{said}");
    for (line, name) in [(4, "ARTIFACT_TEST_ABSENT"), (5, "ARTIFACT_TEST_ALSO")] {
        let expected = format!("stores.toml:{line}: store `z` hands on the variable `{name}` of");
        assert!(said.contains(&expected), "{said}");
    }
    let (code, said) = code_and_error(&run(dir, &["--config", "stores.toml", "list"], b""));
    assert!(code == Some(1) && said.contains("ARTIFACT_TEST_ABSENT"), "{said}");
    assert!(said.contains(", and the variable `ARTIFACT_TEST_ALSO` of this process"), "{said}");
}
