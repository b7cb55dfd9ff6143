//! What the host signs for a foreign component, and what that component sees of the signature.

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, LoadError, S3Bucket, S3Credentials, Sign};
use artifact_store_tests::scripted::{Answer, Request, Scripted, answer};
use artifact_store_tests::weed::{self, Weed};
use artifact_store_tests::{guest, logged};

fn fetches(grants: Grants) -> ArtifactStore {
    ArtifactStore::open(Backend::from_file(guest("fetches")).grants(grants)).unwrap()
}

fn hello() -> Scripted {
    Scripted::start(|_, _| Answer::Send(answer(200, "", "hello")))
}

fn credentials() -> S3Credentials {
    S3Credentials::new("AKIATEST", "hush").session_token("hush-token-of-the-session")
}

/// The foreign component with the part below `team` of the bucket on this server.
fn team(server: &Scripted) -> ArtifactStore {
    let bucket = S3Bucket::new(server.endpoint(), "artifacts").region("eu-west-1").prefix("team");
    fetches(Grants::none().sign_s3(bucket, credentials()))
}

fn signature(request: &Request) -> &str {
    let authorization = request.header("authorization").expect("it is signed");
    authorization.rsplit_once("Signature=").expect("it has a signature").1
}

#[test]
fn only_requests_to_the_signed_endpoint_are_signed() {
    let (signed, plain) = (hello(), hello());
    let bucket = S3Bucket::new(signed.endpoint(), "artifacts").region("eu-west-1");
    let grants = Grants::none().sign_s3(bucket, credentials()).connect(plain.endpoint());
    let store = fetches(grants);
    for server in [&signed, &plain] {
        store.get(&format!("{}/artifacts/k?X-Amz-Signature=00", server.endpoint())).unwrap();
    }
    let request = &signed.requests()[0];
    let authorization = request.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/s3/aws4_request, "), "{authorization}");
    let covered = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;\
        x-amz-security-token, ";
    assert!(authorization.contains(covered), "{authorization}");
    assert_eq!(request.header("x-amz-security-token"), Some("hush-token-of-the-session"));
    assert_eq!(request.query, "");
    assert_eq!(plain.requests()[0].query, "X-Amz-Signature=00");
    assert_eq!(plain.requests()[0].header("authorization"), None);
}

#[test]
fn what_no_store_needs_is_refused_by_name_and_never_sent() {
    let server = hello();
    let store = team(&server);
    let endpoint = server.endpoint();
    for (asked, named) in [
        ("POST {}/?Action=AssumeRole&RoleArn=hush", "`POST` of the service itself"),
        ("PUT {}/artifacts?policy", "`policy`"),
        ("GET {}/artifacts?acl", "`acl`"),
        ("PUT {}/artifacts?versioning", "`versioning`"),
        ("PUT {}/artifacts?lifecycle", "`lifecycle`"),
        ("POST {}/artifacts?delete", "`delete`"),
        ("GET {}/other/team/k", "another bucket"),
        ("DELETE {}/artifacts/teams/hush", "outside of the prefix"),
        ("GET {}/artifacts/team/../hush", "several ways"),
        ("GET {}/artifacts/team/%2e%2e/hush", "several ways"),
        ("GET {}/artifacts/team%2fhush", "several ways"),
        ("GET {}//artifacts/team/hush", "several ways"),
        ("GET {}/artifacts?list-type=2", "beyond the prefix"),
        ("PUT {}/artifacts/team/k | x-amz-acl: public-read", "`x-amz-acl`"),
        ("PUT {}/artifacts/team/k | x-amz-grant-read: hush", "`x-amz-grant-read`"),
        ("PUT {}/artifacts/team/k | x-amz-copy-source: /other/hush", "a source outside"),
        ("PATCH {}/artifacts/team/k", "`PATCH` of an object"),
    ] {
        let asked = asked.replace("{}", &endpoint);
        let (error, log) = logged(|| store.get(&format!("{asked} | times: 5")).unwrap_err());
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{asked}: {error}");
        assert!(error.to_string().contains(named), "{asked}: {error}");
        assert!(error.to_string().contains("below `artifacts/team/`"), "{asked}: {error}");
        let is_of_request = |line: &&str| line.contains(" WARN ") && !line.contains("calls fail");
        let warned: Vec<_> = log.lines().filter(is_of_request).collect();
        let [warned] = warned[..] else { panic!("{asked}: {log}") };
        // What stands before it is the call's own.
        let (_, warned) = warned.rsplit_once("hooks: ").expect("it is of the network");
        assert!(warned.contains(named) && !warned.contains("hush"), "{warned}");
    }
    assert!(server.requests().is_empty());
    // And the instance is none the worse for it.
    assert_eq!(store.get(&format!("{endpoint}/artifacts/team/k")).unwrap(), "200 hello");
}

#[test]
fn the_host_is_the_granted_one_whatever_is_asked_for() {
    let server = hello();
    let store = team(&server);
    let endpoint = server.endpoint();
    let authority = endpoint.strip_prefix("http://").unwrap();
    for asked in [
        format!("GET {endpoint}/artifacts/team/k | host: other"),
        format!("GET http://user@{authority}/artifacts/team/k"),
        format!("GET http://artifacts.{authority}/team/k"),
        format!("GET https://{authority}/artifacts/team/k"),
    ] {
        store.get(&asked).unwrap_err();
    }
    assert!(server.requests().is_empty());
}

#[test]
fn several_parts_of_one_service_have_their_own_credentials() {
    let server = hello();
    let bucket = |prefix| S3Bucket::new(server.endpoint(), "artifacts").prefix(prefix);
    let grants = Grants::none()
        .sign_s3(bucket("a"), S3Credentials::new("AKIAONE", "hush"))
        .sign_s3(bucket("b"), S3Credentials::new("AKIATWO", "hush"));
    let store = fetches(grants);
    for name in ["a/k", "b/k"] {
        store.get(&format!("{}/artifacts/{name}", server.endpoint())).unwrap();
    }
    store.get(&format!("{}/artifacts/ab/k", server.endpoint())).unwrap_err();
    let requests = server.requests();
    let keys: Vec<_> = requests.iter().map(|r| r.header("authorization").unwrap()).collect();
    assert!(keys[0].contains("AKIAONE") && keys[1].contains("AKIATWO") && keys.len() == 2);
}

/// A service that sends all that it was sent back, in headers and in the body.
fn echo(status: u16) -> Scripted {
    Scripted::start(move |request, _| {
        let mut headers = format!("location: /elsewhere?{}\r\netag: \"1\"\r\n", request.query);
        let mut body = format!("{} {}?{}\n", request.method, request.path, request.query);
        for (name, value) in &request.headers {
            headers += &format!("x-echo-{name}: {value}\r\n");
            body += &format!("{name}: {value}\n");
        }
        Answer::Send(answer(status, &headers, &body))
    })
}

#[test]
fn no_answer_shows_the_signature() {
    for status in [200, 307, 403] {
        let server = echo(status);
        let store = team(&server);
        let asked = format!("GET {}/artifacts/team/k | x-amz-meta-a: mine", server.endpoint());
        let seen = String::from_utf8(store.get(&asked).unwrap().to_vec()).unwrap();
        let requests = server.requests();
        let [request] = &requests[..] else { panic!("a redirect was followed") };
        assert!(!seen.contains(signature(request)), "{seen}");
        assert!(!seen.contains("x-echo-x-amz-security-token"), "{seen}");
        // All else is as it was sent.
        assert!(seen.contains("x-echo-x-amz-meta-a: mine"), "{seen}");
        assert!(seen.contains(&format!("Signature={}\n", "*".repeat(64))), "{seen}");
        assert!(seen.contains("GET /artifacts/team/k?\n"), "{seen}");
    }
}

#[test]
fn a_wrong_secret_is_named_although_the_service_repeats_the_signature() {
    let server = Scripted::start(|request, _| {
        let signature = signature(request);
        let text = format!(
            "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>\
             <SignatureProvided>{signature}</SignatureProvided></Error>"
        );
        Answer::Send(answer(403, "", &text))
    });
    let error = ArtifactStore::open(server.backend()).unwrap().get("k").unwrap_err();
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
}

#[test]
fn what_cannot_be_signed_for_is_an_error_at_load() {
    let right = S3Bucket::new("http://h", "artifacts");
    for (bucket, credentials) in [
        (S3Bucket::new("h", "artifacts"), credentials()),
        (S3Bucket::new("http://u:hush@h", "artifacts"), credentials()),
        (S3Bucket::new("http://h", ""), credentials()),
        (S3Bucket::new("http://127.0.0.1", "artifacts").virtual_hosted(), credentials()),
        (right.clone(), S3Credentials::new("", "hush")),
        (right.clone(), S3Credentials::new("hush hush", "hush")),
        (right, S3Credentials::new("AKIA", "hush\nhush")),
    ] {
        let grants = Grants::none().sign_s3(bucket, credentials);
        let opened = ArtifactStore::open(Backend::from_file(guest("fetches")).grants(grants));
        let error = opened.expect_err("it makes no sense");
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Network { .. })), "{error}");
        assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    }
}

/// A real service, on which the credentials would allow all of it.
#[test]
fn a_foreign_component_reaches_its_prefix_of_a_real_bucket_and_no_more() {
    if weed::binary().is_none() {
        eprintln!("ignored: WEED names no SeaweedFS");
        return;
    }
    let server = Weed::start();
    let team = ArtifactStore::open(server.backend("team", Sign::Host)).unwrap();
    let other = ArtifactStore::open(server.backend("teams", Sign::Host)).unwrap();
    team.put("k", "ours").unwrap();
    other.put("k", "theirs").unwrap();
    let bucket = S3Bucket::new(server.endpoint(), weed::BUCKET).prefix("team");
    let store =
        fetches(Grants::none().sign_s3(bucket, S3Credentials::new(weed::KEY, weed::SECRET)));
    let at = format!("{}/{}", server.endpoint(), weed::BUCKET);
    assert_eq!(store.get(&format!("{at}/team/_/k_")).unwrap(), "200 ours");
    let listed = store.get(&format!("{at}?list-type=2&prefix=team/")).unwrap();
    let listed = String::from_utf8(listed.to_vec()).unwrap();
    assert!(listed.contains("team/_/k_") && !listed.contains("teams/"), "{listed}");
    let copied = format!("PUT {at}/team/copy | x-amz-copy-source: /{}/team/_/k_", weed::BUCKET);
    assert!(store.get(&copied).unwrap().starts_with(b"200\n"));
    assert_eq!(store.get(&format!("{at}/team/copy")).unwrap(), "200 ours");
    for asked in [
        format!("GET {at}/teams/_/k_"),
        format!("DELETE {at}/teams/_/k_"),
        format!("PUT {at}/team/copy | x-amz-copy-source: /{}/teams/_/k_", weed::BUCKET),
        format!("PUT {at}?policy"),
        format!("DELETE {at}"),
        format!("PUT {}/evil", server.endpoint()),
        format!("POST {}/?Action=AssumeRole&RoleArn=a&RoleSessionName=b", server.endpoint()),
        format!("POST {}/?Action=CreateUser&UserName=evil", server.endpoint()),
        format!("GET {}/", server.endpoint()),
    ] {
        let error = store.get(&asked).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{asked}: {error}");
    }
    assert_eq!(other.get("k").unwrap(), "theirs");
}
