use std::io::{self, Write};

use crate::offload::{Begun, Offload};

/// What is gathered before it is written.
const BUFFER: usize = 64 << 10;

/// Writes in another thread, so that signals are heard meanwhile, and the next bytes are fetched.
pub struct Sink {
    buffer: Vec<u8>,
    /// None while it writes.
    idle: Option<Idle>,
    writing: Option<Begun<(Idle, io::Result<()>)>>,
    thread: Offload,
}

struct Idle {
    to: Box<dyn Write + Send>,
    /// Empty; kept for its memory.
    spare: Vec<u8>,
}

impl Sink {
    pub fn new(to: Box<dyn Write + Send>) -> Self {
        let idle = Some(Idle { to, spare: Vec::new() });
        Self { buffer: Vec::new(), idle, writing: None, thread: Offload::new("output") }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.send().await }
    }

    /// Returns when all is written.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send().await?;
        self.wait().await
    }

    async fn send(&mut self) -> io::Result<()> {
        self.wait().await?;
        if let Some(Idle { mut to, spare }) = self.idle.take() {
            let mut bytes = std::mem::replace(&mut self.buffer, spare);
            self.writing = Some(self.thread.begin(move || {
                let outcome = to.write_all(&bytes).and_then(|()| to.flush());
                bytes.clear();
                (Idle { to, spare: bytes }, outcome)
            }));
        }
        Ok(())
    }

    async fn wait(&mut self) -> io::Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let (idle, outcome) = writing.ended().await?;
        self.writing = None;
        self.idle = Some(idle);
        outcome
    }
}
