//! An HTTP server over a store, as an application would embed one:
//!
//! - `PUT /artifacts/{key}` stores the body (`If-None-Match: *` only where there is nothing yet),
//!   `GET` (with `Range`, `If-None-Match` and `If-Range`), `HEAD` and `DELETE` do what they say.
//!   The key is percent-encoded: `/artifacts/a%2F..%2Fb` and `/artifacts/a/../b` are one artifact.
//! - `GET /artifacts?prefix=builds/` lists: a JSON object on each line.
//! - `GET /metrics` is what Prometheus scrapes.
//!
//! With `--config` the store is one of a configuration file, and follows it: an edited configuration
//! or a replaced component takes over while it serves. SIGTERM and Ctrl-C finish the requests in flight.
//! `cargo run --example server -- --listen 127.0.0.1:8080 --dir artifacts`
#![allow(clippy::print_stdout, reason = "whoever asked for port 0 has to learn which it is")]

mod range;
mod routes;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, SwapOptions, Watch};
use clap::Parser;
use futures::FutureExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing::{info, warn};

/// How long requests in flight may go on when the server is asked to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves artifacts over HTTP
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// The directory of the built-in backend
    #[arg(long, default_value = "artifacts")]
    dir: PathBuf,

    /// A configuration file, which is watched; it takes the place of the directory
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    config: Option<PathBuf>,

    /// Which store of that file
    #[arg(long, value_name = "NAME", default_value = "main", requires = "config")]
    store: String,
}

impl Arguments {
    /// The store, and what keeps it in step with its configuration.
    async fn open(&self) -> Result<(ArtifactStore, Option<Watch>)> {
        let Some(file) = &self.config else {
            return Ok((ArtifactStore::open_dir(&self.dir).await?, None));
        };
        let options = SwapOptions::default();
        let (store, watch) = ArtifactStore::open_watched(file, &self.store, options).await?;
        Ok((store, Some(watch)))
    }
}

fn main() -> Result<()> {
    // Components that are not built in are compiled by this program in a process of its own.
    artifact_store::Engine::compile_in_child();
    serve(Arguments::parse())
}

#[tokio::main]
async fn serve(arguments: Arguments) -> Result<()> {
    tracing_subscriber::fmt().compact().with_writer(std::io::stderr).init();
    // Before the store opens, so that it counts from the start.
    let metrics = recorder()?;
    let (store, _watch) = arguments.open().await?;
    let listener = TcpListener::bind(arguments.listen).await.context("cannot listen")?;
    println!("listening on http://{}", listener.local_addr()?);

    let stop = stop_signal().shared();
    let server = axum::serve(listener, routes::all(store, metrics));
    let server = server.with_graceful_shutdown(stop.clone());
    let too_long = async {
        stop.await;
        info!("finishing the requests in flight");
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        served = server => served.context("the server failed")?,
        () = too_long => warn!("some requests took too long and were cut off"),
    }
    Ok(())
}

fn recorder() -> Result<PrometheusHandle> {
    let seconds = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
    let duration = Matcher::Full("artifact_store_call_duration_seconds".into());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(duration, &seconds)?;
    let handle = builder.install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Resolves when the server is to stop.
async fn stop_signal() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(error) => warn!("cannot listen for SIGTERM: {error}"),
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        () = terminated => (),
    }
}
