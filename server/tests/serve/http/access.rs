//! Who may do what, without signatures.

use crate::served::client::base64;
use crate::served::{SECRET, Served};

#[test]
fn only_a_right_secret_is_served() {
    let served = Served::start();
    let client = served.plain();
    client.put("/artifacts/k", b"1").ok();
    let basic = |pair: &str| format!("Basic {}", base64(pair.as_bytes()));
    let right = basic(&format!("admin:{SECRET}"));
    for wrong in [
        None,
        Some(&*basic("admin:another secret")),
        Some(&basic("admin:")),
        Some(&basic("admin")),
        Some(&basic(&format!("nobody:{SECRET}"))),
        Some(&basic(&format!("reader:{SECRET}"))),
        Some("Basic no base64"),
        Some("Basic"),
        Some("Bearer another secret"),
        Some("Bearer "),
        Some("AWS4-HMAC-SHA256 Credential=admin/20260101/us-east-1/s3/aws4_request"),
        Some(&format!("{right}\r\nauthorization: {right}")),
    ] {
        let other = client.with(wrong);
        for reply in
            [other.get("/artifacts/k"), other.get("/absent/k"), other.delete("/artifacts/k")]
        {
            assert_eq!(reply.status, 401, "{wrong:?}");
            assert!(reply.header("www-authenticate").is_some_and(|it| it.starts_with("Basic ")));
        }
        assert_eq!(other.put("/artifacts/k", b"2").status, 401, "{wrong:?}");
    }
    let bearer = format!("bearer {SECRET}");
    for right in [&*right, &bearer, &right.replace("Basic", "bASIC")] {
        assert_eq!(client.with(Some(right)).get("/artifacts/k").ok().text(), "1");
    }
}

#[test]
fn a_key_does_what_its_level_permits_in_its_buckets() {
    let served = Served::start();
    let (admin, reader) = (served.plain(), served.plain_of("reader"));
    let (appender, narrow) = (served.plain_of("appender"), served.plain_of("narrow"));
    admin.put("/artifacts/k", b"1").ok();
    assert_eq!(reader.get("/artifacts/k").ok().text(), "1");
    assert_eq!(reader.head("/artifacts/k").status, 200);
    let depth = [("depth", "0")];
    assert_eq!(reader.send("PROPFIND", "/artifacts/k", &depth, b"").status, 207);
    assert_eq!(appender.put("/artifacts/new", b"1").status, 201);
    assert_eq!(appender.send("MKCOL", "/artifacts/a/", &[], b"").status, 201);
    for reply in [
        reader.put("/artifacts/x", b"2"),
        reader.send("MKCOL", "/artifacts/a/", &[], b""),
        reader.delete("/artifacts/k"),
        appender.put("/artifacts/k", b"2"),
        appender.put("/artifacts/k", &[0; 200_000]),
        appender.send("PUT", "/artifacts/k", &[("if-match", "*")], b"2"),
        appender.delete("/artifacts/k"),
        // Which stores there are, it does not learn.
        narrow.get("/artifacts/k"),
        narrow.get("/absent/k"),
        narrow.put("/artifacts/k", b"2"),
        narrow.send("PROPFIND", "/artifacts/", &depth, b""),
    ] {
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    let create = appender.send("PUT", "/artifacts/k", &[("if-none-match", "*")], b"2");
    assert_eq!(create.status, 412);
    narrow.put("/others/k", b"1").ok();
    assert_eq!(admin.get("/artifacts/k").text(), "1");
}
