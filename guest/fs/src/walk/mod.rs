//! Walking through the store page by page: directory after directory, and by name within each. A
//! cursor is a position, which stays valid if the entry there is removed.

mod audit;
mod list;
mod sweep;

use alloc::string::String;
use alloc::vec::{self, Vec};
use core::cell::Cell;

pub use audit::audit;
pub use list::list;
pub use sweep::sweep;

use artifact_store_backend::{Result, page};

use crate::name::Folder;
use crate::shard;
use crate::wasi::{self, Access, Dir, Failure, Names};

/// After how many names a call ends its page at the next directory. A search for a rare prefix
/// among millions must not exceed the caller's deadline.
const NAMES: usize = 20_000;

/// One page of a walk through the sorted names of some directories. A cursor is `directory/name`;
/// the next page begins after that name.
///
/// A failure is never skipped, which would leave a hole in the listing. Items that were found
/// before it are returned first; the next page begins at the failure.
struct Walk {
    root: &'static Dir,
    folders: vec::IntoIter<Folder>,
    /// The present directory.
    folder: Folder,
    folder_name: String,
    dir: Option<Dir>,
    names: Vec<String>,
    /// Why other names may be missing after these.
    unlisted: Option<Failure>,
    /// How many of the names have been passed.
    passed: usize,
    /// The names begin after this one.
    after: String,
    /// Whether artifacts are being replaced meanwhile.
    replaced: bool,
    /// How many names were seen in all directories.
    seen: usize,
    limit: usize,
    /// Where the next page begins; `None` while this page continues, and at the end.
    next: Option<String>,
}

/// The result of a step.
enum Step {
    /// A name, for [`Walk::visit`].
    Name,
    /// A directory of which no more can be listed.
    Unlisted(Failure),
    End,
}

/// The name that is being visited.
struct Visit<'a> {
    dir: &'a Dir,
    folder: Folder,
    dir_name: &'a str,
    file: &'a str,
}

impl Walk {
    fn new(folders: Vec<Folder>, cursor: Option<&str>, limit: u32) -> Result<Self> {
        let (folder, after) = match cursor {
            Some(cursor) => position(cursor).ok_or_else(page::no_cursor)?,
            None => (Folder::Root, ""),
        };
        let mut folders = folders.into_iter();
        while folders.as_slice().first().is_some_and(|first| *first < folder) {
            folders.next();
        }
        Ok(Self {
            root: wasi::root()?,
            folders,
            folder,
            folder_name: String::new(),
            dir: None,
            names: Vec::new(),
            unlisted: None,
            passed: 0,
            after: after.into(),
            replaced: false,
            seen: 0,
            limit: page::size(limit),
            next: None,
        })
    }

    /// Takes one step; `found` items are on the page so far.
    async fn step(&mut self, found: usize) -> Step {
        if self.passed < self.names.len() {
            self.passed += 1;
            if found < self.limit {
                return Step::Name;
            }
            self.stop();
            return Step::End;
        }
        if let Some(failure) = self.unlisted.take() {
            self.passed = self.names.len() + 1;
            if found < self.limit {
                return Step::Unlisted(failure);
            }
            self.stop();
            return Step::End;
        }
        for folder in self.folders.by_ref() {
            if folder != self.folder {
                self.after.clear();
            }
            self.folder = folder;
            self.folder_name = folder.name();
            (self.names, self.passed) = (Vec::new(), 0);
            if self.seen >= NAMES || found == self.limit {
                self.stop();
                return Step::End;
            }
            let seen = Cell::new(self.seen);
            let after = &*self.after;
            let is_next = |name: &str, _| {
                seen.set(seen.get() + 1);
                name > after
            };
            let names = match shard::open(self.root, &self.folder_name, Access::Read).await {
                Ok(None) => continue,
                Ok(Some(dir)) => self.dir.insert(dir).names(self.replaced, &is_next).await,
                Err(failure) => Names { sorted: Vec::new(), ended: Err(failure) },
            };
            self.seen = seen.get();
            self.passed = 1;
            self.names = names.sorted;
            match (self.names.is_empty(), names.ended) {
                (true, Ok(())) => {}
                (true, Err(failure)) => return Step::Unlisted(failure),
                (false, ended) => {
                    self.unlisted = ended.err();
                    return Step::Name;
                }
            }
        }
        Step::End
    }

    /// The result of the last step.
    fn visit(&self) -> Option<Visit<'_>> {
        let file = self.names.get(self.passed.checked_sub(1)?)?;
        let Self { folder, folder_name: dir_name, .. } = self;
        Some(Visit { dir: self.dir.as_ref()?, folder: *folder, dir_name, file })
    }

    /// Ends the page before the result of the last step.
    fn stop(&mut self) {
        let before = self.passed.checked_sub(2).and_then(|at| self.names.get(at));
        self.next = Some([&*self.folder_name, "/", before.unwrap_or(&self.after)].concat());
    }

    /// Adds the item of the last step; returns whether to continue.
    fn add<T>(&mut self, items: &mut Vec<T>, found: Result<Option<T>>) -> Result<bool> {
        match found {
            Ok(found) => {
                items.extend(found);
                Ok(true)
            }
            Err(error) if items.is_empty() => Err(error),
            Err(_) => {
                self.stop();
                Ok(false)
            }
        }
    }
}

/// The directory and the name of a cursor.
fn position(cursor: &str) -> Option<(Folder, &str)> {
    let (dir, file) = cursor.split_once('/')?;
    (!file.contains('/')).then_some((Folder::parse(dir)?, file))
}
