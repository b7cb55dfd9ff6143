//! Publishing an artifact in place of one generation and no other, by a [claim](crate::claim).

use alloc::format;

use artifact_store_backend::{Error, Result};

use crate::claim::{At, Current, current};
use crate::commit::{Temporary, swept};
use crate::header::Header;
use crate::name;
use crate::wasi;

/// What came of a change that was to follow a generation.
pub enum Followed {
    Published,
    /// Another change was faster.
    Late,
    /// Another change was faster than the claim. The temporary is named after this generation now.
    Renamed([u8; 16]),
}

impl Temporary {
    /// Publishes this in place of the generation `version`.
    pub fn follow(&self, at: &At<'_>, version: &str) -> Result<Followed> {
        let name = &*self.name;
        let Some(number) = at.claim(version, name)? else { return Ok(Followed::Late) };
        let next = wasi::random();
        let is_current = at.is_current(version)?;
        let moved = match is_current {
            true => at.temporaries.rename(name, at.dir, &at.place.file),
            // What can be taken back was not published, and cannot be any more.
            false => at.temporaries.rename(name, at.temporaries, &name::temporary(next)),
        };
        let followed = match moved {
            Ok(()) if is_current => Followed::Published,
            Ok(()) => Followed::Renamed(next),
            Err(failure) if failure.is_absent() => {
                self.was_published(at, version)?;
                Followed::Published
            }
            Err(failure) => return Err(failure.into()),
        };
        at.clear(version, number);
        Ok(followed)
    }

    /// Makes what is written another generation, after which it is named already.
    pub fn renew(&mut self, generation: [u8; 16], header: &mut Header) -> Result<()> {
        header.generation = generation;
        self.seal(header)
    }

    /// An error where somebody who has taken the claimed temporary may not have published it.
    fn was_published(&self, at: &At<'_>, version: &str) -> Result<()> {
        match current(at.key, at.place)? {
            Current::Is(found) if found == self.name => Ok(()),
            Current::Is(found) if found == version => Err(swept(&self.name)),
            // Published, and replaced since, unless a sweep removed it.
            _ => match &self.sweeps {
                Some(sweeps) if sweeps.is_current()? => Ok(()),
                _ => Err(Error::Unavailable(format!(
                    "`{}` was changed by others and swept: whether this change took place is not known",
                    at.place
                ))),
            },
        }
    }
}
