//! Ports for servers that cannot be told to take any, and for places where nobody is to listen.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// So many ports below those that the system gives to whoever asks for any, as other tests do: none
/// of them takes one of these.
pub fn free(count: usize) -> Vec<u16> {
    const FIRST: u16 = 10_000;
    const ALL: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin far from each other.
    let begin = std::process::id().wrapping_mul(101);
    let candidates = (0..ALL).map(|_| {
        let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % ALL;
        FIRST + u16::try_from(offset).expect("it is less than ALL")
    });
    // All are held until each is known to be free.
    let bound = candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let held: Vec<_> = bound.take(count).collect();
    assert_eq!(held.len(), count, "there are free ports");
    held.iter().map(|held| held.local_addr().expect("it is bound").port()).collect()
}
