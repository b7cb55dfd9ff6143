//! The model of the filesystem: which parts of a directory are durable.
//!
//! - The bytes and the size of a file are durable once the file is synced. Of later writes, a crash
//!   keeps all, nothing, or any part, with old bytes or zeros in place of the rest.
//! - The names in a directory are durable once that directory is synced. Of later changes, a crash
//!   keeps the first ones in order, or only one name, or all but one, in each directory
//!   independently. Syncing a file does not sync its name.
//! - A rename within a directory is one change. A rename from one directory to another is one
//!   change in each, so either name, both or none may exist. The new name has the old file or the
//!   new one.
//! - If the name of a directory is lost, so is everything below it.
//!
//! POSIX permits all of this. ext4, xfs and btrfs do less in practice: their journals keep the
//! order over all directories.
//! keep the order over all directories.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::recorder::Event;
use super::tree::{Item, Node, Tree, overlay};

pub(super) type Names = BTreeMap<String, Node>;

/// A change of a file that is not yet durable.
#[derive(Clone)]
enum Change {
    Write(usize, Arc<[u8]>),
    SetSize(usize),
}

/// A change of a directory that is not yet durable.
#[derive(Clone)]
enum Naming {
    Add(String, Node),
    Remove(String),
    Move(String, String),
}

#[derive(Clone, Default)]
struct FileState {
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Default)]
struct DirState {
    durable: Names,
    now: Names,
    changes: Vec<Naming>,
}

pub(super) struct Disk {
    files: HashMap<Node, FileState>,
    dirs: BTreeMap<Node, DirState>,
}

/// One state that something may have after a crash, and its description.
pub(super) struct Variant<T> {
    pub(super) value: T,
    pub(super) what: String,
}

impl Disk {
    /// A directory that is durable as a whole.
    pub(super) fn new(tree: &Tree) -> Self {
        let mut disk = Self { files: HashMap::new(), dirs: BTreeMap::new() };
        for (node, item) in tree.items() {
            match item {
                Item::File(bytes) => {
                    let state = FileState { durable: bytes.clone(), changes: Vec::new() };
                    disk.files.insert(node, state);
                }
                Item::Dir(names) => {
                    let (durable, now) = (names.clone(), names.clone());
                    disk.dirs.insert(node, DirState { durable, now, changes: Vec::new() });
                }
            }
        }
        disk
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Add { dir, name, node, is_dir } => {
                match is_dir {
                    true => drop(self.dirs.insert(*node, DirState::default())),
                    false => drop(self.files.insert(*node, FileState::default())),
                }
                self.name(*dir, Naming::Add(name.clone(), *node));
            }
            Event::Link { dir, name, node } => self.name(*dir, Naming::Add(name.clone(), *node)),
            Event::Remove { dir, name } => self.name(*dir, Naming::Remove(name.clone())),
            Event::Rename { dir, name, to, new_name } if dir == to => {
                self.name(*dir, Naming::Move(name.clone(), new_name.clone()));
            }
            Event::Rename { dir, name, to, new_name } => {
                let node = self.dirs.get(dir).and_then(|dir| dir.now.get(name).copied());
                if let Some(node) = node {
                    self.name(*dir, Naming::Remove(name.clone()));
                    self.name(*to, Naming::Add(new_name.clone(), node));
                }
            }
            Event::Write { node, offset, bytes } => {
                self.change(*node, Change::Write(*offset, Arc::clone(bytes)));
            }
            Event::SetSize { node, size } => self.change(*node, Change::SetSize(*size)),
            Event::SyncFile { node } => {
                if let Some(file) = self.files.get_mut(node) {
                    file.durable = file.with(|_| true);
                    file.changes.clear();
                }
            }
            Event::SyncDir { node } => {
                if let Some(dir) = self.dirs.get_mut(node) {
                    dir.durable = dir.now.clone();
                    dir.changes.clear();
                }
            }
            Event::Begin(_) | Event::Acknowledge(_) => {}
        }
    }

    fn name(&mut self, dir: Node, change: Naming) {
        if let Some(dir) = self.dirs.get_mut(&dir) {
            change.apply(&mut dir.now);
            dir.changes.push(change);
        }
    }

    fn change(&mut self, node: Node, change: Change) {
        if let Some(file) = self.files.get_mut(&node) {
            file.changes.push(change);
        }
    }

    pub(super) fn is_dir(&self, node: Node) -> bool {
        self.dirs.contains_key(&node)
    }

    /// What each directory may contain after a crash; the first variant is the present state.
    pub(super) fn names(&self) -> Vec<(Node, Vec<Variant<Names>>)> {
        self.dirs.iter().map(|(node, dir)| (*node, dir.variants())).collect()
    }

    /// What the file `node` may contain after a crash; the first variant is the present state.
    pub(super) fn contents(&self, node: Node) -> Vec<Variant<Vec<u8>>> {
        self.files.get(&node).map_or_else(Vec::new, FileState::variants)
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Move(old, new) => {
                if let Some(node) = names.remove(old) {
                    names.insert(new.clone(), node);
                }
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let (one, other) = match self {
            Self::Add(name, _) | Self::Remove(name) => (name, None),
            Self::Move(old, new) => (old, Some(new)),
        };
        std::iter::once(one).chain(other)
    }
}

impl DirState {
    fn variants(&self) -> Vec<Variant<Names>> {
        let mut variants = vec![Variant { value: self.now.clone(), what: "names kept".into() }];
        let mut add = |value: Names, what: String| {
            if variants.iter().all(|known| known.value != value) {
                variants.push(Variant { value, what });
            }
        };
        let all = self.changes.len();
        for kept in (0..all).rev() {
            let mut names = self.durable.clone();
            self.changes[..kept].iter().for_each(|change| change.apply(&mut names));
            add(names, format!("{kept} of {all} name changes kept"));
        }
        let changed: BTreeSet<_> = self.changes.iter().flat_map(Naming::names).collect();
        for name in changed {
            let set = |names: &mut Names, from: &Names| match from.get(name) {
                Some(node) => drop(names.insert(name.clone(), *node)),
                None => drop(names.remove(name)),
            };
            // The two names of a move appear and disappear together.
            if self.changes.iter().any(|change| matches!(change, Naming::Move(..))) {
                continue;
            }
            let mut only = self.durable.clone();
            set(&mut only, &self.now);
            add(only, format!("only `{name}` as changed"));
            let mut without = self.now.clone();
            set(&mut without, &self.durable);
            add(without, format!("all but `{name}` as changed"));
        }
        variants
    }
}

/// If a file has more changes, only so many of the first and last are tried one by one.
const CHANGES: usize = 12;

impl FileState {
    /// The file with only the changes whose number `keep` accepts, and the size as after all of
    /// them.
    fn with(&self, keep: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (at, change) in self.changes.iter().enumerate() {
            match change {
                Change::Write(offset, written) if keep(at) => overlay(&mut bytes, *offset, written),
                Change::Write(offset, written) => {
                    let end = offset + written.len();
                    let size = bytes.len().max(end);
                    bytes.resize(size, 0);
                }
                Change::SetSize(size) => bytes.resize(*size, 0),
            }
        }
        bytes
    }

    /// The file after the first `whole` changes and a part of the next one: a byte, a sector, half
    /// of it, or all but a byte.
    fn torn(&self, whole: usize) -> Vec<Vec<u8>> {
        let first = Self { durable: self.durable.clone(), changes: self.changes[..whole].to_vec() };
        let bytes = first.with(|_| true);
        let Some(Change::Write(offset, written)) = self.changes.get(whole) else {
            return vec![bytes];
        };
        let torn = |part: usize| {
            let mut bytes = bytes.clone();
            overlay(&mut bytes, *offset, &written[..part]);
            bytes
        };
        let len = written.len();
        [len / 2, 1, 512, len.saturating_sub(1)].map(|part| torn(part.min(len))).to_vec()
    }

    fn variants(&self) -> Vec<Variant<Vec<u8>>> {
        let kept = self.with(|_| true);
        let size = kept.len();
        let mut variants = vec![Variant { value: kept, what: "data kept".into() }];
        if self.changes.is_empty() {
            return variants;
        }
        let mut add = |value: Vec<u8>, what: String| {
            if variants.iter().all(|known| known.value != value) {
                variants.push(Variant { value, what });
            }
        };
        let count = self.changes.len();
        add(self.durable.clone(), "data lost".into());
        add(self.with(|_| false), "data lost, size kept".into());
        for at in (0..count).filter(|at| *at < CHANGES / 2 || at + CHANGES / 2 >= count) {
            for torn in self.torn(at) {
                let mut padded = torn.clone();
                padded.resize(size.max(torn.len()), 0);
                add(torn, format!("data torn within write {} of {count}", at + 1));
                add(padded, format!("data torn within write {} of {count}, size kept", at + 1));
            }
            add(self.with(|other| other != at), format!("write {} of {count} lost", at + 1));
            add(self.with(|other| other == at), format!("only write {} of {count} kept", at + 1));
        }
        variants
    }
}
