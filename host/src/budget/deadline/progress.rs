//! Which bytes count as progress of a call: those between the caller and the storage, and those on
//! the network as far as the former cover them.

/// How many bytes of requests count as progress for each byte that the caller gave: a backend
/// sends some of them again.
#[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
const RETRIES: u64 = 4;

/// How many bytes of responses count in each call, however few the caller gets of them: pages of
/// listings, errors, headers of artifacts.
#[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
pub(super) const ANSWERS: u64 = 4 << 20;

/// The bytes of one call.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes that were progress.
    moved: u64,
    /// Bytes that the caller gave.
    given: u64,
    /// Bytes of requests that counted because of `given`.
    sent: u64,
    /// Bytes that may be passed on to the caller.
    due: u64,
    /// Bytes of responses that counted because of `due`.
    received: u64,
}

impl Progress {
    /// All bytes that were progress.
    pub(super) fn total(&self) -> u64 {
        self.moved
    }

    pub(super) fn moved(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
    }

    pub(super) fn given(&mut self, bytes: u64) {
        self.given = self.given.saturating_add(bytes);
    }

    pub(super) fn expect(&mut self, bytes: u64) {
        self.due = self.due.saturating_add(bytes);
    }

    /// How many of these bytes of a request count.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(super) fn of_request(&mut self, bytes: u64) -> u64 {
        let covered = self.given.saturating_mul(RETRIES).saturating_sub(self.sent).min(bytes);
        self.sent += covered;
        covered
    }

    /// How many of these bytes of a response count.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(super) fn of_response(&mut self, bytes: u64) -> u64 {
        let covered = self.due.saturating_add(ANSWERS).saturating_sub(self.received).min(bytes);
        self.received = self.received.saturating_add(covered);
        covered
    }
}
