//! The artifact store as a program for any WASI 0.3 host: `put`, `get`, `delete`, `list` and `stat`
//! on standard input and output, through the backend that it is composed with.
#![cfg(target_family = "wasm")]

mod arguments;
mod bindings;
mod transfer;

use std::time::{Duration, UNIX_EPOCH};

use arguments::{Arguments, Verb};
use bindings::artifact::storage::types::{Attribute, Error, Info, Instant};
use bindings::artifact::storage::{artifact_store, inventory};
use wasip3::cli::exit::exit_with_code;
use wasip3::cli::{environment, stderr, stdout};
use wit_bindgen::StreamReader;

struct Command;

wasip3::cli::command::export!(Command);

/// The end of the command: the text for standard error, and the exit code.
struct Failure(String, u8);

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const CORRUPT: u8 = 5;

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        // The first one is the name of the program.
        let arguments = environment::get_arguments().into_iter().skip(1);
        let outcome = match Arguments::parse(arguments) {
            Ok(arguments) => run(arguments).await,
            Err(text) => Err(Failure(text, USAGE)),
        };
        let Err(Failure(text, code)) = outcome else { return Ok(()) };
        let text = format!("artifact-store: {}\n", printable(&text));
        let _ = write_text(text, stderr::write_via_stream).await;
        exit_with_code(code);
        Err(())
    }
}

async fn run(Arguments { verb, key }: Arguments) -> Result<(), Failure> {
    let failed = |verb, place| {
        let key = key.clone();
        move |error| failure(verb, place, &key, error)
    };
    match verb {
        Verb::Put { create, size } => transfer::put(&key, create, size).await,
        Verb::Get { offset, length } => transfer::get(&key, offset, length).await,
        Verb::Delete => artifact_store::delete(key.clone()).await.map_err(failed("delete", "from")),
        Verb::Stat => {
            let info = inventory::stat(key.clone()).await.map_err(failed("stat", "in"))?;
            print(stat(&key, &info)).await
        }
        Verb::List => {
            let mut cursor = None;
            loop {
                let page = inventory::list_artifacts(key.clone(), cursor, 0).await;
                let page = page.map_err(failed("list", "in"))?;
                let lines = page.entries.into_iter().map(|entry| entry.key + "\n");
                print(lines.collect()).await?;
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => return Ok(()),
                }
            }
        }
    }
}

fn stat(key: &str, info: &Info) -> String {
    let checksum = match info.checksum {
        Some(checksum) => format!("{checksum:016x} (CRC-64/NVME)"),
        None => "unknown".into(),
    };
    let modified = info.modified.and_then(rfc3339).unwrap_or_else(|| "unknown".into());
    let version = info.version.as_deref().unwrap_or("unknown");
    let size = info.size;
    let mut lines = format!(
        "key       {key}\nsize      {size} bytes\nchecksum  {checksum}\nmodified  {modified}\n\
         version   {version}\n"
    );
    let mut attributes: Vec<_> = info.attributes.iter().collect();
    attributes.sort_by_key(|attribute| &*attribute.name);
    for Attribute { name, value } in attributes {
        lines.push_str(&format!("{name}: {value}\n"));
    }
    lines
}

/// `None` outside the years 1970 to 9999, where the format ends.
fn rfc3339(time: Instant) -> Option<String> {
    const YEAR_10000: u64 = 253_402_300_800;
    let seconds = u64::try_from(time.seconds).ok().filter(|seconds| *seconds < YEAR_10000)?;
    let nanoseconds = Some(time.nanoseconds).filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    let time = UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?;
    Some(humantime::format_rfc3339(time).to_string())
}

/// The message and exit code of an error of the backend.
fn failure(verb: &str, place: &str, key: &str, error: Error) -> Failure {
    let (text, code) = match error {
        Error::NotFound => ("not found".into(), 3),
        Error::AlreadyExists => ("the key already has an artifact".into(), 4),
        Error::InvalidKey(why) => (format!("invalid key: {why}"), FAILURE),
        Error::InvalidRange => ("the offset is beyond the end of the artifact".into(), FAILURE),
        Error::TooLarge(limit) => (format!("too large: the limit is {limit} bytes"), FAILURE),
        Error::AccessDenied(why) => (format!("access denied: {why}"), FAILURE),
        Error::NoSpace(why) => (format!("no space: {why}"), FAILURE),
        Error::Corrupt(why) => (format!("corrupt: {why}"), CORRUPT),
        Error::Unavailable(why) => (format!("unavailable: {why}"), 6),
        Error::Unsupported(why) => (format!("unsupported: {why}"), FAILURE),
        Error::ConditionFailed => ("another version is stored".into(), FAILURE),
        Error::Other(why) => (why, FAILURE),
    };
    Failure(format!("cannot {verb} `{}` {place} the backend: {text}", key.escape_debug()), code)
}

async fn print(text: String) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    let written = write_text(text, stdout::write_via_stream).await;
    written.map_err(|()| Failure("cannot write standard output".into(), FAILURE))
}

async fn write_text<F>(text: String, to: impl FnOnce(StreamReader<u8>) -> F) -> Result<(), ()>
where
    F: IntoFuture<Output = Result<(), wasip3::cli::types::ErrorCode>>,
{
    let (mut writer, reader) = wasip3::wit_stream::new();
    let write = async {
        let rest = writer.write_all(text.into_bytes()).await;
        drop(writer);
        rest
    };
    let (rest, written) = futures_util::future::join(write, to(reader).into_future()).await;
    if rest.is_empty() && written.is_ok() { Ok(()) } else { Err(()) }
}

/// Makes a text of a backend safe for the terminal, which it must not control.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}
