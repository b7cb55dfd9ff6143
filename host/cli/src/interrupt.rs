//! Ctrl-C and SIGTERM: the first one lets the command clean up, the second ends the process.

use std::io;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;

use crate::exit;

/// The user, or the system, asked the command to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From here on the signals do not end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        let mut signals = Signals::new()?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            signals.next().await;
            let _ = sender.send(true);
            let patience = tokio::time::timeout(Duration::from_secs(1), signals.next());
            if patience.await.is_err() {
                exit::message("waiting for the backend to end; interrupt again to exit at once");
                signals.next().await;
            }
            std::process::exit(exit::INTERRUPTED.into());
        });
        Ok(Self(receiver))
    }

    /// Returns when there was one.
    pub async fn happened(&self) {
        // The other end lives as long as the process.
        let _ = self.0.clone().wait_for(|happened| *happened).await;
    }

    /// Does `work`, but drops it at an interrupt.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.happened() => Err(Interrupted.into()),
            outcome = work => outcome,
        }
    }
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
