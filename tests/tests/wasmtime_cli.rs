//! The built-in backend under the stock wasmtime CLI, on the same directory as this host. Where
//! there is no such CLI the tests are reported as ignored; in CI that is a failure.

use std::path::Path;
use std::process::Command;

use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{cli, wasmtime_cli};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let wasmtime = wasmtime_cli();
    let found = wasmtime.is_some();
    let test = Trial::test("the_cli_and_this_host_share_a_store", move || {
        share(&wasmtime.expect("else it is ignored"));
        Ok(())
    });
    let trials = vec![test.with_ignored_flag(!found)];
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
    assert_eq!(invoke(r#"list-artifacts("", none, 0)"#), r#"ok({entries: [{key: "k", size: 3}]})"#);

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
    let cursor = first.split("next: some(\"").nth(1).and_then(|rest| rest.split('"').next());
    let cursor = cursor.expect("a page of one of two has a next");
    let removed = store.get(key).unwrap();
    store.delete(key).unwrap();
    let second = invoke(&format!(r#"list-artifacts("", some("{cursor}"), 1)"#));
    assert!(second.contains(rest) && !second.contains(&format!("key: \"{key}\"")), "{second}");
    store.put(key, removed).unwrap();
    assert!(invoke(r#"list-artifacts("", some("no cursor"), 1)"#).starts_with("err(other("));

    assert_eq!(invoke(r#"delete("k")"#), "ok");
    assert_eq!(invoke(r#"delete("k")"#), "ok");
    assert_eq!(invoke(r#"get("k")"#), "err(not-found)");
    assert!(store.get("k").is_err());
}
