//! From the arguments to a store: which component, with which grants.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use artifact_store::{ArtifactStore, Backend, Configuration, Grants, Limits, Sign};

use crate::arguments::{Signer, StoreArguments};
use crate::disk;
use crate::exit::Usage;

const FS: &str = "fs";
const S3: &str = "s3";
/// A start that takes no longer is not worth a word.
const SLOW: Duration = Duration::from_millis(150);

const DEFAULT_DIR: &str = "artifacts";

/// What a command names in an empty store.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{}` {place} backend `fs`: not found", key.escape_debug())]
pub struct Absent {
    verb: &'static str,
    place: &'static str,
    key: String,
    /// The directory that does not exist.
    pub dir: PathBuf,
}

impl StoreArguments {
    /// Opens the store to put something in: its directory is created if it is absent.
    pub async fn create(&self) -> Result<ArtifactStore> {
        if let Some(backend) = self.configured().await? {
            return Ok(ArtifactStore::open(backend).await?);
        }
        let backend = self.backend(true)?;
        if !self.is(S3) && self.is_absent().await? {
            // It creates the directory durably, whatever backend will use it.
            ArtifactStore::open_dir(self.dir()).await?;
        }
        Ok(opened(backend).await?)
    }

    /// Opens the store that is there; none where the built-in backend's directory is absent,
    /// which is an empty store.
    pub async fn open(&self) -> Result<Option<ArtifactStore>> {
        self.open_as(|backend| backend).await
    }

    /// The same for a command that is to see the store as it is.
    pub async fn open_unswept(&self) -> Result<Option<ArtifactStore>> {
        self.open_as(|backend| backend.sweep_older_than(None)).await
    }

    async fn open_as(&self, how: impl FnOnce(Backend) -> Backend) -> Result<Option<ArtifactStore>> {
        if let Some(backend) = self.configured().await? {
            return Ok(Some(ArtifactStore::open(how(backend)).await?));
        }
        let absent = self.is_absent().await?;
        let backend = self.backend(self.dir.is_some() || !absent)?;
        if absent && self.is(FS) {
            return Ok(None);
        }
        Ok(Some(opened(how(backend)).await?))
    }

    /// What [`open`](Self::open) does, where an empty store has not what is asked for.
    pub async fn open_for(
        &self,
        verb: &'static str,
        place: &'static str,
        key: &str,
    ) -> Result<ArtifactStore> {
        let (key, dir) = (key.to_owned(), self.dir().to_owned());
        let absent = || Absent { verb, place, key, dir };
        Ok(self.open().await?.ok_or_else(absent)?)
    }

    /// The configuration that a command needs.
    pub async fn configuration(&self) -> Result<Configuration> {
        let missing = "the stores' names are those of --config FILE, which is missing";
        let file = self.config.clone().ok_or_else(|| Usage(missing.into()))?;
        Ok(disk::look(self.patience(), || Configuration::from_file(file)).await??)
    }

    /// One store of the configuration, within the limits of the command line.
    pub fn named(&self, configuration: &Configuration, name: &str) -> Result<Backend> {
        let store = configuration.store(name)?;
        Ok(store.backend()?.limits(self.limits(store.limits())))
    }

    /// The store of the configuration, where there is one.
    pub async fn configured(&self) -> Result<Option<Backend>> {
        if self.config.is_none() {
            return Ok(None);
        }
        let configuration = self.configuration().await?;
        let names: Vec<_> = configuration.stores().collect();
        let name = match (&self.store, &*names) {
            (Some(name), _) => name.as_str(),
            (None, [only]) => only,
            (None, _) => {
                let names = names.join("`, `");
                return Err(Usage(format!("--store has to name one of `{names}`")).into());
            }
        };
        self.named(&configuration, name).map(Some)
    }

    fn limits(&self, limits: &Limits) -> Limits {
        let call_timeout = self.timeout.unwrap_or(limits.call_timeout);
        let memory = self.memory.unwrap_or(limits.memory);
        // A pipe may pause for as long as it likes: it keeps nobody else from the store.
        let pause_timeout = match limits.pause_timeout {
            default if default == Limits::default().pause_timeout => Duration::MAX,
            configured => configured,
        };
        Limits { call_timeout, memory, pause_timeout, ..limits.clone() }
    }

    fn dir(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new(DEFAULT_DIR))
    }

    /// Where even this cannot be found out, opening the store says why.
    async fn is_absent(&self) -> Result<bool> {
        let dir = self.dir().to_owned();
        Ok(disk::look(self.patience(), move || dir.try_exists().is_ok_and(|exists| !exists))
            .await?)
    }

    /// How long the disk may take over one look.
    fn patience(&self) -> Duration {
        self.timeout.unwrap_or(Limits::default().call_timeout)
    }

    /// Whether this built-in backend is asked for.
    fn is(&self, name: &str) -> bool {
        self.backend == Path::new(name)
    }

    /// A component of the user's is granted the directory only if there is one: it may keep
    /// its artifacts elsewhere.
    pub fn backend(&self, grant_dir: bool) -> Result<Backend> {
        // Of several with one name the last one counts.
        let variables = self.env.iter().map(|variable| variable_of(variable));
        let mut variables = variables.collect::<Result<BTreeMap<_, _>, _>>()?;
        if self.is(S3) {
            for name in Backend::S3_VARIABLES {
                if !variables.contains_key(name) && std::env::var_os(name).is_some() {
                    let (name, value) = variable_of(name)?;
                    variables.insert(name, value);
                }
            }
            let sign = match self.sign {
                Signer::Host => Sign::Host,
                Signer::Backend => Sign::Backend,
            };
            let backend = Backend::s3(variables, sign)?;
            let backend = backend.limits(self.limits(&Limits::default()));
            return Ok(backend.map_grants(|grants| self.network(grants)));
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
        Ok(backend.grants(grants).limits(self.limits(&Limits::default())))
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

/// Opens a store. The first start of a component compiles it, and a user at a terminal learns what
/// takes the time; the next one finds the result in the cache.
async fn opened(backend: Backend) -> artifact_store::Result<ArtifactStore> {
    let mut opening = pin!(ArtifactStore::open(backend));
    tokio::select! {
        biased;
        store = &mut opening => return store,
        () = tokio::time::sleep(SLOW) => {}
    }
    if io::stderr().is_terminal() {
        eprintln!("compiling the backend; the next start finds it ready");
    }
    opening.await
}

/// The name and value of one `--env`. Messages hold no value.
fn variable_of(argument: &str) -> Result<(&str, String), Usage> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Ok(value.to_owned())),
        None => (argument, std::env::var(argument)),
    };
    if name.is_empty() {
        return Err(Usage("`--env` needs a name before the `=`".into()));
    }
    let value = value.map_err(|e| match e {
        std::env::VarError::NotPresent => {
            Usage(format!("`--env {name}`: this variable is not set"))
        }
        _ => Usage(format!("`--env {name}`: the value of this variable is not UTF-8")),
    })?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_have_an_equals_sign_in_its_value() {
        assert_eq!(variable_of("A=b=c").unwrap(), ("A", "b=c".into()));
        assert_eq!(variable_of("A=").unwrap(), ("A", String::new()));
    }

    #[test]
    fn a_wrong_variable_does_not_show_its_value() {
        assert!(!variable_of("=hush").unwrap_err().to_string().contains("hush"));
    }
}
