//! What a component is linked with: WASI, as far as its grants give it a meaning.

use wasmtime::component::Linker;
use wasmtime::{Engine, Result};
use wasmtime_wasi::{p2, p3};

use super::open::{self, Links};
use super::{HostState, read};

pub(super) const P2: &str = "wasi:filesystem/types@0.2.12";
pub(super) const P3: &str = "wasi:filesystem/types@0.3.0";

/// What goes beyond plain WASI, or stays behind it.
pub(crate) struct Linked {
    pub(crate) links: Links,
    /// Bytes of a file that it hands on go past it, and directories are read in batches.
    pub(crate) splice: bool,
    /// Asks for HTTP.
    pub(crate) http: bool,
}

/// Both generations of WASI, so that a component of any toolchain finds its own; HTTP only for
/// one that asks for it.
pub(crate) fn linker(engine: &Engine, linked: Linked) -> Result<Linker<HostState>> {
    let Linked { links, splice, http } = linked;
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    #[cfg(feature = "network")]
    if http {
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    #[cfg(not(feature = "network"))]
    let _ = http;
    linker.allow_shadowing(true);
    open::link(&mut linker, links)?;
    if splice {
        read::link(&mut linker.instance(P3)?)?;
        #[cfg(unix)]
        super::directory::link(&mut linker.instance(P3)?)?;
    }
    Ok(linker)
}
