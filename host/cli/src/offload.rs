//! Blocking system calls, made in another thread, so that the command meanwhile handles signals and
//! serves the backend.

use std::cell::RefCell;
use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that does one piece of work after the other.
pub struct Offload(Option<mpsc::Sender<Work>>);

/// Work that has begun.
pub struct Begun<T>(oneshot::Receiver<T>);

impl Offload {
    /// Where the system has no thread left, the work is done where it is asked for. (Tokio's own
    /// threads panic then.)
    pub fn new(name: &str) -> Self {
        let (sender, receiver) = mpsc::channel::<Work>();
        let work = move || receiver.into_iter().for_each(|work| work());
        let thread = thread::Builder::new().name(name.into()).spawn(work);
        Self(thread.is_ok().then_some(sender))
    }

    /// Begins the work. It is done also where nobody waits for it.
    pub fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
        let (sender, receiver) = oneshot::channel();
        let work = move || drop(sender.send(work()));
        match &self.0 {
            // Where the thread is gone, so is the sender, and the receiver learns of it.
            Some(thread) => drop(thread.send(Box::new(work))),
            None => work(),
        }
        Begun(receiver)
    }
}

impl<T> Begun<T> {
    /// What came of it.
    pub async fn ended(&mut self) -> io::Result<T> {
        (&mut self.0).await.map_err(|_| io::Error::other("a thread ended before its work was done"))
    }
}

/// Does this one piece of work.
pub async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    Offload::new("file").begin(work).ended().await?
}

/// Threads for work that comes many times, as many as there is work at once.
#[derive(Default)]
pub struct Threads(RefCell<Vec<Offload>>);

impl Threads {
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let idle = self.0.borrow_mut().pop();
        let thread = idle.unwrap_or_else(|| Offload::new("file"));
        let outcome = thread.begin(work).ended().await;
        self.0.borrow_mut().push(thread);
        outcome
    }
}
