//! Keys and their files: an injective mapping to names that every common filesystem stores
//! unchanged.

mod escape;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use core::fmt;

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::key;
pub use artifact_store_backend::name::Named;
use artifact_store_backend::name::{hex, is_hex};
use sha2::{Digest, Sha256};

use escape::{beginning, decode, encode};

/// The longest file name in bytes: what eCryptfs leaves of the usual 255.
pub const MAX_NAME: usize = 143;

/// The directory of unfinished writes. Shards have three characters too, but hexadecimal ones.
pub const TEMPORARIES: &str = "tmp";

/// The first character of a name that spells out the key.
const PLAIN: char = '_';

/// The first character of a name whose key is too long to be spelled out.
const HASHED: char = '@';

/// How many bytes of a long key's encoding its name spells out.
const READABLE: usize = 60;

/// The place of an artifact below the root of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory: three hexadecimal digits, one of 4096.
    pub shard: String,
    /// The file in it.
    pub file: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shard, self.file)
    }
}

/// Whose artifact is at the place of a key, according to the key in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The key that was asked for.
    Asked,
    /// Another key with the same hash. The requested key has no artifact.
    Twin,
    /// A key that belongs elsewhere: the file was moved or changed.
    Stray,
}

impl Place {
    /// Whether the name of the file does not determine the key.
    pub fn is_hashed(&self) -> bool {
        self.file.starts_with(HASHED)
    }

    /// The owner of the artifact at the place of `asked` whose header has the key `found`.
    pub fn holder(&self, asked: &str, found: &str) -> Holder {
        self.holder_by(asked, found, sha256)
    }

    /// Like [`holder`](Self::holder), with the hash that [`place_by`] was given.
    pub fn holder_by(&self, asked: &str, found: &str, hash: impl Fn(&[u8]) -> [u8; 32]) -> Holder {
        if asked == found {
            Holder::Asked
        } else if place_by(found, hash) == *self {
            Holder::Twin
        } else {
            Holder::Stray
        }
    }
}

/// The place of `key`.
pub fn place(key: &str) -> Place {
    place_by(key, sha256)
}

/// Like [`place`], with the hash for keys that are too long to be spelled out.
pub fn place_by(key: &str, hash: impl Fn(&[u8]) -> [u8; 32]) -> Place {
    let shard = shard_name((checksum(key.as_bytes()) >> 52) as u16);
    let mut file = String::with_capacity(PLAIN.len_utf8() + key.len());
    file.push(PLAIN);
    encode(key, &mut file);
    if file.len() > MAX_NAME {
        let hex = hex(&hash(key.as_bytes()));
        let readable = beginning(file.strip_prefix(PLAIN).unwrap_or_default(), READABLE);
        file = format!("{HASHED}{readable}{HASHED}{hex}");
    }
    Place { shard, file }
}

/// The name of the shard with this number. Each read calls this, and formatting a number would take
/// as long as a system call.
fn shard_name(number: u16) -> String {
    let digit = |at: u16| b"0123456789abcdef"[usize::from(number >> at & 15)];
    str::from_utf8(&[digit(8), digit(4), digit(0)]).unwrap_or_default().into()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    if cfg!(feature = "weak-hash") {
        return [7; 32];
    }
    Sha256::digest(bytes).into()
}

/// The inverse of [`place`].
pub fn parse(shard: &str, file: &str) -> Named {
    if let Some(encoded) = file.strip_prefix(PLAIN) {
        // Each key has exactly one spelling in one shard, so two files never have the same key.
        let key = decode(encoded).filter(|key| key::check(key).is_ok());
        let own = key.filter(|key| {
            let place = place(key);
            place.shard == shard && place.file == file
        });
        own.map_or(Named::Foreign, Named::Plain)
    } else if file.starts_with(HASHED) && file.len() <= MAX_NAME && has_digest(file) {
        Named::Hashed
    } else {
        Named::Foreign
    }
}

/// A directory of a store, in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// The granted directory itself.
    Root,
    /// A shard; its name is its number.
    Shard(u16),
    Temporaries,
}

/// The number of shards: one for each three hexadecimal digits.
pub const SHARDS: u16 = 4096;

impl Folder {
    /// The inverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "." => Some(Self::Root),
            TEMPORARIES => Some(Self::Temporaries),
            _ if name.len() == 3 && is_hex(name) => {
                u16::from_str_radix(name, 16).ok().map(Self::Shard)
            }
            _ => None,
        }
    }

    pub fn name(self) -> String {
        match self {
            Self::Root => ".".into(),
            Self::Shard(number) => shard_name(number),
            Self::Temporaries => TEMPORARIES.into(),
        }
    }

    /// The shards, in their order.
    pub fn shards() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self::Shard)
    }
}

/// The name of an unfinished write with this random number.
pub fn temporary(random: u128) -> String {
    format!("{random:032x}")
}

/// Whether this is the name of an unfinished write.
pub fn is_temporary(name: &str) -> bool {
    name.len() == 32 && is_hex(name)
}

fn has_digest(file: &str) -> bool {
    file.rsplit_once(HASHED).is_some_and(|(_, hex)| hex.len() == 64 && is_hex(hex))
}
