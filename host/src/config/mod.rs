//! Stores that are described in a file, for operators; `docs/configuration.md` describes the
//! format.

mod apart;
mod format;
mod layers;
mod network;
mod secrets;
mod serve;
mod show;
mod table;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use serve::{ServeAccess, ServeKey, ServeTls};
pub(crate) use watch::open as open_watched;
pub use watch::{Watch, WatchStatus, WatchedFiles};

use crate::backend::{Neighbour, Surroundings};
use crate::error::{
    ConfigurationError, Error, LoadError, Operation, Problem, Result, SettingProblem,
};
use crate::instance::look_at_disk;
use crate::text::{alike, foreign_name};
use crate::{Backend, Cache, Engine, Grants, Limits, Setting, file};
use format::Parsed;
use layers::LayerConfiguration;
use secrets::Secret;
use serve::Serve;

/// A configuration file: stores by their names, each with its backend, grants and limits.
///
/// ```
/// use artifact_store::{ArtifactStore, Configuration};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("stores.toml");
/// std::fs::write(
///     &file,
///     r#"
///     [stores.releases]
///     backend = "fs"
///     limits = { memory = "64MiB" }
///
///     [[stores.releases.directories]]
///     host = "releases"
///     "#,
/// )?;
/// # std::fs::create_dir(dir.path().join("releases"))?;
/// let configuration = Configuration::from_file(&file)?;
/// assert_eq!(configuration.stores().collect::<Vec<_>>(), ["releases"]);
/// let store = ArtifactStore::open(configuration.backend("releases")?).await?;
/// store.put("k", "in ./releases beside the file").await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    file: PathBuf,
    cache: Option<Cache>,
    default_store: Option<String>,
    stores: BTreeMap<String, StoreConfiguration>,
    serve: Serve,
}

impl Configuration {
    /// Reads the whole file. Relative paths in it start at the directory of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) with all problems of the file
    /// and their lines.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self> {
        let (bytes, whole) = Self::bytes(file.as_ref())?;
        Self::parse(file.as_ref(), &whole, &bytes)
    }

    /// What the file holds, and its absolute path.
    fn bytes(path: &Path) -> Result<(Vec<u8>, PathBuf)> {
        let read = || Ok((file::read(path)?, std::path::absolute(path)?));
        read().map_err(|source| {
            let file = path.to_owned();
            failed(ConfigurationError::Read { file, source }, &path.display().to_string())
        })
    }

    /// The configuration in the bytes of the file `path`, whose absolute path is `whole`.
    fn parse(path: &Path, whole: &Path, bytes: &[u8]) -> Result<Self> {
        let dir = whole.parent().unwrap_or(Path::new("/"));
        let file = path.to_owned();
        let parsed = table::text(bytes).and_then(|text| format::parse(text, dir));
        let Parsed { cache, default_store, stores, serve } = parsed.map_err(|problems| {
            let error = ConfigurationError::Invalid { file: file.clone(), problems };
            failed(error, &path.display().to_string())
        })?;
        let kept = match &cache {
            Some(Cache::Dir(folder)) => Some(folder),
            _ => None,
        };
        let beside: Arc<[_]> = stores.values().map(|(store, _)| store.neighbour()).collect();
        let secret_files = stores.values().flat_map(|(store, _)| &store.layers);
        let identities: Vec<_> =
            secret_files.filter_map(LayerConfiguration::secret_file).cloned().collect();
        let stores = stores.into_iter().map(|(name, (mut store, lines))| {
            store.surroundings = Some(Surroundings {
                file: whole.to_owned(),
                cache: kept.cloned(),
                certificate: serve.files(),
                identities: identities.clone(),
                store: name.clone(),
                stores: Arc::clone(&beside),
                lines,
            });
            (name, store)
        });
        let stores = stores.collect();
        Ok(Self { file, cache, default_store, stores, serve })
    }

    /// Where compiled code is kept according to the file; `None` if the file does not say.
    #[must_use]
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The name of the store that is meant where none is named: what `default-store` says; `None`
    /// if the file does not say.
    ///
    /// ```
    /// use artifact_store::Configuration;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let file = dir.path().join("stores.toml");
    /// # let mut text = "default-store = \"b\"\n".to_owned();
    /// # for name in ["a", "b"] {
    /// #     text += &format!("[stores.{name}]\nbackend = \"my.wasm\"\n");
    /// # }
    /// # std::fs::write(&file, text)?;
    /// assert_eq!(Configuration::from_file(&file)?.default_store(), Some("b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn default_store(&self) -> Option<&str> {
        self.default_store.as_deref()
    }

    /// The names of the stores, in the order of the file.
    pub fn stores(&self) -> impl Iterator<Item = &str> {
        let mut stores: Vec<_> = self.stores.values().collect();
        stores.sort_by_key(|store| store.line());
        stores.into_iter().map(|store| store.name.as_str())
    }

    /// The keys of access that the file names for whoever serves its stores, in alphabetical order.
    pub fn serve_keys(&self) -> impl Iterator<Item = &ServeKey> {
        self.serve.keys.iter()
    }

    /// The certificate that the file names for whoever serves its stores.
    #[must_use]
    pub fn serve_tls(&self) -> Option<&ServeTls> {
        self.serve.tls.as_ref()
    }

    /// The address at which the file has whoever serves its stores answer for its health and metrics.
    #[must_use]
    pub fn serve_admin(&self) -> Option<&str> {
        self.serve.admin.as_deref()
    }

    /// The configuration of one store.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::NoStore`].
    pub fn store(&self, name: &str) -> Result<&StoreConfiguration> {
        self.stores.get(name).ok_or_else(|| {
            let (file, stores) = (self.file.clone(), self.stores().map(str::to_owned).collect());
            failed(ConfigurationError::NoStore { file, name: name.to_owned(), stores }, name)
        })
    }

    /// The backend of one store, ready to be opened.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::NoStore`]; [`ConfigurationError::Variables`] if this process does not
    /// have a secret that the store passes on.
    pub fn backend(&self, name: &str) -> Result<Backend> {
        self.store(name)?.backend()
    }
}

/// The backend of one store of a file, which is read on a thread that may block.
pub(crate) async fn backend(file: &Path, name: &str) -> Result<Backend> {
    let owned = file.to_owned();
    let read = look_at_disk(&Limits::default(), move || Configuration::from_file(owned)).await;
    let lost = |kind| Error::new(kind, Operation::Configure, None, &(&*name).into());
    read.map_err(lost)??.backend(name)
}

/// One store of a [`Configuration`].
///
/// Its `Display` is the store in the format of the file, with all defaults and without the values
/// of variables.
///
/// ```
/// use artifact_store::Configuration;
///
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("stores.toml");
/// # let text = "[stores.main]\nbackend = \"my.wasm\"\nenv = { TOKEN = \"hush\" }\n";
/// # std::fs::write(&file, text)?;
/// let configuration = Configuration::from_file(&file)?;
/// let shown = configuration.store("main")?.to_string();
/// assert!(shown.contains("TOKEN") && !shown.contains("hush"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfiguration {
    name: String,
    component: Component,
    digest: Option<String>,
    /// Directories, and the variables whose values are in the file itself.
    grants: Grants,
    secrets: Vec<Secret>,
    limits: Limits,
    /// As [`Backend::sweep_older_than`] takes it; the outer `None` means the default of the
    /// backend.
    sweep: Option<Option<Duration>>,
    /// The outermost first.
    layers: Vec<LayerConfiguration>,
    /// The file and its stores; `Some` once the whole file is read.
    surroundings: Option<Surroundings>,
    /// The cache of the whole file.
    cache: Option<Cache>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    Fs,
    #[cfg(feature = "network")]
    S3(crate::backend::Signed),
    File(PathBuf),
}

impl Component {
    /// Why the backend does not accept this variable; `None` if it does.
    fn refuses_variable(&self, name: &str) -> Option<SettingProblem> {
        match self {
            #[cfg(feature = "network")]
            Self::S3(_) => Backend::check_s3_variable(name).err(),
            _ => {
                let _ = name;
                None
            }
        }
    }
}

impl StoreConfiguration {
    /// What the backend may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The directories of the host that the backend may write to.
    pub fn writable_directories(&self) -> impl Iterator<Item = &Path> {
        self.grants.directories.iter().filter(|dir| dir.writable).map(|dir| &*dir.host)
    }

    /// The line of the file on which the store begins, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.surroundings.as_ref().map_or(1, |around| around.lines.start)
    }

    /// The backend, with the secrets that this process has now.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Variables`] where it has them not;
    /// [`LoadError::Settings`](crate::LoadError::Settings) where the backend `s3` needs another
    /// variable.
    pub fn backend(&self) -> Result<Backend> {
        let (secrets, around) = (&self.secrets, self.surroundings.as_ref());
        #[cfg_attr(not(feature = "network"), allow(unused_mut, reason = "only `s3` takes some"))]
        let mut grants = secrets::hand_on(secrets, self.grants.clone(), &self.name, around)?;
        let cannot = |error: LoadError| {
            Error::new(error.into(), Operation::Open, None, &(&*self.name).into())
        };
        let mut backend = match &self.component {
            Component::Fs => Backend::fs(".").grants(grants),
            // Its variables determine further grants.
            #[cfg(feature = "network")]
            Component::S3(signed) => {
                let variables = std::mem::take(&mut grants.env);
                let backend = Backend::try_s3(variables.into_iter().collect(), signed.clone());
                let locate = |error| match error {
                    LoadError::Settings(found) => LoadError::Settings(self.located(found)),
                    error => error,
                };
                backend.map_err(locate).map_err(cannot)?.map_grants(|own| own.and(grants))
            }
            Component::File(file) => Backend::from_file(file).grants(grants),
        };
        backend = backend.limits(self.limits.clone());
        if let Some(surroundings) = &self.surroundings {
            backend = backend.beside(surroundings.clone());
        }
        if let Some(digest) = &self.digest {
            backend = backend.pin(digest);
        }
        if let Some(cache) = &self.cache {
            let engine = Engine::builder().cache(cache.clone()).build();
            backend = backend.engine(&engine.map_err(cannot)?);
        }
        for layer in self.layers.iter().rev() {
            backend = backend.layer(layer.layer(&self.name, around)?);
        }
        Ok(match self.sweep {
            Some(age) => backend.sweep_older_than(age),
            None => backend,
        })
    }

    /// The variables that the file sets for this store and that are not among `settings`, those of
    /// its backend, in the order of the file. Each may be a mistake, or meant for another backend.
    #[must_use]
    pub fn unknown_variables(&self, settings: &[Setting]) -> Vec<SettingProblem> {
        let literal = self.grants.env.iter().map(|(name, _)| name);
        let names: BTreeSet<_> = literal.chain(self.secrets.iter().map(|it| &it.name)).collect();
        let is_known = |name: &&String| settings.iter().any(|setting| setting.name == **name);
        let unknown = names.into_iter().filter(|name| !is_known(name)).map(|name| {
            let mut reason = "the backend has no such setting".to_owned();
            if let Some(meant) = alike(name, settings.iter().map(|it| it.name.as_str())) {
                reason.push_str(&format!("; did you mean `{meant}`?"));
            }
            SettingProblem::new(&foreign_name(name), reason)
        });
        self.located(unknown.collect())
    }

    fn located(&self, problems: Vec<SettingProblem>) -> Vec<SettingProblem> {
        Surroundings::locate(self.surroundings.as_ref(), problems)
    }

    /// What it is to the other stores of the file.
    fn neighbour(&self) -> Neighbour {
        #[cfg(feature = "network")]
        let authorities = self.grants.authorities.clone();
        #[cfg(not(feature = "network"))]
        let authorities = Vec::new();
        let mut directories = self.grants.directories.clone();
        let layers = self.layers.iter();
        directories.extend(layers.clone().flat_map(LayerConfiguration::directories).cloned());
        Neighbour {
            store: self.name.clone(),
            directories,
            component: self.component().map(Path::to_owned),
            layers: layers.filter_map(LayerConfiguration::component).map(Path::to_owned).collect(),
            authorities,
        }
    }

    /// The files besides the component that decide what it is.
    fn further_files(&self) -> impl Iterator<Item = &Path> {
        let secret = self.layers.iter().filter_map(LayerConfiguration::secret_file);
        let components = self.layers.iter().filter_map(LayerConfiguration::component);
        secret.map(PathBuf::as_path).chain(components)
    }

    /// The file of the component; `None` if it is built in.
    fn component(&self) -> Option<&Path> {
        match &self.component {
            Component::File(file) => Some(file),
            _ => None,
        }
    }
}

fn failed(error: ConfigurationError, store: &str) -> Error {
    Error::new(error.into(), Operation::Configure, None, &store.into())
}
