//! What operators ask a server for, on an address of its own: in S3 every path is a bucket's.

mod probe;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::service::service_fn;
use tokio::net::TcpListener;

use crate::limits::ServerLimits;
use crate::listen;
use crate::server::{Server, State};
use crate::stall::Stall;
use probe::Probe;

/// The format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/healthz` and `/metrics` for a [`Server`]. Whoever reaches its address may ask: it knows
/// no keys and has no TLS.
///
/// `/healthz` is 200 while the server serves and each of its stores answers, and else 503 with a text
/// that names the stores which do not. A store is asked for an artifact that it does not have, once
/// at a time, however many ask; it has 5 seconds to answer.
///
/// ```no_run
/// use artifact_store_server::{Admin, Buckets, Keys, Server};
/// use tokio::net::TcpListener;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let (buckets, keys) = (Buckets::new(), Keys::new());
/// # let render = || String::new();
/// let server = Server::new(buckets, keys);
/// // `render` writes what the application's recorder of `metrics` has.
/// let admin = Admin::new(&server).metrics(render);
/// let listener = TcpListener::bind("127.0.0.1:9000").await?;
/// let asked = TcpListener::bind("127.0.0.1:9001").await?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// tokio::select! {
///     served = server.serve(listener, stop) => served?,
///     failed = admin.serve(asked, std::future::pending()) => failed?,
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Admin(Arc<Answers>);

#[derive(Clone)]
struct Answers {
    state: Arc<State>,
    probes: Arc<BTreeMap<String, Probe>>,
    metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl Admin {
    /// Answers for this server and all of its clones.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        let stores = server.buckets().named();
        let probes = stores.map(|(name, store)| (name.to_owned(), Probe::new(store.clone())));
        let (state, probes) = (Arc::clone(server.state()), Arc::new(probes.collect()));
        Self(Arc::new(Answers { state, probes, metrics: None }))
    }

    /// The same with what `/metrics` answers: the text of Prometheus.
    #[must_use]
    pub fn metrics(self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(Answers { metrics: Some(Arc::new(render)), ..(*self.0).clone() }))
    }

    /// Answers until `stop` is ready. While the server stops, `/healthz` is 503: let this go on until
    /// the server has stopped.
    ///
    /// # Errors
    ///
    /// The listener fails for good.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let time = Duration::from_secs(10);
        let limits = ServerLimits::default().connections(64).head(8 << 10).patience(time);
        let limits = limits.header_timeout(time).answer_timeout(time);
        listen::listen(listener, &limits, stop, |stream, stopping| {
            let (answers, limits) = (Arc::clone(&self.0), limits.clone());
            async move {
                let service = service_fn(|request| {
                    let answers = Arc::clone(&answers);
                    async move { Ok::<_, Infallible>(answers.answer(&request).await) }
                });
                let stream = Stall::new(stream, limits.answer_timeout);
                listen::http(stream, &limits, stopping, service).await;
            }
        })
        .await
    }
}

impl Answers {
    async fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are answered\n".into());
        }
        match (request.uri().path(), &self.metrics) {
            ("/healthz", _) => self.health().await,
            ("/metrics", Some(render)) => {
                let mut answer = Response::new(render());
                let kind = HeaderValue::from_static(METRICS);
                answer.headers_mut().insert(header::CONTENT_TYPE, kind);
                answer
            }
            _ => text(StatusCode::NOT_FOUND, "there is `/healthz` and `/metrics`\n".into()),
        }
    }

    async fn health(&self) -> Response<String> {
        if !self.state.is_serving() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the server does not serve\n".into());
        }
        let asked = self.probes.iter().map(async |(name, probe)| {
            let why = probe.ask().await.err()?;
            Some(format!("store `{name}`: {why}\n"))
        });
        let away: String = join_all(asked).await.into_iter().flatten().collect();
        match away.is_empty() {
            true => text(StatusCode::OK, "ok\n".into()),
            false => text(StatusCode::SERVICE_UNAVAILABLE, away),
        }
    }
}

fn text(status: StatusCode, text: String) -> Response<String> {
    let mut answer = Response::new(text);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admin").field(&self.0.probes.keys()).finish()
    }
}
