//! The user's own configuration, which needs no option.

use std::path::Path;
use std::process::{Command, Output};

use artifact_store_tests::cli;

/// A home with a configuration of two stores, each with an artifact that is its name.
fn home(first_line: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/artifact-store");
    std::fs::create_dir_all(&folder).unwrap();
    let mut text = format!("{first_line}\n");
    for name in ["work", "archive"] {
        let dir = home.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        text += &format!(
            "[stores.{name}]\nbackend = 'fs'\ndirectories = [{{ host = '{}' }}]\n",
            dir.display()
        );
        let put =
            at(home.path()).args(["--dir"]).arg(&dir).args(["put", name, "/dev/null"]).output();
        assert!(put.unwrap().status.success());
    }
    std::fs::write(folder.join("stores.toml"), text).unwrap();
    home
}

fn at(home: &Path) -> Command {
    let mut command = cli();
    command.env_remove("XDG_CONFIG_HOME").env("HOME", home).current_dir(home);
    command
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_own_configuration_is_used_where_nothing_else_names_a_store() {
    let home = home("default-store = 'work'");
    let home = home.path();
    std::fs::create_dir(home.join("elsewhere")).unwrap();
    let own = home.join(".config/artifact-store/stores.toml");
    let run = |arguments: &[&str]| said(&at(home).args(arguments).output().unwrap());
    assert_eq!(run(&["list"]).1, "work\n");
    assert_eq!(run(&["list", "--store", "archive"]).1, "archive\n");
    assert_eq!(run(&["config", "path"]).1, format!("{}\n", own.display()));
    let (code, text, error) = run(&["config", "check"]);
    assert!(code == Some(0) && text.contains(&own.display().to_string()), "{text}{error}");
    let (code, text, _) = run(&["copy", "--from", "work", "--to", "archive"]);
    assert!(code == Some(0) && text.starts_with("1 artifact copied"), "{text}");
    // Each of these counts more.
    assert_eq!(run(&["--dir", "elsewhere", "list"]).1, "");
    let mut by_variable = at(home);
    by_variable.env("ARTIFACT_STORE_DIR", "elsewhere");
    assert_eq!(said(&by_variable.arg("list").output().unwrap()).1, "");
    // A name is one of a configuration, whatever the directory is.
    let mut by_variable = at(home);
    by_variable.env("ARTIFACT_STORE_DIR", "elsewhere").args(["list", "--store", "work"]);
    assert_eq!(said(&by_variable.output().unwrap()).1, "work\n");
    let (code, _, error) = run(&["--config", "absent.toml", "list"]);
    assert!(code == Some(1) && error.contains("absent.toml"), "{error}");
    let (code, _, error) = run(&["--dir", "elsewhere", "--store", "work", "list"]);
    assert!(code == Some(2) && error.contains("--store"), "{error}");
    // The other place of it.
    let mut moved = at(home);
    moved.env("XDG_CONFIG_HOME", home.join("none")).args(["config", "path"]);
    let (code, text, error) = said(&moved.output().unwrap());
    let would = home.join("none/artifact-store/stores.toml");
    assert!(code == Some(3) && text.is_empty(), "{text}");
    assert!(error.contains(&would.display().to_string()), "{error}");
}

#[test]
fn several_stores_without_a_default_are_named_in_the_order_of_the_file() {
    let home = home("");
    let (code, _, error) = said(&at(home.path()).arg("list").output().unwrap());
    assert!(code == Some(2) && error.contains("`work`, `archive`"), "{error}");
    assert!(error.contains("default-store"), "{error}");
}

#[test]
fn a_default_store_has_to_be_one_of_the_file() {
    let home = home("default-store = 'wrok'");
    let (code, _, error) = said(&at(home.path()).arg("list").output().unwrap());
    assert!(code == Some(1) && error.contains("stores.toml:1: `default-store`"), "{error}");
}
