//! Turns the results into the tables of `docs/benchmarks.md`, between its two marks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
const BEGIN: &str = "<!-- made by `cargo bench --bench peers -- --table` -->\n";
const END: &str = "<!-- end of what is made -->\n";

const SUBJECTS: [&str; 7] = [
    "artifact-store-blocking",
    "artifact-store-async",
    "std",
    "native",
    "object_store",
    "opendal",
    "cacache",
];

pub fn write(results: &Path) {
    let lines = std::fs::read_to_string(results).expect("run the benchmark first");
    let page = std::fs::read_to_string(PAGE).expect("docs/benchmarks.md is there");
    let (before, rest) = page.split_once(BEGIN).expect("the page has its first mark");
    let (_, after) = rest.split_once(END).expect("the page has its second mark");
    let made = format!("{before}{BEGIN}\n{}{}{END}{after}", machine(), tables(&lines));
    std::fs::write(PAGE, made).expect("docs/benchmarks.md can be written");
}

/// Rows in the order of the results, one cell for each subject that has one.
fn tables(lines: &str) -> String {
    let mut rows: Vec<(String, String, BTreeMap<String, String>)> = Vec::new();
    for line in lines.lines() {
        let value: Value = serde_json::from_str(line).expect("one object a line");
        let (op, number) = (value["op"].as_str().unwrap_or(""), |name: &str| value[name].as_f64());
        let size = value["size"].as_u64().unwrap_or(0);
        let size = match (op, size) {
            ("list", count) => format!("{count} artifacts"),
            ("list-level", count) => format!("a folder of 100, of {count} artifacts"),
            ("list-after", count) => format!("the last 11 of {count} artifacts"),
            ("list-page", count) => format!("a page of 100, of {count} artifacts"),
            ("range", _) => "4 KiB of 64 MiB".into(),
            (_, size) if size >= 1 << 20 => format!("{} MiB", size >> 20),
            (_, size) => format!("{} KiB", size >> 10),
        };
        let size = match op {
            "get-64" | "s3-get-64" => format!("64 of {size}"),
            _ => size,
        };
        let mode = match (op, value["durable"].as_bool()) {
            ("put" | "write" | "delete" | "copy", Some(true)) => ", durable",
            ("put" | "write" | "delete" | "copy", _) => ", relaxed",
            _ => "",
        };
        let mode = match value["swapped"].as_bool() {
            Some(true) => ", in the second of a swap",
            Some(false) => ", in a second without",
            None => mode,
        };
        let row = format!("{size}{mode}, {} at once", value["threads"]);
        let (median, p99) = (number("median_us").unwrap_or(0.0), number("p99_us").unwrap_or(0.0));
        let cell = format!("{} ({})", time(median), time(p99));
        let subject = value["subject"].as_str().unwrap_or("").to_owned();
        match rows.last_mut() {
            Some((last, name, cells)) if last == op && *name == row => {
                cells.insert(subject, cell);
            }
            _ => rows.push((op.into(), row, BTreeMap::from([(subject, cell)]))),
        }
    }
    let mut text = String::new();
    for rows in rows.chunk_by(|(one, ..), (other, ..)| one == other) {
        let has = |name: &&str| rows.iter().any(|(.., cells)| cells.contains_key(*name));
        let subjects: Vec<_> = SUBJECTS.into_iter().filter(has).collect();
        let _ = writeln!(text, "\n### {}\n\n| | {} |", rows[0].0, subjects.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(subjects.len()));
        for (_, row, cells) in rows {
            let cells = subjects.iter().map(|name| cells.get(*name).map_or("", String::as_str));
            let _ = writeln!(text, "| {row} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    text + "\n"
}

pub fn time(us: f64) -> String {
    match us {
        ..1.0 => format!("{:.0} ns", us * 1000.0),
        ..100.0 => format!("{us:.1} µs"),
        ..10_000.0 => format!("{us:.0} µs"),
        _ => format!("{:.1} ms", us / 1000.0),
    }
}

/// What ratios depend on: the least time of a system call, of opening and closing a file, of waking a
/// thread, and the median of a sync.
fn costs() -> [Duration; 4] {
    let least = |count: u32, work: &mut dyn FnMut()| {
        let rounds = (0..20).map(|_| {
            let begun = Instant::now();
            (0..count).for_each(|_| work());
            begun.elapsed() / count
        });
        rounds.min().unwrap_or_default()
    };
    let call = least(10_000, &mut || {
        std::hint::black_box(rustix::process::getppid());
    });
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut file = tempfile::tempfile_in(dir).expect("a file");
    let open =
        least(1000, &mut || drop(std::fs::File::open(LOCK).expect("the lock file is there")));
    let (there, woken) = std::sync::mpsc::sync_channel::<()>(0);
    let (back, answered) = std::sync::mpsc::sync_channel(0);
    let other = std::thread::spawn(move || woken.iter().try_for_each(|()| back.send(())));
    let both = least(200, &mut || {
        there.send(()).expect("the thread is there");
        answered.recv().expect("the thread is there");
    });
    drop(there);
    let _ = other.join();
    let mut syncs: Vec<_> = (0..50)
        .map(|_| {
            file.write_all(&[1; 4096]).expect("room for a page");
            let begun = Instant::now();
            file.sync_data().expect("a sync");
            begun.elapsed()
        })
        .collect();
    syncs.sort_unstable();
    [call, open, both / 2, syncs[syncs.len() / 2]]
}

pub fn machine() -> String {
    let output = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program).args(arguments).output().ok();
        let text = ran.and_then(|ran| String::from_utf8(ran.stdout).ok()).unwrap_or_default();
        text.trim().to_owned()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let lock = std::fs::read_to_string(LOCK).unwrap_or_default();
    let version = |name: &str| {
        let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
        entry.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("?").to_owned()
    };
    let versions = ["wasmtime", "object_store", "opendal", "cacache"]
        .map(|name| format!("{name} {}", version(name)))
        .join(", ");
    let [call, open, wake, sync] = costs().map(|cost| time(cost.as_nanos() as f64 / 1000.0));
    format!(
        "Machine: {}, {cores} cores, {}, directory on {}. A system call takes {call}, to open and close a \
         file {open}, to wake a thread {wake}, to sync 4 KiB {sync}. {versions}, {}. Commit {}.\n",
        model.map_or("unknown", |(_, name)| name),
        output("uname", &["-sr"]),
        output("stat", &["-f", "-c", "%T", concat!(env!("CARGO_MANIFEST_DIR"), "/..")]),
        output("rustc", &["--version"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
    )
}
