//! What becomes of keys below.

use super::super::super::below::Below;
use super::super::super::direct::Upload;
use super::super::super::outcome::under;
use super::super::super::subject::{Subject, Verdict};
use super::super::keys::{HARD, is_taken};
use crate::{ErrorKind, Interface};

/// Keys that are confused by common ways to rewrite them, besides those that backends confuse.
const REWRITTEN: [&str; 14] = [
    "a_b", "a-b", "a.b", "a,b", "a__b", "a%2fb", "a%252Fb", "ab", "b", "b/a", "a/b/", "./a",
    "../a", "a\u{a0}b",
];

pub(super) fn different(s: &Subject) -> Verdict {
    let below = s.below()?;
    let long = "long/".repeat(80);
    let ends = ["a", "b", "/a"].map(|end| [format!("{long}{end}"), format!("{end}{long}")]);
    let keys: Vec<String> = HARD.iter().chain(&REWRITTEN).map(|key| (*key).to_owned()).collect();
    let keys = [keys, ends.concat()].concat();
    let mut stored = Vec::new();
    for key in &keys {
        let before = below.keys()?;
        if !is_taken(s, key, s.put(key, key))? {
            continue;
        }
        let after = below.keys()?;
        if after.is_subset(&before) {
            let other = stored
                .iter()
                .find(|other: &&&String| s.get(other).ok().as_deref() != Some(other.as_bytes()));
            let seen = other.map_or("none".into(), |other| {
                format!("none, and {other:?} is no longer what it was")
            });
            return Err(s.fail_about(&[key], format!("a new key below for {key:?}"), seen));
        }
        stored.push(key);
    }
    stored.into_iter().try_for_each(|key| s.holds(key, key))
}

/// A key that becomes too long below is refused, and not cut.
pub(super) fn longest(s: &Subject) -> Verdict {
    let below = s.below()?;
    for (letter, other) in [('k', 'j'), ('é', 'è'), ('😀', '😁')] {
        for bytes in [1024, 1000, 700] {
            let fits = bytes / letter.len_utf8();
            let key: String = std::iter::repeat_n(letter, fits).collect();
            // It differs in its last character alone.
            let end = key.len() - letter.len_utf8();
            let sibling = format!("{}{other}", &key[..end]);
            s.begin();
            if !stored(s, &below, &key)? || !stored(s, &below, &sibling)? {
                continue;
            }
            s.holds(&key, &key)?;
            s.holds(&sibling, &sibling)?;
            if s.offers(Interface::Inventory) {
                let listed = s.list(&key[..end], 0)?;
                let is_whole = |key: &String| listed.iter().any(|(listed, _)| listed == key);
                let all = is_whole(&key) && is_whole(&sibling);
                s.check(all, "both keys in the listing, whole", "they are not there")?;
            }
            s.ok(&key, s.delete(&key))?;
            s.ok(&sibling, s.delete(&sibling))?;
        }
    }
    Ok(())
}

/// Whether the layer takes the key. If it does not, it must be for the length below, and the key then
/// has no artifact.
fn stored(s: &Subject, below: &Below<'_>, key: &str) -> Verdict<bool> {
    let before = below.contents()?;
    let mut answers = vec![s.put(key, key)];
    if s.offers(Interface::Streams) {
        answers.push(s.write(key, Upload::of(key.as_bytes())).map(drop));
    }
    let mut is_stored = true;
    for answer in answers {
        match answer {
            Err(ErrorKind::InvalidKey(_)) => {
                below.has(&before)?;
                under("key-2", is_taken(s, key, answer))?;
                is_stored = false;
            }
            answer => s.ok(key, answer)?,
        }
    }
    if !is_stored {
        let got = s.get(key);
        s.check(got.is_err(), "no artifact under a key that was refused", "there is one")?;
    }
    Ok(is_stored)
}
