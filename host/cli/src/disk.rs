//! Looks at the disk: one that does not answer must hold up neither signals nor the limit of `--timeout`.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// The system did not do what was asked, and may do so later.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    #[error("the disk did not answer within {} s", .0.as_secs_f64())]
    Disk(Duration),
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// What `look` finds, on a thread of its own.
pub async fn look<T: Send + 'static>(
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unavailable> {
    let (found, is_found) = oneshot::channel();
    let job = move || {
        // Nobody waits for what comes too late.
        let _ = found.send(look());
    };
    thread::Builder::new().spawn(job).map_err(Unavailable::Thread)?;
    match timeout(limit, is_found).await {
        Ok(Ok(found)) => Ok(found),
        // A panic of it, which was shown, or no answer.
        _ => Err(Unavailable::Disk(limit)),
    }
}
