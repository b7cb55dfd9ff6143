//! From bytes to a pool that can serve: each way in which a file is no backend gets its own error.

use std::borrow::Cow;
#[cfg(feature = "config")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use wasmtime::component::{Component, Linker};

use super::fence::{self, Applicant};
use super::{Backend, Source, contract, is_built_in, trial};
use crate::budget::{Deadline, explain_trouble, invalid, is_possible, runtime};
use crate::engine::{self, Engine};
use crate::error::{Error, ErrorKind, LoadError, Operation};
use crate::grants::Grants;
use crate::instance::{Pool, Worker};
use crate::serving::{Loaded, LoadedBackend};
use crate::telemetry;
use crate::text::hexadecimal;
use crate::verbs::sweep_in_background;
use crate::wasi::{HostState, Linked, Links, Preopens, linker};

impl Backend {
    /// Compiles, links and tries the component, on a thread that may block.
    pub(crate) async fn load(self) -> Result<LoadedBackend, Error> {
        self.load_as(false).await
    }

    /// The same for one that is to take the place of another: it has to answer a call besides.
    pub(crate) async fn load_successor(self) -> Result<LoadedBackend, Error> {
        self.load_as(true).await
    }

    async fn load_as(self, is_successor: bool) -> Result<LoadedBackend, Error> {
        telemetry::describe();
        let (name, sweep) = (Arc::clone(&self.name), self.sweep);
        let failed = |kind| Error::new(kind, Operation::Open, None, &name);
        runtime().map_err(&failed)?;
        let deadline = Arc::new(Deadline::new(&self.limits, Arc::default(), None));
        let watched = Arc::clone(&deadline);
        // What is logged belongs to whoever loads it, in whichever thread that is done.
        let log = tracing::dispatcher::get_default(Dispatch::clone);
        let try_out =
            async move || self.try_out(&deadline, is_successor).with_subscriber(log).await;
        let tried = Worker::spawn(watched, try_out).await;
        let (digest, pool) = tried.flatten().map_err(explain_trouble).map_err(failed)?;
        pool.forget_idle_in_time();
        let loaded = Arc::new(Loaded::new(name, digest, pool));
        if let Some(older_than) = sweep {
            sweep_in_background(&loaded, older_than);
        }
        Ok(LoadedBackend(loaded))
    }

    async fn try_out(
        self,
        deadline: &Arc<Deadline>,
        is_successor: bool,
    ) -> Result<(Arc<str>, Pool), ErrorKind> {
        let found = self.found(deadline)?;
        // Before the cache is used, which has to be out of everybody's reach.
        let is_built_in = found.is_built_in;
        let preopens = self.open_directories(&self.grants, is_built_in, &found.engine)?;
        let digest = hexadecimal(&found.digest).into();
        let component = self.compiled(found, deadline)?;
        let linker = self.linker(&component, is_built_in, self.splice)?;
        let (component, offered) = contract::link(&component, &linker)?;
        deadline.look();
        let grants = match is_built_in {
            // It need not look at what it opens, where that is done here.
            true if cfg!(target_os = "linux") => self.grants.env("ARTIFACT_STORE_LOOK", "off"),
            _ => self.grants,
        };
        // A reading of `fs` takes no other calls of the system than those that are made so that
        // they do not wait. What a backend of others does, nobody knows.
        let begins_inline = is_built_in
            && self.splice
            && !grants.directories.is_empty()
            && preopens.iter().all(|dir| is_possible(dir.file()));
        let mut pool = Pool::new(component, offered, grants, preopens, self.limits)?;
        pool.begins_inline = begins_inline;
        pool.probe(deadline).await?;
        if is_built_in {
            check_settings(&pool, deadline).await?;
        }
        if is_successor {
            trial::answers(&pool, deadline).await?;
        }
        Ok((digest, pool))
    }

    /// The component's bytes, and the engine that is to run them.
    pub(super) fn found(&self, deadline: &Deadline) -> Result<Found<'_>, ErrorKind> {
        let engine = match &self.engine {
            Some(engine) => engine.clone(),
            None => Engine::of_process()?,
        };
        engine.tick();
        deadline.look();
        let bytes = self.bytes()?;
        let digest = self.digest(&bytes)?;
        Ok(Found { is_built_in: is_built_in(&bytes), bytes, digest, engine })
    }

    /// The component's code, for which the clock of loading runs.
    pub(super) fn compiled(
        &self,
        found: Found<'_>,
        deadline: &Deadline,
    ) -> Result<Component, ErrorKind> {
        let Found { bytes, digest, is_built_in, engine } = found;
        let source = engine::Source { bytes: &bytes, sha256: digest, is_built_in };
        deadline.compile();
        let component = engine.component(&source, &self.limits.load)?;
        contract::check_exports(&component)?;
        contract::check_imports(&component)?;
        Ok(component)
    }

    /// Opens the directories of `grants`, which are those of this backend but for a test's own.
    pub(super) fn open_directories(
        &self,
        grants: &Grants,
        is_built_in: bool,
        engine: &Engine,
    ) -> Result<Arc<Preopens>, LoadError> {
        let component = match &self.source {
            Source::File(file) | Source::Read(file, _) => Some(file.as_path()),
            Source::Bytes(_) | Source::BuiltIn(_) => None,
        };
        fence::open(&Applicant {
            name: &self.name,
            directories: &grants.directories,
            component,
            authorities: authorities(grants),
            is_built_in,
            relied_on: &engine.relied_on(),
            surroundings: self.surroundings.as_ref(),
        })
    }

    pub(super) fn linker(
        &self,
        component: &Component,
        is_built_in: bool,
        splice: bool,
    ) -> Result<Linker<HostState>, LoadError> {
        let engine = component.engine();
        let ty = component.component_type();
        let linked = Linked {
            links: if is_built_in { Links::Never } else { Links::Within },
            splice,
            http: ty.imports(engine).any(|(name, _)| name.starts_with("wasi:http/")),
        };
        linker(engine, &linked).map_err(invalid)
    }

    /// The files of the certificate authorities that it is granted.
    #[cfg(feature = "config")]
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &Path> {
        authorities(&self.grants).iter().map(PathBuf::as_path)
    }
}

/// A component that is not compiled yet.
pub(super) struct Found<'a> {
    bytes: Cow<'a, [u8]>,
    digest: [u8; 32],
    /// Whether it is one of this library's own, by its bytes, wherever they came from.
    pub(super) is_built_in: bool,
    pub(super) engine: Engine,
}

/// Asks a backend of ours for a key that none can have. Before it refuses that, it names the
/// setting that makes no sense: it alone knows what each has to be.
async fn check_settings(pool: &Pool, deadline: &Arc<Deadline>) -> Result<(), ErrorKind> {
    let asked = pool.call(deadline, None, async |accessor, exports| {
        let answer = exports.store.call_get(accessor, String::new()).await?;
        Ok(answer.map_err(ErrorKind::from))
    });
    match asked.await {
        Ok(_) | Err(ErrorKind::InvalidKey(_)) => Ok(()),
        Err(kind) => Err(setting(&kind).map_or(kind, Into::into)),
    }
}

fn setting(kind: &ErrorKind) -> Option<LoadError> {
    let (ErrorKind::AccessDenied(text) | ErrorKind::Other(text)) = kind else { return None };
    let (name, why) = text.strip_prefix("the variable ")?.split_once(": ")?;
    Some(LoadError::Setting { name: name.into(), why: why.into() })
}

#[cfg(feature = "network")]
fn authorities(grants: &Grants) -> &[PathBuf] {
    &grants.authorities
}

#[cfg(not(feature = "network"))]
fn authorities(_: &Grants) -> &[PathBuf] {
    &[]
}
