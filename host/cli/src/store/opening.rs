//! From the arguments to a store: which component, with which grants.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use artifact_store::{
    ArtifactStore, Backend, Cache, Configuration, Engine, Grants, Limits, SwapOptions, Watch,
};
use tempfile::TempDir;

use super::{CACHE_VARIABLE, StoreArguments};
use crate::disk;
use crate::failure::Usage;
use crate::message;

pub(super) const FS: &str = "fs";
pub(super) const S3: &str = "s3";
/// A start that takes no longer is not worth a word.
const SLOW: Duration = Duration::from_millis(150);

const DEFAULT_DIR: &str = "artifacts";

/// The component of the built-in backend of this name.
pub fn built_in(name: &Path) -> Option<&'static [u8]> {
    match name.to_str() {
        Some(FS) => Some(Backend::fs_component()),
        Some(S3) => Some(Backend::s3_component()),
        _ => None,
    }
}

/// The directory that --dir names, or does by default, does not exist.
#[derive(Debug, thiserror::Error)]
#[error("not found: the directory `{}` does not exist", .0.display())]
pub struct Absent(PathBuf);

impl StoreArguments {
    /// Opens the store to put something in: its directory is created if it is absent.
    pub async fn create(&self) -> Result<(ArtifactStore, Made)> {
        if let Some(backend) = self.configured().await? {
            return Ok((opened(backend).await?, Made::default()));
        }
        let backend = self.backend(true)?;
        let made = if self.is(S3) { Made::default() } else { self.make_dir().await? };
        Ok((opened(backend).await?, made))
    }

    /// Opens the store that is there. Only a put makes one: an absent directory may be a disk that
    /// is not mounted, or a typing error, and is no empty store.
    pub async fn open(&self) -> Result<ArtifactStore> {
        self.open_as(|backend| backend).await
    }

    /// The same for a command that only reads: it removes nothing, not even what a crashed writer
    /// left.
    pub async fn open_unswept(&self) -> Result<ArtifactStore> {
        self.open_as(|backend| backend.sweep_older_than(None)).await
    }

    async fn open_as(&self, how: impl FnOnce(Backend) -> Backend) -> Result<ArtifactStore> {
        Ok(opened(how(self.existing().await?)).await?)
    }

    /// The backend of the store that is there.
    pub async fn existing(&self) -> Result<Backend> {
        if let Some(backend) = self.configured().await? {
            return Ok(backend);
        }
        let absent = self.is_absent().await?;
        let is_needed = self.is(FS) || self.dir.is_some();
        let backend = self.backend(is_needed || !absent)?;
        if absent && is_needed && !self.is(S3) {
            return Err(Absent(self.dir().to_owned()).into());
        }
        Ok(backend)
    }

    /// Makes the directory where it is absent, and notes what the user may not have meant.
    async fn make_dir(&self) -> Result<Made> {
        let (dir, is_fs) = (self.dir().to_owned(), self.is(FS));
        let looked_at = dir.clone();
        let look = move || {
            let made = Made::before(&looked_at);
            let is_there = is_fs && made.dirs.is_empty();
            (made, is_there.then(|| found_instead(&looked_at)).flatten())
        };
        let (mut made, found) = disk::look(self.patience(), look).await?;
        if let Some(first) = made.dirs.last() {
            made.notice = (*first != dir).then(|| {
                let (dir, first) = (dir.display(), first.display());
                format!("created the directory `{dir}`; `{first}` above it did not exist either")
            });
            ArtifactStore::make_dir(&dir).await?;
        }
        if let Some(found) = found {
            let (dir, found) = (dir.display(), found.display());
            let text = "is now the directory of a store, and also holds other files, such as";
            made.notice = Some(format!("`{dir}` {text} `{found}`"));
        }
        Ok(made)
    }

    /// The configuration that a command needs.
    pub async fn configuration(&self) -> Result<Configuration> {
        let missing = "this command needs --config FILE, which names the stores";
        let file = self.configuration_file().ok_or_else(|| Usage(missing.into()))?;
        Ok(disk::look(self.patience(), || Configuration::from_file(file)).await??)
    }

    /// The stores to serve, each followed as its configuration changes.
    pub async fn watched(&self, file: &Path) -> Result<Vec<(String, ArtifactStore, Watch)>> {
        if self.timeout.is_some() || self.memory.is_some() {
            let text =
                "`serve --config` takes the limits of the configuration, not --timeout or --memory";
            return Err(Usage(text.into()).into());
        }
        let configuration = self.configuration().await?;
        let names: Vec<_> = match &self.store {
            Some(name) => vec![name.clone()],
            None => configuration.stores().map(str::to_owned).collect(),
        };
        let mut stores = Vec::new();
        for name in names {
            let options = SwapOptions::default();
            let (store, watch) = ArtifactStore::open_watched(file, &name, options).await?;
            stores.push((name, store, watch));
        }
        Ok(stores)
    }

    /// One store of the configuration, within the limits of the command line.
    pub fn named(&self, configuration: &Configuration, name: &str) -> Result<Backend> {
        let store = configuration.store(name)?;
        let backend = store.backend()?.limits(self.limits(store.limits()));
        // What the command line says counts more than what the configuration does.
        Ok(match self.engine()? {
            Some(engine) => backend.engine(&engine),
            None => backend,
        })
    }

    /// The store of the configuration, where there is one.
    pub async fn configured(&self) -> Result<Option<Backend>> {
        if self.config.is_none() || self.is_place {
            return Ok(None);
        }
        let configuration = self.configuration().await?;
        self.named(&configuration, self.name_in(&configuration)?).map(Some)
    }

    /// The name of the store in its configuration.
    pub(super) fn name_in<'a>(
        &'a self,
        configuration: &'a Configuration,
    ) -> Result<&'a str, Usage> {
        self.store.as_deref().map_or_else(|| chosen(configuration), Ok)
    }

    pub(super) fn limits(&self, limits: &Limits) -> Limits {
        let call_timeout = self.timeout.unwrap_or(limits.call_timeout);
        let memory = self.memory.unwrap_or(limits.memory);
        // A pipe may pause for as long as it likes: it keeps nobody else from the store.
        let pause_timeout = match limits.pause_timeout {
            default if default == Limits::default().pause_timeout => Duration::MAX,
            configured => configured,
        };
        limits.clone().call_timeout(call_timeout).memory(memory).pause_timeout(pause_timeout)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new(DEFAULT_DIR))
    }

    async fn is_absent(&self) -> Result<bool> {
        let dir = self.dir().to_owned();
        disk::look(self.patience(), move || is_absent(&dir)).await
    }

    /// How long the disk may take over one look.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(Limits::default().call_timeout)
    }

    /// Whether this built-in backend is asked for.
    pub(super) fn is(&self, name: &str) -> bool {
        self.backend == Path::new(name)
    }

    /// A component of the user's is granted the directory only if there is one: it may keep
    /// its artifacts elsewhere.
    pub fn backend(&self, grant_dir: bool) -> Result<Backend> {
        // Of several with one name the last one counts.
        let variables = self.env.iter().map(|variable| variable_of("--env", variable));
        let mut variables = variables.collect::<Result<BTreeMap<_, _>, _>>()?;
        if self.is(S3) {
            // An endpoint of the command line is not replaced by one of the environment.
            let is_named = variables.contains_key("AWS_ENDPOINT_URL");
            for name in Backend::S3_VARIABLES {
                if is_named && *name == "AWS_ENDPOINT_URL_S3" {
                    continue;
                }
                // An empty variable counts as one that is not set.
                let is_set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
                if !variables.contains_key(name) && is_set {
                    let (name, value) = variable_of("--env", name)?;
                    variables.insert(name, value);
                }
            }
            let backend = self.bucket(variables)?;
            let backend = backend.limits(self.limits(&Limits::default()));
            return self.layered(backend.map_grants(|grants| self.network(grants)));
        }
        let mut grants = self.network(Grants::none());
        if self.is(FS) || grant_dir {
            grants = grants.read_write(self.dir(), "/");
        }
        for (name, value) in variables {
            grants = grants.env(name, value);
        }
        let backend = match self.is(FS) {
            true => Backend::fs(self.dir()),
            false => Backend::from_file(&self.backend),
        };
        self.layered(backend.grants(grants).limits(self.limits(&Limits::default())))
    }

    /// The engine with the cache that is named here, where one is.
    fn engine(&self) -> Result<Option<Engine>> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let cache = match cache == Path::new("off") {
            true => Cache::Off,
            // An empty variable counts as one that is not set.
            false if cache.as_os_str().is_empty() => return Ok(None),
            false => Cache::Dir(cache.clone()),
        };
        let mut engine = Engine::builder().cache(cache);
        // Where `--cache` stands in its place here, others use it all the same.
        let variable = std::env::var_os(CACHE_VARIABLE).filter(|it| *it != "off" && !it.is_empty());
        if let Some(folder) = variable {
            engine = engine.protect(folder);
        }
        Ok(Some(engine.build()?))
    }

    /// Keeps compiled code where the command line says, whatever is loaded from now on.
    pub fn use_cache(&self) -> Result<()> {
        if let Some(engine) = self.engine()? {
            // It is the first one of this process.
            let _ = engine.use_by_default();
        }
        Ok(())
    }

    fn network(&self, mut grants: Grants) -> Grants {
        for endpoint in &self.allow_net {
            grants = grants.connect(endpoint);
        }
        if let Some(file) = &self.ca {
            grants = grants.certificate_authority(file);
        }
        if let Some(proxy) = &self.proxy {
            grants = grants.proxy(proxy);
        }
        grants
    }
}

/// The directories that a command makes for a store. They are removed again, as far as they are
/// empty, unless they are kept.
#[derive(Default)]
pub struct Made {
    /// The innermost first.
    dirs: Vec<PathBuf>,
    /// What the user may not have meant.
    notice: Option<String>,
    /// The empty directory in the place of an absent one, for a dry run.
    _stand_in: Option<TempDir>,
}

impl Made {
    pub(super) fn stand_in(dir: TempDir) -> Self {
        Self { dirs: Vec::new(), notice: None, _stand_in: Some(dir) }
    }

    /// Those that are not there yet, on the way to this one.
    fn before(dir: &Path) -> Self {
        let absent = |dir: &&Path| *dir != Path::new("") && is_absent(dir);
        let dirs = dir.ancestors().take_while(absent).map(Path::to_owned).collect();
        Self { dirs, notice: None, _stand_in: None }
    }

    /// There is a store in them now.
    pub fn keep(mut self) {
        self.dirs.clear();
        if let Some(notice) = self.notice.take() {
            message::print(&notice);
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // What is not empty is in use.
        self.dirs.iter().for_each(|dir| drop(fs::remove_dir(dir)));
    }
}

/// The store of a configuration that is meant where none is named.
pub fn chosen(configuration: &Configuration) -> Result<&str, Usage> {
    if let Some(name) = configuration.default_store() {
        return Ok(name);
    }
    let names: Vec<_> = configuration.stores().collect();
    match &*names {
        [only] => Ok(only),
        _ => {
            let names = names.join("`, `");
            let text = "name one store of the configuration with --store, or with `default-store` \
                        in the file";
            Err(Usage(format!("{text}: `{names}`")))
        }
    }
}

/// Opens a store. The first start of a component compiles it, and a user at a terminal learns what
/// takes the time; the next one finds the result in the cache, where there is one.
async fn opened(backend: Backend) -> artifact_store::Result<ArtifactStore> {
    let mut opening = pin!(ArtifactStore::open(backend));
    tokio::select! {
        biased;
        store = &mut opening => return store,
        () = tokio::time::sleep(SLOW) => {}
    }
    if io::stderr().is_terminal() {
        message::say("compiling the backend");
    }
    opening.await
}

/// Where even this cannot be found out, opening the store says why.
fn is_absent(dir: &Path) -> bool {
    dir.try_exists().is_ok_and(|exists| !exists)
}

/// Something in a directory in which no store is yet; none in an empty one, and where that cannot be
/// found out.
fn found_instead(dir: &Path) -> Option<PathBuf> {
    // The first put of every store makes it.
    if dir.join("tmp").is_dir() {
        return None;
    }
    let mut found = None;
    for entry in fs::read_dir(dir).ok()?.flatten() {
        // A backup may have left out a `tmp` that is empty.
        if is_of_a_store(&entry) {
            return None;
        }
        // A new filesystem has that one.
        if found.is_none() && entry.file_name() != "lost+found" {
            found = Some(entry.file_name().into());
        }
    }
    found
}

/// Whether it is an artifact's file, or a directory of artifacts, as `docs/format.md` names them.
fn is_of_a_store(entry: &fs::DirEntry) -> bool {
    let Ok(kind) = entry.file_type() else { return false };
    match entry.file_name().as_encoded_bytes().first() {
        Some(b'_') => kind.is_file(),
        Some(b',') => kind.is_dir(),
        _ => false,
    }
}

/// The name and value of one `--env`, or of a variable in another option. Messages hold no value.
pub(super) fn variable_of<'a>(option: &str, argument: &'a str) -> Result<(&'a str, String), Usage> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Ok(value.to_owned())),
        None => (argument, std::env::var(argument)),
    };
    if name.is_empty() {
        return Err(Usage(format!("`{option}` needs a name before the `=`")));
    }
    let value = value.map_err(|e| match e {
        std::env::VarError::NotPresent => {
            Usage(format!("`{option} {name}`: this variable is not set"))
        }
        _ => Usage(format!("`{option} {name}`: the value of this variable is not UTF-8")),
    })?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_have_an_equals_sign_in_its_value() {
        assert_eq!(variable_of("--env", "A=b=c").unwrap(), ("A", "b=c".into()));
        assert_eq!(variable_of("--env", "A=").unwrap(), ("A", String::new()));
    }

    #[test]
    fn a_wrong_variable_does_not_show_its_value() {
        assert!(!variable_of("--env", "=hush").unwrap_err().to_string().contains("hush"));
    }
}
