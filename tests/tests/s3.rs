//! The S3 backend on a real service. Where the variable `WEED` names no SeaweedFS the tests are
//! reported as ignored; in CI that is a failure.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::Target;
use artifact_store::{Backend, ErrorKind, FindingKind, ReadOptions, Sign, WriteOptions};
use artifact_store_tests::contract;
use artifact_store_tests::weed::{self, Weed};
use artifact_store_tests::{cli, wasmtime_cli};
use libtest_mimic::{Arguments, Failed, Trial};

mod s3_kept;

/// Larger than what a process may take up to store it.
const LARGE: u64 = 256 << 20;
const MEMORY: u64 = 160 << 20;

/// One for all; where it does not start, whatever needs it fails at once.
static SERVER: LazyLock<Weed> = LazyLock::new(Weed::start);

/// What is tried beside the rules, each in a store of its own.
type Check = fn(&Weed, &str);
const CHECKS: &[(&str, Check)] = &[
    ("stores_beside_each_other_never_meet", beside),
    ("artifacts_of_several_parts_come_back", parts),
    ("a_create_of_several_parts_does_not_replace", creators),
    ("checksums_come_back_without_the_services_help", metadata),
    ("a_wrong_secret_and_an_unknown_bucket_are_named", refusals),
    ("the_command_line_streams_in_bounded_memory", bounded),
    ("copies_go_from_disk_to_the_bucket_and_back", copies),
    ("what_a_killed_writer_leaves_is_found_and_swept", leftovers),
    ("a_server_that_is_killed_meanwhile_leaves_no_half_artifact", killed),
];

fn main() {
    let is_there = weed::binary().is_some();
    let wasmtime = wasmtime_cli();
    let (mut trials, mut rules) = (Vec::new(), Vec::new());
    let mut trial = |name: String, is_there: bool, check: Box<dyn FnOnce(&Weed) + Send>| {
        let run = move || -> Result<(), Failed> {
            check(&SERVER);
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(!is_there));
    };
    for (name, sign) in [("host", Sign::Host), ("backend", Sign::Backend)] {
        let target = Target::by_name(move |store| SERVER.backend(&format!("{name}/{store}"), sign));
        // What takes a directory cannot be tried here.
        let lacking = &["a directory", "conditional", "copies in this mode", "ordered"];
        let checks = contract::trials(&format!("sign_{name}"), target, lacking);
        rules.extend(checks.into_iter().map(|trial| trial.with_ignored_flag(!is_there)));
    }
    for (name, check) in CHECKS {
        trial((*name).into(), is_there, Box::new(|server| check(server, name)));
    }
    for (name, check) in s3_kept::CHECKS {
        let check = move |server: &Weed| check(&open(server, name));
        trial((*name).into(), is_there, Box::new(check));
    }
    let has_both = is_there && wasmtime.is_some();
    let stock = move |server: &Weed| stock(server, &wasmtime.expect("else it is ignored"));
    trial("the_wasmtime_cli_and_this_host_share_a_store".into(), has_both, Box::new(stock));
    trials.extend(rules);
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    // The exit below runs no destructor, and the server must not outlive the tests.
    if let Some(server) = LazyLock::get(&SERVER) {
        server.end();
    }
    conclusion.exit();
}

fn open(server: &Weed, prefix: &str) -> ArtifactStore {
    ArtifactStore::open(server.backend(prefix, Sign::Host)).unwrap()
}

fn keys(store: &ArtifactStore, prefix: &str) -> Vec<String> {
    let mut keys: Vec<_> = store.list(prefix).map(|entry| entry.unwrap().key).collect();
    keys.sort();
    keys
}

/// Bytes of which no two stretches are alike.
fn bytes(size: usize) -> Vec<u8> {
    let words = (0..=size as u64 / 8).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let mut bytes = words.flatten().collect::<Vec<_>>();
    bytes.truncate(size);
    bytes
}

fn beside(server: &Weed, name: &str) {
    let prefixes = ["a", "ab", "a/b", "a/b/c", "b"];
    let stores = prefixes.map(|prefix| open(server, &format!("{name}/{prefix}")));
    for (store, prefix) in stores.iter().zip(prefixes) {
        for key in ["k", "b/k", "b/_/k", "_/k", "/"] {
            store.put(key, prefix).unwrap();
        }
    }
    for (store, prefix) in stores.iter().zip(prefixes) {
        assert_eq!(keys(store, ""), ["/", "_/k", "b/_/k", "b/k", "k"]);
        assert_eq!(store.get("b/k").unwrap(), prefix);
        assert_eq!(store.audit().count(), 0, "{prefix}");
    }
    stores[0].delete("b/k").unwrap();
    assert_eq!(stores[2].get("k").unwrap(), "a/b");
}

fn parts(server: &Weed, name: &str) {
    let store = open(server, name);
    for size in [(8 << 20) - 1, 8 << 20, (8 << 20) + 1, 16 << 20, 21_000_000] {
        let data = bytes(size);
        // The size is known in one way, and not in the other.
        let put = store.put("put", data.clone()).unwrap();
        let written = store.write("written", &data[..], WriteOptions::default()).unwrap();
        assert_eq!((put.size, put.checksum), (size as u64, written.checksum));
        for key in ["put", "written"] {
            assert_eq!(store.stat(key).unwrap().checksum, put.checksum, "{size}");
            assert!(store.get(key).unwrap() == data, "{size}");
        }
        let options = ReadOptions::default().offset(8_000_000).length(400_000);
        let mut part = Vec::new();
        store.read("put", options).unwrap().read_to_end(&mut part).unwrap();
        assert!(part == data[8_000_000..8_400_000.min(size)], "{size}");
    }
}

/// Both find the key free when they begin. That of several completions at the very same time one
/// wins is up to the service, and this one does not promise it.
fn creators(server: &Weed, name: &str) {
    let store = open(server, name);
    let options = WriteOptions::default().create(true);
    let mut writers = [1, 2].map(|letter| {
        let mut writer = store.writer("k", options.clone()).unwrap();
        writer.write_all(&vec![letter; 20 << 20]).unwrap();
        writer
    });
    for writer in &mut writers {
        writer.flush().unwrap();
    }
    let [first, second] = writers;
    first.commit().unwrap();
    let error = second.commit().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
    assert!(store.get("k").unwrap() == vec![1; 20 << 20]);
    // And the second one's parts are not left behind.
    assert_eq!(store.audit().count(), 0);
}

fn metadata(server: &Weed, name: &str) {
    let backend = server.backend(name, Sign::Host);
    let backend = backend.map_grants(|grants| grants.env("S3_CHECKSUM", "metadata"));
    let store = ArtifactStore::open(backend).unwrap();
    let put = store.put("k", "123456789").unwrap();
    assert_eq!(put.checksum, Some(0xAE8B_1486_0A79_9888));
    assert_eq!(store.stat("k").unwrap().checksum, put.checksum);
    let large = bytes(9 << 20);
    store.put("large", large.clone()).unwrap();
    assert!(store.get("large").unwrap() == large);
}

fn refusals(server: &Weed, name: &str) {
    let with = |name: &str, value: &str| {
        let mut variables = server.variables("");
        variables.iter_mut().filter(|(found, _)| *found == name).for_each(|v| v.1 = value.into());
        variables
    };
    for sign in [Sign::Host, Sign::Backend] {
        let wrong = with("AWS_SECRET_ACCESS_KEY", "hush-hush");
        let store = ArtifactStore::open(Backend::s3(wrong, sign).unwrap()).unwrap();
        for error in [
            store.put(name, "x").unwrap_err(),
            store.get(name).unwrap_err(),
            store.stat(name).unwrap_err(),
            store.delete(name).unwrap_err(),
            store.list("").next().unwrap().unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        let wrong = with("S3_BUCKET", "no-such-bucket");
        let store = ArtifactStore::open(Backend::s3(wrong, sign).unwrap()).unwrap();
        for error in [
            store.put(name, "x").unwrap_err(),
            store.put(name, vec![0; 9 << 20]).unwrap_err(),
            store.get(name).unwrap_err(),
            store.stat(name).unwrap_err(),
            store.list("").next().unwrap().unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
            assert!(error.to_string().contains("S3_BUCKET"), "{error}");
        }
    }
}

/// The real command line on this server.
fn command(server: &Weed, prefix: &str) -> Command {
    let mut command = cli();
    command.envs(server.variables(prefix)).args(["--backend", "s3"]);
    command
}

/// The most memory that a process took up, in bytes, while it ran; none where the system does not
/// tell.
fn peak(mut command: Command) -> Option<u64> {
    let mut process = command.spawn().unwrap();
    let mut peak = None;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
        let line =
            status.iter().flat_map(|text| text.lines()).find(|line| line.starts_with("VmHWM"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        peak = peak.max(kibibytes.map(|kibibytes| kibibytes << 10));
        if let Some(status) = process.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn bounded(server: &Weed, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("large"), dir.path().join("copy"));
    let mut large = std::fs::File::create(&file).unwrap();
    for n in 0..LARGE >> 20 {
        large.write_all(&bytes(1 << 20).iter().map(|b| b ^ n as u8).collect::<Vec<_>>()).unwrap();
    }
    let mut put = command(server, name);
    put.args(["put", "large"]).arg(&file);
    let mut get = command(server, name);
    get.args(["get", "large", "-o"]).arg(&copy);
    for command in [put, get] {
        let peak = peak(command);
        assert!(peak.is_none_or(|peak| peak < MEMORY), "{peak:?}");
    }
    assert!(std::fs::read(file).unwrap() == std::fs::read(copy).unwrap());
    open(server, name).delete("large").unwrap();
}

/// As an operator moves a store: by names of the configuration, the secret in the environment.
fn copies(server: &Weed, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let is_secret = |name: &str| name.ends_with("_KEY") || name.ends_with("_KEY_ID");
    let variables = server.variables(name);
    let literal = variables.iter().filter(|(name, _)| !is_secret(name));
    let literal: Vec<_> = literal.map(|(name, value)| format!("{name} = '{value}'")).collect();
    let mut text = format!(
        "[stores.bucket]\nbackend = 's3'\nenv = {{ {} }}\n\
         env-from = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']\n",
        literal.join(", ")
    );
    for disk in ["disk", "back"] {
        std::fs::create_dir(dir.path().join(disk)).unwrap();
        text +=
            &format!("[stores.{disk}]\nbackend = 'fs'\ndirectories = [{{ host = '{disk}' }}]\n");
    }
    std::fs::write(dir.path().join("stores.toml"), text).unwrap();
    let disk = ArtifactStore::open_dir(dir.path().join("disk")).unwrap();
    for (key, size) in [("..", 0), ("a/b", 9), ("a/../b", 300_000), ("😀 +%", 20_000_000)] {
        disk.put(key, vec![7; size]).unwrap();
    }
    let copy = |from: &str, to: &str| {
        let mut command = cli();
        command.args(["--config", "stores.toml", "copy", "--from", from, "--to", to, "--json"]);
        command.current_dir(dir.path()).envs(variables.clone());
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned()
    };
    let summary = |copied: u64, bytes: u64, present: u64| {
        format!(
            "{{\"type\":\"summary\",\"dry_run\":false,\"copied\":{copied},\"bytes\":{bytes},\
             \"would_copy\":0,\"would_copy_bytes\":0,\"present\":{present},\"failed\":0,\
             \"complete\":true}}"
        )
    };
    let (all, none) = (summary(4, 20_300_009, 0), summary(0, 0, 4));
    assert_eq!(copy("disk", "bucket"), all);
    assert_eq!(copy("disk", "bucket"), none);
    assert_eq!(copy("bucket", "back"), all);
    assert_eq!(copy("bucket", "back"), none);
    let back = ArtifactStore::open_dir(dir.path().join("back")).unwrap();
    for entry in disk.list("") {
        let key = entry.unwrap().key;
        assert!(back.get(&key).unwrap() == disk.get(&key).unwrap(), "{key}");
    }
}

fn leftovers(server: &Weed, name: &str) {
    let store = open(server, name);
    store.put("sound", "x").unwrap();
    store.put(&"long".repeat(256), "x").unwrap();
    assert_eq!(store.audit().count(), 0);

    // A writer that is killed when its first part has arrived.
    let mut put = command(server, name).args(["put", "k"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = put.stdin.take().unwrap();
    input.write_all(&vec![7; 20 << 20]).unwrap();
    let began = std::time::Instant::now();
    let found = loop {
        let found: Vec<_> = store.audit().map(Result::unwrap).collect();
        if found.iter().any(|finding| finding.size.is_some_and(|size| size >= 8 << 20)) {
            break found;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{found:?}");
        std::thread::sleep(Duration::from_millis(100));
    };
    put.kill().unwrap();
    put.wait().unwrap();
    assert!(matches!(&found[..], [found] if found.kind == FindingKind::Temporary), "{found:?}");
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));

    let young = store.sweep(Duration::from_secs(3600)).unwrap();
    assert_eq!((young.removed, young.kept), (0, 1));
    let swept = store.sweep(Duration::ZERO).unwrap();
    assert_eq!((swept.removed, swept.kept), (1, 0));
    assert!(swept.bytes >= 8 << 20);
    assert_eq!(store.audit().count(), 0);

    server.put_foreign(&format!("{name}/_/notes.txt"));
    let found: Vec<_> = store.audit().map(Result::unwrap).collect();
    assert!(matches!(&found[..], [found] if found.kind == FindingKind::Foreign), "{found:?}");
    assert_eq!(keys(&store, "").len(), 2);
}

/// A server of its own, since it does not survive.
fn killed(_: &Weed, name: &str) {
    let server = Weed::start();
    let store = open(&server, name);
    store.put("large", bytes(40 << 20)).unwrap();
    let mut reader = store.read("large", ReadOptions::default()).unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    let mut writer = store.writer("k", WriteOptions::default()).unwrap();
    writer.write_all(&bytes(20 << 20)).unwrap();
    server.end();

    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap_err();
    assert!(rest.len() < (40 << 20) - 1000);
    let written = match writer.write_all(&bytes(40 << 20)) {
        Ok(()) => writer.commit().map(drop),
        Err(error) => Err(error.downcast::<artifact_store::Error>().unwrap()),
    };
    let error = written.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    for error in [store.get("k").unwrap_err(), store.delete("large").unwrap_err()] {
        assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
    }
}

fn stock(server: &Weed, wasmtime: &std::path::Path) {
    let dir = tempfile::tempdir().unwrap();
    let extracted = cli().args(["extract", "s3", "-o", "s3.wasm"]).current_dir(dir.path()).status();
    assert!(extracted.unwrap().success());
    let invoke = |call: &str| {
        let mut run = Command::new(wasmtime);
        run.args(["run", "-S", "http"]).current_dir(dir.path());
        for (name, value) in server.variables("stock") {
            run.env(name, value).args(["--env", name]);
        }
        let output = run.args(["--invoke", call, "s3.wasm"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(!text.is_empty(), "{call}: {}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let store = open(server, "stock");
    assert_eq!(invoke(r#"get("k")"#), "err(not-found)");
    assert_eq!(invoke(r#"put("k", [1, 2, 3])"#), "ok");
    assert_eq!(invoke(r#"get("k")"#), "ok([1, 2, 3])");
    assert_eq!(store.get("k").unwrap(), &[1, 2, 3][..]);
    assert!(invoke(r#"stat("k")"#).starts_with("ok({size: 3, checksum: some("));
    let listed = invoke(r#"list-artifacts("", none, 0)"#);
    assert!(listed.starts_with(r#"ok({entries: [{key: "k", size: 3, modified: some("#), "{listed}");
    assert!(invoke(r#"list-artifacts("", some("no cursor"), 1)"#).starts_with("err(other("));
    store.put("from the host", vec![4, 5]).unwrap();
    assert_eq!(invoke(r#"get("from the host")"#), "ok([4, 5])");
    assert_eq!(invoke("sweep(86400)"), "ok({removed: 0, bytes: 0, kept: 0})");
    assert_eq!(invoke(r#"delete("k")"#), "ok");
    assert_eq!(invoke(r#"delete("k")"#), "ok");
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
}
