//! What the end-to-end tests share: the backends under test and the real binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use artifact_store::{Backend, Grants};

pub mod bombs;
#[cfg(target_os = "linux")]
pub mod confine;
pub mod contract;
#[cfg(target_os = "linux")]
pub mod fuse;
mod log;
pub mod ports;
pub mod scenes;
pub mod scripted;
pub mod service;
pub mod signature;
#[cfg(unix)]
mod tree;
pub mod weed;

pub use log::{logged, logged_at};
#[cfg(unix)]
pub use tree::tree;

/// The files of all artifacts in a directory of the built-in backend.
pub fn artifact_files(dir: &Path) -> Vec<PathBuf> {
    let (mut files, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(path) = left.pop() {
        match path.is_dir() {
            true if path == dir.join("tmp") => {}
            true => {
                left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()))
            }
            false => files.push(path),
        }
    }
    files
}

/// The file of a backend in `guests/examples`.
pub fn guest(name: &str) -> PathBuf {
    PathBuf::from(env!("TEST_GUESTS")).join(name).with_extension("wasm")
}

/// That backend, granted `dir` as its root.
pub fn guest_on(name: &str, dir: &Path) -> Backend {
    Backend::from_file(guest(name)).grants(Grants::none().read_write(dir, "/"))
}

/// This layer, with a variable, over the built-in backend without the cost of its syncs.
pub fn layer_on(name: &str, variable: Option<(&str, &str)>, dir: &Path) -> Backend {
    let layer = Backend::from_file(guest(name));
    let layer = match variable {
        Some((name, value)) => layer.map_grants(|it| it.env(name, value)),
        None => layer,
    };
    Backend::fs(dir).map_grants(|it| it.env("ARTIFACT_STORE_SYNC", "off")).layer(layer)
}

/// A backend without a toolchain's runtime, whose every artifact is empty, and which does besides
/// what `code` puts in the place of the words of `guests/bare.wat`.
pub fn bare(code: &[(&str, &str)]) -> Backend {
    Backend::from_bytes("bare", bare_component(code))
}

/// The same as a component file.
pub fn bare_component(code: &[(&str, &str)]) -> Vec<u8> {
    wat::parse_str(bare_text(code)).expect("the code fits where it is put")
}

/// The same as text.
pub fn bare_text(code: &[(&str, &str)]) -> String {
    let mut text = include_str!("../guests/bare.wat").to_owned();
    for word in ["REALLOC", "PUT", "GET", "DELETE", "MODULE"] {
        let code = code.iter().find(|(name, _)| *name == word).map_or("", |(_, code)| code);
        // In the comment above the component it stands for itself.
        text = text.replace(&format!("{word} "), code).replace(&format!("{word}\n"), code);
    }
    text
}

/// The stock wasmtime CLI.
pub fn wasmtime_cli() -> Option<PathBuf> {
    program("WASMTIME", "wasmtime")
}

/// A program that others wrote, from the path or named by a variable. A test that gets none passes
/// without it, and says so; in CI that is a failure.
pub fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).filter(|file| !file.is_empty());
    let program = named.unwrap_or_else(|| name.into());
    let found = Command::new(&program).arg("--version").output().is_ok_and(|o| o.status.success());
    let needs = format!("needs `{name}` on the path or named by {variable}");
    assert!(found || std::env::var_os("CI").is_none(), "CI {needs}");
    if !found {
        eprintln!("ignored: this {needs}");
    }
    found.then(|| program.into())
}

/// The command line's binary, built when it is first asked for, so that it is never stale.
pub fn cli() -> Command {
    let mut command = executable(build().join("artifact-store"));
    alone(&mut command);
    #[cfg(target_os = "linux")]
    confine::hear(&mut command);
    command
}

/// Hides from it what the user of this machine has set for the command line.
pub fn alone(command: &mut Command) {
    command.env_remove("ARTIFACT_STORE_DIR").env_remove("ARTIFACT_STORE_CONFIG");
    // A directory of configurations that does not exist.
    let nowhere = build().join("no-configuration");
    command.env("XDG_CONFIG_HOME", &nowhere);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    for file in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env(file, &nowhere);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
}

fn executable(file: PathBuf) -> Command {
    Command::new(file.with_extension(std::env::consts::EXE_EXTENSION))
}

/// Builds it, and returns the directory where it lies.
fn build() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(built)
}

fn built() -> PathBuf {
    // This executable lies in `target/debug/deps`, the binary in `target/debug`.
    let this = std::env::current_exe().expect("a test knows its own file");
    let built = this.ancestors().nth(2).expect("it lies in a target directory");
    let target = built.parent().expect("a profile's directory lies in the target's");
    let profile = match built.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What cargo tells this test about itself is not there in any other build: a build script that
    // looks at it would run again, and all that depends on it be built anew.
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        let is_of_this = shown == "OUT_DIR"
            || ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| shown.starts_with(of));
        if is_of_this {
            build.env_remove(name);
        }
    }
    let status = build
        .args(["build", "--quiet", "--profile", profile])
        // With the features that the tests of the whole workspace have, which an example brings in:
        // all else is built so by now.
        .args(["--workspace", "--bin", "artifact-store", "--example", "server"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the command line does not build");
    built.to_owned()
}

/// Runs the command line in `dir` with `input` on its standard input.
pub fn run(dir: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = cli()
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Runs a line of the shell in `dir`, in which `$A` is the command line.
pub fn shell(dir: &Path, line: &str) -> Output {
    let program = cli();
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("A", program.get_program()).current_dir(dir);
    alone(&mut shell);
    shell.output().expect("there is a shell")
}

/// What a line of the shell writes to a terminal, `$A` being the command line, while `typed` is typed
/// there; none where there is no `script`.
pub fn at_a_terminal(dir: &Path, line: &str, typed: &str) -> Option<String> {
    let mut script = Command::new("script");
    script.args(["-qec", line, "/dev/null"]).env("A", cli().get_program()).current_dir(dir);
    alone(&mut script);
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = script.spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    stdin.write_all(typed.as_bytes()).ok()?;
    // Its end would be that of the terminal.
    let output = child.wait_with_output().ok()?;
    drop(stdin);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What it writes to standard output, or to standard error where it is to end with another
/// `code` than 0.
pub fn expect(dir: &Path, arguments: &[&str], input: &[u8], code: i32) -> String {
    let output = run(dir, arguments, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert_eq!(error.is_empty(), code == 0, "{arguments:?}: {error}");
    String::from_utf8_lossy(if code == 0 { &output.stdout } else { &output.stderr }).into_owned()
}

/// The peak memory in KiB of a command that takes `feed` bytes from a pipe, and is read to its end.
#[cfg(target_os = "linux")]
pub fn peak(command: &mut Command, feed: usize) -> i64 {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let block = vec![7; 64 << 10];
        let mut left = feed;
        while left > 0 {
            let part = left.min(block.len());
            stdin.write_all(&block[..part]).unwrap();
            left -= part;
        }
    });
    // Its high-water mark is looked at all the while, since it goes with the process.
    let status = format!("/proc/{}/status", child.id());
    let mut stdout = child.stdout.take().unwrap();
    let drain =
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|mark| mark.trim().strip_suffix(" kB"));
        peak = peak.max(mark.and_then(|mark| mark.parse().ok()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    feeder.join().unwrap();
    drain.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(peak > 0);
    peak
}

/// Waits for what another thread or process is about to do.
#[track_caller]
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    within(Duration::from_secs(120), what, is_so);
}

/// The same, for at most so long.
#[track_caller]
pub fn within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs `test` with a watch on it: whatever waits for a pipe waits for ever.
pub fn in_time(test: impl FnOnce() + Send + 'static) {
    let (ended, has_ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ended = ended;
        test();
    });
    let waited = has_ended.recv_timeout(Duration::from_secs(240));
    assert_eq!(waited, Err(mpsc::RecvTimeoutError::Disconnected), "it waits for something");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
