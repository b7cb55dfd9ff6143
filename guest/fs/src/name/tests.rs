use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn encoded(key: &str) -> String {
    let mut encoded = String::new();
    encode(key, &mut encoded);
    encoded
}

/// The key that a place stands for, going from the root name by name; none where that is only known
/// from the header, or the place is none.
fn key_at(place: &Place) -> Option<String> {
    let mut folder = Folder::default();
    for name in place.dir.split('/').filter(|name| !name.is_empty()) {
        let Named::Folder(segment) = folder.parse(name) else { return None };
        folder = folder.child(&segment);
    }
    assert_eq!(folder.path, place.dir);
    match folder.parse(&place.file) {
        Named::File(rest) => Some(folder.key + &rest),
        _ => None,
    }
}

fn folder(place: &Place) -> Folder {
    let folder = Folder { key: String::new(), path: String::new() };
    let names = place.dir.split('/').filter(|name| !name.is_empty());
    names.fold(folder, |folder, name| match folder.parse(name) {
        Named::Folder(segment) => folder.child(&segment),
        named => panic!("{name} in {folder:?}: {named:?}"),
    })
}

/// A key of one-letter segments, with this many slashes.
fn slashes(count: usize) -> String {
    "s/".repeat(count) + "s"
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
        let place = place(key);
        assert_eq!(key_at(&place).as_deref(), Some(key));
        check_portable(&place);
        assert_eq!(seen.insert(place.path().to_lowercase(), key), None, "{key}");
    }
}

/// Files and directories begin differently, so that a key may be the beginning of another one.
#[test]
fn a_key_and_the_keys_below_it_never_meet() {
    let paths = ["a", "a/", "a/b", "a//b", "a//", "/", "//", "/a"].map(|key| place(key).path());
    assert_eq!(
        paths,
        ["_a", ",a/_", ",a/_b", ",a/,/_b", ",a/,/_", ",/_", ",/,/_", ",/_a"].map(String::from)
    );
}

#[test]
fn the_depth_is_bounded_and_the_rest_is_one_segment() {
    let deepest = place(&slashes(DEPTH - 1));
    assert_eq!(deepest.path(), ",s/".repeat(DEPTH - 1) + "_s");
    let deeper = place(&slashes(DEPTH));
    assert_eq!(deeper.path(), ",s/".repeat(DEPTH - 1) + "_s,s");
    assert_eq!(key_at(&deeper), Some(slashes(DEPTH)));
    assert_eq!(place(&"/".repeat(1024)).dir, [","; DEPTH - 1].join("/"));
    for key in [slashes(DEPTH - 1), slashes(DEPTH), slashes(400), "/".repeat(1024)] {
        let place = place(&key);
        check_portable(&place);
        let names = place.path().split('/').count();
        assert!(names <= DEPTH && place.path().len() < 4096, "{names}");
    }
    // What the bound keeps together is spelled so nowhere else.
    let folder = Folder::of("a/");
    assert_eq!(folder.parse("_s,s"), Named::Foreign);
    assert_eq!(folder.parse(",s,s"), Named::Foreign);
    assert_eq!(Folder::of(&slashes(DEPTH)).parse(",s"), Named::Foreign);
}

/// A directory needs no other way to tell its segment than its name.
#[test]
fn a_segment_without_a_name_of_its_own_ends_the_directories() {
    let long = "k".repeat(143);
    let place = place(&format!("a/{long}/b/c"));
    assert_eq!(place.dir, ",a");
    assert!(place.is_hashed());
    assert_eq!(folder(&place).parse(&place.file), Named::Hashed(vec![b'k'; READABLE]));
    let short = super::place(&format!("a/{}/b/c", &long[1..]));
    assert_eq!(short.dir, format!(",a/,{}/,b", &long[1..]));
    check_portable(&short);
}

/// A directory sorts as its segment and the slash behind it. Then the order of one directory at a
/// time is that of the keys.
#[test]
fn the_order_of_the_keys_is_that_of_the_segments() {
    let order = |key: &str| {
        let place = place(key);
        let mut orders = Vec::new();
        let mut folder = Folder::default();
        for name in place.dir.split('/').filter(|name| !name.is_empty()) {
            let Named::Folder(segment) = folder.parse(name) else { panic!("{name}") };
            orders.push(segment.clone() + "/");
            folder = folder.child(&segment);
        }
        orders.push(key[folder.key.len()..].into());
        orders
    };
    let long = "x".repeat(150);
    let mut keys: Vec<String> = HARD.map(String::from).into();
    for a in ["a", "a!", "a0", "A", "", "é", &long] {
        for b in ["", "/", "/b", "!/b", "//b", "/b/c", &slashes(20)] {
            keys.push(format!("{a}{b}"));
        }
    }
    keys.retain(|key| !key.is_empty());
    for a in &keys {
        for b in &keys {
            assert_eq!(order(a).cmp(&order(b)), a.cmp(b), "{a} {b}");
        }
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
        let key = "k".repeat(length);
        let place = place(&key);
        assert_eq!(key_at(&place), plain.then_some(key), "{length}");
        assert_eq!(place.is_hashed(), !plain, "{length}");
        check_portable(&place);
    }
    for letter in ["é", "中", "😀", "X", "+"] {
        let key = letter.repeat(1024 / letter.len());
        let place = place(&key);
        let Named::Hashed(beginning) = folder(&place).parse(&place.file) else { panic!("{key}") };
        assert!(key.as_bytes().starts_with(&beginning) && beginning.len() >= 20);
        check_portable(&place);
    }
}

/// A hash of one value stands for the day on which two keys with one SHA-256 are found.
#[test]
fn keys_with_one_hash_are_told_apart_by_the_header() {
    let weak = |_: &[u8]| [7; 32];
    let [asked, twin] = [0, 1].map(|n| format!("{}{n:04}", "a".repeat(200)));
    let place = place_by(&asked, weak);
    assert_eq!(place, place_by(&twin, weak));
    assert_eq!(place.holder_by(&asked, &asked, weak), Holder::Asked);
    assert_eq!(place.holder_by(&asked, &twin, weak), Holder::Twin);
    assert_eq!(place.holder_by(&asked, "moved here", weak), Holder::Stray);
    assert_eq!(place.holder(&asked, &twin), Holder::Stray);
}

#[test]
fn what_else_the_store_makes_is_never_taken_for_an_artifact() {
    let root = Folder::default();
    for random in [[0; 16], [1; 16], [0xff; 16]] {
        let name = temporary(random);
        assert!(is_temporary(&name) && name.len() <= MAX_NAME);
        assert_eq!(root.parse(&name), Named::Foreign);
        assert_eq!(root.parse(&format!("+{name}")), Named::Foreign);
    }
    for name in
        [TEMPORARIES, SWEPT, "", "_", "a", "3fa", ",A", "_A", ",a,b", "_a,b", "_a@b", ",a@b"]
    {
        assert_eq!(root.parse(name), Named::Foreign, "{name}");
    }
    assert_eq!(root.parse(","), Named::Folder(String::new()));
    assert_eq!(Folder::of("a/").parse("_"), Named::File(String::new()));
    assert!(!is_temporary(&place("k").file) && !is_temporary("") && !is_temporary(".nfs0001"));
}

#[test]
fn a_prefix_leads_to_the_directory_of_everything_that_begins_so() {
    let long = "k".repeat(143);
    for (prefix, path) in [
        ("", ""),
        ("a", ""),
        ("a/", ",a"),
        ("a/b", ",a"),
        ("A/b/", ",+a/,b"),
        ("/", ","),
        (&long, ""),
        (&format!("a/{long}/b/"), ",a"),
        (&slashes(30), &[",s"; DEPTH - 1].join("/")),
    ] {
        assert_eq!(Folder::of(prefix).path, path, "{prefix}");
    }
}

/// The table in the documentation, which other implementations rely on.
#[test]
fn the_published_vectors_hold() {
    let page = include_str!("../../../../docs/format.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `\"")).collect();
    assert_eq!(rows.len(), 27);
    for row in rows {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (key, path) = (spelled_out(cells[1].trim_matches('"')), spelled_out(cells[2]));
        assert_eq!(place(&key).path(), path, "{key}");
    }
}

/// As the page shows them.
#[test]
fn a_claim_is_told_from_what_it_claims() {
    let generation = temporary(*b"0123456789abcdef");
    let page = include_str!("../../../../docs/format.md");
    for name in [generation.clone(), claim(&generation, 0)] {
        assert!(page.contains(&format!("| `{name}` | a file")), "{name}");
    }
    for number in [0, 1, 10, u32::MAX] {
        let name = claim(&generation, number);
        assert_eq!(claimed(&name), Some(&*generation));
        assert!(!is_temporary(&name) && name.len() <= 43);
        assert_eq!(Folder::default().parse(&name), Named::Foreign);
    }
    assert!(is_temporary(&generation) && claimed(&generation).is_none());
    for number in ["", "-", "-00", "-+1", "- 1", "-1x", "-4294967296", "-1-1"] {
        assert_eq!(claimed(&[&generation, number].concat()), None, "{number}");
    }
    assert_eq!(claimed("0-0"), None);
}

/// A key or a path of the table, in which `<k × 3>` stands for `kkk`.
fn spelled_out(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else { return text.into() };
    let (repeated, behind) = rest.split_once('>').expect("an end");
    let (letters, count) = repeated.split_once(" × ").expect("a count");
    [before, &letters.repeat(count.parse().expect("a number")), behind].concat()
}

/// What Windows, macOS and case-insensitive filesystems ask of a name.
fn check_portable(place: &Place) {
    for name in place.path().split('/') {
        assert!(name.len() <= MAX_NAME);
        assert!(name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{name}");
        assert!(!name.contains(['<', '>', ':', '"', '\\', '|', '?', '*']), "{name}");
        // The first letter keeps it from being a device, an option or a hidden file. Windows looks
        // for a device in what stands before the first dot.
        assert!(name.starts_with([FILE, FOLDER]) && !name.ends_with('.'), "{name}");
    }
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
    fn any_key_comes_back_from_its_place(key in any_key()) {
        let place = place(&key);
        check_portable(&place);
        match key_at(&place) {
            Some(found) => prop_assert_eq!(&found, &key),
            None => prop_assert!(place.is_hashed() && encoded(&key).len() >= MAX_NAME),
        }
        prop_assert!(!is_temporary(&place.file));
        prop_assert_eq!(place.holder(&key, &key), Holder::Asked);
        let folder = Folder::of(&key);
        prop_assert_eq!(&folder.path, &place.dir);
        prop_assert_eq!(folder.file(&key[folder.key.len()..]), place.file);
    }

    #[test]
    fn any_name_is_parsed_without_harm(name in "[_,]?.{0,160}", slashes in 0..20_usize) {
        let folder = Folder::of(&self::slashes(slashes));
        match folder.parse(&name) {
            Named::File(rest) => {
                prop_assert_eq!(place(&(folder.key + &rest)), Place { dir: folder.path, file: name });
            }
            Named::Folder(segment) => {
                let below = place(&format!("{}{segment}/", folder.key));
                prop_assert_eq!(below.dir, join(&folder.path, &name));
            }
            _ => {}
        }
    }

    /// What encoding yields is parsed as that key and as nothing else, also where it was
    /// changed by a letter.
    #[test]
    fn a_changed_name_is_another_key_or_none(
        key in "[a-zA-Z0-9%+,._ é-]{1,40}",
        at in 0..200_usize,
        letter in "[a-f0-9%+,.A-F_@-]",
    ) {
        let file = place(&key).file;
        let at = 1 + at % (file.len() - 1);
        let changed = format!("{}{letter}{}", &file[..at], &file[at + 1..]);
        if let Named::File(other) = Folder::default().parse(&changed) {
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
}
