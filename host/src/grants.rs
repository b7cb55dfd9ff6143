use std::fmt;
use std::path::{Path, PathBuf};

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
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub(crate) directories: Vec<Directory>,
    pub(crate) env: Vec<(String, String)>,
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

    /// The same with `dir` as the root in the place of every directory that may be written to.
    #[cfg(all(feature = "conformance", unix))]
    pub(crate) fn only(mut self, dir: &Path) -> Self {
        self.directories.retain(|granted| !granted.writable);
        self.read_write(dir, "/")
    }

    fn directory(mut self, host: &Path, guest: String, writable: bool) -> Self {
        self.directories.push(Directory { host: host.into(), guest, writable });
        self
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Grants")
            .field("directories", &self.directories)
            .field("env", &names)
            .finish()
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
