mod keys;
mod pace;
mod report;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use artifact_store::{ErrorKind, FindingKind, Info, Interface, ReadOptions, Swept};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures::{StreamExt, stream};
use keys::Keys;
use pace::Pace;
use report::{Repair, Report};

use super::gone::{self, Gone};
use super::transfer::{self, AnotherVersion, Named};
use crate::failure::{self, Usage};
use crate::interrupt::{Interrupt, Interrupted};
use crate::output::Standard;
use crate::progress::{Progress, counting};
use crate::store::{Purpose, StoreArguments, chosen};
use crate::units;

/// The least `--rate`: a read that waits longer for its turn would count as a paused one.
const LEAST_RATE: u64 = 1 << 20;

/// Reads all artifacts and reports damage
///
/// Each artifact is read whole and compared with its checksum; an artifact without a checksum counts
/// as unchecked. Then the backend is asked for an audit, which reports what only it can see: damaged
/// artifacts that no listing names, unfinished writes, and foreign files, which are not of this
/// store. The audit covers the whole store, whatever the prefix.
///
/// A run that was interrupted says behind which key to go on (--start-after), if the backend is `fs` or
/// `s3`, which list their keys in order.
///
/// Nothing is changed without --repair or --repair-from. The exit code is 5 if anything is damaged;
/// otherwise that of the first artifact or part of the store that could not be read; otherwise 1 if
/// an artifact is unchecked.
#[derive(Args)]
#[command(after_help = "\
To repair a damaged artifact by hand, put it again or delete it.

Examples:
  artifact-store verify
  artifact-store verify builds/
  artifact-store verify --json | jq -r 'select(.state == \"damaged\") | .key // .name'
  artifact-store verify --jobs 2 --rate 20MiB
  artifact-store verify --start-after builds/app-1.2
  artifact-store verify --repair --older-than 2h
  artifact-store --config stores.toml --store disk verify --repair-from archive
  artifact-store --store dir:/srv/artifacts verify --repair-from s3:artifacts/copy")]
pub struct Arguments {
    /// The prefix of the keys to read [default: all keys]
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// Read only artifacts whose keys are behind this one, in the order of their bytes
    #[arg(long, value_name = "KEY")]
    start_after: Option<String>,

    /// The number of artifacts to read at once
    #[arg(long, value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Read at most so many bytes in a second, such as `20MiB`; at least 1MiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    rate: Option<u64>,

    /// Remove abandoned unfinished writes, and nothing else
    #[arg(long)]
    repair: bool,

    /// Remove an unfinished write only if nothing was written to it for this long
    #[arg(long, value_name = "AGE", default_value = "1day", requires = "repair")]
    #[arg(value_parser = humantime::parse_duration)]
    older_than: Duration,

    /// Fetch each damaged artifact from this store, one of --config or a place (`dir:PATH`,
    /// `s3:BUCKET/PREFIX`)
    ///
    /// An artifact stays as it is and counts as damaged if that store lacks it, has it damaged too,
    /// or has another version: another size or checksum than what was put here. If the damage left
    /// neither size nor checksum to compare with, the artifact is taken from that store without a
    /// comparison, and the report says so.
    #[arg(long, value_name = "STORE")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    repair_from: Option<String>,

    /// Write one JSON object per line for each problem, and a summary at the end
    ///
    /// {"type": "artifact", "key", "state": "damaged", "repaired" or "unreadable", "error"}, with
    /// "repair": "compared", "uncompared", "another-version" or "failed" if a repair was tried;
    /// {"type": "finding", "name", "state": "damaged", "temporary" or "foreign", "size",
    /// "modified", "error"}; {"type": "failure", "error"} for a part of the store that cannot be
    /// read; {"type": "stopped", "start_after"} if it stopped early; {"type": "summary", "sound", "unchecked", "bytes", "seconds",
    /// "damaged", "unreadable", "temporary", "foreign", "complete", "audited"}, with "repaired", "uncompared" (of these) and
    /// "removed" if a repair was asked for.
    #[arg(long)]
    json: bool,
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    let Arguments { prefix, start_after, jobs, rate, repair, older_than, repair_from, json } =
        arguments;
    let out = Standard::open()?.and_goes_on();
    let opened = async {
        let source = match repair_from {
            Some(name) => Some(source(store, name).await?),
            None => None,
        };
        let name = store.store.clone().unwrap_or_default();
        let store = store.open_unswept().await.context("cannot verify")?;
        Ok((source, Named { name, store }))
    };
    let (source, store) = interrupt.or(opened).await?;
    let mut report = Report::new(out, json);
    if source.is_some() {
        report.expect_repairs();
    }
    let begun = Instant::now();
    let (pace, reached) = (Pace::new(rate), RefCell::default());
    let source = source.as_ref();
    let (jobs, progress) = (jobs.into(), RefCell::new(Progress::new("verify", None)));
    let store = &store;
    let examination = Examination { store, source, jobs, pace, progress, reached, interrupt };
    let (start_after, older_than) = (start_after.as_deref(), repair.then_some(older_than));
    let outcome = examination.run(&prefix, start_after, older_than, &mut report).await;
    if outcome.is_err() || !report.has_read_all() {
        if let Some(key) = examination.reached.take() {
            report.stopped(&key).await?;
        }
        // What was found until then is worth knowing.
        report.flush().await?;
    }
    outcome?;
    report.finish(begun.elapsed()).await
}

/// The store to repair from.
async fn source(arguments: &StoreArguments, name: String) -> Result<Named> {
    let is_same = match &arguments.store {
        Some(own) => *own == name,
        None if arguments.config.is_none() || arguments.is_place => false,
        None => chosen(&arguments.configuration().await?).is_ok_and(|own| own == name),
    };
    if is_same {
        return Err(Usage("--repair-from names the store that is verified".into()).into());
    }
    let (source, _) = Named::open(arguments, name, Purpose::Read).await?;
    Ok(source)
}

struct Examination<'a> {
    store: &'a Named,
    /// Where to fetch what is damaged.
    source: Option<&'a Named>,
    /// Artifacts that are read at once.
    jobs: usize,
    pace: Pace,
    progress: RefCell<Progress>,
    /// The key up to which all have been read; `None` if they are in no order, or have been read.
    reached: RefCell<Option<String>>,
    interrupt: &'a Interrupt,
}

impl Examination<'_> {
    async fn run(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        older_than: Option<Duration>,
        report: &mut Report,
    ) -> Result<()> {
        let reading = self.read_all(prefix, start_after, report);
        let read = counting(&self.progress, &self.store.store, prefix, start_after, reading).await;
        self.progress.replace(Progress::hidden());
        read?;
        if let Some(older_than) = older_than {
            let Swept { removed, .. } =
                self.or_interrupt(self.store.store.sweep(older_than)).await??;
            report.summary.removed = Some(removed);
        }
        if let Some(source) = self.source {
            self.repair_unlisted(source, prefix, report).await?;
        }
        self.audit(report).await
    }

    async fn or_interrupt<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.interrupt.or(async { Ok(work.await) }).await
    }

    async fn read_all(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        report: &mut Report,
    ) -> Result<()> {
        let is_stopped = Cell::new(false);
        let keys = Keys::new(&self.store.store, prefix, start_after);
        let are_in_order = keys.are_in_order();
        let keys = stream::unfold(Some(keys), async |keys| {
            let mut keys = keys.filter(|_| !is_stopped.get())?;
            match keys.next().await.transpose()? {
                Ok(key) => Some((Ok(key), Some(keys))),
                Err(error) => Some((Err(error), None)),
            }
        });
        let reading = keys.map(|key| async {
            match key {
                Ok(key) => {
                    let outcome = self.read(&key).await;
                    Ok((key, outcome))
                }
                Err(error) => Err(error),
            }
        });
        let mut reading = std::pin::pin!(reading.buffered(self.jobs));
        let mut gone = Gone::default();
        while let Some(next) = self.or_interrupt(reading.next()).await? {
            let (key, outcome) = match next {
                Ok(read) => read,
                Err(error) => {
                    report.failed(&error.into()).await?;
                    continue;
                }
            };
            let is_known = match outcome {
                Ok((bytes, is_checked)) => {
                    report.read(bytes, is_checked);
                    true
                }
                Err(error) => match error.kind() {
                    ErrorKind::NotFound => {
                        gone.add(&key);
                        true
                    }
                    // Bytes that are not the ones that were put, whoever noticed it.
                    ErrorKind::Corrupt(_) | ErrorKind::Protocol(_) => {
                        self.damaged(&key, error.kind().to_string(), report).await?;
                        true
                    }
                    _ => {
                        is_stopped.set(!report.unreadable(&key, error).await?);
                        false
                    }
                },
            };
            self.progress.borrow_mut().done(0);
            if are_in_order && is_known {
                self.reached.replace(Some(key));
            }
        }
        if !is_stopped.get() && report.has_read_all() {
            self.reached.take();
        }
        match self.interrupt.or(gone.still_listed(&self.store.store, prefix)).await {
            Ok(holes) => {
                for entry in holes {
                    self.damaged(&entry.key, gone::TEXT.into(), report).await?;
                }
                Ok(())
            }
            Err(error) if failure::find::<Interrupted>(&error).is_some() => Err(error),
            Err(error) => report.failed(&error).await,
        }
    }

    /// Reads a whole artifact, which verifies it; its size, and whether there is something to verify it
    /// with.
    async fn read(&self, key: &str) -> artifact_store::Result<(u64, bool)> {
        let mut reader = self.store.store.read(key, ReadOptions::default()).await?;
        while let Some(chunk) = reader.next_chunk().await? {
            self.pace.read(chunk.len()).await;
            self.progress.borrow_mut().add(chunk.len() as u64);
        }
        Ok((reader.info().size, reader.verifies()))
    }

    /// Fetches the artifact from the other store, where there is one, and says what came of it.
    async fn damaged(&self, key: &str, mut error: String, report: &mut Report) -> Result<()> {
        let Some(source) = self.source else {
            return report.damaged(key, None, error).await;
        };
        let repair = match self.fetch(source, key).await {
            Ok(Repair::Uncompared) => {
                error.push_str(
                    "; its size and checksum are lost, so it was repaired without a comparison",
                );
                Repair::Uncompared
            }
            Ok(repair) => repair,
            Err(why) if failure::find::<Interrupted>(&why).is_some() => return Err(why),
            Err(why) => {
                error.push_str(&format!("; it could not be repaired: {why:#}"));
                match failure::find::<AnotherVersion>(&why) {
                    Some(_) => Repair::AnotherVersion,
                    None => Repair::Failed,
                }
            }
        };
        report.damaged(key, Some(repair), error).await
    }

    /// Puts what the other store has, where it is what was put here.
    async fn fetch(&self, source: &Named, key: &str) -> Result<Repair> {
        let wanted = self.or_interrupt(self.stated(key)).await??;
        let progress = RefCell::new(Progress::hidden());
        let (to, wanted) = (self.store, wanted.as_ref());
        transfer::transfer(source, to, key, wanted, self.interrupt, &progress).await?;
        let is_compared = wanted.is_some_and(|wanted| wanted.checksum.is_some());
        Ok(if is_compared { Repair::Compared } else { Repair::Uncompared })
    }

    /// What a damaged artifact still says of itself; none where that is damaged, too.
    async fn stated(&self, key: &str) -> Result<Option<Info>> {
        if !self.store.store.offers(Interface::Inventory) {
            return Ok(None);
        }
        match self.store.store.stat(key).await {
            Ok(info) => Ok(Some(info)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Corrupt(_) | ErrorKind::Protocol(_) => Ok(None),
                _ => self.store.blame(Err(error)),
            },
        }
    }

    /// Damage that no listing names: the other store knows the keys.
    async fn repair_unlisted(
        &self,
        source: &Named,
        prefix: &str,
        report: &mut Report,
    ) -> Result<()> {
        if !self.or_interrupt(self.has_damage()).await? {
            return Ok(());
        }
        let mut listing = source.store.list(prefix);
        loop {
            let entry = match self.or_interrupt(listing.next()).await? {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(()),
                Err(error) => {
                    return report.failed(&source.blame::<()>(Err(error)).unwrap_err()).await;
                }
            };
            let stat = self.or_interrupt(self.store.store.stat(&entry.key)).await?;
            if let Err(error) = stat
                && let ErrorKind::Corrupt(_) = error.kind()
            {
                self.damaged(&entry.key, error.kind().to_string(), report).await?;
            }
        }
    }

    /// Whether the backend knows of damage. Where it cannot be asked, the audit says so.
    async fn has_damage(&self) -> bool {
        let mut audit = self.store.store.audit();
        while let Ok(Some(finding)) = audit.next().await {
            if finding.kind == FindingKind::Damaged {
                return true;
            }
        }
        false
    }

    async fn audit(&self, report: &mut Report) -> Result<()> {
        if !self.store.store.offers(Interface::Maintenance) {
            report.summary.audited = false;
            return Ok(());
        }
        let mut audit = self.store.store.audit();
        loop {
            match self.or_interrupt(audit.next()).await? {
                Ok(Some(finding)) => report.found(&finding).await?,
                Ok(None) => return Ok(()),
                Err(error) => return report.failed(&error.into()).await,
            }
        }
    }
}

fn rate(text: &str) -> Result<u64, String> {
    let rate = units::size(text)?;
    if rate < LEAST_RATE { Err("must be at least 1MiB".into()) } else { Ok(rate) }
}
