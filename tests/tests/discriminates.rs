//! Each fault of `guests/examples/wrong` is noticed by a check of the rule that names it, and each of
//! `guests/examples/wrong_layer` by those of its rule alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use artifact_store::conformance::{Outcome, Target, Way, checks, layer_checks};
use artifact_store::{Backend, Grants};
use artifact_store_tests::{guest, layer_on};
use libtest_mimic::{Arguments, Failed, Trial};

/// The fault, and the rule that it breaks.
const FAULTS: &[(&str, &str)] = &[
    ("no-key-check", "key-3"),
    ("short-keys", "key-2"),
    ("fold-case", "key-4"),
    ("collapse-slashes", "key-4"),
    ("decode-percent", "key-4"),
    ("trim-spaces", "key-4"),
    ("normalise", "key-4"),
    ("cut-keys", "key-4"),
    ("plus-for-space", "key-5"),
    ("delete-prefix", "delete-3"),
    ("delete-does-nothing", "delete-2"),
    ("delete-panics", "delete-2"),
    ("delete-of-absent-fails", "delete-1"),
    ("undeletable-damage", "delete-4"),
    ("absent-is-empty", "get-2"),
    ("absent-is-other", "get-2"),
    ("trailing-byte", "get-1"),
    ("lose-last-byte", "get-1"),
    ("no-verify", "get-3"),
    ("lose-empty", "store-2"),
    ("listed-with-header", "store-1"),
    ("append", "put-1"),
    ("put-only-once", "put-1"),
    ("in-place", "change-3"),
    ("refuse-again", "put-2"),
    ("stumble-over-damage", "put-3"),
    ("racy-create", "create-1"),
    ("create-replaces", "create-2"),
    ("create-says-other", "create-2"),
    ("beyond-is-empty", "read-2"),
    ("end-is-invalid", "read-3"),
    ("no-length-0", "read-4"),
    ("length-overflows", "read-5"),
    ("length-is-end", "read-6"),
    ("offset-off-by-one", "read-6"),
    ("range-off-by-one", "read-7"),
    ("stream-too-long", "read-6"),
    ("few-are-short", "read-7"),
    ("few-are-more", "read-6"),
    ("many-at-once", "contents-1"),
    ("info-of-the-part", "read-8"),
    ("read-of-absent-is-empty", "read-1"),
    ("reopens", "read-10"),
    ("reads-end-badly", "read-11"),
    ("drop-commits", "write-2"),
    ("silent-reason", "write-2"),
    ("aborted-is-unavailable", "write-2"),
    ("ignore-seal-size", "write-1"),
    ("visible-early", "write-1"),
    ("failure-removes", "write-3"),
    ("cut-at-seal", "write-5"),
    ("wrong-info", "write-6"),
    ("own-checksum", "write-7"),
    ("ignore-announced", "options-1"),
    ("prefix-is-a-path", "list-1"),
    ("lists-twice", "list-2"),
    ("page-loses-its-last", "list-2"),
    ("empty-is-not-listed", "store-2"),
    ("ignore-limit", "list-4"),
    ("one-page-only", "list-6"),
    ("page-overlaps", "list-2"),
    ("cursor-is-a-number", "list-7"),
    ("cursor-in-memory", "list-8"),
    ("any-cursor", "list-9"),
    ("cursor-says-not-found", "list-9"),
    ("cursor-loops", "list-10"),
    ("limit-is-memory", "list-11"),
    ("size-with-header", "stat-1"),
    ("stat-of-absent-is-0", "stat-2"),
    ("wrong-checksum", "info-2"),
    ("milliseconds", "instant-1"),
    ("nanoseconds", "instant-1"),
    ("payload-in-error", "error-2"),
    ("memory", "instance-1"),
    ("cache", "instance-1"),
    ("audit-removes", "audit-1"),
    ("audit-doubts", "audit-2"),
    ("audit-overlooks", "audit-3"),
    ("audit-trusts", "audit-4"),
    ("audit-ignores-limit", "audit-5"),
    ("sweep-ignores-age", "sweep-1"),
    ("sweep-takes-all", "sweep-2"),
    ("swept-is-ok", "sweep-3"),
    ("sweep-of-nothing-fails", "sweep-4"),
    ("sweep-counts-twice", "sweep-5"),
    ("same-version", "version-1"),
    ("version-is-size", "version-1"),
    ("version-of-each-answer", "version-2"),
    ("long-version", "version-3"),
    ("replace-ignores-version", "replace-1"),
    ("replace-of-absent-stores", "replace-1"),
    ("replace-says-other", "replace-1"),
    ("replace-compares-a-part", "replace-1"),
    ("racy-replace", "replace-2"),
    ("replace-refused-late", "replace-3"),
    ("delete-if-ignores-version", "delete-if-1"),
    ("delete-if-compares-a-part", "delete-if-1"),
    ("delete-if-says-other", "delete-if-1"),
    ("delete-if-does-nothing", "delete-if-2"),
    ("delete-if-of-absent-fails", "delete-if-2"),
    ("delete-if-looks-then-removes", "delete-if-3"),
    ("delete-if-removes-those-below", "delete-if-5"),
    ("loses-attributes", "attribute-4"),
    ("put-keeps-attributes", "attribute-4"),
    ("attributes-refused-late", "options-2"),
    ("attributes-unchecked", "options-3"),
    ("listed-time-is-now", "list-12"),
    ("listed-version-is-key", "list-12"),
    ("copy-cuts", "copy-1"),
    ("copy-loses-attributes", "copy-1"),
    ("copy-states-its-source", "copy-2"),
    ("copy-of-nothing-removes", "copy-3"),
    ("copy-ignores-mode", "copy-4"),
    ("copy-onto-itself-fails", "copy-5"),
    ("copy-conceals-damage", "copy-6"),
    ("copy-moves", "copy-7"),
    ("ordered-backwards", "ordered-1"),
    ("start-is-listed", "ordered-2"),
    ("next-skips", "ordered-3"),
    ("one-ordered-page", "ordered-4"),
    ("ordered-loses-one", "ordered-5"),
    ("empty-prefix-is-listed", "ordered-6"),
    ("folds-at-the-last", "ordered-7"),
    ("ordered-ignores-limit", "ordered-8"),
    ("ordered-from-memory", "ordered-9"),
    ("settings-use-the-store", "settings-1"),
    ("settings-differ", "settings-2"),
    ("setting-without-a-name", "settings-3"),
    ("setting-twice", "settings-3"),
    ("required-with-a-default", "settings-4"),
    ("default-is-wrong", "settings-4"),
    ("required-may-be-absent", "settings-6"),
    ("optional-is-missed", "settings-6"),
    ("problem-of-another-name", "settings-7"),
    ("problem-without-a-name", "settings-7"),
    ("secret-in-a-reason", "settings-8"),
];

/// The same of a layer.
const LAYER_FAULTS: &[(&str, &str)] = &[
    ("folds-case", "layer-1"),
    ("trims", "layer-1"),
    ("lists-all", "layer-2"),
    ("takes-any-cursor", "layer-2"),
    ("follows-dots", "layer-2"),
    ("takes-the-empty-key", "layer-2"),
    ("deletes-both", "layer-2"),
    ("states-its-size", "layer-3"),
    ("lists-its-size", "layer-3"),
    ("states-its-checksum", "layer-3"),
    ("counts-the-header", "layer-3"),
    ("seals-early", "layer-4"),
    ("seals-what-came", "layer-4"),
    ("ignores-the-size", "layer-4"),
    ("shortens", "layer-5"),
    ("shortens-and-refuses", "layer-5"),
    ("refuses-otherwise", "layer-5"),
    ("refuses-half", "key-2"),
    ("failure-is-absence", "error-3"),
    ("put-is-ok", "change-2"),
    ("delete-is-ok", "change-2"),
    ("failure-is-empty", "list-2"),
    ("hides-failures", "read-12"),
];

fn main() {
    let mut trials = Vec::new();
    for (fault, rule) in FAULTS {
        let name = format!("{fault}_breaks_{rule}");
        trials.push(Trial::test(name, move || is_noticed(fault, rule)));
    }
    for (fault, rule) in LAYER_FAULTS {
        let name = format!("layer::{fault}_breaks_{rule}");
        trials.push(Trial::test(name, move || breaks_only(fault, rule)));
    }
    for (fault, way) in [
        ("", Way::Reused),
        ("", Way::Fresh),
        ("", Way::Host),
        ("few-at-once", Way::Reused),
        ("few-at-once", Way::Host),
    ] {
        let target = Arc::new(target(fault));
        for check in checks().filter(|check| check.runs(way)) {
            let target = Arc::clone(&target);
            let kind = if fault.is_empty() { "no_fault" } else { fault };
            let name = format!("{kind}::{way:?}::{}", check.name());
            trials.push(Trial::test(name, move || match check.run(&target, way, 1)? {
                Outcome::Passed => Ok(()),
                other => Err(Failed::from(format!("{other:?}"))),
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn target(fault: &'static str) -> Target {
    Target::in_directories(move |dir: &Path| {
        let grants = Grants::none().read_write(dir, "/").env("FAULT", fault);
        let grants = grants.env("OWNER", "me").env("TOKEN", "secret");
        Backend::from_file(guest("wrong")).grants(grants)
    })
}

fn is_noticed(fault: &'static str, rule: &str) -> Result<(), Failed> {
    let target = target(fault);
    for way in [Way::Reused, Way::Fresh] {
        for check in checks().filter(|check| check.rules()[0] == rule) {
            if let Outcome::Failed(failure) = check.run(&target, way, 1)? {
                assert!(!failure.calls.is_empty() && !failure.expected.is_empty());
                return Ok(());
            }
        }
    }
    Err(Failed::from(format!("no check of {rule} notices `{fault}`")))
}

/// The checks of layers name this rule, and no other.
fn breaks_only(fault: &'static str, rule: &str) -> Result<(), Failed> {
    let variable = Some(("FAULT", fault));
    let target = Target::in_directories(move |dir| layer_on("wrong_layer", variable, dir));
    let mut broken = BTreeSet::new();
    for check in layer_checks() {
        match check.run(&target, Way::Reused, 1)? {
            Outcome::Failed(failure) => {
                assert!(!failure.expected.is_empty() && !failure.seen.is_empty(), "{failure}");
                broken.insert(failure.rule);
            }
            Outcome::TooSlow(failure) => return Err(format!("too slow: {failure}").into()),
            _ => {}
        }
    }
    match broken.iter().eq([&rule]) {
        true => Ok(()),
        false => Err(format!("`{fault}` breaks {broken:?}").into()),
    }
}
