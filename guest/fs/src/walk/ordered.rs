//! Pages in the order of the keys, from any key on, where keys may be folded at a delimiter.

use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::{Instant, Result, page};

use super::list::{entry, entry_in, steady};
use super::window::View;
use super::{Frame, Left, Listing, OPENING, Step, Walk};
use crate::bindings::{Entry, OrderedPage};
use crate::folder;
use crate::name::{Folder, Named};
use crate::wasi::Access;

/// What is listed: the keys behind `start_after` that begin with `prefix`, or instead of all that
/// share it what they have up to the first delimiter.
pub struct Names {
    pub prefix: String,
    pub start_after: Option<String>,
    pub delimiter: Option<String>,
}

impl Names {
    fn delimiter(&self) -> &str {
        self.delimiter.as_deref().unwrap_or_default()
    }

    /// The name under which `key` is listed, if that is not the key itself.
    pub fn folded<'k>(&self, key: &'k str) -> Option<&'k str> {
        let (start, delimiter) = (self.prefix.len(), self.delimiter());
        if delimiter.is_empty() {
            return None;
        }
        let mut behind = key.as_bytes().get(start..)?.windows(delimiter.len());
        let at = behind.position(|part| part == delimiter.as_bytes())?;
        key.get(..start + at + delimiter.len())
    }

    /// What the page that begins behind `next` is known by. That of a cursor has nothing here.
    pub fn page(&self, next: String) -> [String; 3] {
        [next, self.prefix.clone(), ["/", self.delimiter()].concat()]
    }
}

/// One page of `names`. What is damaged is left out, as in any listing.
pub fn list_ordered(names: &Names, limit: u32) -> Result<OrderedPage> {
    let nothing = || OrderedPage { entries: Vec::new(), prefixes: Vec::new(), next: None };
    let after = names.start_after.as_deref().unwrap_or_default();
    if after > &*names.prefix && !after.starts_with(&*names.prefix) {
        return Ok(nothing());
    }
    let page = |replaced, opens| {
        let mut walk = begin(names, page::size(limit))?;
        walk.replaced = replaced;
        let mut page = nothing();
        while go_on(&mut walk, names, &mut page, opens)? {}
        let has_read = walk.names > 0;
        page.next = walk.end();
        Ok((page, has_read))
    };
    let page = steady(page)?;
    if page.entries.is_empty() && page.prefixes.is_empty() && page.next.is_none() {
        folder::is_a_store()?;
    }
    Ok(page)
}

fn begin(names: &Names, limit: usize) -> Result<Walk<'_>> {
    let mut walk = Walk::new(View::Keys(&names.prefix), Folder::of(&names.prefix), limit);
    walk.listing = Listing::Ordered(names);
    let Some(after) = &names.start_after else { return Ok(walk) };
    if after.starts_with(&*names.prefix) {
        walk.passed = names.folded(after).unwrap_or_default().into();
    }
    // What comes directly behind it.
    walk.from = [after, "\0"].concat();
    if let Some(mut frames) = Left::take(&names.page(after.clone()))
        && are_unchanged(&mut frames)?
    {
        (walk.frames, walk.top) = (frames, None);
    }
    Ok(walk)
}

/// Whether these directories are as they were when their names were read.
fn are_unchanged(frames: &mut [Frame]) -> Result<bool> {
    for frame in frames {
        let Some(dir) = folder::open(&frame.folder.path, Access::Read)? else {
            return Ok(false);
        };
        let same = |at: Instant| (at.seconds, at.nanoseconds);
        if frame.settled.is_none() || dir.stat()?.modified.map(same) != frame.settled.map(same) {
            return Ok(false);
        }
        frame.dir = Some(dir);
    }
    Ok(true)
}

/// Goes one step further; whether there is more of this page.
fn go_on(walk: &mut Walk<'_>, names: &Names, page: &mut OrderedPage, opens: bool) -> Result<bool> {
    match find(walk, page.entries.len() + page.prefixes.len(), opens) {
        Ok(None) => return Ok(false),
        Ok(Some(None)) => {}
        Ok(Some(Some(entry))) => match names.folded(&entry.key) {
            Some(name) => {
                walk.passed = name.into();
                page.prefixes.push(name.into());
            }
            None => page.entries.push(entry),
        },
        Err(error) => {
            // The page ends before that, where there is a page.
            let last = page.entries.last().map(|entry| &entry.key).max(page.prefixes.last());
            let Some(last) = last else { return Err(error) };
            walk.end_behind(last.clone());
            return Ok(false);
        }
    }
    Ok(true)
}

/// The artifact at the next step, if there is one; none at the end of the page.
fn find(walk: &mut Walk<'_>, found: usize, opens: bool) -> Result<Option<Option<Entry>>> {
    Ok(Some(match walk.step(found)? {
        Step::End => return Ok(None),
        Step::Item(item) => entry(walk, &item.order, opens)?,
        Step::Folded(folder) => {
            walk.names += OPENING;
            let shown = first(&folder, opens)?;
            if shown.is_none() {
                // There may be one behind other names, or in a directory in it.
                walk.enter(folder)?;
            }
            shown
        }
        Step::Empty(..) | Step::Unlisted(..) => None,
    }))
}

/// An artifact that is among the first names in a directory.
fn first(folder: &Folder, opens: bool) -> Result<Option<Entry>> {
    let Some(dir) = folder::open(&folder.path, Access::Read)? else { return Ok(None) };
    for (name, _) in dir.some_names() {
        if let Named::File(rest) = folder.parse(&name)
            && let Some(entry) = entry_in(folder, &dir, &rest, opens)?
        {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
