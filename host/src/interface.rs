/// An optional interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interface {
    /// Artifacts of any size.
    Streams,
    /// Stat and listings.
    Inventory,
    /// Audit and sweep.
    Maintenance,
}

impl Interface {
    /// Its name in the WIT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Inventory => "inventory",
            Self::Maintenance => "maintenance",
        }
    }
}
