//! A directory in memory: what a backend sees at one moment.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

/// A file or directory, independent of its names. The root is [`ROOT`].
pub(super) type Node = usize;

pub(super) const ROOT: Node = 0;

/// The identity of a file or directory in the system: its device and inode.
pub(super) type Inode = (u64, u64);

pub(super) fn inode(file: &File) -> io::Result<Inode> {
    file.metadata().map(|found| number(&found))
}

fn number(found: &Metadata) -> Inode {
    (found.dev(), found.ino())
}

#[derive(Clone)]
pub(super) enum Item {
    File(Vec<u8>),
    Dir(BTreeMap<String, Node>),
}

#[derive(Clone)]
pub(super) struct Tree {
    items: Vec<Item>,
    inodes: HashMap<Inode, Node>,
}

impl Tree {
    /// Reads the present contents of `dir`.
    pub(super) fn scan(dir: &Path) -> io::Result<Self> {
        let mut tree = Self { items: Vec::new(), inodes: HashMap::new() };
        tree.add_all(dir)?;
        Ok(tree)
    }

    fn add_all(&mut self, path: &Path) -> io::Result<Node> {
        let found = fs::symlink_metadata(path)?;
        if let Some(node) = self.inodes.get(&number(&found)) {
            return Ok(*node);
        }
        let is_dir = found.is_dir();
        let node =
            self.add(if is_dir { Item::Dir(BTreeMap::new()) } else { Item::File(Vec::new()) });
        self.inodes.insert(number(&found), node);
        if is_dir {
            let mut names = BTreeMap::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                names.insert(name, self.add_all(&entry.path())?);
            }
            self.items[node] = Item::Dir(names);
        } else {
            self.items[node] = Item::File(fs::read(path)?);
        }
        Ok(node)
    }

    pub(super) fn add(&mut self, item: Item) -> Node {
        self.items.push(item);
        self.items.len() - 1
    }

    pub(super) fn items(&self) -> impl Iterator<Item = (Node, &Item)> {
        self.items.iter().enumerate()
    }

    /// Sets the inode of `node`; another file may have had the same number before.
    pub(super) fn identify(&mut self, inode: Inode, node: Node) {
        self.inodes.insert(inode, node);
    }

    pub(super) fn node(&self, inode: Inode) -> Option<Node> {
        self.inodes.get(&inode).copied()
    }

    pub(super) fn file(&mut self, node: Node) -> Option<&mut Vec<u8>> {
        match self.items.get_mut(node) {
            Some(Item::File(bytes)) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn names(&mut self, node: Node) -> Option<&mut BTreeMap<String, Node>> {
        match self.items.get_mut(node) {
            Some(Item::Dir(names)) => Some(names),
            _ => None,
        }
    }

    /// The directory that contains the last name of `path`, and that name; `None` if there is no
    /// such directory. The last name of `.` is empty: the directory itself.
    pub(super) fn place(&self, from: Node, path: &str) -> Option<(Node, String)> {
        let mut way = vec![from];
        let mut parts = Path::new(path).components().peekable();
        while let Some(part) = parts.next() {
            let here = *way.last()?;
            match part {
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir => drop(way.pop()),
                Component::Normal(name) if parts.peek().is_none() => {
                    return Some((here, name.to_str()?.to_owned()));
                }
                Component::Normal(name) => way.push(self.child(here, name.to_str()?)?),
                Component::Prefix(_) => return None,
            }
        }
        Some((*way.last()?, String::new()))
    }

    /// The file or directory with the name `name` in `dir`.
    pub(super) fn child(&self, dir: Node, name: &str) -> Option<Node> {
        match self.items.get(dir)? {
            Item::Dir(_) if name.is_empty() => Some(dir),
            Item::Dir(names) => names.get(name).copied(),
            Item::File(_) => None,
        }
    }
}

/// Writes `bytes` to `file` at `offset`, after zeros if the file was shorter.
pub(super) fn overlay(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
