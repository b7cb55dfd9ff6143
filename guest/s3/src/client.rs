//! Requests to the bucket: signed, repeated where that is safe and may help, and believed only
//! where the answer is S3's.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use rusty_s3::{Method, signing};
use url::Url;
use wasip3::clocks::monotonic_clock;
use wasip3::random::random::get_random_u64;

use crate::component::{Error, Result};
use crate::failure::{Cause, Failure, Refusal};
use crate::http::{self, Body, Response, Unread};
use crate::settings::Settings;
use crate::xml::Element;

/// How long a signature is valid, in seconds. A server checks it when the request begins.
const VALID: u64 = 900;

/// The most of an answer that is kept in memory: a listing of long names, escaped.
const ANSWER: usize = 8 << 20;

/// How often a request is sent, and the longest pause before the second time. Each further one
/// is up to twice as long; all are over well before a caller's usual deadline of 30 seconds.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What the environment says.
pub fn settings() -> Result<&'static Settings> {
    static SETTINGS: OnceLock<std::result::Result<Settings, String>> = OnceLock::new();
    let settings = SETTINGS.get_or_init(|| {
        let environment = wasip3::cli::environment::get_environment();
        Settings::read(|name| {
            // Of several with one name the last one counts.
            let found = environment.iter().rev().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone())
        })
    });
    settings.as_ref().map_err(|why| Error::AccessDenied(why.clone()))
}

/// A number that nobody else comes upon.
pub fn random() -> String {
    format!("{:016x}{:016x}", get_random_u64(), get_random_u64())
}

/// A request to the bucket.
pub struct Call<'a> {
    doing: &'static str,
    method: Method,
    /// None for the bucket itself.
    object: Option<&'a str>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    pub fn new(doing: &'static str, method: Method, object: &'a str) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { doing, method, object: Some(object), query, headers, body: None }
    }

    /// A request to the bucket itself.
    pub fn bucket(doing: &'static str) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { doing, method: Method::Get, object: None, query, headers, body: None }
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it until it succeeds, for as long as that may help. The body of the answer has yet
    /// to be read.
    pub async fn begin(&self, settings: &Settings) -> std::result::Result<Response, Failure> {
        self.repeat(async || self.once(settings).await).await
    }

    /// As [`begin`](Self::begin), with the whole answer; one that says that it is an error is one,
    /// whatever its status.
    pub async fn run(&self, settings: &Settings) -> std::result::Result<Answer, Failure> {
        self.repeat(async || {
            let response = self.once(settings).await?;
            let status = response.status;
            let tag = response.header("etag");
            let text = self.text(settings, response.body, status).await?;
            let root = Element::parse(&text);
            match root {
                Some(root) if root.name == "Error" => {
                    Err(self.failure(Cause::Refused(refusal(status, &root, None))))
                }
                root => Ok(Answer { status, tag, is_empty: text.is_empty(), root }),
            }
        })
        .await
    }

    async fn repeat<T>(
        &self,
        once: impl AsyncFn() -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Failure> {
        let mut is_open = false;
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let mut failure = match once().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            failure.is_open |= is_open;
            if tries == TRIES || !failure.can_retry() {
                return Err(failure);
            }
            is_open |= failure.leaves_open();
            // Jitter, so that those who were turned away together do not come back together.
            let nanoseconds = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            monotonic_clock::wait_for(nanoseconds / 4 + get_random_u64() % nanoseconds).await;
            pause *= 2;
        }
        unreachable!("the loop ends by its count")
    }

    async fn once(&self, settings: &Settings) -> std::result::Result<Response, Failure> {
        let url = self.url(settings);
        let request = http::Request {
            method: self.method,
            url: &url,
            headers: &self.headers,
            body: self.body,
        };
        let sent = http::send(&request).await;
        let response = sent.map_err(|code| self.failure(transport(settings, code)))?;
        match response.status {
            200..=299 => Ok(response),
            _ => Err(self.refused(settings, response).await),
        }
    }

    /// What an answer other than ok says.
    async fn refused(&self, settings: &Settings, response: Response) -> Failure {
        let status = response.status;
        let region = response.header("x-amz-bucket-region");
        let text = match self.method {
            Method::Head => String::new(),
            _ => match self.text(settings, response.body, status).await {
                Ok(text) => text,
                Err(failure) => return failure,
            },
        };
        match Element::parse(&text).filter(|root| root.name == "Error") {
            Some(root) => self.failure(Cause::Refused(refusal(status, &root, region))),
            None if text.is_empty() => {
                let (code, message) = Default::default();
                self.failure(Cause::Refused(Refusal { status, code, message, region }))
            }
            None => self.foreign(status, "it is no XML of S3"),
        }
    }

    async fn text(
        &self,
        settings: &Settings,
        body: Body,
        status: u16,
    ) -> std::result::Result<String, Failure> {
        let bytes = body.read(ANSWER).await.map_err(|unread| match unread {
            Unread::Failed(code) => self.failure(transport(settings, code)),
            Unread::TooLong => self.foreign(status, "it is too long"),
        })?;
        String::from_utf8(bytes).map_err(|_| self.foreign(status, "it is no text"))
    }

    pub fn foreign(&self, status: u16, why: &'static str) -> Failure {
        self.failure(Cause::Foreign { status, why })
    }

    fn failure(&self, cause: Cause) -> Failure {
        let doing = match self.object {
            Some(object) => format!("{} `{object}`", self.doing),
            None => self.doing.to_owned(),
        };
        Failure { doing, cause, is_open: false }
    }

    /// The URL, signed where we have credentials.
    fn url(&self, settings: &Settings) -> Url {
        let bucket = &settings.bucket;
        let mut url = match self.object {
            Some(object) => bucket.object_url(object),
            None => bucket.base_url().clone(),
        };
        let mut query = self.query.clone();
        query.sort();
        let Some(credentials) = &settings.credentials else {
            if !query.is_empty() {
                let encoded = query.iter().map(|(name, value)| {
                    let set = percent_encoding::NON_ALPHANUMERIC;
                    format!("{name}={}", percent_encoding::utf8_percent_encode(value, set))
                });
                url.set_query(Some(&encoded.collect::<Vec<_>>().join("&")));
            }
            return url;
        };
        // AWS wants these signed, and no others.
        let mut headers: Vec<_> =
            self.headers.iter().filter(|(name, _)| name.starts_with("x-amz-")).collect();
        headers.sort();
        signing::sign(
            &Timestamp::now(),
            self.method,
            url,
            credentials.key(),
            credentials.secret(),
            credentials.token(),
            bucket.region(),
            VALID,
            query.iter().map(|(name, value)| (*name, value.as_str())),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
        )
    }
}

/// A whole answer that is not an error.
pub struct Answer {
    pub status: u16,
    pub tag: Option<String>,
    pub is_empty: bool,
    /// The body, where it is XML.
    pub root: Option<Element>,
}

fn transport(settings: &Settings, code: wasip3::http::types::ErrorCode) -> Cause {
    let url = settings.bucket.base_url();
    Cause::Transport { endpoint: format!("{}://{}", url.scheme(), url.authority()), code }
}

fn refusal(status: u16, root: &Element, region: Option<String>) -> Refusal {
    let text = |name| root.text_of(name).unwrap_or_default().chars().take(500).collect();
    let named = root.text_of("Region").map(|region| region.chars().take(50).collect());
    Refusal { status, code: text("Code"), message: text("Message"), region: region.or(named) }
}
