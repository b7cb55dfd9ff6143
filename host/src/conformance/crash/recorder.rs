//! The layer between a backend and its directory: it passes every call on and records its changes,
//! or makes one of them fail.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::fault_kinds::{Failing, Fault};
use super::tree::{Inode, Item, Node, Tree, inode, overlay};

/// One change of the directory, or a point in a call of the contract.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A new file or directory `node` got this name.
    Add {
        dir: Node,
        name: String,
        node: Node,
        is_dir: bool,
    },
    /// The file `node` got another name.
    Link {
        dir: Node,
        name: String,
        node: Node,
    },
    Remove {
        dir: Node,
        name: String,
    },
    Rename {
        dir: Node,
        name: String,
        to: Node,
        new_name: String,
    },
    Write {
        node: Node,
        offset: usize,
        bytes: Arc<[u8]>,
    },
    SetSize {
        node: Node,
        size: usize,
    },
    SyncFile {
        node: Node,
    },
    SyncDir {
        node: Node,
    },
    /// The step of the scenario with this number begins.
    Begin(usize),
    /// It was acknowledged.
    Acknowledge(usize),
}

/// What a call of the backend is about to do.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    /// Nothing that a crash could undo.
    Look,
    Read,
    Open {
        dir: Inode,
        path: String,
        create: bool,
        truncate: bool,
    },
    Write,
    SetSize {
        file: Inode,
        size: u64,
    },
    Sync {
        what: Inode,
        is_dir: bool,
    },
    MakeDir {
        dir: Inode,
        path: String,
    },
    Rename {
        dir: Inode,
        path: String,
        to: Inode,
        new_path: String,
    },
    Link {
        dir: Inode,
        path: String,
        to: Inode,
        new_path: String,
    },
    Unlink {
        dir: Inode,
        path: String,
    },
    /// A change that the model does not support, such as a symbolic link.
    Unknown,
}

impl Intent {
    pub(super) fn is_read(&self) -> bool {
        matches!(self, Self::Read)
    }
}

/// One observed call: its name in WASI, and what it was about to do.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: &'static str,
    pub(super) intent: Intent,
}

/// Why a call is not passed on.
pub(super) enum Refusal {
    Fault(Fault),
    /// The process was killed.
    Killed,
}

#[derive(Default)]
pub(super) struct Recorder {
    is_on: AtomicBool,
    recording: Mutex<Option<Recording>>,
}

/// What was recorded since [`Recorder::start`].
pub(super) struct Recording {
    /// The directory at the start, which is durable as a whole.
    pub(super) before: Tree,
    now: Tree,
    pub(super) events: Vec<Event>,
    pub(super) calls: Vec<Seen>,
    /// The changes that the model does not support.
    pub(super) unknown: Vec<String>,
    /// The number of files whose sync failed and was repeated.
    pub(super) synced_again: usize,
    failed_syncs: HashSet<Inode>,
    failing: Failing,
}

impl Recorder {
    /// Starts to record the changes of `dir`, and to fail as told.
    pub(super) fn start(&self, dir: &Path, failing: Failing) -> io::Result<()> {
        let before = Tree::scan(dir)?;
        *self.lock() = Some(Recording {
            now: before.clone(),
            before,
            events: Vec::new(),
            calls: Vec::new(),
            unknown: Vec::new(),
            synced_again: 0,
            failed_syncs: HashSet::new(),
            failing,
        });
        self.is_on.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// From now on calls fail in this way; the recording goes on.
    pub(super) fn fail(&self, failing: Failing) {
        if let Some(recording) = &mut *self.lock() {
            recording.failing = failing;
        }
    }

    pub(super) fn note(&self, event: Event) {
        if let Some(recording) = &mut *self.lock() {
            recording.events.push(event);
        }
    }

    /// Ends the recording. Calls are still passed on, all but syncs.
    pub(super) fn stop(&self) -> Option<Recording> {
        self.is_on.store(false, Ordering::SeqCst);
        self.lock().take()
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    /// Called before each call.
    pub(super) fn begin(&self, name: &'static str, intent: &Intent) -> Result<(), Refusal> {
        if !self.is_on() {
            return Ok(());
        }
        let mut recording = self.lock();
        let Some(recording) = &mut *recording else { return Ok(()) };
        recording.calls.push(Seen { name, intent: intent.clone() });
        if let Intent::Sync { what, is_dir: false } = intent
            && recording.failed_syncs.contains(what)
        {
            recording.synced_again += 1;
        }
        let refused = recording.failing.at(recording.calls.len());
        if let (Some(Refusal::Fault(_)), Intent::Sync { what, is_dir: false }) = (&refused, intent)
        {
            recording.failed_syncs.insert(*what);
        }
        refused.map_or(Ok(()), Err)
    }

    /// Called after each call that succeeded, and for each sync, which is never made; `opened` is what it opened.
    pub(super) fn end(&self, name: &'static str, intent: &Intent, opened: Option<Inode>) {
        if !self.is_on() {
            return;
        }
        let mut recording = self.lock();
        let Some(recording) = &mut *recording else { return };
        if recording.follow(intent, opened).is_none() {
            recording.unknown.push(format!("{name} ({intent:?})"));
        }
    }

    /// Writes to an open file, at its end if there is no offset. Returns the number of bytes, and
    /// whether the rest must be refused.
    pub(super) fn write(
        &self,
        name: &'static str,
        file: &File,
        offset: Option<u64>,
        bytes: &[u8],
    ) -> io::Result<Result<(usize, bool), Refusal>> {
        let (bytes, is_cut) = match self.begin(name, &Intent::Write) {
            Ok(()) => (bytes, false),
            Err(Refusal::Fault(Fault::ShortTransfer)) => (&bytes[..bytes.len() / 2], true),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let offset = offset.map_or_else(|| file.metadata().map(|found| found.len()), Ok)?;
        let written = file.write_at(bytes, offset)?;
        if self.is_on() {
            let inode = inode(file)?;
            if let Some(recording) = &mut *self.lock() {
                recording.written(inode, offset, &bytes[..written]);
            }
        }
        Ok(Ok((written, is_cut)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recording>> {
        self.recording.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Recording {
    /// Applies a call that succeeded; `None` if the model does not support it.
    fn follow(&mut self, intent: &Intent, opened: Option<Inode>) -> Option<()> {
        match intent {
            Intent::Look | Intent::Read | Intent::Write => {}
            Intent::Unknown => return None,
            Intent::Open { dir, path, create, truncate } => {
                let (dir, name) = self.now.place(self.now.node(*dir)?, path)?;
                let node = match self.now.child(dir, &name) {
                    Some(node) => node,
                    None if *create => self.add(dir, name, false)?,
                    None => return None,
                };
                self.now.identify(opened?, node);
                if *truncate {
                    self.set_size(node, 0)?;
                }
            }
            Intent::SetSize { file, size } => {
                let node = self.now.node(*file)?;
                self.set_size(node, usize::try_from(*size).ok()?)?;
            }
            Intent::Sync { what, is_dir } => {
                let node = self.now.node(*what)?;
                self.events.push(match is_dir {
                    true => Event::SyncDir { node },
                    false => Event::SyncFile { node },
                });
            }
            Intent::MakeDir { dir, path } => {
                let (dir, name) = self.now.place(self.now.node(*dir)?, path)?;
                self.add(dir, name, true)?;
            }
            Intent::Rename { dir, path, to, new_path } => {
                let (dir, name) = self.now.place(self.now.node(*dir)?, path)?;
                let (to, new_name) = self.now.place(self.now.node(*to)?, new_path)?;
                let node = self.now.child(dir, &name)?;
                // If both names are of the same file, neither is removed.
                if self.now.child(to, &new_name) != Some(node) {
                    self.now.names(dir)?.remove(&name);
                    self.now.names(to)?.insert(new_name.clone(), node);
                    self.events.push(Event::Rename { dir, name, to, new_name });
                }
            }
            Intent::Link { dir, path, to, new_path } => {
                let (dir, name) = self.now.place(self.now.node(*dir)?, path)?;
                let (to, new_name) = self.now.place(self.now.node(*to)?, new_path)?;
                let node = self.now.child(dir, &name)?;
                self.now.names(to)?.insert(new_name.clone(), node);
                self.events.push(Event::Link { dir: to, name: new_name, node });
            }
            Intent::Unlink { dir, path } => {
                let (dir, name) = self.now.place(self.now.node(*dir)?, path)?;
                self.now.names(dir)?.remove(&name)?;
                self.events.push(Event::Remove { dir, name });
            }
        }
        Some(())
    }

    fn add(&mut self, dir: Node, name: String, is_dir: bool) -> Option<Node> {
        let item = if is_dir { Item::Dir(Default::default()) } else { Item::File(Vec::new()) };
        let node = self.now.add(item);
        self.now.names(dir)?.insert(name.clone(), node);
        self.events.push(Event::Add { dir, name, node, is_dir });
        Some(node)
    }

    fn set_size(&mut self, node: Node, size: usize) -> Option<()> {
        self.now.file(node)?.resize(size, 0);
        self.events.push(Event::SetSize { node, size });
        Some(())
    }

    fn written(&mut self, inode: Inode, offset: u64, bytes: &[u8]) {
        let place = self.now.node(inode).zip(usize::try_from(offset).ok());
        let file = place.and_then(|(node, offset)| Some((node, offset, self.now.file(node)?)));
        match file {
            Some((node, offset, file)) => {
                overlay(file, offset, bytes);
                self.events.push(Event::Write { node, offset, bytes: bytes.into() });
            }
            None => self.unknown.push("a write to a file that was never opened".into()),
        }
    }
}
