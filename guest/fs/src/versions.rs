//! Whether versions are used in this store: whether there ever was a change that replaces or removes
//! one version only. From then on every change has to respect [claims](crate::claim); before, none pays
//! for them.
//!
//! The first such change makes a mark, and then removes every temporary: who made one before has not
//! seen the mark, and fails as if a sweep had taken it. Who makes one later looks for the mark.

use alloc::format;

use artifact_store_backend::{Error, Result};

use crate::commit::settle;
use crate::durable;
use crate::folder::{self, ATTEMPTS};
use crate::mark::{self, Mark};
use crate::name::{self, FENCED, VERSIONS};
use crate::settings;
use crate::walk;
use crate::wasi::{self, Dir, Kind, by_anybody};

static USED: Mark = Mark::new(VERSIONS);
static EVERYWHERE: Mark = Mark::new(FENCED);

/// Whether they are known to be used.
pub fn are_known() -> bool {
    USED.is_seen()
}

/// Whether they are used. Only who has made a temporary before may rely on a no.
pub fn are_used() -> Result<bool> {
    USED.is_there()
}

/// Sees to it that every change respects versions from now on.
pub fn begin() -> Result<()> {
    if EVERYWHERE.is_there()? {
        USED.see();
        return Ok(());
    }
    let durable = settings::is_durable()?;
    folder::is_of_this_layout()?;
    let temporaries = folder::temporaries()?;
    begin_by_link(&temporaries)?;
    settle(wasi::root()?, durable)?;
    let others = walk::temporaries(&temporaries)?;
    // Another one may have been faster: what came after that has seen the mark.
    if EVERYWHERE.is_there()? {
        return Ok(());
    }
    // What was made after this is none of them.
    durable::announce(&temporaries)?;
    for other in others.iter().map(|item| &*item.order).filter(|name| name::is_temporary(name)) {
        if temporaries.look(other)?.is_none_or(|stat| stat.kind != Kind::File) {
            continue;
        }
        by_anybody(temporaries.unlink(other))?;
    }
    mark::make(&temporaries, FENCED)
}

/// Makes the first mark, by a link: where there are none, there can be no claims.
fn begin_by_link(temporaries: &Dir) -> Result<()> {
    let mut attempt = 1;
    loop {
        let name = name::temporary(wasi::random());
        drop(temporaries.create_file(&name)?);
        let linked = temporaries.link(&name, wasi::root()?, VERSIONS);
        temporaries.discard(&name);
        return match linked {
            Err(failure) if failure.is_taken() => Ok(()),
            // Another one that begins has taken it.
            Err(failure) if failure.is_absent() && attempt < ATTEMPTS => {
                attempt += 1;
                continue;
            }
            Err(failure) if failure.is_for_want_of_links() => Err(Error::Unsupported(format!(
                "cannot replace one version of `{}`: the filesystem has no hard links",
                failure.path
            ))),
            linked => Ok(linked?),
        };
    }
}
