//! What loading a component may use.

use std::time::Duration;

use crate::error::LoadError;
use crate::setters::setters;

/// What loading a component may use: reading and checking its file, compiling it, and starting it
/// once. A part of [`Limits`](crate::Limits). Beyond any of these limits: [`LoadError::Limit`],
/// which names the limit as the configuration does.
///
/// The defaults leave room for the largest components of today: an interpreter with its library has
/// 20 MB, 14 modules and 14 000 functions. Something that is instantiated several times counts as
/// often.
///
/// [`LoadError::Limit`]: crate::LoadError::Limit
///
/// ```
/// use artifact_store::{Backend, ErrorKind, Limits, LoadError, LoadLimits, blocking::ArtifactStore};
///
/// let load = LoadLimits::default().functions(100);
/// let backend = Backend::from_bytes("fs", Backend::fs_component());
/// let backend = backend.limits(Limits::default().load(load));
/// let error = ArtifactStore::open(backend).err().expect("it has more");
/// let ErrorKind::Load(LoadError::Limit { name, limit, .. }) = error.kind() else { panic!() };
/// assert_eq!((*name, *limit), ("functions", 100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadLimits {
    /// The time for all of it, including the first call of a backend that is swapped in. Default: 2
    /// minutes: an interpreter takes about 15 s of processor time, and the machine may be busy.
    pub time: Duration,
    /// The most memory of the process that compiles, in bytes. Default: 1 GiB; an interpreter takes
    /// 370 MiB. If components are compiled [in this process](crate::Compile), `work` and
    /// `function_work` apply instead.
    pub memory: u64,
    /// The most bytes of the file. Default: 64 MiB.
    pub file_size: u64,
    /// How deep components and their types may be nested. Default: 32; tools make 4 levels.
    pub nesting: u64,
    /// The most modules and components in the file. Default: 1000.
    pub modules: u64,
    /// The most instances of modules and components. Default: 1000.
    pub instances: u64,
    /// The most items that components declare: types, aliases, instances, functions, imports,
    /// exports. Default: 200 000.
    pub definitions: u64,
    /// The most functions, including those that adapt types between components. Default: 200 000.
    pub functions: u64,
    /// The most bytes of one function. Default: 1 MiB; the largest function of an interpreter has
    /// 0.4.
    pub function_size: u64,
    /// The most local variables of one function. Default: 10 000; an interpreter has 271.
    pub locals: u64,
    /// The most types. Default: 100 000.
    pub types: u64,
    /// The most imports, of modules and components. Default: 50 000.
    pub imports: u64,
    /// The most exports, of modules and components. Default: 50 000.
    pub exports: u64,
    /// The most memories of one instance of the whole component. Default: 100; each takes 4 GiB of
    /// the address space of the process.
    pub memories: u64,
    /// The most tables of one instance of the whole component. Default: 100.
    pub tables: u64,
    /// The most functions, globals and imports of all core instances in one instance of the whole
    /// component. Default: 500 000; each takes up to 32 bytes, which the limit of an instance's
    /// memory does not count.
    pub parts: u64,
    /// The most data and element segments. Default: 100 000; a component of JavaScript has 10 000.
    pub segments: u64,
    /// The most elements in all element segments. Default: 200 000; each takes the compiler 2 KiB.
    pub elements: u64,
    /// The most work of the compiler for all functions together, if the compiler cannot be stopped.
    /// A unit is 1 µs for ordinary code, and at most 7 µs and 1 KiB for code that was made to take
    /// long. Default: 30 million; an interpreter takes 14.
    pub work: u64,
    /// The same for one function. Default: 1 million; the largest of an interpreter takes 440 000.
    pub function_work: u64,
}

setters!(LoadLimits {
    time: Duration,
    memory: u64,
    file_size: u64,
    nesting: u64,
    modules: u64,
    instances: u64,
    definitions: u64,
    functions: u64,
    function_size: u64,
    locals: u64,
    types: u64,
    imports: u64,
    exports: u64,
    memories: u64,
    tables: u64,
    parts: u64,
    segments: u64,
    elements: u64,
    work: u64,
    function_work: u64,
});

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(120),
            memory: 1 << 30,
            file_size: 64 << 20,
            nesting: 32,
            modules: 1000,
            instances: 1000,
            definitions: 200_000,
            functions: 200_000,
            function_size: 1 << 20,
            locals: 10_000,
            types: 100_000,
            imports: 50_000,
            exports: 50_000,
            memories: 100,
            tables: 100,
            parts: 500_000,
            segments: 100_000,
            elements: 200_000,
            work: 30_000_000,
            function_work: 1_000_000,
        }
    }
}

impl LoadLimits {
    /// The error if loading takes longer than `time`.
    pub(crate) fn too_slow(time: Duration) -> LoadError {
        let limit = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        LoadError::Limit { name: "time", limit, found: None, unit: "ms" }
    }
}
