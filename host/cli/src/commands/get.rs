use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use artifact_store::{ArtifactStore, ReadOptions};
use clap::{Args, ValueHint};

use super::keys::distinct;
use super::tree::{self, Direction, How, prefix_of};
use crate::disk;
use crate::exit;
use crate::failure::{self, Usage};
use crate::interrupt::Interrupt;
use crate::message;
use crate::output::{Closed, Output};
use crate::progress::Progress;
use crate::shown;
use crate::store::StoreArguments;
use crate::streak::{self, Streak};
use crate::units;

/// Writes artifacts to standard output, a file or a directory
///
/// A whole artifact is compared with its checksum. With -o the file appears only after that; after
/// a failure or Ctrl-C the old file is unchanged. Standard output receives the bytes before the
/// comparison: there, only the exit code tells whether they are right. A terminal is not given binary
/// data, unless `-o -` says so.
///
/// Several artifacts go to standard output one after another, or below the directory of -o. After a
/// failure the remaining ones still follow, unless they would fail in the same way; the exit code is
/// that of the first failure.
#[derive(Args)]
#[command(override_usage = "\
artifact-store get [OPTIONS] <KEY>...
       artifact-store get [OPTIONS] -r <PREFIX> <DIR>")]
#[command(after_help = "\
Examples:
  artifact-store get builds/app-1.2 -o app.tar
  artifact-store get snapshots/src | tar x
  artifact-store get logs/mon logs/tue | grep error
  artifact-store get builds/app-1.1 builds/app-1.2 -o out/  # out/builds/app-1.1, …
  artifact-store get log --offset 4KiB --length 512
  artifact-store get -r snapshots/42/ restored          # each artifact a file, as `sync` does
  artifact-store get -- -h                              # the key `-h`")]
pub struct Arguments {
    /// The keys of the artifacts; with -r the prefix of the keys, and the directory to write, which
    /// is made if it is absent
    #[arg(value_name = "KEY|PREFIX", required = true)]
    keys: Vec<OsString>,

    /// The file to write; `-`, the default, is standard output (`./-` is a file named `-`)
    ///
    /// A directory that exists, or a name with a `/` at its end, is a directory to write to: each
    /// artifact becomes the file of its whole key below it, as with -r. Several artifacts go to a
    /// directory or to standard output.
    #[arg(short, long, value_name = "FILE|DIR/", value_hint = ValueHint::AnyPath)]
    output: Option<PathBuf>,

    /// The first byte to write; an offset beyond the end of the artifact is an error
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    offset: Option<u64>,

    /// The largest number of bytes to write [default: all]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    length: Option<u64>,

    /// Write every artifact whose key begins with PREFIX to the rest of its key below DIR
    ///
    /// A `/` is added behind a PREFIX without one; an empty one means all. `artifact-store help sync`
    /// says which artifacts are skipped because they are there already, and which ones cannot be
    /// files.
    #[arg(short, long, conflicts_with_all = ["output", "offset", "length"])]
    recursive: bool,

    #[command(flatten, next_help_heading = "Options of -r, and of -o DIR/")]
    tree: tree::Options,
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    let is_dir = interrupt.or(arguments.is_to_directory(store)).await?;
    match arguments.tree(is_dir)? {
        Some(how) => tree::run(store, how, interrupt).await,
        None => interrupt.or(each(store, arguments)).await,
    }
}

impl Arguments {
    fn keys(&self) -> Result<Vec<String>, Usage> {
        self.keys.iter().map(|key| text(key)).collect()
    }

    /// Whether `-o` names a directory, which is there or is to be made.
    async fn is_to_directory(&self, store: &StoreArguments) -> Result<bool> {
        let Some(path) = self.output.clone().filter(|path| path != Path::new("-")) else {
            return Ok(false);
        };
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.ends_with(b"/") || bytes.ends_with(MAIN_SEPARATOR_STR.as_bytes()) {
            return Ok(true);
        }
        disk::look(store.patience(), move || path.is_dir()).await
    }

    /// What to write to a directory, which `-o` may name; none where it goes elsewhere.
    fn tree(&self, is_dir: bool) -> Result<Option<How>, Usage> {
        let (root, prefix, keys) = match (&self.keys[..], &self.output) {
            ([prefix, into], _) if self.recursive => {
                (PathBuf::from(into), prefix_of(text(prefix)?), None)
            }
            _ if self.recursive => {
                return Err(Usage("`get -r` takes a PREFIX and a DIR".into()));
            }
            (_, Some(dir)) if is_dir => {
                if self.offset.is_some() || self.length.is_some() {
                    let text = "--offset and --length write a part of an artifact, and so not to a \
                                directory";
                    return Err(Usage(text.into()));
                }
                (dir.clone(), String::new(), Some(distinct(self.keys()?)))
            }
            ([_, _, ..], Some(file)) if file != Path::new("-") => {
                let file = file.display();
                return Err(Usage(format!(
                    "several artifacts do not go to one file: `{file}` is no directory; to make one, \
                     put a `/` at the end of its name"
                )));
            }
            ([_, _, ..], _) if self.offset.is_some() || self.length.is_some() => {
                let text = "--offset and --length write a part of one artifact";
                return Err(Usage(text.into()));
            }
            _ => {
                self.tree.check_unused("-r or `-o DIR/`")?;
                return Ok(None);
            }
        };
        Ok(Some(How {
            direction: Direction::Down,
            root,
            prefix,
            keys,
            options: self.tree.clone(),
            delete: false,
            follow: false,
            needs_some: self.recursive,
        }))
    }
}

/// A key, or what keys begin with.
fn text(argument: &OsStr) -> Result<String, Usage> {
    let text = argument.to_str().ok_or_else(|| Usage("a key has to be UTF-8".into()))?;
    Ok(text.to_owned())
}

/// Writes one artifact after another; the exit code.
async fn each(store: &StoreArguments, arguments: Arguments) -> Result<u8> {
    let keys = arguments.keys()?;
    let Arguments { output, offset, length, .. } = arguments;
    let cannot = || format!("cannot get `{}`", shown::name(&keys[0]));
    if let Some(file) = output.as_deref().filter(|path| *path != Path::new("-")) {
        tree::check_outside(store, vec![file.to_owned()]).await?;
    }
    let store = store.open_unswept().await.with_context(cannot)?;
    let options = ReadOptions::default().offset(offset.unwrap_or(0)).length(length);
    let (mut first, mut streak) = (None, Streak::default());
    for key in &keys {
        let Err(error) = one(&store, key, options, output.as_deref()).await else {
            streak.succeeded();
            continue;
        };
        // Nobody reads what would follow.
        if failure::find::<Closed>(&error).is_some() {
            return Err(error);
        }
        first.get_or_insert(exit::report(&error));
        if keys.len() > 1 && streak.failed(&error) {
            message::print(streak::STOPPED);
            break;
        }
    }
    Ok(first.unwrap_or(0))
}

async fn one(
    store: &ArtifactStore,
    key: &str,
    options: ReadOptions,
    path: Option<&Path>,
) -> Result<()> {
    let mut reader = store.read(key, options).await?;
    let mut output = Output::open(path).await?;
    let is_shown = matches!(output, Output::Standard(_)) && io::stdout().is_terminal();
    let mut progress = match is_shown {
        true => Progress::hidden(),
        false => {
            let rest = reader.info().size.saturating_sub(options.offset);
            Progress::new("get", Some(options.length.map_or(rest, |length| length.min(rest))))
        }
    };
    let mut text = (is_shown && path.is_none()).then(Text::default);
    let binary = || {
        let text = "binary data is not written to a terminal; write it to a file with -o FILE, or to \
                    the terminal all the same with `-o -`";
        anyhow!(text).context(format!("cannot get `{}`", shown::name(key)))
    };
    while let Some(chunk) = reader.next_chunk().await? {
        match &mut text {
            Some(text) => {
                output.write(text.next(&chunk).ok_or_else(binary)?.as_bytes()).await?;
            }
            None => output.write(&chunk).await?,
        }
        progress.add(chunk.len() as u64);
    }
    if text.is_some_and(|text| text.is_cut()) {
        return Err(binary());
    }
    output.finish().await
}

/// What a terminal is given of an artifact, which comes in chunks.
#[derive(Default)]
struct Text {
    /// The beginning of a character whose rest comes with the next chunk.
    cut: Vec<u8>,
}

impl Text {
    /// The whole characters so far; none where a terminal might be controlled by them, or show them
    /// as rubbish.
    fn next(&mut self, chunk: &[u8]) -> Option<String> {
        self.cut.extend_from_slice(chunk);
        let whole = match std::str::from_utf8(&self.cut) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return None,
        };
        let cut = self.cut.split_off(whole);
        let text = String::from_utf8(std::mem::replace(&mut self.cut, cut)).ok()?;
        let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        (!text.contains(is_control)).then_some(text)
    }

    /// Whether the last character lacks its end.
    fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a terminal is given these bytes, in chunks of this size.
    fn is_text(bytes: &[u8], size: usize) -> bool {
        let (mut text, mut shown) = (Text::default(), String::new());
        for chunk in bytes.chunks(size) {
            let Some(next) = text.next(chunk) else { return false };
            shown.push_str(&next);
        }
        !text.is_cut() && shown.as_bytes() == bytes
    }

    #[test]
    fn text_is_told_from_what_is_not() {
        for size in 1..6 {
            for text in ["", "a\tb\r\nc\n", "\u{e9}\u{1f600}a\u{1f600}"] {
                assert!(is_text(text.as_bytes(), size), "{text:?} {size}");
            }
            let [high, csi] = ["\u{1f600}", "\u{9b}"].map(str::as_bytes);
            for binary in [b"\0", &b"a\x1b[2J"[..], b"\xff", b"a\xc0b", csi, b"\x9b2J", b"abc\xe2"]
            {
                assert!(!is_text(binary, size), "{binary:?} {size}");
            }
            for cut in 1..4 {
                assert!(!is_text(&high[..cut], size) && !is_text(&high[cut..], size));
            }
        }
    }
}
