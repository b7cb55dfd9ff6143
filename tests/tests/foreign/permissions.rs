//! Permissions, for somebody for whom they count: what may not be looked at is never absent.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use artifact_store_tests::cli;

use super::Scene;

/// The command line as somebody without the rights of an administrator, for whom permissions
/// count. `at` is a directory that everybody can reach.
fn unprivileged(at: &Path) -> impl Fn(&[&str]) -> (Option<i32>, String) {
    let is_root = rustix::process::geteuid().is_root();
    let mut program = PathBuf::from(cli().get_program());
    if is_root {
        let copy = at.join("artifact-store");
        fs::copy(program, &copy).unwrap();
        program = copy;
    }
    let at = at.to_owned();
    move |arguments| {
        let mut command = Command::new(&program);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        command.env_remove("ARTIFACT_STORE_DIR").env("HOME", &at).current_dir(&at);
        command.arg("--dir").arg(at.join("store")).args(arguments);
        let output = loop {
            match command.output() {
                // The copy was still open in a process that another test was just starting.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => continue,
                output => break output.unwrap(),
            }
        };
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_looked_at_is_denied_and_never_absent() {
    let scene = Scene::new();
    scene.store.put("d/k", "inside").unwrap();
    permit(scene.root.parent().unwrap(), 0o777);
    permit(&scene.root, 0o777);
    permit(&scene.root.join("tmp"), 0o777);
    let (dir, file) = (scene.root.join(",d"), scene.root.join(",d/_k"));
    permit(&dir, 0o777);
    permit(&file, 0o644);
    let run = unprivileged(scene.root.parent().unwrap());
    assert_eq!(run(&["get", "d/k"]), (Some(0), "inside".into()));
    let is_denied = |arguments: &[&str]| {
        let (code, text) = run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {text}");
        assert!(text.contains("permission denied"), "{arguments:?}: {text}");
    };
    // The directory.
    permit(&dir, 0o000);
    for arguments in [
        &["get", "d/k"][..],
        &["stat", "d/k"],
        &["delete", "d/k"],
        &["put", "d/k"],
        &["put", "d/k", "--create"],
        &["list"],
        &["verify"],
    ] {
        is_denied(arguments);
    }
    permit(&dir, 0o777);
    assert_eq!(run(&["get", "d/k"]), (Some(0), "inside".into()));

    // The artifact's file.
    permit(&file, 0o000);
    is_denied(&["get", "d/k"]);
    is_denied(&["stat", "d/k"]);
    assert_eq!(run(&["put", "d/k", "--create"]).0, Some(4), "there is something");
    assert_eq!(run(&["list"]), (Some(0), "d/k\nk\n".into()));
    let (code, text) = run(&["verify"]);
    assert!(code == Some(1) && text.contains("permission denied"), "{code:?}: {text}");
    permit(&file, 0o644);

    // A directory that can be read and not changed: the old artifact stays.
    permit(&dir, 0o555);
    is_denied(&["put", "d/k"]);
    is_denied(&["delete", "d/k"]);
    assert_eq!(run(&["get", "d/k"]), (Some(0), "inside".into()));
    assert_eq!(fs::read_dir(scene.root.join("tmp")).unwrap().count(), 0);

    // One in which nobody may replace the file of another user: it is not removed to make room.
    if rustix::process::geteuid().is_root() {
        permit(&dir, 0o1777);
        is_denied(&["put", "d/k"]);
        is_denied(&["delete", "d/k"]);
        assert_eq!(run(&["get", "d/k"]), (Some(0), "inside".into()));
        assert_eq!(fs::read_dir(scene.root.join("tmp")).unwrap().count(), 0);
    }
    permit(&dir, 0o777);
    scene.store.delete("d/k").unwrap();
    scene.serves("permissions");
}

/// A directory whose names can be seen, and nothing behind them.
#[test]
fn a_store_without_the_right_to_enter_it_is_denied_and_never_empty() {
    let scene = Scene::new();
    permit(scene.root.parent().unwrap(), 0o777);
    let run = unprivileged(scene.root.parent().unwrap());
    let is_denied = |mode: u32, arguments: &[&str]| {
        permit(&scene.root, mode);
        let (code, text) = run(arguments);
        permit(&scene.root, 0o755);
        assert_eq!(code, Some(1), "{mode:o}: {arguments:?}: {text}");
        assert!(
            text.to_lowercase().contains("permission denied"),
            "{mode:o}: {arguments:?}: {text}"
        );
    };
    // None of them says "not found", nor that there is nothing.
    for arguments in [
        &["get", "k"][..],
        &["stat", "k"],
        &["get", "absent"],
        &["put", "k", "/dev/null"],
        &["put", "--create", "k", "/dev/null"],
        &["delete", "k"],
        &["list"],
        &["verify"],
    ] {
        for mode in [0o766, 0o744, 0o700] {
            is_denied(mode, arguments);
        }
    }
    // One whose names cannot be read can be read by key.
    permit(&scene.root, 0o711);
    assert_eq!(run(&["get", "k"]), (Some(0), "inside".into()));
    is_denied(0o711, &["list"]);
    is_denied(0o711, &["verify"]);
    scene.serves("permissions");
}

/// Where nobody may remove the files of another user, a sweep says so, and takes its own.
#[test]
fn temporaries_of_another_user_are_left_and_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only an administrator can make files of another user: nothing was tried");
        return;
    }
    let scene = Scene::new();
    permit(scene.root.parent().unwrap(), 0o777);
    let temporaries = scene.root.join("tmp");
    permit(&scene.root, 0o777);
    permit(&temporaries, 0o1777);
    let run = unprivileged(scene.root.parent().unwrap());
    let [theirs, own] = ["a", "b"].map(|name| temporaries.join(name.repeat(32)));
    for file in [&theirs, &own] {
        fs::write(file, "half").unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
        fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    std::os::unix::fs::chown(&own, Some(65_534), Some(65_534)).unwrap();
    let (code, text) = run(&["verify", "--repair"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("permission denied") && text.contains("aaaa"), "{text}");
    assert!(theirs.exists() && !own.exists());
    // It is in nobody's way.
    fs::write(temporaries.parent().unwrap().with_file_name("input"), "new").unwrap();
    let (code, text) = run(&["put", "new", "input"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(run(&["get", "new"]), (Some(0), "new".into()));
    assert_eq!(fs::read_dir(&temporaries).unwrap().count(), 1);
    assert_eq!(run(&["verify"]).0, Some(0));
}

/// A directory that may be changed and not read cannot be synced by itself.
#[test]
fn a_store_is_made_in_a_directory_that_may_not_be_read() {
    let scene = Scene::new();
    let above = scene.root.parent().unwrap();
    fs::rename(&scene.root, above.join("old")).unwrap();
    permit(above, 0o777);
    let run = unprivileged(above);
    fs::write(above.join("input"), "new").unwrap();
    permit(above, 0o733);
    assert_eq!(run(&["put", "k", "input"]), (Some(0), String::new()));
    assert_eq!(run(&["get", "k"]), (Some(0), "new".into()));
    permit(above, 0o777);
}
