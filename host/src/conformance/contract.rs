//! The rules of the contract: their names and sentences, taken from the WIT itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;

const WIT: [&str; 10] = [
    include_str!("../../wit/types.wit"),
    include_str!("../../wit/artifact-store.wit"),
    include_str!("../../wit/streams.wit"),
    include_str!("../../wit/inventory.wit"),
    include_str!("../../wit/conditional.wit"),
    include_str!("../../wit/copying.wit"),
    include_str!("../../wit/ordered.wit"),
    include_str!("../../wit/maintenance.wit"),
    include_str!("../../wit/settings.wit"),
    include_str!("../../wit/worlds.wit"),
];

/// Rules that no call from outside can show to be broken by a backend, each with the reason. Some of
/// them are checked of a layer, whose store below can be made to fail.
pub const UNTESTABLE: &[(&str, &str)] = &[
    ("change-1", "a test needs a crash of the machine"),
    (
        "change-4",
        "a test needs storage that fails; failures that can be provoked are tested under the rule that names them",
    ),
    (
        "create-3",
        "a backend that answers `unsupported` passes; from outside, one that wrongly claims to decide the race looks like one that does, unless create-1 catches it",
    ),
    ("create-4", "what a backend did before its answer cannot be seen"),
    ("delete-if-4", "as create-3, with delete-if-3"),
    ("error-1", "it binds callers"),
    ("error-3", "a test needs storage that cannot be read"),
    (
        "instance-2",
        "it is a permission; its consequences are tested under instance-1 and instance-3",
    ),
    ("list-3", "it is a permission"),
    ("list-5", "it is a permission"),
    (
        "read-12",
        "a test needs storage that fails during a read; read-11 tests that the future is ok after a good read",
    ),
    ("replace-4", "what a backend did before its answer cannot be seen"),
    ("settings-5", "what else a backend reads from its environment cannot be seen from outside"),
    ("stat-3", "the time of a call depends on more than the backend"),
    ("world-1", "loading the component shows it"),
    ("world-2", "it is a permission"),
    ("world-3", "it binds hosts"),
    ("world-4", "it binds hosts"),
    ("world-5", "it binds this package"),
];

/// The rules of the contract: name and sentence.
static RULES: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    let mut rules = BTreeMap::new();
    let mut open: Option<(&str, String)> = None;
    for line in WIT.iter().flat_map(|wit| wit.lines()) {
        let text = line.trim().trim_start_matches("///").trim();
        let named = text.strip_prefix("- **").and_then(|text| text.split_once(".** "));
        match (named, &mut open) {
            (Some((name, sentence)), _) => {
                rules.extend(open.replace((name, sentence.to_owned())));
            }
            (None, Some((_, sentence))) if line.trim().starts_with("///") && !text.is_empty() => {
                sentence.push(' ');
                sentence.push_str(text);
            }
            _ => rules.extend(open.take()),
        }
    }
    rules.extend(open);
    rules
});

/// The sentence of a rule in the WIT; `None` if there is no rule of that name.
pub fn sentence(rule: &str) -> Option<&'static str> {
    RULES.get(rule).map(String::as_str)
}

/// Whether the rule is a recommendation: a SHOULD, and not a MUST.
pub(super) fn is_advice(rule: &str) -> bool {
    sentence(rule).is_some_and(|text| text.contains("SHOULD") && !text.contains("MUST"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{checks, layer_checks};

    #[test]
    fn every_rule_has_a_check_or_a_reason() {
        assert!(RULES.len() > 75, "{}", RULES.len());
        let untestable = |rule: &str| UNTESTABLE.iter().any(|(name, _)| *name == rule);
        for rule in RULES.keys() {
            // Of a layer, some rules are checked that cannot be checked of a backend.
            let of_layers = layer_checks().filter(|_| rule.starts_with("layer-"));
            let checked = checks().chain(of_layers).any(|check| check.rules().contains(rule));
            assert_ne!(checked, untestable(rule), "{rule}");
        }
        for rule in checks().chain(layer_checks()).flat_map(|check| check.rules()) {
            assert!(RULES.contains_key(rule), "there is no rule `{rule}`");
        }
    }

    #[test]
    fn a_sentence_is_whole() {
        assert_eq!(
            sentence("list-5"),
            Some("A page MAY be shorter than `limit`, or empty, although more artifacts follow.")
        );
        assert!(RULES.values().all(|sentence| sentence.ends_with('.')));
        assert!(is_advice("put-3") && !is_advice("write-3") && !is_advice("put-1"));
    }

    #[test]
    fn the_page_names_what_is_not_tested() {
        let page = include_str!("../../../docs/conformance.md");
        for (rule, why) in UNTESTABLE {
            assert!(page.contains(&format!("| {rule} | {why} |")), "{rule}");
        }
    }
}
