//! How a backend is loaded, replaced and watched.

mod load;
mod swap;
mod telemetry;
mod watch;
#[cfg(unix)]
mod watch_faults;
