//! The way of each request of a backend: it is allowed or refused, signed, sent, and watched.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{DATE, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::{Moved, Watched};
use super::sign::{Masked, Scope, Secrets, Unsigned, mask_headers, sign};
use super::{Address, Network, failure};
use crate::budget::Deadline;
use crate::error::Refused;
use crate::text::foreign;

/// The most bytes of a request's URL.
const URL: usize = 16 * 1024;

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// The requests of one instance.
pub(crate) struct Hooks {
    network: Arc<Network>,
    /// The clock of the current call: bytes that move are progress.
    pub(crate) deadline: Arc<Deadline>,
    refusal: Refusal,
}

/// The request that was refused in this call.
#[derive(Clone, Default)]
struct Refusal(Arc<Mutex<Option<Refused>>>);

impl Refusal {
    /// Only the first one of a call is kept: a backend can repeat requests for ever.
    fn note(&self, refused: Refused) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            match &refused {
                Refused::NotGranted(_) => tracing::warn!("{refused}"),
                // All calls of an outage have it; whoever looked for the credentials warns.
                Refused::Unsigned(_) => tracing::debug!("{refused}"),
            }
            *first = Some(refused);
        }
    }

    /// The text is the rest of a sentence about the backend.
    fn note_ungranted(&self, what: String) {
        self.note(Refused::NotGranted(what));
    }
}

impl Hooks {
    pub(crate) fn new(network: Arc<Network>, deadline: Arc<Deadline>) -> Self {
        Self { network, deadline, refusal: Refusal::default() }
    }

    /// What was refused since the last time.
    pub(crate) fn take_refused(&self) -> Option<Refused> {
        self.refusal.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let sending = Sending {
            network: Arc::clone(&self.network),
            deadline: Arc::clone(&self.deadline),
            refusal: self.refusal.clone(),
            options: options.unwrap_or_default(),
        };
        Box::new(sending.send(request))
    }
}

/// One request that is being sent.
struct Sending {
    network: Arc<Network>,
    deadline: Arc<Deadline>,
    refusal: Refusal,
    options: RequestOptions,
}

impl Sending {
    async fn send(self, request: Request<WasiBody>) -> Sent {
        let asked = asked(&request);
        let granted = Address::of(request.uri());
        let granted = granted.and_then(|to| Some((self.network.client_for(&to)?, to)));
        let Some((client, address)) = granted else {
            self.refusal.note_ungranted(format!("asked for `{asked}`, which is not granted"));
            return Err(Error::HttpRequestDenied);
        };
        if request.uri().to_string().len() > URL {
            return Err(Error::HttpRequestUriTooLong);
        }
        let permit = Arc::clone(&self.network.free).acquire_owned().await;
        let permit = permit.map_err(|_| Error::ConnectionLimitReached)?;
        let (mut head, body) = request.into_parts();
        // This is the only spelling, which is also the signed one.
        let host = HeaderValue::from_str(&address.host_header());
        head.headers.insert(HOST, host.map_err(|_| Error::HttpRequestUriInvalid)?);
        let signed = self.sign(&address, &mut head).await?;
        let moved = Moved::default();
        let body = Watched::request(body, Arc::clone(&self.deadline), moved.clone());
        let request = Request::from_parts(head, body.boxed_unsync());
        let first_byte = self.limit(self.options.first_byte_timeout);
        let answer = tokio::select! {
            answer = client.send(request) => answer.map_err(|error| failure::of(&error)),
            () = moved.pause(first_byte) => Err(Error::ConnectionReadTimeout),
        };
        match answer.as_ref().err().and_then(failure::of_connecting) {
            Some(why) => {
                self.deadline.not_reached(|| format!("`{asked}` cannot be reached: {why}"))
            }
            None => self.deadline.reached(),
        }
        let mut answer = answer.inspect_err(|error| {
            if let Error::DestinationIpProhibited = error {
                self.refusal.note_ungranted(format!(
                    "asked for `{asked}`, whose name resolves to an address that must be granted as \
                     an IP address: of this machine, its link or a metadata service"
                ));
            }
        })?;
        let deadline = Arc::clone(&self.deadline);
        let pause = self.options.between_bytes_timeout;
        let Some((scope, secrets)) = signed else {
            let answer = answer.map(|body| {
                let body = body.map_err(|error| failure::of(&error));
                Watched::response(body, deadline, pause, permit).boxed_unsync()
            });
            return Ok((answer, Box::new(async { Ok(()) })));
        };
        learn(scope, &answer);
        let token = secrets.token.as_deref().unwrap_or_default();
        mask_headers(answer.headers_mut(), &[&secrets.signature, token]);
        let answer = answer.map(|body| {
            let body = body.map_err(|error| failure::of(&error));
            let body = Masked::new(body, secrets.signature);
            Watched::response(body, deadline, pause, permit).boxed_unsync()
        });
        Ok((answer, Box::new(async { Ok(()) })))
    }

    /// Signs a request if the host signs for its endpoint; any other stays unchanged.
    async fn sign(
        &self,
        address: &Address,
        head: &mut http::request::Parts,
    ) -> Result<Option<(&Scope, Secrets)>, Error> {
        let mut refused = None;
        let limit = self.deadline.of_one_wait();
        for scope in self.network.scopes_of(address) {
            match sign(head, scope, Timestamp::now(), limit).await {
                Ok(secrets) => return Ok(Some((scope, secrets))),
                Err(Unsigned::Lacking(error)) => {
                    self.refusal.note(Refused::Unsigned(error));
                    return Err(Error::HttpRequestDenied);
                }
                Err(Unsigned::Refused(what)) => drop(refused.get_or_insert(what)),
                Err(Unsigned::Failed(error)) => return Err(error),
            }
        }
        let Some(what) = refused else { return Ok(None) };
        self.refusal.note_ungranted(what);
        Err(Error::HttpRequestDenied)
    }

    /// The timeout that the backend set for a pause of the service, reduced to less than its own
    /// time, so that the backend can still say what it waited for.
    fn limit(&self, asked: Option<Duration>) -> Option<Duration> {
        asked.map(|asked| asked.min(self.deadline.of_one_wait()))
    }
}

/// Scheme, host and port; the path and the query may be confidential.
fn asked(request: &Request<WasiBody>) -> String {
    let uri = request.uri();
    let mut asked = format!("{}://", uri.scheme_str().unwrap_or("https"));
    asked.extend(uri.authority().map_or("", |a| a.as_str()).chars().take(300));
    foreign(&asked)
}

/// Adopts the time of the service if a wrong time may be why it refused the signature.
fn learn<B>(scope: &Scope, answer: &Response<B>) {
    let is_refusal = matches!(
        answer.status(),
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    let date =
        answer.headers().get(DATE).filter(|_| is_refusal).and_then(|date| date.to_str().ok());
    if let Some(ahead) = scope.clock.learn(date, Timestamp::now()) {
        let address = &scope.address;
        tracing::warn!(
            "the clock of `{address}` is {ahead} s ahead of this machine's; requests are signed \
             by that clock"
        );
    }
}
