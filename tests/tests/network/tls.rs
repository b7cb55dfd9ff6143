//! Connections by TLS: to whom they are made, and what is said where they are not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Error, ErrorKind, Sign, SwapOptions};
use artifact_store_tests::scripted::{Answer, Scripted, answer};
use artifact_store_tests::service::Differences;
use artifact_store_tests::{cli, guest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// A certificate authority, and its file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = dir.join(name);
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// A server whose certificate is for this name or address.
    fn tls(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }
}

/// An S3 service with a certificate for this name or address.
fn service(authority: &Authority, name: &str) -> Scripted {
    Differences::default().start_tls(authority.tls(name))
}

/// The S3 backend on it.
fn open(server: &Scripted, trusted: Option<&Authority>) -> ArtifactStore {
    let backend = server.backend().map_grants(|grants| match trusted {
        Some(authority) => grants.certificate_authority(&authority.file),
        None => grants,
    });
    ArtifactStore::open(backend).unwrap()
}

#[track_caller]
fn is_untrusted(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Other(_)) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("certificate is not trusted"), "{error}");
}

#[test]
fn a_private_authority_is_trusted_where_it_is_granted() {
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (Authority::new(dir.path(), "own"), Authority::new(dir.path(), "other"));
    let server = service(&own, "127.0.0.1");
    let store = open(&server, Some(&own));
    let large = vec![7; 20 << 20];
    store.put("k", large.clone()).unwrap();
    assert!(store.get("k").unwrap() == large);
    assert_eq!(store.list("").count(), 1);
    // By the system's authorities, or by another one, nobody knows this server.
    for trusted in [None, Some(&other)] {
        let (before, connections) = (server.requests().len(), server.connections());
        let store = open(&server, trusted);
        is_untrusted(&store.get("k").unwrap_err());
        is_untrusted(&store.put("k", "x").unwrap_err());
        assert_eq!(server.requests().len(), before);
        // It is final, and not tried again.
        assert_eq!(server.connections(), connections + 2);
    }
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority");
    for name in ["s3.example.org", "127.0.0.2", "localhost"] {
        let server = service(&authority, name);
        is_untrusted(&open(&server, Some(&authority)).get("k").unwrap_err());
        assert!(server.requests().is_empty());
    }
}

/// What the S3 backend says of a server that answers a greeting by TLS with these bytes. That is
/// final: nobody connects twice.
fn greeted_by(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(&answer);
            // Until the client has had enough of it.
            let _ = connection.read(&mut [0; 4096]);
        }
    });
    let variables = [("AWS_ENDPOINT_URL", &*endpoint), ("S3_BUCKET", "bucket")];
    let backend = Backend::s3(variables, Sign::Host).unwrap();
    let error = ArtifactStore::open(backend).unwrap().get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Other(_)) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains(&endpoint), "{error}");
    assert_eq!(connections.load(Ordering::Relaxed), 1, "{error}");
    error.to_string()
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    let page = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec();
    let error = greeted_by(page);
    assert!(error.contains("TLS") && error.contains("does not speak TLS"), "{error}");
}

#[test]
fn a_server_with_old_versions_of_tls_is_named() {
    // It says so itself, or goes on with version 1.1 as if it had not been told.
    let alert = vec![0x15, 3, 1, 0, 2, 2, 70];
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for answer in [alert, hello] {
        let error = greeted_by(answer);
        assert!(error.contains("has neither TLS 1.2 nor a later version"), "{error}");
    }
    // That the name is unknown, or a certificate of ours is wanted.
    for alert in [112, 116, 40] {
        let error = greeted_by(vec![0x15, 3, 3, 0, 2, 2, alert]);
        assert!(error.contains("the TLS handshake failed"), "{error}");
    }
}

#[test]
fn the_command_line_takes_the_authority_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority.pem");
    let server = service(&authority, "127.0.0.1");
    let run = |arguments: &[&str]| {
        let mut command = cli();
        command.envs(Differences::default().variables(&server, ""));
        command.args(["--backend", "s3"]).args(arguments).current_dir(dir.path());
        command.output().unwrap()
    };
    let output = run(&["--ca", "authority.pem", "put", "k", "authority.pem"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(&["--ca", "authority.pem", "get", "k"]);
    assert_eq!(output.stdout, std::fs::read(&authority.file).unwrap());
    let output = run(&["get", "k"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("certificate"), "{error}");
}

#[test]
fn a_watched_store_trusts_what_is_in_the_file_now() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(dir.path(), "first"), Authority::new(dir.path(), "next"));
    let serve = |authority: &Authority| {
        let tls = authority.tls("127.0.0.1");
        Scripted::start_tls(tls, |_, _| Answer::Send(answer(200, "", "hello")))
    };
    let (old, new) = (serve(&first), serve(&second));
    let trusted = dir.path().join("trusted");
    std::fs::copy(&first.file, &trusted).unwrap();
    let text = format!(
        "[stores.main]\nbackend = '{}'\nnetwork = ['{}', '{}']\ncertificate-authority = 'trusted'\n",
        guest("fetches").display(),
        old.endpoint(),
        new.endpoint()
    );
    let file = dir.path().join("stores.toml");
    std::fs::write(&file, text).unwrap();
    let (store, watch) = ArtifactStore::open_watched(file, "main", SwapOptions::default()).unwrap();
    assert_eq!(store.get(&old.endpoint()).unwrap(), "200 hello");
    store.get(&new.endpoint()).unwrap_err();

    std::fs::copy(&second.file, dir.path().join("trusted.new")).unwrap();
    std::fs::rename(dir.path().join("trusted.new"), &trusted).unwrap();
    let begun = Instant::now();
    while watch.status().swaps == 0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{watch:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(store.get(&new.endpoint()).unwrap(), "200 hello");
    store.get(&old.endpoint()).unwrap_err();
    // One that is no certificate is refused, and the store goes on as it was.
    std::fs::write(&trusted, "no certificate").unwrap();
    while watch.status().last_error.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(240), "{watch:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(store.get(&new.endpoint()).unwrap(), "200 hello");
}
