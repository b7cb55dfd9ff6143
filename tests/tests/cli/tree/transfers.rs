//! What is copied, skipped and deleted.

use super::*;

/// Sizes around those at which files are handled differently.
fn tree() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", vec![]),
        ("a", b"1".to_vec()),
        ("sub/-h", vec![7; 4096]),
        ("sub/deep/\u{e9} \u{1F600}", vec![1; 1 << 20]),
        ("sub/deep/large", (0..3_000_001u32).map(|n| n as u8).collect()),
        (".hidden/..x", b"x".to_vec()),
    ]
}

fn tree_place() -> (tempfile::TempDir, usize) {
    let tree = tree();
    let files: Vec<_> = tree.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    (place(&files), tree.len())
}

#[test]
fn a_tree_goes_in_and_comes_out_and_what_is_there_is_skipped() {
    let (place, count) = tree_place();
    let (dir, count) = (place.path(), count as u64);
    // A prefix is a directory, with or without its end.
    for (prefix, expected) in [("snap", [count, 0, 0]), ("snap/", [0, count, 0])] {
        let put = said(dir, &["--dir", "store", "put", "-r", "src", prefix]);
        assert_eq!((put.code, put.counts()), (Some(0), expected), "{}", put.error);
    }
    let store = ArtifactStore::open_dir(dir.join("store")).unwrap();
    let mut expected: Vec<_> = tree().iter().map(|(name, _)| format!("snap/{name}")).collect();
    expected.sort();
    assert_eq!(keys(&store), expected);
    store.put("snapshot", "is not in snap/").unwrap();
    for expected in [[count, 0, 0], [0, count, 0]] {
        let got = said(dir, &["--dir", "store", "get", "-r", "snap", "out/new"]);
        assert_eq!((got.code, got.counts()), (Some(0), expected), "{}", got.error);
        assert_eq!(files(&dir.join("out/new")), files(&dir.join("src")));
    }
    let put = store.stat("snap/a").unwrap().modified.unwrap();
    assert_eq!(modified(&dir.join("out/new/a")), put);
    // And back: the files have the times of the artifacts.
    let put = said(dir, &["--dir", "store", "put", "-r", "out/new", "snap"]);
    assert_eq!(put.counts(), [0, count, 0]);
    // Without a prefix; text for people.
    let text = expect(dir, &["--dir", "other", "put", "-r", "src"], b"", 0);
    assert!(text.starts_with(&format!("{count} artifacts copied, ")), "{text}");
    assert!(text.ends_with("; 0 already there\n"), "{text}");
    expect(dir, &["--dir", "other", "get", "-r", "", "all"], b"", 0);
    assert_eq!(files(&dir.join("all")), files(&dir.join("src")));
    let error = expect(dir, &["--dir", "store", "get", "-r", "none", "made"], b"", 3);
    assert!(error.contains("no key begins with `none/`"), "{error}");
    assert!(!dir.join("made").exists());
}

#[test]
fn a_sync_makes_both_sides_alike_and_a_dry_run_changes_nothing() {
    let place = place(&[("a", b"1"), ("b/c", b"2"), ("b/d", b"3")]);
    let dir = place.path();
    let up = ["sync", "src", "dir:store", "--prefix", "p", "--delete"];
    let dry = said(dir, &[&up[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, dry.state("p/b/c")), (Some(0), "would-copy"));
    assert!(!dir.join("store").exists());
    assert_eq!(said(dir, &up).counts(), [3, 0, 0]);
    let store = ArtifactStore::open_dir(dir.join("store")).unwrap();
    store.put("p/old", "old").unwrap();
    store.put("q", "is not below the prefix").unwrap();
    fs::remove_file(dir.join("src/b/d")).unwrap();
    let dry = said(dir, &[&up[..], &["--dry-run"]].concat());
    assert_eq!([dry.state("p/old"), dry.state("p/b/d")], ["would-delete"; 2]);
    assert_eq!((&dry.summary["would_delete"], &dry.summary["deleted"]), (&2.into(), &0.into()));
    assert_eq!(keys(&store), ["p/a", "p/b/c", "p/b/d", "p/old", "q"]);
    let synced = said(dir, &up);
    assert_eq!((synced.counts(), &synced.summary["deleted"]), ([0, 2, 0], &2.into()));
    assert_eq!(keys(&store), ["p/a", "p/b/c", "q"]);
    // The other way.
    let down = ["sync", "dir:store", "out", "--prefix", "p", "--delete"];
    assert_eq!(said(dir, &down).counts(), [2, 0, 0]);
    write(&dir.join("out/extra/deep/file"), b"x");
    write(&dir.join("out/b/extra"), b"x");
    let dry = expect(dir, &[&down[..], &["--dry-run"]].concat(), b"", 0);
    let mut lines: Vec<_> = dry.lines().collect();
    let summary = lines.pop().unwrap();
    lines.sort();
    assert_eq!(lines, ["delete p/b/extra", "delete p/extra/deep/file"]);
    assert!(summary.ends_with("; 2 already there; 2 would be deleted"), "{summary}");
    let synced = said(dir, &down);
    assert_eq!((synced.counts(), &synced.summary["deleted"]), ([0, 2, 0], &2.into()));
    assert_eq!(files(&dir.join("out")), files(&dir.join("src")));
    assert!(!dir.join("out/extra").exists());
    // Store to store.
    let across = ["sync", "dir:store", "dir:copy", "--delete"];
    assert_eq!(said(dir, &across).counts(), [3, 0, 0]);
    store.delete("q").unwrap();
    assert_eq!(said(dir, &[&across[..], &["--dry-run"]].concat()).state("q"), "would-delete");
    assert_eq!(said(dir, &across).state("q"), "deleted");
    let copy = ArtifactStore::open_dir(dir.join("copy")).unwrap();
    assert_eq!(keys(&copy), ["p/a", "p/b/c"]);
}

#[test]
fn a_source_that_is_empty_or_not_seen_deletes_nothing() {
    let place = place(&[("a", b"1")]);
    let dir = place.path();
    expect(dir, &["sync", "src", "dir:store"], b"", 0);
    expect(dir, &["sync", "dir:store", "out"], b"", 0);
    for (name, target) in [("dir:none", "out"), ("none", "dir:store")] {
        run(dir, &["sync", name, target, "--delete"], b"");
    }
    fs::create_dir(dir.join("empty")).unwrap();
    fs::create_dir(dir.join("empty-store")).unwrap();
    for (source, target) in
        [("empty", "dir:store"), ("dir:empty-store", "out"), ("dir:empty-store", "dir:store")]
    {
        let synced = said(dir, &["sync", source, target, "--delete"]);
        assert_eq!(synced.code, Some(1));
        assert!(synced.error.contains("nothing is deleted"), "{}", synced.error);
        assert_eq!(synced.summary["complete"], false);
    }
    // A directory that cannot be read hides files.
    write(&dir.join("src/closed/b"), b"2");
    expect(dir, &["sync", "src", "dir:store"], b"", 0);
    fs::set_permissions(dir.join("src/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(dir.join("src/closed")).is_err() {
        let synced = said(dir, &["sync", "src", "dir:store", "--delete"]);
        assert!(synced.code == Some(1) && synced.error.contains("closed"), "{}", synced.error);
    }
    fs::set_permissions(dir.join("src/closed"), fs::Permissions::from_mode(0o755)).unwrap();
    let store = ArtifactStore::open_dir(dir.join("store")).unwrap();
    assert_eq!(keys(&store), ["a", "closed/b"]);
    assert_eq!(files(&dir.join("out")).len(), 1);
}

#[test]
fn a_change_of_the_same_size_is_seen() {
    let place = place(&[("a", b"1"), ("b", b"1"), ("c", b"1"), ("d", b"1")]);
    let dir = place.path();
    let up = ["sync", "src", "dir:store"];
    assert_eq!(said(dir, &up).counts(), [4, 0, 0]);
    let src = dir.join("src");
    // Changed; touched; changed at about the time of the put; changed to an older file.
    fs::write(src.join("a"), "2").unwrap();
    date(&src.join("b"), SystemTime::now());
    fs::write(src.join("c"), "2").unwrap();
    let put = ArtifactStore::open_dir(dir.join("store")).unwrap().stat("c").unwrap().modified;
    date(&src.join("c"), put.unwrap() - Duration::from_millis(1500));
    write(&src.join("d"), b"2");
    let synced = said(dir, &up);
    assert_eq!((synced.state("a"), synced.state("c"), synced.counts()[0]), ("copied", "copied", 2));
    assert_eq!(said(dir, &[&up[..], &["--checksum"]].concat()).state("d"), "copied");
    let down = ["sync", "dir:store", "out"];
    assert_eq!(said(dir, &down).counts(), [4, 0, 0]);
    let out = dir.join("out");
    // Changed, earlier and later; touched, whose time is then that of the artifact again.
    let time = modified(&out.join("c"));
    for (name, bytes, date_) in [
        ("a", "3", SystemTime::now()),
        ("b", "3", SystemTime::now() - Duration::from_secs(3600)),
        ("c", "2", SystemTime::now()),
        ("d", "3", modified(&out.join("d"))),
    ] {
        fs::write(out.join(name), bytes).unwrap();
        date(&out.join(name), date_);
    }
    let dry = said(dir, &[&down[..], &["--dry-run"]].concat());
    assert_eq!([dry.state("a"), dry.state("b"), dry.state("c")], ["would-copy", "would-copy", ""]);
    assert_ne!(modified(&out.join("c")), time);
    let synced = said(dir, &down);
    assert_eq!((synced.state("a"), synced.state("b"), synced.counts()[0]), ("copied", "copied", 2));
    assert_eq!(modified(&out.join("c")), time);
    assert_eq!(said(dir, &[&down[..], &["--checksum"]].concat()).state("d"), "copied");
    assert_eq!(files(&out), files(&src));
}

#[test]
fn an_interrupted_tree_leaves_nothing_half_written_and_goes_on_later() {
    let place = place(&[]);
    let dir = place.path();
    let count = 60;
    for n in 0..count {
        write(&dir.join(format!("src/{n}")), &vec![n as u8; 2_000_000]);
    }
    for (source, target, started) in [("src", "dir:store", "store"), ("dir:store", "out", "out")] {
        let mut sync = cli();
        sync.args(["sync", source, target, "--jobs", "2"]).current_dir(dir);
        let mut child = sync.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let is_begun = || {
            let names = fs::read_dir(dir.join(started)).into_iter().flatten().flatten();
            names.filter(|entry| entry.path().is_file()).count() > 2
        };
        while !is_begun() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        let (code, error) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(error.matches("interrupted").count(), usize::from(code == Some(130)), "{error}");
        // On a machine that copies faster than we look it may be done.
        assert!(matches!(code, Some(130 | 0)), "{code:?}");
        let left = match started {
            "store" => files(&dir.join("store/tmp")),
            _ => files(&dir.join("out")),
        };
        assert!(!left.keys().any(|name| started == "store" || name.contains(".artifact-store")));
        if started == "out" {
            assert!(left.values().all(|bytes| bytes.len() == 2_000_000));
        }
        let synced = said(dir, &["sync", source, target]);
        let [copied, present, failed] = synced.counts();
        assert_eq!((copied + present, failed), (count, 0));
        assert!(code == Some(0) || present > 0 && copied > 0, "{copied} {present}");
    }
    assert_eq!(files(&dir.join("out")), files(&dir.join("src")));
}

#[test]
fn a_backend_without_a_listing_takes_a_tree_and_says_what_it_cannot() {
    let place = place(&[("a", b"1"), ("b", b"2")]);
    let dir = place.path();
    let plain = guest("plain");
    let plain = ["--backend", plain.to_str().unwrap(), "--dir", "store"];
    fs::create_dir(dir.join("store")).unwrap();
    assert_eq!(said(dir, &[&plain[..], &["put", "-r", "src", ""]].concat()).counts(), [2, 0, 0]);
    assert_eq!(expect(dir, &[&plain[..], &["get", "b"]].concat(), b"", 0), "2");
    let error = expect(dir, &[&plain[..], &["get", "-r", "", "out"]].concat(), b"", 1);
    assert!(error.contains("cannot list"), "{error}");
}

#[test]
fn wrong_trees_are_wrong_usage() {
    let place = place(&[("a", b"1")]);
    let dir = place.path();
    fs::write(dir.join("stores.toml"), "").unwrap();
    for arguments in [
        // A store in the tree, and a tree in the store: it would store itself.
        &["put", "-r", "."][..],
        &["--dir", "src/store", "put", "-r", "src"],
        &["--dir", "src", "put", "-r", "src"],
        &["sync", "dir:src", "src/out"],
        &["sync", "src", "out"],
        &["sync", "dir:src", "dir:src"],
        &["sync", "src", "dir:"],
        &["--store", "dir:store", "sync", "src", "dir:store"],
        &["put", "k", "src/a", "--jobs", "2"],
        &["put", "k", "src/a", "--follow"],
        &["put", "-r", "src", "--create"],
        &["get", "-r", "src"],
        &["get", "k", "--dry-run"],
        &["get", "-r", "p", "out", "--offset", "1"],
    ] {
        expect(dir, arguments, b"", 2);
    }
    expect(dir, &["--dir", "store", "put", "-r", "src/a"], b"", 1);
    expect(dir, &["--dir", "store", "put", "-r", "none"], b"", 1);
    assert!(!dir.join("store").exists() && !dir.join("artifacts").exists());
}
