//! Stores N small artifacts, and tells what each operation costs in that store and, in turns with
//! it, in one of 10 000: `cargo run --release --example soak [N [DIR]]`, 10 000 without N. Without
//! DIR everything goes into a temporary directory; in DIR a run finds what an earlier one stored.
//! With `ARTIFACT_STORE_SYNC=off` in the environment nothing is synced.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The size of the store to compare with.
const BASE: u64 = 10_000;

/// How many artifacts are put, read, replaced and deleted in each round.
const SAMPLE: u64 = 2_000;

/// How often each store is measured; the median counts.
const ROUNDS: u64 = 3;

/// Bytes of each payload.
const PAYLOAD: usize = 100;

const OPERATIONS: [&str; 7] = ["put", "replace", "get", "stat", "delete", "list", "list a prefix"];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let count = match arguments.next() {
        Some(count) => count.to_str().ok_or("N is a number")?.parse()?,
        None => BASE,
    };
    let temporary = tempfile::tempdir()?;
    let dir = arguments.next().map_or(temporary.path().to_owned(), PathBuf::from);
    let stores = [Filled::new(&dir.join("base"), BASE)?, Filled::new(&dir.join("store"), count)?];
    println!("memory after the puts: {} KiB at most", peak_memory()?);

    let mut costs = [const { Vec::new() }; 2];
    for round in 0..ROUNDS {
        for (filled, costs) in stores.iter().zip(&mut costs) {
            costs.push(filled.measure(round)?);
        }
    }
    println!("memory after everything: {} KiB at most\n", peak_memory()?);
    println!("| microseconds | of {BASE} | of {count} | ratio |\n|---|---|---|---|");
    for (at, operation) in OPERATIONS.iter().enumerate() {
        let [base, large] = costs.each_ref().map(|costs| median(costs.iter().map(|c| c[at])));
        println!("| {operation} | {base:.1} | {large:.1} | {:.2} |", large / base);
    }
    println!("\n{}", Layout::of(&dir.join("store"))?);
    Ok(())
}

/// A store with this many artifacts.
struct Filled {
    store: ArtifactStore,
    size: u64,
}

impl Filled {
    fn new(dir: &Path, size: u64) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let mut grants = Grants::none().read_write(dir, "/");
        if let Ok(sync) = std::env::var("ARTIFACT_STORE_SYNC") {
            grants = grants.env("ARTIFACT_STORE_SYNC", sync);
        }
        let store = ArtifactStore::open(Backend::fs(dir).grants(grants))?;
        if store.stat(&key(size - 1)).is_err() {
            let micros = each(0..size, |n| put(&store, n))?;
            println!(
                "{size} put in {:.1} s: {:.0} a second",
                micros * size as f64 / 1e6,
                1e6 / micros
            );
        }
        Ok(Self { store, size })
    }

    /// What one call costs here, in microseconds; a listing, for each artifact that it lists.
    fn measure(&self, round: u64) -> Result<[f64; 7]> {
        let Self { store, size } = self;
        let new = || *size..size + SAMPLE;
        let picked = || (0..SAMPLE).map(|n| random(round * SAMPLE + n) % size);
        let put = each(new(), |n| self::put(store, n))?;
        let delete = each(new(), |n| Ok(store.delete(&key(n))?))?;
        let replace = each(picked(), |n| self::put(store, n))?;
        let get = each(picked(), |n| match store.get(&key(n))? == payload(n) {
            true => Ok(()),
            false => Err(format!("`{}` has the bytes of another artifact", key(n)).into()),
        })?;
        let stat = each(picked(), |n| {
            store.stat(&key(n))?;
            Ok(())
        })?;
        let list = self.list("", *size)?;
        // One artifact of a hundred.
        let prefix = self.list("soak/00/", size.div_ceil(100))?;
        Ok([put, replace, get, stat, delete, list, prefix])
    }

    fn list(&self, prefix: &str, expected: u64) -> Result<f64> {
        let started = Instant::now();
        let mut listed = 0;
        for entry in self.store.list(prefix) {
            entry?;
            listed += 1;
        }
        if listed != expected {
            return Err(format!("{listed} artifacts were listed, {expected} are there").into());
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / expected as f64)
    }
}

fn put(store: &ArtifactStore, n: u64) -> Result<()> {
    store.put(&key(n), payload(n))?;
    Ok(())
}

/// What one call costs, in microseconds.
fn each(numbers: impl Iterator<Item = u64>, call: impl Fn(u64) -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    let mut calls = 0_u32;
    for n in numbers {
        call(n)?;
        calls += 1;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls.max(1)))
}

fn median(costs: impl Iterator<Item = f64>) -> f64 {
    let mut costs: Vec<_> = costs.collect();
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

fn key(n: u64) -> String {
    format!("soak/{:02}/artifact-{n}", n % 100)
}

fn payload(n: u64) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(PAYLOAD, n as u8);
    bytes
}

/// The same numbers in each run, in no order.
fn random(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// The most memory that this process has had, in KiB; 0 where the system does not tell.
fn peak_memory() -> Result<u64> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return Ok(0) };
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(mark.unwrap_or("0 kB").trim().trim_end_matches(" kB").parse()?)
}

/// What lies in the directory when all is stored.
#[derive(Default)]
struct Layout {
    directories: u64,
    files: u64,
    most_in_one: u64,
    bytes: u64,
    on_disk: u64,
}

impl Layout {
    fn of(dir: &Path) -> Result<Self> {
        let mut layout = Self::default();
        let mut left = vec![dir.to_owned()];
        while let Some(path) = left.pop() {
            layout.directories += 1;
            layout.on_disk += on_disk(&fs::metadata(&path)?);
            let mut here = 0;
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    left.push(entry.path());
                    continue;
                }
                here += 1;
                layout.bytes += metadata.len();
                layout.on_disk += on_disk(&metadata);
            }
            layout.files += here;
            layout.most_in_one = layout.most_in_one.max(here);
        }
        Ok(layout)
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { directories, files, most_in_one, bytes, on_disk } = self;
        let payload = files * PAYLOAD as u64;
        writeln!(f, "{files} files in {directories} directories, at most {most_in_one} in one")?;
        write!(f, "{payload} bytes of payload in files of {bytes} bytes, {on_disk} on the disk")
    }
}

#[cfg(unix)]
fn on_disk(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn on_disk(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
