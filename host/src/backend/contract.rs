//! Whether a component is a backend: its exports and imports, compared with the contract.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::{
    CONDITIONAL, COPYING, INVENTORY, MAINTENANCE, ORDERED, SETTINGS, STORE, STREAMS,
    artifact_store, conditional, copying, inventory, maintenance, ordered, settings, streams,
};
use crate::budget::invalid;
use crate::error::{LoadError, wrong_interface};
use crate::instance::Offered;
use crate::interface::Interface;
use crate::serving::Serving;
use crate::text::{self, foreign};
use crate::wasi::HostState;

const PACKAGE: &str = "artifact:storage/";

/// How many surplus imports or exports are named.
const NAMED: usize = 16;

/// What a component may import: WASI, as far as its grants provide it, and the contract's own
/// types, which have no functions.
const IMPORTABLE: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    // The client half of HTTP, in WASI 0.3 only; the endpoints are granted.
    #[cfg(feature = "network")]
    "wasi:http/client@0.3",
    #[cfg(feature = "network")]
    "wasi:http/types@0.3",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "artifact:storage/types@",
];

/// What a layer may import besides: the store below it.
const SERVED: &[&str] = &[STORE, STREAMS, INVENTORY, MAINTENANCE];

/// Links a component, and finds what it offers.
pub(super) fn link(
    component: &Component,
    linker: &Linker<HostState>,
) -> Result<(InstancePre<HostState>, Offered), LoadError> {
    let linked = linker.instantiate_pre(component);
    let component = linked.map_err(|error| unlinkable(component, error))?;
    let store = artifact_store::GuestIndices::new(&component);
    let offered = Offered {
        store: store.map_err(wrong_interface(STORE))?,
        streams: optional(&component, STREAMS, streams::GuestIndices::new)?,
        inventory: optional(&component, INVENTORY, inventory::GuestIndices::new)?,
        conditional: optional(&component, CONDITIONAL, conditional::GuestIndices::new)?,
        copying: optional(&component, COPYING, copying::GuestIndices::new)?,
        ordered: optional(&component, ORDERED, ordered::GuestIndices::new)?,
        maintenance: optional(&component, MAINTENANCE, maintenance::GuestIndices::new)?,
        settings: optional(&component, SETTINGS, settings::GuestIndices::new)?,
    };
    Ok((component, offered))
}

/// Why a component cannot be linked: a version of WASI that is unknown here says on whose side it is.
fn unlinkable(component: &Component, error: wasmtime::Error) -> LoadError {
    let (ty, engine) = (component.component_type(), component.engine());
    let unknown = ty.imports(engine).find_map(|(name, _)| Some((name, unknown_version(name)?)));
    match unknown {
        Some((interface, is_draft)) => LoadError::UnknownWasi {
            interface: foreign(interface),
            is_draft,
            source: text::cause(&error),
        },
        None => invalid(error),
    }
}

/// The newest version of WASI that is here.
const WASI: (u32, u32, u32) = (0, 3, 0);

/// Whether an interface of WASI has a version that is not here: an old draft, or else a newer one,
/// which may be a draft, too.
fn unknown_version(interface: &str) -> Option<bool> {
    let (_, version) = interface.strip_prefix("wasi:")?.split_once('@')?;
    let (numbers, is_draft) = match version.split_once('-') {
        Some((numbers, _)) => (numbers, true),
        None => (version, false),
    };
    let mut numbers = numbers.split('.').map(|number| number.parse().unwrap_or(u32::MAX));
    let is_newer = (numbers.next()?, numbers.next()?, numbers.next()?) > WASI;
    (is_draft || is_newer).then_some(!is_newer)
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

fn may_import(name: &str) -> bool {
    // That HTTP of an unknown version cannot be linked is reported as such.
    let is_other_http = cfg!(feature = "network")
        && name.starts_with("wasi:http/")
        && unknown_version(name).is_some();
    is_other_http
        || SERVED.contains(&name)
        || IMPORTABLE.iter().any(|prefix| name.starts_with(prefix))
}

/// The interfaces of this package that a component imports, except its types.
fn imported(component: &Component) -> Vec<String> {
    let (ty, engine) = (component.component_type(), component.engine());
    let of_store = |name: &&str| SERVED.contains(name);
    ty.imports(engine).map(|(name, _)| name).filter(of_store).map(str::to_owned).collect()
}

/// Whether a component calls a store below it.
pub(super) fn is_layer(component: &Component) -> bool {
    !imported(component).is_empty()
}

/// Compares what a component imports with what is below it. If it is only asked for its settings,
/// nothing has to be there.
pub(super) fn check_place(
    component: &Component,
    below: Option<&Serving>,
    is_described: bool,
) -> Result<(), LoadError> {
    let imports = imported(component);
    let wrong = |text: String| Err(LoadError::Layers(text));
    match (below, &*imports) {
        (None, []) => Ok(()),
        (None, _) if is_described => Ok(()),
        (None, [first, ..]) => {
            wrong(format!("it is a layer, which imports `{first}`: it needs a backend below it"))
        }
        (Some(_), []) => {
            wrong("it is a backend and no layer: it imports nothing of what is below it".into())
        }
        (Some(below), imports) => {
            let backend = below.backend();
            let is_missing =
                |name: &&String| optional_of(name).is_some_and(|it| !backend.offers(it));
            match imports.iter().find(is_missing) {
                Some(name) => wrong(format!(
                    "the layer imports `{name}`, which `{}` below it does not export",
                    backend.name
                )),
                None => Ok(()),
            }
        }
    }
}

fn optional_of(name: &str) -> Option<Interface> {
    match name {
        STREAMS => Some(Interface::Streams),
        INVENTORY => Some(Interface::Inventory),
        MAINTENANCE => Some(Interface::Maintenance),
        _ => None,
    }
}

pub(super) fn check_imports(component: &Component) -> Result<(), LoadError> {
    let (ty, engine) = (component.component_type(), component.engine());
    let unexpected: Vec<_> = ty
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !may_import(name))
        .map(foreign)
        .take(NAMED)
        .collect();
    if unexpected.is_empty() { Ok(()) } else { Err(LoadError::UnexpectedImports(unexpected)) }
}

#[cfg(test)]
mod tests {
    use super::unknown_version;

    #[test]
    fn the_version_of_wasi_says_whether_a_component_is_too_old_or_too_new() {
        for (interface, expected) in [
            ("wasi:cli/environment@0.3.0-rc-2025-09-16", Some(true)),
            ("wasi:clocks/system-clock@0.2.0-rc-2023-11-10", Some(true)),
            ("wasi:http/client@0.4.0", Some(false)),
            ("wasi:http/client@1.0.0", Some(false)),
            ("wasi:cli/environment@0.4.0-rc-2027-01-01", Some(false)),
            ("wasi:cli/environment@0.3.1-draft", Some(false)),
            ("wasi:http/client@0.3.0", None),
            ("wasi:sockets/tcp@0.2.12", None),
            ("wasi:sockets/tcp", None),
            ("mine:own/thing@9.0.0", None),
        ] {
            assert_eq!(unknown_version(interface), expected, "{interface}");
        }
    }
}
