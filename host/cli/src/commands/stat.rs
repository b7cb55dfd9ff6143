use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use artifact_store::Info;
use clap::Args;
use serde::Serialize;

use crate::exit;
use crate::message;
use crate::output::Standard;
use crate::shown;
use crate::store::StoreArguments;
use crate::streak::{self, Streak};
use crate::units::count;

/// Shows the size, checksum, time, version and attributes of artifacts
///
/// After a failure the remaining keys are still looked at; the exit code is that of the first failure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store stat builds/app-1.2
  artifact-store list --null builds/ | xargs -0 artifact-store stat --json --
  artifact-store stat builds/app-1.2 --json | jq .size")]
pub struct Arguments {
    /// The keys of the artifacts
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,

    /// Write one JSON object per line: {"type": "artifact", "key", "size", "checksum", "modified", "version",
    /// "attributes"}
    ///
    /// The checksum is the CRC-64/NVME in 16 hexadecimal digits. The time is in RFC 3339, UTC. The
    /// version is what `put --if-match` takes. Each is null if the backend does not know it. The
    /// attributes are an object of strings.
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
    version: Option<&'a str>,
    attributes: BTreeMap<&'a str, &'a str>,
}

/// The exit code.
pub async fn run(store: &StoreArguments, Arguments { keys, json }: Arguments) -> Result<u8> {
    let mut out = Standard::open()?;
    let cannot = || format!("cannot stat `{}`", shown::name(&keys[0]));
    let store = store.open_unswept().await.with_context(cannot)?;
    let (mut first, mut streak) = (None, Streak::default());
    for (n, key) in keys.iter().enumerate() {
        let info = match store.stat(key).await {
            Ok(info) => info,
            Err(error) => {
                let error = error.into();
                first.get_or_insert(exit::report(&error));
                if streak.failed(&error) {
                    message::print(streak::STOPPED);
                    break;
                }
                continue;
            }
        };
        streak.succeeded();
        let shown = Shown::of(key, &info);
        match json {
            true => out.json(&shown).await?,
            false if n == 0 => out.text(&shown.lines()).await?,
            false => out.text(&format!("\n{}", shown.lines())).await?,
        }
    }
    out.finish().await?;
    Ok(first.unwrap_or(0))
}

impl<'a> Shown<'a> {
    fn of(key: &'a str, info: &'a Info) -> Self {
        Self {
            key,
            size: info.size,
            checksum: info.checksum.map(|checksum| format!("{checksum:016x}")),
            modified: info.modified.and_then(rfc3339),
            version: info.version.as_deref(),
            attributes: info.attributes.iter().collect(),
        }
    }

    fn lines(&self) -> String {
        let Self { key, size, checksum, modified, version, attributes } = self;
        let size = count(*size, "byte");
        let checksum = match checksum {
            Some(checksum) => format!("{checksum} (CRC-64/NVME)"),
            None => "unknown".into(),
        };
        let modified = modified.as_deref().unwrap_or("unknown");
        let version = version.unwrap_or("unknown");
        let mut lines = format!(
            "key       {key}\nsize      {size}\nchecksum  {checksum}\nmodified  {modified}\n\
             version   {version}\n"
        );
        for (name, value) in attributes {
            lines.push_str(&format!("{name}: {value}\n"));
        }
        lines
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
