#[cfg(feature = "network")]
mod bucket;
#[cfg(feature = "network")]
mod credentials;

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "network")]
pub(crate) use bucket::BucketProblem;
#[cfg(feature = "network")]
pub use bucket::S3Bucket;
#[cfg(feature = "network")]
pub use credentials::S3Credentials;

/// Requests for this part of a bucket are signed by the host.
#[cfg(feature = "network")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signing {
    pub(crate) bucket: S3Bucket,
    pub(crate) credentials: S3Credentials,
}

/// What a backend may touch. Nothing is granted by default: a component without grants can
/// compute, read clocks and draw random numbers, and reach no file, no variable and no network.
///
/// ```
/// use artifact_store::Grants;
///
/// let grants = Grants::none()
///     .read_write("/var/lib/artifacts", "/")
///     .read_only("/etc/store", "/config")
///     .env("REGION", "eu-west-1");
/// # let _ = grants;
/// ```
///
/// A backend can rename, replace and link what lies below a directory that it may write. So these
/// have to be apart, which is checked when the backend is loaded
/// ([`LoadError::Overlap`](crate::LoadError::Overlap)):
///
/// - A directory that a backend may write neither holds another granted directory nor lies in one:
///   of the same backend, of another store of its configuration, or of a backend that is open in
///   this process. Two backends may have the same directory, and two open stores of the built-in
///   ones may have nested ones.
/// - No granted directory is found through a symbolic link that lies in a directory which a backend
///   may write.
/// - A directory that a backend other than the built-in ones may write holds neither the
///   configuration, nor the file of a component or of a certificate authority, nor a cache of
///   compiled code, be it in use or not, nor what the engine
///   [protects](crate::EngineBuilder::protect). What nobody can tell, such as the layers of an
///   overlay that has them by relative paths, counts as if it were so.
/// - No directory of a backend other than the built-in ones shows the processes of the system, as
///   `/proc` does.
///
/// Paths are compared as the system sees them: links, `..`, bind mounts and the case of letters make
/// no difference.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub(crate) directories: Vec<Directory>,
    pub(crate) env: Vec<(String, String)>,
    #[cfg(feature = "network")]
    pub(crate) endpoints: Vec<String>,
    #[cfg(feature = "network")]
    pub(crate) signing: Vec<Signing>,
    #[cfg(feature = "network")]
    pub(crate) authorities: Vec<PathBuf>,
    #[cfg(feature = "network")]
    pub(crate) proxy: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) writable: bool,
}

impl Grants {
    /// No access at all; the start of every grant.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Opens the existing directory `host` and all below it, to be read, written, created
    /// and removed; the component sees it as `guest` (an absolute path such as `/`). Links
    /// that lead out of it are not followed.
    ///
    /// The directory is opened once, when the backend is loaded. Whatever its path names later,
    /// the backend goes on with this one.
    #[must_use]
    pub fn read_write(self, host: impl AsRef<Path>, guest: impl Into<String>) -> Self {
        self.directory(host.as_ref(), guest.into(), true)
    }

    /// Opens the existing directory `host` and all below it for reading only; the component
    /// sees it as `guest`. Every attempt to change something fails inside the component.
    #[must_use]
    pub fn read_only(self, host: impl AsRef<Path>, guest: impl Into<String>) -> Self {
        self.directory(host.as_ref(), guest.into(), false)
    }

    /// Sets one environment variable. The component sees these only, never the environment
    /// of the host process. Values are kept out of `Debug` output and messages.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same with `dir` in the place of every directory that may be written to. The backend
    /// sees it where it saw the first of those, or as `/`.
    #[cfg(feature = "conformance")]
    pub(crate) fn only(mut self, dir: &Path) -> Self {
        let first = self.directories.iter().find(|granted| granted.writable);
        let guest = first.map_or("/".to_owned(), |granted| granted.guest.clone());
        self.directories.retain(|granted| !granted.writable);
        self.read_write(dir, guest)
    }

    /// All that is in either of the two.
    #[cfg(all(feature = "config", feature = "network"))]
    pub(crate) fn and(mut self, other: Self) -> Self {
        let Self { directories, env, endpoints, signing, authorities, proxy } = other;
        self.directories.extend(directories);
        self.env.extend(env);
        self.endpoints.extend(endpoints);
        self.signing.extend(signing);
        self.authorities.extend(authorities);
        self.proxy = proxy.or(self.proxy);
        self
    }

    fn directory(mut self, host: &Path, guest: String, writable: bool) -> Self {
        self.directories.push(Directory { host: host.into(), guest, writable });
        self
    }
}

/// The network, with the cargo feature `network`, which is on by default.
#[cfg(feature = "network")]
impl Grants {
    /// Opens the network to one endpoint: `https://host[:port]` or `http://host[:port]`, through
    /// `wasi:http`. It stands for exactly this scheme, host and port; a request to any other is
    /// refused and named in the error, and no redirect is followed. Raw sockets are never open.
    ///
    /// A name stands for public and private addresses. One that leads to this machine, to its link
    /// (such as 169.254.169.254) or to a cloud's service for machines is refused when it is looked
    /// up, since whoever serves the name decides where it leads; grant such an address as a number.
    /// Only `localhost` is this machine.
    ///
    /// Certificates are compared with the system's authorities and those of
    /// [`certificate_authority`](Self::certificate_authority). An endpoint that makes no sense is
    /// reported when the backend is opened, as [`LoadError::Network`](crate::LoadError::Network).
    ///
    /// ```
    /// use artifact_store::Grants;
    ///
    /// let grants = Grants::none().connect("https://s3.eu-west-1.amazonaws.com");
    /// # let _ = grants;
    /// ```
    #[must_use]
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// Opens the network to the service of `bucket`, and signs the requests to it with these
    /// credentials (AWS Signature Version 4 in the header `Authorization`, with an unsigned
    /// payload). The backend sends its requests unsigned and never sees the secret; a signature
    /// that it made itself is replaced.
    ///
    /// Signed is what a store needs in this bucket, below its prefix: to read, store, copy and
    /// delete an object, to store one in parts, to list objects and unfinished uploads. Every other
    /// request to this service is refused, whatever the credentials would allow, and the error
    /// names it. The answer shows the backend no signature.
    ///
    /// ```
    /// use artifact_store::{Grants, S3Bucket, S3Credentials};
    ///
    /// let bucket = S3Bucket::new("https://s3.example.org", "artifacts").prefix("team/a");
    /// let grants = Grants::none().sign_s3(bucket, S3Credentials::new("AKIAEXAMPLE", "hush"));
    /// assert!(!format!("{grants:?}").contains("hush"));
    /// ```
    #[must_use]
    pub fn sign_s3(mut self, bucket: S3Bucket, credentials: S3Credentials) -> Self {
        self.signing.push(Signing { bucket, credentials });
        self
    }

    /// Trusts the certificate authorities in `file` (PEM) besides the system's own; for services
    /// with a private one.
    #[must_use]
    pub fn certificate_authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(file.into());
        self
    }

    /// Makes all connections through this HTTP proxy, `http://host:port`, by `CONNECT`. Without it
    /// connections are direct: neither a variable of the process nor the backend can name a proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<String>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        let mut shown = f.debug_struct("Grants");
        shown.field("directories", &self.directories).field("env", &names);
        #[cfg(feature = "network")]
        shown
            .field("endpoints", &self.endpoints.len())
            .field("signing", &self.signing)
            .field("authorities", &self.authorities)
            .field("proxy", &self.proxy.is_some());
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_names_a_variable_and_hides_its_value() {
        let text = format!("{:?}", Grants::none().env("TOKEN", "hush"));
        assert!(text.contains("TOKEN") && !text.contains("hush"), "{text}");
    }
}
