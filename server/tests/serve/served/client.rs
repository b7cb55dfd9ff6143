//! Requests byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hmac::{Hmac, Mac};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};

/// One signer of requests. Each request has a connection of its own.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    id: String,
    secret: String,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body has as many bytes as the head says.
    pub is_whole: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What stands between the first such pair of tags.
    pub fn field(&self, tag: &str) -> Option<String> {
        self.fields(tag).into_iter().next()
    }

    pub fn fields(&self, tag: &str) -> Vec<String> {
        let (text, start, end) = (self.text(), format!("<{tag}>"), format!("</{tag}>"));
        text.split(&start)
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(&end)?.0.to_owned()))
            .collect()
    }

    /// The status and the code of S3.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.field("Code").unwrap_or_default())
    }

    pub fn etag(&self) -> String {
        self.header("etag").expect("a tag").to_owned()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }

    #[track_caller]
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!(self.error(), (status, code.to_owned()), "{}", self.text());
    }
}

/// How a request is signed.
#[derive(Clone)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The path and query, as they are sent.
    pub target: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: &'a [u8],
    /// What the signature says of the body; `None` is its SHA-256.
    pub payload: Option<&'a str>,
    pub length: Option<usize>,
    /// Seconds by which the clock of the client is ahead.
    pub ahead: i64,
}

impl Client {
    pub fn new(address: SocketAddr, id: &str, secret: &str) -> Self {
        Self { address, id: id.into(), secret: secret.into() }
    }

    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.request(request(method, target, headers, body))
    }

    pub fn put(&self, target: &str, body: &[u8]) -> Reply {
        self.send("PUT", target, &[], body)
    }

    pub fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], b"")
    }

    pub fn head(&self, target: &str) -> Reply {
        self.send("HEAD", target, &[], b"")
    }

    pub fn delete(&self, target: &str) -> Reply {
        self.send("DELETE", target, &[], b"")
    }

    pub fn request(&self, request: Request<'_>) -> Reply {
        let head = self.signed_head(&request);
        let mut stream = self.connect();
        // A server that refuses may close before it has all of it.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(request.body));
        read_reply(&mut stream, request.method == "HEAD")
    }

    /// The same for a server that may be gone.
    pub fn try_put(&self, target: &str, body: &[u8]) -> Option<Reply> {
        let head = self.signed_head(&request("PUT", target, &[], body));
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        Some(read_reply(&mut stream, false))
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Everything of a request before its body.
    pub fn signed_head(&self, request: &Request<'_>) -> String {
        let now = Timestamp::now() + jiff::SignedDuration::from_secs(request.ahead);
        let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
        let payload = match request.payload {
            Some(payload) => payload.to_owned(),
            None => hexadecimal(&Sha256::digest(request.body)),
        };
        let mut headers: Vec<(String, String)> = vec![
            ("host".into(), self.address.to_string()),
            ("x-amz-content-sha256".into(), payload.clone()),
            ("x-amz-date".into(), time.clone()),
        ];
        headers.extend(request.headers.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
        headers.sort();
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let mut pairs: Vec<_> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        pairs.sort();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let lines: String = headers.iter().map(|(n, v)| format!("{n}:{}\n", v.trim())).collect();
        let canonical = format!(
            "{}\n{path}\n{}\n{lines}\n{}\n{payload}",
            request.method,
            pairs.join("&"),
            names.join(";")
        );
        let (scope, signature) = self.sign(&time, &canonical);
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        for (name, value) in &headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!(
            "authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, \
             Signature={signature}\r\n",
            self.id,
            names.join(";")
        );
        let length = request.length.unwrap_or(request.body.len());
        head + &format!("content-length: {length}\r\nconnection: close\r\n\r\n")
    }

    /// A path and query that whoever has them may use for so many seconds, from `ago` seconds ago.
    pub fn presigned(&self, method: &str, path: &str, seconds: u64, ago: i64) -> String {
        let now = Timestamp::now() - jiff::SignedDuration::from_secs(ago);
        let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/us-east-1/s3/aws4_request", &time[..8]);
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{}&X-Amz-Date={time}\
             &X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host",
            self.id,
            scope.replace('/', "%2F")
        );
        let canonical =
            format!("{method}\n{path}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", self.address);
        let (_, signature) = self.sign(&time, &canonical);
        format!("{path}?{query}&X-Amz-Signature={signature}")
    }

    /// The same with a signature of version 2.
    pub fn presigned_2(&self, method: &str, path: &str, seconds: i64) -> String {
        let expires = Timestamp::now().as_second() + seconds;
        let text = format!("{method}\n\n\n{expires}\n{path}");
        let signature = base64(&hmac_sha1(self.secret.as_bytes(), text.as_bytes()));
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("{path}?AWSAccessKeyId={}&Expires={expires}&Signature={signature}", self.id)
    }

    /// The scope, and the signature of a canonical request.
    pub fn sign(&self, time: &str, canonical: &str) -> (String, String) {
        let scope = format!("{}/us-east-1/s3/aws4_request", &time[..8]);
        let digest = hexadecimal(&Sha256::digest(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let mut by = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            by = mac(&by, part);
        }
        (scope, hexadecimal(&mac(&by, &text)))
    }

    /// Sends these bytes as they are.
    pub fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        read_reply(&mut stream, false)
    }
}

pub fn request<'a>(
    method: &'a str,
    target: &'a str,
    headers: &[(&'a str, &str)],
    body: &'a [u8],
) -> Request<'a> {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Request { method, target, headers, body, payload: None, length: None, ahead: 0 }
}

pub fn read_reply(stream: &mut impl Read, is_head: bool) -> Reply {
    let mut bytes = Vec::new();
    // What came before the connection broke counts.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
    let Some(end) = end else {
        return Reply { status: 0, headers: Vec::new(), body: bytes, is_whole: false };
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let (mut body, mut is_whole) = (bytes[end + 4..].to_vec(), true);
    let find = |name: &str| headers.iter().find(|(it, _)| it == name).map(|(_, v)| v.clone());
    if find("transfer-encoding").is_some() {
        (body, is_whole) = unchunked(&body);
    } else if let Some(length) = find("content-length").and_then(|it| it.parse::<usize>().ok()) {
        is_whole = is_head || body.len() == length;
    }
    Reply { status, headers, body, is_whole }
}

fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|end| end == b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&bytes[..end]).unwrap_or("x");
        let Ok(size) = usize::from_str_radix(size, 16) else { return (body, false) };
        let from = end + 2;
        if size == 0 {
            return (body, true);
        }
        let Some(data) = bytes.get(from..from + size) else { return (body, false) };
        body.extend_from_slice(data);
        bytes = bytes.get(from + size + 2..).unwrap_or_default();
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> [u8; 20] {
    use s3s::crypto::{Checksum, Sha1};
    let digest = |mask: u8, text: &[u8]| {
        let mut padded = [mask; 64];
        padded.iter_mut().zip(key).for_each(|(to, byte)| *to ^= byte);
        let mut sha = Sha1::new();
        sha.update(&padded);
        sha.update(text);
        sha.finalize()
    };
    digest(0x5c, &digest(0x36, text))
}

pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
