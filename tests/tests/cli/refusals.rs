//! What the command line says and leaves where it refuses.

use std::os::unix::fs::symlink;
use std::path::Path;

use artifact_store_tests::{expect, guest, run, shell};
use rustix::fs::{CWD, FileType, Mode};

#[test]
fn a_put_that_is_refused_leaves_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("page.wasm"), "<html>404</html>").unwrap();
    std::fs::write(dir.join("file"), "no directory").unwrap();
    let plain = guest("plain");
    for (arguments, names_place) in [
        (&["--backend", "absent.wasm", "put", "k"][..], false),
        (&["--backend", "page.wasm", "put", "k"], false),
        (&["--backend", "page.wasm", "--dir", "a/b/c", "put", "k"], true),
        (&["put", ""], false),
        (&["--dir", "a/b", "put", "a\nb"], true),
        // It cannot create.
        (&["--backend", plain.to_str().unwrap(), "put", "k", "--create"], false),
    ] {
        let error = String::from_utf8(run(dir, arguments, b"1").stderr).unwrap();
        assert!(!error.is_empty(), "{arguments:?}");
        assert!(!names_place || !error.contains("created the directory"), "{arguments:?}: {error}");
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2, "{arguments:?}: {error}");
    }
}

/// What stands in the place of a directory or a file of the store.
const INSTEAD: [&str; 3] = ["link", "file", "pipe"];

fn put_instead(place: &Path, what: &str) {
    std::fs::rename(place, place.with_extension("away")).unwrap();
    match what {
        "link" => symlink(place.with_extension("away"), place).unwrap(),
        "file" => std::fs::write(place, "").unwrap(),
        _ => rustix::fs::mknodat(CWD, place, FileType::Fifo, Mode::RWXU, 0).unwrap(),
    }
}

#[test]
fn a_directory_of_the_store_that_was_replaced_is_to_be_put_back() {
    for what in INSTEAD {
        for (name, command) in [(",d", "get"), (",d", "put"), (",d", "list"), ("tmp", "put")] {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            expect(dir, &["put", "d/k"], b"1", 0);
            put_instead(&dir.join("artifacts").join(name), what);
            let arguments: &[&str] = if command == "list" { &["list"] } else { &[command, "d/k"] };
            let error = expect(dir, arguments, b"2", 5);
            let hint = "if something else is in the place of a directory of the store, put the \
                        directory back; otherwise";
            assert!(error.contains(hint), "{what} {name} {command}: {error}");
        }
    }
    // An artifact whose file is damaged is to be put again.
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"1", 0);
    std::fs::write(dir.join("artifacts/_k"), "no artifact").unwrap();
    assert!(expect(dir, &["get", "k"], b"", 5).contains("put the artifact again"));
}

#[test]
fn a_directory_that_cannot_be_one_is_not_promised_by_a_put() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("file"), "").unwrap();
    symlink("nowhere", dir.join("link")).unwrap();
    for (place, command) in [
        ("file", "put"),
        ("file", "get"),
        ("file/below", "put"),
        ("link", "put"),
        ("/sys/x", "put"),
    ] {
        let error =
            String::from_utf8(run(dir, &["--dir", place, command, "k"], b"1").stderr).unwrap();
        assert!(error.contains("hint: "), "{place} {command}: {error}");
        assert!(!error.contains("the first put creates"), "{place} {command}: {error}");
    }
}

#[test]
fn a_duration_has_a_unit_in_which_it_is_short() {
    let dir = tempfile::tempdir().unwrap();
    expect(dir.path(), &["put", "k"], b"1", 0);
    for (given, shown) in [("1ns", "1 ns"), ("2us", "2 µs")] {
        let error = expect(dir.path(), &["--timeout", given, "get", "k"], b"", 6);
        assert!(!error.contains("0.0"), "{error}");
        let without_space = shown.replace(' ', "").replace('µ', "u");
        assert!(error.contains(shown) || error.contains(&without_space), "{error}");
    }
}

#[test]
fn the_built_in_backends_have_names_wherever_a_component_has() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for name in ["fs", "s3"] {
        expect(dir, &["extract", name, "-o", "extracted.wasm"], b"", 0);
        let of_file = expect(dir, &["inspect", "extracted.wasm"], b"", 0);
        let of_name = expect(dir, &["inspect", name], b"", 0);
        assert_eq!(of_file.replace("extracted.wasm", name), of_name);
        expect(dir, &["bundle", name, "-o", "of-name.wasm"], b"", 0);
        expect(dir, &["bundle", "extracted.wasm", "-o", "of-file.wasm"], b"", 0);
        let bytes = |name: &str| std::fs::read(dir.join(name)).unwrap();
        assert!(bytes("of-name.wasm") == bytes("of-file.wasm"), "{name}");
    }
}

#[test]
fn a_small_stack_of_the_process_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    for size in [64, 128, 256] {
        let line =
            format!("ulimit -s {size}; echo 1 | \"$A\" put k && \"$A\" get k && \"$A\" --help");
        let output = shell(dir.path(), &line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{size}: {:?} {error}", output.status);
        assert!(output.stdout.starts_with(b"1\n"), "{size}");
    }
}

#[test]
fn an_option_without_effect_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("artifacts")).unwrap();
    for line in [
        "list -H",
        "list --json -H",
        "list -0 -H",
        "put --follow k f",
        "put --follow --create k f",
        "put --follow --if-match 1 k f",
        "put --follow --content-type t k f",
        "put --follow --meta a=b k f",
        "put --follow --size 3 k f",
        "check fs --for 5s",
        "check --list --for 5s",
        "check --list --jobs 2",
        "check --list --seed 2",
        "check --list --fresh-env A",
        "copy --from a --create k l",
        "verify --older-than 1h",
        "sync dir:artifacts dir:b --follow",
        "sync dir:artifacts ./out --follow",
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let output = run(dir, &arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
    }
}
