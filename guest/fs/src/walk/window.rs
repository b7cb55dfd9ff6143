//! What is next in one directory: the first names of what is left of it, in their order, and no
//! more of them than an instance should hold.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use artifact_store_backend::{Error, Result};

use super::Trouble;
use crate::header;
use crate::name::{self, Folder, Named, TEMPORARIES};
use crate::read;
use crate::wasi::{Dir, ErrorCode, Failure, Kind, Names};

/// What is looked for on the way.
#[derive(Clone, Copy)]
pub enum View<'a> {
    /// Artifacts whose keys begin so, in the order of their keys.
    Keys(&'a str),
    /// Everything, in the order of the names.
    Everything,
    /// Directories of artifacts.
    Folders,
}

impl View<'_> {
    /// What all positions begin with.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Keys(prefix) => prefix,
            Self::Everything | Self::Folders => "",
        }
    }

    /// Whether there are pages of it.
    pub fn is_paged(&self) -> bool {
        !matches!(self, Self::Folders)
    }

    /// What stands before the position in a cursor.
    pub fn mark(&self) -> char {
        match self {
            Self::Keys(_) => ':',
            Self::Everything | Self::Folders => '/',
        }
    }

    /// What the positions in a directory begin with: the keys, or the path.
    pub fn base(&self, folder: &Folder) -> String {
        match self {
            Self::Keys(_) => folder.key.clone(),
            _ if folder.path.is_empty() => String::new(),
            _ => [&*folder.path, "/"].concat(),
        }
    }

    /// The position of what has this order in a directory.
    pub fn position(&self, folder: &Folder, order: &str) -> String {
        match self {
            Self::Keys(_) => [&*folder.key, order].concat(),
            _ => [&*self.base(folder), order].concat(),
        }
    }

    /// What is to be said of a directory of which not all could be read.
    pub fn unlisted(&self, failure: Failure) -> Result<Option<Trouble>> {
        match (self, failure.code) {
            // What lies there must not be left out in silence.
            (Self::Keys(_) | Self::Folders, ErrorCode::Other(Some(_))) => Ok(None),
            (Self::Everything, ErrorCode::Other(Some(left_out))) => {
                Ok(Some(Trouble::Names(left_out)))
            }
            (Self::Everything, ErrorCode::IllegalByteSequence) => {
                let detail = "holds a name that is not UTF-8, and is not listed";
                Ok(Some(Trouble::Names(detail.into())))
            }
            (_, code) => Err(Failure { code, ..failure }.into()),
        }
    }
}

/// Something in a directory.
#[derive(PartialEq, Eq)]
pub struct Item {
    /// What a listing sorts by: what the key has behind that of the directory, or the name. That of
    /// a directory ends with `/`.
    pub order: Box<str>,
    pub is_folder: bool,
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.order, &other.order).then(self.is_folder.cmp(&other.is_folder))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of their bytes. The target's library compares them one by one, and names of one
/// directory often begin alike.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let (Some((first, rest)), Some((second, other_rest))) =
        (one.split_first_chunk(), other.split_first_chunk())
    {
        let order = u64::from_be_bytes(*first).cmp(&u64::from_be_bytes(*second));
        if order.is_ne() {
            return order;
        }
        (one, other) = (rest, other_rest);
    }
    one.cmp(other)
}

impl Item {
    fn new(mut order: String, is_folder: bool) -> Self {
        if is_folder {
            order.push('/');
        }
        Self { order: order.into(), is_folder }
    }

    /// Bytes that it takes, with what the allocator keeps beside it.
    fn cost(&self) -> usize {
        size_of::<Self>() + 8 + self.order.len()
    }
}

/// For how many items room is made at once.
const STEP: usize = 4096;

pub struct Window<'a> {
    view: View<'a>,
    folder: &'a Folder,
    /// Where the items begin, in the terms of their order.
    from: &'a str,
    items: BinaryHeap<Item>,
    cost: usize,
    /// How much they may take.
    room: usize,
    /// Whether there are more items behind these.
    is_cut: bool,
    /// How many names there were in all.
    pub seen: usize,
}

/// The items, the first one last; the room that they take; and where it goes on behind them.
pub type Shown = (Vec<Item>, usize, Option<String>);

impl Names for Window<'_> {
    fn take(&mut self, dir: &Dir, names: Vec<(String, Kind)>) -> Result<()> {
        self.seen += names.len();
        for (name, kind) in names {
            // Of a million names most are like this, and not wanted now.
            if matches!(self.view, View::Keys(_))
                && name::plain_file(&name).is_some_and(|order| !self.is_wanted(order, false))
            {
                continue;
            }
            let item = match self.view {
                View::Keys(prefix) => self.artifact(dir, name, prefix)?,
                View::Everything => Some(self.thing(name)),
                View::Folders if kind != Kind::Directory => None,
                View::Folders => Some(self.thing(name)).filter(|item| item.is_folder),
            };
            if let Some(item) = item {
                self.add(item);
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        // By a heap: what `sort` is made of would be a fiftieth of the component.
        let mut items = core::mem::take(&mut self.items).into_sorted_vec();
        items.dedup();
        self.cost = items.iter().map(Item::cost).sum();
        self.items = BinaryHeap::from(items);
    }
}

impl<'a> Window<'a> {
    /// Of what lies in `folder` the items from there on, as many as there is `room` for, in bytes.
    pub fn new(view: View<'a>, folder: &'a Folder, from: &'a str, room: usize) -> Self {
        let items = BinaryHeap::new();
        Self { view, folder, from, items, cost: 0, room, is_cut: false, seen: 0 }
    }

    /// What it shows.
    pub fn end(self) -> Shown {
        let more = self.items.peek().filter(|_| self.is_cut);
        // What comes directly behind it, since no name and no key holds this character.
        let more = more.map(|last| [&*last.order, "\0"].concat());
        let mut items = self.items.into_sorted_vec();
        items.reverse();
        (items, self.cost, more)
    }

    /// Whether it is neither before where to begin nor behind what there is room for.
    fn is_wanted(&self, order: &str, is_folder: bool) -> bool {
        let is_behind =
            |last: &Item| compare(order, &last.order).then(is_folder.cmp(&last.is_folder)).is_ge();
        if self.is_cut && self.items.peek().is_none_or(is_behind) {
            return false;
        }
        // A directory that holds where to begin begins before it.
        compare(order, self.from).is_ge() || is_folder && self.from.starts_with(order)
    }

    fn add(&mut self, item: Item) {
        if !self.is_wanted(&item.order, item.is_folder) {
            return;
        }
        self.cost += item.cost();
        // Not twice as much each time: there is to be room for names.
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(STEP);
        }
        self.items.push(item);
        while self.cost > self.room && self.items.len() > 1 {
            self.cost -= self.items.pop().map_or(0, |last| last.cost());
            self.is_cut = true;
        }
    }

    /// What `name` stands for in an audit or a sweep.
    fn thing(&self, name: String) -> Item {
        let is_folder = match &*self.folder.path {
            TEMPORARIES => false,
            "" if name == TEMPORARIES => matches!(self.view, View::Everything),
            _ => matches!(self.folder.parse(&name), Named::Folder(_)),
        };
        Item::new(name, is_folder)
    }

    /// What `name` stands for in a listing.
    fn artifact(&self, dir: &Dir, name: String, prefix: &str) -> Result<Option<Item>> {
        let prefix = prefix.get(self.folder.key.len()..).unwrap_or_default();
        let item = match self.folder.parse(&name) {
            Named::File(rest) => Some(Item::new(rest, false)),
            Named::Folder(segment) => Some(Item::new(segment, true)),
            // Where the beginning does not tell, the header does.
            Named::Hashed(beginning) => {
                let may_begin =
                    |with: &[u8]| beginning.starts_with(with) || with.starts_with(&beginning);
                let is_left =
                    &*beginning >= self.from.as_bytes() || may_begin(self.from.as_bytes());
                match may_begin(prefix.as_bytes()) && is_left {
                    true => self.rest_of(dir, &name)?.map(|rest| Item::new(rest, false)),
                    false => None,
                }
            }
            Named::Foreign => None,
        };
        Ok(item.filter(|item| item.order.starts_with(prefix)))
    }

    /// What the key in the file `name` has behind that of this directory. None where there is no
    /// such artifact: what is damaged is left out, and so is a copy of one that belongs elsewhere.
    fn rest_of(&self, dir: &Dir, name: &str) -> Result<Option<String>> {
        match read::open_in(dir, name, header::LIKELY_LEN) {
            Ok(Some(found)) => {
                let key = found.header.key;
                let place = name::place(&key);
                let is_own = place.dir == self.folder.path && place.file == name;
                let rest = key.get(self.folder.key.len()..).filter(|_| is_own);
                Ok(rest.map(String::from))
            }
            Ok(None) | Err(Error::Corrupt(_) | Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
