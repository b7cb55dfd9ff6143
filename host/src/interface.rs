use crate::bindings::{CONDITIONAL, COPYING, INVENTORY, MAINTENANCE, ORDERED, SETTINGS, STREAMS};

/// An optional interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interface {
    /// Writing and reading artifacts of any size in bounded memory.
    Streams,
    /// Stat and listings.
    Inventory,
    /// Deleting an artifact in one generation only.
    Conditional,
    /// Copying an artifact without moving its bytes through the host.
    Copying,
    /// Pages of a listing in the order of the keys.
    Ordered,
    /// Audit and sweep.
    Maintenance,
    /// What the backend reads from its environment.
    Settings,
}

impl Interface {
    /// Its name as it stands in a component, with its package and version.
    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Streams => STREAMS,
            Self::Inventory => INVENTORY,
            Self::Conditional => CONDITIONAL,
            Self::Copying => COPYING,
            Self::Ordered => ORDERED,
            Self::Maintenance => MAINTENANCE,
            Self::Settings => SETTINGS,
        }
    }

    /// The name of the interface in the WIT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Inventory => "inventory",
            Self::Conditional => "conditional",
            Self::Copying => "copying",
            Self::Ordered => "ordered",
            Self::Maintenance => "maintenance",
            Self::Settings => "settings",
        }
    }
}
