//! What a component is linked with: WASI, as far as its grants provide it.

use wasmtime::component::Linker;
use wasmtime::{Engine, Result};

use super::{HostState, Links, p3, preopens};

/// Deviations from plain WASI.
pub(crate) struct Linked {
    pub(crate) links: Links,
    /// Bytes of a file that the component passes on bypass it.
    pub(crate) splice: bool,
    /// The component imports HTTP.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(crate) http: bool,
    /// The component imports an interface of WASI 0.2.
    pub(crate) wasi_0_2: bool,
}

/// WASI 0.3, and 0.2 and HTTP for a component that imports those: each takes time to put together.
pub(crate) fn linker(engine: &Engine, linked: &Linked) -> Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    if linked.wasi_0_2 {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    #[cfg(feature = "network")]
    if linked.http {
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    linker.allow_shadowing(true);
    preopens::link(&mut linker)?;
    #[cfg(unix)]
    if linked.wasi_0_2 {
        super::p2::link(&mut linker, linked.links)?;
    }
    p3::link(&mut linker, linked)?;
    Ok(linker)
}
