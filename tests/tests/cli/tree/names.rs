//! Names that a file cannot have, links, and what else is no plain file.

use super::*;

#[test]
fn keys_that_no_file_can_have_are_named_and_nothing_is_written_elsewhere() {
    let place = place(&[]);
    let dir = place.path();
    let store = ArtifactStore::open_dir(dir.join("store")).unwrap();
    let long = format!("p/{}", "n".repeat(256));
    let wrong =
        ["p/../out-of-it", "p//etc", "p/a//b", "p/./c", "p/end/", "p/..", "p/.", "p/", &long];
    for key in wrong {
        store.put(key, "wrong").unwrap();
    }
    // Of a file and a directory of one name, one is there first.
    store.put("p/both/x", "deep").unwrap();
    for key in ["p/right", "p/..x/y"] {
        store.put(key, "right").unwrap();
    }
    expect(dir, &["--dir", "store", "get", "-r", "p/both", "out/both"], b"", 0);
    store.put("p/both", "flat").unwrap();
    for arguments in [
        &["--dir", "store", "get", "-r", "p", "out"][..],
        &["sync", "dir:store", "out", "--prefix", "p/", "--delete"],
    ] {
        let got = said(dir, arguments);
        assert_eq!(
            (got.code, got.summary["failed"].as_u64()),
            (Some(1), Some(10)),
            "{}",
            got.error
        );
        for key in wrong.iter().chain([&"p/both"]) {
            assert_eq!(got.state(key), "failed", "{key}");
        }
        for name in
            ["`../out-of-it`", "`/etc`", "`a//b`", "`./c`", "`end/`", "255 bytes", "out/both`"]
        {
            assert!(got.error.contains(name), "{name}: {}", got.error);
        }
        let found = files(&dir.join("out"));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["..x/y", "both/x", "right"]);
    }
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn links_and_special_files_are_named_and_nothing_is_written_through_a_link() {
    let place = place(&[("a", b"1"), ("sub/b", b"2")]);
    let dir = place.path();
    let src = dir.join("src");
    symlink("a", src.join("link")).unwrap();
    symlink("sub", src.join("to-dir")).unwrap();
    symlink("nowhere", src.join("dangling")).unwrap();
    let fifo = rustix::fs::CWD;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(fifo, src.join("pipe"), kind, rustix::fs::Mode::RUSR, 0).unwrap();
    let odd = src.join(unsafe_name());
    fs::write(&odd, "x").unwrap();
    let put = said(dir, &["--dir", "store", "put", "-r", "src"]);
    assert_eq!((put.code, put.counts()), (Some(1), [2, 0, 5]), "{}", put.error);
    for name in ["src/link`", "src/to-dir`", "src/dangling`", "src/pipe`", "not UTF-8"] {
        assert!(put.error.contains(name), "{name}: {}", put.error);
    }
    let put = said(dir, &["--dir", "store", "put", "-r", "src", "--follow"]);
    assert_eq!((put.code, put.counts()), (Some(1), [2, 2, 2]), "{}", put.error);
    let store = ArtifactStore::open_dir(dir.join("store")).unwrap();
    assert_eq!(keys(&store), ["a", "link", "sub/b", "to-dir/b"]);
    // What could not be stored is there all the same, and is not deleted from the store.
    let synced = said(dir, &["sync", "src", "dir:store", "--delete"]);
    assert_eq!(synced.state("link"), "failed");
    assert_eq!(keys(&store), ["a", "link", "sub/b"]);

    fs::create_dir_all(dir.join("out")).unwrap();
    fs::create_dir(dir.join("outside")).unwrap();
    write(&dir.join("outside/file"), b"as it was");
    symlink("../outside", dir.join("out/sub")).unwrap();
    symlink("../outside/file", dir.join("out/a")).unwrap();
    symlink("../outside/absent", dir.join("out/link")).unwrap();
    for arguments in [
        &["sync", "dir:store", "out"][..],
        &["sync", "dir:store", "out", "--delete"],
        &["--dir", "store", "get", "-r", "", "out", "--checksum"],
    ] {
        let got = said(dir, arguments);
        assert_eq!((got.code, got.counts()), (Some(1), [0, 0, 3]), "{}", got.error);
        assert!(got.error.matches("symbolic link").count() >= 3, "{}", got.error);
    }
    let outside = files(&dir.join("outside"));
    assert_eq!(outside, BTreeMap::from([("file".into(), b"as it was".to_vec())]));
    // The directory itself may be named by a link.
    symlink("real", dir.join("named")).unwrap();
    fs::create_dir(dir.join("real")).unwrap();
    expect(dir, &["sync", "dir:store", "./named"], b"", 0);
    assert_eq!(files(&dir.join("real")).len(), 3);
}

/// A name that is not UTF-8.
fn unsafe_name() -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(b"odd\xff".to_vec())
}

/// Whether a filesystem has one file for such names or two shows only there.
#[test]
fn names_that_differ_in_case_are_never_taken_for_each_other() {
    let place = place(&[("x", b"1")]);
    let dir = place.path();
    let folds = dir.join("src/X").exists();
    for (key, text) in [("t/readme", b"small"), ("t/README", b"LARGE")] {
        expect(dir, &["put", key], text, 0);
    }
    for _ in 0..2 {
        let got = said(dir, &["get", "-r", "t", "out"]);
        let written = files(&dir.join("out"));
        match folds {
            true => assert!(got.code == Some(1) && got.error.contains("tell them apart")),
            false => assert_eq!((got.code, written.len()), (Some(0), 2), "{}", got.error),
        }
        // What is there is an artifact of that name.
        for (name, bytes) in written {
            assert_eq!(name == name.to_lowercase(), bytes == b"small");
        }
    }
}

#[test]
fn a_part_of_the_source_that_is_not_seen_has_a_line() {
    let place = place(&[("a", b"1"), ("b/c", b"2")]);
    let dir = place.path();
    symlink("..", dir.join("src/b/up")).unwrap();
    let output = run(dir, &["sync", "src", "dir:store", "--follow", "--json"], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failures: Vec<_> = lines.iter().filter(|line| line["type"] == "failure").collect();
    assert_eq!(failures.len(), 1, "{text}");
    assert!(failures[0]["error"].as_str().unwrap().contains("src/b/up"), "{text}");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["copied"], &summary["complete"]), (&2.into(), &false.into()));
}
