//! Connections: how they are made and verified, and the pool that keeps them.

use std::path::PathBuf;
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use wasmtime_wasi_http::WasiBody;

use super::connect::{Resolver, Route, Timely};
use crate::error::LoadError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Many servers close theirs after a minute.
const IDLE: Duration = Duration::from_secs(50);

/// The most bytes, and lines, of a response's header.
const HEADER: usize = 256 * 1024;
const HEADER_LINES: usize = 200;

/// Makes connections, and keeps them for later requests.
pub(super) struct Client {
    pool: legacy::Client<Timely<HttpsConnector<Route>>, WasiBody>,
}

impl Client {
    pub(super) fn new(authorities: &[PathBuf], proxy: Option<&str>) -> Result<Self, LoadError> {
        let tls = tls(authorities)?;
        let proxy = proxy.map(proxy_uri).transpose()?;
        // If there is a proxy, it looks up the name of the endpoint.
        let mut tcp = HttpConnector::new_with_resolver(Resolver { is_trusted: proxy.is_some() });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let https = https.enable_http1().wrap_connector(Route { tcp, proxy });
        let mut pool = legacy::Client::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_headers(HEADER_LINES)
            .http1_max_buf_size(HEADER);
        Ok(Self { pool: pool.build(Timely { inner: https, limit: CONNECT }) })
    }

    /// Sends a request. Redirects are not followed: their target is not granted.
    pub(super) async fn send(
        &self,
        request: Request<WasiBody>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        self.pool.request(request).await
    }
}

fn proxy_uri(proxy: &str) -> Result<Uri, LoadError> {
    let uri = proxy.parse::<Uri>().ok();
    let is_plain = |uri: &Uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    uri.filter(is_plain).ok_or_else(|| LoadError::Network {
        what: "the proxy".into(),
        source: "it must have the form `http://host:port`, without a user".into(),
    })
}

/// Trusts the authorities of the system and those of the operator.
fn tls(authorities: &[PathBuf]) -> Result<ClientConfig, LoadError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!("a certificate of the system is ignored: {error}");
    }
    roots.add_parsable_certificates(native.certs);
    for file in authorities {
        let wrong = |source: Box<dyn std::error::Error + Send + Sync>| LoadError::Network {
            what: format!("the certificate authority in `{}`", file.display()),
            source,
        };
        let pem = crate::file::read(file).map_err(|e| wrong(e.into()))?;
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|e| wrong(e.into()))?;
            roots.add(certificate).map_err(|e| wrong(e.into()))?;
            count += 1;
        }
        if count == 0 {
            return Err(wrong("it has no PEM certificate".into()));
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions =
        versions.map_err(|e| LoadError::Network { what: "TLS".into(), source: e.into() })?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
