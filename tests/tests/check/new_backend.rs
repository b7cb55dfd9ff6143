//! What an author begins with, through the real binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use artifact_store_tests::{cli, expect};

/// Where this repository lies.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The component of a backend or layer in Rust that was created in `dir`.
pub fn built(dir: &Path) -> String {
    // The versions of this repository, which are on this machine already.
    std::fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("new-backend");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--target", "wasm32-wasip2", "--release"])
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let name = dir.file_name().unwrap().to_str().unwrap().replace('-', "_");
    target.join(format!("wasm32-wasip2/release/{name}.wasm")).display().to_string()
}

#[test]
fn one_in_rust_builds_and_keeps_every_rule_also_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let text = expect(dir.path(), &["new-backend", "my-backend"], b"", 0);
    assert!(text.contains("my_backend.wasm"), "{text}");
    expect(dir.path(), &["new-backend", "my-backend"], b"", 1);
    expect(dir.path(), &["new-backend", "../x"], b"", 2);
    let file = built(&dir.path().join("my-backend"));
    let text = expect(dir.path(), &["check", &file, "--crash"], b"", 0);
    assert!(text.contains("keeps every rule") && text.contains(" 0 advice, "), "{text}");
    let text = expect(dir.path(), &["inspect", &file], b"", 0);
    assert!(text.contains("language   Rust\n"), "{text}");
}

#[test]
fn a_full_one_in_rust_offers_all_but_copies() {
    let dir = tempfile::tempdir().unwrap();
    expect(dir.path(), &["new-backend", "my-full-backend", "--full"], b"", 0);
    let file = built(&dir.path().join("my-full-backend"));
    // The sources are those of `fs`, whose crashes have a test of their own.
    let text = expect(dir.path(), &["check", &file], b"", 0);
    assert!(text.contains("keeps every rule"), "{text}");
    assert!(text.contains(" 0 failed, 0 advice, 13 not offered"), "{text}");
}

/// The others are those of this repository, word for word. `languages.rs` builds them.
#[test]
fn one_in_another_language_is_that_of_this_repository() {
    let dir = tempfile::tempdir().unwrap();
    for (language, wit) in [
        ("python", "wit"),
        ("javascript", "wit/deps/artifact-storage"),
        ("c", "wit/deps/artifact-storage"),
    ] {
        let text = expect(dir.path(), &["new-backend", language, "--language", language], b"", 0);
        let component = format!("target/{language}.wasm");
        assert!(text.contains("./build.sh\n") && text.contains(&component), "{text}");
        let made = dir.path().join(language);
        for entry in std::fs::read_dir(root().join("guest").join(language)).unwrap() {
            let (from, name) = {
                let entry = entry.unwrap();
                (entry.path(), entry.file_name())
            };
            if from.is_dir() || name == "README.md" {
                continue;
            }
            let (expected, seen) = (std::fs::read(&from).unwrap(), std::fs::read(made.join(&name)));
            match from.extension().is_some_and(|ending| ending == "sh") {
                // It reaches for nothing outside of its directory.
                true => {
                    let script = String::from_utf8(seen.unwrap()).unwrap();
                    assert!(!script.contains("../"), "{script}");
                }
                false => assert_eq!(seen.unwrap(), expected, "{from:?}"),
            }
        }
        let contract = std::fs::read(made.join(wit).join("streams.wit")).unwrap();
        assert_eq!(contract, std::fs::read(root().join("wit/streams.wit")).unwrap());
        let readme = std::fs::read_to_string(made.join("README.md")).unwrap();
        assert!(readme.contains(&format!("artifact-store check {component}\n")), "{readme}");
    }
    let error = expect(dir.path(), &["new-backend", "x", "--language", "c", "--full"], b"", 2);
    assert!(error.contains("no such backend in C"), "{error}");
    assert!(!dir.path().join("x").exists());
}

#[test]
fn the_contract_can_be_extracted() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        expect(dir.path(), &["extract", "wit", "-o", "a/wit"], b"", 0);
        for entry in std::fs::read_dir(root().join("wit")).unwrap() {
            let entry = entry.unwrap();
            let seen = std::fs::read(dir.path().join("a/wit").join(entry.file_name())).unwrap();
            assert_eq!(seen, std::fs::read(entry.path()).unwrap());
        }
    }
    let status = cli().args(["extract", "wit", "-o", "-"]).current_dir(dir.path()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}
