use http::request::Builder;
use http::{Method, Request, header};

use super::*;
use crate::error::LoadError;
use crate::grants::{Grants, S3Bucket, S3Credentials};
use crate::network::aws::Keyring;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn scope(bucket: S3Bucket) -> Scope {
    with(&bucket, &S3Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET)).unwrap()
}

fn with(bucket: &S3Bucket, credentials: &S3Credentials) -> Result<Scope, LoadError> {
    Scope::new(bucket, Keyring::new(credentials, &Grants::none())?)
}

/// The part below `team` of a bucket that is addressed in the path.
fn team() -> Scope {
    scope(S3Bucket::new("http://h:1", "artifacts").prefix("team"))
}

fn request(method: &str, target: &str) -> Builder {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder().method(method).uri(format!("http://h:1{target}"))
}

/// The signed request, or why it is not signed.
fn signed(scope: &Scope, request: Builder) -> Result<Parts, String> {
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let here = Timestamp::from_second(1_369_353_600).unwrap();
    match pollster::block_on(sign(&mut head, scope, here, Duration::MAX)) {
        Ok(_) => Ok(head),
        Err(Unsigned::Lacking(error)) => Err(error.to_string()),
        Err(Unsigned::Refused(text)) => Err(text),
        Err(Unsigned::Failed(error)) => Err(format!("{error:?}")),
    }
}

#[test]
fn what_a_store_needs_is_signed() {
    for (method, target) in [
        ("GET", "/artifacts/team/k"),
        ("HEAD", "/artifacts/team/a/b"),
        ("PUT", "/artifacts/team/k"),
        ("DELETE", "/artifacts/team/k"),
        ("POST", "/artifacts/team/k?uploads"),
        ("POST", "/artifacts/team/k?uploads="),
        ("POST", "/artifacts/team/k?uploadId=u"),
        ("PUT", "/artifacts/team/k?partNumber=1&uploadId=u%2F%2B"),
        ("DELETE", "/artifacts/team/k?uploadId=u"),
        ("GET", "/artifacts/team/k?uploadId=u&part-number-marker=7&max-parts=9"),
        ("GET", "/artifacts?list-type=2&prefix=team/"),
        ("GET", "/artifacts/?prefix=team%2Fa&list-type=2&max-keys=1&continuation-token=t"),
        ("GET", "/artifacts/?list-type=2&prefix=team/&delimiter=/&start-after=x"),
        ("GET", "/artifacts/?uploads&prefix=team/&key-marker=k&upload-id-marker=u"),
        ("PUT", "/artifacts/team/%C3%A9%20+(%3F)"),
    ] {
        signed(&team(), request(method, target)).unwrap_or_else(|why| panic!("{target}: {why}"));
    }
}

#[test]
fn everything_else_is_refused_by_name() {
    for (method, target, named) in [
        // Other services at the same endpoint.
        ("POST", "/?Action=AssumeRole&RoleArn=x", "`POST` of the service itself"),
        ("GET", "/", "`GET` of the service itself"),
        // Other buckets.
        ("GET", "/other/team/k", "another bucket"),
        ("DELETE", "/other", "another bucket"),
        ("GET", "/artifacts2/team/k", "another bucket"),
        ("GET", "/Artifacts/team/k", "another bucket"),
        // Other prefixes.
        ("GET", "/artifacts/k", "an object outside of the prefix"),
        ("PUT", "/artifacts/teams/k", "an object outside of the prefix"),
        ("PUT", "/artifacts/team", "an object outside of the prefix"),
        ("PUT", "/artifacts/team/", "an object outside of the prefix"),
        ("PUT", "/artifacts/Team/k", "an object outside of the prefix"),
        ("GET", "/artifacts/?list-type=2", "beyond the prefix"),
        ("GET", "/artifacts/?list-type=2&prefix=team", "beyond the prefix"),
        ("GET", "/artifacts/?list-type=2&prefix=", "beyond the prefix"),
        ("GET", "/artifacts/?uploads&prefix=tea", "beyond the prefix"),
        // Sub-resources of the bucket.
        ("PUT", "/artifacts", "`PUT` of the bucket"),
        ("DELETE", "/artifacts/", "`DELETE` of the bucket"),
        ("HEAD", "/artifacts", "`HEAD` of the bucket"),
        ("PUT", "/artifacts?policy", "the bucket with the parameter `policy`"),
        ("GET", "/artifacts?policy", "`policy`"),
        ("GET", "/artifacts?acl", "`acl`"),
        ("PUT", "/artifacts?versioning", "`versioning`"),
        ("PUT", "/artifacts?lifecycle", "`lifecycle`"),
        ("POST", "/artifacts?delete", "`delete`"),
        ("GET", "/artifacts?versions&prefix=team/", "`versions`"),
        ("GET", "/artifacts?prefix=team/", "with these parameters together"),
        ("GET", "/artifacts?list-type=1&prefix=team/", "in another version"),
        ("GET", "/artifacts?list-type=2&prefix=team/&uploads", "together"),
        // Sub-resources of an object.
        ("GET", "/artifacts/team/k?acl", "an object with the parameter `acl`"),
        ("PUT", "/artifacts/team/k?acl", "`acl`"),
        ("PUT", "/artifacts/team/k?tagging", "`tagging`"),
        ("PUT", "/artifacts/team/k?retention", "`retention`"),
        ("PUT", "/artifacts/team/k?legal-hold", "`legal-hold`"),
        ("POST", "/artifacts/team/k?restore", "`restore`"),
        ("POST", "/artifacts/team/k?select&select-type=2", "`select`"),
        ("GET", "/artifacts/team/k?versionId=1", "`versionId`"),
        ("DELETE", "/artifacts/team/k?versionId=1", "`versionId`"),
        ("GET", "/artifacts/team/k?response-content-type=text/html", "`response-content-type`"),
        ("PUT", "/artifacts/team/k?x-amz-acl=public-read", "`x-amz-acl`"),
        ("PUT", "/artifacts/team/k?X-Amz-Acl=public-read", "`X-Amz-Acl`"),
        ("POST", "/artifacts/team/k", "`POST` of an object"),
        ("PUT", "/artifacts/team/k?uploads", "`uploads`"),
        ("PUT", "/artifacts/team/k?uploadId=u", "together"),
        ("PUT", "/artifacts/team/k?partNumber=1", "together"),
        ("POST", "/artifacts/team/k?uploads&uploadId=u", "together"),
        ("POST", "/artifacts/team/k?uploads=u", "another version"),
        ("POST", "/artifacts/team/k?Uploads", "`Uploads`"),
        // Other methods.
        ("PATCH", "/artifacts/team/k", "`PATCH` of an object"),
        ("OPTIONS", "/artifacts/team/k", "`OPTIONS` of an object"),
        ("TRACE", "/artifacts/team/k", "another method"),
        ("get", "/artifacts/team/k", "another method"),
        // Paths that services and proxies read differently.
        ("GET", "/artifacts/team/../k", "several ways"),
        ("GET", "/artifacts/team/%2e%2e/k", "several ways"),
        ("GET", "/artifacts/team/%2E./k", "several ways"),
        ("GET", "/artifacts/team/..;/k", "several ways"),
        ("GET", "/artifacts/team/%252e%252e/k", "several ways"),
        ("GET", "/artifacts/team/./k", "several ways"),
        ("GET", "/artifacts/team//k", "several ways"),
        ("GET", "//artifacts/team/k", "several ways"),
        ("GET", "/artifacts//team/k", "several ways"),
        ("GET", "/artifacts/team%2Fk", "several ways"),
        ("GET", "/artifacts/team/a%2fb", "several ways"),
        ("GET", "/artifacts/team/a%5Cb", "several ways"),
        ("GET", "/artifacts/team/a%00", "several ways"),
        ("GET", "/artifacts/team/%FF", "several ways"),
        ("GET", "/..", "several ways"),
        // The same twice.
        ("GET", "/artifacts/?list-type=2&prefix=team/&prefix=", "`prefix` twice"),
        ("GET", "/artifacts/?list-type=2&prefix=team/&Prefix=", "`Prefix` twice"),
        ("GET", "/artifacts/?list-type=2&prefix=team/&%70refix=", "`prefix` twice"),
    ] {
        let why = signed(&team(), request(method, target)).map(drop).unwrap_err();
        assert!(why.contains(named), "{method} {target}: {why}");
        assert!(why.ends_with("the host signs only what stores, reads, copies, lists or deletes objects below `artifacts/team/`"), "{why}");
        assert!(!why.contains("AKIA") && !why.contains("AssumeRole"), "{why}");
    }
}

#[test]
fn a_header_that_no_store_needs_is_refused_by_name() {
    for name in [
        "x-amz-acl",
        "X-Amz-Acl",
        "x-amz-grant-read",
        "x-amz-grant-full-control",
        "x-amz-website-redirect-location",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-object-lock-legal-hold",
        "x-amz-bypass-governance-retention",
        "x-amz-tagging",
        "x-amz-storage-class",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-request-payer",
        "x-amz-mfa",
        "x-amz-meta-",
        "x-goog-acl",
        "x-http-method-override",
        "x-original-url",
        "x-forwarded-host",
        "forwarded",
        "cookie",
    ] {
        let asked = request("PUT", "/artifacts/team/k").header(name, "x");
        let why = signed(&team(), asked).map(drop).unwrap_err();
        let named = format!("with the header `{}`", name.to_ascii_lowercase());
        assert!(why.contains(&named), "{name}: {why}");
    }
    let twice =
        request("PUT", "/artifacts/team/k").header("x-amz-meta-a", "1").header("x-amz-meta-a", "2");
    assert!(signed(&team(), twice).unwrap_err().contains("`x-amz-meta-a` twice"));
    let long = request("PUT", &format!("/artifacts/team/k?{}", "a".repeat(1000)));
    assert!(signed(&team(), long).unwrap_err().len() < 300);
}

#[test]
fn copies_stay_below_the_prefix() {
    let copy = |source: &str| {
        let asked = request("PUT", "/artifacts/team/k").header("x-amz-copy-source", source);
        signed(&team(), asked).map(drop)
    };
    for source in ["/artifacts/team/a", "artifacts/team/a", "artifacts/team/a%20b/%C3%A9"] {
        copy(source).unwrap();
    }
    for source in [
        "/artifacts/other/a",
        "/artifacts/teams/a",
        "/artifacts/team/",
        "/other/team/a",
        "/artifacts/team/../other/a",
        "/artifacts/team/%2e%2e/a",
        "/artifacts/team/a?versionId=1",
        "//artifacts/team/a",
        "http://h:1/artifacts/team/a",
        "arn:aws:s3:us-east-1:1:accesspoint/p/object/team/a",
        "",
    ] {
        let why = copy(source).unwrap_err();
        assert!(why.contains("a source outside of the prefix"), "{source}: {why}");
    }
}

#[test]
fn the_style_and_the_path_of_the_endpoint_are_followed() {
    let bucket = S3Bucket::new("http://h:1", "artifacts").virtual_hosted();
    assert_eq!(bucket.origin().unwrap(), "http://artifacts.h:1");
    let whole = scope(bucket);
    for (target, is_signed) in
        [("/k", true), ("/artifacts/k", true), ("/?list-type=2", true), ("/?policy", false)]
    {
        assert_eq!(signed(&whole, request("GET", target)).is_ok(), is_signed, "{target}");
    }
    let below = scope(S3Bucket::new("http://h:1/s3/", "artifacts"));
    for (target, is_signed) in
        [("/s3/artifacts/k", true), ("/artifacts/k", false), ("/s3", false), ("/", false)]
    {
        assert_eq!(signed(&below, request("GET", target)).is_ok(), is_signed, "{target}");
    }
    for (endpoint, name) in [
        ("h", "artifacts"),
        ("ftp://h", "artifacts"),
        ("http://user:hush@h", "artifacts"),
        ("http://h", ""),
        ("http://h", ".."),
        ("http://h", "a/b"),
        ("http://h", "a?b"),
    ] {
        let bucket = S3Bucket::new(endpoint, name);
        let error = with(&bucket, &S3Credentials::new("a", "b")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    for credentials in [
        S3Credentials::new("", "b"),
        S3Credentials::new("a b", "b"),
        S3Credentials::new("a", "hush\nhush"),
        S3Credentials::new("a", " \n"),
        S3Credentials::new("a", "b").session_token("hush\nhush"),
    ] {
        let error = with(&S3Bucket::new("http://h", "artifacts"), &credentials).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[test]
fn a_request_is_signed_in_its_headers_whatever_the_backend_had_signed() {
    let asked = request("GET", "/artifacts/team/a+b?X-Amz-Signature=00&x-amz-credential=evil")
        .header("authorization", "from the backend")
        .header("x-amz-date", "20200101T000000Z")
        .header("x-amz-security-token", "from the backend")
        .header("accept-encoding", "gzip")
        .header("x-amz-meta-a", "b");
    let head = signed(&team(), asked).unwrap();
    assert_eq!(head.uri, "http://h:1/artifacts/team/a%2Bb");
    let authorization = head.headers[header::AUTHORIZATION].to_str().unwrap();
    assert!(authorization.starts_with(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a, Signature="
    ));
    assert!(!authorization.contains(SECRET) && head.headers[header::AUTHORIZATION].is_sensitive());
    assert_eq!(head.headers["x-amz-date"], "20130524T000000Z");
    assert_eq!(head.headers[header::ACCEPT_ENCODING], "identity");
    assert!(!head.headers.contains_key("x-amz-security-token"));
}
