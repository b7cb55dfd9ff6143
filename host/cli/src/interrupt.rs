//! Signals that end a process: the first one lets the command clean up, the second one ends it.

use std::io;
use std::sync::mpsc;
#[cfg(unix)]
use std::task::Poll;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::message;
use crate::offload::Offload;

/// The user, or the system, asked the command to stop, by this signal.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{}", match name(*.0) { Some(name) => format!("ended by {name}"), None => "interrupted".into() })]
pub struct Interrupted(i32);

impl Interrupted {
    /// 128 and the signal's number, as shells have it.
    pub fn code(self) -> u8 {
        u8::try_from(self.0).ok().and_then(|signal| signal.checked_add(128)).unwrap_or(u8::MAX)
    }
}

/// The system has no thread left for this program.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread")]
pub struct NoThread(#[source] pub io::Error);

pub struct Interrupt(watch::Receiver<Option<Interrupted>>);

impl Interrupt {
    /// From here on the signals do not end the process by themselves. Those that it was started
    /// with ignored stay ignored.
    ///
    /// They are waited for in a thread of their own, so that they are heard whatever the command
    /// waits for.
    ///
    /// # Errors
    ///
    /// [`NoThread`] where the system has none left: it may have one later.
    pub fn listen() -> Result<Self> {
        let (sender, receiver) = watch::channel(None);
        let (ready, is_ready) = mpsc::channel();
        let work = move || match begin() {
            Ok((runtime, signals)) => {
                drop(ready.send(Ok(())));
                runtime.block_on(listen(signals, sender));
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        thread::Builder::new().name("signals".into()).spawn(work).map_err(NoThread)?;
        is_ready.recv()??;
        Ok(Self(receiver))
    }

    /// Returns when there was one.
    pub async fn happened(&self) -> Interrupted {
        match self.0.clone().wait_for(Option::is_some).await.map(|happened| *happened) {
            Ok(Some(happened)) => happened,
            // The other end lives as long as the process.
            _ => std::future::pending().await,
        }
    }

    /// The one that there was.
    pub fn so_far(&self) -> Option<Interrupted> {
        *self.0.borrow()
    }

    /// Does `work`, but drops it at an interrupt.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            happened = self.happened() => Err(happened.into()),
            outcome = work => outcome,
        }
    }
}

fn begin() -> io::Result<(Runtime, Signals)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    Ok((runtime, signals))
}

async fn listen(mut signals: Signals, sender: watch::Sender<Option<Interrupted>>) {
    let first = signals.next().await;
    let _ = sender.send(Some(first));
    let patience = tokio::time::timeout(Duration::from_secs(1), signals.next());
    let second = match patience.await {
        Ok(second) => second,
        Err(_) => {
            // Standard error may be full, and nobody read it.
            let message = "waiting for the backend to finish; interrupt again to exit at once";
            drop(Offload::new("message").begin(move || message::print(message)));
            signals.next().await
        }
    };
    std::process::exit(second.code().into());
}

#[cfg(unix)]
struct Signals {
    ending: Vec<(i32, tokio::signal::unix::Signal)>,
    /// A file that grows beyond `ulimit -f` is then an error of the write, and not the end.
    _file_size: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use crate::startup;
        use tokio::signal::unix::{SignalKind, signal};

        let heard = startup::ENDING.iter().copied().filter(|signal| !startup::is_ignored(*signal));
        let ending = heard.map(|number| Ok((number, signal(SignalKind::from_raw(number))?)));
        Ok(Self {
            ending: ending.collect::<io::Result<_>>()?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    async fn next(&mut self) -> Interrupted {
        std::future::poll_fn(|cx| {
            let mut heard = self.ending.iter_mut();
            match heard
                .find_map(|(number, signal)| signal.poll_recv(cx).is_ready().then_some(*number))
            {
                Some(number) => Poll::Ready(Interrupted(number)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// None for Ctrl-C, which the user knows.
#[cfg(unix)]
fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGTERM => "SIGTERM",
        libc::SIGALRM => "SIGALRM",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGXCPU => "SIGXCPU (limit of CPU time)",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        #[cfg(target_os = "linux")]
        libc::SIGIO => "SIGIO",
        #[cfg(target_os = "linux")]
        libc::SIGPWR => "SIGPWR",
        #[cfg(target_os = "linux")]
        libc::SIGSTKFLT => "SIGSTKFLT",
        _ => return None,
    })
}

#[cfg(windows)]
fn name(_: i32) -> Option<&'static str> {
    None
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) -> Interrupted {
        self.0.recv().await;
        Interrupted(2)
    }
}
