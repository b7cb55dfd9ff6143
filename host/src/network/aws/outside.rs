//! How places of credentials are reached: the variables and files of this process, and HTTP without
//! the grants of any backend.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use reqsign_core::{Env, Error, FileRead, HttpSend, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::budget::in_background;
use crate::network::client::Client;
use crate::text::{chain, span};

/// The most bytes of an answer.
const ANSWER: usize = 256 * 1024;

/// What an answer that refuses must not repeat.
const SECRETS: [HeaderName; 2] =
    [AUTHORIZATION, HeaderName::from_static("x-aws-ec2-metadata-token")];

/// The variables of this process. An empty one counts as not set.
#[derive(Debug)]
pub(super) struct Variables;

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Env for Variables {
    fn var(&self, name: &str) -> Option<String> {
        variable(name)
    }

    fn vars(&self) -> HashMap<String, String> {
        let all = std::env::vars_os();
        let text = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let text = text.filter_map(|(name, value)| Some((name, value.into_string().ok()?)));
        text.filter(|(_, value)| !value.is_empty()).collect()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        std::env::home_dir()
    }
}

#[derive(Debug)]
pub(super) struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let path = PathBuf::from(path);
        Ok(on_a_thread(move || crate::file::read(&path)).await??)
    }
}

/// Runs what may block on a thread that may.
pub(super) async fn on_a_thread<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    // The receiver may be gone.
    in_background(move || drop(tell.send(job())));
    let none = |_| Error::unexpected("the process gets no thread to read a file");
    told.await.map_err(|gone| none(gone).set_retryable(true))
}

/// Requests to one place.
pub(super) struct Requests {
    authorities: Vec<PathBuf>,
    proxy: Option<String>,
    /// How long one request may take.
    patience: Duration,
    /// Takes the place of the service's own address.
    endpoint: Option<String>,
    client: OnceLock<Client>,
    is_answered: AtomicBool,
    last: Mutex<Last>,
}

/// What became of a request.
#[derive(Clone, Copy, Default)]
pub(super) enum Last {
    #[default]
    Unanswered,
    /// The answer has what was asked for, or should have it.
    Accepted,
    Refused,
    /// Refused for now.
    Busy,
    /// The answer was too long.
    Long,
}

impl Requests {
    pub(super) fn new(patience: Duration, authorities: &[PathBuf]) -> Self {
        Self {
            authorities: authorities.to_owned(),
            proxy: None,
            patience,
            endpoint: None,
            client: OnceLock::new(),
            is_answered: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    pub(super) fn by_proxy(self, proxy: Option<&str>) -> Self {
        Self { proxy: proxy.map(str::to_owned), ..self }
    }

    pub(super) fn to(self, endpoint: Option<String>) -> Self {
        Self { endpoint, ..self }
    }

    /// Whether any request had an answer.
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed)
    }

    /// What became of the last request.
    pub(super) fn last(&self) -> Last {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.authorities, self.proxy.as_deref());
        let client = client.map_err(|error| Error::config_invalid(chain(&error)))?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let request = request.map(|body| Full::new(body).map_err(|never| match never {}));
        let answer = self.client()?.send(request.map(BodyExt::boxed_unsync)).await;
        let answer = answer.map_err(|error| Error::unexpected(chain(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => {
                self.note(Last::Long);
                Error::unexpected(format!("its answer is longer than {} KiB", ANSWER / 1024))
            }
            false => Error::unexpected(chain(&*error)),
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

impl HttpSend for Requests {
    async fn http_send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>> {
        if let Some(endpoint) = &self.endpoint {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let uri: Uri = format!("{}{path}", endpoint.trim_end_matches('/')).parse()?;
            *request.uri_mut() = uri;
        }
        let secrets: Vec<_> = SECRETS
            .into_iter()
            .filter_map(|name| Some(request.headers().get(&name)?.to_str().ok()?.to_owned()))
            .filter(|secret| !secret.is_empty())
            .collect();
        self.note(Last::Unanswered);
        let limit = span(self.patience);
        let late = |_| Error::unexpected(format!("no answer within {limit}"));
        let answer = timeout(self.patience, self.send(request)).await.map_err(late)??;
        self.is_answered.store(true, Ordering::Relaxed);
        let status = answer.status();
        self.note(match status {
            _ if status.is_success() => Last::Accepted,
            StatusCode::TOO_MANY_REQUESTS => Last::Busy,
            _ if status.is_server_error() => Last::Busy,
            _ => Last::Refused,
        });
        if status == StatusCode::OK {
            return Ok(answer);
        }
        // The library shows the body. That of another success may be the credentials.
        Ok(answer.map(|body| {
            if status.is_success() {
                return Bytes::new();
            }
            let text = String::from_utf8_lossy(&body).into_owned();
            secrets.iter().fold(text, |text, secret| text.replace(secret, "***")).into()
        }))
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("patience", &self.patience).finish_non_exhaustive()
    }
}
