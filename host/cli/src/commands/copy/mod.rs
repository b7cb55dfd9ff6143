pub mod between;
mod within;

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use between::Between;

use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::store::{Place, StoreArguments};

/// Copies an artifact within its store, or artifacts from one store to another
///
/// With two keys, TARGET gets the bytes and the attributes of SOURCE, and an artifact under TARGET is
/// replaced atomically. If the backend can copy by itself, as `s3` does, the bytes stay in its
/// storage. A source that is damaged is not copied (exit code 5).
///
/// With --from and --to, artifacts are copied from one store to another: stores of --config, or places
/// (`dir:PATH`, `s3:BUCKET/PREFIX`), which need no configuration. `copy PLACE PLACE` is the same for two
/// places. A directory that is absent is made. An artifact that the target already has with the same size, checksum and attributes is skipped, so
/// that an interrupted copy continues where it was. With --verify, and if a backend keeps no checksum, both
/// artifacts are read and compared byte for byte; this also replaces an artifact that is damaged in
/// the target. Each artifact appears in the target whole or not at all. Artifacts that only the
/// target has stay.
///
/// After a failure the remaining artifacts are still copied, and the exit code is that of the first
/// failure. The copy stops if they would fail in the same way: after three failures in a row of a
/// store that refuses access, is full or does not answer.
#[derive(Args)]
#[command(
    override_usage = "\
artifact-store copy [--create|--if-match VERSION] [OPTIONS] SOURCE TARGET
       artifact-store [--config FILE] copy --from STORE --to STORE [OPTIONS] [PREFIX]
       artifact-store copy [OPTIONS] PLACE PLACE",
    after_help = "\
Examples:
  artifact-store copy candidates/app-1.2 releases/app-1.2
  artifact-store copy candidates/app-1.2 releases/app-1.2 --create    # only if it is not there
  artifact-store copy dir:/srv/artifacts s3:artifacts/copy
  artifact-store copy --from dir:/srv/artifacts --to s3:artifacts/copy builds/
  artifact-store --config stores.toml copy --from disk --to archive
  artifact-store --config stores.toml copy --from disk --to archive builds/ --dry-run
  artifact-store --config stores.toml copy --from archive --to disk --jobs 16
  artifact-store --config stores.toml copy --from disk --to archive --verify
  artifact-store --config stores.toml copy --from disk --to archive --json | jq -r 'select(.state == \"copied\") | .key'"
)]
pub struct Arguments {
    /// The keys SOURCE and TARGET, or two places; with --from and --to instead the prefix of the keys
    /// [default: all keys]
    #[arg(value_name = "KEY", num_args = 0..=2)]
    keys: Vec<String>,

    /// Copy only if TARGET has no artifact; otherwise exit with 4
    #[arg(long, visible_alias = "if-none-match", conflicts_with_all = ["from", "to"])]
    create: bool,

    /// Copy only if the artifact under TARGET has this version; otherwise exit with 4
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["create", "from", "to"])]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    if_match: Option<String>,

    /// The store to copy from: its name in --config, or a place
    #[arg(long, value_name = "STORE", requires = "to")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    from: Option<String>,

    /// The store to copy to, likewise
    #[arg(long, value_name = "STORE", requires = "from")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    to: Option<String>,

    /// The number of artifacts to copy at once [default: 4]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,

    /// Show which artifacts would be copied, and copy nothing
    #[arg(long)]
    dry_run: bool,

    /// Compare bytes instead of checksums if the target already has an artifact
    #[arg(long)]
    verify: bool,

    /// Write one JSON object per line for each artifact that is copied or fails, and a summary
    ///
    /// {"type": "artifact", "key", "size", "state": "copied", "would-copy" or "failed", "error"};
    /// {"type": "failure", "error"} if a store cannot be listed; and at the end {"type": "summary",
    /// "dry_run", "copied", "bytes", "would_copy", "would_copy_bytes", "present", "failed",
    /// "complete"}.
    #[arg(long)]
    json: bool,
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    let Some(how) = arguments.between()? else {
        return interrupt.or(within::run(store, arguments)).await.map(|()| 0);
    };
    if store.store.is_some() {
        return Err(Usage("`copy` takes --from and --to instead of --store".into()).into());
    }
    between::run(store, how, interrupt).await
}

impl Arguments {
    /// Whether it copies from one store to another, as far as that is clear.
    pub fn is_between(&self) -> bool {
        matches!(self.between(), Ok(Some(_)))
    }

    /// What to copy between two stores; none for a copy within one.
    fn between(&self) -> Result<Option<Between<'_>>> {
        let is_place = |name: &String| Ok::<_, Usage>(Place::of(name)?.is_some());
        let (from, to, prefix) = match (&self.from, &self.to, &self.keys[..]) {
            (Some(from), Some(to), []) => (from, to, ""),
            (Some(from), Some(to), [prefix]) => (from, to, &**prefix),
            (Some(_), Some(_), _) => {
                return Err(Usage("--from and --to take one prefix at most".into()).into());
            }
            (_, _, [from, to]) if is_place(from)? && is_place(to)? => (from, to, ""),
            _ => {
                self.check_within()?;
                return Ok(None);
            }
        };
        if self.create || self.if_match.is_some() {
            let text = "--create and --if-match are for a copy within a store";
            return Err(Usage(text.into()).into());
        }
        Ok(Some(Between {
            from: from.clone(),
            to: to.clone(),
            prefix,
            jobs: self.jobs.unwrap_or(4).into(),
            dry_run: self.dry_run,
            verify: self.verify,
            delete: false,
            json: self.json,
        }))
    }

    /// Options of a copy between stores are none of one within a store.
    fn check_within(&self) -> Result<(), Usage> {
        let given = [
            ("--jobs", self.jobs.is_some()),
            ("--dry-run", self.dry_run),
            ("--verify", self.verify),
            ("--json", self.json),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(Usage(format!("{name} needs --from STORE and --to STORE"))),
            None => Ok(()),
        }
    }
}
