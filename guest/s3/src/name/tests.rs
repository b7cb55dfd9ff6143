use proptest::prelude::*;

use super::*;

/// The examples of `docs/s3.md`.
#[test]
fn the_examples_of_the_documentation() {
    let names = Names::new("team").unwrap();
    for (key, name) in [
        ("builds/app-1.2", "team/_/builds/app-1.2_"),
        ("a b", "team/_/a_20b_"),
        ("a+b", "team/_/a_2bb_"),
        ("a_b", "team/_/a_5fb_"),
        ("50%", "team/_/50_25_"),
        ("é", "team/_/_c3_a9_"),
        ("a", "team/_/a_"),
        ("a/", "team/_/a/_"),
        ("a//b", "team/_/a/_2fb_"),
        ("/", "team/_/_2f_"),
        ("..", "team/_/_2e._"),
        ("a/./b", "team/_/a/_2e/b_"),
    ] {
        assert_eq!(names.object(key), name);
        assert_eq!(names.parse(name), Named::Plain(key.into()));
    }
    let long = "k".repeat(1024);
    let name = names.object(&long);
    assert!(name.starts_with(&format!("team/_/{}_-/", "k".repeat(180))), "{name}");
    let hash = "fb236ae29378d0cf16cdc6b4b5b9f82d6642514a61b60542efd33641eab2662d";
    assert!(name.ends_with(&format!("_h{hash}_")), "{name}");
    assert_eq!(names.parse(&name), Named::Hashed);
}

#[test]
fn a_prefix_is_made_of_safe_segments() {
    for prefix in ["", "/", "a", "a/", "a/b", "A-1/b_c/.d", "a_"] {
        assert!(Names::new(prefix).is_ok(), "{prefix:?}");
    }
    let long = "a".repeat(129);
    for prefix in ["/a", "a//b", "a/./b", "..", "_", "a/_/b", "a b", "é", "a+", &long] {
        assert!(Names::new(prefix).is_err(), "{prefix:?}");
    }
}

#[test]
fn names_that_this_store_does_not_give_are_foreign() {
    let names = Names::new("").unwrap();
    for name in [
        "",
        "_/",
        "_/_",
        "_/a",
        "a_",
        "x/_/a_",
        "_/a/./b_",
        "_/A_5F_",
        "_/a//b_",
        "_/_61_",
        "_/a_2_",
        "_/._",
        "_/a b_",
        "_/a_h_",
        "_/a_habc_",
        "_/\u{e9}_",
        "_/a_-/b_",
        "_/_00_",
        "_/_ff_",
    ] {
        assert_eq!(names.parse(name), Named::Foreign, "{name:?}");
    }
}

fn key() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z./_-]{0,9}",
        "[^\\p{Cc}]{0,6}",
        "[/.]{1,4}",
        "[a-z]{150,190}",
        "é{80,100}",
        "_h[0-9a-f]{2}",
    ];
    prop::collection::vec(piece, 1..8)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("a key", |key| key::check(key).is_ok())
}

proptest! {
    #[test]
    fn names_are_safe_and_lead_back_to_the_key(key in key(), prefix in "[a-z]{0,3}(/[a-z]{1,3})?") {
        prop_assume!(Names::new(&prefix).is_ok());
        let names = Names::new(&prefix).unwrap();
        let name = names.object(&key);
        prop_assert!(name.len() <= MAX_NAME, "{}", name);
        for segment in name.split('/') {
            prop_assert!(!segment.is_empty() && segment != "." && segment != "..", "{}", name);
            prop_assert!(segment.len() <= 255, "{}", name);
            let is_safe = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            prop_assert!(segment.chars().all(is_safe), "{}", name);
        }
        match names.parse(&name) {
            Named::Plain(decoded) => prop_assert_eq!(decoded, key),
            Named::Hashed => prop_assert!(encode(&key).len() > READABLE),
            Named::Foreign => prop_assert!(false, "{}", name),
        }
    }

    /// Where a service keeps objects as files, none lies below another.
    #[test]
    fn no_object_is_the_directory_of_another(a in key(), b in key()) {
        let names = Names::new("").unwrap();
        let (a, b) = (names.object(&a), names.object(&b));
        prop_assert!(!b.starts_with(&format!("{a}/")), "{} {}", a, b);
    }

    #[test]
    fn a_listing_selects_every_key_with_the_prefix(key in key(), at in any::<prop::sample::Index>()) {
        let names = Names::new("p").unwrap();
        let ends: Vec<_> = key.char_indices().map(|(at, _)| at).chain([key.len()]).collect();
        let prefix = &key[..ends[at.index(ends.len())]];
        prop_assert!(names.object(&key).starts_with(&names.listing(prefix)));
    }

    /// And where the prefix is short, no other key.
    #[test]
    fn a_listing_selects_no_other_key(key in key(), prefix in "[^\\p{Cc}]{0,5}") {
        let names = Names::new("p").unwrap();
        let selected = names.object(&key).starts_with(&names.listing(&prefix));
        prop_assert_eq!(selected, key.starts_with(&prefix));
    }

    #[test]
    fn stores_never_overlap(
        key in key(),
        a in "[a-c._]{0,3}(/[a-c._]{1,3}){0,2}",
        b in "[a-c._]{0,3}(/[a-c._]{1,3}){0,2}",
    ) {
        let (a, b) = (Names::new(&a), Names::new(&b));
        prop_assume!(a.is_ok() && b.is_ok());
        let (a, b) = (a.unwrap(), b.unwrap());
        prop_assume!(a.root() != b.root());
        prop_assert!(!a.object(&key).starts_with(b.root()));
    }
}
