//! What a backend reaches over the network: what was granted, by name, and nothing else.

use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, Limits, LoadError};
use artifact_store_tests::scripted::{Answer, Scripted, answer};
use artifact_store_tests::{guest, logged};

fn fetches(grants: Grants) -> ArtifactStore {
    ArtifactStore::open(Backend::from_file(guest("fetches")).grants(grants)).unwrap()
}

fn hello() -> Scripted {
    Scripted::start(|_, _| Answer::Send(answer(200, "", "hello")))
}

#[test]
fn a_granted_endpoint_is_reached_and_its_connection_is_kept() {
    let server = hello();
    let store = fetches(Grants::none().connect(server.endpoint()));
    for _ in 0..20 {
        assert_eq!(store.get(&format!("{}/path?q=1", server.endpoint())).unwrap(), "200 hello");
        // A connection is kept by a task of its own, which has its turn a moment after the answer.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let seen = &server.requests()[0];
    assert_eq!((seen.path.as_str(), seen.query.as_str()), ("/path", "q=1"));
    assert_eq!(seen.header("host"), server.endpoint().strip_prefix("http://"));
    assert!(server.connections() <= 5, "{} connections", server.connections());
}

#[test]
fn everything_else_is_refused_by_name() {
    let (granted, other) = (hello(), hello());
    let port = granted.endpoint().rsplit_once(':').unwrap().1.to_owned();
    let store = fetches(Grants::none().connect(granted.endpoint()));
    for asked in [
        other.endpoint(),
        format!("https://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://127.0.0.2:{port}"),
        "http://127.0.0.1".into(),
        "http://169.254.169.254".into(),
    ] {
        let error = store.get(&format!("{asked}/latest/meta-data")).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{asked}: {error}");
        assert!(error.to_string().contains(&format!("`{asked}`")), "{asked}: {error}");
    }
    assert!(granted.requests().is_empty() && other.requests().is_empty());
    // And the instance is none the worse for it.
    assert_eq!(store.get(&granted.endpoint()).unwrap(), "200 hello");
}

#[test]
fn without_a_grant_nothing_is_reached() {
    let server = hello();
    let error = fetches(Grants::none()).get(&server.endpoint()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn no_redirect_is_followed() {
    let other = hello();
    let to = format!("location: {}/\r\n", other.endpoint());
    let server = Scripted::start(move |_, _| Answer::Send(answer(307, &to, "there")));
    let grants = Grants::none().connect(server.endpoint()).connect(other.endpoint());
    assert_eq!(fetches(grants).get(&server.endpoint()).unwrap(), "307 there");
    assert!(other.requests().is_empty());
}

#[test]
fn timeouts_of_zero_harm_nobody() {
    let server = hello();
    let store = fetches(Grants::none().connect(server.endpoint()));
    // Whether the answer comes in no time at all is anybody's guess.
    let _ = store.put(&server.endpoint(), "x");
    assert_eq!(store.get(&server.endpoint()).unwrap(), "200 hello");
}

#[test]
fn a_server_that_says_nothing_meets_the_deadline() {
    let server = Scripted::start(|_, _| Answer::Hang);
    let limits = Limits::default().call_timeout(Duration::from_secs(1));
    let grants = Grants::none().connect(server.endpoint());
    let backend = Backend::from_file(guest("fetches")).grants(grants).limits(limits);
    let error = ArtifactStore::open(backend).unwrap().get(&server.endpoint()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
}

#[test]
fn headers_are_bounded() {
    for lines in ["x: y\r\n".repeat(10_000), format!("x: {}\r\n", "y".repeat(1 << 20))] {
        let server = Scripted::start(move |_, _| Answer::Send(answer(200, &lines, "hello")));
        let store = fetches(Grants::none().connect(server.endpoint()));
        let error = store.get(&server.endpoint()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
    }
}

#[test]
fn a_proxy_is_the_operators_and_is_asked_for_the_granted_endpoint() {
    let proxy = Scripted::start(|request, _| match request.method.as_str() {
        "CONNECT" => Answer::Send(b"HTTP/1.1 200 Connected\r\n\r\n".to_vec()),
        _ => Answer::Send(answer(200, "", "by way of the proxy")),
    });
    let grants = Grants::none().connect("http://example.invalid:81").proxy(proxy.endpoint());
    let got = fetches(grants).get("http://example.invalid:81/k").unwrap();
    assert_eq!(got, "200 by way of the proxy");
    assert_eq!(proxy.requests()[0].path, "example.invalid:81");
}

/// Without a name server: the system reads these as numbers, and this host as names.
#[test]
fn a_name_leads_to_no_address_of_this_machine_or_its_link() {
    let server = hello();
    let port = server.endpoint().rsplit_once(':').unwrap().1.to_owned();
    for name in ["127.1", "0x7f.0.0.1", "0", "0xa9.0xfe.0xa9.0xfe", "0xe0.1"] {
        let endpoint = format!("http://{name}:{port}");
        let store = fetches(Grants::none().connect(endpoint.clone()));
        let error = store.get(&endpoint).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{name}: {error}");
        assert!(error.to_string().contains(&endpoint), "{name}: {error}");
        assert!(error.to_string().contains("granted as an IP address"), "{name}: {error}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn localhost_and_numbers_are_reached() {
    let server = hello();
    let local = server.endpoint().replace("127.0.0.1", "localhost");
    for endpoint in [server.endpoint(), local] {
        assert_eq!(
            fetches(Grants::none().connect(endpoint.clone())).get(&endpoint).unwrap(),
            "200 hello"
        );
    }
}

#[test]
fn the_name_of_a_proxy_may_be_that_of_this_machine() {
    let proxy = Scripted::start(|request, _| match request.method.as_str() {
        "CONNECT" => Answer::Send(b"HTTP/1.1 200 Connected\r\n\r\n".to_vec()),
        _ => Answer::Send(answer(200, "", "by way of the proxy")),
    });
    let named = proxy.endpoint().replace("127.0.0.1", "127.1");
    let grants = Grants::none().connect("http://example.invalid").proxy(named);
    let got = fetches(grants).get("http://example.invalid/k").unwrap();
    assert_eq!(got, "200 by way of the proxy");
    assert_eq!(proxy.requests()[0].path, "example.invalid:80");
}

#[test]
fn a_name_that_nobody_knows_is_an_error_in_time() {
    let store = fetches(Grants::none().connect("http://no-such-host.invalid"));
    let error = store.get("http://no-such-host.invalid/k").unwrap_err();
    assert!(error.to_string().contains("DnsError"), "{error}");
}

#[test]
fn what_is_refused_is_logged_once_a_call() {
    let server = hello();
    let store = fetches(Grants::none().connect(server.endpoint()));
    for _ in 0..2 {
        let (error, log) = logged(|| store.get("GET http://h:1/secret | times: 20").unwrap_err());
        assert!(error.to_string().contains("`http://h:1`, which is not granted"), "{error}");
        let is_of_request = |line: &&str| line.contains(" WARN ") && !line.contains("calls fail");
        let warned: Vec<_> = log.lines().filter(is_of_request).collect();
        let [warned] = warned[..] else { panic!("{log}") };
        assert!(warned.contains("which is not granted"), "{warned}");
        // What stands before it is the call's own.
        let (_, warned) = warned.rsplit_once("hooks: ").expect("it is of the network");
        assert!(!warned.contains("secret"), "{warned}");
    }
}

#[test]
fn a_grant_that_makes_no_sense_is_an_error_at_load() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for grants in [
        Grants::none().connect("s3.example.org"),
        Grants::none().connect("https://u:hush@s3.example.org"),
        Grants::none().connect("https://h").proxy("https://u:hush@p"),
        Grants::none().connect("https://h").certificate_authority(file.path()),
        Grants::none().connect("https://h").certificate_authority("/no/such/file"),
    ] {
        let opened = ArtifactStore::open(Backend::from_file(guest("fetches")).grants(grants));
        let error = opened.expect_err("it makes no sense");
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Network { .. })), "{error}");
        assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    }
}
