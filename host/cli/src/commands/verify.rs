use std::time::{Duration, Instant};

use anyhow::Result;
use artifact_store::{ArtifactStore, ErrorKind, Finding, FindingKind, ReadOptions, Swept};
use clap::Args;
use futures::{TryStreamExt, stream};
use indicatif::HumanBytes;
use serde::Serialize;

use super::stat::rfc3339;
use crate::arguments::StoreArguments;
use crate::exit;
use crate::output::Standard;
use crate::progress::Progress;

/// Artifacts that are read at once.
const AT_ONCE: usize = 4;

/// Reads all artifacts and reports what is damaged
///
/// Each artifact is read to its end and compared with its checksum. Then the backend is asked for
/// what only it can see: damage of artifacts that no listing names, unfinished writes, and things
/// that are not of this store; these are reported for the whole store, whatever the prefix.
///
/// Nothing is changed without --repair. Exits with 5 if anything is damaged; otherwise with the
/// code of the first artifact that could not be read, if there is one.
#[derive(Args)]
#[command(after_help = "\
A damaged artifact is repaired by putting it again, or deleted by its key.

Examples:
  artifact-store verify
  artifact-store verify builds/
  artifact-store verify --json | jq -r 'select(.damaged) | .key'
  artifact-store verify --repair --older-than 2h")]
pub struct Arguments {
    /// What the keys of the artifacts to read begin with; none reads all
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// Remove the unfinished writes that nobody goes on with, and nothing else
    #[arg(long)]
    repair: bool,

    /// How long ago an unfinished write has to have been written to, to be removed
    #[arg(long, value_name = "AGE", default_value = "1day", requires = "repair")]
    #[arg(value_parser = humantime::parse_duration)]
    older_than: Duration,

    /// Write one object a line for each problem, and a summary at the end
    #[arg(long)]
    json: bool,
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Artifact {
        key: &'a str,
        damaged: bool,
        error: String,
    },
    Finding {
        finding: &'static str,
        name: &'a str,
        size: Option<u64>,
        modified: Option<String>,
        detail: &'a str,
    },
    Summary(&'a Summary),
}

#[derive(Default, Serialize)]
struct Summary {
    /// Artifacts that were read whole and are right.
    sound: u64,
    bytes: u64,
    damaged: u64,
    unreadable: u64,
    temporary: u64,
    foreign: u64,
    /// Whether the backend could be asked for its own findings.
    audited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<u64>,
}

struct Report {
    out: Standard,
    json: bool,
    summary: Summary,
    /// The exit code of the first artifact that could not be read.
    unreadable: Option<u8>,
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<u8> {
    let Arguments { prefix, repair, older_than, json } = arguments;
    let summary = Summary::default();
    let mut report = Report { out: Standard::new(), json, summary, unreadable: None };
    let begun = Instant::now();
    if let Some(store) = store.open_unswept().await? {
        // What was found until it failed is worth knowing.
        let outcome = report.examine(&store, &prefix, repair.then_some(older_than)).await;
        if outcome.is_err() {
            report.out.finish().await?;
        }
        outcome?;
    } else {
        report.summary.audited = true;
    }
    report.finish(begun.elapsed()).await
}

impl Report {
    async fn examine(
        &mut self,
        store: &ArtifactStore,
        prefix: &str,
        repair: Option<Duration>,
    ) -> Result<()> {
        self.read_all(store, prefix).await?;
        if let Some(older_than) = repair {
            let Swept { removed, .. } = store.sweep(older_than).await?;
            self.summary.removed = Some(removed);
        }
        self.audit(store).await
    }

    async fn read_all(&mut self, store: &ArtifactStore, prefix: &str) -> Result<()> {
        let mut progress = Progress::new("verify", None);
        let keys = stream::try_unfold(store.list(prefix), async |mut listing| {
            let entry = listing.next().await?;
            Ok::<_, artifact_store::Error>(entry.map(|entry| (entry.key, listing)))
        });
        let reading = keys
            .map_ok(|key| async move {
                let outcome = read(store, &key).await;
                Ok((key, outcome))
            })
            .try_buffer_unordered(AT_ONCE);
        let mut reading = std::pin::pin!(reading);
        while let Some((key, outcome)) = reading.try_next().await? {
            match outcome {
                Ok(bytes) => {
                    self.summary.sound += 1;
                    self.summary.bytes += bytes;
                    progress.add(bytes);
                }
                Err(error) => self.failed(&key, error).await?,
            }
        }
        Ok(())
    }

    async fn failed(&mut self, key: &str, error: artifact_store::Error) -> Result<()> {
        let damaged = match error.kind() {
            // It was deleted meanwhile.
            ErrorKind::NotFound => return Ok(()),
            // Bytes that are not the ones that were put, whoever noticed it.
            ErrorKind::Corrupt(_) | ErrorKind::Protocol(_) => true,
            _ => false,
        };
        let what = if damaged { "damaged" } else { "unreadable" };
        let text = format!("{what}  `{}`: {}", key.escape_debug(), error.kind());
        let line = Line::Artifact { key, damaged, error: error.kind().to_string() };
        self.write(&line, text).await?;
        if damaged {
            self.summary.damaged += 1;
        } else {
            self.summary.unreadable += 1;
            self.unreadable.get_or_insert(exit::code(&error.into()));
        }
        Ok(())
    }

    async fn audit(&mut self, store: &ArtifactStore) -> Result<()> {
        let mut audit = store.audit();
        loop {
            match audit.next().await {
                Ok(Some(finding)) => self.found(&finding).await?,
                Ok(None) => break,
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.summary.audited = true;
        Ok(())
    }

    async fn found(&mut self, finding: &Finding) -> Result<()> {
        let Finding { kind, name, size, modified, detail, .. } = finding;
        let (what, count) = match kind {
            FindingKind::Damaged => ("damaged", &mut self.summary.damaged),
            FindingKind::Temporary => ("temporary", &mut self.summary.temporary),
            _ => ("foreign", &mut self.summary.foreign),
        };
        *count += 1;
        let bytes = size.map(|size| format!(", {size} bytes")).unwrap_or_default();
        let text = format!("{what}  {}{bytes}: {}", name.escape_debug(), detail.escape_debug());
        let modified = modified.and_then(rfc3339);
        let line = Line::Finding { finding: what, name, size: *size, modified, detail };
        self.write(&line, text).await
    }

    async fn write(&mut self, line: &Line<'_>, text: String) -> Result<()> {
        let mut line = if self.json { serde_json::to_string(line)? } else { text };
        line.push('\n');
        self.out.write(line.as_bytes()).await
    }

    async fn finish(mut self, took: Duration) -> Result<u8> {
        let summary = std::mem::take(&mut self.summary);
        self.write(&Line::Summary(&summary), summary.text(took)).await?;
        self.out.finish().await?;
        Ok(match summary.damaged {
            0 => self.unreadable.unwrap_or(0),
            _ => exit::CORRUPT,
        })
    }
}

impl Summary {
    fn text(&self, took: Duration) -> String {
        let Self { sound, bytes, damaged, unreadable, temporary, foreign, audited, removed } = self;
        let rate = (*bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
        let mut text = format!(
            "{sound} artifacts are sound, {} at {}/s; {damaged} damaged",
            HumanBytes(*bytes),
            HumanBytes(rate)
        );
        for (count, what) in
            [(unreadable, "unreadable"), (temporary, "unfinished writes"), (foreign, "foreign")]
        {
            if *count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if let Some(removed) = removed {
            text.push_str(&format!("; {removed} unfinished writes removed"));
        }
        if !audited {
            text.push_str("; the backend offers no audit of its own");
        }
        text
    }
}

/// Reads a whole artifact, which compares it with its checksum; its size.
async fn read(store: &ArtifactStore, key: &str) -> artifact_store::Result<u64> {
    let mut reader = store.read(key, ReadOptions::default()).await?;
    while reader.next_chunk().await?.is_some() {}
    Ok(reader.info().size)
}
