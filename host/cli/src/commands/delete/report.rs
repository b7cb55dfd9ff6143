//! What came of it, line by line.

use anyhow::Result;
use indicatif::HumanBytes;
use serde::Serialize;

use crate::commands::line;
use crate::exit;
use crate::failure;
use crate::interrupt::Interrupted;
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
    Deleted,
    WouldDelete,
    Absent,
    Failed,
}

#[derive(Default, Serialize)]
struct Summary {
    dry_run: bool,
    /// Artifacts that were deleted, and their bytes as far as these are known.
    deleted: u64,
    bytes: u64,
    would_delete: u64,
    would_delete_bytes: u64,
    /// Keys that had no artifact.
    absent: u64,
    failed: u64,
    /// Whether each was tried.
    complete: bool,
}

/// What came of one artifact; with its size, where that is known.
pub enum Outcome {
    Deleted(Option<u64>),
    WouldDelete(Option<u64>),
    Absent,
}

pub struct Report {
    out: Standard,
    json: bool,
    summary: Summary,
    streak: Streak,
    /// The exit code of the first failure.
    failure: Option<u8>,
}

impl Report {
    pub fn new(out: Standard, json: bool, dry_run: bool) -> Self {
        let summary = Summary { dry_run, complete: true, ..Summary::default() };
        Self { out, json, summary, streak: Streak::default(), failure: None }
    }

    /// Whether to go on.
    pub async fn add(&mut self, key: &str, outcome: Result<Outcome>) -> Result<bool> {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return self.failed(key, &error).await,
        };
        self.streak.succeeded();
        let summary = &mut self.summary;
        let (state, size) = match outcome {
            Outcome::Deleted(size) => {
                summary.deleted += 1;
                summary.bytes += size.unwrap_or(0);
                (State::Deleted, size)
            }
            Outcome::WouldDelete(size) => {
                summary.would_delete += 1;
                summary.would_delete_bytes += size.unwrap_or(0);
                (State::WouldDelete, size)
            }
            Outcome::Absent => {
                summary.absent += 1;
                (State::Absent, None)
            }
        };
        match (self.json, &state) {
            (true, _) => self.out.json(&Line::Artifact { key, size, state, error: None }).await?,
            (false, State::WouldDelete) => self.out.text(&format!("{key}\n")).await?,
            (false, State::Absent) => {
                let key = shown::name(key);
                self.out.text(&format!("absent  `{key}`: it has no artifact\n")).await?;
            }
            _ => {}
        }
        Ok(true)
    }

    async fn failed(&mut self, key: &str, error: &anyhow::Error) -> Result<bool> {
        self.failure.get_or_insert(exit::report(error));
        self.summary.failed += 1;
        if self.json {
            let (state, error) = (State::Failed, Some(format!("{error:#}")));
            self.out.json(&Line::Artifact { key, size: None, state, error }).await?;
        }
        if self.streak.failed(error) && self.summary.complete {
            self.summary.complete = false;
            message::print(streak::STOPPED);
        }
        Ok(self.summary.complete)
    }

    /// It ends for this reason before each was tried.
    pub async fn is_cut(&mut self, error: &anyhow::Error) -> Result<()> {
        self.summary.complete = false;
        let code = exit::report(error);
        if failure::find::<Interrupted>(error).is_some() {
            // It counts more than any failure.
            self.failure = Some(code);
            return Ok(());
        }
        self.failure.get_or_insert(code);
        match self.json {
            true => self.out.json(&Line::Failure { error: format!("{error:#}") }).await,
            false => Ok(()),
        }
    }

    /// The exit code.
    pub async fn finish(mut self) -> Result<u8> {
        match self.json {
            true => self.out.json(&Line::Summary(&self.summary)).await?,
            false => self.out.text(&self.summary.text()).await?,
        }
        self.out.finish().await?;
        Ok(self.failure.unwrap_or(0))
    }
}

impl Summary {
    fn text(&self) -> String {
        let (number, bytes, what) = match self.dry_run {
            true => (self.would_delete, self.would_delete_bytes, "would be deleted"),
            false => (self.deleted, self.bytes, "deleted"),
        };
        let mut text = format!("{} {what}, {}", count(number, "artifact"), HumanBytes(bytes));
        if self.absent > 0 {
            text.push_str(&format!("; {} without an artifact", count(self.absent, "key")));
        }
        if self.failed > 0 {
            text.push_str(&format!("; {} failed", self.failed));
        }
        if !self.complete {
            text.push_str("; incomplete: not all were tried");
        }
        text.push('\n');
        text
    }
}
