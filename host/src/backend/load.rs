//! From bytes to a pool that can serve. Each reason why a file is not a backend has its own error.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use wasmtime::component::{Component, Linker};

use super::fence::{self, Applicant};
use super::{Backend, Layer, Source, Surroundings, contract, is_built_in, settings, trial};
use crate::budget::{Deadline, explain_trouble, invalid, is_local, is_possible, runtime};
use crate::encryption::Encryption;
use crate::engine::{self, Engine};
use crate::error::{Error, ErrorKind, LoadError, Operation};
use crate::grants::Grants;
use crate::instance::{Pool, Worker};
use crate::limits::Limits;
use crate::serving::{Held, Loaded, LoadedBackend, Serving};
use crate::stack;
use crate::telemetry;
use crate::text::hexadecimal;
use crate::verbs::sweep_in_background;
use crate::wasi::{HostState, Linked, Links, Preopens, linker};

impl Backend {
    /// Compiles, links and tries the component, on a thread that may block.
    pub(crate) async fn load(self) -> Result<LoadedBackend, Error> {
        self.load_for(Purpose::Service).await
    }

    /// The same for one that is to take the place of another: it has to answer a call besides.
    pub(crate) async fn load_successor(self) -> Result<LoadedBackend, Error> {
        self.load_for(Purpose::Succession).await
    }

    /// Loads the stack from the bottom. Each layer is loaded over what is below it.
    pub(crate) async fn load_for(mut self, purpose: Purpose) -> Result<LoadedBackend, Error> {
        let layers = std::mem::take(&mut self.layers);
        self.identities = layers.iter().filter_map(Layer::identities).map(Path::to_owned).collect();
        let (engine, surroundings) = (self.engine.clone(), self.surroundings.clone());
        // The component layers, the innermost first, each with the encryption around it.
        let mut components: Vec<Self> = Vec::new();
        for layer in layers {
            match layer {
                Layer::Component(mut layer) => {
                    if !layer.layers.is_empty() {
                        let text = "a layer has no layers of its own: name them one by one";
                        let kind = LoadError::Layers(text.into()).into();
                        return Err(Error::new(kind, Operation::Open, None, &layer.name));
                    }
                    layer.identities.clone_from(&self.identities);
                    layer.engine = layer.engine.or_else(|| engine.clone());
                    layer.surroundings = layer.surroundings.or_else(|| surroundings.clone());
                    // What is below removes its own temporaries.
                    layer.sweep = None;
                    components.push(*layer);
                }
                #[cfg(feature = "encrypt")]
                Layer::Encrypt(_) => match components.last_mut() {
                    Some(component) => component.layers.push(layer),
                    None => self.layers.push(layer),
                },
            }
        }
        let mut loaded = self.load_one(purpose, None).await?;
        for mut layer in components {
            layer.limits = above(layer.limits, loaded.0.pool.limits());
            loaded = layer.load_one(purpose, Some(Serving::new(loaded))).await?;
        }
        Ok(loaded)
    }

    /// Loads the component itself, as a layer if there is something below it.
    async fn load_one(
        self,
        purpose: Purpose,
        below: Option<Arc<Serving>>,
    ) -> Result<LoadedBackend, Error> {
        telemetry::describe();
        let (name, sweep) = (Arc::clone(&self.name), self.sweep);
        let store = self.surroundings.as_ref().map(|it| it.store.clone()).unwrap_or_default();
        let failed = |kind| Error::new(kind, Operation::Open, None, &name);
        runtime().map_err(&failed)?;
        let encryption = self.encryption().map_err(|error| failed(error.into()))?;
        let mut deadline = Deadline::new(&self.limits, Arc::default(), None);
        if let Some(engine) = &self.engine {
            deadline = deadline.on(&engine.threads());
        }
        let deadline = Arc::new(deadline);
        let watched = Arc::clone(&deadline);
        // What is logged belongs to whoever loads it, in whichever thread that is done.
        let log = tracing::dispatcher::get_default(Dispatch::clone);
        let try_out = async move || {
            let tried = self.try_out(&deadline, purpose, below.clone()).with_subscriber(log).await;
            tried.map(|(digest, pool)| (digest, pool, below))
        };
        let tried = Worker::spawn(watched, try_out).await;
        let (digest, pool, below) = tried.flatten().map_err(explain_trouble).map_err(failed)?;
        pool.forget_idle_in_time();
        let loaded = Loaded::new(&store, name, digest, pool).over(below).encrypted(encryption);
        let loaded = Held::new(loaded);
        if let Some(older_than) = sweep {
            sweep_in_background(&loaded, older_than);
        }
        Ok(LoadedBackend(loaded))
    }

    /// The encryption around the component.
    fn encryption(&self) -> Result<Option<Encryption>, LoadError> {
        match &*self.layers {
            [] => Ok(None),
            #[cfg(feature = "encrypt")]
            [Layer::Encrypt(encryption)] => Ok(Some(encryption.clone())),
            _ => Err(LoadError::Layers("a store cannot be encrypted twice".into())),
        }
    }

    async fn try_out(
        self,
        deadline: &Arc<Deadline>,
        purpose: Purpose,
        below: Option<Arc<Serving>>,
    ) -> Result<(Arc<str>, Pool), ErrorKind> {
        let found = self.found(deadline)?;
        // Directories are opened before the cache is used, which no backend may reach.
        let (is_built_in, threads) = (found.is_built_in, found.engine.threads());
        let preopens = self.open_directories(&self.grants, is_built_in, &found.engine)?;
        let digest = hexadecimal(&found.digest).into();
        let component = self.compiled(found, deadline)?;
        let is_described = purpose == Purpose::Description;
        contract::check_place(&component, below.as_deref(), is_described)?;
        let mut linker = self.linker(&component, is_built_in, self.splice)?;
        if contract::is_layer(&component) {
            stack::link(&mut linker, below).map_err(invalid)?;
        }
        let (component, offered) = contract::link(&component, &linker)?;
        deadline.look();
        let grants = match is_built_in {
            // It need not check what it opens if the host does.
            true if cfg!(target_os = "linux") => self.grants.env("ARTIFACT_STORE_LOOK", "off"),
            _ => self.grants,
        };
        // A read of `fs` makes only system calls that do not wait, and `s3` waits for sockets alone.
        // For other backends this is not known.
        let is_known = is_built_in && self.splice;
        let begins_inline = is_known
            && !grants.directories.is_empty()
            && preopens.iter().all(|dir| is_possible(dir.file()));
        let waits_for_sockets = is_known && grants.directories.is_empty();
        let is_all_local = preopens.iter().all(|dir| is_local(dir.file()));
        let mut pool = Pool::new(component, offered, grants, preopens, self.limits, threads)?;
        pool.begins_inline = begins_inline;
        pool.waits_for_nobody = is_all_local && !pool.has_network();
        pool.waits_for_sockets = waits_for_sockets && pool.has_network();
        pool.probe(deadline).await?;
        if purpose != Purpose::Description {
            let problems = settings::check(&pool, deadline).await?;
            if !problems.is_empty() {
                let problems = Surroundings::locate(self.surroundings.as_ref(), problems);
                return Err(LoadError::Settings(problems).into());
            }
            #[cfg(feature = "network")]
            pool.prepare_network(deadline).await?;
        }
        if purpose == Purpose::Succession {
            trial::answers(&pool, deadline).await?;
        }
        Ok((digest, pool))
    }

    /// The bytes of the component, and the engine that will run them.
    pub(super) fn found(&self, deadline: &Deadline) -> Result<Found<'_>, ErrorKind> {
        let engine = match &self.engine {
            Some(engine) => engine.clone(),
            None => Engine::of_process()?,
        };
        engine.tick();
        deadline.look();
        let bytes = self.bytes()?;
        let digest = self.digest(&bytes)?;
        Ok(Found { is_built_in: is_built_in(&digest), bytes, digest, engine })
    }

    /// The code of the component, compiled while the clock of loading runs.
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

    /// Opens the directories of `grants`: those of this backend, or of a test.
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
            identities: &self.identities,
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
            wasi_0_2: ty.imports(engine).any(|(name, _)| name.contains("@0.2.")),
        };
        linker(engine, &linked).map_err(invalid)
    }

    /// The files of the certificate authorities that it is granted.
    #[cfg(feature = "config")]
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &Path> {
        let all = std::iter::once(self).chain(self.components());
        all.flat_map(|component| authorities(&component.grants)).map(PathBuf::as_path)
    }
}

/// The limits of a layer: a call of it includes those that it makes on what is below, whose bytes may
/// come as slowly as they may there.
fn above(limits: Limits, below: &Limits) -> Limits {
    let waits = below.turn_timeout.saturating_add(below.call_timeout);
    Limits {
        call_timeout: limits.call_timeout.saturating_add(waits),
        least_rate: limits.least_rate.min(below.least_rate),
        ..limits
    }
}

/// What a component is loaded for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To serve.
    Service,
    /// To take the place of another one at once.
    Succession,
    /// To be asked about its settings, which need not make sense.
    Description,
}

/// A component that is not compiled yet.
pub(super) struct Found<'a> {
    bytes: Cow<'a, [u8]>,
    digest: [u8; 32],
    /// Whether it is a part of this library, regardless of where it comes from.
    pub(super) is_built_in: bool,
    pub(super) engine: Engine,
}

#[cfg(feature = "network")]
fn authorities(grants: &Grants) -> &[PathBuf] {
    &grants.authorities
}

#[cfg(not(feature = "network"))]
fn authorities(_: &Grants) -> &[PathBuf] {
    &[]
}
