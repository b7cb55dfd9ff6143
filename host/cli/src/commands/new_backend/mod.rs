//! `new-backend`: a backend to start from, made of those in `guest/` of this project.

mod language;
mod rust;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueHint};

use crate::failure::Usage;
use crate::output::Standard;
use crate::shown;
use language::Language;

/// Creates a backend to start from: it builds and passes `check`
///
/// In Rust it has put, get and delete, and with --full everything that the contract has. Those in
/// Python and in JavaScript have put, get and delete, streams and listings; the one in C has put, get
/// and delete.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store new-backend my-backend
  cd my-backend
  cargo build --target wasm32-wasip2 --release
  artifact-store check target/wasm32-wasip2/release/my_backend.wasm
  artifact-store new-backend my-backend --full
  artifact-store new-backend my-backend --language python")]
pub struct Arguments {
    /// The name of the backend: letters, digits, `-` and `_`
    name: String,

    /// The language to write it in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,

    /// Begin with all that the contract has, and not with put, get and delete alone
    #[arg(long)]
    full: bool,

    /// The directory to create [default: a directory of that name]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    path: Option<PathBuf>,
}

/// The files in `template/`, by their paths there.
const TEMPLATES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// Files by their paths in the new directory.
type Files = Vec<(String, Vec<u8>)>;

/// The template's files below `folder`, with their paths there.
fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let inside = format!("{folder}/");
    TEMPLATES.iter().filter_map(move |(path, bytes)| Some((path.strip_prefix(&inside)?, *bytes)))
}

/// One file of the template, as text.
fn text(path: &str) -> String {
    let found = TEMPLATES.iter().find(|(name, _)| *name == path);
    String::from_utf8_lossy(found.map_or(&[], |(_, bytes)| bytes)).into_owned()
}

/// The contract, in this folder.
fn contract(folder: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    below("wit").map(move |(name, bytes)| (format!("{folder}/{name}"), bytes.to_vec()))
}

/// The files of the contract.
pub fn wit() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    below("wit")
}

pub async fn run(Arguments { name, language, full, path }: Arguments) -> Result<()> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(is_name) {
        let text = "cannot be the name of a backend: it must have letters, digits, `-` and `_`, \
                    and begin with a letter";
        return Err(Usage(format!("`{}` {text}", shown::name(&name))).into());
    }
    if full && language == Language::C {
        let text = "there is no such backend in C: it begins with put, get and delete";
        return Err(Usage(text.into()).into());
    }
    let mut out = Standard::open()?;
    let dir = path.unwrap_or_else(|| PathBuf::from(&name));
    let cannot = || format!("cannot create the backend in `{}`", dir.display());
    // Nothing that is there is written over.
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).with_context(cannot)?;
    }
    fs::create_dir(&dir).with_context(cannot)?;
    write(&dir, language.files(&name, full)).with_context(cannot)?;
    let (shown, build, component) = (dir.display(), language.build(), language.component(&name));
    let text = format!(
        "Created a backend in `{shown}`. Next:\n  cd {shown}\n  {build}\n  \
         artifact-store check {component}\n"
    );
    out.text(&text).await?;
    out.finish().await
}

fn write(dir: &Path, files: Files) -> std::io::Result<()> {
    for (path, bytes) in files {
        let file = dir.join(&path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, bytes)?;
        #[cfg(unix)]
        if path.ends_with(".sh") {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}
