//! The interfaces of the contract that a component offers, and their functions in one instance.

use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::{
    INVENTORY, MAINTENANCE, SETTINGS, STORE, STREAMS, artifact_store, inventory, maintenance,
    settings, streams,
};
use crate::error::{ErrorKind, wrong_interface};
use crate::interface::Interface;
use crate::wasi::HostState;

/// What the component offers, as looked up once at load.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) store: artifact_store::GuestIndices,
    pub(crate) streams: Option<streams::GuestIndices>,
    pub(crate) inventory: Option<inventory::GuestIndices>,
    pub(crate) maintenance: Option<maintenance::GuestIndices>,
    pub(crate) settings: Option<settings::GuestIndices>,
}

/// The functions of one instance.
pub(crate) struct Exports {
    pub(crate) store: artifact_store::Guest,
    pub(crate) streams: Option<streams::Guest>,
    pub(crate) inventory: Option<inventory::Guest>,
    pub(crate) maintenance: Option<maintenance::Guest>,
    pub(crate) settings: Option<settings::Guest>,
}

impl Offered {
    pub(super) fn has(&self, interface: Interface) -> bool {
        match interface {
            Interface::Streams => self.streams.is_some(),
            Interface::Inventory => self.inventory.is_some(),
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
            streams: (self.streams.as_ref())
                .map(|streams| streams.load(&mut *store, instance))
                .transpose()
                .map_err(wrong_interface(STREAMS))?,
            inventory: (self.inventory.as_ref())
                .map(|inventory| inventory.load(&mut *store, instance))
                .transpose()
                .map_err(wrong_interface(INVENTORY))?,
            maintenance: (self.maintenance.as_ref())
                .map(|maintenance| maintenance.load(&mut *store, instance))
                .transpose()
                .map_err(wrong_interface(MAINTENANCE))?,
            settings: (self.settings.as_ref())
                .map(|settings| settings.load(&mut *store, instance))
                .transpose()
                .map_err(wrong_interface(SETTINGS))?,
        })
    }
}
