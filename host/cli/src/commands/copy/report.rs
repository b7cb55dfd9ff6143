//! What came of a copy, line by line.

use std::time::Duration;

use anyhow::{Result, anyhow};
use artifact_store::Entry;
use indicatif::HumanBytes;
use serde::Serialize;

use crate::commands::gone::{self, Gone};
use crate::exit;
use crate::failure;
use crate::interrupt::Interrupted;
use crate::message;
use crate::output::Standard;
use crate::streak::{self, Streak};

/// A line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    Artifact {
        key: &'a str,
        size: u64,
        state: State,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Summary(&'a Summary),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Copied,
    /// A dry run found that it is missing, or differs.
    WouldCopy,
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
    failed: u64,
    /// Whether every artifact was looked at.
    complete: bool,
}

pub enum Outcome {
    Copied(u64),
    WouldCopy,
    Present,
    /// It was deleted meanwhile.
    Gone,
}

pub struct Report {
    out: Standard,
    json: bool,
    summary: Summary,
    streak: Streak,
    pub gone: Gone,
    /// The exit code of the first failure.
    failure: Option<u8>,
}

impl Report {
    pub fn new(out: Standard, json: bool, dry_run: bool) -> Self {
        let summary = Summary {
            dry_run,
            copied: 0,
            bytes: 0,
            would_copy: 0,
            would_copy_bytes: 0,
            present: 0,
            failed: 0,
            complete: true,
        };
        Self { out, json, summary, streak: Streak::default(), gone: Gone::default(), failure: None }
    }

    /// How it went with one artifact, or with the listing; whether to go on.
    pub async fn add(&mut self, entry: Option<Entry>, outcome: Result<Outcome>) -> Result<bool> {
        let entry = entry.as_ref();
        let (key, size) = entry.map_or(("", 0), |entry| (&entry.key, entry.size));
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
        self.failure.get_or_insert(code);
        if entry.is_none() {
            self.summary.complete = false;
            return Ok(true);
        }
        self.summary.failed += 1;
        let text = Some(format!("{error:#}"));
        self.line(Line::Artifact { key, size, state: State::Failed, error: text }).await?;
        Ok(!self.streak.failed(&error))
    }

    async fn succeeded(&mut self, key: &str, size: u64, outcome: Outcome) -> Result<()> {
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
                self.summary.would_copy_bytes += size;
                if !self.json {
                    return self.out.text(&format!("{key}\n")).await;
                }
                State::WouldCopy
            }
        };
        self.line(Line::Artifact { key, size, state, error: None }).await
    }

    /// What of the gone artifacts is listed again.
    pub async fn holes(&mut self, holes: Result<Vec<Entry>>) -> Result<()> {
        match holes {
            Ok(entries) => {
                for entry in entries {
                    let key = entry.key.escape_debug();
                    let error = anyhow!("cannot copy `{key}`: {}", gone::TEXT);
                    self.add(Some(entry), Err(error)).await?;
                }
            }
            Err(error) => {
                self.add(None, Err(error)).await?;
            }
        }
        Ok(())
    }

    /// It ends before every artifact was looked at.
    pub fn is_cut(&mut self, interrupted: Option<Interrupted>) {
        self.summary.complete = false;
        match interrupted {
            Some(interrupted) => self.failure = Some(interrupted.code()),
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
        Ok(self.failure.unwrap_or(0))
    }
}

impl Summary {
    fn text(&self, took: Duration) -> String {
        let mut text = if self.dry_run {
            let size = HumanBytes(self.would_copy_bytes);
            format!("{} artifacts would be copied, {size}", self.would_copy)
        } else {
            let rate = (self.bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
            let (size, rate) = (HumanBytes(self.bytes), HumanBytes(rate));
            format!("{} artifacts copied, {size} at {rate}/s", self.copied)
        };
        text.push_str(&format!("; {} already there", self.present));
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
