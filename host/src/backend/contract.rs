//! Whether a component is a backend: what it exports and imports, beside the contract.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::{
    INVENTORY, MAINTENANCE, STORE, STREAMS, artifact_store, inventory, maintenance, streams,
};
use crate::budget::invalid;
use crate::error::{LoadError, wrong_interface};
use crate::instance::Offered;
use crate::text::foreign;
use crate::wasi::HostState;

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

/// Links a component, and finds what it offers.
pub(super) fn link(
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

pub(super) fn check_exports(component: &Component) -> Result<(), LoadError> {
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

pub(super) fn check_imports(component: &Component) -> Result<(), LoadError> {
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
