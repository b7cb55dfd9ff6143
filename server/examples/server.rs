//! Stores as an application serves them: one process with S3, plain HTTP for build caches, and
//! metrics for Prometheus. Each store of the configuration is a bucket and follows the file: an
//! edited configuration or a replaced component takes over while it serves. Ctrl-C finishes the
//! requests in flight.
//! `cargo run --example server -- stores.toml`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Configuration, SwapOptions};
use artifact_store_server::{Buckets, Key, Keys, Server, ServerLimits};
use axum::{Router, routing::get};
use clap::Parser;
use futures::FutureExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

/// Serves the stores of a configuration
#[derive(Parser)]
struct Arguments {
    /// The configuration, with a table `[serve.keys.NAME]` for each key of access
    config: PathBuf,

    #[arg(long, default_value = "127.0.0.1:9000")]
    s3: SocketAddr,

    #[arg(long, default_value = "127.0.0.1:8080")]
    http: SocketAddr,

    /// Where Prometheus finds /metrics
    #[arg(long, default_value = "127.0.0.1:9090")]
    metrics: SocketAddr,
}

fn main() -> Result<()> {
    // Components that are not built in are compiled by this program in a process of its own.
    artifact_store::Engine::compile_in_child();
    serve(Arguments::parse())
}

#[tokio::main]
async fn serve(arguments: Arguments) -> Result<()> {
    tracing_subscriber::fmt().compact().with_writer(std::io::stderr).init();
    // Before the stores open, so that it counts from the start.
    let metrics = recorder()?;
    let configuration = Configuration::from_file(&arguments.config)?;
    let (mut buckets, mut watches) = (Buckets::new(), Vec::new());
    for name in configuration.stores() {
        let options = SwapOptions::default();
        let (store, watch) = ArtifactStore::open_watched(&arguments.config, name, options).await?;
        buckets = buckets.with(name, store)?;
        // Dropped, it follows no longer.
        watches.push(watch);
    }
    let mut keys = Keys::new();
    for key in configuration.serve_keys() {
        let accepted = Key::new(key.id(), key.secret()?).access(key.access());
        keys = keys.with(match key.buckets() {
            Some(buckets) => accepted.buckets(buckets),
            None => accepted,
        });
    }
    let limits = ServerLimits::default().patience(Duration::from_secs(10));
    let server = Server::new(buckets, keys).limits(limits);
    let stop = async { drop(tokio::signal::ctrl_c().await) }.shared();
    let bind = async |address| TcpListener::bind(address).await.context("cannot listen");
    let scraped = Router::new().route("/metrics", get(async move || metrics.render()));
    let scraped = axum::serve(bind(arguments.metrics).await?, scraped);
    tokio::try_join!(
        server.serve(bind(arguments.s3).await?, stop.clone()),
        server.serve_http(bind(arguments.http).await?, stop.clone()),
        async { scraped.with_graceful_shutdown(stop.clone()).await },
    )?;
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
