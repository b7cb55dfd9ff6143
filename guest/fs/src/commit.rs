//! How an artifact becomes visible, and goes: never half, and never lost once acknowledged.
//!
//! Bytes go into a new file in `tmp`, which is synced, then renamed over the artifact (or
//! linked, where it must not replace one); then its directory is synced. Whatever fails before the
//! rename leaves the old artifact; whatever fails after it leaves the outcome open. Where versions
//! are used, what lies under the key has to be [claimed](crate::claim) before.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::name::hex;
use artifact_store_backend::{Attribute, Error, Info, Instant, Mode, Result, seal};

use crate::claim::{At, Current, current};
use crate::durable::Sweeps;
use crate::folder::{self, ATTEMPTS, Opened};
use crate::follow::Followed;
use crate::header::{self, Header};
use crate::mark::Mark;
use crate::name::{self, ATTRIBUTES, Holder, Place};
use crate::read;
use crate::settings;
use crate::versions;
use crate::wasi::{self, Access, Called, Dir, ErrorCode, Failure, File, Kind};

/// How often a change is tried again that others keep being faster than.
pub const CONTENDED: usize = 1000;

/// An unfinished write: a file in `tmp`.
pub struct Temporary {
    pub dir: Opened,
    pub name: String,
    /// What it is named after.
    pub generation: [u8; 16],
    pub file: File,
    pub durable: bool,
    /// Where versions are used, what tells whether a sweep may have taken it.
    pub sweeps: Option<Sweeps>,
    /// Whether it was given a second name.
    is_linked: bool,
}

impl Temporary {
    /// Begins a write.
    pub fn create() -> Result<Self> {
        let durable = settings::is_durable()?;
        folder::is_of_this_layout()?;
        let mut attempt = 1;
        loop {
            let dir = folder::temporaries()?;
            let sweeps = match versions::are_known() {
                true => Some(Sweeps::now()?),
                false => None,
            };
            let generation = wasi::random();
            let name = name::temporary(generation);
            match dir.create_file(&name) {
                Ok(file) => {
                    let is_linked = false;
                    let made = Self { dir, name, generation, file, durable, sweeps, is_linked };
                    let is_new = match versions::are_used() {
                        Ok(are_used) => are_used && made.sweeps.is_none(),
                        Err(error) => {
                            made.discard();
                            return Err(error);
                        }
                    };
                    if !is_new {
                        return Ok(made);
                    }
                    made.discard();
                }
                Err(failure)
                    if (failure.is_taken() || failure.is_absent()) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(failure) => {
                    // A host may have made the file before it failed; nobody else has this name.
                    dir.discard(&name);
                    return Err(failure.into());
                }
            }
        }
    }

    /// Writes the header, and makes the file durable if it is to be.
    pub fn seal(&self, header: &Header) -> Result<()> {
        self.file.write(header.encode(), Vec::new())?;
        if self.durable {
            self.file.sync()?;
        }
        Ok(())
    }

    /// What the file is to say of its artifact, whose size and checksum may come later.
    pub fn header(&self, key: String, attributes: Vec<Attribute>) -> Header {
        let attributes = attributes.into_iter().map(|it| (it.name, it.value)).collect();
        Header { key, size: 0, checksum: 0, generation: self.generation, attributes }
    }

    /// Ends a write: publishes at `place` what was `written` into the file, header included.
    /// Whatever goes wrong, or went wrong before, the file is removed.
    pub fn finish(mut self, place: &Place, mode: Mode, written: Result<Header>) -> Result<Info> {
        let stored = match written {
            Ok(header) => self.publish(place, header, &mode),
            Err(error) => Err(error),
        };
        let (may_be_helped, is_linked) = (self.sweeps.is_some(), self.is_linked);
        match stored {
            // A rename took the name along; a link is a second one.
            Ok(info) if !is_linked => Ok(info),
            Ok(info) => {
                self.discard();
                Ok(info)
            }
            // What cannot be taken back may have been published by somebody who met the claim.
            Err(error) if !self.discard() && may_be_helped => Err(open(error)),
            Err(error) => Err(error),
        }
    }

    /// Removes the file; whether it was there.
    pub fn discard(self) -> bool {
        let Self { dir, name, file, .. } = self;
        // Some file servers keep a file that is removed while it is open, under another name.
        drop(file);
        dir.discard_if_there(&name)
    }

    fn publish(&mut self, place: &Place, mut header: Header, mode: &Mode) -> Result<Info> {
        let stat = self.file.stat()?;
        let before = header.start() as u64;
        let generation = header.generation;
        // A stream that was cut looks like one that ended: only the size tells.
        if header.size.checked_add(before) != Some(stat.size) {
            let arrived = stat.size.saturating_sub(before);
            return Err(seal::wrong_size(header.size, arrived));
        }
        // Opened before the sync: after that wait the processor's caches are cold, and each call
        // takes several times as long.
        let mut opened = Some(folder::make(&place.dir, self.durable)?);
        if self.durable {
            self.file.sync()?;
        }
        if !header.attributes.is_empty() {
            // A listing has to look into files for their sizes from now on.
            ATTRIBUTED.leave(&self.dir, self.durable)?;
        }
        let (mut attempt, mut contended) = (1, 0);
        let dir = loop {
            let dir = match opened.take() {
                Some(dir) => dir,
                None => folder::make(&place.dir, self.durable)?,
            };
            if holder(&dir, place, &header.key)? == Holder::Twin {
                return Err(Error::Other(format!("`{place}` holds the artifact of another key")));
            }
            let failure = match self.place(&dir, place, &mut header, mode)? {
                Ok(true) => break dir,
                Ok(false) => {
                    contended += 1;
                    if contended == CONTENDED {
                        return Err(busy(place));
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            // It is the directory that has gone, where the file is still there.
            let is_removed = failure.is_absent() && self.dir.look(&self.name)?.is_some();
            match is_removed {
                true if attempt < ATTEMPTS => attempt += 1,
                true => return Err(failure.into()),
                false => return Err(refused(failure, mode)),
            }
        };
        // That of a file with another generation than at first is later.
        let modified = match header.generation == generation {
            true => stat.modified,
            false => self.file.stat().map_err(|failure| open(failure.into()))?.modified,
        };
        settle(&dir, self.durable)?;
        Ok(header.info(modified))
    }

    /// Makes this the artifact; false where another change was faster and it is to be tried again.
    fn place(
        &mut self,
        dir: &Dir,
        place: &Place,
        header: &mut Header,
        mode: &Mode,
    ) -> Result<Called<bool>> {
        let found = match (mode, &self.sweeps) {
            (Mode::Create, _) => Current::Absent,
            (_, None) => Current::Unreadable,
            _ => current(&header.key, place)?,
        };
        let version = match (mode, found) {
            (Mode::Replace(version), Current::Is(found)) if *version == found => found,
            (Mode::Replace(_), _) => return Err(Error::ConditionFailed),
            (_, Current::Is(found)) => found,
            (_, Current::Absent) => {
                let linked = self.dir.link(&self.name, dir, &place.file);
                self.is_linked = linked.is_ok();
                return Ok(match linked {
                    Err(failure) if failure.is_taken() && !matches!(mode, Mode::Create) => {
                        Ok(false)
                    }
                    linked => linked.map(|()| true),
                });
            }
            // It has no generation that could be claimed, or needs none.
            (_, Current::Unreadable) => {
                let renamed = self.dir.rename(&self.name, dir, &place.file);
                return Ok(renamed.map(|()| true));
            }
        };
        let at = At { key: &header.key, place, dir, temporaries: &self.dir };
        let generation = match self.follow(&at, &version)? {
            Followed::Published => return Ok(Ok(true)),
            Followed::Late => return Ok(Ok(false)),
            Followed::Renamed(generation) => generation,
        };
        self.name = name::temporary(generation);
        if matches!(mode, Mode::Replace(_)) {
            // After a crash the old generation must not be there again, with the claim.
            settle(dir, self.durable)?;
            return Err(Error::ConditionFailed);
        }
        self.renew(generation, header)?;
        Ok(Ok(false))
    }
}

static ATTRIBUTED: Mark = Mark::new(ATTRIBUTES);

/// Whether any artifact of the store has attributes, or had some.
pub fn has_attributes() -> Result<bool> {
    ATTRIBUTED.is_there()
}

impl Header {
    /// What is known of the artifact, whose file was last written to at this time.
    pub fn info(self, modified: Option<Instant>) -> Info {
        let attribute = |(name, value)| Attribute { name, value };
        Info {
            size: self.size,
            checksum: Some(self.checksum),
            modified,
            version: Some(hex(&self.generation)),
            attributes: self.attributes.into_iter().map(attribute).collect(),
        }
    }
}

/// The answer to a change whose temporary has gone.
pub fn swept(path: &str) -> Error {
    Error::Unavailable(format!("cannot publish `{path}`: a sweep took the file"))
}

pub fn busy(place: &Place) -> Error {
    Error::Unavailable(format!("`{place}` is changed by too many others"))
}

/// Why a file could not be published.
fn refused(failure: Failure, mode: &Mode) -> Error {
    match (mode, &failure.code) {
        (_, ErrorCode::NoEntry) => swept(&failure.path),
        (Mode::Create, ErrorCode::Exist) => Error::AlreadyExists,
        (Mode::Create, _) if failure.is_for_want_of_links() => Error::Unsupported(format!(
            "cannot create `{}` and replace nothing: the filesystem has no hard links",
            failure.path
        )),
        _ => failure.into(),
    }
}

/// Whether the artifact `key` exists; this settles no race, but can save a transfer.
pub fn exists(key: &str, place: &Place) -> Result<bool> {
    let Some(dir) = folder::open(&place.dir, Access::Read)? else { return Ok(false) };
    Ok(dir.look(&place.file)?.is_some() && holder(&dir, place, key)? != Holder::Twin)
}

/// An error where the artifact `key` is not this version; this settles no race, but can save a
/// transfer.
pub fn expect(key: &str, place: &Place, version: &str) -> Result<()> {
    match current(key, place)? {
        Current::Is(found) if found == version => versions::begin(),
        _ => Err(Error::ConditionFailed),
    }
}

/// Makes a change durable that can be seen already. Where that fails, the outcome is open:
/// a crash may still undo the change.
pub fn settle(dir: &Dir, durable: bool) -> Result<()> {
    let synced: Called<()> = if durable { dir.sync() } else { Ok(()) };
    synced.map_err(|failure| open(failure.into()))
}

/// An error that leaves open whether a change was made.
pub fn open(error: Error) -> Error {
    match error {
        Error::NoSpace(why)
        | Error::AccessDenied(why)
        | Error::Corrupt(why)
        | Error::Unsupported(why)
        | Error::Other(why) => Error::Unavailable(format!("the change may not be durable: {why}")),
        error => error,
    }
}

/// Whose artifact lies at `place`, where only a hash names the file. That of another key with the
/// same hash is not to be touched; nothing, a damaged one, or one that somebody moved here, is as
/// good as the one that was asked for.
pub fn holder(dir: &Dir, place: &Place, key: &str) -> Result<Holder> {
    if !place.is_hashed() {
        return Ok(Holder::Asked);
    }
    match dir.look(&place.file)? {
        Some(stat) if stat.kind == Kind::File => {}
        _ => return Ok(Holder::Asked),
    }
    match read::open_in(dir, &place.file, header::len(key)) {
        Ok(Some(found)) => Ok(place.holder(key, &found.header.key)),
        Ok(None) | Err(Error::Corrupt(_)) => Ok(Holder::Asked),
        Err(error) => Err(error),
    }
}
