//! Claims: which change may follow one generation of an artifact, where versions are used.
//!
//! A change that is to follow generation `g` links a file to `tmp/g-0`. The first one wins, and may
//! go on if `g` is current even then. The header of that file says what follows: the temporary of
//! the new artifact, or, for a deletion, an empty directory into which the old one is moved. Whoever
//! meets a claim finishes it: publishes that temporary, or removes that directory, so that the
//! deletion cannot take place any more. So nobody waits for a process that may be dead. This holds
//! because a generation never comes back, and because of three rules:
//!
//! - A claim of `g` is removed only by somebody who has seen that `g` is not current.
//! - The next claim of `g`, `tmp/g-1`, is made only by somebody who has seen that the one before is
//!   dead: what it names was gone, and `g` was current even then.
//! - A temporary is claimed once. Before it is claimed for another generation it gets another name,
//!   so that a helper who comes late finds nothing to publish.

use alloc::format;
use alloc::string::String;

use artifact_store_backend::name::hex;
use artifact_store_backend::{Error, Result};

use crate::commit::swept;
use crate::header;
use crate::name::{self, Place};
use crate::read::{self, Artifact};
use crate::wasi::{Dir, Kind, by_anybody};

/// What lies under a key.
pub enum Current {
    Absent,
    /// Something that has no generation, since it is damaged or foreign.
    Unreadable,
    /// An artifact of this generation.
    Is(String),
}

pub fn current(key: &str, place: &Place) -> Result<Current> {
    for _ in 0..2 {
        match read::open(key, place) {
            Ok(Some(found)) => return Ok(Current::Is(hex(&found.header.generation))),
            Ok(None) => return Ok(Current::Absent),
            // Twice, so that a read that was cut does not count.
            Err(Error::Corrupt(_) | Error::Unsupported(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Current::Unreadable)
}

/// An artifact that is to be changed.
pub struct At<'a> {
    pub key: &'a str,
    pub place: &'a Place,
    /// Its directory.
    pub dir: &'a Dir,
    pub temporaries: &'a Dir,
}

impl At<'_> {
    pub fn is_current(&self, version: &str) -> Result<bool> {
        match current(self.key, self.place)? {
            Current::Is(found) => Ok(found == version),
            Current::Absent => Ok(false),
            Current::Unreadable => {
                Err(Error::Unavailable(format!("`{}` was damaged meanwhile", self.place)))
            }
        }
    }

    /// Claims the generation `version` for the temporary `name`, and returns the number of the
    /// claim; none where that generation is past.
    pub fn claim(&self, version: &str, name: &str) -> Result<Option<u32>> {
        let mut number = 0;
        loop {
            let claim = name::claim(version, number);
            match self.temporaries.link(name, self.temporaries, &claim) {
                Ok(()) => return Ok(Some(number)),
                Err(failure) if failure.is_taken() => {}
                Err(failure) if failure.is_absent() => return Err(swept(name)),
                Err(failure) => return Err(failure.into()),
            }
            if self.finish(version, &claim)? {
                self.clear(version, number);
                return Ok(None);
            }
            number += 1;
        }
    }

    /// Finishes the change that has made a claim. Whether the generation is past then; otherwise
    /// the claim is dead.
    pub fn finish(&self, version: &str, claim: &str) -> Result<bool> {
        // Nobody here made what is no file, and nothing follows from it.
        if self.temporaries.look(claim)?.is_some_and(|stat| stat.kind != Kind::File) {
            return Ok(!self.is_current(version)?);
        }
        // Whoever removed it has seen that.
        let Some(successor) = self.successor(claim)? else { return Ok(true) };
        match self.temporaries.look(&successor)?.map(|stat| stat.kind) {
            Some(Kind::File) if self.is_whole(&successor)? && self.is_current(version)? => {
                let file = &self.place.file;
                by_anybody(self.temporaries.rename(&successor, self.dir, file))?;
            }
            // If it is not empty, the deletion has taken place.
            Some(Kind::Directory) => match self.temporaries.remove_dir(&successor) {
                Err(failure) if failure.is_not_empty() => {}
                removed => by_anybody(removed)?,
            },
            _ => {}
        }
        Ok(!self.is_current(version)?)
    }

    /// Whether the temporary is one of this artifact. Something else under its name must not take the
    /// place of what is there.
    fn is_whole(&self, temporary: &str) -> Result<bool> {
        match read::open_in(self.temporaries, temporary, header::len(self.key)) {
            Ok(Some(Artifact { header, .. })) => {
                Ok(header.key == self.key && name::temporary(header.generation) == temporary)
            }
            Ok(None) | Err(Error::Corrupt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The name of what a claim names; none where there is no such claim.
    fn successor(&self, claim: &str) -> Result<Option<String>> {
        for _ in 0..2 {
            match read::open_in(self.temporaries, claim, header::LIKELY_LEN) {
                Ok(None) => return Ok(None),
                Ok(Some(found)) if found.header.key == self.key => {
                    return Ok(Some(name::temporary(found.header.generation)));
                }
                Ok(Some(_)) | Err(Error::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let path = self.temporaries.join(claim);
        Err(Error::Unavailable(format!("the claim `{path}` is damaged; a sweep removes it")))
    }

    /// Removes the claims of a generation that is past, up to that number.
    pub fn clear(&self, version: &str, last: u32) {
        for number in 0..=last {
            self.temporaries.discard(&name::claim(version, number));
        }
    }
}
