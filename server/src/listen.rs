//! Connections: accepting them, and HTTP on them.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::limits::ServerLimits;

/// Has changed once the server is to stop.
pub(crate) type Stopping = watch::Receiver<()>;

/// Accepts connections and serves each, until `stop` is ready. Nothing of it runs any more when this
/// returns.
pub(crate) async fn listen<F>(
    listener: TcpListener,
    limits: &ServerLimits,
    stop: impl Future<Output = ()>,
    serve: impl Fn(TcpStream, Stopping) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stopped, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let outcome = loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        tokio::select! {
            biased;
            () = &mut stop => break Ok(()),
            // What is over keeps no memory.
            Some(_) = connections.join_next() => {}
            (accepted, place) = accepted => match accepted {
                Ok((stream, _)) => {
                    // Small answers are not held back.
                    let _ = stream.set_nodelay(true);
                    let connection = serve(stream, stopping.clone());
                    connections.spawn(async move {
                        let _place = place;
                        connection.await;
                    });
                }
                Err(error) if is_passing(&error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop((listener, stopped));
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.patience, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests are cut off");
        connections.shutdown().await;
    }
    outcome
}

/// Whether a later connection may be accepted: it was this one's fault, or there are too many.
fn is_passing(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidInput)
}

/// Answers the requests on one connection. At a stop the one that has begun is the last.
pub(crate) async fn http<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    limits: &ServerLimits,
    mut stopping: Stopping,
    service: impl Service<
        Request<Incoming>,
        Response = Response<B>,
        Error: Into<Box<dyn Error + Send + Sync>>,
    >,
) where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder.max_buf_size(limits.head.max(8 << 10));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        // An error means the same: the server has stopped.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection was cut");
    }
}
