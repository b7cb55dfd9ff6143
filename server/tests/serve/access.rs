//! Who may do what.

use crate::served::client::request;
use crate::served::{Client, SECRET, Served};

#[test]
fn only_a_right_signature_is_served() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/k", b"1").ok();
    let host = format!("host: {}\r\nconnection: close\r\n", served.address);
    let anonymous = |method: &str, target: &str, headers: &str| {
        client.raw(format!("{method} {target} HTTP/1.1\r\n{host}{headers}\r\n").as_bytes())
    };
    for target in ["/", "/artifacts?list-type=2", "/artifacts/k", "/absent"] {
        anonymous("GET", target, "").is(403, "AccessDenied");
    }
    anonymous("PUT", "/artifacts/x", "content-length: 0\r\n").is(403, "AccessDenied");
    anonymous("GET", "/artifacts/k", "authorization: AWS admin:x\r\n").is(400, "InvalidRequest");
    let form = "content-type: multipart/form-data; boundary=x\r\ncontent-length: 1000000\r\n";
    anonymous("POST", "/artifacts", form).is(501, "NotImplemented");
    let wrong = Client::new(served.address, "admin", "another secret");
    wrong.get("/artifacts/k").is(403, "SignatureDoesNotMatch");
    let unknown = Client::new(served.address, "nobody", SECRET);
    unknown.get("/artifacts/k").is(403, "InvalidAccessKeyId");
    for ahead in [-3600, 3600] {
        let mut skewed = request("GET", "/artifacts/k", &[], b"");
        skewed.ahead = ahead;
        client.request(skewed).is(403, "RequestTimeTooSkewed");
    }
    // What was signed cannot be used for something else.
    let head = client.signed_head(&request("GET", "/artifacts/k", &[], b""));
    let other = head.replacen("GET /artifacts/k", "DELETE /artifacts/k", 1);
    client.raw(other.as_bytes()).is(403, "SignatureDoesNotMatch");
    let other = head.replacen("GET /artifacts/k", "GET /others/k", 1);
    client.raw(other.as_bytes()).is(403, "SignatureDoesNotMatch");
    client.raw(head.as_bytes()).ok();
}

#[test]
fn a_presigned_url_holds_for_its_time_and_its_request() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/k", b"1").ok();
    let unsigned = |method: &str, target: &str, body: &str| {
        let length = body.len();
        let host = served.address;
        client.raw(
            format!(
                "{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    };
    let url = client.presigned("GET", "/artifacts/k", 60, 0);
    assert_eq!(unsigned("GET", &url, "").ok().text(), "1");
    unsigned("PUT", &url, "2").is(403, "SignatureDoesNotMatch");
    unsigned("GET", &url.replace("artifacts/k", "artifacts/l"), "")
        .is(403, "SignatureDoesNotMatch");
    unsigned("GET", &url.replace("Expires=60", "Expires=600"), "").is(403, "SignatureDoesNotMatch");
    let over = client.presigned("GET", "/artifacts/k", 60, 61);
    unsigned("GET", &over, "").is(403, "AccessDenied");
    let put = client.presigned("PUT", "/artifacts/k", 60, 0);
    unsigned("PUT", &put, "2").ok();
    assert_eq!(client.get("/artifacts/k").text(), "2");
    // The version of the signature that some clients use without being asked to.
    for (seconds, status) in [(60, 200), (-1, 403)] {
        let url = client.presigned_2("GET", "/artifacts/k", seconds);
        assert_eq!(unsigned("GET", &url, "").status, status);
        unsigned("DELETE", &url, "")
            .is(403, if status == 200 { "SignatureDoesNotMatch" } else { "AccessDenied" });
        let other = url.replace("artifacts/k", "artifacts/l");
        assert_eq!(unsigned("GET", &other, "").status, 403);
        let later = url.replace("Expires=", "Expires=9");
        unsigned("GET", &later, "").is(403, "SignatureDoesNotMatch");
    }
    // Nobody can add what was not signed.
    unsigned("PUT", &format!("{put}&x-amz-meta-a=1"), "3").is(403, "SignatureDoesNotMatch");
}

#[test]
fn a_key_does_what_its_level_permits() {
    let served = Served::start();
    let (admin, reader) = (served.client(), served.client_of("reader"));
    let appender = served.client_of("appender");
    admin.put("/artifacts/k", b"1").ok();
    assert_eq!(reader.get("/artifacts/k").ok().text(), "1");
    reader.get("/artifacts?list-type=2").ok();
    reader.put("/artifacts/new", b"1").is(403, "AccessDenied");
    reader.delete("/artifacts/k").is(403, "AccessDenied");
    reader.send("POST", "/artifacts/k?uploads=", &[], b"").is(403, "AccessDenied");

    appender.put("/artifacts/new", b"1").ok();
    let copy = [("x-amz-copy-source", "/artifacts/new")];
    appender.send("PUT", "/artifacts/copy", &copy, b"").ok();
    for headers in [&[][..], &[("if-match", "*")], &copy] {
        appender.send("PUT", "/artifacts/k", headers, b"").is(403, "AccessDenied");
    }
    let large = vec![0; 200_000];
    appender.put("/artifacts/k", &large).is(403, "AccessDenied");
    appender
        .send("PUT", "/artifacts/k", &[("if-none-match", "*")], b"2")
        .is(412, "PreconditionFailed");
    appender.delete("/artifacts/k").is(403, "AccessDenied");
    let delete = b"<Delete><Object><Key>k</Key></Object></Delete>";
    appender.send("POST", "/artifacts?delete=", &[], delete).is(403, "AccessDenied");
    for (key, status) in [("uploaded", 200), ("k", 403)] {
        let begun = appender.send("POST", &format!("/artifacts/{key}?uploads="), &[], b"").ok();
        let id = begun.field("UploadId").unwrap();
        let part = appender.put(&format!("/artifacts/{key}?partNumber=1&uploadId={id}"), b"2").ok();
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
             </CompleteMultipartUpload>",
            part.etag()
        );
        let target = format!("/artifacts/{key}?uploadId={id}");
        assert_eq!(appender.send("POST", &target, &[], list.as_bytes()).status, status);
    }
    assert_eq!(admin.get("/artifacts/k").text(), "1");
}

#[test]
fn a_key_reaches_its_buckets_only() {
    let served = Served::start();
    let (admin, narrow) = (served.client(), served.client_of("narrow"));
    admin.put("/artifacts/k", b"1").ok();
    assert_eq!(narrow.get("/").ok().fields("Name"), ["others"]);
    narrow.put("/others/k", b"1").ok();
    // It does not learn which buckets there are.
    for bucket in ["artifacts", "absent"] {
        narrow.get(&format!("/{bucket}/k")).is(403, "AccessDenied");
        narrow.put(&format!("/{bucket}/k"), b"2").is(403, "AccessDenied");
        narrow.get(&format!("/{bucket}?list-type=2")).is(403, "AccessDenied");
        assert_eq!(narrow.head(&format!("/{bucket}")).status, 403);
        let source = format!("/{bucket}/k");
        let copy = [("x-amz-copy-source", &*source)];
        narrow.send("PUT", "/others/copy", &copy, b"").is(403, "AccessDenied");
        let begun = narrow.send("POST", "/others/copy?uploads=", &[], b"").ok();
        let id = begun.field("UploadId").unwrap();
        let target = format!("/others/copy?partNumber=1&uploadId={id}");
        narrow.send("PUT", &target, &copy, b"").is(403, "AccessDenied");
    }
}
