//! Requests to the bucket: signed, repeated if that is safe and may help, and accepted only if the
//! answer comes from S3.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use artifact_store_backend::name::hex;
use artifact_store_backend::{Error, Mode, Result};
use jiff::Timestamp;
use wasip3::clocks::monotonic_clock;
use wasip3::random::random::{get_random_bytes, get_random_u64};

use crate::failure::{Cause, Failure, Refusal};
use crate::http::{self, Method, Response, Unread};
use crate::settings::{Problem, Settings};
use crate::sigv4::{self, UNSIGNED_PAYLOAD, encoded_query};
use crate::version;
use crate::xml::Element;

/// The most bytes of an answer in memory: a listing of long names, escaped.
const ANSWER: usize = 8 << 20;

/// How often a request is sent, and the longest pause before the second attempt. Each further pause
/// is up to twice as long; all of them end within 4 seconds.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A request is not sent again after this many nanoseconds, whatever the number of attempts: after
/// a slow failure there is no time for another one before the caller's usual 30 seconds are over.
const PATIENCE: u64 = 8_000_000_000;

/// What the environment says.
pub fn settings() -> Result<&'static Settings> {
    checked_settings().map_err(explain)
}

/// The same, or what is wrong with it.
pub fn checked_settings() -> std::result::Result<&'static Settings, &'static [Problem]> {
    static SETTINGS: OnceLock<std::result::Result<Settings, Vec<Problem>>> = OnceLock::new();
    let settings = SETTINGS.get_or_init(|| {
        let environment = wasip3::cli::environment::get_environment();
        Settings::read(|name| {
            // Of several variables with one name the last one counts.
            let found = environment.iter().rev().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone())
        })
    });
    settings.as_ref().map_err(Vec::as_slice)
}

fn explain(problems: &[Problem]) -> Error {
    let problems: Vec<_> = problems.iter().map(Problem::to_string).collect();
    Error::AccessDenied(problems.join("; "))
}

/// A unique number of 128 bits.
pub fn random() -> String {
    hex(&get_random_bytes(16))
}

/// A request to the bucket.
pub struct Call<'a> {
    doing: &'static str,
    method: Method,
    /// `None` for the bucket itself.
    object: Option<&'a str>,
    query: Vec<(&'static str, String)>,
    headers: Vec<http::Header>,
    body: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    pub fn new(doing: &'static str, method: Method, object: &'a str) -> Self {
        Self { object: Some(object), method, ..Self::bucket(doing) }
    }

    /// A request to the bucket itself.
    pub fn bucket(doing: &'static str) -> Self {
        // A body that a proxy compresses would be another artifact.
        let headers = vec![("accept-encoding".into(), "identity".to_owned())];
        Self { doing, method: Method::Get, object: None, query: Vec::new(), headers, body: None }
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The condition under which the service stores the object.
    pub fn condition(self, mode: &Mode) -> Self {
        match mode {
            Mode::Overwrite => self,
            Mode::Create => self.header("if-none-match", "*"),
            Mode::Replace(version) => self.header("if-match", version::tag(version)),
        }
    }

    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it until it succeeds, as long as that may help. The body of the answer is not yet
    /// read.
    pub async fn begin(&self, settings: &Settings) -> std::result::Result<Response, Failure> {
        self.repeat(async || self.once(settings).await).await
    }

    /// Like [`begin`](Self::begin), with the whole answer. An answer that says that it is an error
    /// is one, whatever its status.
    pub async fn run(&self, settings: &Settings) -> std::result::Result<Answer, Failure> {
        self.repeat(async || {
            let response = self.once(settings).await?;
            let status = response.status;
            let tag = response.header("etag").map(str::to_owned);
            let text = self.text(settings, response).await?;
            let root = Element::parse(&text);
            match root {
                Some(root) if root.name == "Error" => {
                    Err(self.failure(Cause::Refused(refusal(status, &root))))
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
        let begun = monotonic_clock::now();
        let mut is_open = false;
        let mut is_corrected = false;
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let mut failure = match once().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            failure.is_open |= is_open;
            // The next attempt is signed with another time, by us or by the host.
            if failure.is_about_time && !is_corrected {
                is_corrected = true;
                continue;
            }
            let is_late = monotonic_clock::now().saturating_sub(begun) > PATIENCE;
            if tries >= TRIES || is_late || !failure.can_retry() {
                return Err(failure);
            }
            is_open |= self.method.changes() && failure.leaves_open() && !failure.is_conflict();
            // Jitter, so that clients that were refused together do not return together.
            let nanoseconds = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            monotonic_clock::wait_for(nanoseconds / 4 + get_random_u64() % nanoseconds).await;
            pause *= 2;
        }
        unreachable!("the loop ends by its count")
    }

    async fn once(&self, settings: &Settings) -> std::result::Result<Response, Failure> {
        let (path, headers) = self.signed(settings);
        let request = http::Request {
            method: self.method,
            bucket: &settings.bucket,
            path: &path,
            headers: &headers,
            body: self.body,
        };
        let sent = http::send(&request).await;
        let response = sent.map_err(|code| self.failure(transport(settings, code)))?;
        if let Some(coding) = response.foreign_coding() {
            let (status, coding) = (response.status, coding.to_owned());
            return Err(self.failure(Cause::Encoded { status, coding }));
        }
        match response.status {
            200..=299 => Ok(response),
            _ => Err(self.refused(settings, response).await),
        }
    }

    /// The meaning of an answer other than success.
    async fn refused(&self, settings: &Settings, response: Response) -> Failure {
        let status = response.status;
        let region = response.header("x-amz-bucket-region").map(str::to_owned);
        let date = response.header("date").filter(|_| matches!(status, 400 | 401 | 403));
        let ahead = settings.clock.learn(date, Timestamp::now());
        let text = match self.method {
            Method::Head => String::new(),
            _ => match self.text(settings, response).await {
                Ok(text) => text,
                Err(failure) => return failure,
            },
        };
        let mut failure = match Element::parse(&text).filter(|root| root.name == "Error") {
            Some(root) => {
                let mut refusal = refusal(status, &root);
                refusal.region = region.or(refusal.region);
                self.failure(Cause::Refused(refusal))
            }
            None if text.is_empty() => {
                let (code, message) = Default::default();
                self.failure(Cause::Refused(Refusal { status, code, message, region }))
            }
            None => self.foreign(status, "it is not S3 XML"),
        };
        failure.is_about_time = ahead.is_some();
        failure
    }

    async fn text(
        &self,
        settings: &Settings,
        response: Response,
    ) -> std::result::Result<String, Failure> {
        if response.header("content-length") == Some("0") {
            return Ok(String::new());
        }
        let status = response.status;
        let bytes = response.body.read(ANSWER).await.map_err(|unread| match unread {
            Unread::Failed(code) => self.failure(transport(settings, code)),
            Unread::TooLong => self.foreign(status, "it is too long"),
        })?;
        String::from_utf8(bytes).map_err(|_| self.foreign(status, "it is not text"))
    }

    pub fn foreign(&self, status: u16, why: &'static str) -> Failure {
        self.failure(Cause::Foreign { status, why })
    }

    fn failure(&self, cause: Cause) -> Failure {
        let doing = match self.object {
            Some(object) => format!("{} `{object}`", self.doing),
            None => self.doing.to_owned(),
        };
        Failure {
            doing,
            cause,
            changes: self.method.changes(),
            is_open: false,
            is_about_time: false,
        }
    }

    /// The path with the query, and all headers: with a signature if we have credentials.
    fn signed(&self, settings: &Settings) -> (String, Vec<http::Header>) {
        let path = format!("{}{}", settings.bucket.path, self.object.unwrap_or_default());
        let pairs: Vec<_> =
            self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let query = encoded_query(&pairs);
        let mut headers = self.headers.clone();
        if let Some(signer) = settings.signer() {
            // AWS requires these, and the host name, to be signed.
            let is_covered = |name: &str| name == "content-type" || name.starts_with("x-amz-");
            let own = headers.iter().filter(|(name, _)| is_covered(name));
            let mut covered: Vec<_> = own.map(|(name, value)| (&**name, value.as_str())).collect();
            covered.push(("host", &settings.bucket.authority));
            let request = sigv4::Request {
                method: self.method.name(),
                path: &path,
                query: &query,
                headers: &covered,
                payload: UNSIGNED_PAYLOAD,
            };
            let now = settings.clock.time(Timestamp::now());
            let signed = sigv4::sign(&signer, &request, now).headers;
            headers.extend(signed.into_iter().map(|(name, value)| (name.into(), value)));
        }
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        (target, headers)
    }
}

/// A whole answer that is not an error.
pub struct Answer {
    pub status: u16,
    pub tag: Option<String>,
    pub is_empty: bool,
    /// The body, if it is XML.
    pub root: Option<Element>,
}

fn transport(settings: &Settings, code: wasip3::http::types::ErrorCode) -> Cause {
    Cause::Transport { endpoint: settings.bucket.endpoint(), code }
}

fn refusal(status: u16, root: &Element) -> Refusal {
    let text = |name| root.text_of(name).unwrap_or_default().chars().take(500).collect();
    let region = root.text_of("Region").map(|region| region.chars().take(50).collect());
    Refusal { status, code: text("Code"), message: text("Message"), region }
}
