//! Serving stores to clients of S3 and to build caches.

mod access;
mod metrics;
mod sockets;

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use artifact_store::{Configuration, Watch};
use artifact_store_server::{Admin, Buckets, Server, Tls};
use clap::{Args, ValueHint};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::message;
use crate::store::StoreArguments;
use access::Accepted;
use sockets::Place;

/// The bucket where there is no configuration.
const BUCKET: &str = "artifacts";

/// How often old uploads are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Serves stores to clients of S3, and to build caches over HTTP
///
/// Each store of --config is a bucket, and follows the configuration while it is served. Without a
/// configuration the store of --dir or --backend is the bucket `artifacts`.
///
/// With --http an artifact is http://ADDRESS:PORT/STORE/KEY, for ccache, sccache, Bazel, Gradle, Nix and
/// others. Its requests have the id and the secret of an access key as user and password, or the
/// secret as a bearer token.
///
/// Requests of S3 are signed with an access key: one of the tables `[serve.keys.NAME]` of the
/// configuration. Without such a table the key is that of the variables ARTIFACT_STORE_S3_KEY_ID and
/// ARTIFACT_STORE_S3_SECRET, or a new one that is shown on standard error; the server then listens
/// on a loopback address only.
///
/// SIGTERM and Ctrl-C end the server after the requests that have begun, at most 30 seconds later.
/// With -v each request is a line on standard error. docs/serve.md describes what is served.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store serve --s3 127.0.0.1:9000
  artifact-store --config stores.toml serve --s3 0.0.0.0:9000 --http 0.0.0.0:8080 -v
  artifact-store --config stores.toml serve --s3 0.0.0.0:9000 --tls-certificate s.pem --tls-key s.key
  AWS_ENDPOINT_URL=http://127.0.0.1:9000 aws s3 cp app.tar s3://artifacts/app.tar")]
pub struct Arguments {
    /// The address and port of the S3 server; port 0 is any free one, which is shown
    ///
    /// It is left out where systemd passes a socket.
    #[arg(long, value_name = "ADDRESS:PORT")]
    s3: Option<String>,

    /// The address and port of the HTTP server for build caches, likewise
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<String>,

    /// Store what --http gets as `cas/HEX` only if HEX is the SHA-256 of its bytes, as Bazel has it
    #[arg(long)]
    verify_cas: bool,

    /// Also answer /healthz and /metrics, without TLS and keys, at this address [default: `admin` of
    /// the configuration's table `serve`, if it has that]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<String>,

    /// Serve by TLS with the certificates in this PEM file, the server's own first [default: that of
    /// the configuration's table `serve.tls`, if it has one]
    ///
    /// A file that was replaced is read again without a restart.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// The PEM file of the certificate's private key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Remove uploads in parts to which nothing was added for this long
    #[arg(long, value_name = "AGE", default_value = "7days")]
    #[arg(value_parser = humantime::parse_duration)]
    sweep_uploads: Duration,
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<()> {
    permit_files();
    let Begun { accepted, tls, s3, http, admin } = interrupt.or(begin(store, &arguments)).await?;
    // What a store records before there is a recorder is lost.
    let recorded = admin.as_ref().map(|_| metrics::record()).transpose()?;
    // They are followed as long as they are served.
    let (buckets, _watches) = interrupt.or(open(store)).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address =
        |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
    let (s3_at, http_at) = (address(&s3)?, address(&http)?);
    if let Some(key) = &accepted.made {
        let (id, secret) = (key.id(), key.secret());
        if s3_at.is_some() {
            message::say(&format!("AWS_ACCESS_KEY_ID={id}"));
            message::say(&format!("AWS_SECRET_ACCESS_KEY={secret}"));
        }
        for (at, name) in http_at.iter().flat_map(|at| buckets.names().map(move |name| (at, name)))
        {
            message::say(&format!("{scheme}://{id}:{secret}@{at}/{name}"));
        }
    }
    let names = buckets.names().collect::<Vec<_>>().join("`, `");
    let mut server = Server::new(buckets, accepted.keys).verify_cas(arguments.verify_cas);
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    if let Some(admin) = &admin {
        message::print(&format!("/healthz and /metrics are at http://{}", admin.local_addr()?));
    }
    if let Some(at) = http_at {
        message::print(&format!("serving `{names}` to build caches on {scheme}://{at}"));
    }
    if let Some(at) = s3_at {
        message::print(&format!("serving `{names}` on {scheme}://{at}"));
    }
    let sweep = sweep(&server, arguments.sweep_uploads);
    let stop = async {
        tokio::select! {
            _ = interrupt.happened() => {}
            () = sweep => {}
        }
        sockets::tell("STOPPING=1");
    }
    .shared();
    let s3 = async {
        match s3 {
            Some(listener) => server.serve(listener, stop.clone()).await,
            None => Ok(()),
        }
    };
    let http = async {
        match http {
            Some(listener) => server.serve_http(listener, stop.clone()).await,
            None => Ok(()),
        }
    };
    let served = async { tokio::try_join!(s3, http).map(drop) };
    let answers = async {
        match (admin, recorded) {
            (Some(admin), Some(recorded)) => {
                Admin::new(&server).metrics(recorded).serve(admin, pending()).await
            }
            _ => pending().await,
        }
    };
    sockets::tell("READY=1");
    tokio::select! {
        // In this order: a server that answers about its health has begun.
        biased;
        served = served => served,
        failed = answers => failed,
    }
    .context("the server failed")
}

/// All that can be refused before a store is opened, and perhaps made.
struct Begun {
    accepted: Accepted,
    tls: Option<Tls>,
    s3: Option<TcpListener>,
    http: Option<TcpListener>,
    admin: Option<TcpListener>,
}

async fn begin(store: &StoreArguments, arguments: &Arguments) -> Result<Begun> {
    let configuration = match &store.config {
        Some(_) => Some(store.configuration().await?),
        None => None,
    };
    let configuration = configuration.as_ref();
    let mut passed = sockets::passed()?.name_only("s3");
    let s3 = passed.or("s3", arguments.s3.as_deref()).await?;
    let http = passed.or("http", arguments.http.as_deref()).await?;
    if s3.is_none() && http.is_none() {
        let text = "the address is missing: --s3 ADDRESS:PORT or --http ADDRESS:PORT";
        return Err(Usage(text.into()).into());
    }
    if http.is_none() && arguments.verify_cas {
        return Err(Usage("`--verify-cas` is for what --http gets".into()).into());
    }
    let mut beyond = None;
    for place in s3.iter().chain(&http) {
        beyond = beyond.or(place.beyond_loopback()?);
    }
    let admin = arguments.admin.as_deref();
    let admin = admin.or_else(|| configuration.and_then(Configuration::serve_admin));
    let admin = passed.or("admin", admin).await?;
    passed.finish()?;
    let accepted = match configuration.map(access::configured).transpose()?.flatten() {
        Some(keys) => Accepted { keys, made: None },
        None => match beyond {
            Some(address) => {
                return Err(Usage(format!(
                    "`{address}` is no loopback address: the server listens on another one only \
                     if the configuration names its keys, in tables `[serve.keys.NAME]`"
                ))
                .into());
            }
            None => access::own_key()?,
        },
    };
    let tls = tls(arguments, configuration).await?;
    let (s3, http, admin) = (listen(s3).await?, listen(http).await?, listen(admin).await?);
    Ok(Begun { accepted, tls, s3, http, admin })
}

async fn listen(place: Option<Place>) -> Result<Option<TcpListener>> {
    match place {
        Some(place) => place.listen().await.map(Some),
        None => Ok(None),
    }
}

/// The certificate of the command line, or else that of the configuration.
async fn tls(arguments: &Arguments, file: Option<&Configuration>) -> Result<Option<Tls>> {
    let configured = || file?.serve_tls().map(|tls| (tls.certificate(), tls.key()));
    let named = arguments.tls_certificate.as_deref().zip(arguments.tls_key.as_deref());
    match named.or_else(configured) {
        Some((certificate, key)) => Ok(Some(Tls::from_files(certificate, key).await?)),
        None => Ok(None),
    }
}

/// The stores, by the names of their buckets.
async fn open(store: &StoreArguments) -> Result<(Buckets, Vec<Watch>)> {
    let (mut buckets, mut watches) = (Buckets::new(), Vec::new());
    let Some(file) = &store.config else {
        let (opened, dirs) = store.create().await?;
        dirs.keep();
        return Ok((buckets.with(BUCKET, opened)?, watches));
    };
    for (name, store, watch) in store.watched(file).await? {
        buckets = buckets.with(name, store)?;
        watches.push(watch);
    }
    Ok((buckets, watches))
}

/// Removes old uploads now and then. It never ends.
async fn sweep(server: &Server, age: Duration) {
    loop {
        if let Err(error) = server.sweep_uploads(age).await {
            message::print(&format!("cannot sweep old uploads: {error}"));
        }
        sleep(SWEEP_EVERY).await;
    }
}

/// Each connection and each open artifact is a file of the process.
fn permit_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Where this is not permitted, fewer clients are served at once.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
