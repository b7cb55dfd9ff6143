//! No more bytes in a second than the operator allows.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What all reads of a verification have together.
pub struct Pace {
    /// Bytes in a second; `None` for as many as there are.
    rate: Option<u64>,
    /// When the bytes that have been read are within the rate.
    free: Cell<Instant>,
}

impl Pace {
    pub fn new(rate: Option<u64>) -> Self {
        Self { rate, free: Cell::new(Instant::now()) }
    }

    /// Waits until these bytes, which have been read, are within the rate.
    pub async fn read(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let free = self.free.get().max(Instant::now());
        let free = free + Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.free.set(free);
        tokio::time::sleep_until(free.into()).await;
    }
}
