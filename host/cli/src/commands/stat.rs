use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::output::Standard;
use crate::store::StoreArguments;

/// Shows the size, checksum and modification time of an artifact
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store stat builds/app-1.2
  artifact-store stat builds/app-1.2 --json | jq .size")]
pub struct Arguments {
    /// The key of the artifact
    key: String,

    /// Write one JSON object: {"type": "artifact", "key", "size", "checksum", "modified"}
    ///
    /// The checksum is the CRC-64/NVME in 16 hexadecimal digits. The time is in RFC 3339, UTC. Each
    /// is null if the backend does not know it.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "artifact")]
struct Shown<'a> {
    key: &'a str,
    size: u64,
    checksum: Option<String>,
    modified: Option<String>,
}

pub async fn run(store: &StoreArguments, Arguments { key, json }: Arguments) -> Result<()> {
    let mut out = Standard::open()?;
    let cannot = || format!("cannot stat `{}`", key.escape_debug());
    let store = store.open_unswept().await.with_context(cannot)?;
    let info = store.stat(&key).await?;
    let shown = Shown {
        key: &key,
        size: info.size,
        checksum: info.checksum.map(|checksum| format!("{checksum:016x}")),
        modified: info.modified.and_then(rfc3339),
    };
    match json {
        true => out.json(&shown).await?,
        false => out.text(&shown.lines()).await?,
    }
    out.finish().await
}

impl Shown<'_> {
    fn lines(&self) -> String {
        let Self { key, size, checksum, modified } = self;
        let checksum = match checksum {
            Some(checksum) => format!("{checksum} (CRC-64/NVME)"),
            None => "unknown".into(),
        };
        let modified = modified.as_deref().unwrap_or("unknown");
        format!(
            "key       {key}\nsize      {size} bytes\nchecksum  {checksum}\nmodified  {modified}\n"
        )
    }
}

/// None outside the years 1970 to 9999, which the format and the formatter end at.
pub fn rfc3339(time: SystemTime) -> Option<String> {
    const YEAR_10000: u64 = 253_402_300_800;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (seconds < YEAR_10000).then(|| humantime::format_rfc3339(time).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_that_cannot_be_written_is_unknown() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(rfc3339(at(0)).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(rfc3339(at(253_402_300_799)).as_deref(), Some("9999-12-31T23:59:59Z"));
        assert_eq!(rfc3339(at(253_402_300_800)), None);
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
