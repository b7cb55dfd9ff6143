//! Keys and the files that hold them: an injective mapping to names that every common
//! filesystem keeps as they are.

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

/// The directory of unfinished writes. Shards have three letters too, but hexadecimal ones.
pub const TEMPORARIES: &str = "tmp";

/// Begins a name from which the key can be read.
const PLAIN: char = '_';

/// Begins the name of a key that is too long to be spelled out.
const HASHED: char = '@';

/// How much of a long key its name spells out, in bytes of the encoding.
const READABLE: usize = 60;

/// Where an artifact lies, below the root of the store.
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

/// Whose artifact lies at the place of a key, by the key in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The key that was asked for.
    Asked,
    /// Another key with the same hash. The one that was asked for has no artifact.
    Twin,
    /// A key that belongs elsewhere: somebody moved or changed the file.
    Stray,
}

impl Place {
    /// Whether the name of the file leaves open which key it is.
    pub fn is_hashed(&self) -> bool {
        self.file.starts_with(HASHED)
    }

    /// Whose artifact this is, being at the place of `asked` with `found` in its header.
    pub fn holder(&self, asked: &str, found: &str) -> Holder {
        self.holder_by(asked, found, sha256)
    }

    /// As [`holder`](Self::holder), with the hash that [`place_by`] was given.
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

/// As [`place`], with the hash that names keys too long to be spelled out.
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

/// The name of the shard with this number. Each read comes here, and to format a number takes the
/// time of a call of the system.
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
        // Only the one spelling in the one shard: two files never stand for one key.
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

/// A directory of a store, in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// The granted directory itself.
    Root,
    /// By its number, which its name is.
    Shard(u16),
    Temporaries,
}

/// How many shards there are: one for each three hexadecimal digits.
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
