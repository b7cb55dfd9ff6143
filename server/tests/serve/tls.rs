//! TLS with a certificate from files.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use artifact_store_server::{ServerLimits, Tls};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::runtime::Runtime;

use crate::process::{KEY, eventually, refused, serve};
use crate::served::client::{Reply, read_reply, request};
use crate::served::{Client, Served};

/// A certificate for this machine, and its key.
fn certificate() -> (CertificateDer<'static>, String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let own = params.self_signed(&key).unwrap();
    (own.der().clone(), own.pem(), key.serialize_pem())
}

/// Replaces both files, each as a whole, with a new certificate, which is returned.
fn renew(dir: &Path) -> CertificateDer<'static> {
    let (certificate, pem, key) = certificate();
    for (name, text) in [("server.key", key), ("server.pem", pem)] {
        replace(dir, name, &text);
    }
    certificate
}

fn replace(dir: &Path, name: &str, text: &str) {
    let new = dir.join("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, dir.join(name)).unwrap();
}

/// A connection of a client that trusts this certificate alone.
type Connection = StreamOwned<ClientConnection, TcpStream>;

fn connect(client: &Client, trusted: &CertificateDer<'static>) -> std::io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut connection = StreamOwned::new(session, client.connect());
    connection.conn.complete_io(&mut connection.sock)?;
    Ok(connection)
}

/// One request on a connection of its own.
fn send(
    client: &Client,
    trusted: &CertificateDer<'static>,
    method: &str,
    target: &str,
    body: &[u8],
) -> Reply {
    let mut connection = connect(client, trusted).unwrap();
    let head = client.signed_head(&request(method, target, &[], body));
    connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
    read_reply(&mut connection, method == "HEAD")
}

const FLAGS: [&str; 8] = [
    "-v",
    "serve",
    "--s3",
    "127.0.0.1:0",
    "--tls-certificate",
    "server.pem",
    "--tls-key",
    "server.key",
];

#[test]
fn requests_are_served_by_tls_and_not_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = renew(dir.path());
    let serving = serve(dir.path(), &FLAGS, &KEY);
    let (client, large) = (&serving.client, vec![b'x'; 3 << 20]);
    send(client, &certificate, "PUT", "/artifacts/k", &large).ok();
    let got = send(client, &certificate, "GET", "/artifacts/k", b"").ok();
    assert!(got.is_whole && got.body == large);
    // What a client sends that signs no bodies, because TLS protects them.
    let mut unsigned = request("PUT", "/artifacts/u", &[], b"bytes");
    unsigned.payload = Some("UNSIGNED-PAYLOAD");
    let mut connection = connect(client, &certificate).unwrap();
    let head = client.signed_head(&unsigned);
    connection.write_all(&[head.as_bytes(), b"bytes"].concat()).unwrap();
    read_reply(&mut connection, false).ok();
    assert_eq!(client.get("/artifacts/k").status, 0);
    let (other, ..) = self::certificate();
    assert!(connect(client, &other).is_err());
    drop(serving);
    // Other machines are served by the keys of a configuration only, with TLS or without.
    let open = FLAGS.map(|word| if word == "127.0.0.1:0" { "0.0.0.0:0" } else { word });
    let (code, text) = refused(dir.path(), &open, &KEY);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("loopback"), "{text}");
}

/// What the server has on a connection that stays open.
fn ask(client: &Client, connection: &mut Connection) -> u16 {
    let head = client.signed_head(&request("HEAD", "/artifacts/none", &[], b""));
    let head = head.replace("connection: close\r\n", "");
    connection.write_all(head.as_bytes()).unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        got.extend(byte);
    }
    String::from_utf8_lossy(&got[9..12]).parse().unwrap()
}

#[test]
fn a_new_certificate_is_taken_without_a_restart_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = renew(dir.path());
    let serving = serve(dir.path(), &FLAGS, &KEY);
    let client = &serving.client;
    let mut open = connect(client, &first).unwrap();
    assert_eq!(ask(client, &mut open), 404);
    let second = renew(dir.path());
    eventually("the new certificate", || connect(client, &second).is_ok());
    assert!(connect(client, &first).is_err());
    assert_eq!(ask(client, &mut open), 404);
    replace(dir.path(), "server.key", "no key");
    let refusals = || serving.lines("the old certificate stays");
    eventually("it is said", || refusals() > 0);
    assert!(serving.lines("server.key` has no private key") > 0);
    let before = refusals();
    // The files are looked at every 5 seconds, and each reason is said once.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(refusals(), before);
    assert!(connect(client, &second).is_ok());
    let third = renew(dir.path());
    eventually("the third certificate", || connect(client, &third).is_ok());
    assert_eq!(ask(client, &mut open), 404);
}

const STORES: &str = r#"
[stores.artifacts]
backend = "fs"
directories = [{ host = "artifacts" }]

[serve.keys.ci]
id = "id"
secret-from = "CI_SECRET"
access = "write"

[serve.tls]
certificate = "server.pem"
key = "server.key"
"#;

#[test]
fn what_is_wrong_with_the_files_is_said_at_the_start_and_by_config_check() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("artifacts")).unwrap();
    std::fs::write(dir.join("stores.toml"), STORES).unwrap();
    let secret = [("CI_SECRET", "hush")];
    let arguments = ["--config", "stores.toml", "serve", "--s3", "127.0.0.1:0"];
    let check = |expected: &[&str]| {
        let (code, text) = refused(dir, &arguments, &secret);
        assert_eq!(code, Some(1), "{text}");
        let (code, checked) =
            refused(dir, &["--config", "stores.toml", "config", "check"], &secret);
        assert_eq!(code, Some(1), "{checked}");
        assert!(checked.contains("stores.toml:11: `serve.tls`: "), "{checked}");
        for part in expected {
            assert!(text.contains(part) && checked.contains(part), "{part}: {text}{checked}");
        }
    };
    check(&["cannot read", "server.pem`: No such file"]);
    let (_, pem, key) = certificate();
    replace(dir, "server.pem", &pem);
    check(&["cannot read", "server.key`: No such file"]);
    replace(dir, "server.key", &pem);
    check(&["server.key` has no private key"]);
    replace(dir, "server.key", &certificate().2);
    check(&["server.key` does not belong to the first certificate in", "server.pem`"]);
    replace(dir, "server.key", &key);
    replace(dir, "server.pem", &key);
    check(&["server.pem` has no certificate"]);
    replace(dir, "server.pem", &pem.replace("-----END", "----END"));
    check(&["server.pem` is no valid PEM"]);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    replace(dir, "server.pem", broken);
    check(&["cannot use `", "server.pem`"]);
    std::fs::remove_file(dir.join("server.pem")).unwrap();
    std::fs::create_dir(dir.join("server.pem")).unwrap();
    check(&["it is a directory, not a file"]);
    // Both in one file.
    std::fs::remove_dir(dir.join("server.pem")).unwrap();
    let (own, pem, key) = certificate();
    replace(dir, "server.pem", &format!("{key}{pem}"));
    std::fs::write(dir.join("stores.toml"), STORES.replace("server.key", "server.pem")).unwrap();
    let serving = serve(dir, &arguments, &secret);
    send(&serving.client, &own, "PUT", "/artifacts/k", b"1").ok();
    let wrong = [
        ("certificate =", "cert =", "unknown key `serve.tls.cert`"),
        ("key = \"server.key\"", "", "`serve.tls.key` is missing: a PEM file"),
    ];
    for (from, to, expected) in wrong {
        std::fs::write(dir.join("stores.toml"), STORES.replace(from, to)).unwrap();
        let (code, text) = refused(dir, &arguments, &secret);
        assert!(code == Some(1) && text.contains(expected), "{text}");
    }
    let (code, text) = refused(dir, &["serve", "--s3", "127.0.0.1:0", "--tls-key", "k"], &[]);
    assert!(code == Some(2) && text.contains("--tls-certificate"), "{text}");
}

/// A backend that could write the certificate, or its key, could also replace them.
#[test]
fn no_backend_may_write_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir_all(dir.join("artifacts/tls")).unwrap();
    let foreign = artifact_store_tests::guest("plain");
    let stores = STORES
        .replace("\"fs\"", &format!("{foreign:?}"))
        .replace("\"server", "\"artifacts/tls/server");
    std::fs::write(dir.join("stores.toml"), stores).unwrap();
    renew(&dir.join("artifacts/tls"));
    let arguments = ["--config", "stores.toml", "serve", "--s3", "127.0.0.1:0"];
    let (code, text) = refused(dir, &arguments, &[("CI_SECRET", "hush")]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the server's certificate or key"), "{text}");
}

/// A client that never begins its handshake has its time, and then its place is another's.
#[test]
fn a_slow_handshake_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = renew(dir.path());
    let files = (dir.path().join("server.pem"), dir.path().join("server.key"));
    let tls = Runtime::new().unwrap().block_on(Tls::from_files(files.0, files.1)).unwrap();
    let limits =
        ServerLimits::default().connections(1).handshake_timeout(Duration::from_millis(300));
    let served = Served::by(tls, limits);
    let client = served.client();
    let begun = Instant::now();
    let mut silent = client.connect();
    let mut byte_by_byte = client.connect();
    // The beginning of a greeting.
    byte_by_byte.write_all(&[22, 3]).unwrap();
    send(&client, &certificate, "PUT", "/artifacts/k", b"1").ok();
    assert!(begun.elapsed() >= Duration::from_millis(500));
    for stream in [&mut silent, &mut byte_by_byte] {
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "it is closed");
    }
}

/// `curl`, where there is one, agrees.
#[test]
fn another_client_agrees() {
    let dir = tempfile::tempdir().unwrap();
    renew(dir.path());
    let serving = serve(dir.path(), &FLAGS, &KEY);
    let address = serving.client.address;
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--cacert", "server.pem", "--aws-sigv4", "aws:amz:us-east-1:s3"]);
    // The SHA-256 of an empty body.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    curl.args(["--header", &format!("x-amz-content-sha256: {empty}")]);
    curl.args(["--user", "id:hush", &format!("https://{address}/")]).current_dir(dir.path());
    let Ok(output) = curl.output() else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("<Name>artifacts</Name>"), "{output:?}");
}
