//! What `new-backend` and `new-layer` begin with: components in `guest/` of this project, and the
//! contract.

pub mod rust;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Usage;
use crate::output::Standard;
use crate::shown;

/// The files in `template/`, by their paths there.
const TEMPLATES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// Files by their paths in the new directory.
pub type Files = Vec<(String, Vec<u8>)>;

/// The template's files below `folder`, with their paths there.
pub fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let inside = format!("{folder}/");
    TEMPLATES.iter().filter_map(move |(path, bytes)| Some((path.strip_prefix(&inside)?, *bytes)))
}

/// One file of the template, as text.
pub fn text(path: &str) -> String {
    let found = TEMPLATES.iter().find(|(name, _)| *name == path);
    String::from_utf8_lossy(found.map_or(&[], |(_, bytes)| bytes)).into_owned()
}

/// The same with these words replaced, also where a value has one of the others in it.
pub fn filled(path: &str, values: &[(&str, &str)]) -> String {
    let (whole, mut filled) = (text(path), String::new());
    let mut rest = &*whole;
    let next = |rest: &str| {
        let found = values.iter().filter_map(|(word, value)| Some((rest.find(word)?, word, value)));
        found.min_by_key(|(at, ..)| *at)
    };
    while let Some((at, word, value)) = next(rest) {
        filled.push_str(&rest[..at]);
        filled.push_str(value);
        rest = &rest[at + word.len()..];
    }
    filled + rest
}

/// The contract, in this folder.
pub fn contract(folder: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    wit().map(move |(name, bytes)| (format!("{folder}/{name}"), bytes.to_vec()))
}

/// The files of the contract.
pub fn wit() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    below("wit")
}

/// What every directory has that `new-backend` or `new-layer` creates.
pub fn common(readme: String) -> Files {
    let ignored = (".gitignore".into(), b"/target\n".to_vec());
    vec![ignored, ("README.md".into(), readme.into_bytes())]
}

/// A component to start from.
pub struct New<'a> {
    /// What it is: `backend` or `layer`.
    pub kind: &'a str,
    pub name: &'a str,
    /// The line that builds it, in its directory.
    pub build: &'a str,
    /// The line that checks it then.
    pub check: &'a str,
}

/// Fails if this cannot be the name of a component.
pub fn check_name(kind: &str, name: &str) -> Result<(), Usage> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_name) {
        return Ok(());
    }
    let text = "it must have letters, digits, `-` and `_`, and begin with a letter";
    Err(Usage(format!("`{}` cannot be the name of a {kind}: {text}", shown::name(name))))
}

/// Creates the directory with these files, and says what comes next.
pub async fn create(new: New<'_>, dir: Option<PathBuf>, files: Files) -> Result<()> {
    let New { kind, name, build, check } = new;
    let mut out = Standard::open()?;
    let dir = dir.unwrap_or_else(|| PathBuf::from(name));
    let cannot = || format!("cannot create the {kind} in `{}`", dir.display());
    // Nothing that is there is written over.
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).with_context(cannot)?;
    }
    fs::create_dir(&dir).with_context(cannot)?;
    write(&dir, files).with_context(cannot)?;
    let shown = dir.display();
    let text =
        format!("Created a {kind} in `{shown}`. Next:\n  cd {shown}\n  {build}\n  {check}\n");
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
