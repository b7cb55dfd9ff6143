//! What came of a copy between stores or trees, line by line.

use std::cell::Cell;
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Result, anyhow};
use artifact_store::Entry;
use futures::{StreamExt, future, stream};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::commands::gone::{self, Gone};
use crate::commands::line;
use crate::commands::transfer::Named;
use crate::exit;
use crate::failure;
use crate::interrupt::{Interrupt, Interrupted};
use crate::message;
use crate::output::Standard;
use crate::shown;
use crate::streak::{self, Streak};
use crate::units::count;

/// A line of `--json`.
type Line<'a> = line::Line<'a, State, Summary>;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Copied,
    /// A dry run found that it is missing, or differs.
    WouldCopy,
    Deleted,
    WouldDelete,
    Failed,
}

#[derive(Serialize)]
struct Summary {
    dry_run: bool,
    /// Artifacts that were copied, and their bytes.
    copied: u64,
    bytes: u64,
    /// Artifacts that a dry run would have copied, and their bytes.
    would_copy: u64,
    would_copy_bytes: u64,
    /// Artifacts that were in the other store already.
    present: u64,
    /// What only the target had and was deleted, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_delete: Option<u64>,
    failed: u64,
    /// Whether every artifact was looked at.
    complete: bool,
}

/// A key, a size, and what came of it.
pub type Done = (String, u64, Result<Outcome>);

/// Deletions at once.
pub const DELETIONS: usize = 16;

/// A source without anything would empty its target.
#[derive(Debug, thiserror::Error)]
#[error("the source holds nothing, as a disk that is not mounted does: nothing is deleted")]
pub struct EmptySource;

pub enum Outcome {
    Copied(u64),
    WouldCopy,
    Present,
    Deleted,
    WouldDelete,
    /// It was deleted meanwhile.
    Gone,
}

pub struct Report {
    out: Standard,
    json: bool,
    summary: Summary,
    streak: Streak,
    pub gone: Gone,
    /// The places of the keys, where an order is given.
    order: HashMap<String, usize>,
    /// The exit code of the first failure, and the place of its key: the first one in time, where
    /// none is given.
    failure: Option<(usize, u8)>,
}

impl Report {
    /// The report of a command that may also delete.
    pub fn deleting(mut self, deletes: bool) -> Self {
        if deletes {
            (self.summary.deleted, self.summary.would_delete) = (Some(0), Some(0));
        }
        self
    }

    pub fn new(out: Standard, json: bool, dry_run: bool) -> Self {
        let summary = Summary {
            dry_run,
            copied: 0,
            bytes: 0,
            would_copy: 0,
            would_copy_bytes: 0,
            present: 0,
            deleted: None,
            would_delete: None,
            failed: 0,
            complete: true,
        };
        let (streak, gone, order) = Default::default();
        Self { out, json, summary, streak, gone, order, failure: None }
    }

    /// Keys that are named in this order: the exit code is that of the first one that fails.
    pub fn in_order(self, keys: &[String]) -> Self {
        let order = keys.iter().cloned().enumerate().map(|(place, key)| (key, place)).collect();
        Self { order, ..self }
    }

    /// How it went with one artifact of a size, if that is known, or with the listing; whether to go
    /// on.
    pub async fn add(
        &mut self,
        artifact: Option<(&str, Option<u64>)>,
        outcome: Result<Outcome>,
    ) -> Result<bool> {
        let (key, size) = artifact.unwrap_or_default();
        let error = match outcome {
            Ok(outcome) => {
                self.streak.succeeded();
                self.succeeded(key, size, outcome).await?;
                return Ok(true);
            }
            Err(error) => error,
        };
        if let Some(interrupted) = failure::find::<Interrupted>(&error) {
            self.is_cut(Some(*interrupted));
            return Ok(true);
        }
        let code = exit::report(&error);
        let place = self.order.get(key).copied().unwrap_or(usize::MAX);
        if self.failure.is_none_or(|(first, _)| place < first) {
            self.failure = Some((place, code));
        }
        let text = format!("{error:#}");
        if artifact.is_none() {
            self.summary.complete = false;
            self.line(Line::Failure { error: text }).await?;
            return Ok(true);
        }
        self.summary.failed += 1;
        self.line(Line::Artifact { key, size, state: State::Failed, error: Some(text) }).await?;
        Ok(!self.streak.failed(&error))
    }

    async fn succeeded(&mut self, key: &str, size: Option<u64>, outcome: Outcome) -> Result<()> {
        let state = match outcome {
            Outcome::Present => {
                self.summary.present += 1;
                return Ok(());
            }
            Outcome::Gone => {
                self.gone.add(key);
                return Ok(());
            }
            Outcome::Copied(size) => {
                self.summary.copied += 1;
                self.summary.bytes += size;
                State::Copied
            }
            Outcome::WouldCopy => {
                self.summary.would_copy += 1;
                self.summary.would_copy_bytes += size.unwrap_or(0);
                if !self.json {
                    return self.out.text(&format!("{key}\n")).await;
                }
                State::WouldCopy
            }
            Outcome::Deleted => {
                *self.summary.deleted.get_or_insert_default() += 1;
                State::Deleted
            }
            Outcome::WouldDelete => {
                *self.summary.would_delete.get_or_insert_default() += 1;
                if !self.json {
                    return self.out.text(&format!("delete {key}\n")).await;
                }
                State::WouldDelete
            }
        };
        self.line(Line::Artifact { key, size, state, error: None }).await
    }

    /// Does this work with each item, so many at once, and reports it. It ends early at an interrupt,
    /// and where the rest would fail in the same way.
    pub async fn each<T, F: Future<Output = Done>>(
        &mut self,
        items: Vec<T>,
        jobs: usize,
        interrupt: &Interrupt,
        work: impl Fn(T) -> F,
    ) -> Result<()> {
        let mut left = items.len();
        let is_stopped = Cell::new(false);
        let items = stream::iter(items).take_while(|_| future::ready(!is_stopped.get()));
        let begun = items.take_until(interrupt.happened()).map(work);
        let mut done = pin!(begun.buffer_unordered(jobs));
        while let Some((key, size, outcome)) = done.next().await {
            left -= 1;
            if !self.add(Some((&key, Some(size))), outcome).await? {
                is_stopped.set(true);
            }
        }
        if left > 0 {
            self.is_cut(interrupt.so_far());
        }
        Ok(())
    }

    /// Deletes what only the target has. An empty source may be a disk that is not mounted, and so
    /// deletes nothing.
    pub async fn delete(
        &mut self,
        store: &Named,
        extra: Vec<Entry>,
        is_source_empty: bool,
        dry_run: bool,
        interrupt: &Interrupt,
    ) -> Result<()> {
        if is_source_empty && !extra.is_empty() {
            return self.add(None, Err(EmptySource.into())).await.map(drop);
        }
        let delete = |entry: Entry| async move {
            let outcome = match dry_run {
                true => Ok(Outcome::WouldDelete),
                false => {
                    store.blame(store.store.delete(&entry.key).await).map(|()| Outcome::Deleted)
                }
            };
            (entry.key, entry.size, outcome)
        };
        self.each(extra, DELETIONS, interrupt, delete).await
    }

    /// What of the gone artifacts is listed again.
    pub async fn holes(&mut self, holes: Result<Vec<Entry>>) -> Result<()> {
        match holes {
            Ok(entries) => {
                for entry in entries {
                    let key = shown::name(&entry.key);
                    let error = anyhow!("cannot copy `{key}`: {}", gone::TEXT);
                    self.add(Some((&entry.key, Some(entry.size))), Err(error)).await?;
                }
            }
            Err(error) => {
                self.add(None, Err(error)).await?;
            }
        }
        Ok(())
    }

    /// Whether something was copied.
    pub fn has_copied(&self) -> bool {
        self.summary.copied > 0
    }

    /// Whether all of the source was looked at.
    pub fn is_complete(&self) -> bool {
        self.summary.complete
    }

    /// It ends before every artifact was looked at.
    pub fn is_cut(&mut self, interrupted: Option<Interrupted>) {
        self.summary.complete = false;
        match interrupted {
            Some(interrupted) => {
                // It counts more than any failure, and is said once.
                let failure = Some((0, interrupted.code()));
                if self.failure != failure {
                    message::print(&interrupted.to_string());
                    self.failure = failure;
                }
            }
            None => message::print(streak::STOPPED),
        }
    }

    async fn line(&mut self, line: Line<'_>) -> Result<()> {
        if self.json { self.out.json(&line).await } else { Ok(()) }
    }

    /// The exit code.
    pub async fn finish(mut self, took: Duration) -> Result<u8> {
        match self.json {
            true => self.out.json(&Line::Summary(&self.summary)).await?,
            false => self.out.text(&self.summary.text(took)).await?,
        }
        self.out.finish().await?;
        Ok(self.failure.map_or(0, |(_, code)| code))
    }
}

impl Summary {
    fn text(&self, took: Duration) -> String {
        let mut text = if self.dry_run {
            let size = HumanBytes(self.would_copy_bytes);
            format!("{} would be copied, {size}", count(self.would_copy, "artifact"))
        } else {
            let rate = (self.bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
            let (size, rate) = (HumanBytes(self.bytes), HumanBytes(rate));
            format!("{} copied, {size} at {rate}/s", count(self.copied, "artifact"))
        };
        text.push_str(&format!("; {} already there", self.present));
        match (self.dry_run, self.deleted, self.would_delete) {
            (false, Some(deleted), _) => text.push_str(&format!("; {deleted} deleted")),
            (true, _, Some(deleted)) => text.push_str(&format!("; {deleted} would be deleted")),
            _ => {}
        }
        if self.failed > 0 {
            text.push_str(&format!("; {} failed", self.failed));
        }
        if !self.complete {
            text.push_str("; incomplete: not all artifacts were examined");
        }
        text.push('\n');
        text
    }
}
