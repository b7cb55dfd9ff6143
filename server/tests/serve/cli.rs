//! `artifact-store serve`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::process::{ANY, KEY, refused, serve, terminate};
use crate::served::Plain;

#[test]
fn a_directory_is_served_without_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let mut serving = serve(dir.path(), &ANY, &[]);
    assert_eq!(serving.said.len(), 2, "{:?}", serving.said);
    serving.client.put("/artifacts/k", b"bytes").ok();
    assert_eq!(serving.client.get("/artifacts/k").ok().text(), "bytes");
    assert_eq!(terminate(&mut serving).code(), Some(0));
    // The command line has the same store.
    let got = artifact_store_tests::expect(dir.path(), &["get", "k"], b"", 0);
    assert_eq!(got, "bytes");
    // Another start has another key, unless the environment has one.
    let again = serve(dir.path(), &ANY, &[]);
    assert_ne!(again.said, serving.said);
    let named = serve(dir.path(), &ANY, &KEY);
    assert_eq!(named.said, [""; 0]);
    assert_eq!(named.client.get("/artifacts/k").ok().text(), "bytes");
}

#[test]
fn a_directory_is_served_to_build_caches() {
    let dir = tempfile::tempdir().unwrap();
    let mut serving = serve(dir.path(), &["serve", "--http", "127.0.0.1:0"], &[]);
    // With the key that was made it is a URL as caches take it.
    let [url] = &serving.said[..] else { panic!("{:?}", serving.said) };
    let (key, place) = url.strip_prefix("http://").unwrap().split_once('@').unwrap();
    let (id, secret) = key.split_once(':').unwrap();
    assert_eq!(place, format!("{}/artifacts", serving.client.address));
    Plain::basic(serving.client.address, id, secret).put("/artifacts/k", b"bytes").ok();
    assert_eq!(terminate(&mut serving).code(), Some(0));
    assert_eq!(artifact_store_tests::expect(dir.path(), &["get", "k"], b"", 0), "bytes");

    // Both protocols have the same artifacts and keys.
    let both = [&ANY[..], &["--http", "127.0.0.1:0", "--verify-cas"]].concat();
    let mut serving = serve(dir.path(), &both, &KEY);
    let (_, address) = serving.said[0].split_once(" on http://").unwrap();
    let plain = Plain::basic(address.parse().unwrap(), KEY[0].1, KEY[1].1);
    assert_eq!(plain.get("/artifacts/k").text(), "bytes");
    plain.put("/artifacts/l", b"others").ok();
    assert_eq!(serving.client.get("/artifacts/l").ok().text(), "others");
    assert_eq!(plain.put("/artifacts/cas/name", b"bytes").status, 400);
    assert_eq!(terminate(&mut serving).code(), Some(0));

    let (code, text) = refused(dir.path(), &["serve", "--http", "0.0.0.0:0"], &KEY);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("loopback"), "{text}");
    let (code, _) = refused(dir.path(), &[&ANY[..], &["--verify-cas"]].concat(), &KEY);
    assert_eq!(code, Some(2));
}

/// Without `-v`, and without the names of artifacts.
#[test]
fn an_outage_is_one_line_in_the_log_of_the_server_and_one_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let serving = serve(dir.path(), &ANY, &KEY);
    let (client, key) = (&serving.client, "/artifacts/confidential");
    client.put(key, b"bytes").ok();
    for file in artifact_store_tests::artifact_files(&dir.path().join("artifacts")) {
        std::fs::write(file, "damaged").unwrap();
    }
    for _ in 0..20 {
        client.get(key).is(500, "InternalError");
    }
    client.put(key, b"bytes").ok();
    client.get(key).ok();
    let told = |what: &str| {
        assert_eq!(serving.lines("confidential"), 0);
        serving.lines(what)
    };
    let until = Instant::now() + Duration::from_secs(20);
    while told("calls succeed again") == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = serving.later.lock().unwrap().join("\n");
    assert_eq!([told("calls fail"), told("calls succeed again")], [1, 1], "{log}");
    assert!(log.contains("corrupt"), "{log}");
}

const STORES: &str = r#"
[stores.releases]
backend = "fs"
directories = [{ host = "releases" }]

[stores.scratch]
backend = "fs"
directories = [{ host = "scratch" }]

[serve.keys.ci]
id = "id"
secret-from = "CI_SECRET"
buckets = ["releases"]
access = "append"
"#;

#[test]
fn the_stores_of_a_configuration_are_buckets_for_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["releases", "scratch"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("stores.toml"), STORES).unwrap();
    let arguments = ["--config", "stores.toml", "serve", "--s3", "127.0.0.1:0"];
    let serving = serve(dir.path(), &arguments, &[("CI_SECRET", "hush")]);
    let client = &serving.client;
    assert_eq!(client.get("/").ok().fields("Name"), ["releases"]);
    client.put("/releases/k", b"1").ok();
    client.put("/releases/k", b"2").is(403, "AccessDenied");
    client.get("/scratch/k").is(403, "AccessDenied");
    drop(serving);
    let (code, text) = refused(dir.path(), &arguments, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("`ci`") && text.contains("`CI_SECRET`"), "{text}");
    let one = [&["--store", "scratch"], &arguments[..]].concat();
    let serving = serve(dir.path(), &one, &[("CI_SECRET", "hush")]);
    assert_eq!(serving.client.get("/").ok().fields("Name"), [""; 0]);
}

#[test]
fn keys_that_make_no_sense_are_refused_with_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["releases", "scratch"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let file = dir.path().join("stores.toml");
    let check = |from: &str, to: &str, expected: &str| {
        assert!(STORES.contains(from));
        std::fs::write(&file, STORES.replace(from, to)).unwrap();
        let arguments = ["--config", "stores.toml", "serve", "--s3", "127.0.0.1:0"];
        let (code, text) = refused(dir.path(), &arguments, &[("CI_SECRET", "hush")]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("hush"));
    };
    check(
        "[\"releases\"]",
        "[\"release\"]",
        "stores.toml:13: there is no store `release`; did you mean `releases`?",
    );
    check("access =", "acces =", "unknown key `serve.keys.ci.acces`; did you mean `access`?");
    check("\"append\"", "\"all\"", "must be \"read\" or \"append\" or \"write\"");
    check("id = \"id\"\n", "", "`serve.keys.ci.id` is missing");
    check("\"CI_SECRET\"", "\"\"", "`serve.keys.ci.secret-from` is empty");
    check("serve.keys.ci", "serve.key.ci", "unknown key `serve.key`; did you mean `keys`?");
    check("stores.scratch", "stores.No", "`No` is no name of a bucket");
}

#[test]
fn without_configured_keys_only_this_machine_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (code, text) = refused(dir.path(), &["serve", "--s3", "0.0.0.0:0"], &KEY);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("loopback") && text.contains("[serve.keys.NAME]"), "{text}");
    let (code, text) = refused(dir.path(), &ANY, &KEY[..1]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(KEY[1].0), "{text}");
    let (code, _) = refused(dir.path(), &["serve"], &[]);
    assert_eq!(code, Some(2));
    assert!(!dir.path().join("artifacts").exists());
}

#[test]
fn an_upload_survives_the_end_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let serving = serve(dir.path(), &ANY, &KEY);
    let begun = serving.client.send("POST", "/artifacts/k?uploads=", &[], b"").ok();
    let id = begun.field("UploadId").unwrap();
    let target = format!("/artifacts/k?partNumber=1&uploadId={id}");
    let tag = serving.client.put(&target, b"its only part").ok().etag();
    // Killed.
    drop(serving);
    let serving = serve(dir.path(), &ANY, &KEY);
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let target = format!("/artifacts/k?uploadId={id}");
    serving.client.send("POST", &target, &[], list.as_bytes()).ok();
    assert_eq!(serving.client.get("/artifacts/k").ok().text(), "its only part");
}

/// How often the server is killed: 20 times, or as often as the variable says, for a long run.
fn kills() -> u64 {
    let set = std::env::var("ARTIFACT_STORE_KILLS").ok();
    set.map_or(20, |text| text.parse().expect("`ARTIFACT_STORE_KILLS` is a number"))
}

/// What was acknowledged is there after the server was killed, again and again.
#[test]
fn a_killed_server_has_everything_that_it_acknowledged() {
    let content = |key: u64| b'a' + (key % 26) as u8;
    let rounds = kills();
    let dir = tempfile::tempdir().unwrap();
    let (next, stored) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let mut seen = 0;
    for round in 0..=rounds {
        let mut serving = serve(dir.path(), &ANY, &KEY);
        // Those of the last round, and at the end all of them.
        let from = if round == rounds { 0 } else { seen };
        for (key, size) in stored.lock().unwrap().range(from..) {
            let got = serving.client.get(&format!("/artifacts/{key}")).ok();
            assert!(got.is_whole && got.body == vec![content(*key); *size], "{key}");
        }
        seen = next.load(Relaxed);
        let deadline = Instant::now() + Duration::from_millis(300 + 20 * (round % 20));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let client = serving.client.clone();
                let (next, stored) = (&next, &stored);
                scope.spawn(move || {
                    while Instant::now() < deadline + Duration::from_secs(1) {
                        let key = next.fetch_add(1, Relaxed);
                        let size = usize::try_from(key * 7919 % 300_000).unwrap();
                        let body = vec![content(key); size];
                        let Some(reply) = client.try_put(&format!("/artifacts/{key}"), &body)
                        else {
                            return;
                        };
                        // Without an answer, or stored.
                        assert!([0, 200].contains(&reply.status), "{}", reply.text());
                        if reply.status == 200 && reply.is_whole {
                            stored.lock().unwrap().insert(key, size);
                        }
                    }
                });
            }
            std::thread::sleep(deadline - Instant::now());
            serving.child.kill().unwrap();
            serving.child.wait().unwrap();
        });
    }
    let stored = stored.lock().unwrap().len();
    println!("{rounds} kills, {} objects sent, {stored} acknowledged", next.into_inner());
    assert!(stored > 20);
    artifact_store_tests::expect(dir.path(), &["verify"], b"", 0);
}

/// The processor time of a process so far, in ticks of 10 ms.
#[cfg(target_os = "linux")]
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<_> = fields.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Each of them looks at the file every few seconds.
#[cfg(target_os = "linux")]
#[test]
fn many_stores_of_one_file_are_watched_for_little() {
    let dir = tempfile::tempdir().unwrap();
    let store = |n| {
        std::fs::create_dir(dir.path().join(format!("dir-{n}"))).unwrap();
        format!(
            "[stores.store-{n}]\nbackend = 'fs'\ndirectories = [{{ host = 'dir-{n}' }}]\n\
             [serve.keys.key-{n}]\nid = 'id-{n}'\nsecret-from = 'SECRET'\n"
        )
    };
    std::fs::write(dir.path().join("stores.toml"), (0..200).map(store).collect::<String>())
        .unwrap();
    let arguments = ["--config", "stores.toml", "serve", "--s3", "127.0.0.1:0"];
    let serving = serve(dir.path(), &arguments, &[("SECRET", "hush")]);
    // Every store looks twice.
    let before = ticks(serving.child.id());
    std::thread::sleep(Duration::from_secs(10));
    let took = ticks(serving.child.id()) - before;
    assert!(took < 400, "{took} ticks in 10 s");
}
