//! A strict S3 service in memory, with the differences that services have among each other: it
//! verifies every signature by its own arithmetic and takes nothing that is not canonical.

mod copies;
mod objects;
mod uploads;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;

use crate::scripted::{Answer, Request, Scripted, answer, error};
use crate::signature::{self, Signer};
use crate::weed;

use copies::SOURCE;
use objects::{State, check_condition, metadata};

const CRC64: &str = "x-amz-checksum-crc64nvme";

/// What this service does differently from the next one. The default is Amazon's way.
#[derive(Clone, Debug)]
pub struct Differences {
    /// The bucket is part of the host's name, and of no path.
    pub is_virtual: bool,
    /// Whether it knows the checksum CRC-64/NVME; else it refuses the header.
    pub knows_checksum: bool,
    /// Whether it puts quotes around an ETag.
    pub quotes_tags: bool,
    /// Whether it changes a byte of what it copies.
    pub spoils_copies: bool,
    /// How many entries a listing has at most.
    pub page: usize,
    /// The region of the bucket.
    pub region: &'static str,
    /// Whether the key may change anything.
    pub is_read_only: bool,
    /// By how many seconds the clock of the service is ahead.
    pub ahead: i64,
    /// Whether it says what time it is.
    pub tells_time: bool,
    /// The token without which a key is worth nothing, and any other has expired.
    pub token: Option<&'static str>,
}

impl Default for Differences {
    fn default() -> Self {
        Self {
            is_virtual: false,
            knows_checksum: true,
            quotes_tags: true,
            spoils_copies: false,
            page: 1000,
            region: "us-east-1",
            is_read_only: false,
            ahead: 0,
            tells_time: true,
            token: None,
        }
    }
}

/// The host's name of the service where the bucket is part of it; no name server knows it.
pub const HOST: &str = "s3.example.invalid";

impl Differences {
    /// A service with one bucket.
    pub fn start(self) -> Scripted {
        let service = Service { differences: self, state: Mutex::default() };
        Scripted::start(move |request, _| service.answer(request))
    }

    /// The same by TLS.
    pub fn start_tls(self, tls: Arc<rustls::ServerConfig>) -> Scripted {
        let service = Service { differences: self, state: Mutex::default() };
        Scripted::start_tls(tls, move |request, _| service.answer(request))
    }

    /// The variables of a store in the bucket.
    pub fn variables(&self, server: &Scripted, prefix: &str) -> Vec<(&'static str, String)> {
        let endpoint = match self.is_virtual {
            true => format!("http://{HOST}"),
            false => server.endpoint(),
        };
        let checksum = if self.knows_checksum { "crc64nvme" } else { "metadata" };
        vec![
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", self.region.into()),
            ("AWS_ACCESS_KEY_ID", weed::KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", weed::SECRET.into()),
            ("AWS_SESSION_TOKEN", self.token.unwrap_or_default().into()),
            ("S3_BUCKET", weed::BUCKET.into()),
            ("S3_PREFIX", prefix.into()),
            ("S3_STYLE", if self.is_virtual { "virtual" } else { "path" }.into()),
            ("S3_CHECKSUM", checksum.into()),
        ]
    }
}

struct Service {
    differences: Differences,
    state: Mutex<State>,
}

/// An error: its status and code, and what else stands in the answer.
type Refused = (u16, &'static str, String);

fn refuse(status: u16, code: &'static str) -> Refused {
    (status, code, String::new())
}

impl Service {
    fn answer(&self, request: &Request) -> Answer {
        if request.method == "CONNECT" {
            return Answer::Send(b"HTTP/1.1 200 Connected\r\n\r\n".to_vec());
        }
        let bytes = match self.serve(request) {
            Ok(bytes) => bytes,
            Err((status, _, _)) if request.method == "HEAD" => answer(status, "", ""),
            Err((status, code, more)) if more.is_empty() => error(status, code),
            Err((status, code, more)) => answer(
                status,
                "",
                &format!("<Error><Code>{code}</Code><Message>no</Message>{more}</Error>"),
            ),
        };
        Answer::Send(self.dated(bytes))
    }

    /// The answer with the time of this service.
    fn dated(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.differences.tells_time {
            let now = Timestamp::now() + SignedDuration::from_secs(self.differences.ahead);
            let line = now.strftime("date: %a, %d %b %Y %T GMT\r\n").to_string();
            let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a status line");
            bytes.splice(end + 2..end + 2, line.into_bytes());
        }
        bytes
    }

    fn serve(&self, request: &Request) -> Result<Vec<u8>, Refused> {
        let query = query(request);
        let name = self.verified(request, &query)?;
        let is_change = !matches!(request.method.as_str(), "GET" | "HEAD");
        if is_change && self.differences.is_read_only {
            return Err(refuse(403, "AccessDenied"));
        }
        if request.header("transfer-encoding").is_some()
            || (is_change && request.header("content-length").is_none())
        {
            return Err(refuse(411, "MissingContentLength"));
        }
        self.check_body(request)?;
        let mut state = self.state.lock().unwrap();
        let get = |name: &str| query.get(name).map(String::as_str);
        match (request.method.as_str(), &*name, get("uploads"), get("uploadId")) {
            ("GET", "", None, None) => self.list(&state, &query),
            ("GET", "", Some(_), None) => Ok(uploads::uploads(&state)),
            ("GET" | "HEAD", name, None, None) => self.read(&state, name, request),
            ("PUT", name, None, None) if request.header(SOURCE).is_some() => {
                self.copy(&mut state, name, request)
            }
            ("PUT", name, None, None) => {
                check_condition(&state, name, request)?;
                let metadata = metadata(request);
                let tag = self.keep(&mut state, name, request.body.clone(), metadata);
                Ok(answer(200, &format!("etag: {tag}\r\n"), ""))
            }
            ("DELETE", name, None, None) => {
                state.objects.remove(name);
                Ok(answer(204, "", ""))
            }
            ("POST", name, Some(_), None) => Ok(uploads::begin(&mut state, name, request)),
            (method, name, None, Some(id)) => {
                let id = id.to_owned();
                let of_this = state.uploads.get(&id).is_some_and(|upload| upload.name == name);
                if !of_this {
                    return Err(refuse(404, "NoSuchUpload"));
                }
                self.upload(&mut state, method, &id, get("partNumber"), request)
            }
            _ => Err(refuse(405, "MethodNotAllowed")),
        }
    }

    /// The object that the request is about, if who asks may ask at all.
    fn verified(
        &self,
        request: &Request,
        query: &BTreeMap<String, String>,
    ) -> Result<String, Refused> {
        let Differences { region, ahead, token, is_virtual, .. } = self.differences;
        let signer = Signer { key: weed::KEY, secret: weed::SECRET };
        let signed =
            signature::verify(request, query, &signer).map_err(|code| refuse(403, code))?;
        if request.header("x-amz-security-token") != token {
            return Err(refuse(400, "ExpiredToken"));
        }
        if signed.region != region {
            let more = format!("<Region>{region}</Region>");
            return Err((400, "AuthorizationHeaderMalformed", more));
        }
        let age = Timestamp::now().as_second() + ahead - signed.at.as_second();
        if !(-900..=900).contains(&age) {
            return Err(refuse(403, "RequestTimeTooSkewed"));
        }
        let path = percent_decode_str(&request.path).decode_utf8_lossy().into_owned();
        let (bucket, name) = match is_virtual {
            true => {
                let host = request.header("host").unwrap_or_default();
                let bucket = host.strip_suffix(HOST).and_then(|bucket| bucket.strip_suffix('.'));
                (bucket.map(str::to_owned), path.strip_prefix('/').unwrap_or_default().to_owned())
            }
            false => {
                let path = path.strip_prefix('/').unwrap_or_default();
                let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
                (Some(bucket.to_owned()), name.to_owned())
            }
        };
        match bucket.as_deref() == Some(weed::BUCKET) {
            true => Ok(name),
            false => Err(refuse(404, "NoSuchBucket")),
        }
    }

    /// Compares the body, or what it will become part of, with the checksum that is stated.
    fn check_body(&self, request: &Request) -> Result<(), Refused> {
        let is_about = |(name, _): &&(String, String)| name.starts_with("x-amz-checksum-");
        if !self.differences.knows_checksum && request.headers.iter().any(|h| is_about(&h)) {
            return Err(refuse(501, "NotImplemented"));
        }
        let stated = request.header(CRC64).filter(|_| request.method == "PUT");
        match stated.is_some_and(|stated| stated != crc(&request.body)) {
            true => Err(refuse(400, "BadDigest")),
            false => Ok(()),
        }
    }
}

fn query(request: &Request) -> BTreeMap<String, String> {
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn crc(bytes: &[u8]) -> String {
    let value = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    BASE64_STANDARD.encode(value.to_be_bytes())
}
