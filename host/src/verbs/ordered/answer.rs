//! What a backend answers, compared with what it was asked for.

use super::{Asked, ListPage};
use crate::bindings::ordered::OrderedPage;
use crate::info::Entry;
use crate::key;
use crate::text::quoted;

/// The page, if it is one of those names; otherwise which rule it breaks.
pub(super) fn checked(page: OrderedPage, asked: &Asked) -> Result<ListPage, String> {
    let OrderedPage { entries, prefixes, next } = page;
    let (count, limit) = (entries.len() + prefixes.len(), asked.limit);
    if count > limit {
        return Err(format!("its page has {count} names; the limit was {limit}"));
    }
    let keys = entries.iter().map(|entry| entry.key.as_str());
    let last_key = in_order(keys, asked, |key| asked.folded(key).is_none())?;
    let names = prefixes.iter().map(String::as_str);
    let last_prefix = in_order(names, asked, |name| asked.folded(name) == Some(name))?;
    if let Some(next) = &next {
        let last = last_key.max(last_prefix);
        if asked.is_before(next) || last.is_some_and(|last| last > next.as_str()) {
            return Err(format!(
                "its ordered listing goes on at {}, behind which it is",
                quoted(next)
            ));
        }
    }
    let entries = entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
    Ok(ListPage { entries, prefixes, next })
}

/// The last one of `names`, if they are names of this listing in their order.
fn in_order<'n>(
    names: impl Iterator<Item = &'n str>,
    asked: &Asked,
    is_right: impl Fn(&str) -> bool,
) -> Result<Option<&'n str>, String> {
    let mut last = None;
    for name in names {
        let has = |what: &str| format!("its ordered listing has {} {what}", quoted(name));
        if let Err(why) = key::check(name) {
            return Err(has(&format!("as a name: {why}")));
        }
        if !name.starts_with(&asked.prefix) {
            return Err(has(&format!("with the prefix {}", quoted(&asked.prefix))));
        }
        if last.is_some_and(|last| last >= name) {
            return Err(has("out of its order"));
        }
        if asked.is_before(name) {
            return Err(has("before where it is to start"));
        }
        if !is_right(name) {
            return Err(has("that the delimiter does not leave so"));
        }
        last = Some(name);
    }
    Ok(last)
}
