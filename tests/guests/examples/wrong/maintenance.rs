//! Audit and sweep.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::artifact::storage::types::Error;
use crate::exports::artifact::storage::maintenance::{
    Finding, FindingKind, Findings, Guest, SweepReport,
};
use crate::files::{TEMPORARIES, all, explain, open, paths};
use crate::names::ARTIFACTS;
use crate::paging::page;
use crate::{Wrong, fault};

fn finding(kind: FindingKind, path: &Path, detail: &str) -> (String, Finding) {
    let name = path.display().to_string();
    let size = fs::metadata(path).ok().map(|metadata| metadata.len());
    (name.clone(), Finding { kind, name, size, modified: None, detail: detail.into() })
}

impl Guest for Wrong {
    async fn audit(cursor: Option<String>, limit: u32) -> Result<Findings, Error> {
        if fault("audit-fails") {
            return Err(Error::Unavailable("as asked".into()));
        }
        let mut found = Vec::new();
        for path in paths("/")? {
            if ![TEMPORARIES, ARTIFACTS, "/lock"].map(Path::new).contains(&path.as_path()) {
                found.push(finding(FindingKind::Foreign, &path, "not of this store"));
            }
        }
        if fault("audit-overlooks") {
            found.pop();
        }
        for path in paths(TEMPORARIES)? {
            found.push(finding(FindingKind::Temporary, &path, "an unfinished write"));
            if fault("audit-removes") {
                let _ = fs::remove_file(&path);
            }
        }
        for (_, path) in all()? {
            if fault("audit-trusts") {
                break;
            }
            let is_sound = open(&path).is_ok_and(|found| found.info.size == found.length);
            if !is_sound || fault("audit-doubts") {
                found.push(finding(FindingKind::Damaged, &path, "not its size"));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let limit = if fault("audit-ignores-limit") { 0 } else { limit };
        let (found, next) = page(found, cursor.as_deref(), limit)?;
        Ok(Findings { items: found.into_iter().map(|(_, finding)| finding).collect(), next })
    }

    async fn sweep(older_than_seconds: u64) -> Result<SweepReport, Error> {
        let mut report = SweepReport { removed: 0, bytes: 0, kept: 0 };
        let mut swept = paths(TEMPORARIES)?;
        if fault("sweep-takes-all") {
            let of_store = [TEMPORARIES, ARTIFACTS].map(PathBuf::from);
            swept.extend(paths("/")?.into_iter().filter(|path| !of_store.contains(path)));
        }
        if fault("sweep-of-nothing-fails") && swept.is_empty() {
            return Err(Error::NotFound);
        }
        for path in swept {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let age = metadata
                .modified()
                .ok()
                .map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
            if age.is_none_or(|age| age.as_secs() < older_than_seconds)
                && !fault("sweep-ignores-age")
            {
                report.kept += 1;
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => {
                    report.removed += 1 + u64::from(fault("sweep-counts-twice"));
                    report.bytes += metadata.len();
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(explain(error)),
            }
        }
        Ok(report)
    }
}
