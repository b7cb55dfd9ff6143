//! Pages that contradict themselves, each other, or what was asked for; and what maintenance says.

use crate::artifact::storage::types::{Error, Instant};
use crate::exports::artifact::storage::inventory::{Entry, Page};
use crate::exports::artifact::storage::maintenance::{
    Finding, FindingKind, Findings, Guest, SweepReport,
};
use crate::{Rogue, spin};

pub fn listed(prefix: &str, cursor: Option<String>) -> Result<Page, Error> {
    let entry = |key: String| Entry { key, size: 0, modified: None, version: None };
    let at: u64 = cursor.as_deref().map_or(0, |cursor| cursor.parse().unwrap_or(1));
    let next = Some((at + 1).to_string());
    Ok(match prefix {
        "unsorted" => {
            Page { entries: vec![entry("unsorted2".into()), entry("unsorted1".into())], next: None }
        }
        "" => Page { entries: vec![entry(String::new())], next: None },
        "long-key" => Page { entries: vec![entry("long-key".repeat(200))], next: None },
        "huge-size" => Page {
            entries: vec![Entry {
                key: "huge-size".into(),
                size: u64::MAX,
                modified: None,
                version: None,
            }],
            next: None,
        },
        "bidi" => Page { entries: vec![entry("bidi\u{202e}\u{feff}".into())], next: None },
        "many" => Page { entries: (0..2_000_000).map(|n| entry(n.to_string())).collect(), next },
        "over-the-limit" => {
            let entries = (0..1001).map(|n| entry(format!("over-the-limit{n:04}"))).collect();
            Page { entries, next: None }
        }
        "no-cursor" => Page { entries: vec![], next: Some(String::new()) },
        "odd-cursor" => Page { entries: vec![], next: Some(format!("\0\x1b\u{202e}{}", at + 1)) },
        "same" => Page { entries: vec![entry("same".into())], next },
        "backwards" => Page { entries: vec![entry(format!("backwards{:06}", 9999 - at))], next },
        "endless" => Page { entries: vec![entry(format!("endless{at:09}"))], next },
        "fails-later" if at > 0 => return Err(Error::Unavailable("as asked".into())),
        "traps-later" if at > 0 => panic!("as asked"),
        "spins-later" if at > 0 => spin(),
        "fails-later" | "traps-later" | "spins-later" => Page { entries: vec![], next },
        _ => Page { entries: vec![], next: None },
    })
}

/// How a call without a key is to misbehave.
fn behaviour() -> String {
    std::fs::read_to_string("/behaviour").unwrap_or_default()
}

fn finding(name: String, detail: &str) -> Finding {
    let modified = Some(Instant { seconds: i64::MIN, nanoseconds: u32::MAX });
    let (kind, size) = (FindingKind::Damaged, Some(u64::MAX));
    Finding { kind, name, size, modified, detail: detail.into() }
}

impl Guest for Rogue {
    async fn audit(cursor: Option<String>, _: u32) -> Result<Findings, Error> {
        let at: u64 = cursor.as_deref().map_or(0, |cursor| cursor.parse().unwrap_or(0));
        let next = Some((at + 1).to_string());
        let (items, next) = match behaviour().as_str() {
            "endless" => (vec![finding(at.to_string(), "again")], next),
            "nothing" => (vec![], next),
            "circle" => (vec![], Some("0".into())),
            "crowd" => ((0..100_000).map(|n| finding(n.to_string(), "")).collect(), None),
            "huge-name" => (vec![finding("\u{202e}\n\x1b[2J".repeat(4 << 20), "")], None),
            "texts" => (vec![finding("\0\x1b[2J\r\n".into(), "\u{202e}\u{feff}\n")], None),
            "huge-cursor" => (vec![], Some("x".repeat(40 << 20))),
            "trap" => panic!("as asked"),
            "spin" => spin(),
            "absent" => return Err(Error::NotFound),
            _ => (vec![], None),
        };
        Ok(Findings { items, next })
    }

    async fn sweep(_: u64) -> Result<SweepReport, Error> {
        match behaviour().as_str() {
            "numbers" => Ok(SweepReport { removed: u64::MAX, bytes: u64::MAX, kept: u64::MAX }),
            "trap" => panic!("as asked"),
            "spin" => spin(),
            "exists" => Err(Error::AlreadyExists),
            "long" => Err(Error::Other("\x1b[2J\n".repeat(1 << 20))),
            _ => Ok(SweepReport { removed: 0, bytes: 0, kept: 0 }),
        }
    }
}
