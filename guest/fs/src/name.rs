//! Keys and the files that hold them: an injective mapping to names that every common
//! filesystem keeps as they are.

use sha2::{Digest, Sha256};

/// The longest key in bytes.
pub const MAX_KEY: usize = 1024;

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

/// Checks a key against the contract; the error says what is wrong with it.
pub fn check(key: &str) -> Result<(), &'static str> {
    match key {
        "" => Err("it is empty"),
        _ if key.len() > MAX_KEY => Err("it has more than 1024 bytes"),
        _ if key.chars().any(char::is_control) => Err("it holds a control character"),
        _ => Ok(()),
    }
}

/// The place of `key`.
pub fn place(key: &str) -> Place {
    place_by(key, |key| Sha256::digest(key).into())
}

/// As [`place`], with the hash that names keys too long to be spelled out.
pub fn place_by(key: &str, hash: impl Fn(&[u8]) -> [u8; 32]) -> Place {
    let shard = crate::header::checksum(key.as_bytes()) >> 52;
    let encoded = encode(key);
    let file = if encoded.len() < MAX_NAME {
        format!("{PLAIN}{encoded}")
    } else {
        let mut readable = READABLE;
        while !is_whole(&encoded[..readable]) {
            readable -= 1;
        }
        let digest = hash(key.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{HASHED}{}{HASHED}{hex}", &encoded[..readable])
    };
    Place { shard: format!("{shard:03x}"), file }
}

/// What a file name in a shard says about its key.
#[derive(Debug, PartialEq, Eq)]
pub enum Named {
    /// The name spells out the key.
    Plain(String),
    /// The key stands in the file's header only.
    Hashed,
    /// No name of ours.
    Foreign,
}

/// The inverse of [`place`].
pub fn parse(file: &str) -> Named {
    if let Some(encoded) = file.strip_prefix(PLAIN) {
        // Only the one spelling that encoding yields: two names never stand for one key.
        match decode(encoded) {
            Some(key) if check(&key).is_ok() && place(&key).file == file => Named::Plain(key),
            _ => Named::Foreign,
        }
    } else if file.starts_with(HASHED) && file.len() <= MAX_NAME && has_digest(file) {
        Named::Hashed
    } else {
        Named::Foreign
    }
}

/// Whether this is the name of a shard.
pub fn is_shard(name: &str) -> bool {
    name.len() == 3 && name.bytes().all(is_lower_hex)
}

/// The name of an unfinished write with this random number.
pub fn temporary(random: &[u8; 16]) -> String {
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has_digest(file: &str) -> bool {
    file.rsplit_once(HASHED)
        .is_some_and(|(_, hex)| hex.len() == 64 && hex.bytes().all(is_lower_hex))
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Lower-case letters, digits, `-`, `_` and `.` stand for themselves (a last `.` does not,
/// since Windows drops it), `,` for `/`, `+x` for the upper-case letter `X`, and `%xx` for
/// every other byte.
fn encode(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for (at, byte) in key.bytes().enumerate() {
        match byte {
            b'.' if at + 1 == key.len() => encoded.push_str("%2e"),
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            b'/' => encoded.push(','),
            b'A'..=b'Z' => encoded.extend(['+', char::from(byte.to_ascii_lowercase())]),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    encoded
}

/// Whether a cut encoding ends between two escapes.
fn is_whole(cut: &str) -> bool {
    !cut.ends_with('+') && !cut.bytes().rev().take(2).any(|byte| byte == b'%')
}

fn decode(encoded: &str) -> Option<String> {
    let mut key = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        key.push(match byte {
            b'+' => bytes.next()?.to_ascii_uppercase(),
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b',' => b'/',
            _ => byte,
        });
    }
    String::from_utf8(key).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Keys that are hard on filesystems or on schemes like this one.
    const HARD: [&str; 45] = [
        "readme",
        "README",
        "ReadMe",
        "a/b",
        "a//b",
        "a/./b",
        "a/../b",
        "..",
        ".",
        "/",
        "a.",
        "a ",
        "a",
        "A",
        "+a",
        "%41",
        "%",
        "%25",
        "a+b",
        "a b",
        "a,b",
        "CON",
        "con",
        "con.txt",
        "NUL",
        "COM1",
        "COM¹",
        "LPT³",
        "a:b",
        "a:$DATA",
        "[tag]x",
        "中文",
        "é",
        "e\u{301}",
        "😀",
        "-h",
        "--",
        "tmp",
        "000",
        "_a",
        "@a",
        "~",
        "L%3ABC.parquet",
        "L:BC.parquet",
        "\\",
    ];

    #[test]
    fn hard_keys_have_distinct_names_in_any_case_and_form() {
        let mut seen = HashMap::new();
        for key in HARD {
            let Place { shard, file } = place(key);
            assert!(is_shard(&shard), "{shard}");
            assert_eq!(parse(&file), Named::Plain(key.into()));
            check_portable(&file);
            assert_eq!(seen.insert(file.to_lowercase(), key), None, "{key}");
        }
    }

    /// Two keys that share a file where 64 bits of a hash are all that a name keeps.
    #[test]
    fn keys_of_one_truncated_hash_are_two_artifacts() {
        let a = place("session_0001_patch_before_after_d43dda031d98a443");
        let b = place("session_0001_patch_before_after_1e008442e5f29cce");
        assert_ne!(a, b);
    }

    #[test]
    fn long_keys_are_hashed_and_their_names_fit() {
        for (length, plain) in [(1, true), (142, true), (143, false), (200, false), (1024, false)] {
            let file = place(&"k".repeat(length)).file;
            assert!(file.len() <= MAX_NAME, "{}", file.len());
            assert_eq!(parse(&file) != Named::Hashed, plain, "{length}");
            check_portable(&file);
        }
        for letter in ["é", "中", "😀", "X", "+"] {
            let key = letter.repeat(1024 / letter.len());
            let file = place(&key).file;
            assert_eq!(parse(&file), Named::Hashed);
            check_portable(&file);
        }
        let weak = |key: &str| place_by(key, |_| [7; 32]).file;
        let (a, b) = ("a".repeat(200), "a".repeat(201));
        assert_eq!(weak(&a), weak(&b), "only the header can tell these two apart");
    }

    /// The table in the documentation, which other implementations rely on.
    #[test]
    fn the_published_vectors_hold() {
        let page = include_str!("../../../docs/format.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `\"")).collect();
        assert!(rows.len() >= 12, "{}", rows.len());
        for row in rows {
            let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let key = cells[1].trim_matches('"').replace("<k × 200>", &"k".repeat(200));
            let Place { shard, file } = place(&key);
            assert_eq!(format!("{shard}/{file}"), cells[2], "{key}");
        }
    }

    /// What Windows, macOS and case-insensitive filesystems ask of a name.
    fn check_portable(file: &str) {
        assert!(file.len() <= MAX_NAME);
        assert!(file.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{file}");
        assert!(!file.contains(['<', '>', ':', '"', '/', '\\', '|', '?', '*']), "{file}");
        assert!(file.starts_with([PLAIN, HASHED]) && !file.ends_with('.'), "{file}");
    }

    proptest! {
        #[test]
        fn any_key_comes_back_from_its_name(key in "\\PC{1,60}") {
            prop_assume!(check(&key).is_ok());
            let file = place(&key).file;
            check_portable(&file);
            match parse(&file) {
                Named::Plain(found) => prop_assert_eq!(found, key),
                named => prop_assert!(named == Named::Hashed && encode(&key).len() >= MAX_NAME),
            }
        }

        #[test]
        fn different_keys_have_different_names(a in "\\PC{1,200}", b in "\\PC{1,200}") {
            prop_assume!(a != b);
            prop_assert_ne!(place(&a).file.to_lowercase(), place(&b).file.to_lowercase());
        }

        #[test]
        fn any_file_name_is_parsed_without_harm(file in ".{0,160}") {
            if let Named::Plain(key) = parse(&file) {
                prop_assert_eq!(place(&key).file, file);
            }
        }
    }
}
