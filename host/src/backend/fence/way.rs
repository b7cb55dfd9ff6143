//! The way to a file or directory, followed from directory to directory, so that each link on it is
//! found with the directory that contains it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::place::Place;

/// The most links on one path, as in the system.
const LINKS: usize = 40;

/// The way of a path to its place.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// Where it ends, or the last directory on it that exists.
    pub(super) place: Place,
    /// Whether the whole path exists.
    pub(super) exists: bool,
    /// What decides on the way where it leads.
    pub(super) crossings: Vec<Crossing>,
}

/// A directory that contains a link of the way, or that the way leaves by `..`.
#[derive(Clone, Debug)]
pub(super) struct Crossing {
    pub(super) place: Place,
    /// The link, or else the directory.
    pub(super) path: PathBuf,
    pub(super) is_link: bool,
}

/// The operations of a system for following a way.
pub(super) trait System {
    /// A directory on the way, or the file at its end.
    type Item;

    /// The directory where relative paths begin.
    fn here() -> io::Result<(Self::Item, PathBuf)>;

    fn root(path: &Path) -> io::Result<Self::Item>;

    fn up(dir: &Self::Item) -> io::Result<Self::Item>;

    /// The entry of `dir` with this name, without following a link.
    fn find(dir: &Self::Item, name: &OsStr) -> io::Result<Found<Self::Item>>;

    /// The place of a found entry; `dir` is the directory where the way ended.
    fn place(dir: &Self::Item, file: Option<&Self::Item>) -> io::Result<Place>;
}

pub(super) enum Found<T> {
    Directory(T),
    File(T),
    Link(PathBuf),
    /// A link whose text does not say where it leads: to this directory or file.
    Jump(Box<Self>, PathBuf),
}

/// Follows `path` to its end, or to the last directory on it that exists and may be entered. A link
/// that leads in a circle, or a file with more names after it, also ends it: something else may be
/// put in its place later.
pub(super) fn follow<S: System>(path: &Path) -> io::Result<Way> {
    if path.as_os_str().is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let (here, name) = S::here()?;
    let left = steps(path).collect();
    let mut walk = Walk::<S> { here, name, file: None, left, links: 0, crossings: Vec::new() };
    let exists = walk.run();
    let place = S::place(&walk.here, walk.file.as_ref())?;
    Ok(Way { place, exists, crossings: walk.crossings })
}

struct Walk<S: System> {
    here: S::Item,
    /// The path of `here`.
    name: PathBuf,
    /// A file ends the way.
    file: Option<S::Item>,
    left: VecDeque<Step>,
    links: usize,
    crossings: Vec<Crossing>,
}

enum Step {
    Root(PathBuf),
    Up,
    Into(OsString),
}

fn steps(path: &Path) -> impl DoubleEndedIterator<Item = Step> {
    let mut root = PathBuf::new();
    let steps = path.components().filter_map(|component| match component {
        Component::Prefix(prefix) => {
            root.push(prefix.as_os_str());
            None
        }
        Component::RootDir => Some(Step::Root(root.join(component))),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir => None,
    });
    steps.collect::<Vec<_>>().into_iter()
}

impl<S: System> Walk<S> {
    /// Follows the rest; returns whether it ends.
    fn run(&mut self) -> bool {
        while let Some(step) = self.left.pop_front() {
            match self.step(step) {
                Ok(()) => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        if self.file.is_some() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        match step {
            Step::Root(root) => {
                self.here = S::root(&root)?;
                self.name = root;
            }
            Step::Up => {
                self.crosses(None)?;
                self.here = S::up(&self.here)?;
                self.name.pop();
            }
            Step::Into(name) => {
                let found = S::find(&self.here, &name)?;
                self.enter(found, &name)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, found: Found<S::Item>, name: &OsStr) -> io::Result<()> {
        match found {
            Found::Directory(dir) => {
                self.here = dir;
                self.name.push(name);
            }
            Found::File(file) => self.file = Some(file),
            Found::Link(target) => {
                self.follows(name)?;
                for step in steps(&target).rev() {
                    self.left.push_front(step);
                }
            }
            Found::Jump(found, path) => {
                self.follows(name)?;
                self.enter(*found, OsStr::new(""))?;
                self.name = path;
            }
        }
        Ok(())
    }

    /// Notes a link in the present directory.
    fn follows(&mut self, name: &OsStr) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS {
            return Err(io::Error::other("too many symbolic links on one path"));
        }
        self.crosses(Some(name))
    }

    fn crosses(&mut self, link: Option<&OsStr>) -> io::Result<()> {
        let path = link.map_or_else(|| self.name.clone(), |link| self.name.join(link));
        let place = S::place(&self.here, None)?;
        self.crossings.push(Crossing { place, path, is_link: link.is_some() });
        Ok(())
    }
}
