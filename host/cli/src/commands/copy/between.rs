//! A copy from one store to another.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result};
use artifact_store::Entry;
use futures::{StreamExt, stream};

use crate::commands::gone;
use crate::commands::report::{Outcome, Report};
use crate::commands::transfer::{self, Named, in_store};
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Standard;
use crate::progress::{Progress, counting};
use crate::store::{Purpose, StoreArguments};

/// What to copy, and how.
pub struct Between<'a> {
    pub from: String,
    pub to: String,
    pub prefix: &'a str,
    pub jobs: usize,
    pub dry_run: bool,
    /// Compare bytes where the target has something.
    pub verify: bool,
    /// Remove what only the target has.
    pub delete: bool,
    pub json: bool,
}

struct Copying<'a> {
    from: Named,
    to: Named,
    how: &'a Between<'a>,
    interrupt: &'a Interrupt,
    progress: RefCell<Progress>,
    /// The keys of the source, where they are needed.
    keys: RefCell<HashSet<String>>,
}

pub async fn run(
    arguments: &StoreArguments,
    how: Between<'_>,
    interrupt: &Interrupt,
) -> Result<u8> {
    if how.from == how.to {
        return Err(Usage("both stores are the same one".into()).into());
    }
    let out = Standard::open()?.and_goes_on();
    let opened = async {
        let (from, _) = Named::open(arguments, how.from.clone(), Purpose::Read).await?;
        let purpose = if how.dry_run { Purpose::Rehearse } else { Purpose::Write };
        let (to, made) = Named::open(arguments, how.to.clone(), purpose).await?;
        Ok((from, to, made))
    };
    let (from, to, made) = interrupt.or(opened).await?;
    let progress = RefCell::new(Progress::new("copy", None));
    let keys = RefCell::default();
    let copying = Copying { from, to, how: &how, interrupt, progress, keys };
    let mut report = Report::new(out, how.json, how.dry_run).deleting(how.delete);
    let begun = Instant::now();
    copying.all(&mut report).await?;
    if how.delete {
        copying.delete(&mut report).await?;
    }
    drop(copying);
    if report.has_copied() {
        made.keep();
    }
    report.finish(begun.elapsed()).await
}

impl Copying<'_> {
    async fn all(&self, report: &mut Report) -> Result<()> {
        let Self { from, how, progress, .. } = self;
        counting(progress, &from.store, how.prefix, None, self.copy(report)).await
    }

    async fn copy(&self, report: &mut Report) -> Result<()> {
        let prefix = self.how.prefix;
        let (is_at_end, is_stopped) = (Cell::new(false), Cell::new(false));
        let listing = Some(self.from.store.list(prefix));
        let entries = stream::unfold(listing, async |listing| {
            if is_stopped.get() {
                return None;
            }
            let mut listing = listing?;
            let next = listing.next().await.transpose();
            is_at_end.set(!matches!(next, Some(Ok(_))));
            match next? {
                Ok(entry) => {
                    if self.how.delete {
                        self.keys.borrow_mut().insert(entry.key.clone());
                    }
                    Some((Ok(entry), Some(listing)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        // After an interrupt nothing new begins, and what has begun cleans up.
        let entries = entries.take_until(self.interrupt.happened());
        let copies = entries.map(|entry| async move {
            match entry {
                Ok(entry) => {
                    let outcome = self.one(&entry).await;
                    (Some(entry), outcome)
                }
                Err(error) => (None, self.from.blame(Err(error))),
            }
        });
        let mut copies = std::pin::pin!(copies.buffer_unordered(self.how.jobs));
        while let Some((entry, outcome)) = copies.next().await {
            let is_copied = matches!(outcome, Ok(Outcome::Copied(_)));
            if let Some(Entry { size, .. }) = entry {
                self.progress.borrow_mut().done(if is_copied { 0 } else { size });
            }
            let artifact = entry.as_ref().map(|entry| (&*entry.key, Some(entry.size)));
            if !report.add(artifact, outcome).await? {
                is_stopped.set(true);
            }
        }
        if !is_at_end.get() {
            // Whether or not a copy was under way then: the rest was not looked at.
            report.is_cut(self.interrupt.so_far());
        } else {
            let holes = report.gone.still_listed(&self.from.store, prefix);
            let holes = self.interrupt.or(holes).await.with_context(|| in_store(&self.from.name));
            report.holes(holes).await?;
        }
        Ok(())
    }

    async fn one(&self, Entry { key, size, .. }: &Entry) -> Result<Outcome> {
        let outcome = match self.interrupt.or(self.is_present(key, *size)).await {
            Ok(true) => Ok(Outcome::Present),
            Ok(false) if self.how.dry_run => Ok(Outcome::WouldCopy),
            Ok(false) => {
                let Self { from, to, interrupt, progress, .. } = self;
                let copied = transfer::transfer(from, to, key, None, interrupt, progress).await;
                copied.map(Outcome::Copied)
            }
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if transfer::is_absent(&error) => {
                match gone::is_absent(&self.from.store, key).await {
                    Ok(true) => Ok(Outcome::Gone),
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// Whether the other store has the very same artifact.
    async fn is_present(&self, key: &str, size: u64) -> Result<bool> {
        match transfer::is_alike(&self.from, &self.to, key, size).await? {
            Some(true) if !self.how.verify => Ok(true),
            Some(false) => Ok(false),
            _ => transfer::is_same(&self.from, &self.to, key).await,
        }
    }

    /// Deletes what only the target has.
    async fn delete(&self, report: &mut Report) -> Result<()> {
        if !report.is_complete() {
            return Ok(());
        }
        let keys = self.keys.take();
        let listed = transfer::list_all(&self.to, self.how.prefix);
        match self.interrupt.or(listed).await {
            Ok(mut entries) => {
                entries.retain(|entry| !keys.contains(&entry.key));
                let is_empty = keys.is_empty();
                let dry_run = self.how.dry_run;
                report.delete(&self.to, entries, is_empty, dry_run, self.interrupt).await
            }
            Err(error) => report.add(None, Err(error)).await.map(drop),
        }
    }
}
