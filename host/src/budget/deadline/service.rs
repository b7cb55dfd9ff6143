//! Whether a call has reached a service. A backend that asks again and again one that is not there
//! takes all of its time, and the fault is not its own.

#[cfg(feature = "network")]
use super::Deadline;

/// What the requests of a call have come to.
#[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
#[derive(Default)]
pub(super) enum Service {
    /// None has ended.
    #[default]
    Unasked,
    /// None has reached a service. The first reason.
    Unreached(String),
    /// One was sent at least, and may have had an effect.
    Reached,
}

#[cfg(feature = "network")]
impl Deadline {
    /// A request could not be sent, for this reason.
    pub(crate) fn not_reached(&self, why: impl FnOnce() -> String) {
        let service = &mut self.state().service;
        if let Service::Unasked = service {
            *service = Service::Unreached(why());
        }
    }

    /// A request was sent, as far as is known.
    pub(crate) fn reached(&self) {
        self.state().service = Service::Reached;
    }
}
