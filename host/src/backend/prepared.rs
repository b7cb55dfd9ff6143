//! A backend that is compiled once, to be run on many directories.

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Linker;

use super::{Backend, contract};
use crate::budget::{Deadline, invalid, runtime};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Operation};
use crate::instance::Pool;
use crate::serving::{Held, Loaded, LoadedBackend};
use crate::wasi::HostState;

/// A backend that is compiled once, to be run on many directories.
pub(crate) struct Prepared {
    backend: Backend,
    engine: Engine,
    is_built_in: bool,
    pool: Pool,
}

impl Prepared {
    /// Compiles `backend` and links it with what `extend` adds to WASI or replaces in it.
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
            // Bytes that bypass the backend would also bypass what replaces WASI.
            let mut linker = backend.linker(component, is_built_in, false)?;
            extend(&mut linker).map_err(invalid)?;
            let (linked, offered) = contract::link(component, &linker)?;
            let (grants, limits) = (backend.grants.clone(), backend.limits.clone());
            let pool =
                Pool::new(linked, offered, grants, Arc::default(), limits, engine.threads())?;
            Ok((engine, is_built_in, pool))
        };
        match prepared() {
            Ok((engine, is_built_in, pool)) => Ok(Self { backend, engine, is_built_in, pool }),
            Err(kind) => Err(failed(kind)),
        }
    }

    /// An error without an artifact.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, Operation::Open, None, &self.backend.name)
    }

    /// The backend on `dir`, which replaces every directory that it may write to. No instance of it
    /// has run yet.
    ///
    /// # Errors
    ///
    /// Those of the grants of any backend.
    pub(crate) fn on(&self, dir: &Path) -> Result<LoadedBackend, Error> {
        let Self { backend, engine, is_built_in, pool } = self;
        let grants = backend.grants.clone().only(dir);
        let preopens = backend.open_directories(&grants, *is_built_in, engine);
        let pool = pool.on(preopens.map_err(|error| self.error(error.into()))?);
        Ok(LoadedBackend(Held::new(Loaded::new("", Arc::clone(&backend.name), "".into(), pool))))
    }
}
