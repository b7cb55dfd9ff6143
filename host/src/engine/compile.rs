//! From the bytes of a component to executable code: out of the cache, or compiled.

use wasmtime::component::Component;

use super::cache::{Code, Id};
use super::{Engine, LoadLimits, child, structure, work};
use crate::budget::{have_threads_to_compile, invalid};
use crate::error::{ErrorKind, LoadError};

/// Where components that are not built in are compiled:
/// [`EngineBuilder::compile`](crate::EngineBuilder::compile).
///
/// A compilation cannot be stopped within a process, and a hostile component of a few kilobytes can
/// take minutes and gigabytes. A separate process has limits that hold: [`LoadLimits::time`] and
/// [`LoadLimits::memory`]. Within this process the size and shape of functions are limited instead,
/// by [`LoadLimits::work`]. That limit takes longer to check, refuses more than necessary, and
/// bounds the time less precisely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compile {
    /// In a separate process if this program can be one, which it declares by
    /// [`Engine::compile_in_child`]; otherwise in this process.
    #[default]
    Auto,
    /// In a separate process. The engine cannot be built in a program that has not declared that it
    /// can be one.
    ChildProcess,
    /// In this process.
    InProcess,
}

/// A component that is to be loaded.
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) sha256: [u8; 32],
    /// It is a part of this library, so that the cost of compiling it is known.
    pub(crate) is_built_in: bool,
}

impl Engine {
    /// Prepares the component to be linked, within these limits.
    ///
    /// # Errors
    ///
    /// [`LoadError::Limit`], [`LoadError::Invalid`], [`LoadError::Compiler`];
    /// [`ErrorKind::Unavailable`] if the process that compiles cannot be started.
    pub(crate) fn component(
        &self,
        source: &Source<'_>,
        limits: &LoadLimits,
    ) -> Result<Component, ErrorKind> {
        let id = Id { component: source.sha256, engine: self.key() };
        let entries = self.entries();
        let found = entries.and_then(|entries| {
            entries.find(&id, |profile, code| match profile.check(limits) {
                Ok(()) => self.run_kept(code).ok().map(Ok),
                Err(error) => Some(Err(error)),
            })
        });
        if let Some(found) = found {
            return Ok(found?);
        }
        let mut profile = structure::profile(source.bytes, limits)?;
        let code = if source.is_built_in {
            have_threads_to_compile()?;
            self.compile_here(source.bytes)?
        } else if self.compiles_in_child() {
            child::compile(source.bytes, &self.key(), limits)?
        } else {
            work::measure(source.bytes, &mut profile, limits)?;
            have_threads_to_compile()?;
            self.compile_here(source.bytes)?
        };
        if let Some(entries) = entries {
            entries.keep(&id, &profile, &code);
        }
        Ok(self.run(&code).map_err(invalid)?)
    }

    /// Call [`have_threads_to_compile`] before.
    pub(super) fn compile_here(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.wasmtime().precompile_component(bytes).map_err(invalid)
    }

    /// Runs code of the cache.
    fn run_kept(&self, code: Code<'_>) -> wasmtime::Result<Component> {
        let path = match code {
            Code::Bytes(code) => return self.run(code),
            Code::File(path) => path,
        };
        // SAFETY: as in `run`. The entry was verified, and nobody changes an entry: it is replaced or
        // removed as a whole, which a mapping survives.
        let mapped = unsafe { Component::deserialize_file(self.wasmtime(), path) };
        // Where the filesystem permits no code, it is copied.
        mapped.or_else(|_| self.run(&std::fs::read(path)?))
    }

    /// The code must come from a compiler of this program: from one that has just run, or from an
    /// entry of the cache whose checksum was verified.
    fn run(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime requires that the bytes are what its compiler returned. Those from this
        // process and from a child are. Those of an entry were compared with its checksum, and only
        // this user can have written both: see `cache`.
        unsafe { Component::deserialize(self.wasmtime(), code) }
    }
}
