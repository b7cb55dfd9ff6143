use std::collections::{BTreeSet, HashSet};

use super::super::outcome::under;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Listing};
use super::INVENTORY;
use crate::bindings::inventory::Entry;
use crate::bindings::types::Instant;

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_prefix_is_compared_byte_for_byte", Listing, &["list-1"], prefixes)
        .needs(INVENTORY)
        .direct(),
    Check::new("each_artifact_is_listed_once", Listing, &["list-2", "list-6"], once)
        .needs(INVENTORY)
        .direct(),
    Check::new("changes_to_others_move_no_entry", Listing, &["list-2"], changes)
        .needs(INVENTORY)
        .direct(),
    Check::new("a_page_keeps_its_limit", Listing, &["list-4"], limit).needs(INVENTORY).direct(),
    Check::new("only_an_absent_next_is_the_end", Listing, &["list-6", "list-2"], small_pages)
        .needs(INVENTORY)
        .direct(),
    Check::new("a_cursor_outlives_its_artifact", Listing, &["list-7"], deleted)
        .needs(INVENTORY)
        .direct(),
    Check::new("a_cursor_is_usable_on_another_instance", Listing, &["list-8"], elsewhere)
        .needs(INVENTORY)
        .direct(),
    Check::new("an_unusable_cursor_is_answered_with_other", Listing, &["list-9"], unusable)
        .needs(INVENTORY)
        .direct(),
    Check::new("a_listing_comes_to_its_end", Listing, &["list-10"], ends).needs(INVENTORY).direct(),
    Check::new("the_greatest_limit_is_lawful", Listing, &["list-11"], greatest)
        .needs(INVENTORY)
        .direct(),
    Check::new("a_size_in_a_listing_is_that_of_the_payload", Listing, &["store-1"], sizes)
        .needs(INVENTORY)
        .direct(),
    Check::new("an_entry_states_what_stat_states", Listing, &["list-12"], entries)
        .needs(INVENTORY)
        .direct(),
];

fn fill(s: &Subject, count: usize) -> Verdict<BTreeSet<String>> {
    let keys: BTreeSet<_> = (0..count).map(|n| format!("n/{n}")).collect();
    for key in &keys {
        s.ok(key, s.put(key, key))?;
    }
    s.begin();
    s.note(&format!("{count} artifacts n/0, n/1, … are stored"));
    Ok(keys)
}

/// Exactly the keys `expected`, each once.
fn complete(s: &Subject, expected: &BTreeSet<String>, listed: Vec<String>) -> Verdict {
    let mut seen = HashSet::new();
    for key in listed {
        s.check(expected.contains(&key), "keys that were stored", format!("{key:?}"))?;
        let again = format!("{key:?} twice");
        under("list-2", s.check(seen.insert(key), "each key once", again))?;
    }
    let missing: Vec<_> = expected.iter().filter(|key| !seen.contains(*key)).take(5).collect();
    s.check(missing.is_empty(), "all keys", format!("without {missing:?}"))
}

fn keys(s: &Subject, prefix: &str, limit: u32) -> Verdict<Vec<String>> {
    Ok(s.list(prefix, limit)?.into_iter().map(|(key, _)| key).collect())
}

fn prefixes(s: &Subject) -> Verdict {
    for key in ["a", "ab", "a/b", "a/c", "b", "A", "é", "a%2Fb"] {
        s.ok("", s.put(key, key))?;
    }
    for (prefix, expected) in [
        ("", vec!["A", "a", "a%2Fb", "a/b", "a/c", "ab", "b", "é"]),
        ("a", vec!["a", "a%2Fb", "a/b", "a/c", "ab"]),
        ("a/", vec!["a/b", "a/c"]),
        ("a/b", vec!["a/b"]),
        ("a/b/", vec![]),
        ("/a", vec![]),
        ("é", vec!["é"]),
        ("z", vec![]),
    ] {
        let mut listed = keys(s, prefix, 0)?;
        listed.sort();
        s.check(
            listed == expected,
            &format!("{prefix:?} selects {expected:?}"),
            format!("{listed:?}"),
        )?;
    }
    Ok(())
}

fn once(s: &Subject) -> Verdict {
    // Filesystems and their interfaces have truncated listings at 150 names.
    for count in [0, 1, 149, 151, 300] {
        let expected = fill(s, count)?;
        complete(s, &expected, keys(s, "", 0)?)?;
    }
    Ok(())
}

/// Lists page by page, and runs `between` in between.
fn paged(
    s: &Subject,
    limit: u32,
    mut between: impl FnMut(usize, &[String]) -> Verdict,
) -> Verdict<Vec<String>> {
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    for page_number in 0..10_000 {
        let page = s.ok("", s.page("", cursor.as_deref(), limit))?;
        let page_keys: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
        between(page_number, &page_keys)?;
        listed.extend(page_keys);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(listed),
        }
    }
    Err(s.fail("a listing that ends", "10 000 pages"))
}

fn changes(s: &Subject) -> Verdict {
    let expected = fill(s, 60)?;
    let listed = paged(s, 7, |page, _| {
        let (late, other) = (format!("late/{page}"), format!("late/{}", page / 2));
        s.ok("", s.put(&late, ""))?;
        s.ok("", s.put(&format!("n/{}", page * 7 % 60), "overwritten"))?;
        s.ok("", s.delete(&other))
    })?;
    let throughout: Vec<_> = listed.into_iter().filter(|key| !key.starts_with("late/")).collect();
    complete(s, &expected, throughout)
}

fn limit(s: &Subject) -> Verdict {
    fill(s, 20)?;
    for limit in [1, 2, 7, 19, 20, 21] {
        let page = s.ok("", s.page("", None, limit))?;
        let seen = page.entries.len();
        s.check(seen <= limit as usize, &format!("{limit} entries at most"), format!("{seen}"))?;
    }
    Ok(())
}

fn small_pages(s: &Subject) -> Verdict {
    let expected = fill(s, 23)?;
    for limit in [1, 2, 3, 22, 23, 24] {
        s.begin();
        s.note("23 artifacts n/0, n/1, … are stored");
        complete(s, &expected, keys(s, "", limit)?)?;
    }
    // A prefix that few keys have.
    let listed = keys(s, "n/1", 2)?;
    s.check(listed.len() == 11, "the 11 keys that begin with n/1", format!("{listed:?}"))
}

fn deleted(s: &Subject) -> Verdict {
    let expected = fill(s, 12)?;
    let listed = paged(s, 2, |_, page| page.iter().try_for_each(|key| s.ok("", s.delete(key))))?;
    complete(s, &expected, listed)
}

fn elsewhere(s: &Subject) -> Verdict {
    let expected = fill(s, 12)?;
    let listed = paged(s, 5, |_, _| {
        s.drop_instances();
        Ok(())
    })?;
    complete(s, &expected, listed)
}

fn unusable(s: &Subject) -> Verdict {
    fill(s, 3)?;
    for cursor in ["no cursor", "", "\u{0}", "😀", "../..", "99999999999999999999999"] {
        match s.page("", Some(cursor), 0) {
            // A backend may be able to continue from any text: then this is a valid cursor.
            Ok(page) if page.entries.len() < 3 && page.next.is_none() => {}
            answer => s.refused("", answer, &["other"])?,
        }
    }
    Ok(())
}

fn ends(s: &Subject) -> Verdict {
    fill(s, 9)?;
    for limit in [0, 1, 4] {
        // This fails by itself if a cursor repeats.
        keys(s, "", limit)?;
        keys(s, "none/", limit)?;
    }
    Ok(())
}

fn greatest(s: &Subject) -> Verdict {
    let expected = fill(s, 9)?;
    complete(s, &expected, keys(s, "", u32::MAX)?)
}

fn sizes(s: &Subject) -> Verdict {
    for size in [0, 1, 10, 100_000] {
        s.ok("", s.put(&format!("k{size}"), s.bytes(size, 1)))?;
    }
    for (key, size) in s.list("", 0)? {
        let expected = format!("k{size}");
        s.check(key == expected, "for each key the size of its payload", format!("{key}: {size}"))?;
    }
    Ok(())
}

fn entries(s: &Subject) -> Verdict {
    for (n, key) in ["a", "b/c", &"long".repeat(200)].into_iter().enumerate() {
        s.ok(key, s.put(key, s.bytes(100 * n, 1)))?;
    }
    s.ok("a", s.put("a", "again"))?;
    let page = s.ok("", s.page("", None, 0))?;
    for Entry { key, size, modified, version } in page.entries {
        let info = s.ok(&key, s.stat(&key))?;
        s.check(size == info.size, &format!("size {}", info.size), format!("{size}"))?;
        let time = |it: Option<Instant>| it.map(|it| (it.seconds, it.nanoseconds));
        let (listed, stated) = (time(modified), time(info.modified));
        let is_right = listed.is_none() || listed == stated;
        s.check(is_right, &format!("the time {stated:?}, or none"), format!("{listed:?}"))?;
        let is_right = version.is_none() || version == info.version;
        let expected = format!("the version {:?}, or none", info.version);
        s.check(is_right, &expected, format!("{version:?}"))?;
    }
    Ok(())
}
