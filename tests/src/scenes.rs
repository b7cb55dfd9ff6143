//! Tests that each need a process of their own: the executable of the tests runs itself once more, for
//! one scene.

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

/// Names the scene that a process was started for, and the directory that is removed after it.
const SCENE: &str = "ARTIFACT_STORE_TEST_SCENE";
const DIR: &str = "ARTIFACT_STORE_TEST_DIR";

/// The scene that this process was started for, and its directory; none in the one that runs the tests.
pub fn asked() -> Option<(String, PathBuf)> {
    let scene = std::env::var(SCENE).ok()?;
    Some((scene, std::env::var_os(DIR).expect("the parent sets it").into()))
}

/// What is to be done in the scene of this name.
pub fn find<S>(scenes: impl IntoIterator<Item = (&'static str, S)>, name: &str) -> Option<S> {
    scenes.into_iter().find_map(|(of, scene)| (of == name).then_some(scene))
}

/// This executable once more.
pub fn again() -> Command {
    Command::new(std::env::current_exe().expect("this executable has a path"))
}

/// The same in a namespace, which takes its mounts with it when it ends.
pub fn in_namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg("-rm").arg(again().get_program());
    command
}

/// Whether a namespace may have a tmpfs mounted.
pub fn can_mount_tmpfs() -> bool {
    let Ok(dir) = tempfile::tempdir() else { return false };
    let mount = ["-rm", "mount", "-t", "tmpfs", "none"];
    let tried = Command::new("unshare").args(mount).arg(dir.path()).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Runs `command` for one scene. What it says is told where it fails.
pub fn run(mut command: Command, scene: &str) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let output = command.env(SCENE, scene).env(DIR, dir.path()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// Runs all scenes that are possible here, each by `command`. It does not return.
pub fn run_all(
    names: impl IntoIterator<Item = &'static str>,
    is_possible: impl Fn(&str) -> bool,
    command: fn() -> Command,
) -> ! {
    let trials = names.into_iter().map(|name| {
        let trial = Trial::test(name, move || run(command(), name));
        trial.with_ignored_flag(!is_possible(name))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit()
}

/// Where there are no such scenes: one trial that is ignored.
pub fn needs_linux() -> ! {
    run_all(["needs_linux"], |_| false, again)
}
