//! Builds WebAssembly components from a build script.

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Builds a package of this workspace for `wasm32-wasip2` and returns the folder of its
/// components. `selection` says what of the package: `--lib`, `--examples`.
///
/// All components share one target directory, so that the macros that generate their bindings are
/// built once. It is a folder of its own below the outer one, which the cargo that runs this script
/// has locked. A package that is built twice with different features needs [`build_apart`].
pub fn build(manifest: &Path, selection: &[&str]) -> PathBuf {
    // `OUT_DIR` is `target/PROFILE/build/PACKAGE/out`.
    let target = out_dir().ancestors().nth(4).expect("it lies in a target directory").to_owned();
    build_into(&target.join("components"), manifest, selection)
}

/// As [`build`], in a target directory that no other build uses.
#[allow(dead_code, reason = "each build script uses one of the two")]
pub fn build_apart(manifest: &Path, selection: &[&str]) -> PathBuf {
    build_into(&out_dir().join("target"), manifest, selection)
}

fn out_dir() -> PathBuf {
    std::env::var_os("OUT_DIR").expect("set by cargo").into()
}

fn build_into(target_dir: &Path, manifest: &Path, selection: &[&str]) -> PathBuf {
    ensure_target();
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--target", TARGET, "--profile", "component"]).args(selection);
    cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target_dir);
    let status = cargo.status().unwrap_or_else(|e| panic!("cannot run cargo: {e}"));
    assert!(status.success(), "the component `{}` does not build", manifest.display());
    target_dir.join(TARGET).join("component")
}

/// Cargo as the outer build runs it, without what that build set for itself: its flags are
/// for the native target, and under clippy its compiler is a linter.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").expect("set by cargo"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_outer =
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
                .contains(&&*text)
                || [
                    "CARGO_BUILD_",
                    "CARGO_PROFILE_",
                    "CARGO_TARGET_",
                    "CARGO_FEATURE_",
                    "CARGO_CFG_",
                ]
                .iter()
                .any(|prefix| text.starts_with(prefix));
        if is_outer {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// `rust-toolchain.toml` names the target, and rustup installs it by itself unless it is told
/// not to; then it is asked to here, so that a fresh clone builds with no further command.
fn ensure_target() {
    let rustc = std::env::var_os("RUSTC").expect("set by cargo");
    let installed = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir());
    if installed {
        return;
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    assert!(
        added.is_ok_and(|status| status.success()),
        "the Rust target {TARGET} is missing; install it with `rustup target add {TARGET}`"
    );
}
