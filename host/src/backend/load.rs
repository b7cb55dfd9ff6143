//! From bytes to a pool that can serve: each way in which a file is no backend gets its own error.

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use super::linker::{Linked, linker};
use super::open::Links;
use super::{Backend, Loaded, Source, is_built_in, trial};
use crate::bindings::{
    INVENTORY, MAINTENANCE, STORE, STREAMS, artifact_store, inventory, maintenance, streams,
};
use crate::error::{Error, ErrorKind, LoadError, Operation, wrong_interface};
use crate::file::{self, Unreadable};
use crate::inspect::Inspection;
use crate::instance::{Deadline, HostState, Offered, Pool, Worker, is_possible, runtime};
use crate::swap::LoadedBackend;
use crate::{Engine, LoadLimits, engine, telemetry};

const PACKAGE: &str = "artifact:storage/";

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
        let (name, sweep, limits) = (Arc::clone(&self.name), self.sweep, self.limits.clone());
        let failed = |kind| Error::new(kind, Operation::Open, None, &name);
        let no_thread = |error| ErrorKind::Unavailable(format!("cannot start a thread: {error}"));
        runtime().map_err(|error| failed(no_thread(error)))?;
        let deadline = Arc::new(Deadline::new(limits.load.time, Arc::default()));
        let tried = Worker::spawn(deadline, async move || self.try_out(is_successor).await).await;
        let tried = tried.unwrap_or_else(|lost| match lost {
            ErrorKind::Timeout(_) => Err(limits.load.too_slow().into()),
            lost => Err(lost),
        });
        let (digest, pool) = tried.map_err(failed)?;
        let loaded = Arc::new(Loaded::new(name, digest, pool));
        if let Some(older_than) = sweep {
            loaded.sweep_in_background(older_than);
        }
        Ok(LoadedBackend(loaded))
    }

    async fn try_out(self, is_successor: bool) -> Result<(Arc<str>, Pool), ErrorKind> {
        let (component, digest) = self.compiled()?;
        let linker = self.linker(&component, self.splice)?;
        let (component, offered) = prepare(&component, &linker)?;
        let is_built_in = self.is_built_in();
        let grants = match is_built_in {
            // It need not look at what it opens, where that is done here.
            true if cfg!(target_os = "linux") => self.grants.env("ARTIFACT_STORE_LOOK", "off"),
            _ => self.grants,
        };
        // A reading of `fs` takes no other calls of the system than those that are made so that
        // they do not wait. What a backend of others does, nobody knows.
        let dirs = &grants.directories;
        let begins_inline = is_built_in
            && self.splice
            && !dirs.is_empty()
            && dirs.iter().all(|dir| is_possible(&dir.host));
        let mut pool = Pool::new(component, offered, grants, self.limits)?;
        pool.begins_inline = begins_inline;
        let deadline = pool.deadline();
        pool.probe(&deadline).await?;
        if is_built_in {
            check_settings(&pool, &deadline).await?;
        }
        if is_successor {
            trial::answers(&pool).await?;
        }
        Ok((digest, pool))
    }

    /// The component's code, and its SHA-256.
    fn compiled(&self) -> Result<(Component, Arc<str>), ErrorKind> {
        let engine = match &self.engine {
            Some(engine) => engine.clone(),
            None => Engine::of_process()?,
        };
        engine.tick();
        let bytes = self.bytes()?;
        let digest = self.digest(&bytes)?;
        let is_built_in = is_built_in(&bytes);
        let source = engine::Source { bytes: &bytes, sha256: digest, is_built_in };
        let component = engine.component(&source, &self.limits.load)?;
        check_exports(&component)?;
        check_imports(&component)?;
        Ok((component, hexadecimal(&digest).into()))
    }

    fn is_built_in(&self) -> bool {
        matches!(self.source, Source::BuiltIn(_))
    }

    fn linker(&self, component: &Component, splice: bool) -> Result<Linker<HostState>, LoadError> {
        let engine = component.engine();
        let ty = component.component_type();
        let linked = Linked {
            links: if self.is_built_in() { Links::Never } else { Links::Within },
            splice,
            http: ty.imports(engine).any(|(name, _)| name.starts_with("wasi:http/")),
        };
        linker(engine, linked).map_err(invalid)
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
        if let Some(bytes) = file {
            self.source = Source::Bytes(bytes.into());
        }
        Ok((self, hexadecimal(&digest)))
    }

    /// The files of the certificate authorities that it is granted.
    #[cfg(feature = "config")]
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &std::path::Path> {
        #[cfg(feature = "network")]
        let files = &*self.grants.authorities;
        #[cfg(not(feature = "network"))]
        let files: &[std::path::PathBuf] = &[];
        files.iter().map(std::path::PathBuf::as_path)
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
            Source::Bytes(bytes) => bytes,
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
            Self::Unreadable(Unreadable::TooSlow(_)) => limits.too_slow(),
        }
    }
}

/// Asks a backend of ours for a key that none can have. Before it refuses that, it names the
/// setting that makes no sense: it alone knows what each has to be.
async fn check_settings(pool: &Pool, deadline: &Arc<Deadline>) -> Result<(), ErrorKind> {
    let asked = pool.call(deadline, false, None, async |accessor, exports| {
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

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn hexadecimal(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A backend that is compiled once, to be run on many directories.
#[cfg(all(feature = "conformance", unix))]
pub(crate) struct Prepared {
    name: Arc<str>,
    grants: crate::Grants,
    pool: Pool,
}

#[cfg(all(feature = "conformance", unix))]
impl Prepared {
    /// Compiles `backend` and links it with what `extend` adds to WASI or puts in its place.
    pub(crate) fn new(
        backend: Backend,
        extend: impl FnOnce(&mut Linker<HostState>) -> wasmtime::Result<()>,
    ) -> Result<Self, Error> {
        let prepared = || -> Result<_, ErrorKind> {
            let (component, _) = backend.compiled()?;
            // Bytes that go past the backend go past whoever stands in the place of WASI, too.
            let mut linker = backend.linker(&component, false)?;
            extend(&mut linker).map_err(invalid)?;
            let (component, offered) = prepare(&component, &linker)?;
            let (grants, limits) = (backend.grants.clone(), backend.limits.clone());
            Ok(Pool::new(component, offered, grants, limits)?)
        };
        match prepared() {
            Ok(pool) => Ok(Self { name: backend.name, grants: backend.grants, pool }),
            Err(kind) => Err(Error::new(kind, Operation::Open, None, &backend.name)),
        }
    }

    /// An error that has nothing to do with an artifact.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, Operation::Open, None, &self.name)
    }

    /// The backend on `dir` in the place of every directory that it may write to. No instance of
    /// it has run yet.
    pub(crate) fn on(&self, dir: &std::path::Path) -> LoadedBackend {
        let pool = self.pool.with_grants(self.grants.clone().only(dir));
        LoadedBackend(Arc::new(Loaded::new(Arc::clone(&self.name), "".into(), pool)))
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

fn invalid(error: wasmtime::Error) -> LoadError {
    LoadError::Invalid(error.into())
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
        if name.starts_with(PACKAGE) {
            found.push(name.to_owned());
        }
    }
    Err(LoadError::MissingExport { missing: STORE.into(), found })
}

fn check_imports(component: &Component) -> Result<(), LoadError> {
    let (ty, engine) = (component.component_type(), component.engine());
    let unexpected: Vec<_> = ty
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .filter(|name| !IMPORTABLE.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    if unexpected.is_empty() { Ok(()) } else { Err(LoadError::UnexpectedImports(unexpected)) }
}
