//! Marks: empty files in the root that tell something of the whole store.

use core::sync::atomic::{AtomicBool, Ordering};

use artifact_store_backend::Result;

use crate::commit::settle;
use crate::folder::ATTEMPTS;
use crate::name::temporary;
use crate::wasi::{self, Dir, root};

/// A mark that is never removed, so that who has seen it need not look again.
pub struct Mark {
    name: &'static str,
    is_seen: AtomicBool,
    is_durable: AtomicBool,
}

impl Mark {
    pub const fn new(name: &'static str) -> Self {
        Self { name, is_seen: AtomicBool::new(false), is_durable: AtomicBool::new(false) }
    }

    /// Whether this instance has seen it.
    pub fn is_seen(&self) -> bool {
        self.is_seen.load(Ordering::Relaxed)
    }

    /// It is there, as something else shows.
    pub fn see(&self) {
        self.is_seen.store(true, Ordering::Relaxed);
    }

    pub fn is_there(&self) -> Result<bool> {
        if !self.is_seen() && root()?.look(self.name)?.is_some() {
            self.see();
        }
        Ok(self.is_seen())
    }

    /// Makes it where there is none, and durable where that is asked for: whoever made it before may
    /// have been killed in between.
    pub fn leave(&self, temporaries: &Dir, durable: bool) -> Result<()> {
        if self.is_durable.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.is_there()? {
            make(temporaries, self.name)?;
            self.see();
        }
        settle(root()?, durable)?;
        self.is_durable.store(durable, Ordering::Relaxed);
        Ok(())
    }
}

/// Makes a mark anew, in the directory `temporaries` at first.
pub fn make(temporaries: &Dir, mark: &str) -> Result<()> {
    let mut attempt = 1;
    loop {
        let name = temporary(wasi::random());
        drop(temporaries.create_file(&name)?);
        match temporaries.rename(&name, root()?, mark) {
            Ok(()) => return Ok(()),
            // A sweep has taken it, or the first change of one version.
            Err(failure) if failure.is_absent() && attempt < ATTEMPTS => attempt += 1,
            Err(failure) => {
                temporaries.discard(&name);
                return Err(failure.into());
            }
        }
    }
}
