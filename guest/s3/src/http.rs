//! One exchange over `wasi:http`.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::OnceLock;

use futures_util::future::{Either, select};
use wasip3::http::client;
use wasip3::http::types::{self, ErrorCode, Fields, Scheme, Trailers};
use wasip3::{wit_future, wit_stream};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult};

use crate::settings::Bucket;

/// How long making a connection may take, in nanoseconds.
const CONNECT: u64 = 10 * SECOND;

/// How long a service may be silent: before its answer, in addition to the time that the body of
/// the request takes at the least rate, and between bytes of the answer. A host that knows how long
/// the caller waits may shorten it.
const SILENCE: u64 = 20 * SECOND;

/// Bytes per second of a body that is sent.
const LEAST_RATE: u64 = 64 << 10;

const SECOND: u64 = 1_000_000_000;

/// How many bytes of a body are passed to the host at once.
const CHUNK: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Head,
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request may change something.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Head | Self::Get)
    }
}

/// The name and the value of a header.
pub type Header = (Cow<'static, str>, String);

/// A request, already signed if necessary.
pub struct Request<'a> {
    pub method: Method,
    pub bucket: &'a Bucket,
    /// Encoded, with the query.
    pub path: &'a str,
    pub headers: &'a [Header],
    pub body: Option<&'a [u8]>,
}

pub struct Response {
    pub status: u16,
    headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

/// A body that is not yet read.
pub struct Body {
    pub stream: StreamReader<u8>,
    /// How the stream ended, which the stream itself does not report.
    pub ended: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    /// Dropping it tells the host that we are done.
    pub done: FutureWriter<Result<(), ErrorCode>>,
}

/// Why a body could not be read.
pub enum Unread {
    Failed(ErrorCode),
    TooLong,
}

pub async fn send(request: &Request<'_>) -> Result<Response, ErrorCode> {
    let (outgoing, body) = outgoing(request)?;
    let answered = pin!(client::send(outgoing));
    let written = pin!(body.write(request.body.unwrap_or_default()));
    // Both at the same time: the body is written while the host sends. A server may answer before
    // it has the whole body, and then does not need the rest.
    let response = match select(answered, written).await {
        Either::Left((response, _)) => response,
        Either::Right(((), answered)) => answered.await,
    }?;
    let status = response.get_status_code();
    // All at once, since each call of the host takes longer than to look through them.
    let headers = response.get_headers().copy_all();
    let (done, is_done) = wit_future::new(|| Ok(()));
    let (stream, ended) = types::Response::consume_body(response, is_done);
    Ok(Response { status, headers, body: Body { stream, ended, done } })
}

/// The writing end of a request's body.
struct Outgoing {
    writer: Option<wit_bindgen::StreamWriter<u8>>,
    trailers: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
}

fn outgoing(request: &Request<'_>) -> Result<(types::Request, Outgoing), ErrorCode> {
    let invalid = || ErrorCode::HttpRequestUriInvalid;
    // Without a length the host would say `chunked`, which S3 refuses.
    let has_body = request.body.is_some() || !matches!(request.method, Method::Get | Method::Head);
    let mut headers: Vec<(String, Vec<u8>)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone().into_bytes()))
        .collect();
    if has_body {
        let length = request.body.map_or(0, <[u8]>::len);
        headers.push(("content-length".into(), length.to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers).map_err(|_| ErrorCode::HttpRequestDenied)?;
    let (writer, contents) = match has_body {
        true => {
            let (writer, contents) = wit_stream::new();
            (Some(writer), Some(contents))
        }
        false => (None, None),
    };
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let sending = request.body.map_or(0, <[u8]>::len) as u64 / LEAST_RATE;
    let options = timeouts(sending);
    let (outgoing, _) = types::Request::new(headers, contents, no_trailers, Some(options));
    let method = match request.method {
        Method::Head => Some(types::Method::Head),
        // The one that a request has from the start.
        Method::Get => None,
        Method::Post => Some(types::Method::Post),
        Method::Put => Some(types::Method::Put),
        Method::Delete => Some(types::Method::Delete),
    };
    let scheme = if request.bucket.is_https { Scheme::Https } else { Scheme::Http };
    if let Some(method) = method {
        outgoing.set_method(&method).map_err(|()| invalid())?;
    }
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid())?;
    outgoing.set_authority(Some(&request.bucket.authority)).map_err(|()| invalid())?;
    outgoing.set_path_with_query(Some(request.path)).map_err(|()| invalid())?;
    Ok((outgoing, Outgoing { writer, trailers }))
}

/// The timeouts of a request whose body takes so many seconds at the least rate. A host that does
/// not support them has limits of its own.
fn timeouts(sending: u64) -> types::RequestOptions {
    static USUAL: OnceLock<types::RequestOptions> = OnceLock::new();
    let usual = USUAL.get_or_init(|| {
        let options = types::RequestOptions::new();
        let _ = options.set_connect_timeout(Some(CONNECT));
        let _ = options.set_first_byte_timeout(Some(SILENCE));
        let _ = options.set_between_bytes_timeout(Some(SILENCE));
        options
    });
    let options = usual.clone();
    if sending > 0 {
        let _ = options.set_first_byte_timeout(Some(SILENCE + sending * SECOND));
    }
    options
}

impl Outgoing {
    async fn write(self, body: &[u8]) {
        if let Some(mut writer) = self.writer {
            for chunk in body.chunks(CHUNK) {
                // A stream that refused bytes must not be offered more: that is a trap.
                if !writer.write_all(chunk.to_vec()).await.is_empty() {
                    break;
                }
            }
        }
        // If this is not taken, the answer is on its way.
        let _ = self.trailers.write(Ok(None)).await;
    }
}

impl Response {
    /// The value of a header, if it is text; of several with this name, that of the first one.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        str::from_utf8(value).ok()
    }

    /// All headers that are text, the names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (String, &str)> {
        self.headers.iter().filter_map(|(name, value)| {
            Some((name.to_ascii_lowercase(), str::from_utf8(value).ok()?))
        })
    }
}

impl Body {
    /// The whole of a body that is expected to be short.
    pub async fn read(mut self, limit: usize) -> Result<Vec<u8>, Unread> {
        let mut bytes = Vec::with_capacity(4096);
        loop {
            let how;
            (how, bytes) = self.stream.read(bytes).await;
            if bytes.len() > limit {
                return Err(Unread::TooLong);
            }
            if let StreamResult::Dropped | StreamResult::Cancelled = how {
                break;
            }
            if bytes.len() == bytes.capacity() {
                bytes.reserve(bytes.len());
            }
        }
        drop(self.stream);
        self.ended.await.map_err(Unread::Failed)?;
        Ok(bytes)
    }
}
