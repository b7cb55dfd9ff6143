//! The built-in backend under the stock wasmtime CLI, on the same directory as this host, called
//! by name and bundled with a command. Where
//! there is no such CLI the tests are reported as ignored; in CI that is a failure.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{cli, guest, wasmtime_cli};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let wasmtime = wasmtime_cli();
    let trial = |name: &str, test: fn(&Path)| {
        let wasmtime = wasmtime.clone();
        let is_found = wasmtime.is_some();
        let run = move || {
            test(&wasmtime.expect("else it is ignored"));
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!is_found)
    };
    let trials = vec![
        trial("the_cli_and_this_host_share_a_store", share),
        trial("a_bundle_is_a_program", bundle),
        trial("a_bundle_has_layers", bundle_with_layers),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn share(wasmtime: &Path) {
    let work = tempfile::tempdir().unwrap();
    std::fs::create_dir(work.path().join("D")).unwrap();
    let extracted =
        cli().args(["extract", "fs", "-o", "fs.wasm"]).current_dir(work.path()).status().unwrap();
    assert!(extracted.success());
    let invoke = |call: &str| {
        let output = Command::new(wasmtime)
            .args(["run", "--dir", "D::/", "--invoke", call, "fs.wasm"])
            .current_dir(work.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(!text.is_empty(), "{call}: {}", String::from_utf8_lossy(&output.stderr));
        text
    };
    assert_eq!(invoke(r#"get("k")"#), "err(not-found)");
    assert_eq!(invoke(r#"put("k", [1, 2, 3])"#), "ok");
    assert_eq!(invoke(r#"get("k")"#), "ok([1, 2, 3])");
    assert!(invoke(r#"stat("k")"#).starts_with("ok({size: 3, checksum: some("));
    let listed = invoke(r#"list-artifacts("", none, 0)"#);
    let entry = r#"ok({entries: [{key: "k", size: 3, modified: some({seconds: "#;
    assert!(listed.starts_with(entry) && listed.ends_with("})}]})"), "{listed}");

    let store = ArtifactStore::open_dir(work.path().join("D")).unwrap();
    assert_eq!(store.get("k").unwrap(), &[1, 2, 3][..]);
    store.put("from the host", vec![4, 5]).unwrap();
    assert_eq!(invoke(r#"get("from the host")"#), "ok([4, 5])");

    // The limits of a page, which this host never asks for, and a cursor that outlives its artifact.
    let all = invoke(r#"list-artifacts("", none, 4294967295)"#);
    assert!(all.contains(r#"key: "k""#) && all.contains("from the host") && !all.contains("next"));
    let first = invoke(r#"list-artifacts("", none, 1)"#);
    let (key, rest) =
        if first.contains(r#"key: "k""#) { ("k", "from the host") } else { ("from the host", "k") };
    let next = cursor(&first).expect("a page of one of two has a next");
    let removed = store.get(key).unwrap();
    store.delete(key).unwrap();
    let second = invoke(&format!(r#"list-artifacts("", some("{next}"), 1)"#));
    assert!(second.contains(rest) && !second.contains(&format!("key: \"{key}\"")), "{second}");
    store.put(key, removed).unwrap();
    assert!(invoke(r#"list-artifacts("", some("no cursor"), 1)"#).starts_with("err(other("));

    // What hides a part of the store is no hole in a listing there either.
    #[cfg(unix)]
    {
        store.put("j/k", "x").unwrap();
        // The directory of `j/`, as `docs/format.md` names it.
        let (place, moved) = (work.path().join("D/,j"), work.path().join("moved"));
        std::fs::rename(&place, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &place).unwrap();
        // A listing names what comes before it, and fails there.
        let page = invoke(r#"list-artifacts("", none, 0)"#);
        let listed = match cursor(&page) {
            Some(cursor) => invoke(&format!(r#"list-artifacts("", some("{cursor}"), 0)"#)),
            None => page,
        };
        for answer in [listed, invoke(r#"get("j/k")"#), invoke(r#"put("j/k", [1])"#)] {
            assert!(answer.starts_with("err(corrupt(") && answer.contains("`,j`"), "{answer}");
        }
        let found = invoke("audit(none, 0)");
        assert!(found.contains("kind: damaged") && found.contains(r#"name: ",j""#), "{found}");
        std::fs::remove_file(&place).unwrap();
        std::fs::rename(&moved, &place).unwrap();
        store.delete("j/k").unwrap();
    }

    assert_eq!(invoke(r#"delete("k")"#), "ok");
    assert_eq!(invoke(r#"delete("k")"#), "ok");
    assert_eq!(invoke(r#"get("k")"#), "err(not-found)");
    assert!(store.get("k").is_err());
}

/// Where a listing goes on behind this page.
fn cursor(page: &str) -> Option<&str> {
    page.split("next: some(\"").nth(1)?.split('"').next()
}

fn bundle_with_layers(wasmtime: &Path) {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path();
    std::fs::create_dir(dir.join("D")).unwrap();
    std::fs::write(dir.join("artifact"), "bytes").unwrap();
    let (prefix, passes) = (guest("prefix"), guest("layer"));
    let run = |bundle: &str, environment: &[&str], arguments: &[&str], code: i32| {
        let environment: Vec<_> = environment.iter().flat_map(|it| ["--env", it]).collect();
        let output = Command::new(wasmtime)
            .args(["run", "--dir", "D::/"])
            .args(environment)
            .arg(bundle)
            .args(arguments)
            .current_dir(dir)
            .stdin(File::open(dir.join("artifact")).unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{bundle} {arguments:?}: {error}");
        format!("{}{error}", String::from_utf8_lossy(&output.stdout))
    };
    let store = ArtifactStore::open_dir(dir.join("D")).unwrap();
    // Both layers see the one variable, so two of them put it there twice.
    for (layers, below) in
        [(&[&prefix][..], "a/"), (&[&prefix, &prefix], "a/a/"), (&[&passes, &prefix], "a/")]
    {
        let mut command = cli();
        command.args(["bundle", "fs", "-o", "store.wasm"]).current_dir(dir);
        for layer in layers {
            command.arg("--layer").arg(layer);
        }
        assert!(command.status().unwrap().success());
        store.put(&format!("{below}other"), "other").unwrap();
        store.put("outside", "outside").unwrap();
        let bundled = |arguments: &[&str], code| run("store.wasm", &["PREFIX=a/"], arguments, code);
        bundled(&["put", "k"], 0);
        let key = format!("{below}k");
        assert_eq!(store.get(&key).unwrap(), "bytes");
        assert_eq!(bundled(&["get", "k"], 0), "bytes");
        assert_eq!(bundled(&["get", "k", "--offset", "1", "--length", "3"], 0), "yte");
        assert!(bundled(&["stat", "k"], 0).contains("size      5 bytes"));
        assert_eq!(bundled(&["list"], 0), "k\nother\n");
        bundled(&["get", "outside"], 3);
        bundled(&["put", "k", "--create"], 4);
        bundled(&["delete", "k"], 0);
        bundled(&["get", "k"], 3);
        assert!(store.get(&key).is_err());
        let error = run("store.wasm", &[], &["list"], 1);
        assert!(error.contains("PREFIX"), "{error}");
        for key in [&*format!("{below}other"), "outside"] {
            store.delete(key).unwrap();
        }
    }
}

fn bundle(wasmtime: &Path) {
    let work = tempfile::tempdir().unwrap();
    let dir = work.path();
    std::fs::create_dir(dir.join("D")).unwrap();
    let bundle = |backend: &str| {
        let mut command = cli();
        command.args(["bundle", backend, "-o", "store.wasm"]).current_dir(dir).output().unwrap()
    };
    // A backend that offers too little is named, with what it lacks.
    let plain = bundle(&guest("plain").display().to_string());
    let error = String::from_utf8_lossy(&plain.stderr).into_owned();
    assert_eq!(plain.status.code(), Some(1), "{error}");
    assert!(error.contains("does not export artifact:storage/streams@0.1.0"), "{error}");
    assert!(!dir.join("store.wasm").exists());
    assert!(bundle("fs").status.success());

    let run = |arguments: &[&str], input: Stdio, code: i32| {
        let output = Command::new(wasmtime)
            .args(["run", "--dir", "D::/", "store.wasm"])
            .args(arguments)
            .current_dir(dir)
            .stdin(input)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        (output.stdout, error)
    };
    let file = |name: &str| Stdio::from(File::open(dir.join(name)).unwrap());
    let text = |(output, _): (Vec<u8>, String)| String::from_utf8(output).unwrap();
    std::fs::write(dir.join("small"), "123456789").unwrap();
    run(&["put", "k"], file("small"), 0);
    assert_eq!(text(run(&["get", "k"], Stdio::null(), 0)), "123456789");
    let part = run(&["get", "k", "--offset", "2", "--length", "3"], Stdio::null(), 0);
    assert_eq!(text(part), "345");
    let (_, error) = run(&["put", "k", "--create"], file("small"), 4);
    assert!(
        error.contains("cannot put `k` into the backend: the key already has an artifact"),
        "{error}"
    );
    let (_, error) = run(&["put", "other", "--size", "5"], file("small"), 1);
    assert!(error.contains("9 of the expected 5 bytes"), "{error}");
    assert_eq!(text(run(&["list"], Stdio::null(), 0)), "k\n");
    run(&["get", "--", "-h"], Stdio::null(), 3);
    run(&["put"], Stdio::null(), 2);
    // It says what this program says, and works on the same store.
    let described = ["put", "described", "small", "--content-type", "text/plain", "--meta", "a=b"];
    for (arguments, key) in [(&["stat", "k"][..], "k"), (&described, "described")] {
        assert!(
            cli().args(["--dir", "D"]).args(arguments).current_dir(dir).status().unwrap().success()
        );
        let ours = cli().args(["--dir", "D", "stat", key]).current_dir(dir).output().unwrap();
        assert_eq!(run(&["stat", key], Stdio::null(), 0).0, ours.stdout);
    }
    run(&["delete", "k"], Stdio::null(), 0);
    run(&["delete", "k"], Stdio::null(), 0);
    run(&["stat", "k"], Stdio::null(), 3);

    // More than fits in the memory of a component, through pipes.
    const SIZE: u64 = 256 << 20;
    let block: Vec<u8> =
        (0..1_048_573_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let endless = || block.iter().copied().cycle();
    let mut put = Command::new(wasmtime)
        .args(["run", "--dir", "D::/", "store.wasm", "put", "big"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = put.stdin.take().unwrap();
    let mut rest = SIZE;
    while rest > 0 {
        let part = &block[..block.len().min(rest as usize)];
        input.write_all(part).unwrap();
        rest -= part.len() as u64;
    }
    drop(input);
    assert!(put.wait().unwrap().success());
    let mut get = Command::new(wasmtime)
        .args(["run", "--dir", "D::/", "store.wasm", "get", "big"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(get.stdout.take().unwrap());
    let mut expected = endless();
    let mut seen = 0;
    loop {
        let chunk = output.fill_buf().unwrap();
        if chunk.is_empty() {
            break;
        }
        assert!(chunk.iter().all(|byte| Some(*byte) == expected.next()), "after {seen}");
        let length = chunk.len();
        seen += length as u64;
        output.consume(length);
    }
    assert!(get.wait().unwrap().success());
    assert_eq!(seen, SIZE);

    // The whole process, with the compiled code: what is stored passes through.
    #[cfg(target_os = "linux")]
    {
        let peak = |arguments: &[&str], feed: u64| {
            let mut command = Command::new(wasmtime);
            command.args(["run", "--dir", "D::/", "store.wasm"]).args(arguments).current_dir(dir);
            artifact_store_tests::peak(&mut command, feed as usize)
        };
        let (small, put, get) =
            (peak(&["put", "small"], 1000), peak(&["put", "big"], SIZE), peak(&["get", "big"], 0));
        println!(
            "peak memory: {small} KiB for 1000 bytes, {put} KiB to put and {get} to get {SIZE}"
        );
        for large in [put, get] {
            assert!(large - small < 32 << 10, "{large} KiB for 256 MiB, {small} KiB for 1 KiB");
        }
    }
}
