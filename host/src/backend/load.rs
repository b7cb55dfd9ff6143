//! From bytes to a pool that can serve: each way in which a file is no backend gets its own error.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use super::linker::{Links, linker};
use super::{Backend, Loaded, Source};
use crate::bindings::{
    INVENTORY, MAINTENANCE, STORE, STREAMS, artifact_store, inventory, maintenance, streams,
};
use crate::error::{Error, ErrorKind, LoadError, Operation, wrong_interface};
use crate::instance::{Deadline, HostState, Offered, Pool, Worker, engine, runtime};
use crate::swap::LoadedBackend;
use crate::telemetry;

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
    /// Compiles, links and tries the component, on a thread that may block.
    pub(crate) async fn load(self) -> Result<LoadedBackend, Error> {
        telemetry::describe();
        let (name, sweep) = (Arc::clone(&self.name), self.sweep);
        let failed = |kind| Error::new(kind, Operation::Open, None, &name);
        let no_thread = |error| ErrorKind::Unavailable(format!("cannot start a thread: {error}"));
        runtime().map_err(|error| failed(no_thread(error)))?;
        // The clock runs when the component itself does.
        let deadline = Arc::new(Deadline::new(self.limits.call_timeout, Arc::default()));
        deadline.pause();
        let watched = Arc::clone(&deadline);
        let tried = Worker::spawn(watched, async move || self.try_out(&deadline).await).await;
        let (digest, pool) = tried.flatten().map_err(failed)?;
        let loaded = Arc::new(Loaded::new(name, digest, pool));
        if let Some(older_than) = sweep {
            loaded.sweep_in_background(older_than);
        }
        Ok(LoadedBackend(loaded))
    }

    async fn try_out(self, deadline: &Arc<Deadline>) -> Result<(Arc<str>, Pool), ErrorKind> {
        let bytes = self.bytes()?;
        let digest = self.digest(&bytes)?;
        let is_built_in = matches!(self.source, Source::BuiltIn(_));
        let (component, offered) = prepare(&bytes, is_built_in, self.splice)?;
        drop(bytes);
        let pool = Pool::new(component, offered, self.grants, self.limits)?;
        pool.probe(deadline).await?;
        Ok((digest, pool))
    }

    /// The component's SHA-256, which has to be the pinned one.
    fn digest(&self, bytes: &[u8]) -> Result<Arc<str>, LoadError> {
        let found: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        match &self.pin {
            Some(expected) if !found.eq_ignore_ascii_case(expected) => {
                Err(LoadError::WrongDigest { expected: expected.clone(), found })
            }
            _ => Ok(found.into()),
        }
    }
}

fn prepare(
    bytes: &[u8],
    is_built_in: bool,
    splice: bool,
) -> Result<(InstancePre<HostState>, Offered), LoadError> {
    check_kind(bytes)?;
    let engine = engine().map_err(invalid)?;
    let component = Component::from_binary(engine, bytes).map_err(invalid)?;
    check_exports(&component, engine)?;
    check_imports(&component, engine)?;
    let imports_http =
        component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:http/"));
    let links = Links { special_files: is_built_in, splice, http: imports_http };
    let linker = linker(engine, links).map_err(invalid)?;
    let component = linker.instantiate_pre(&component).map_err(invalid)?;
    let has = |name| component.component().get_export_index(None, name).is_some();
    let offered = Offered {
        store: artifact_store::GuestIndices::new(&component).map_err(wrong_interface(STORE))?,
        streams: has(STREAMS)
            .then(|| streams::GuestIndices::new(&component))
            .transpose()
            .map_err(wrong_interface(STREAMS))?,
        inventory: has(INVENTORY)
            .then(|| inventory::GuestIndices::new(&component))
            .transpose()
            .map_err(wrong_interface(INVENTORY))?,
        maintenance: has(MAINTENANCE)
            .then(|| maintenance::GuestIndices::new(&component))
            .transpose()
            .map_err(wrong_interface(MAINTENANCE))?,
    };
    Ok((component, offered))
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

fn check_exports(component: &Component, engine: &Engine) -> Result<(), LoadError> {
    let ty = component.component_type();
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

fn check_imports(component: &Component, engine: &Engine) -> Result<(), LoadError> {
    let ty = component.component_type();
    let unexpected: Vec<_> = ty
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .filter(|name| !IMPORTABLE.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    if unexpected.is_empty() { Ok(()) } else { Err(LoadError::UnexpectedImports(unexpected)) }
}
