//! Measures the artifact store beside what a user would pick instead, in one run, in the same
//! directory, with the same data:
//!
//!     cargo bench --bench peers                  some 20 minutes
//!     cargo bench --bench peers -- --quick       at most two
//!     cargo bench --bench peers -- --only get    one operation; also `--size 1024`,
//!                                                `--subject native`
//!     cargo bench --bench peers -- --list 1000000 --only list
//!     cargo bench --bench peers -- --table       puts the results into docs/benchmarks.md
//!     cargo bench --bench peers -- --servers     S3 servers instead, with one client program
//!     cargo bench --bench peers -- --layers FILE   layers instead: FILE passes all calls on
//!
//! The rounds of all subjects are interleaved, so that what else the machine does hits all of
//! them. The results lie in `target/peers.json`, one JSON object on each line.

#[cfg(feature = "peers")]
mod cases;
#[cfg(feature = "peers")]
mod layers;
#[cfg(feature = "peers")]
mod run;
#[cfg(feature = "peers")]
mod servers;
#[cfg(feature = "peers")]
mod subjects;
#[cfg(feature = "peers")]
mod swap;
#[cfg(feature = "peers")]
mod table;
#[cfg(feature = "peers")]
use std::io::Write;

#[cfg(feature = "peers")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    // The executable lies in `target/release/deps`.
    let this = std::env::current_exe().expect("a benchmark knows its own file");
    let target = this.ancestors().nth(3).expect("it lies in a target directory");
    let results = target.join("peers.json");
    if has("--table") {
        return table::write(&results);
    }
    if has("--servers") {
        return servers::all(has("--quick"), target);
    }
    if let Some(layer) = value("--layers") {
        return layers::all(has("--quick"), target, layer.as_ref());
    }
    let number = |name: &str| value(name).map(|number| number.parse().expect("a number"));
    let only = value("--only");
    let cases = cases::all(has("--quick"), number("--list"), only.as_deref(), number("--size"));
    let mut file = std::fs::File::create(&results).expect("the results can be written");
    let subject = value("--subject");
    run::all(&cases, has("--quick"), subject.as_deref(), target, &mut file);
    if only.is_none_or(|only| only == swap::OP) && subject.is_none() {
        for line in swap::all(has("--quick"), target) {
            writeln!(file, "{line}").expect("the results can be written");
        }
    }
    eprintln!("the results are in {}", results.display());
}

/// Without the peers this only starts itself again with them: in a build of everything else they
/// would cost minutes, and change the features of what is shared.
#[cfg(not(feature = "peers"))]
fn main() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["bench", "--bench", "peers", "--features", "artifact-store-benches/peers", "--"])
        .args(std::env::args_os().skip(1).filter(|argument| argument != "--bench"))
        .status()
        .expect("cargo runs");
    std::process::exit(status.code().unwrap_or(1));
}
