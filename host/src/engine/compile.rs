//! From the bytes of a component to code that runs: out of the cache, or compiled.

use wasmtime::component::Component;

use super::cache::Id;
use super::{Engine, LoadLimits, child, structure, work};
use crate::budget::{have_threads_to_compile, invalid};
use crate::error::{ErrorKind, LoadError};

/// Where components are compiled that are not built in:
/// [`EngineBuilder::compile`](crate::EngineBuilder::compile).
///
/// A compiler that has begun cannot be stopped within a process, and a hostile component of a few
/// kilobytes can take minutes and gigabytes of it. A process of its own has limits that hold:
/// [`LoadLimits::time`] and [`LoadLimits::memory`]. Within this process the size and the shape of
/// functions are limited instead, by [`LoadLimits::work`], which takes longer to check, refuses
/// more than it has to, and bounds the time less well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compile {
    /// In a process of its own where this program can be one, which it says by
    /// [`Engine::compile_in_child`]; else in this process.
    #[default]
    Auto,
    /// In a process of its own; the engine cannot be built in a program that has not said that it
    /// can be one.
    ChildProcess,
    /// In this process.
    InProcess,
}

/// A component that is to be loaded.
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) sha256: [u8; 32],
    /// It comes with this library, so that compiling it takes what is known.
    pub(crate) is_built_in: bool,
}

impl Engine {
    /// Makes the component ready to be linked, within these limits.
    ///
    /// # Errors
    ///
    /// [`LoadError::Limit`], [`LoadError::Invalid`], [`LoadError::Compiler`];
    /// [`ErrorKind::Unavailable`] where the process that compiles cannot be started.
    pub(crate) fn component(
        &self,
        source: &Source<'_>,
        limits: &LoadLimits,
    ) -> Result<Component, ErrorKind> {
        let id = Id { component: source.sha256, engine: self.key() };
        let entries = self.entries();
        let found = entries.and_then(|entries| {
            entries.find(&id, |profile, code| match profile.check(limits) {
                Ok(()) => self.run(code).ok().map(Ok),
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

    /// Needs [`have_threads_to_compile`].
    pub(super) fn compile_here(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.wasmtime().precompile_component(bytes).map_err(invalid)
    }

    /// The code has to come from a compiler of this program: just now, or out of an entry of the
    /// cache whose digest is right.
    fn run(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime requires that the bytes are what its compiler returned. Those from this
        // process and from a child are. Those of an entry were compared with its digest in this
        // very memory, and only this user can have written both: see `cache`.
        unsafe { Component::deserialize(self.wasmtime(), code) }
    }
}
