//! Commands on many artifacts: what they choose, in which order, and what they say of it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use artifact_store_tests::{artifact_files, at_a_terminal, expect, guest, run};

/// A store whose artifacts have these keys, sizes and ages in days.
fn store(artifacts: &[(&str, usize, u64)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (key, size, days) in artifacts {
        expect(dir.path(), &["put", key], &vec![b'x'; *size], 0);
        age(&dir.path().join("artifacts"), key, *days);
    }
    dir
}

/// Makes the file of an artifact older; keys here have no other characters than file names.
fn age(store: &Path, key: &str, days: u64) {
    let found = artifact_files(store);
    let name = key.rsplit('/').next().unwrap();
    let is_its = |file: &&std::path::PathBuf| file.to_string_lossy().ends_with(&format!("_{name}"));
    let file = found.iter().find(is_its).unwrap_or_else(|| panic!("{key}: {found:?}"));
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(days * 86400)).unwrap();
}

fn lines(dir: &Path, arguments: &[&str]) -> Vec<String> {
    expect(dir, arguments, b"", 0).lines().map(str::to_owned).collect()
}

fn json(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const ARTIFACTS: [(&str, usize, u64); 4] =
    [("builds/app/one", 3000, 40), ("builds/app/two", 1, 2), ("builds/lib", 70, 31), ("zed", 5, 0)];

#[test]
fn a_listing_is_sorted_and_reversed_and_cut() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    for (arguments, expected) in [
        (&["list", "--sort", "name"][..], "builds/app/one builds/app/two builds/lib zed"),
        (&["list", "--reverse"], "zed builds/lib builds/app/two builds/app/one"),
        (&["list", "--sort", "size"], "builds/app/one builds/lib zed builds/app/two"),
        (&["list", "--sort", "size", "-r"], "builds/app/two zed builds/lib builds/app/one"),
        (&["list", "--sort", "time"], "zed builds/app/two builds/lib builds/app/one"),
        (&["list", "--sort", "time", "--limit", "2"], "zed builds/app/two"),
        (&["ls", "--sort", "name", "builds/"], "builds/app/one builds/app/two builds/lib"),
        (&["list", "--sort", "name", "--start-after", "builds/app/two"], "builds/lib zed"),
    ] {
        assert_eq!(lines(dir, arguments).join(" "), expected, "{arguments:?}");
    }
    for arguments in [["list", "--delimiter", "/", "--reverse"], ["list", "--sort", "colour", ""]] {
        assert_eq!(run(dir, &arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_listing_is_chosen_by_age() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    for (arguments, expected) in [
        (&["list", "--sort", "name", "--older-than", "30d"][..], "builds/app/one builds/lib"),
        (&["list", "--sort", "name", "--newer-than", "30d"], "builds/app/two zed"),
        (&["list", "--older-than", "1d", "--newer-than", "12d"], "builds/app/two"),
        // The limit counts what is written.
        (&["list", "--older-than", "30d", "--limit", "2"], "builds/app/one builds/lib"),
        (&["list", "--newer-than", "3d", "--start-after", "builds/app/two"], "zed"),
        (&["list", "--older-than", "99d"], ""),
    ] {
        assert_eq!(lines(dir, arguments).join(" "), expected, "{arguments:?}");
    }
    assert_eq!(run(dir, &["list", "--older-than", "soon"], b"").status.code(), Some(2));
    // A backend that tells no time: nothing is old, and nothing is new.
    let timeless = tempfile::tempdir().unwrap();
    std::fs::create_dir(timeless.path().join("artifacts")).unwrap();
    std::fs::write(timeless.path().join("artifacts/k"), "1").unwrap();
    let backend = guest("passes_on");
    let list = ["--backend", backend.to_str().unwrap(), "list", "--older-than", "0s"];
    let said = expect(timeless.path(), &list, b"", 1);
    assert!(said.contains("`k`") && said.contains("--older-than"), "{said}");
}

#[test]
fn a_long_listing_has_sizes_for_people() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    let line = &lines(dir, &["list", "-lH", "builds/app/one"])[0];
    assert!(line.contains("2.93 KiB") && line.ends_with("builds/app/one"), "{line}");
    assert!(lines(dir, &["list", "-l", "builds/app/one"])[0].contains(" 3000 "));
}

#[test]
fn du_adds_up() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    let words = |arguments: &[&str]| -> Vec<String> {
        let line = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        lines(dir, arguments).into_iter().map(line).collect()
    };
    assert_eq!(words(&["du"]), ["3.00 KiB 4 total"]);
    assert_eq!(words(&["du", "--bytes", "builds/"]), ["3071 3 total"]);
    assert_eq!(
        words(&["du", "-b", "-d", "2"]),
        ["3071 3 builds/", "3001 2 builds/app/", "3076 4 total"]
    );
    assert_eq!(words(&["du", "-b", "-d1", "builds/"]), ["3001 2 builds/app/", "3071 3 total"]);
    assert_eq!(words(&["du", "-b", "--older-than", "30d"]), ["3070 2 total"]);
    assert_eq!(words(&["du", "none"]), ["0 B 0 total"]);
    let found = json(&expect(dir, &["du", "--json", "--depth", "1"], b"", 0));
    assert_eq!(found[0]["prefix"], "builds/");
    assert_eq!((&found[1]["type"], &found[1]["bytes"]), (&"summary".into(), &3076.into()));
}

#[test]
fn exists_answers_by_its_exit_code_alone() {
    let dir = store(&ARTIFACTS);
    for (keys, code) in [
        (&["zed"][..], 0),
        (&["zed", "builds/lib"], 0),
        (&["zed", "none", "builds/lib"], 3),
        (&["builds/"], 3),
    ] {
        let output = run(dir.path(), &[&["exists"], keys].concat(), b"");
        assert_eq!(output.status.code(), Some(code), "{keys:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{keys:?}");
    }
    assert_eq!(run(dir.path(), &["exists"], b"").status.code(), Some(2));
    assert_eq!(run(dir.path(), &["exists", ""], b"").status.code(), Some(2));
    // A store that is not there is no answer.
    let output = run(dir.path(), &["--dir", "elsewhere", "exists", "zed"], b"");
    assert!(!output.stderr.is_empty());
}

#[test]
fn stat_takes_several_keys_and_goes_on_after_a_failure() {
    let dir = store(&ARTIFACTS);
    let output = run(dir.path(), &["stat", "--json", "zed", "none", "builds/lib"], b"");
    assert_eq!(output.status.code(), Some(3));
    let found = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!((&found[0]["key"], &found[1]["size"]), (&"zed".into(), &70.into()));
    let text = expect(dir.path(), &["stat", "zed", "builds/app/two"], b"", 0);
    assert!(text.contains("size      5 bytes\n") && text.contains("\n\nkey  "), "{text}");
    assert!(text.contains("size      1 byte\n"), "{text}");
}

#[test]
fn delete_says_what_it_did() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    let said = expect(dir, &["delete", "zed", "builds/lib", "none'"], b"", 0);
    assert_eq!(
        said,
        "absent  `none'`: it has no artifact\n2 artifacts deleted, 75 B; 1 key without an artifact\n"
    );
    assert_eq!(expect(dir, &["rm", "builds/app/two"], b"", 0), "1 artifact deleted, 1 B\n");
    let said = expect(dir, &["delete", "--dry-run", "builds/app/one"], b"", 0);
    assert_eq!(said, "builds/app/one\n1 artifact would be deleted, 2.93 KiB\n");
    let found = json(&expect(dir, &["delete", "--json", "builds/app/one", "none"], b"", 0));
    assert_eq!((&found[0]["state"], &found[0]["size"]), (&"deleted".into(), &3000.into()));
    assert_eq!((&found[1]["state"], &found[1]["size"]), (&"absent".into(), &().into()));
    assert_eq!((&found[2]["deleted"], &found[2]["absent"]), (&1.into(), &1.into()));
    assert_eq!(found[2]["complete"], true);
    assert_eq!(expect(dir, &["list"], b"", 0), "");
    // A key that is named twice has one artifact.
    expect(dir, &["put", "m"], b"12", 0);
    assert_eq!(expect(dir, &["delete", "m", "m", "m"], b"", 0), "1 artifact deleted, 2 B\n");
}

#[test]
fn what_cannot_be_listed_is_told_in_json_too() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    // Something else is in the place of a directory of the store.
    std::fs::remove_dir_all(dir.join("artifacts/,builds")).unwrap();
    std::fs::write(dir.join("artifacts/,builds"), "").unwrap();
    std::fs::create_dir(dir.join("tree")).unwrap();
    for line in [
        &["delete", "--prefix", "", "--yes"][..],
        &["du"],
        &["sync", "dir:artifacts", "out"],
        &["sync", "./tree", "dir:artifacts"],
        &["sync", "dir:artifacts", "dir:copy"],
    ] {
        let output = run(dir, &[line, &["--json"]].concat(), b"");
        assert_eq!(output.status.code(), Some(5), "{line:?}: {output:?}");
        let found = json(&String::from_utf8(output.stdout).unwrap());
        let failures: Vec<_> = found.iter().filter(|line| line["type"] == "failure").collect();
        assert!(failures.len() == 1 && failures[0]["error"].is_string(), "{line:?}: {found:?}");
        let summary = found.last().unwrap();
        assert_eq!((&summary["type"], &summary["complete"]), (&"summary".into(), &false.into()));
    }
    assert!(dir.join("artifacts/_zed").exists());
}

#[test]
fn delete_by_prefix_asks_first_and_needs_a_yes_elsewhere() {
    let dir = store(&ARTIFACTS);
    let dir = dir.path();
    let said = expect(dir, &["delete", "--prefix", "builds/"], b"y\n", 2);
    assert!(said.contains("--yes") && said.contains("--dry-run"), "{said}");
    let said = expect(dir, &["delete", "--prefix", "builds/", "--dry-run"], b"", 0);
    assert!(
        said.contains("builds/lib\n") && said.contains("3 artifacts would be deleted"),
        "{said}"
    );
    assert_eq!(lines(dir, &["list"]).len(), 4);
    let old = ["delete", "--prefix", "", "--older-than", "30d", "--yes"];
    assert_eq!(expect(dir, &old, b"", 0), "2 artifacts deleted, 3.00 KiB\n");
    assert_eq!(expect(dir, &old, b"", 0), "0 artifacts deleted, 0 B\n");
    assert_eq!(lines(dir, &["list", "--sort", "name"]), ["builds/app/two", "zed"]);
    for wrong in
        [&["delete", "--older-than", "30d", "zed"][..], &["delete", "--prefix", "a", "zed"]]
    {
        assert_eq!(run(dir, wrong, b"").status.code(), Some(2), "{wrong:?}");
    }
    for (answer, left) in [("n", 2), ("", 2), ("yes please", 2), ("y", 1)] {
        let line = "exec \"$A\" delete --prefix builds/";
        let Some(text) = at_a_terminal(dir, line, &format!("{answer}\n")) else { return };
        assert!(
            text.contains("delete 1 artifact, 1 B, whose keys begin with `builds/`?"),
            "{text}"
        );
        assert_eq!(lines(dir, &["list"]).len(), left, "{answer}: {text}");
        assert_eq!(text.contains("nothing was deleted"), left == 2, "{text}");
    }
}

#[test]
fn a_delete_that_fails_goes_on_and_stops_where_nothing_can_work() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    for key in keys {
        expect(dir, &["put", key], b"1", 0);
    }
    let output = run(dir, &["delete", "a", "", "b", "--json"], b"");
    assert_eq!(output.status.code(), Some(2));
    let found = json(&String::from_utf8(output.stdout).unwrap());
    let states: Vec<_> = found.iter().filter_map(|line| line["state"].as_str()).collect();
    assert_eq!(states, ["deleted", "failed", "deleted"]);
    assert_eq!(found[3]["failed"], 1);
    assert_eq!(lines(dir, &["list"]).len(), 10);
}

#[test]
fn the_newest_artifacts_are_kept_whatever_their_age() {
    let dir =
        store(&[("n/1", 1, 90), ("n/2", 20, 60), ("n/3", 300, 40), ("n/4", 1, 2), ("o", 1, 99)]);
    let dir = dir.path();
    let dry = |more: &[&str]| {
        let line = [&["delete", "--prefix", "n/", "--dry-run"], more].concat();
        lines(dir, &line).join(" ")
    };
    for (more, expected) in [
        (&["--older-than", "30d"][..], "n/1 n/2 n/3 3 artifacts would be deleted, 321 B"),
        (
            &["--older-than", "30d", "--keep-last", "2"],
            "n/1 n/2 2 artifacts would be deleted, 21 B",
        ),
        (&["--older-than", "1d", "--keep-last", "3"], "n/1 1 artifact would be deleted, 1 B"),
        (&["--keep-last", "1"], "n/1 n/2 n/3 3 artifacts would be deleted, 321 B"),
        (&["--older-than", "1d", "--keep-last", "9"], "0 artifacts would be deleted, 0 B"),
    ] {
        assert_eq!(dry(more), expected, "{more:?}");
    }
    expect(dir, &["delete", "--prefix", "n/", "--keep-last", "3", "--yes"], b"", 0);
    assert_eq!(lines(dir, &["list", "--sort", "name"]).join(" "), "n/2 n/3 n/4 o");
    assert_eq!(run(dir, &["delete", "n/2", "--keep-last", "1"], b"").status.code(), Some(2));
    // Of those with one time nobody knows which is the newer.
    let time = SystemTime::now() - Duration::from_secs(86400);
    for file in artifact_files(&dir.join("artifacts")) {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(dry(&["--keep-last", "1"]), "0 artifacts would be deleted, 0 B");
    assert!(dry(&["--keep-last", "0"]).ends_with("3 artifacts would be deleted, 321 B"));
    // A backend that tells no time deletes nothing.
    let timeless = tempfile::tempdir().unwrap();
    std::fs::create_dir(timeless.path().join("artifacts")).unwrap();
    std::fs::write(timeless.path().join("artifacts/k"), "1").unwrap();
    let backend = guest("passes_on");
    let line = [
        "--backend",
        backend.to_str().unwrap(),
        "delete",
        "--prefix",
        "",
        "--keep-last",
        "0",
        "--yes",
    ];
    let error = expect(timeless.path(), &line, b"", 1);
    assert!(error.contains("`k` was put, which --keep-last needs"), "{error}");
}
