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
#[cfg(feature = "network")]
pub(crate) use credentials::{CREDENTIALS, Keys, Kind};

/// The part of a bucket for which the host signs requests.
#[cfg(feature = "network")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signing {
    pub(crate) bucket: S3Bucket,
    pub(crate) credentials: S3Credentials,
}

/// What a backend may access. Nothing is granted by default: a component without grants can
/// compute, read clocks and draw random numbers, and has no files, variables or network.
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
/// A backend can rename, replace and link everything below a directory that it may write. Therefore
/// the following have to be separate, which is checked when the backend is loaded
/// ([`LoadError::Overlap`](crate::LoadError::Overlap)):
///
/// - A directory that a backend may write neither contains another granted directory nor lies in
///   one. This includes the grants of the same backend, of other stores of its configuration, and
///   of backends that are open in this process. Two backends may have the same directory, and two
///   open stores of the built-in backends may have nested ones. A store that was dropped is open
///   until its last call has ended; a load that it hinders waits for that, up to a second.
/// - The path of a granted directory does not lead through a symbolic link that lies in a directory
///   which a backend may write.
/// - A directory that a backend other than the built-in ones may write contains neither the
///   configuration, nor the file of a component or of a certificate authority, nor a cache of
///   compiled code (in use or not), nor what the engine [protects](crate::EngineBuilder::protect).
///   Places that cannot be determined, such as the layers of an overlay with relative paths, count
///   as contained.
/// - A directory of a backend other than the built-in ones does not show the processes of the
///   system, as `/proc` does.
///
/// Paths are compared as the system resolves them: links, `..`, bind mounts and the case of letters
/// make no difference.
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
    /// No access; every set of grants starts here.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Grants the existing directory `host` and everything below it for reading, writing, creating
    /// and removing. The component sees it as `guest`, an absolute path such as `/`. Links that
    /// lead out of it are not followed.
    ///
    /// The directory is opened once, when the backend is loaded. The backend keeps this directory,
    /// even if the path names another one later.
    #[must_use]
    pub fn read_write(self, host: impl AsRef<Path>, guest: impl Into<String>) -> Self {
        self.directory(host.as_ref(), guest.into(), true)
    }

    /// Grants the existing directory `host` and everything below it for reading. The component sees
    /// it as `guest`. Every attempt to change something fails inside the component.
    #[must_use]
    pub fn read_only(self, host: impl AsRef<Path>, guest: impl Into<String>) -> Self {
        self.directory(host.as_ref(), guest.into(), false)
    }

    /// Sets one environment variable. The component sees only these variables, never the
    /// environment of the host process. Values are kept out of `Debug` output and messages.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same grants with `dir` instead of all directories that may be written to. The backend
    /// sees it at the path of the first of those, or as `/`.
    #[cfg(feature = "conformance")]
    pub(crate) fn only(mut self, dir: &Path) -> Self {
        let first = self.directories.iter().find(|granted| granted.writable);
        let guest = first.map_or("/".to_owned(), |granted| granted.guest.clone());
        self.directories.retain(|granted| !granted.writable);
        self.read_write(dir, guest)
    }

    /// The same grants with another value of one variable.
    #[cfg(feature = "conformance")]
    pub(crate) fn replace_env(mut self, name: &str, value: String) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env(name, value)
    }

    /// The grants of both.
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

/// The network. Needs the cargo feature `network`, which is on by default.
#[cfg(feature = "network")]
impl Grants {
    /// Grants one endpoint of the network through `wasi:http`: `https://host[:port]` or
    /// `http://host[:port]`. The grant covers exactly this scheme, host and port; a request to any
    /// other is refused and named in the error, and redirects are not followed. Raw sockets are
    /// never available.
    ///
    /// A host name may resolve to public and private addresses. An address of this machine, of its
    /// link (such as 169.254.169.254) or of a cloud's metadata service is refused when the name is
    /// looked up, since the owner of the name decides where it leads; grant such an address as a
    /// number. Only `localhost` is this machine.
    ///
    /// Certificates are verified with the authorities of the system and those of
    /// [`certificate_authority`](Self::certificate_authority). An invalid endpoint is reported when
    /// the backend is opened, as [`LoadError::Network`](crate::LoadError::Network).
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

    /// Grants the service of `bucket`, and signs the requests to it with these credentials (AWS
    /// Signature Version 4 in the header `Authorization`, with an unsigned payload). The backend
    /// sends its requests unsigned and never sees the secret; a signature of its own is replaced.
    ///
    /// The host signs the requests that a store needs in this bucket, below its prefix: reading,
    /// storing, copying and deleting an object, storing one in parts, listing objects and
    /// unfinished uploads. Every other request to this service is refused, whatever the credentials
    /// would allow, and the error names it. The answer shows the backend no signature.
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

    /// Trusts the certificate authorities in `file` (PEM) in addition to those of the system; for
    /// services with a private authority.
    #[must_use]
    pub fn certificate_authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(file.into());
        self
    }

    /// Makes all connections through this HTTP proxy, `http://host:port`, by `CONNECT`. Otherwise
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
