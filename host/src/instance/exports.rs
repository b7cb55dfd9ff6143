//! The interfaces of the contract that a component offers, and their functions in one instance.

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::{
    CONDITIONAL, COPYING, INVENTORY, MAINTENANCE, ORDERED, SETTINGS, STORE, STREAMS,
    artifact_store, conditional, copying, inventory, maintenance, ordered, settings, streams,
};
use crate::error::{ErrorKind, LoadError, wrong_interface};
use crate::interface::Interface;
use crate::wasi::HostState;

/// What the component offers, as looked up once at load.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) store: artifact_store::GuestIndices,
    pub(crate) streams: Option<streams::GuestIndices>,
    pub(crate) inventory: Option<inventory::GuestIndices>,
    pub(crate) conditional: Option<conditional::GuestIndices>,
    pub(crate) copying: Option<copying::GuestIndices>,
    pub(crate) ordered: Option<ordered::GuestIndices>,
    pub(crate) maintenance: Option<maintenance::GuestIndices>,
    pub(crate) settings: Option<settings::GuestIndices>,
}

/// The functions of one instance.
pub(crate) struct Exports {
    pub(crate) store: artifact_store::Guest,
    pub(crate) streams: Option<streams::Guest>,
    pub(crate) inventory: Option<inventory::Guest>,
    pub(crate) conditional: Option<conditional::Guest>,
    pub(crate) copying: Option<copying::Guest>,
    pub(crate) ordered: Option<ordered::Guest>,
    pub(crate) maintenance: Option<maintenance::Guest>,
    pub(crate) settings: Option<settings::Guest>,
}

impl Offered {
    pub(super) fn has(&self, interface: Interface) -> bool {
        match interface {
            Interface::Streams => self.streams.is_some(),
            Interface::Inventory => self.inventory.is_some(),
            Interface::Conditional => self.conditional.is_some(),
            Interface::Copying => self.copying.is_some(),
            Interface::Ordered => self.ordered.is_some(),
            Interface::Maintenance => self.maintenance.is_some(),
            Interface::Settings => self.settings.is_some(),
        }
    }

    /// The functions of `instance`.
    ///
    /// # Errors
    ///
    /// The types of the functions are compared with those of the contract here: another type is
    /// an error that names the interface.
    pub(super) fn load(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> Result<Exports, ErrorKind> {
        Ok(Exports {
            store: self.store.load(&mut *store, instance).map_err(wrong_interface(STORE))?,
            streams: optional(&self.streams, STREAMS, |it| it.load(&mut *store, instance))?,
            inventory: optional(&self.inventory, INVENTORY, |it| it.load(&mut *store, instance))?,
            conditional: optional(&self.conditional, CONDITIONAL, |it| {
                it.load(&mut *store, instance)
            })?,
            copying: optional(&self.copying, COPYING, |it| it.load(&mut *store, instance))?,
            ordered: optional(&self.ordered, ORDERED, |it| it.load(&mut *store, instance))?,
            maintenance: optional(&self.maintenance, MAINTENANCE, |it| {
                it.load(&mut *store, instance)
            })?,
            settings: optional(&self.settings, SETTINGS, |it| it.load(&mut *store, instance))?,
        })
    }
}

/// The functions of an interface that a backend may leave out.
fn optional<I, T>(
    offered: &Option<I>,
    interface: &str,
    load: impl FnOnce(&I) -> wasmtime::Result<T>,
) -> Result<Option<T>, LoadError> {
    offered.as_ref().map(load).transpose().map_err(wrong_interface(interface))
}
