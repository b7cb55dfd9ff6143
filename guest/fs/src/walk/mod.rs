//! Going through the tree page by page: each directory in its order, and what is in one where its
//! name stands. So a cursor is a position in that order, and stays one when what lay there is gone.

mod audit;
mod left;
mod list;
mod ordered;
mod sweep;
mod window;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use audit::audit;
pub use list::list;
pub use ordered::{Names, list_ordered};
pub use sweep::sweep;

use artifact_store_backend::name::{hex, is_hex};
use artifact_store_backend::{Error, Instant, Result, page};

use crate::folder::{self, Opened};
use crate::name::{self, Folder, TEMPORARIES};
use crate::wasi::{self, Access, Called, Dir, may_have_changed};
use left::Left;
use window::{Item, Shown, View, Window};

/// After how many names a page ends at the next directory, and after how many visits anywhere. Who
/// looks for little among millions must not run into the caller's deadline.
const NAMES: usize = 20_000;

/// What it costs to open a directory, in names.
const OPENING: usize = 16;

/// How much room the names take that a walk holds, in bytes: a third of a million of 15 bytes. A large
/// directory is read once for each time that it does not fit. A host drops an instance that has grown
/// by much, and with it what it has kept.
const ROOM: usize = 12 << 20;

/// What the deepest directory has of that.
const LEAST_ROOM: usize = 64 << 10;

/// One page's way through the tree.
///
/// A failure is never passed over, or the listing would have a hole. What was found before it is
/// handed out first; the next page begins at the failure.
struct Walk<'a> {
    view: View<'a>,
    /// Shows to which listing a page belongs.
    listing: Listing<'a>,
    /// The position where this page begins.
    from: String,
    /// The directory where it begins, until that is read.
    top: Option<Folder>,
    /// The directories from there to the one that is being gone through.
    frames: Vec<Frame>,
    /// Whether artifacts are being replaced meanwhile.
    replaced: bool,
    /// How many names were read.
    names: usize,
    visits: usize,
    /// How many items the page may have.
    limit: usize,
    /// The position of the last step; empty before the first one.
    at: String,
    /// What begins so is passed over, where this is not empty.
    passed: String,
    /// Where the next page begins; none while there is more of this one, and at the end.
    next: Option<String>,
}

/// A directory on the way.
struct Frame {
    folder: Folder,
    /// Opened where something in it is looked at.
    dir: Option<Opened>,
    /// What is next in it, the first one last.
    items: Vec<Item>,
    /// The room that they take.
    cost: usize,
    /// Where it goes on behind these.
    more: Option<String>,
    /// When it had last changed, where it has not since it was read and this would show it.
    settled: Option<Instant>,
}

/// To which listing a page belongs, whose names may be kept for the next page.
enum Listing<'a> {
    /// It was begun, and its pages bear this token: names are no older than its beginning.
    Begun(String),
    /// Any page of these names may be asked for at any time: what is kept has to be as good as new.
    Ordered(&'a Names),
    /// There are no pages.
    Whole,
}

/// Where a walk has come to.
enum Step {
    /// To something that is no directory of this store.
    Item(Item),
    /// To a directory in which there is nothing, since then.
    Empty(Folder, Option<Instant>),
    /// To a directory of which all is to be folded into one name. It is not gone through.
    Folded(Folder),
    /// To the path of a directory of which not all can be listed, or none.
    Unlisted(String, Trouble),
    End,
}

/// Why a directory cannot be listed.
enum Trouble {
    /// For some names in it, of which the host says this.
    Names(String),
    /// It is no directory.
    Place,
}

impl<'a> Walk<'a> {
    fn new(view: View<'a>, top: Folder, limit: usize) -> Self {
        Self {
            view,
            listing: Listing::Whole,
            from: String::new(),
            top: Some(top),
            frames: Vec::new(),
            replaced: false,
            names: 0,
            visits: 0,
            limit,
            at: String::new(),
            passed: String::new(),
            next: None,
        }
    }

    /// A page that begins at `cursor`, or where there is none at the beginning of `top`.
    fn page(view: View<'a>, top: Folder, cursor: Option<&str>, limit: u32) -> Result<Self> {
        let mut walk = Self::new(view, top, page::size(limit));
        let Some(cursor) = cursor else {
            walk.listing = Listing::Begun(hex(&wasi::random()));
            return Ok(walk);
        };
        let (token, from) = cursor.split_once(view.mark()).ok_or_else(page::no_cursor)?;
        if token.len() != 32 || !is_hex(token) || !from.starts_with(view.prefix()) {
            return Err(page::no_cursor());
        }
        (walk.listing, walk.from) = (Listing::Begun(token.into()), from.into());
        if let Some(frames) = Left::take(&[cursor.into(), String::new(), String::new()]) {
            (walk.frames, walk.top) = (frames, None);
        }
        Ok(walk)
    }

    /// What the next page is called for by, if there is one: a cursor, or the last position here.
    fn end(mut self) -> Option<String> {
        let next = self.next?;
        let page = match self.listing {
            Listing::Begun(token) => {
                [format!("{token}{}{next}", self.view.mark()), String::new(), String::new()]
            }
            Listing::Ordered(names) => names.page(self.at),
            Listing::Whole => return None,
        };
        self.frames.iter_mut().for_each(|frame| frame.dir = None);
        let [next, ..] = page.clone();
        if !self.frames.is_empty() {
            Left::put(page, self.frames);
        }
        Some(next)
    }

    /// Goes one step further, where `found` items are on the page so far.
    fn step(&mut self, found: usize) -> Result<Step> {
        loop {
            if let Some(top) = self.top.take() {
                match self.enter(top)? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            let Some(frame) = self.frames.last_mut() else { return Ok(Step::End) };
            let (order, reads) = match (frame.items.last(), &frame.more) {
                (Some(item), _) => (&*item.order, item.is_folder),
                (None, Some(more)) => (&**more, true),
                (None, None) => {
                    self.frames.pop();
                    continue;
                }
            };
            let position = self.view.position(&frame.folder, order);
            if !self.passed.is_empty() && position.starts_with(&*self.passed) {
                if self.view.base(&frame.folder).starts_with(&*self.passed) {
                    self.frames.pop();
                } else if frame.items.pop().is_none() {
                    self.go_on()?;
                }
                continue;
            }
            let is_long = self.visits >= NAMES || reads && self.names >= NAMES;
            let is_over = found >= self.limit || is_long && self.view.is_paged();
            if is_over && position > self.at && self.may_end(&position) {
                self.next = Some(position);
                return Ok(Step::End);
            }
            self.at = position;
            let Some(frame) = self.frames.last_mut() else { continue };
            match frame.items.pop() {
                Some(item) if item.is_folder => {
                    let Some(child) = child(&frame.folder, self.view, &item.order) else {
                        continue;
                    };
                    if let Listing::Ordered(names) = self.listing
                        && names.folded(&child.key).is_some()
                    {
                        return Ok(Step::Folded(child));
                    }
                    if let Some(step) = self.enter(child)? {
                        return Ok(step);
                    }
                }
                Some(item) => {
                    self.visits += 1;
                    return Ok(Step::Item(item));
                }
                None => self.go_on()?,
            }
        }
    }

    /// Whether the page may end before `position`: where it has come behind its beginning, and is not
    /// looking for what a name is to stand for.
    fn may_end(&self, position: &str) -> bool {
        let is_within = |name: &str| self.at.starts_with(name);
        let is_search = match self.listing {
            Listing::Ordered(names) => names.folded(position).is_some_and(is_within),
            _ => false,
        };
        !self.at.is_empty() && self.at >= self.from && !is_search
    }

    /// Begins with the directory `folder`, if there is one. A step where something is to be said of
    /// the directory itself.
    fn enter(&mut self, folder: Folder) -> Result<Option<Step>> {
        let base = self.view.base(&folder);
        let from = String::from(self.from.strip_prefix(&*base).unwrap_or_default());
        let dir = match folder::open(&folder.path, Access::Read) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(None),
            Err(Error::Corrupt(_)) if matches!(self.view, View::Everything) => {
                return Ok(Some(Step::Unlisted(folder.path, Trouble::Place)));
            }
            Err(error) => return Err(error),
        };
        self.names += OPENING;
        if matches!(self.view, View::Folders)
            && let Some(step) = is_leaf(&dir, &folder)?
        {
            return Ok(step);
        }
        let settled = self.settled(&dir)?;
        let (window, ended) = self.read(&dir, &folder, &from)?;
        let said = match ended {
            Err(failure) => self.view.unlisted(failure)?.filter(|_| from.is_empty()),
            Ok(()) => None,
        };
        let said = said.map(|trouble| Step::Unlisted(folder.path.clone(), trouble));
        let (items, cost, more) = window;
        self.frames.push(Frame { folder, dir: Some(dir), items, cost, more, settled });
        Ok(said)
    }

    /// Reads what comes behind the items of the last directory.
    fn go_on(&mut self) -> Result<()> {
        let Some(mut frame) = self.frames.pop() else { return Ok(()) };
        let mut from = frame.more.take().unwrap_or_default();
        // Of what is passed over there may be more than fits.
        if let Some(passed) = self.passed.strip_prefix(&*self.view.base(&frame.folder))
            && !passed.is_empty()
        {
            from = from.max([passed, "\u{10ffff}"].concat());
        }
        if frame.dir.is_none() {
            frame.dir = folder::open(&frame.folder.path, Access::Read)?;
        }
        if let Some(dir) = &frame.dir {
            let settled = self.settled(dir)?;
            let (window, ended) = self.read(dir, &frame.folder, &from)?;
            if let Err(failure) = ended {
                self.view.unlisted(failure)?;
            }
            frame.settled = settled;
            (frame.items, frame.cost, frame.more) = window;
            self.frames.push(frame);
        }
        Ok(())
    }

    fn read(&mut self, dir: &Dir, folder: &Folder, from: &str) -> Result<(Shown, Called<()>)> {
        let held: usize = self.frames.iter().map(|frame| frame.cost).sum();
        let room = (ROOM.saturating_sub(held) / 16 * 15).max(LEAST_ROOM);
        let mut window = Window::new(self.view, folder, from, room);
        let ended = dir.names(self.replaced, &mut window)?;
        self.names += window.seen;
        Ok((window.end(), ended))
    }

    /// When a directory that is about to be read had last changed, if a later change will show. It
    /// is asked for only where that matters.
    fn settled(&self, dir: &Dir) -> Result<Option<Instant>> {
        match self.listing {
            Listing::Ordered(_) => {
                let changed = dir.stat()?.modified;
                Ok(changed.filter(|_| !may_have_changed(changed, changed)))
            }
            _ => Ok(None),
        }
    }

    /// The directory in which the last step was, opened; none where it has gone.
    fn here(&mut self) -> Result<Option<(&Folder, &Dir)>> {
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        if frame.dir.is_none() {
            frame.dir = folder::open(&frame.folder.path, Access::Read)?;
        }
        Ok(frame.dir.as_deref().map(|dir| (&frame.folder, dir)))
    }

    /// Ends the page there, whatever is next.
    fn end_behind(&mut self, position: String) {
        self.frames.clear();
        self.next = Some(String::new());
        self.at = position;
    }

    /// Adds what was found at the last step; whether to go on.
    fn add<T>(&mut self, items: &mut Vec<T>, found: Result<Option<T>>) -> Result<bool> {
        match found {
            Ok(found) => {
                items.extend(found);
                Ok(true)
            }
            Err(error) if items.is_empty() => Err(error),
            Err(_) => {
                self.frames.clear();
                self.next = Some(core::mem::take(&mut self.at));
                Ok(false)
            }
        }
    }
}

/// What is in the directory of unfinished writes, which need not be all that is foreign.
pub fn temporaries(dir: &Dir) -> Result<Vec<Item>> {
    let here = Folder { key: String::new(), path: TEMPORARIES.into() };
    let mut window = Window::new(View::Everything, &here, "", usize::MAX);
    match dir.names(false, &mut window)? {
        Err(failure) if !failure.left_out() => Err(failure.into()),
        _ => Ok(window.end().0),
    }
}

/// The directory that an item of `folder` stands for.
fn child(folder: &Folder, view: View<'_>, order: &str) -> Option<Folder> {
    let name = order.strip_suffix('/')?;
    Some(match view {
        View::Keys(_) => folder.child(name),
        _ if folder.path.is_empty() && name == TEMPORARIES => {
            Folder { key: String::new(), path: name.into() }
        }
        _ => match folder.parse(name) {
            name::Named::Folder(segment) => folder.child(&segment),
            _ => return None,
        },
    })
}

/// What a directory without others in it is to a sweep, for which it need not be read. None where
/// it may have others. (A directory is in the one above, in itself and in each one in it, where a
/// filesystem counts.)
fn is_leaf(dir: &Dir, folder: &Folder) -> Result<Option<Option<Step>>> {
    let stat = dir.stat()?;
    // In the root there is `tmp`.
    let own = if folder.path.is_empty() { 3 } else { 2 };
    if stat.links != own {
        return Ok(None);
    }
    let is_empty = !folder.path.is_empty() && dir.some_names().is_empty();
    Ok(Some(is_empty.then(|| Step::Empty(folder.clone(), stat.modified))))
}
