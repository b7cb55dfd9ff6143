use std::collections::BTreeSet;

use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Listing};
use super::ORDERED;

pub(super) const CHECKS: &[Check] = &[
    Check::new("names_are_in_the_order_of_their_bytes", Listing, &["ordered-1"], order)
        .needs(ORDERED)
        .direct(),
    Check::new("only_what_comes_after_the_start_is_listed", Listing, &["ordered-2"], starts)
        .needs(ORDERED)
        .direct(),
    Check::new("a_page_ends_where_the_next_one_begins", Listing, &["ordered-3"], ends)
        .needs(ORDERED)
        .direct(),
    Check::new("an_ordered_listing_goes_forward_to_its_end", Listing, &["ordered-4"], forward)
        .needs(ORDERED)
        .direct(),
    Check::new("each_artifact_is_in_an_ordered_listing_once", Listing, &["ordered-5"], once)
        .needs(ORDERED)
        .direct(),
    Check::new("a_common_prefix_stands_for_artifacts", Listing, &["ordered-6"], prefixes)
        .needs(ORDERED)
        .direct(),
    Check::new("names_are_folded_at_the_first_delimiter", Listing, &["ordered-7"], folded)
        .needs(ORDERED)
        .direct(),
    Check::new("a_page_of_names_keeps_its_limit", Listing, &["ordered-8"], limit)
        .needs(ORDERED)
        .direct(),
    Check::new("a_page_does_not_depend_on_what_was_asked", Listing, &["ordered-9"], anew)
        .needs(ORDERED)
        .direct(),
];

/// Keys around a delimiter, whose order is not that of their segments.
const KEYS: &[&str] = &[
    "A", "a", "a-", "a.b", "a/", "a//b", "a/b", "a/b/c", "a/b0", "a0", "ab", "b/c/d", "b/c/e", "c",
    "é/x", "😀",
];

const DELIMITERS: &[Option<&str>] =
    &[None, Some(""), Some("/"), Some("b"), Some("/b"), Some("//"), Some("é"), Some("none")];

fn fill(s: &Subject) -> Verdict<BTreeSet<String>> {
    for key in KEYS {
        s.ok(key, s.put(key, key))?;
    }
    s.begin();
    s.note(&format!("the artifacts {KEYS:?} are stored"));
    Ok(KEYS.iter().map(|key| (*key).to_owned()).collect())
}

/// The name of a key in a listing.
fn name<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> &'k str {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let at = delimiter.and_then(|it| Some(key[prefix.len()..].find(it)? + it.len()));
    at.map_or(key, |at| &key[..prefix.len() + at])
}

/// What a listing of `keys` is.
fn names(
    keys: &BTreeSet<String>,
    prefix: &str,
    after: Option<&str>,
    delimiter: Option<&str>,
) -> Vec<String> {
    let keys = keys.iter().filter(|key| key.starts_with(prefix));
    let names: BTreeSet<_> = keys.map(|key| name(key, prefix, delimiter)).collect();
    let is_after = |name: &&str| after.is_none_or(|after| *name > after);
    names.into_iter().filter(is_after).map(str::to_owned).collect()
}

/// Lists page by page, and runs `between` before each next page. The names are those of all pages,
/// in the order in which they came, those of a page merged.
fn listed(
    s: &Subject,
    prefix: &str,
    after: Option<&str>,
    delimiter: Option<&str>,
    limit: u32,
    mut between: impl FnMut(&[String]) -> Verdict,
) -> Verdict<Vec<String>> {
    let (mut all, mut after) = (Vec::new(), after.map(str::to_owned));
    for _ in 0..1000 {
        let page = s.ok("", s.ordered(prefix, after.as_deref(), delimiter, limit))?;
        let keys: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
        for names in [&keys, &page.prefixes] {
            s.check(names.is_sorted(), "names in their order", format!("{names:?}"))?;
        }
        let mut names = [keys, page.prefixes].concat();
        names.sort();
        between(&names)?;
        all.extend(names);
        let Some(next) = page.next else { return Ok(all) };
        let is_forward = after.is_none_or(|after| next > after);
        s.check(is_forward, "a `next` behind where the page began", format!("{next:?}"))?;
        after = Some(next);
    }
    Err(s.fail("a listing that ends", "1000 pages"))
}

fn same(s: &Subject, expected: &[String], found: &[String]) -> Verdict {
    s.check(found == expected, &format!("{expected:?}"), format!("{found:?}"))
}

fn order(s: &Subject) -> Verdict {
    let keys = fill(s)?;
    for prefix in ["", "a", "a/", "a/b", "b/", "b", "c", "z", "/"] {
        for limit in [0, 3] {
            let found = listed(s, prefix, None, None, limit, |_| Ok(()))?;
            same(s, &names(&keys, prefix, None, None), &found)?;
        }
    }
    Ok(())
}

fn starts(s: &Subject) -> Verdict {
    let keys = fill(s)?;
    for after in ["", "\u{0}", "A", "a", "a.", "a/", "a//", "a/b", "a0", "b/c/", "zz", "😀", "😀a"]
    {
        for prefix in ["", "a/", "b/c/"] {
            for delimiter in [None, Some("/")] {
                let found = listed(s, prefix, Some(after), delimiter, 0, |_| Ok(()))?;
                same(s, &names(&keys, prefix, Some(after), delimiter), &found)?;
            }
        }
    }
    Ok(())
}

fn ends(s: &Subject) -> Verdict {
    let keys = fill(s)?;
    for delimiter in [None, Some("/")] {
        for limit in 1..5 {
            let page = s.ok("", s.ordered("", None, delimiter, limit))?;
            let found = page.entries.into_iter().map(|entry| entry.key).chain(page.prefixes);
            let found: BTreeSet<_> = found.collect();
            let Some(next) = page.next else {
                return Err(s.fail("a page with more behind it", "no `next`"));
            };
            let is_up_to = |name: &String| *name <= next;
            let all = names(&keys, "", None, delimiter).into_iter().filter(is_up_to).collect();
            let expected = format!("all names up to {next:?}: {all:?}");
            s.check(found == all, &expected, format!("{found:?}"))?;
        }
    }
    Ok(())
}

fn forward(s: &Subject) -> Verdict {
    let keys = fill(s)?;
    for prefix in ["", "a/", "none"] {
        for limit in [0, 1, 2] {
            // This fails by itself if a page goes back.
            let found = listed(s, prefix, None, Some("/"), limit, |_| Ok(()))?;
            same(s, &names(&keys, prefix, None, Some("/")), &found)?;
        }
    }
    Ok(())
}

fn once(s: &Subject) -> Verdict {
    for delimiter in [None, Some("/")] {
        let keys = fill(s)?;
        let mut page = 0;
        let found = listed(s, "", None, delimiter, 3, |_| {
            page += 1;
            s.ok("", s.put(&format!("late/{page}"), ""))?;
            s.ok("", s.put(KEYS[page * 7 % KEYS.len()], "overwritten"))?;
            s.ok("", s.delete(&format!("late/{}", page / 2)))
        })?;
        let is_old = |name: &&String| !name.starts_with("late/");
        let found: Vec<_> = found.iter().filter(is_old).cloned().collect();
        same(s, &names(&keys, "", None, delimiter), &found)?;
        for late in 0..=page {
            s.ok("", s.delete(&format!("late/{late}")))?;
        }
    }
    // What was listed is deleted: the text that goes on is no artifact any more.
    let keys = fill(s)?;
    let found = listed(s, "", None, None, 2, |names| {
        names.iter().try_for_each(|key| s.ok("", s.delete(key)))
    })?;
    same(s, &names(&keys, "", None, None), &found)
}

fn prefixes(s: &Subject) -> Verdict {
    let mut keys = fill(s)?;
    for gone in ["b/c/d", "b/c/e", "é/x", "a/b/c"] {
        s.ok("", s.delete(gone))?;
        keys.remove(gone);
        for limit in [0, 1] {
            for prefix in ["", "a/", "b/"] {
                let found = listed(s, prefix, None, Some("/"), limit, |_| Ok(()))?;
                same(s, &names(&keys, prefix, None, Some("/")), &found)?;
            }
        }
    }
    // One among many, and the only one that has it.
    for n in 0..40 {
        s.ok("", s.put(&format!("many/{n}/x"), ""))?;
    }
    let found = listed(s, "many", None, Some("/"), 0, |_| Ok(()))?;
    same(s, &["many/".to_owned()], &found)
}

fn folded(s: &Subject) -> Verdict {
    let keys = fill(s)?;
    for delimiter in DELIMITERS {
        for prefix in ["", "a", "a/", "a/b"] {
            for limit in [0, 2] {
                let found = listed(s, prefix, None, *delimiter, limit, |_| Ok(()))?;
                same(s, &names(&keys, prefix, None, *delimiter), &found)?;
            }
        }
    }
    // Which of the two lists a name is in.
    let page = s.ok("", s.ordered("", None, Some("/"), 0))?;
    let is_key = page.entries.iter().all(|entry| keys.contains(&entry.key));
    let is_prefix = page.prefixes.iter().all(|name| name.ends_with('/'));
    s.check(is_key && is_prefix, "keys and common prefixes apart", format!("{:?}", page.prefixes))
}

fn limit(s: &Subject) -> Verdict {
    fill(s)?;
    for limit in [1, 2, 5, 16, 17, u32::MAX] {
        for delimiter in [None, Some("/")] {
            let page = s.ok("", s.ordered("", None, delimiter, limit))?;
            let seen = page.entries.len() + page.prefixes.len();
            let is_kept = seen <= limit as usize;
            s.check(is_kept, &format!("{limit} names at most"), format!("{seen}"))?;
        }
    }
    Ok(())
}

fn anew(s: &Subject) -> Verdict {
    let mut keys = fill(s)?;
    for delimiter in [None, Some("/")] {
        let page = s.ok("", s.ordered("", None, delimiter, 2))?;
        let Some(next) = page.next else {
            return Err(s.fail("a page with more behind it", "no `next`"));
        };
        // An artifact that the next page has to see, and one that it must not.
        for (key, is_there) in [("a/new", true), ("a/new/er", true), ("a0", false)] {
            match is_there {
                true => s.ok("", s.put(key, ""))?,
                false => s.ok("", s.delete(key))?,
            }
            if is_there {
                keys.insert(key.into())
            } else {
                keys.remove(key)
            };
            for delimiter in [delimiter, None, Some("/"), Some("n")] {
                let found = listed(s, "", Some(&next), delimiter, 0, |_| Ok(()))?;
                same(s, &names(&keys, "", Some(&next), delimiter), &found)?;
            }
        }
        s.drop_instances();
        let found = listed(s, "", Some(&next), delimiter, 0, |_| Ok(()))?;
        same(s, &names(&keys, "", Some(&next), delimiter), &found)?;
        keys.insert("a0".into());
        s.ok("", s.put("a0", ""))?;
    }
    Ok(())
}
