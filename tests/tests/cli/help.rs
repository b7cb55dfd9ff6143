//! What help and manual pages list.

use artifact_store_tests::expect;

const COMMANDS: [&str; 18] = [
    "put",
    "get",
    "delete",
    "list",
    "stat",
    "exists",
    "du",
    "verify",
    "copy",
    "check",
    "inspect",
    "bundle",
    "new-backend",
    "new-layer",
    "extract",
    "keygen",
    "completions",
    "man",
];

/// The store options of a help text, in their order.
fn store_options(help: &str) -> Vec<&str> {
    let (_, after) = help.split_once("Store options:\n").unwrap_or_default();
    let lines = after.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--"))).collect()
}

#[test]
fn store_options_are_listed_in_one_order_and_only_where_a_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let whole = expect(dir.path(), &["-h"], b"", 0);
    let whole = store_options(&whole);
    assert!(whole.starts_with(&["--dir", "--backend"]) && whole.contains(&"--env"), "{whole:?}");
    for command in COMMANDS {
        let help = expect(dir.path(), &[command, "-h"], b"", 0);
        let listed = store_options(&help);
        let opens_none = [
            "inspect",
            "bundle",
            "new-backend",
            "new-layer",
            "extract",
            "keygen",
            "completions",
            "man",
        ]
        .contains(&command);
        assert_eq!(
            listed,
            if opens_none { Vec::new() } else { whole.clone() },
            "{command}: {help}"
        );
    }
    // They are accepted all the same.
    expect(dir.path(), &["--timeout", "5s", "--env", "A=1", "man", "--memory", "1MiB"], b"", 0);
}

#[test]
fn aliases_are_in_the_help() {
    let dir = tempfile::tempdir().unwrap();
    let help = expect(dir.path(), &["--help"], b"", 0);
    for alias in ["cat", "rm", "ls", "cp"] {
        assert!(help.contains(&format!("[alias: {alias}]")), "{alias}: {help}");
    }
}

#[test]
fn every_command_has_a_manual_page_with_its_variables_and_examples() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let page = expect(dir, &["man"], b"", 0);
    for section in ["SYNOPSIS", "OPTIONS", "EXIT CODES", "ENVIRONMENT VARIABLES", "EXAMPLES"] {
        assert!(
            page.contains(&format!(".SH \"{section}\"\n"))
                || page.contains(&format!(".SH {section}\n")),
            "{section}: {page}"
        );
    }
    assert!(page.contains("ARTIFACT_STORE_DIR"), "{page}");
    expect(dir, &["man", "--all", "pages/man1"], b"", 0);
    for command in COMMANDS {
        let file = dir.join(format!("pages/man1/artifact-store-{command}.1"));
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(written, expect(dir, &["man", command], b"", 0), "{command}");
        assert!(written.contains(".SH \"EXAMPLES\"\n"), "{command}: {written}");
    }
    assert!(dir.join("pages/man1/artifact-store-config-check.1").exists());
    assert!(expect(dir, &["man", "config", "check"], b"", 0).contains("no\\-probe"));
    // The synopsis shows what an option takes.
    let page = expect(dir, &["man", "get"], b"", 0);
    let synopsis = page.split(".SH SYNOPSIS\n").nth(1).unwrap().lines().next().unwrap();
    for shown in ["\\-\\-offset\\fR \\fISIZE\\fR]", "\\fIKEY|PREFIX\\fR\\&...", "\\-\\-json\\fR]"] {
        assert!(synopsis.contains(shown), "{shown}: {synopsis}");
    }
    assert!(expect(dir, &["man", "frob"], b"", 2).contains("`frob`"));
    let said = expect(dir, &["man", "get", "delete"], b"", 2);
    assert!(said.contains("`get` has no command `delete`"), "{said}");
}

#[test]
fn what_excludes_each_other_is_not_shown_together() {
    let dir = tempfile::tempdir().unwrap();
    let said = expect(dir.path(), &["delete", "k", "--prefix", "p"], b"", 2);
    for usage in ["delete [OPTIONS] <KEY>...\n", "delete [OPTIONS] --prefix <PREFIX>\n"] {
        assert!(said.contains(usage), "{said}");
    }
    // `put` and `get` delete nothing.
    for command in ["put", "get"] {
        let help = expect(dir.path(), &[command, "--help"], b"", 0);
        assert!(
            !help.contains("--delete is given") && !help.contains("copied and deleted"),
            "{help}"
        );
    }
}
