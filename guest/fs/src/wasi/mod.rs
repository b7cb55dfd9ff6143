//! The few WASI calls that this backend makes. Each failure carries what was being done and
//! to which name; what it means stands in one table.

mod bindings;
mod dir;
mod failure;
mod file;

use alloc::boxed::Box;
use alloc::format;

use artifact_store_backend::{Error, Instant, Result};
use once_cell::race::OnceBox;

pub use bindings::get_environment;
pub use bindings::types::ErrorCode;
use bindings::types::{DescriptorStat, DescriptorType};
use bindings::{get_directories, get_random_bytes, system_clock};
pub use dir::{Access, Dir, Names, may_have_changed};
pub use failure::{Failure, by_anybody};
pub use file::{Ended, File, FileStream, fill};

/// The result of a call of the system.
pub type Called<T> = core::result::Result<T, Failure>;

/// The directory that this component was granted. The handle is kept: it is no state.
pub fn root() -> Result<&'static Dir> {
    static ROOT: OnceBox<Dir> = OnceBox::new();
    ROOT.get_or_try_init(|| {
        let mut granted = get_directories();
        let at = granted.iter().position(|(_, path)| path == "/");
        let found = match (at, granted.len()) {
            (Some(at), _) => granted.swap_remove(at).0,
            (None, 1) => granted.remove(0).0,
            (None, count) => {
                let text = format!("needs one directory, granted as `/`; {count} others are");
                return Err(Error::AccessDenied(text));
            }
        };
        Ok(Box::new(Dir::root(found)))
    })
}

/// A random number that nobody else comes upon: names a temporary, and the generation that it
/// becomes.
pub fn random() -> [u8; 16] {
    let mut number = [0; 16];
    number.iter_mut().zip(get_random_bytes(16)).for_each(|(byte, random)| *byte = random);
    number
}

/// The time by the clock of the host.
pub fn now() -> Instant {
    system_clock::now().into()
}

impl From<system_clock::Instant> for Instant {
    fn from(at: system_clock::Instant) -> Self {
        Self { seconds: at.seconds, nanoseconds: at.nanoseconds }
    }
}

/// What a name or a handle stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    /// A link, a pipe, a device, a socket.
    Other,
}

impl From<DescriptorType> for Kind {
    fn from(kind: DescriptorType) -> Self {
        match kind {
            DescriptorType::RegularFile => Self::File,
            DescriptorType::Directory => Self::Directory,
            _ => Self::Other,
        }
    }
}

/// What the filesystem tells about a file.
pub struct Stat {
    pub kind: Kind,
    /// How many names it has: none when it was removed.
    pub links: u64,
    pub size: u64,
    pub modified: Option<Instant>,
}

impl From<DescriptorStat> for Stat {
    fn from(stat: DescriptorStat) -> Self {
        Self {
            kind: stat.type_.into(),
            links: stat.link_count,
            size: stat.size,
            modified: stat.data_modification_timestamp.map(Instant::from),
        }
    }
}
