//! Keys and their objects: an injective mapping to names that no service, proxy or client has a
//! reason to normalise. `docs/s3.md` describes it, with examples.

#[cfg(test)]
mod tests;

use artifact_store_backend::key;
pub use artifact_store_backend::name::Named;
use artifact_store_backend::name::{hex, is_hex};
use sha2::{Digest, Sha256};

/// The longest name of an object in bytes.
pub const MAX_NAME: usize = 1024;

/// The longest prefix of a store, as the user sets it.
pub const MAX_PREFIX: usize = 128;

/// After how many bytes a segment continues in the next one: some services store each segment as a
/// file name, which has at most 255 bytes.
const SEGMENT: usize = 180;

/// How many bytes of a long key's encoding its name spells out.
const READABLE: usize = 600;

/// The first character of an escape; alone, it ends every name.
const ESCAPE: char = '_';

/// Separates the spelled-out beginning of a long key from its hash; no escape begins like this.
const HASH: &str = "_h";

/// Where a segment continues in the next one.
const BREAK: &str = "_-/";

/// The names of the objects of one store.
#[derive(Clone, Debug)]
pub struct Names {
    root: String,
}

impl Names {
    /// The store below `prefix`, which is empty or has segments separated by `/`. Whatever two
    /// prefixes have in common, no name of one store begins with the root of the other: a segment
    /// that is a lone `_` comes only from here.
    pub fn new(prefix: &str) -> Result<Self, String> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if prefix.len() > MAX_PREFIX {
            return Err(format!("it has more than {MAX_PREFIX} bytes"));
        }
        let is_fine = |segment: &str| {
            let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !matches!(segment, "" | "." | ".." | "_") && segment.chars().all(safe)
        };
        match prefix {
            "" => Ok(Self { root: "_/".into() }),
            _ if prefix.split('/').all(is_fine) => Ok(Self { root: format!("{prefix}/_/") }),
            _ => Err("it has segments of letters, digits, `-`, `_` and `.`, divided by `/`; none \
                      is empty, `.`, `..` or `_`"
                .into()),
        }
    }

    /// The prefix of all names of this store.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The object of `key`.
    pub fn object(&self, key: &str) -> String {
        let encoded = encode(key);
        if self.root.len() + encoded.len() < MAX_NAME {
            return format!("{}{encoded}{ESCAPE}", self.root);
        }
        let hex = hex(&Sha256::digest(key.as_bytes()));
        format!("{}{}{HASH}{hex}{ESCAPE}", self.root, &encoded[..READABLE])
    }

    /// The prefix of the names of all keys that begin with `prefix`. If `prefix` is long, names of
    /// other keys may begin with it too.
    pub fn listing(&self, prefix: &str) -> String {
        let encoded = encode(prefix);
        format!("{}{}", self.root, &encoded[..encoded.len().min(READABLE)])
    }

    /// The inverse of [`object`](Self::object).
    pub fn parse(&self, object: &str) -> Named {
        let name = object.strip_prefix(&self.root).and_then(|name| name.strip_suffix(ESCAPE));
        let Some(name) = name else { return Named::Foreign };
        if let Some((_, hex)) = name.rsplit_once(HASH) {
            let is_digest = hex.len() == 64 && is_hex(hex);
            return if is_digest { Named::Hashed } else { Named::Foreign };
        }
        // Each key has exactly one spelling, so two objects never have the same key.
        let key = decode(name).filter(|key| key::check(key).is_ok() && self.object(key) == object);
        key.map_or(Named::Foreign, Named::Plain)
    }
}

/// Encodes every byte depending only on the bytes before it, so that the beginning of a key encodes
/// to the beginning of its name. No segment is empty, begins with a dot, or ends like a name.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    let mut segment = 0;
    for byte in text.bytes() {
        if byte == b'/' && segment > 0 {
            encoded.push('/');
            segment = 0;
            continue;
        }
        if segment >= SEGMENT {
            encoded.push_str(BREAK);
            segment = 0;
        }
        let is_literal =
            byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'.' && segment > 0);
        let before = encoded.len();
        if is_literal {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("{ESCAPE}{byte:02x}"));
        }
        segment += encoded.len() - before;
    }
    encoded
}

fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(c) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(BREAK) {
            rest = behind;
        } else if c == ESCAPE {
            let hex = rest.get(1..3).filter(|hex| is_hex(hex))?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &rest[3..];
        } else {
            bytes.push(u8::try_from(c).ok()?);
            rest = &rest[c.len_utf8()..];
        }
    }
    String::from_utf8(bytes).ok()
}
