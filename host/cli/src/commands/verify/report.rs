//! What was found, line by line, and what it means for the exit code.

use std::time::Duration;

use anyhow::Result;
use artifact_store::{Finding, FindingKind};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::commands::stat::rfc3339;
use crate::exit;
use crate::failure;
use crate::message;
use crate::output::Standard;
use crate::shown;
use crate::streak::{self, Streak};
use crate::units::{self, count};

/// A line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    /// An artifact that was read.
    Artifact {
        key: &'a str,
        state: State,
        #[serde(skip_serializing_if = "Option::is_none")]
        repair: Option<Repair>,
        error: String,
    },
    /// What the backend found in its storage.
    Finding {
        name: &'a str,
        state: State,
        size: Option<u64>,
        modified: Option<String>,
        error: &'a str,
    },
    /// A part of the store that could not be seen.
    Failure {
        error: String,
    },
    /// Where a run that stopped early can go on.
    Stopped {
        start_after: &'a str,
    },
    Summary(&'a Summary),
}

/// What came of fetching an artifact from the other store.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// It is what was put here.
    Compared,
    /// What was put here could not be told any more.
    Uncompared,
    /// It would have been something else, and was left there.
    AnotherVersion,
    Failed,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Damaged,
    Repaired,
    Unreadable,
    Temporary,
    Foreign,
}

#[derive(Serialize)]
pub struct Summary {
    /// Artifacts that were read whole and compared with their checksum.
    sound: u64,
    /// Artifacts that were read whole, and have no checksum to be compared with.
    unchecked: u64,
    /// Of both.
    bytes: u64,
    /// How long it took.
    seconds: f64,
    damaged: u64,
    unreadable: u64,
    temporary: u64,
    foreign: u64,
    /// Whether every artifact was read, and every finding seen.
    complete: bool,
    /// Whether the backend could be asked for its own findings.
    pub audited: bool,
    /// Damaged artifacts that were fetched from the other store.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<u64>,
    /// Those of them that could not be compared with what was put here.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompared: Option<u64>,
    /// Unfinished writes that were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
}

pub struct Report {
    out: Standard,
    json: bool,
    pub summary: Summary,
    streak: Streak,
    /// The exit code of the first thing that could not be seen.
    unseen: Option<u8>,
}

impl Report {
    pub fn new(out: Standard, json: bool) -> Self {
        let summary = Summary {
            sound: 0,
            unchecked: 0,
            bytes: 0,
            seconds: 0.0,
            damaged: 0,
            unreadable: 0,
            temporary: 0,
            foreign: 0,
            complete: true,
            audited: true,
            repaired: None,
            uncompared: None,
            removed: None,
        };
        Self { out, json, summary, streak: Streak::default(), unseen: None }
    }

    /// Artifacts are fetched from another store: that none was is worth a number, too.
    pub fn expect_repairs(&mut self) {
        (self.summary.repaired, self.summary.uncompared) = (Some(0), Some(0));
    }

    /// An artifact came to its end.
    pub fn read(&mut self, bytes: u64, is_checked: bool) {
        let Summary { sound, unchecked, .. } = &mut self.summary;
        *(if is_checked { sound } else { unchecked }) += 1;
        self.summary.bytes += bytes;
        self.streak.succeeded();
    }

    /// An artifact is damaged, or was until it was repaired.
    pub async fn damaged(
        &mut self,
        key: &str,
        repair: Option<Repair>,
        error: String,
    ) -> Result<()> {
        let summary = &mut self.summary;
        if let Some(Repair::Uncompared) = repair {
            *summary.uncompared.get_or_insert_default() += 1;
        }
        let state = match repair {
            Some(Repair::Compared | Repair::Uncompared) => {
                *summary.repaired.get_or_insert_default() += 1;
                State::Repaired
            }
            _ => {
                summary.damaged += 1;
                State::Damaged
            }
        };
        self.artifact(key, state, repair, error).await
    }

    /// An artifact could not be read; whether to go on.
    pub async fn unreadable(&mut self, key: &str, error: artifact_store::Error) -> Result<bool> {
        self.summary.unreadable += 1;
        self.artifact(key, State::Unreadable, None, error.kind().to_string()).await?;
        let error = error.into();
        self.unseen.get_or_insert(exit::code(&error));
        if self.streak.failed(&error) {
            self.summary.complete = false;
            message::print(streak::STOPPED);
            return Ok(false);
        }
        Ok(true)
    }

    /// A part of the store could not be seen, for this reason.
    pub async fn failed(&mut self, error: &anyhow::Error) -> Result<()> {
        self.summary.complete = false;
        let code = exit::report(error);
        self.unseen.get_or_insert(code);
        match self.json {
            true => self.out.json(&Line::Failure { error: format!("{error:#}") }).await,
            false => Ok(()),
        }
    }

    /// Whether no part of the store was left out.
    pub fn has_read_all(&self) -> bool {
        self.summary.complete
    }

    /// Everything up to this key has been read, and not more.
    pub async fn stopped(&mut self, key: &str) -> Result<()> {
        if self.json {
            return self.out.json(&Line::Stopped { start_after: key }).await;
        }
        let option = match shown::is_plain(key) {
            true => format!("--start-after {}", shown::word(key)),
            // No terminal would take it as it is.
            false => "--start-after with the key that --json states".to_owned(),
        };
        message::print(&format!("to go on behind the last artifact that was read: {option}"));
        Ok(())
    }

    pub async fn found(&mut self, finding: &Finding) -> Result<()> {
        let Finding { kind, name, size, modified, detail, .. } = finding;
        let (state, number) = match kind {
            FindingKind::Damaged => (State::Damaged, &mut self.summary.damaged),
            FindingKind::Temporary => (State::Temporary, &mut self.summary.temporary),
            _ => (State::Foreign, &mut self.summary.foreign),
        };
        *number += 1;
        if self.json {
            let (size, modified) = (*size, modified.and_then(rfc3339));
            let line = Line::Finding { name, state, size, modified, error: detail };
            return self.out.json(&line).await;
        }
        let bytes = size.map(|size| format!(", {}", count(size, "byte"))).unwrap_or_default();
        let (name, detail) = (shown::name(name), shown::name(detail));
        self.out.text(&format!("{}  {name}{bytes}: {detail}\n", state.word())).await
    }

    async fn artifact(
        &mut self,
        key: &str,
        state: State,
        repair: Option<Repair>,
        error: String,
    ) -> Result<()> {
        if self.json {
            return self.out.json(&Line::Artifact { key, state, repair, error }).await;
        }
        let (word, key) = (state.word(), shown::name(key));
        self.out.text(&format!("{word}  `{key}`: {}\n", shown::name(&error))).await
    }

    pub async fn flush(&mut self) -> Result<()> {
        self.out.finish().await
    }

    /// The exit code.
    pub async fn finish(mut self, took: Duration) -> Result<u8> {
        self.summary.seconds = (took.as_secs_f64() * 1e3).round() / 1e3;
        match self.json {
            true => self.out.json(&Line::Summary(&self.summary)).await?,
            false => self.out.text(&self.summary.text(took)).await?,
        }
        self.out.finish().await?;
        Ok(match (self.summary.damaged, self.unseen) {
            (1.., _) => failure::CORRUPT,
            (0, Some(code)) => code,
            (0, None) if self.summary.unchecked > 0 => failure::FAILURE,
            (0, None) => 0,
        })
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Repaired => "repaired",
            Self::Unreadable => "unreadable",
            Self::Temporary => "temporary",
            Self::Foreign => "foreign",
        }
    }
}

impl Summary {
    fn text(&self, took: Duration) -> String {
        let rate = (self.bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
        let mut text = format!(
            "{} {} sound, {} in {} at {}/s; {} damaged",
            count(self.sound, "artifact"),
            if self.sound == 1 { "is" } else { "are" },
            HumanBytes(self.bytes),
            units::span(took),
            HumanBytes(rate),
            self.damaged
        );
        for (number, what) in [
            (self.repaired.unwrap_or(0), "repaired"),
            (self.uncompared.unwrap_or(0), "of these not compared"),
            (self.unchecked, "unchecked (without a checksum)"),
            (self.unreadable, "unreadable"),
            (
                self.temporary,
                if self.temporary == 1 { "unfinished write" } else { "unfinished writes" },
            ),
            (self.foreign, "foreign"),
        ] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        if let Some(removed) = self.removed {
            text.push_str(&format!("; {} removed", count(removed, "unfinished write")));
        }
        if !self.audited {
            text.push_str("; the backend offers no audit");
        }
        if !self.complete {
            text.push_str("; incomplete: a part of the store was not read");
        }
        text.push('\n');
        text
    }
}
