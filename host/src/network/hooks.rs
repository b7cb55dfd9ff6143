//! What happens to each request of a backend: allowed or refused, signed, sent, watched.

use std::sync::{Arc, Mutex};

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::Watched;
use super::{Address, Network, failure, sign};
use crate::budget::Deadline;
use crate::text::foreign;

/// The most that a request's URL may take up.
const URL: usize = 16 * 1024;

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// The requests of one instance.
pub(crate) struct Hooks {
    network: Arc<Network>,
    /// Of the call that runs now: bytes that move are progress.
    pub(crate) deadline: Arc<Deadline>,
    /// What was asked for in this call and is not granted.
    refused: Arc<Mutex<Option<String>>>,
}

impl Hooks {
    pub(crate) fn new(network: Arc<Network>, deadline: Arc<Deadline>) -> Self {
        Self { network, deadline, refused: Arc::default() }
    }

    /// What was asked for since the last time, and refused.
    pub(crate) fn take_refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(|e| e.into_inner()).take()
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (network, deadline) = (Arc::clone(&self.network), Arc::clone(&self.deadline));
        let address = Address::of(request.uri());
        let granted = address.filter(|address| network.client_for(address).is_some());
        let Some(address) = granted else {
            let asked = asked(&request);
            let mut refused = self.refused.lock().unwrap_or_else(|e| e.into_inner());
            // One warning a call, however often it asks.
            if refused.is_none() {
                tracing::warn!("a backend asked for `{asked}`, which is not granted");
            }
            *refused = Some(asked);
            return Box::new(async { Err(Error::HttpRequestDenied) });
        };
        Box::new(async move { send(&network, &address, request, options, deadline).await })
    }
}

/// Scheme, host and port; a path or query may hold what is nobody's business.
fn asked(request: &Request<WasiBody>) -> String {
    let uri = request.uri();
    let mut asked = format!("{}://", uri.scheme_str().unwrap_or("https"));
    asked.extend(uri.authority().map_or("", |a| a.as_str()).chars().take(300));
    foreign(&asked)
}

async fn send(
    network: &Network,
    address: &Address,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
    deadline: Arc<Deadline>,
) -> Sent {
    if request.uri().to_string().len() > URL {
        return Err(Error::HttpRequestUriTooLong);
    }
    let permit = Arc::clone(&network.free).acquire_owned().await;
    let permit = permit.map_err(|_| Error::ConnectionLimitReached)?;
    let (mut head, body) = request.into_parts();
    // One spelling, which is also the one that is signed.
    let host = HeaderValue::from_str(&address.host_header());
    head.headers.insert(HOST, host.map_err(|_| Error::HttpRequestUriInvalid)?);
    if let Some(signing) = network.signing_for(address) {
        sign::sign(&mut head, address, signing, jiff::Timestamp::now())?;
    }
    let body = Watched::request(body, Arc::clone(&deadline)).boxed_unsync();
    let client = network.client_for(address).ok_or(Error::HttpRequestDenied)?;
    let response = client.send(Request::from_parts(head, body));
    let response = match options.and_then(|options| options.first_byte_timeout) {
        None => response.await,
        Some(limit) => {
            let timely = tokio::time::timeout(limit, response).await;
            timely.map_err(|_| Error::ConnectionReadTimeout)?
        }
    };
    let response = response.map_err(|error| failure::of(&error))?;
    let pause = options.and_then(|options| options.between_bytes_timeout);
    let response = response.map(|body| {
        let body = body.map_err(|error| failure::of(&error));
        Watched::response(body, deadline, pause, permit).boxed_unsync()
    });
    Ok((response, Box::new(async { Ok(()) })))
}
