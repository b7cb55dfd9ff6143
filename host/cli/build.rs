//! Builds the command component, which `bundle` composes a backend with, and lists the files that
//! `new-backend` and `new-layer` write.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "build/embed.rs"]
mod embed;

fn main() {
    embed::embed("../../guest", "command");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let templates = here.join("template");
    let mut list = String::from("[\n");
    add(&templates, "", &mut list);
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("templates.rs"), list).expect("cargo made this directory");
}

/// Adds the files below `dir`, which the list names with this prefix.
fn add(dir: &Path, prefix: &str, list: &mut String) {
    println!("cargo::rerun-if-changed={}", dir.display());
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("`{}`: {e}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a directory").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
        let name = format!("{prefix}{name}");
        match path.is_dir() {
            true => add(&path, &format!("{name}/"), list),
            false => {
                println!("cargo::rerun-if-changed={}", path.display());
                let _ = writeln!(list, "({name:?}, include_bytes!({path:?})),");
            }
        }
    }
}
