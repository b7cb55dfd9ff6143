//! Keys and the files that hold them: an injective mapping to paths whose names every common
//! filesystem keeps as they are.

mod escape;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use artifact_store_backend::key;
use artifact_store_backend::name::{hex, is_hex};
use sha2::{Digest, Sha256};

use escape::{beginning, decode, encode, is_plain};

/// The longest name in bytes: what eCryptfs leaves of the usual 255.
pub const MAX_NAME: usize = 143;

/// The most names on the path of an artifact.
pub const DEPTH: usize = 16;

/// The directory of unfinished writes. Whatever else this store makes begins with one of the
/// characters below.
pub const TEMPORARIES: &str = "tmp";

/// The mark that is made anew whenever directories are about to be removed, in the root.
pub const SWEPT: &str = "+swept";

/// The mark that is made before the first artifact with attributes, in the root.
pub const ATTRIBUTES: &str = "+attributes";

/// The mark that is made before the first change that replaces one version only, in the root.
pub const VERSIONS: &str = "+versions";

/// The mark that is made when every change under way has seen the one before, in the root.
pub const FENCED: &str = "+fenced";

/// The marks of a store.
pub const MARKS: [&str; 4] = [SWEPT, ATTRIBUTES, VERSIONS, FENCED];

/// Begins the name of an artifact's file.
const FILE: char = '_';

/// Begins the name of a directory, which stands for a segment of a key and its `/`.
const FOLDER: char = ',';

/// Stands between what is spelled out of a long name and its hash. No encoding holds it.
const HASHED: char = '@';

/// How much of a long name is spelled out, in bytes of the encoding.
const READABLE: usize = 60;

/// Where an artifact lies, below the root of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path of its directory; empty for the root.
    pub dir: String,
    /// The file in it.
    pub file: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
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
    pub fn path(&self) -> String {
        join(&self.dir, &self.file)
    }

    /// As [`is_hashed`], of its file.
    pub fn is_hashed(&self) -> bool {
        is_hashed(&self.file)
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

/// Whether the name of a file leaves open which key it is.
pub fn is_hashed(file: &str) -> bool {
    file.contains(HASHED)
}

/// What the name of a file spells out, if every byte of it stands for itself.
pub fn plain_file(name: &str) -> Option<&str> {
    name.strip_prefix(FILE).filter(|rest| is_plain(rest) && name.len() <= MAX_NAME)
}

/// The path of `name` in the directory at `path`, which is empty for the root.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { [path, "/", name].concat() }
}

/// The place of `key`.
pub fn place(key: &str) -> Place {
    place_by(key, sha256)
}

/// As [`place`], with the hash that names what is too long to be spelled out.
pub fn place_by(key: &str, hash: impl Fn(&[u8]) -> [u8; 32]) -> Place {
    let folder = Folder::of(key);
    let rest = key.get(folder.key.len()..).unwrap_or_default();
    let file = file_name(rest, key, hash);
    Place { dir: folder.path, file }
}

/// The name of the file of `key`, of which `rest` is not in the names of the directories.
fn file_name(rest: &str, key: &str, hash: impl Fn(&[u8]) -> [u8; 32]) -> String {
    let mut file = String::with_capacity(FILE.len_utf8() + rest.len());
    file.push(FILE);
    encode(rest, &mut file);
    if file.len() > MAX_NAME {
        let hex = hex(&hash(key.as_bytes()));
        let readable = beginning(file.strip_prefix(FILE).unwrap_or_default(), READABLE);
        file = format!("{FILE}{readable}{HASHED}{hex}");
    }
    file
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    if cfg!(feature = "weak-hash") {
        return [7; 32];
    }
    Sha256::digest(bytes).into()
}

/// What a name in a directory of artifacts stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The artifact whose key is that of the directory and this.
    File(String),
    /// An artifact whose key, behind that of the directory, begins so; all of it is in the header.
    Hashed(Vec<u8>),
    /// The directory for this segment.
    Folder(String),
    /// The store gives no such name.
    Foreign,
}

/// A directory of artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// What all keys in it begin with: empty, or whole segments with their `/`.
    pub key: String,
    /// Its path below the root, which is empty for the root itself.
    pub path: String,
}

impl Folder {
    /// The directory of everything that begins with `prefix`: the deepest that holds all of it.
    pub fn of(prefix: &str) -> Self {
        let (mut path, mut len) = (String::new(), 0);
        for segment in prefix.split_inclusive('/').take(DEPTH - 1) {
            let Some(segment) = segment.strip_suffix('/') else { break };
            let before = path.len();
            if before > 0 {
                path.push('/');
            }
            let at = path.len();
            path.push(FOLDER);
            encode(segment, &mut path);
            // What has no name of its own is a part of the last segment, whatever follows.
            if path.len() - at > MAX_NAME {
                path.truncate(before);
                break;
            }
            len += segment.len() + 1;
        }
        Self { key: prefix.get(..len).unwrap_or_default().into(), path }
    }

    /// The directory for `segment` in this one.
    pub fn child(&self, segment: &str) -> Self {
        let mut name = String::from(FOLDER);
        encode(segment, &mut name);
        Self { key: [&*self.key, segment, "/"].concat(), path: join(&self.path, &name) }
    }

    /// The name of the file of the artifact with the key of this directory and `rest`.
    pub fn file(&self, rest: &str) -> String {
        file_name(rest, &[&*self.key, rest].concat(), sha256)
    }

    /// What `name` stands for in this directory. Each artifact and each directory has one spelling
    /// in one place, so that two never stand for one key.
    pub fn parse(&self, name: &str) -> Named {
        if name.len() > MAX_NAME {
            return Named::Foreign;
        }
        if let Some(encoded) = name.strip_prefix(FOLDER) {
            let segment = self.spelled(encoded, 1).filter(|segment| !segment.contains('/'));
            segment.filter(|_| !self.is_deepest()).map_or(Named::Foreign, Named::Folder)
        } else if let Some(encoded) = name.strip_prefix(FILE) {
            if let Some((readable, digits)) = encoded.split_once(HASHED) {
                return match digits.len() == 64 && is_hex(digits) {
                    true => Named::Hashed(decode(readable).unwrap_or_default()),
                    false => Named::Foreign,
                };
            }
            let rest = self.spelled(encoded, 0);
            let rest = rest.filter(|rest| self.is_deepest() || !rest.contains('/'));
            rest.map_or(Named::Foreign, Named::File)
        } else {
            Named::Foreign
        }
    }

    /// What is encoded like this, if it is a part of a key here, with room for `more` behind it.
    fn spelled(&self, encoded: &str, more: usize) -> Option<String> {
        // Of a million names most are like this.
        let text = match is_plain(encoded) {
            true => encoded.into(),
            false => {
                let text = String::from_utf8(decode(encoded)?).ok()?;
                let mut again = String::new();
                encode(&text, &mut again);
                let is_spelling = again == encoded && !text.chars().any(char::is_control);
                is_spelling.then_some(text)?
            }
        };
        let len = self.key.len() + text.len() + more;
        (1..=key::MAX_LEN).contains(&len).then_some(text)
    }

    /// Whether it holds no other directories.
    fn is_deepest(&self) -> bool {
        self.key.bytes().filter(|byte| *byte == b'/').count() == DEPTH - 1
    }
}

/// The name of an unfinished write with this random number, which its generation has in its header.
pub fn temporary(random: [u8; 16]) -> String {
    hex(&random)
}

/// The name of a claim of this generation, which is given as the name of its temporary.
pub fn claim(generation: &str, number: u32) -> String {
    format!("{generation}-{number}")
}

/// The generation that a claim of this name is one of.
pub fn claimed(name: &str) -> Option<&str> {
    let (generation, number) = name.split_once('-')?;
    let is_number = number.parse::<u32>().is_ok_and(|value| claim(generation, value) == name);
    (is_temporary(generation) && is_number).then_some(generation)
}

/// Whether this is the name of an unfinished write.
pub fn is_temporary(name: &str) -> bool {
    name.len() == 32 && is_hex(name)
}
