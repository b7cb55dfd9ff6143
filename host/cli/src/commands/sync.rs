use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};

use super::copy::between::{self, Between};
use super::tree::{self, Direction, How, Options, prefix_of};
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::store::{Place, StoreArguments};

/// Makes a store like a directory of files, a directory like a store, or a store like another
///
/// SOURCE and TARGET are each `dir:PATH` (a store in a directory), `s3:BUCKET[/PREFIX]`, the name of a
/// store of --config, or the path of a directory of plain files. One of them at least is a store. Where
/// a configuration is used, a path is one that contains `/` or is `.` or `..`; every other word is a
/// store's name.
///
/// An artifact's key is the path of its file below the directory, with --prefix before it. What is
/// there already and the same is skipped, so that an interrupted run continues where it was. A file
/// and an artifact are the same if their sizes are equal and
///
/// - to a store: the artifact was put more than 2 s after the file was modified,
///
/// - to a directory: the file has the time of the artifact, which it was given when it was written,
///
/// - or their checksums are equal, which is compared if the times do not decide, and with --checksum.
///
/// So a file that was replaced by an older one of the same size is only found with --checksum. Two
/// stores are compared by size, checksum and attributes.
///
/// What cannot be copied is named and counted, and the exit code is then 1 or more: symbolic links and
/// special files of the source, names that are not UTF-8, and keys that cannot be the name of a
/// file, such as `a//b` or `a/../b`. Nothing is written outside of the directory, also not through a
/// link in it. Each file and each artifact appears whole or not at all.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store sync src dir:/srv/artifacts --prefix snapshots/42
  artifact-store sync dir:/srv/artifacts restored --prefix snapshots/42
  artifact-store sync ./site s3:artifacts/site --delete --dry-run
  artifact-store sync dir:/srv/artifacts s3:artifacts/copy --delete
  artifact-store --config stores.toml sync ./src releases --jobs 32")]
pub struct Arguments {
    /// What to copy from: a store or a directory
    #[arg(value_hint = ValueHint::AnyPath)]
    source: String,

    /// What to copy to, likewise; a directory that is absent is made
    #[arg(value_hint = ValueHint::AnyPath)]
    target: String,

    /// Only keys that begin with this; a `/` is added behind it if the other side is a directory
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Delete what only the target has, after all has been copied
    ///
    /// If the source could not be read completely, or holds nothing, nothing is deleted.
    #[arg(long)]
    delete: bool,

    /// Store what symbolic links lead to, instead of naming them as failures
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    options: Options,
}

/// One of the two.
enum Side {
    Store(String),
    Tree(PathBuf),
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    if store.store.is_some() {
        return Err(Usage("`sync` takes SOURCE and TARGET instead of --store".into()).into());
    }
    let Arguments { source, target, prefix, delete, follow, options } = arguments;
    let (source, target) = (side(store, source)?, side(store, target)?);
    if follow && matches!(source, Side::Store(_)) {
        let text = "--follow is for a SOURCE that is a directory of files: a store has no links";
        return Err(Usage(text.into()).into());
    }
    let (direction, root, name) = match (source, target) {
        (Side::Store(from), Side::Store(to)) => {
            let Options { dry_run, json, .. } = options;
            let (prefix, jobs) = (&*prefix, options.jobs());
            let how = Between { from, to, prefix, jobs, dry_run, verify: false, delete, json };
            return between::run(store, how, interrupt).await;
        }
        (Side::Tree(root), Side::Store(name)) => (Direction::Up, root, name),
        (Side::Store(name), Side::Tree(root)) => (Direction::Down, root, name),
        (Side::Tree(_), Side::Tree(_)) => {
            let text = "one of SOURCE and TARGET has to be a store: `dir:PATH`, `s3:BUCKET/PREFIX`, or \
                        the name of one of --config";
            return Err(Usage(text.into()).into());
        }
    };
    let prefix = prefix_of(prefix);
    let (keys, needs_some) = (None, false);
    let how = How { direction, root, prefix, keys, options, delete, follow, needs_some };
    tree::run(&store.of(&name)?, how, interrupt).await
}

fn side(store: &StoreArguments, name: String) -> Result<Side, Usage> {
    let is_path = || name.contains(std::path::is_separator) || name == "." || name == "..";
    let is_store = Place::of(&name)?.is_some() || (store.config.is_some() && !is_path());
    Ok(if is_store { Side::Store(name) } else { Side::Tree(name.into()) })
}
