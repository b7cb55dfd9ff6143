use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn encoded(key: &str) -> String {
    let mut encoded = String::new();
    encode(key, &mut encoded);
    encoded
}

fn is_shard(name: &str) -> bool {
    matches!(Folder::parse(name), Some(Folder::Shard(_)))
}

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
        assert_eq!(parse(&shard, &file), Named::Plain(key.into()));
        assert_eq!(parse("", &file), Named::Foreign);
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
        let place = place(&"k".repeat(length));
        assert_eq!(parse(&place.shard, &place.file) != Named::Hashed, plain, "{length}");
        assert_eq!(place.is_hashed(), !plain, "{length}");
        check_portable(&place.file);
    }
    for letter in ["é", "中", "😀", "X", "+"] {
        let key = letter.repeat(1024 / letter.len());
        let Place { shard, file } = place(&key);
        assert_eq!(parse(&shard, &file), Named::Hashed);
        check_portable(&file);
    }
}

/// A hash of one value stands for the day on which two keys with one SHA-256 are found.
#[test]
fn keys_with_one_hash_are_told_apart_by_the_header() {
    let weak = |_: &[u8]| [7; 32];
    let key = |n: u32| format!("{}{n:04}", "a".repeat(200));
    let place = place_by(&key(0), weak);
    let twin = (1..).map(key).find(|key| place_by(key, weak) == place);
    let (asked, twin) = (key(0), twin.expect("one of 4096 keys shares the shard"));
    assert_eq!(place.holder_by(&asked, &asked, weak), Holder::Asked);
    assert_eq!(place.holder_by(&asked, &twin, weak), Holder::Twin);
    assert_eq!(place.holder_by(&asked, "moved here", weak), Holder::Stray);
    assert_eq!(place.holder(&asked, &twin), Holder::Stray);
}

#[test]
fn the_directories_and_their_files_are_never_mixed_up() {
    for name in ["00g", "ABC", "0000", "+12", "", "..", "tmp/", "d4e/"] {
        assert_eq!(Folder::parse(name), None, "{name}");
    }
    let all = || [Folder::Root].into_iter().chain(Folder::shards()).chain([Folder::Temporaries]);
    assert!(all().all(|folder| Folder::parse(&folder.name()) == Some(folder)));
    assert!(all().is_sorted() && all().map(Folder::name).is_sorted());
    assert!((0..100).all(|n| is_shard(&place(&n.to_string()).shard)));
    for random in [0, 1, u128::MAX] {
        let name = temporary(random);
        assert!(is_temporary(&name) && name.len() <= MAX_NAME);
        assert_eq!(parse("000", &name), Named::Foreign);
    }
    assert!(!is_temporary(&place("k").file) && !is_temporary("") && !is_temporary(".nfs0001"));
}

/// The table in the documentation, which other implementations rely on.
#[test]
fn the_published_vectors_hold() {
    let page = include_str!("../../../../docs/format.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `\"")).collect();
    assert_eq!(rows.len(), 20);
    for row in rows {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let key = spelled_out(cells[1].trim_matches('"'));
        let Place { shard, file } = place(&key);
        assert_eq!(format!("{shard}/{file}"), cells[2], "{key}");
    }
}

/// A key of the table, in which `<k × 3>` stands for `kkk`.
fn spelled_out(key: &str) -> String {
    let Some((before, rest)) = key.split_once('<') else { return key.into() };
    let (letters, count) = rest.trim_end_matches('>').split_once(" × ").expect("a count");
    before.to_owned() + &letters.repeat(count.parse().expect("a number"))
}

fn shard_of(file: &str) -> u64 {
    decode(file.get(1..).unwrap_or_default()).map_or(0, |key| checksum(key.as_bytes()) >> 52)
}

/// What Windows, macOS and case-insensitive filesystems ask of a name.
fn check_portable(file: &str) {
    assert!(file.len() <= MAX_NAME);
    assert!(file.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{file}");
    assert!(!file.contains(['<', '>', ':', '"', '/', '\\', '|', '?', '*']), "{file}");
    // The first letter keeps it from being a device, an option or a hidden file.
    assert!(file.starts_with([PLAIN, HASHED]) && !file.ends_with('.'), "{file}");
}

/// Keys of any length up to the longest, of letters that encode to one, two, three and up to
/// twelve bytes.
fn any_key() -> impl Strategy<Value = String> {
    let letters = prop_oneof!["[a-z0-9._-]", "[A-Z]", "[/%+,@~ :*]", "\\PC"];
    let long =
        (1..=40_usize, prop::collection::vec(letters, 1..60)).prop_map(|(times, letters)| {
            let mut key = letters.concat().repeat(times);
            let end =
                (0..=key::MAX_LEN.min(key.len())).rev().find(|end| key.is_char_boundary(*end));
            key.truncate(end.unwrap_or_default());
            key
        });
    prop_oneof!["\\PC{1,60}", long].prop_filter("a key", |key| key::check(key).is_ok())
}

/// Two keys that differ as little as keys can.
fn near_keys() -> impl Strategy<Value = (String, String)> {
    let change = (any::<prop::sample::Index>(), 0..8_u8, "\\PC");
    (any_key(), change).prop_filter_map("two keys", |(key, (at, how, letter))| {
        let at = at.index(key.chars().count());
        let (before, rest) = key.split_at(key.char_indices().nth(at)?.0);
        let here = rest.chars().next()?;
        let behind = &rest[here.len_utf8()..];
        let mut bytes = [0; 4];
        let here = &*here.encode_utf8(&mut bytes);
        let changed = match how {
            0 => here.to_lowercase(),
            1 => here.to_uppercase(),
            2 => String::new(),
            3 => here.repeat(2),
            4 => here.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            5 => here.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            6 => format!("+{here}"),
            _ => letter,
        };
        let other = [before, &changed, behind].concat();
        (other != key && key::check(&other).is_ok()).then_some((key, other))
    })
}

/// What a filesystem makes of a name that folds case, drops last dots and spaces and takes a
/// `+` for a space, as some do. None of it may bring two names together. (Names are ASCII, so that
/// no normal form of Unicode changes any.)
fn folded(place: &Place) -> String {
    format!("{place}").to_ascii_uppercase().trim_end_matches(['.', ' ']).to_owned()
}

proptest! {
    #[test]
    fn any_key_comes_back_from_its_name(key in "\\PC{1,60}") {
        prop_assume!(key::check(&key).is_ok());
        let Place { shard, file } = place(&key);
        check_portable(&file);
        match parse(&shard, &file) {
            Named::Plain(found) => prop_assert_eq!(found, key),
            named => prop_assert!(named == Named::Hashed && encoded(&key).len() >= MAX_NAME),
        }
    }

    #[test]
    fn different_keys_have_different_names(a in "\\PC{1,200}", b in "\\PC{1,200}") {
        prop_assume!(a != b);
        prop_assert_ne!(place(&a).file.to_lowercase(), place(&b).file.to_lowercase());
    }

    #[test]
    fn any_file_name_is_parsed_without_harm(file in "[_@]?.{0,160}") {
        for shard in [format!("{:03x}", shard_of(&file)), "000".into()] {
            if let Named::Plain(key) = parse(&shard, &file) {
                prop_assert_eq!(place(&key), Place { shard, file: file.clone() });
            }
        }
    }

    /// What encoding yields is parsed as that key and as nothing else, also where it was
    /// changed by a letter.
    #[test]
    fn a_changed_name_is_another_key_or_none(
        key in "[a-zA-Z0-9/%+,._ é-]{1,40}",
        at in 0..200_usize,
        letter in "[a-f0-9%+,.A-F_@-]",
    ) {
        let file = place(&key).file;
        let at = 1 + at % (file.len() - 1);
        let changed = format!("{}{letter}{}", &file[..at], &file[at + 1..]);
        if let Some(other) = decode(&changed[1..]) && encoded(&other) == changed[1..] {
            prop_assert_eq!(other == key, changed == file);
        }
    }

    #[test]
    fn any_two_keys_are_two_files(a in any_key(), b in any_key()) {
        prop_assume!(a != b);
        prop_assert_ne!(folded(&place(&a)), folded(&place(&b)));
    }

    #[test]
    fn keys_that_hardly_differ_are_two_files((a, b) in near_keys()) {
        prop_assert_ne!(folded(&place(&a)), folded(&place(&b)));
    }

    #[test]
    fn any_name_is_safe_and_says_what_it_is(key in any_key()) {
        let place = place(&key);
        check_portable(&place.file);
        prop_assert!(is_shard(&place.shard));
        prop_assert!(!is_temporary(&place.file) && Folder::parse(&place.file).is_none());
        prop_assert_ne!(&place.file, TEMPORARIES);
        let expected = if place.is_hashed() { Named::Hashed } else { Named::Plain(key.clone()) };
        prop_assert_eq!(parse(&place.shard, &place.file), expected);
        // Windows looks for a device in what stands before the first dot.
        let stem = place.file.split('.').next().unwrap_or_default();
        prop_assert!(stem.starts_with([PLAIN, HASHED]));
        prop_assert_eq!(place.holder(&key, &key), Holder::Asked);
    }
}
