//! From bytes to a pool that can serve: each way in which a file is no backend gets its own error.

use std::borrow::Cow;
#[cfg(any(feature = "config", all(feature = "conformance", unix)))]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use super::fence::{self, Applicant};
use super::{Backend, Source, is_built_in, trial};
use crate::bindings::{
    INVENTORY, MAINTENANCE, STORE, STREAMS, artifact_store, inventory, maintenance, streams,
};
use crate::budget::{Deadline, explain_trouble, invalid, is_possible, runtime};
use crate::engine::{self, Engine};
use crate::error::{Error, ErrorKind, LoadError, Operation, wrong_interface};
use crate::file::{self, Unreadable};
use crate::grants::Grants;
use crate::inspect::Inspection;
use crate::instance::{Offered, Pool, Worker};
use crate::limits::LoadLimits;
use crate::serving::{Loaded, LoadedBackend};
use crate::telemetry;
use crate::text::{foreign, hexadecimal};
use crate::verbs::sweep_in_background;
use crate::wasi::{HostState, Linked, Links, Preopens, linker};

const PACKAGE: &str = "artifact:storage/";

/// How many of what a component has too much are named.
const NAMED: usize = 16;

/// What a component may import: WASI, as far as its grants give it a meaning, and the
/// contract's own types, which carry no function.
const IMPORTABLE: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    // The client half of HTTP, in WASI 0.3 alone: what it reaches is granted by endpoint.
    #[cfg(feature = "network")]
    "wasi:http/client@0.3",
    #[cfg(feature = "network")]
    "wasi:http/types@0.3",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "artifact:storage/types@",
];

impl Backend {
    /// What the component's file tells about it: what it offers, what it imports, who made it. It
    /// is not run, and not compared with the contract. The file is read on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`component`](Self::component).
    pub fn inspect(&self) -> Result<Inspection, LoadError> {
        let (bytes, digest) = self.sound_bytes()?;
        Inspection::of(&bytes, hexadecimal(&digest))
    }

    /// The bytes of the component, within the limits of [`LoadLimits`](crate::LoadLimits) for what
    /// is in it: what reads them next meets nothing that is nested too deep, or that instantiates
    /// without end. Whether it is valid is found out when it is loaded. The file is read on the
    /// calling thread.
    ///
    /// # Errors
    ///
    /// [`LoadError::Read`], [`LoadError::NotAComponent`], [`LoadError::Limit`],
    /// [`LoadError::Invalid`]; [`LoadError::WrongDigest`] where it is not the one that was
    /// [pinned](Self::pin).
    ///
    /// ```
    /// use artifact_store::Backend;
    ///
    /// let fs = Backend::fs("artifacts").component()?;
    /// assert_eq!(fs, Backend::fs_component());
    /// # Ok::<(), artifact_store::LoadError>(())
    /// ```
    pub fn component(&self) -> Result<Vec<u8>, LoadError> {
        Ok(self.sound_bytes()?.0.into_owned())
    }

    fn sound_bytes(&self) -> Result<(Cow<'_, [u8]>, [u8; 32]), LoadError> {
        let bytes = self.bytes()?;
        let digest = self.digest(&bytes)?;
        engine::check(&bytes, &self.limits.load)?;
        Ok((bytes, digest))
    }

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
        let (component, offered) = prepare(&component, &linker)?;
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
    fn found(&self, deadline: &Deadline) -> Result<Found<'_>, ErrorKind> {
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
    fn compiled(&self, found: Found<'_>, deadline: &Deadline) -> Result<Component, ErrorKind> {
        let Found { bytes, digest, is_built_in, engine } = found;
        let source = engine::Source { bytes: &bytes, sha256: digest, is_built_in };
        deadline.compile();
        let component = engine.component(&source, &self.limits.load)?;
        check_exports(&component)?;
        check_imports(&component)?;
        Ok(component)
    }

    /// Opens the directories of `grants`, which are those of this backend but for a test's own.
    fn open_directories(
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

    fn linker(
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

    /// The same backend with its component's file in memory, and the SHA-256 of that.
    #[cfg(feature = "config")]
    pub(crate) fn read(mut self) -> Result<(Self, String), Error> {
        let (digest, file) = match self.bytes() {
            Ok(Cow::Owned(bytes)) => (sha256(&bytes), Some(bytes)),
            Ok(Cow::Borrowed(bytes)) => (sha256(bytes), None),
            Err(error) => {
                return Err(Error::new(error.into(), Operation::Open, None, &self.name));
            }
        };
        if let (Source::File(path), Some(bytes)) = (&self.source, file) {
            self.source = Source::Read(path.clone(), bytes.into());
        }
        Ok((self, hexadecimal(&digest)))
    }

    /// The files of the certificate authorities that it is granted.
    #[cfg(feature = "config")]
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &Path> {
        authorities(&self.grants).iter().map(PathBuf::as_path)
    }

    /// What the component consists of, as far as it looks like one.
    fn bytes(&self) -> Result<Cow<'_, [u8]>, LoadError> {
        let bytes = match &self.source {
            Source::File(path) => {
                let load = &self.limits.load;
                let read = file::read_if(path, load.file_size, load.time, |head| {
                    check_kind(head).map_err(NotRead::Refused)
                });
                return read.map(Cow::from).map_err(|why| why.into_error(load));
            }
            Source::Read(_, bytes) | Source::Bytes(bytes) => bytes,
            Source::BuiltIn(bytes) => *bytes,
        };
        check_kind(bytes)?;
        Ok(bytes.into())
    }

    /// The component's SHA-256, which has to be the pinned one.
    fn digest(&self, bytes: &[u8]) -> Result<[u8; 32], LoadError> {
        let found = sha256(bytes);
        if let Some(expected) = &self.pin {
            let found = hexadecimal(&found);
            if !found.eq_ignore_ascii_case(expected) {
                return Err(LoadError::WrongDigest { expected: expected.clone(), found });
            }
        }
        Ok(found)
    }
}

/// A component that is not compiled yet.
struct Found<'a> {
    bytes: Cow<'a, [u8]>,
    digest: [u8; 32],
    /// Whether it is one of this library's own, by its bytes, wherever they came from.
    is_built_in: bool,
    engine: Engine,
}

/// Why the bytes of a file are not those of a component.
enum NotRead {
    Unreadable(Unreadable),
    Refused(LoadError),
}

impl From<Unreadable> for NotRead {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl NotRead {
    fn into_error(self, limits: &LoadLimits) -> LoadError {
        match self {
            Self::Refused(error) => error,
            Self::Unreadable(Unreadable::System(error)) => LoadError::Read(error),
            Self::Unreadable(Unreadable::NotAFile(kind)) => LoadError::NotAComponent(kind.into()),
            Self::Unreadable(Unreadable::TooLarge { found, limit }) => {
                let (name, unit) = ("file-size", "bytes");
                LoadError::Limit { name, limit, found: Some(found), unit }
            }
            Self::Unreadable(Unreadable::TooSlow(_)) => LoadLimits::too_slow(limits.time),
        }
    }
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

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A backend that is compiled once, to be run on many directories.
#[cfg(all(feature = "conformance", unix))]
pub(crate) struct Prepared {
    backend: Backend,
    engine: Engine,
    is_built_in: bool,
    pool: Pool,
}

#[cfg(all(feature = "conformance", unix))]
impl Prepared {
    /// Compiles `backend` and links it with what `extend` adds to WASI or puts in its place.
    pub(crate) fn new(
        backend: Backend,
        extend: impl FnOnce(&mut Linker<HostState>) -> wasmtime::Result<()>,
    ) -> Result<Self, Error> {
        let failed = |kind| Error::new(kind, Operation::Open, None, &backend.name);
        runtime().map_err(failed)?;
        let deadline = Deadline::new(&backend.limits, Arc::default(), None);
        let prepared = || -> Result<_, ErrorKind> {
            let found = backend.found(&deadline)?;
            let (engine, is_built_in) = (found.engine.clone(), found.is_built_in);
            let component = &backend.compiled(found, &deadline)?;
            // Bytes that go past the backend go past whoever stands in the place of WASI, too.
            let mut linker = backend.linker(component, is_built_in, false)?;
            extend(&mut linker).map_err(invalid)?;
            let (linked, offered) = prepare(component, &linker)?;
            let (grants, limits) = (backend.grants.clone(), backend.limits.clone());
            let pool = Pool::new(linked, offered, grants, Arc::default(), limits)?;
            Ok((engine, is_built_in, pool))
        };
        match prepared() {
            Ok((engine, is_built_in, pool)) => Ok(Self { backend, engine, is_built_in, pool }),
            Err(kind) => Err(failed(kind)),
        }
    }

    /// An error that has nothing to do with an artifact.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, Operation::Open, None, &self.backend.name)
    }

    /// The backend on `dir` in the place of every directory that it may write to. No instance of
    /// it has run yet.
    ///
    /// # Errors
    ///
    /// As those of the grants of any backend.
    pub(crate) fn on(&self, dir: &Path) -> Result<LoadedBackend, Error> {
        let Self { backend, engine, is_built_in, pool } = self;
        let grants = backend.grants.clone().only(dir);
        let preopens = backend.open_directories(&grants, *is_built_in, engine);
        let pool = pool.on(preopens.map_err(|error| self.error(error.into()))?);
        Ok(LoadedBackend(Arc::new(Loaded::new(Arc::clone(&backend.name), "".into(), pool))))
    }
}

fn prepare(
    component: &Component,
    linker: &Linker<HostState>,
) -> Result<(InstancePre<HostState>, Offered), LoadError> {
    let component = linker.instantiate_pre(component).map_err(invalid)?;
    let store = artifact_store::GuestIndices::new(&component);
    let offered = Offered {
        store: store.map_err(wrong_interface(STORE))?,
        streams: optional(&component, STREAMS, streams::GuestIndices::new)?,
        inventory: optional(&component, INVENTORY, inventory::GuestIndices::new)?,
        maintenance: optional(&component, MAINTENANCE, maintenance::GuestIndices::new)?,
    };
    Ok((component, offered))
}

/// What `find` says of an interface that a backend may leave out.
fn optional<T>(
    component: &InstancePre<HostState>,
    interface: &str,
    find: impl FnOnce(&InstancePre<HostState>) -> wasmtime::Result<T>,
) -> Result<Option<T>, LoadError> {
    let is_offered = component.component().get_export_index(None, interface).is_some();
    is_offered.then(|| find(component).map_err(wrong_interface(interface))).transpose()
}

/// Says what the bytes are, where they are no binary component; the compiler's own message
/// would speak of magic numbers.
fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let text = start.trim_start().to_ascii_lowercase();
    let kind = match bytes {
        [] => "an empty file",
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => "a core WebAssembly module",
        [0, b'a', b's', b'm', ..] => "WebAssembly of an unknown version",
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") => "an HTML page",
        _ if text.starts_with("(component") || text.starts_with("(module") => {
            "WebAssembly text, which has to be assembled first"
        }
        _ => "some other file",
    };
    Err(LoadError::NotAComponent(kind.into()))
}

fn check_exports(component: &Component) -> Result<(), LoadError> {
    let (ty, engine) = (component.component_type(), component.engine());
    let mut found = Vec::new();
    for (name, item) in ty.exports(engine) {
        if name == STORE && matches!(item.ty, ComponentItem::ComponentInstance(_)) {
            return Ok(());
        }
        if name.starts_with(PACKAGE) && found.len() < NAMED {
            found.push(foreign(name));
        }
    }
    Err(LoadError::MissingExport { missing: STORE.into(), found })
}

fn check_imports(component: &Component) -> Result<(), LoadError> {
    let (ty, engine) = (component.component_type(), component.engine());
    let unexpected: Vec<_> = ty
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !IMPORTABLE.iter().any(|prefix| name.starts_with(prefix)))
        .map(foreign)
        .take(NAMED)
        .collect();
    if unexpected.is_empty() { Ok(()) } else { Err(LoadError::UnexpectedImports(unexpected)) }
}
