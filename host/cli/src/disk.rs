//! Accesses the disk in a thread, so that a disk that does not answer delays neither signals nor `--timeout`.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use artifact_store::LoadLimits;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::interrupt::NoThread;

/// The disk did not answer in time, and may do so later.
#[derive(Debug, thiserror::Error)]
#[error("the disk did not answer within {}", humantime::format_duration(*.0))]
pub struct Silent(Duration);

/// Runs `look` on a thread of its own.
///
/// # Errors
///
/// [`Silent`], [`NoThread`].
pub async fn look<T: Send + 'static>(
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (found, is_found) = oneshot::channel();
    let job = move || {
        // The receiver is gone after the timeout.
        let _ = found.send(look());
    };
    thread::Builder::new().name("disk".into()).spawn(job).map_err(NoThread)?;
    match timeout(limit, is_found).await {
        Ok(Ok(found)) => Ok(found),
        // It panicked, which was shown, or did not answer in time.
        _ => Err(Silent(limit).into()),
    }
}

/// Runs `look` on a component's file, for as long as loading may take.
///
/// # Errors
///
/// As those of [`look`], and its own.
pub async fn load<T: Send + 'static>(
    look: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    self::look(LoadLimits::default().time, look).await?
}
