//! The server of S3: what it serves, and its requests.

use std::fmt;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::body::{Announced, Received, Sent};
use crate::buckets::Buckets;
use crate::front;
use crate::http::Http;
use crate::keys::Keys;
use crate::limits::ServerLimits;
use crate::listen::{self, Stopping};
use crate::log::Entry;
use crate::ops::uploads::sweep;
use crate::rechunk::Rechunk;
use crate::served::{Completing, Service};
use crate::stall::Stall;
use crate::telemetry;
use crate::tls::Tls;
use crate::unquoted;

/// Serves buckets to clients of S3, and of plain HTTP. Clones serve the same.
///
/// ```no_run
/// use artifact_store::ArtifactStore;
/// use artifact_store_server::{Buckets, Key, Keys, Server};
/// use tokio::net::TcpListener;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let store = ArtifactStore::open_dir("artifacts").await?;
/// let buckets = Buckets::new().with("artifacts", store)?;
/// let keys = Keys::new().with(Key::new("ci", std::env::var("CI_SECRET")?));
/// let listener = TcpListener::bind("127.0.0.1:9000").await?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// Server::new(buckets, keys).serve(listener, stop).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Server {
    buckets: Buckets,
    keys: Keys,
    limits: ServerLimits,
    verify_cas: bool,
    tls: Option<Tls>,
    /// Shared by clones.
    state: Arc<State>,
    completing: Completing,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (buckets, limits) = (&self.buckets, &self.limits);
        f.debug_struct("Server").field("buckets", buckets).field("limits", limits).finish()
    }
}

impl Server {
    /// Serves these buckets to the holders of these keys.
    #[must_use]
    pub fn new(buckets: Buckets, keys: Keys) -> Self {
        let (limits, state) = (ServerLimits::default(), Arc::default());
        let completing = Completing::default();
        Self { buckets, keys, limits, verify_cas: false, tls: None, state, completing }
    }

    /// The same with other limits.
    #[must_use]
    pub fn limits(self, limits: ServerLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same where a PUT of plain HTTP to a key that is `cas/HEX`, or ends in `/cas/HEX`, is
    /// stored only if HEX is the SHA-256 of its bytes, as Bazel has it. Default: no.
    #[must_use]
    pub fn verify_cas(self, verify_cas: bool) -> Self {
        Self { verify_cas, ..self }
    }

    /// The same by TLS, and not without it.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Serves S3 until `stop` is ready, then lets requests that have begun end, within
    /// [`ServerLimits::patience`]. Nothing of it runs any more when this returns.
    ///
    /// # Errors
    ///
    /// The listener fails for good.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.connections(Protocol::S3(self.service()), listener, stop).await
    }

    /// The same for plain HTTP, as build caches speak it: an artifact is `/BUCKET/KEY`.
    ///
    /// # Errors
    ///
    /// The listener fails for good.
    pub async fn serve_http(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let service = self.served();
        let (keys, verify_cas) = (self.keys.clone(), self.verify_cas);
        self.connections(Protocol::Http(Http { service, keys, verify_cas }), listener, stop).await
    }

    /// Serves all connections to the listener.
    async fn connections(
        &self,
        protocol: Protocol,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        telemetry::describe();
        let serving = Serving { protocol, tls: self.tls.clone(), limits: self.limits.clone() };
        let begun = self.state.begin();
        let stop = async {
            stop.await;
            drop(begun);
        };
        let followed = async {
            match &self.tls {
                Some(tls) => tls.follow().await,
                None => pending().await,
            }
        };
        let served = listen::listen(listener, &self.limits, stop, |stream, stopping| {
            serving.clone().connection(stream, stopping)
        });
        tokio::select! {
            served = served => served,
            never = followed => match never {},
        }
    }

    /// Removes the uploads in parts to which nothing was added for `age`, in all buckets. How many
    /// there were.
    ///
    /// # Errors
    ///
    /// The first failure, with its bucket. All else has been swept.
    pub async fn sweep_uploads(&self, age: Duration) -> io::Result<u64> {
        let (mut all, mut failure) = (0, None);
        for (name, store) in self.buckets.named() {
            let (removed, failed) = sweep::sweep(store, age).await;
            all += removed;
            if let Some(error) = failed {
                let text = error.message().unwrap_or_else(|| error.code().as_str());
                failure.get_or_insert_with(|| io::Error::other(format!("bucket `{name}`: {text}")));
            }
        }
        failure.map_or(Ok(all), Err)
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    fn served(&self) -> Service {
        let (answer_after, completing) = (self.limits.answer_after, self.completing.clone());
        Service::new(self.buckets.clone(), answer_after, completing)
    }

    fn service(&self) -> S3Service {
        let service = self.served();
        let mut builder = S3ServiceBuilder::new(service);
        builder.set_auth(self.keys.clone());
        builder.set_access(self.keys.clone());
        let mut config = S3Config::default();
        config.xml_max_body_size = front::DOCUMENT;
        // Forms are refused before they are read.
        config.post_object_max_file_size = 0;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.build()
    }
}

/// What is spoken on a connection.
#[derive(Clone)]
enum Protocol {
    S3(S3Service),
    Http(Http),
}

impl Protocol {
    /// For a body in the chunks of S3.
    fn rechunk(&self, request: &Request<Incoming>) -> Option<Rechunk> {
        match self {
            Self::S3(_) => Rechunk::of(request.headers()),
            Self::Http(_) => None,
        }
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, HttpError> {
        match self {
            Self::S3(service) => match front::refuse(&request) {
                Some(error) => error.to_http_response().map_err(|e| HttpError::new(Box::new(e))),
                None if unquoted::is_asked(&request) => {
                    service.call(request).await.map(unquoted::unquote)
                }
                None => service.call(request).await,
            },
            Self::Http(http) => Ok(http.answer(request).await),
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Serving {
    protocol: Protocol,
    tls: Option<Tls>,
    limits: ServerLimits,
}

impl Serving {
    async fn connection(self, stream: TcpStream, mut stopping: Stopping) {
        let _open = telemetry::Open::new();
        let stream = Stall::new(stream, self.limits.answer_timeout);
        let Some(tls) = &self.tls else { return self.http(stream, stopping).await };
        let handshake = timeout(self.limits.handshake_timeout, tls.accept(stream));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            // Nothing of a request is there yet.
            _ = stopping.changed() => return,
        };
        match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => self.http(stream, stopping).await,
            Err(error) => {
                telemetry::handshake_failed();
                tracing::debug!(%error, "a handshake failed");
            }
        }
    }

    async fn http(&self, stream: impl AsyncRead + AsyncWrite + Unpin, stopping: Stopping) {
        let service = service_fn(|request| self.answer(request));
        listen::http(stream, &self.limits, stopping, service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Sent>, HttpError> {
        let entry = Arc::new(Entry::new(request.method().clone()));
        let rechunk = self.protocol.rechunk(&request);
        let announced = Announced::by(request.headers());
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Arc::clone(&entry));
        let body = Received::new(body, self.limits.body_timeout, Arc::clone(&entry), rechunk);
        let request = Request::from_parts(parts, Body::http_body(body));
        let mut response = self.protocol.answer(request).await?;
        if let Ok(id) = HeaderValue::from_str(entry.id()) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        // A client that does not know of it sends its next request to nobody.
        if !response.status().is_success() && announced.ends_connection(entry.received_so_far()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        entry.answer(&response);
        Ok(response.map(|body| Sent::new(body, entry)))
    }
}

/// Whether a server serves, for those who ask.
#[derive(Default)]
pub(crate) struct State(AtomicUsize);

impl State {
    pub(crate) fn is_serving(&self) -> bool {
        self.0.load(Relaxed) > 0
    }

    fn begin(self: &Arc<Self>) -> Begun {
        self.0.fetch_add(1, Relaxed);
        Begun(Arc::clone(self))
    }
}

/// It serves until this is dropped.
struct Begun(Arc<State>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}
