//! A layer that shows a part of a store: what is outside of the part is put there beside the layer.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::below::{Below, Contents};
use super::super::super::direct::Upload;
use super::super::super::subject::{Subject, Verdict};
use super::super::super::{Interface, Stop};
use crate::bindings::inventory::{Entry, Page};
use crate::key;

/// What is stored through the layer.
const OWN: [&str; 3] = ["in-1", "a/in 2", "é%41 (3)"];

/// A part of the store below, and what is outside of it.
struct Part<'a> {
    s: &'a Subject,
    below: Below<'a>,
    /// What the keys of the part begin with below, if that is how it is made.
    prefix: Option<String>,
    outside: Contents,
    /// How the store below lists it all.
    listed: BTreeMap<String, String>,
}

impl<'a> Part<'a> {
    fn of(s: &'a Subject) -> Verdict<Self> {
        let below = s.below()?;
        let mut prefixes = BTreeSet::new();
        let mut is_same = true;
        for own in OWN {
            let before = below.keys()?;
            s.ok(own, s.put(own, own))?;
            let new = &below.keys()? - &before;
            is_same &= new.iter().eq([own]);
            let prefix = new.iter().find_map(|key| key.strip_suffix(own));
            prefixes.insert(prefix.map(str::to_owned));
        }
        if is_same {
            return Err(whole());
        }
        let mut prefixes = prefixes.into_iter();
        let prefix = match (prefixes.next().flatten(), prefixes.next()) {
            (Some(prefix), None) if !prefix.is_empty() => Some(prefix),
            _ => None,
        };
        let inside = below.keys()?;
        let is_outside = |key: &String| {
            let is_inside = prefix.as_ref().is_some_and(|it| key != it && key.starts_with(&**it));
            key::check(key).is_ok() && !inside.contains(key) && !is_inside
        };
        let mut outside = Contents::new();
        for key in strangers(prefix.as_deref()).into_iter().filter(is_outside) {
            let bytes = format!("outside, {key}").into_bytes();
            below.put(&key, &bytes)?;
            outside.insert(key, bytes);
        }
        let listed = below.listed()?;
        let part = Self { s, below, prefix, outside, listed };
        // Keys that are rewritten one by one make no part.
        if part.prefix.is_none() && s.list("", 0)?.len() > OWN.len() {
            return Err(whole());
        }
        Ok(part)
    }

    fn is_own(entry: &Entry) -> bool {
        OWN.contains(&&*entry.key)
    }

    /// The pages from this one on must have nothing but what was stored through the layer.
    fn shows_only_own(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Verdict<u32> {
        const MOST: u32 = 60;
        let (mut next, mut pages) = (cursor.map(str::to_owned), 0);
        loop {
            // A listing of an odd prefix, or from an odd cursor, may also be refused.
            let Ok(Page { entries, next: following }) = self.s.page(prefix, next.as_deref(), limit)
            else {
                return Ok(pages);
            };
            if let Some(entry) = entries.iter().find(|entry| !Self::is_own(entry)) {
                let seen = format!("{:?}, {} bytes", entry.key, entry.size);
                return Err(self.s.fail("the artifacts of its part alone", seen));
            }
            pages += 1;
            // What is outside could have the same key.
            let keys: BTreeSet<_> = entries.iter().map(|entry| &entry.key).collect();
            self.s.check(keys.len() == entries.len(), "each of them once", "one of them twice")?;
            next = following;
            if next.is_none() || pages == MOST {
                return Ok(pages);
            }
        }
    }

    /// All that is outside must be as it was.
    fn is_untouched(&self, key: &str) -> Verdict {
        // Their versions and times tell.
        let listed = self.below.listed()?;
        for outside in self.outside.keys() {
            if listed.get(outside) != self.listed.get(outside) {
                let seen = format!("it is changed by a call on {key:?}");
                return Err(self.s.fail_about(
                    &[key],
                    format!("{outside:?} below, which is outside of its part, as it was"),
                    seen,
                ));
            }
        }
        Ok(())
    }
}

fn whole() -> Stop {
    Stop::NotOffered("a part of the store below as a store of its own".into())
}

/// Keys below that are near those of the part, and others.
fn strangers(prefix: Option<&str>) -> Vec<String> {
    let fixed = ["outside", "zz/outside", "in-1", "a/in 2", "../in-1", "a", "~", "0"];
    let mut keys: Vec<_> = fixed.map(str::to_owned).into();
    if let Some(prefix) = prefix {
        let shorter = &prefix[..prefix.floor_char_boundary(prefix.len() - 1)];
        keys.extend([
            prefix.to_owned(),
            shorter.to_owned(),
            format!("{shorter}-in-1"),
            format!("{shorter}~"),
            format!("x{prefix}in-1"),
            format!("/{prefix}in-1"),
            format!("{}in-1", prefix.to_uppercase()),
        ]);
    }
    keys
}

pub(super) fn listed(s: &Subject) -> Verdict {
    let part = Part::of(s)?;
    let own = part.prefix.clone().unwrap_or_default();
    let mut prefixes = vec!["", "i", "in", "a", "a/", ".", "..", "../", "/", "%", "~", &own];
    prefixes.extend(part.outside.keys().map(String::as_str));
    for prefix in &prefixes {
        for limit in [0, 1] {
            let pages = part.shows_only_own(prefix, None, limit)?;
            s.check(pages > 0 || !prefix.is_empty(), "a listing of the whole part", "an error")?;
        }
    }
    // Cursors of the store below, of other listings, and of nobody.
    let mut cursors: BTreeSet<String> = part.outside.keys().cloned().collect();
    cursors.extend(["", "o", "0"].iter().filter_map(|prefix| part.below.cursor(prefix)));
    cursors.extend(s.page("", None, 1).ok().and_then(|page| page.next));
    cursors.extend([String::new(), own.clone(), "\u{10ffff}".into()]);
    for cursor in &cursors {
        for prefix in ["", "in", "o", "../"] {
            part.shows_only_own(prefix, Some(cursor), 0)?;
        }
    }
    if s.offers(Interface::Ordered) {
        for after in cursors.iter().map(|it| Some(it.as_str())).chain([None]) {
            for (prefix, delimiter) in [("", None), ("", Some("/")), ("../", None), ("o", None)] {
                let Ok(page) = s.ordered(prefix, after, delimiter, 0) else { continue };
                let keys = page.entries.iter().map(|entry| &*entry.key);
                let names = keys.chain(page.prefixes.iter().map(|prefix| &**prefix));
                let is_own = |name: &&str| OWN.iter().any(|own| own.starts_with(*name));
                let strange: Vec<_> = names.filter(|name| !is_own(name)).collect();
                let seen = format!("{strange:?}");
                s.check(strange.is_empty(), "the artifacts of its part alone", seen)?;
            }
        }
    }
    Ok(())
}

pub(super) fn reached(s: &Subject) -> Verdict {
    let part = Part::of(s)?;
    let mut keys = BTreeSet::from([String::new(), "..".into(), "../".into(), "/".into()]);
    for outside in part.outside.keys() {
        let ways = ["", "../", "/", "./../", "a/../../", "..\\", "%2e%2e/", "..%2F", "//"];
        keys.extend(ways.iter().map(|way| format!("{way}{outside}")));
    }
    for key in keys.iter().filter(|key| !OWN.contains(&&***key)) {
        s.begin();
        let bytes = [
            s.get(key).ok(),
            s.read(key, 0, None).ok().map(|read| read.bytes),
            s.stat(key).ok().map(|info| format!("{} bytes", info.size).into_bytes()),
        ];
        if let Some(bytes) = bytes.into_iter().flatten().next() {
            let seen = String::from_utf8_lossy(&bytes).into_owned();
            return Err(s.fail_about(&[key], format!("nothing under {key:?}"), seen));
        }
        if s.offers(Interface::Copying) && s.copy(key, "copy", &crate::Mode::Overwrite).is_ok() {
            return Err(s.fail_about(&[key, "copy"], format!("nothing under {key:?}"), "a copy"));
        }
        // Deleting and storing is for its own part, also under such a key.
        let _ = s.delete(key);
        let _ = s.put(key, "mine");
        if s.offers(Interface::Streams) {
            let _ = s.write(key, Upload::of(b"mine, too"));
        }
        let _ = s.delete(key);
        part.is_untouched(key)?;
    }
    OWN.iter().try_for_each(|own| s.holds(own, own))
}
