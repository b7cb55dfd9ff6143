//! TLS with a certificate from files, which are read again when they change.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use artifact_store::WatchedFiles;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as RustlsError, ServerConfig};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::telemetry;

/// A certificate with its key, from PEM files. While a [`Server`](crate::Server) uses it, files that
/// were replaced are read again: new connections then have the new certificate, and open ones go on.
/// If the new files cannot be used, the old certificate stays, which is logged.
///
/// ```no_run
/// use artifact_store_server::{Buckets, Keys, Server, Tls};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let (buckets, keys) = (Buckets::new(), Keys::new());
/// let tls = Tls::from_files("/etc/tls/server.pem", "/etc/tls/server.key").await?;
/// let server = Server::new(buckets, keys).tls(tls);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    config: ArcSwap<ServerConfig>,
    /// Who has it follows the files: one of the servers.
    followed: Mutex<Followed>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

struct Followed {
    watched: WatchedFiles,
    /// The files of the certificate that is used.
    used: Pem,
    /// Why those that are there now are not, once that is logged.
    refused: Option<String>,
}

/// The contents of both files.
#[derive(PartialEq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Why no certificate can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or its PEM is damaged.
    #[error("`{}` is no valid PEM", .0.display())]
    Pem(PathBuf),
    /// The file of the certificate has none.
    #[error("`{}` has no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The file of the key has none.
    #[error("`{}` has no private key that can be read without a password", .0.display())]
    NoKey(PathBuf),
    /// The key is that of another certificate.
    #[error(
        "the key in `{}` does not belong to the first certificate in `{}`",
        key.display(),
        certificate.display()
    )]
    OtherKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate or the key is of a kind that cannot be used.
    #[error("cannot use `{}` with the key in `{}`: {reason}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Tls {
    /// The server's certificate, before the authorities that link it to a root, and its key. Both
    /// may be in one file.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file that cannot be used.
    pub async fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.into(), key: key.into() };
        let mut watched = WatchedFiles::new([&files.certificate, &files.key]);
        let used = files.read(&mut watched).await?;
        let config = ArcSwap::from_pointee(files.config(&used)?);
        let followed = Mutex::new(Followed { watched, used, refused: None });
        Ok(Self(Arc::new(Shared { files, config, followed })))
    }

    /// A connection, once its client and this server know each other's keys.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(self.0.config.load_full()).accept(stream).await
    }

    /// Takes what the files have when they change.
    pub(crate) async fn follow(&self) -> Infallible {
        let mut followed = self.0.followed.lock().await;
        telemetry::certificate(true);
        loop {
            followed.watched.changed().await;
            self.look(&mut followed).await;
        }
    }

    async fn look(&self, followed: &mut Followed) {
        let Shared { files, config, .. } = &*self.0;
        let file = files.certificate.display();
        let outcome = files.read(&mut followed.watched).await.and_then(|pem| {
            let is_new = pem != followed.used;
            is_new.then(|| Ok((files.config(&pem)?, pem))).transpose()
        });
        match outcome {
            Ok(Some((fresh, pem))) => {
                config.store(Arc::new(fresh));
                (followed.used, followed.refused) = (pem, None);
                tracing::info!(%file, "new connections have the new certificate");
            }
            Ok(None) if followed.refused.take().is_some() => {
                tracing::info!(%file, "the file has the certificate that is used, again");
            }
            Ok(None) => {}
            Err(error) => {
                let error = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                // Each reason is logged once, however often the files are looked at.
                if followed.refused.as_ref() != Some(&error) {
                    tracing::warn!(error, "the old certificate stays: the new one was refused");
                    followed.refused = Some(error);
                }
            }
        }
        telemetry::certificate(followed.refused.is_none());
    }
}

impl Files {
    async fn read(&self, watched: &mut WatchedFiles) -> Result<Pem, TlsError> {
        let mut contents = watched.read().await.into_iter();
        let mut next = |file: &PathBuf| match contents.next() {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(source)) => Err(TlsError::Read { file: file.clone(), source }),
            // There is one for each file.
            None => Ok(Vec::new()),
        };
        Ok(Pem { certificate: next(&self.certificate)?, key: next(&self.key)? })
    }

    fn config(&self, pem: &Pem) -> Result<ServerConfig, TlsError> {
        let (certificate, key) = (&self.certificate, &self.key);
        let chain = CertificateDer::pem_slice_iter(&pem.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| TlsError::Pem(certificate.clone()))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.clone()));
        }
        let private = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| match error {
            PemError::NoItemsFound => TlsError::NoKey(key.clone()),
            _ => TlsError::Pem(key.clone()),
        })?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|it| it.with_no_client_auth().with_single_cert(chain, private));
        let mut config = config.map_err(|error| {
            let (certificate, key) = (certificate.clone(), key.clone());
            match error {
                RustlsError::InconsistentKeys(_) => TlsError::OtherKey { certificate, key },
                error => TlsError::Unusable { certificate, key, reason: error.to_string() },
            }
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Files { certificate, key } = &self.0.files;
        f.debug_struct("Tls").field("certificate", certificate).field("key", key).finish()
    }
}
