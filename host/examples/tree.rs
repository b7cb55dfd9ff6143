//! Stores every file of a real tree, reads all of them back, and compares SHA-256:
//! `cargo run --release --example tree [DIR]`. Without DIR it takes the Rust toolchain that built it:
//! thousands of files, hundreds of megabytes.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ReadOptions, WriteOptions};
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let root = match std::env::args_os().nth(1) {
        Some(dir) => PathBuf::from(dir),
        None => sysroot()?,
    };
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    let dir = tempfile::tempdir()?;
    let store = ArtifactStore::open_dir(dir.path())?;
    println!("{} files below {}", files.len(), root.display());

    let started = Instant::now();
    let mut bytes = 0;
    for file in &files {
        bytes += store.write(&key(&root, file)?, File::open(file)?, WriteOptions::default())?.size;
    }
    report("stored", files.len(), bytes, started);

    let started = Instant::now();
    let mut read = 0;
    for file in &files {
        let mut reader = store.read(&key(&root, file)?, ReadOptions::default())?;
        let mut stored = Sha256::new();
        read += io::copy(&mut reader, &mut Hasher(&mut stored))?;
        let mut original = Sha256::new();
        io::copy(&mut File::open(file)?, &mut Hasher(&mut original))?;
        if stored.finalize() != original.finalize() {
            return Err(format!("`{}` came back different", file.display()).into());
        }
    }
    report("read and compared", files.len(), read, started);

    let started = Instant::now();
    let mut listed = store.list("").collect::<artifact_store::Result<Vec<_>>>()?;
    report("listed", listed.len(), 0, started);
    listed.sort_by(|a, b| a.key.cmp(&b.key));
    listed.dedup_by(|a, b| a.key == b.key);
    if (listed.len(), read) != (files.len(), bytes) {
        return Err(format!("{} artifacts of {read} bytes are there", listed.len()).into());
    }
    Ok(())
}

/// A file's path below the root, with `/` between its parts.
fn key(root: &Path, file: &Path) -> Result<String> {
    let parts: Option<Vec<_>> = file.strip_prefix(root)?.iter().map(|part| part.to_str()).collect();
    Ok(parts.ok_or("a file name is no UTF-8")?.join("/"))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn sysroot() -> Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn report(what: &str, count: usize, bytes: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{what} {count} files, {megabytes:.1} MB in {seconds:.2} s: {:.0} files/s, {:.1} MB/s",
        count as f64 / seconds,
        megabytes / seconds
    );
}

struct Hasher<'a>(&'a mut Sha256);

impl io::Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
