//! The backends in other languages, as their authors and their users meet them: the real command
//! puts each through the rules, and a store is handed from one to the other.
//!
//! `guest/build-languages.sh` builds them, with tools that are not Rust's; the variable
//! `ARTIFACT_STORE_LANGUAGE_BACKENDS` names the directory where it put them. Without it these
//! tests are shown as ignored.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::{Outcome, Target, Way, checks};
use artifact_store::{
    Attributes, Backend, Entry, ErrorKind, Grants, Limits, LoadLimits, ReadOptions, WriteOptions,
};
use artifact_store_tests::{artifact_files, cli, guest, wasmtime_cli};
use libtest_mimic::{Arguments, Failed, Trial};

const VARIABLE: &str = "ARTIFACT_STORE_LANGUAGE_BACKENDS";

/// Each, and what it does not offer.
const LANGUAGES: [(&str, &[&str]); 3] = [
    (
        "python",
        &["the mode `replace`", "conditional", "copying", "ordered", "maintenance", "settings"],
    ),
    // Its numbers have no room for a checksum.
    (
        "javascript",
        &[
            "the mode `replace`",
            "conditional",
            "copying",
            "ordered",
            "maintenance",
            "settings",
            "a checksum",
        ],
    ),
    (
        "c",
        &[
            "streams",
            "inventory",
            "conditional",
            "copying",
            "ordered",
            "maintenance",
            "settings",
            "streams or inventory",
            "a checksum",
        ],
    ),
];

fn main() {
    let mut trials = Vec::new();
    for (language, lacking) in LANGUAGES {
        trials.push(trial(&format!("{language}_keeps_every_rule_that_it_offers"), move |built| {
            is_right(built, language, lacking)
        }));
        trials.push(trial(&format!("{language}_keeps_them_through_the_host"), move |built| {
            is_right_through_host(built, language)
        }));
    }
    for (language, _) in LANGUAGES {
        trials.push(trial(&format!("a_new_backend_in_{language}_builds"), move |built| {
            a_new_one_builds(built, language)
        }));
    }
    trials.push(trial("each_reads_what_another_wrote", each_reads_what_another_wrote));
    trials.push(trial("each_reads_attributes_and_versions", each_reads_attributes_and_versions));
    trials.push(trial("none_replaces_one_version", none_replaces_one_version));
    trials.push(trial("none_takes_damaged_attributes", none_takes_damaged_attributes));
    trials.push(trial("a_layer_in_python_lets_nobody_write", |built| {
        a_layer_lets_nobody_write(built)?;
        // With the code that is compiled by now.
        a_layer_stands_over_others(built)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A trial that is given the directory with the built backends, where there is one.
fn trial(name: &str, run: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static) -> Trial {
    let built = std::env::var_os(VARIABLE).map(PathBuf::from);
    let is_built = built.is_some();
    Trial::test(name, move || run(&built.unwrap_or_default())).with_ignored_flag(!is_built)
}

fn file(built: &Path, language: &str) -> PathBuf {
    built.join(language).with_extension("wasm")
}

fn backend(built: &Path, language: &str, dir: &Path) -> Backend {
    Backend::from_file(file(built, language)).grants(Grants::none().read_write(dir, "/"))
}

/// `artifact-store check`, as in the CI of their authors.
fn is_right(built: &Path, language: &str, lacking: &[&str]) -> Result<(), Failed> {
    let output = cli().arg("check").arg(file(built, language)).arg("--json").output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|reason| format!("{reason}: {}: {error}", output.status))?;
    let lines = report["checks"].as_array().ok_or("a report without checks")?;
    let failures: Vec<_> = lines.iter().filter(|line| line["failure"].is_object()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(lines.len(), checks().count());
    for line in lines.iter().filter(|line| line["outcome"] != "passed") {
        let is_expected = line["not_offered"].as_str().is_some_and(|what| lacking.contains(&what));
        assert!(is_expected, "{line:#}");
    }
    Ok(())
}

/// What `new-backend` writes builds where it lies, with its tools where it looks for them.
fn a_new_one_builds(built: &Path, language: &str) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let run = |command: &mut Command| {
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {text}{error}");
        Ok::<_, Failed>(text)
    };
    let arguments = ["new-backend", "mine", "--language", language];
    run(cli().args(arguments).current_dir(dir.path()))?;
    let mine = dir.path().join("mine");
    let tools = mine.join("target").join(language);
    fs::create_dir_all(&tools)?;
    // Those that were fetched before.
    let fetched = built.join(language);
    if fetched.join("venv").exists() {
        std::os::unix::fs::symlink(fetched.canonicalize()?.join("venv"), tools.join("venv"))?;
    }
    run(Command::new("./build.sh").current_dir(&mine))?;
    run(cli().args(["check", "target/mine.wasm", "--only", "errors"]).current_dir(&mine))?;
    let text = run(cli().args(["inspect", "target/mine.wasm"]).current_dir(&mine))?;
    let named = match language {
        "python" => "Python",
        "javascript" => "JavaScript",
        _ => "not stated",
    };
    assert!(text.contains(&format!("language   {named}\n")), "{text}");
    Ok(())
}

/// What an application sees: transfers that the host buffers, or reads for it.
fn is_right_through_host(built: &Path, language: &'static str) -> Result<(), Failed> {
    let built = built.to_owned();
    let target = Target::in_directories(move |dir| backend(&built, language, dir));
    for check in checks().filter(|check| check.runs(Way::Host)) {
        if let Outcome::Failed(failure) | Outcome::TooSlow(failure) =
            check.run(&target, Way::Host, 1)?
        {
            return Err(Failed::from(format!("{}\n{failure}", check.sentence())));
        }
    }
    Ok(())
}

fn opened(built: &Path, language: &str, dir: &Path) -> artifact_store::Result<ArtifactStore> {
    ArtifactStore::open(backend(built, language, dir))
}

/// The three share one format, so that a store can be handed from one to the other.
fn each_reads_what_another_wrote(built: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let stores = LANGUAGES.map(|(language, _)| (language, opened(built, language, dir.path())));
    for (writer, store) in &stores {
        let store = store.as_ref().map_err(|e| e.to_string())?;
        let keys = [writer.to_string(), format!("{writer}/{}", "é".repeat(500))];
        for key in &keys {
            store.put(key, key.clone())?;
            for (reader, other) in &stores {
                let other = other.as_ref().map_err(|e| e.to_string())?;
                assert_eq!(other.get(key)?, key.as_bytes(), "{writer}, read by {reader}");
            }
        }
    }
    Ok(())
}

/// What was stored beside the bytes; C has no function that hands it out, and must not stumble over it.
fn each_reads_attributes_and_versions(built: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let c = opened(built, "c", dir.path())?;
    let stores = [opened(built, "python", dir.path())?, opened(built, "javascript", dir.path())?];
    let attributes = Attributes::new()
        .with("content-type", "text/plain; charset=utf-8")
        .with("empty", "")
        .with("long", "é".repeat(900))
        .with("separators", "a=b\u{2028}c");
    for writer in &stores {
        let options = WriteOptions::default().attributes(attributes.clone());
        let stored = writer.put_with("k", "bytes", options)?;
        assert_eq!(stored.attributes, attributes);
        assert_eq!(c.get("k")?, "bytes");
        for reader in &stores {
            let info = reader.stat("k")?;
            assert_eq!((&info.version, &info.attributes), (&stored.version, &attributes));
            let entry = reader.list("").next().ok_or("an empty listing")??;
            assert_eq!((entry.version, entry.modified), (info.version, info.modified));
        }
        c.put("k", "bytes")?;
        for reader in &stores {
            let info = reader.stat("k")?;
            assert!(info.version.is_some() && info.version != stored.version, "{info:?}");
            assert_eq!(info.attributes, Attributes::new());
        }
    }
    Ok(())
}

/// A rename cannot decide that race, and WASI has no locks.
fn none_replaces_one_version(built: &Path) -> Result<(), Failed> {
    for (language, _) in LANGUAGES {
        let dir = tempfile::tempdir()?;
        let store = opened(built, language, dir.path())?;
        let version = store.put("k", "old")?.version.unwrap_or_default();
        for key in ["k", "absent"] {
            let error = store.put_if(key, "new", &version).err().ok_or("it replaced")?;
            assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{language}: {error}");
        }
        assert_eq!(store.get("k")?, "old");
        let absent = store.get("absent").err().ok_or("it created one")?;
        assert!(matches!(absent.kind(), ErrorKind::NotFound), "{language}: {absent}");
    }
    Ok(())
}

/// Of a file whose attributes were changed: a name that is not allowed, and a line without an end.
fn none_takes_damaged_attributes(built: &Path) -> Result<(), Failed> {
    for language in ["python", "javascript"] {
        for (good, bad) in [("name=value\n", "Name=value\n"), ("=value\n", "=value="), ("=", "-")] {
            let dir = tempfile::tempdir()?;
            let store = opened(built, language, dir.path())?;
            let options =
                WriteOptions::default().attributes(Attributes::new().with("name", "value"));
            store.put_with("k", "bytes", options)?;
            let file = the_file_below(dir.path())?;
            let text: Vec<u8> = fs::read(&file)?;
            let at = text.windows(good.len()).rposition(|part| part == good.as_bytes());
            let at = at.ok_or("a file without attributes")?;
            let changed = [&text[..at], bad.as_bytes(), &text[at + good.len()..]].concat();
            fs::write(&file, changed)?;
            let error = store.stat("k").err().ok_or("it took them")?;
            assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{language}: {bad}: {error}");
            store.put("k", "again")?;
            assert_eq!(store.get("k")?, "again");
        }
    }
    Ok(())
}

/// The read-only layer in Python.
fn read_only(built: &Path) -> Backend {
    // This compiles 22 MB, beside whatever else the machine does.
    let load = LoadLimits::default().time(Duration::from_secs(600));
    let layer = Backend::from_file(file(&built.join("layers"), "read-only"));
    layer.limits(Limits::default().load(load))
}

/// All entries of a listing, in the order of their keys.
fn listed(store: &ArtifactStore, prefix: &str) -> Result<Vec<Entry>, Failed> {
    let mut entries = store.list(prefix).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(entries)
}

/// What is below is read as it is, and is not changed.
fn a_layer_lets_nobody_write(built: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let below = ArtifactStore::open_dir(dir.path())?;
    let attributes = Attributes::new().with("content-type", "text/plain");
    let options = WriteOptions::default().attributes(attributes);
    let large: Vec<u8> = (0..9_000_000_u32).map(|n| (n % 251) as u8).collect();
    let stored = below.put_with("large", large.clone(), options)?;
    below.put("a/small", "bytes")?;
    let (before, files) = (listed(&below, "")?, artifact_files(dir.path()));
    let store = ArtifactStore::open(Backend::fs(dir.path()).layer(read_only(built)))?;

    assert_eq!(store.get("a/small")?, "bytes");
    let mut read = Vec::new();
    store.read("large", ReadOptions::default())?.read_to_end(&mut read)?;
    assert!(read == large, "{} bytes", read.len());
    let (info, part) =
        store.get_with("large", ReadOptions::default().offset(7_000_000).length(3))?;
    assert_eq!((info, &*part), (stored.clone(), &large[7_000_000..7_000_003]));
    assert_eq!(store.stat("large")?, stored);
    assert_eq!(listed(&store, "")?, before);
    assert_eq!(listed(&store, "a/")?, listed(&below, "a/")?);
    let absent = store.get("absent").err().ok_or("it found one")?;
    assert!(matches!(absent.kind(), ErrorKind::NotFound), "{absent}");

    let refused = [
        ("put", store.put("a/small", "other").err()),
        ("a new one", store.put("new", "other").err()),
        ("create", store.put_new("new", "other").err()),
        ("delete", store.delete("a/small").err()),
        ("delete of none", store.delete("absent").err()),
        ("copy", store.copy("a/small", "new").err()),
    ];
    for (what, error) in refused {
        let error = error.ok_or(what)?;
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{what}: {error}");
    }
    // More than any buffer between them.
    let written = store.write("new", &*large, WriteOptions::default());
    let error = written.err().ok_or("it was written")?;
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
    assert_eq!(listed(&below, "")?, before);
    assert_eq!(artifact_files(dir.path()), files);
    // It is not in the way of those who may write.
    below.put("a/small", "newer")?;
    assert_eq!(store.get("a/small")?, "newer");
    Ok(())
}

/// Over a layer in Rust, and in a bundle for the stock wasmtime CLI.
fn a_layer_stands_over_others(built: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("D"))?;
    let below = ArtifactStore::open_dir(dir.path().join("D"))?;
    below.put("a/k", "bytes")?;
    below.put("outside", "outside")?;
    let prefix = guest("prefix");
    let grants = Grants::none().env("PREFIX", "a/");
    let backend = Backend::fs(dir.path().join("D"));
    let backend = backend.layer(Backend::from_file(&prefix).grants(grants));
    let store = ArtifactStore::open(backend.layer(read_only(built)))?;
    assert_eq!(store.get("k")?, "bytes");
    assert_eq!(listed(&store, "")?.len(), 1);
    let error = store.put("k", "other").err().ok_or("it was put")?;
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");

    let Some(wasmtime) = wasmtime_cli() else { return Ok(()) };
    let layer = file(&built.canonicalize()?.join("layers"), "read-only");
    let mut bundle = cli();
    bundle.args(["bundle", "fs", "-o", "store.wasm", "--layer"]).arg(layer).arg("--layer");
    assert!(bundle.arg(prefix).current_dir(dir.path()).status()?.success());
    for (words, code, said) in [
        (&["get", "k"][..], 0, "bytes"),
        (&["list"], 0, "k\n"),
        (&["get", "outside"], 3, "not found"),
        (&["put", "k"], 1, "this store is read-only"),
        (&["delete", "k"], 1, "this store is read-only"),
    ] {
        let output = Command::new(&wasmtime)
            .args(["run", "--dir", "D::/", "--env", "PREFIX=a/", "store.wasm"])
            .args(words)
            .stdin(Stdio::null())
            .current_dir(dir.path())
            .output()?;
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {shown}");
        assert!(shown.contains(said), "{words:?}: {shown}");
    }
    assert_eq!(below.get("a/k")?, "bytes");
    Ok(())
}

/// The only file two levels below `dir`.
fn the_file_below(dir: &Path) -> Result<PathBuf, Failed> {
    let mut path = dir.to_owned();
    for _ in 0..2 {
        path = fs::read_dir(&path)?.next().ok_or("an empty directory")??.path();
    }
    Ok(path)
}
