use super::super::direct::Upload;
use super::super::outcome::under;
use super::super::subject::{Answer, Subject, Verdict};
use super::super::{Check, Group::Keys, Interface};
use super::INVENTORY;
use crate::ErrorKind;

pub(super) const CHECKS: &[Check] = &[
    Check::new("keys_of_every_length_are_taken", Keys, &["key-2", "key-1"], every_length),
    Check::new("what_is_no_key_is_refused", Keys, &["key-3", "key-1"], no_key).direct(),
    Check::new("different_keys_are_different_artifacts", Keys, &["key-4", "key-2"], different),
    Check::new("long_keys_are_kept_apart", Keys, &["key-4", "key-2"], long_apart),
    Check::new("a_delete_touches_its_own_key_only", Keys, &["delete-3"], delete_one),
    Check::new("a_listing_names_keys_byte_for_byte", Keys, &["key-5"], listed)
        .needs(INVENTORY)
        .direct(),
];

/// Keys that filesystems, protocols and naming schemes have confused.
pub(super) const HARD: [&str; 49] = [
    "L%3ABC.parquet",
    "L:BC.parquet",
    "%",
    "%25",
    "%2525",
    "a%2Fb",
    "[foo]",
    "[tag]x",
    "中文",
    "a+b",
    "a b",
    "a%20b",
    "a/./b",
    "a//b",
    "a/b",
    "a/../b",
    "a\\b",
    "..",
    ".",
    "/",
    "/a",
    "a/",
    "a.",
    "a ",
    " a",
    "a",
    "A",
    "CON",
    "con.txt",
    "NUL",
    "COM1",
    "COM¹",
    "LPT³",
    "a:b",
    "a:$DATA",
    "-h",
    "--",
    "tmp",
    "tmp/x",
    "000/_a",
    "_a",
    "😀",
    "e\u{301}",
    "\u{e9}",
    "\\",
    "index.html",
    "?x=1#y",
    "ı",
    "ſ",
];

/// Whether the key was stored. A layer may refuse one that becomes too long below.
pub(super) fn is_taken(s: &Subject, key: &str, answer: Answer<()>) -> Verdict<bool> {
    match answer {
        Err(ErrorKind::InvalidKey(_)) if s.may_refuse(key) => {
            s.trace().allow(key.len());
            Ok(false)
        }
        answer => s.ok(key, answer).map(|()| true),
    }
}

fn every_length(s: &Subject) -> Verdict {
    for letter in ["k", "K", "é", "中", "😀"] {
        for bytes in [1, 80, 85, 120, 127, 128, 142, 143, 144, 200, 255, 256, 1023, 1024] {
            let mut key = letter.repeat(bytes / letter.len());
            key.push_str(&"x".repeat(bytes - key.len()));
            s.begin();
            if is_taken(s, &key, s.put(&key, &key))? {
                s.holds(&key, &key)?;
            }
        }
    }
    Ok(())
}

fn no_key(s: &Subject) -> Verdict {
    let long = "k".repeat(1025);
    let wide = "é".repeat(513);
    let cases =
        ["", &long, &wide, "a\nb", "a\0", "\x1b[2J", "\u{1f}", "\u{7f}", "\u{85}", "\u{9f}"];
    let expected = &["invalid-key"];
    for key in cases {
        s.begin();
        s.refused("", s.put(key, "x"), expected)?;
        s.refused("", s.get(key), expected)?;
        s.refused("", s.delete(key), expected)?;
        if s.offers(Interface::Streams) {
            s.refused("", s.write(key, Upload::of(b"x")), expected)?;
            s.refused("", s.read(key, 0, None), expected)?;
        }
        if s.offers(Interface::Inventory) {
            s.refused("", s.stat(key), expected)?;
        }
    }
    if s.offers(Interface::Inventory) {
        let listed = s.list("", 0)?;
        s.check(listed.is_empty(), "an empty store", format!("{listed:?}"))?;
    }
    Ok(())
}

fn different(s: &Subject) -> Verdict {
    all_apart(s, &HARD.map(str::to_owned))?;
    // These two share a name if names keep only 64 bits of a common hash.
    let pair = ["before_after_d43dda031d98a443", "before_after_1e008442e5f29cce"];
    all_apart(s, &pair.map(|end| format!("session_0001_patch_{end}")))
}

fn long_apart(s: &Subject) -> Verdict {
    for bytes in [60, 80, 120, 128, 143, 200, 240, 255, 500, 1000, 1023] {
        // The same beginning with different ends, and the reverse.
        let same = "k".repeat(bytes);
        let keys = ["a", "b", "K"].map(|end| [format!("{same}{end}"), format!("{end}{same}")]);
        all_apart(s, &keys.concat())?;
    }
    Ok(())
}

/// Each key keeps its own bytes. If two keys do not, these two are tried again alone.
fn all_apart(s: &Subject, keys: &[String]) -> Verdict {
    let mut taken = Vec::new();
    for key in keys {
        if under("key-2", is_taken(s, key, s.put(key, key)))? {
            taken.push(key);
        }
    }
    for key in taken {
        let got = s.get(key);
        if got.as_deref().is_ok_and(|got| got == key.as_bytes()) {
            continue;
        }
        let found = got.ok().and_then(|got| String::from_utf8(got).ok());
        if let Some(other) = found.filter(|other| keys.contains(other)) {
            s.begin();
            s.ok(key, s.put(key, key))?;
            s.ok(&other, s.put(&other, &other))?;
            s.check(
                s.get(key).is_ok_and(|got| got == key.as_bytes()),
                &format!("{key:?}"),
                format!("the artifact of {other:?}"),
            )?;
        }
        s.begin();
        s.ok(key, s.put(key, key))?;
        s.holds(key, key)?;
    }
    Ok(())
}

fn delete_one(s: &Subject) -> Verdict {
    let keys = ["a", "A", "ab", "a/b", "a/", "/a", "a//b", "a b", "a%2Fb"];
    for gone in keys {
        s.begin();
        for key in keys {
            s.ok(key, s.put(key, key))?;
        }
        s.ok(gone, s.delete(gone))?;
        for key in keys {
            if key == gone { s.absent(key)? } else { s.holds(key, key)? }
        }
    }
    Ok(())
}

fn listed(s: &Subject) -> Verdict {
    let long = [500, 1024].map(|bytes| "k".repeat(bytes));
    let keys: Vec<&str> = HARD.iter().copied().chain(long.iter().map(String::as_str)).collect();
    let mut taken = Vec::new();
    for key in keys {
        if is_taken(s, key, s.put(key, key))? {
            taken.push(key);
        }
    }
    let mut keys = taken;
    let mut listed: Vec<_> = s.list("", 0)?.into_iter().map(|(key, _)| key).collect();
    listed.sort();
    keys.sort_unstable();
    for key in &keys {
        if !listed.iter().any(|listed| listed == key) {
            s.begin();
            s.ok(key, s.put(key, key))?;
            let first = s.page("", None, 0);
            s.ok("", first)?;
            return Err(s.fail(format!("the key {key:?} in the listing"), "it is not there"));
        }
    }
    let strange: Vec<_> = listed.iter().filter(|key| !keys.contains(&key.as_str())).collect();
    s.check(strange.is_empty(), "the keys that were stored", format!("{strange:?}"))
}
