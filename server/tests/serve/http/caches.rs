//! The requests that build caches make, and some of the caches themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use artifact_store_tests::{ports, program};
use sha2::{Digest, Sha256};

use crate::served::client::hexadecimal;
use crate::served::{ID, SECRET, Served};

#[test]
fn bazel_stores_actions_and_what_they_made() {
    let served = Served::start();
    let client = served.plain();
    let name = hexadecimal(&Sha256::digest(b"output"));
    for (path, body) in [
        (format!("/artifacts/cas/{name}"), &b"output"[..]),
        (format!("/artifacts/ac/{name}"), b"result"),
    ] {
        assert_eq!(client.get(&path).status, 404);
        let put = client.send("PUT", &path, &[("accept", "*/*")], body);
        assert!([200, 201, 202, 204].contains(&put.status), "{}", put.status);
        // A store of what is there already is no error.
        assert!(client.put(&path, body).status < 300);
        let got = client.get_with(&path, &[("accept", "*/*"), ("accept-encoding", "gzip")]);
        assert_eq!((got.status, &*got.body), (200, body));
        assert_eq!(got.header("content-length"), Some(&*body.len().to_string()));
        assert_eq!(got.header("content-encoding"), None);
    }
    // An output without bytes.
    let empty = format!("/artifacts/cas/{}", hexadecimal(&Sha256::digest(b"")));
    client.put(&empty, b"").ok();
    let got = client.get(&empty);
    assert_eq!((got.status, got.header("content-length")), (200, Some("0")));
}

#[test]
fn gradle_stores_what_tasks_made() {
    let served = Served::start();
    let client = served.plain();
    let path = "/artifacts/cache/0123456789abcdef0123456789abcdef";
    let accept = [("accept", "application/vnd.gradle.build-cache-artifact.v2, */*")];
    assert_eq!(client.get_with(path, &accept).status, 404);
    let kind = "application/vnd.gradle.build-cache-artifact.v2";
    let headers = [("content-type", kind), ("expect", "100-continue")];
    let put = client.send("PUT", path, &headers, b"archive");
    // A permission to go on may come before the answer.
    let answer = if put.status == 100 { put.text() } else { format!("HTTP/1.1 {}", put.status) };
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let got = client.get_with(path, &accept);
    assert_eq!(
        (got.status, got.header("content-type"), got.text()),
        (200, Some(kind), "archive".into())
    );
}

#[test]
fn nix_stores_a_binary_cache() {
    let served = Served::start();
    let client = served.plain();
    let info = "/artifacts/nix-cache-info";
    assert_eq!(client.get(info).status, 404);
    client
        .send("PUT", info, &[("content-type", "text/x-nix-cache-info")], b"StoreDir: /nix/store\n")
        .ok();
    assert_eq!(client.get(info).ok().text(), "StoreDir: /nix/store\n");
    for (path, kind) in [
        ("/artifacts/nar/0a1b.nar.xz", "application/x-nix-nar"),
        ("/artifacts/s66mzxpvicwk07gjbjfw9izjfa797vsw.narinfo", "text/x-nix-narinfo"),
        ("/artifacts/realisations/sha256:ab!out.doi", "application/json"),
    ] {
        assert_eq!(client.head(path).status, 404);
        client.send("PUT", path, &[("content-type", kind)], b"bytes").ok();
        assert_eq!(client.head(path).status, 200);
        let got = client.get(path);
        assert_eq!((got.header("content-type"), got.text()), (Some(kind), "bytes".into()));
    }
    // A download that was interrupted goes on.
    let rest = client.get_with("/artifacts/nar/0a1b.nar.xz", &[("range", "bytes=2-")]);
    assert_eq!((rest.status, rest.text()), (206, "tes".into()));
}

#[test]
fn webdav_has_each_directory() {
    let served = Served::start();
    let client = served.plain();
    let body = b"<?xml version=\"1.0\" encoding=\"utf-8\" ?><D:propfind xmlns:D=\"DAV:\"><D:allprop/></D:propfind>";
    let find = |path, depth| client.send("PROPFIND", path, &[("depth", depth)], body);
    for path in ["/artifacts", "/artifacts/", "/artifacts/a/b/"] {
        let found = find(path, "0");
        assert_eq!(found.status, 207, "{path}");
        assert_eq!(found.field("D:href").as_deref(), Some(path));
        assert_eq!(found.field("D:resourcetype").as_deref(), Some("<D:collection/>"));
        assert!(found.field("D:getlastmodified").is_some_and(|time| time.ends_with(" GMT")));
    }
    assert_eq!(find("/artifacts/a/b/k", "0").status, 404);
    assert_eq!(client.send("MKCOL", "/artifacts/a/b/", &[], b"").status, 201);
    let kind = [("content-type", "text/plain; a=\"<&>\"")];
    let tag = client.send("PUT", "/artifacts/a/b/k", &kind, b"bytes").ok().etag();
    let found = find("/artifacts/a/b/k", "0");
    assert_eq!(found.field("D:status").as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(found.field("D:getcontentlength").as_deref(), Some("5"));
    assert_eq!(found.field("D:getetag"), Some(tag));
    assert_eq!(found.field("D:getcontenttype").as_deref(), Some("text/plain; a=\"&lt;&amp;&gt;\""));
    assert!(!found.text().contains("collection"));
    // Nothing is listed.
    for depth in ["1", "infinity"] {
        assert_eq!(find("/artifacts/", depth).status, 403);
    }
    assert_eq!(find("/absent/", "0").status, 404);
    let large = vec![b'x'; 1 << 20];
    let reply = client.send("PROPFIND", "/artifacts/", &[("depth", "0")], &large);
    assert!([413, 0].contains(&reply.status), "{}", reply.status);
}

/// A cache as a program, which is used as compiler and as what looks at it.
struct Cache<'a> {
    program: PathBuf,
    dir: &'a Path,
    variables: Vec<(&'static str, String)>,
}

impl Cache<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.dir);
        for (name, _) in std::env::vars() {
            if name.starts_with("CCACHE_") || name.starts_with("SCCACHE_") {
                command.env_remove(name);
            }
        }
        let output = command.envs(self.variables.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    /// Compiles one program, whose object file is then removed.
    fn compile(&self) {
        std::fs::write(self.dir.join("a.c"), "int a(void) { return 1; }\n").unwrap();
        self.run(&["cc", "-c", "a.c", "-o", "a.o"]);
        std::fs::remove_file(self.dir.join("a.o")).unwrap();
    }
}

#[test]
fn ccache_finds_what_another_one_stored() {
    let Some(program) = program("CCACHE", "ccache") else { return };
    for layout in ["", " layout=bazel", " layout=flat"] {
        let served = Served::start();
        let secret = SECRET.replace(' ', "%20");
        let url = format!("http://{ID}:{secret}@{}/artifacts{layout}", served.http);
        for hits in [0, 1] {
            // Each has a directory of its own, and only the server in common.
            let dir = tempfile::tempdir().unwrap();
            let local = dir.path().join("local").display().to_string();
            let variables = vec![
                ("CCACHE_DIR", local),
                ("CCACHE_REMOTE_STORAGE", url.clone()),
                ("CCACHE_NOHASHDIR", "1".into()),
                ("CCACHE_BASEDIR", dir.path().display().to_string()),
            ];
            let cache = Cache { program: program.clone(), dir: dir.path(), variables };
            cache.compile();
            let stats = String::from_utf8(cache.run(&["--print-stats"]).stdout).unwrap();
            let value = |name: &str| {
                let line = stats.lines().find_map(|line| line.strip_prefix(name));
                line.map_or(0, |value| value.trim().parse::<u64>().unwrap())
            };
            assert_eq!(value("remote_storage_error"), 0, "{stats}");
            assert_eq!(value("remote_storage_hit").min(1), hits, "{layout} {stats}");
        }
        let listed = served.client().get("/artifacts?list-type=2").ok().fields("Key");
        assert!(!listed.is_empty());
        let is_bazel = listed.iter().all(|key| key.starts_with("ac/") && key.len() == 3 + 64);
        assert_eq!(is_bazel, layout.contains("bazel"), "{listed:?}");
    }
}

#[test]
fn sccache_finds_what_another_one_stored() {
    let Some(program) = program("SCCACHE", "sccache") else { return };
    let served = Served::start();
    for (hits, prefix) in [(0, "a/b"), (1, "a/b")] {
        let dir = tempfile::tempdir().unwrap();
        let variables = vec![
            ("SCCACHE_SERVER_PORT", ports::free(1)[0].to_string()),
            ("SCCACHE_WEBDAV_ENDPOINT", format!("http://{}/artifacts", served.http)),
            ("SCCACHE_WEBDAV_KEY_PREFIX", prefix.into()),
            ("SCCACHE_WEBDAV_USERNAME", ID.into()),
            ("SCCACHE_WEBDAV_PASSWORD", SECRET.into()),
            ("SCCACHE_IDLE_TIMEOUT", "60".into()),
            ("HOME", dir.path().display().to_string()),
        ];
        let cache = Cache { program: program.clone(), dir: dir.path(), variables };
        cache.run(&["--start-server"]);
        cache.compile();
        let stats = cache.run(&["--show-stats", "--stats-format", "json"]).stdout;
        cache.run(&["--stop-server"]);
        let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
        let count = |name: &str| {
            let counts = stats["stats"][name]["counts"].as_object().unwrap();
            counts.values().filter_map(serde_json::Value::as_u64).sum::<u64>()
        };
        assert_eq!(count("cache_hits"), hits, "{stats:#}");
        assert_eq!(stats["stats"]["cache_write_errors"], 0, "{stats:#}");
    }
}
