//! What a backend writes to its standard output and error: logged line by line for debugging, and
//! kept for the error if it traps.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::{Level, debug, enabled};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::tail::Tail;

/// The target of these lines in `tracing`.
const TARGET: &str = "artifact_store::backend";

/// A longer line is logged in pieces of this many bytes.
const LINE: usize = 4 << 10;

/// How many bytes of one call are logged.
const PER_CALL: usize = 64 << 10;

/// The stream that may say why a backend traps.
const ERROR: &str = "stderr";

/// The most bytes of one write.
const AT_ONCE: usize = 64 << 10;

/// Both streams of one instance.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<Mutex<Log>>);

struct Log {
    /// How many bytes of this call may still be logged.
    left: usize,
    /// The unfinished line, and its stream.
    line: Vec<u8>,
    stream: &'static str,
    /// The end of standard error in this call.
    tail: Tail,
}

impl Default for Log {
    fn default() -> Self {
        Self { left: PER_CALL, line: Vec::new(), stream: "", tail: Tail::default() }
    }
}

impl Output {
    pub(super) fn output(&self) -> impl StdoutStream + use<> {
        Stream { log: self.clone(), name: "stdout" }
    }

    pub(super) fn error(&self) -> impl StdoutStream + use<> {
        Stream { log: self.clone(), name: ERROR }
    }

    /// A call begins.
    pub(crate) fn begin(&self) {
        let mut log = self.log();
        log.left = PER_CALL;
        log.tail.clear();
    }

    /// What the backend wrote last to standard error in this call, if anything.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.log().tail.text()
    }

    /// The call has ended; an unfinished line is logged, too.
    pub(crate) fn finish(&self) {
        self.log().show();
    }

    fn write(&self, stream: &'static str, bytes: &[u8]) {
        let mut log = self.log();
        if stream == ERROR {
            log.tail.add(bytes);
        }
        if !enabled!(target: TARGET, Level::DEBUG) {
            return;
        }
        if log.stream != stream {
            log.show();
            log.stream = stream;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            log.add(part);
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Log {
    /// Adds a line, or a part of one.
    fn add(&mut self, mut part: &[u8]) {
        while !part.is_empty() && self.left > 0 {
            let taken = part.len().min(LINE - self.line.len()).min(self.left);
            self.line.extend_from_slice(&part[..taken]);
            self.left -= taken;
            part = &part[taken..];
            if self.line.len() == LINE || self.line.ends_with(b"\n") || self.left == 0 {
                self.show();
            }
            if self.left == 0 {
                debug!(target: TARGET, "the rest of the backend's output in this call is dropped");
            }
        }
    }

    fn show(&mut self) {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if !line.is_empty() {
            debug!(target: TARGET, stream = self.stream, "{}", printable(line));
        }
        self.line.clear();
    }
}

/// Escapes what could control a terminal.
fn printable(line: &[u8]) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in String::from_utf8_lossy(line).chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// One of the two streams, as a component writes to it. It accepts every write at once.
struct Stream {
    log: Output,
    name: &'static str,
}

impl Stream {
    fn again(&self) -> Self {
        Self { log: self.log.clone(), name: self.name }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.again())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.again())
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.name, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.log.write(self.name, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_bad_bytes_replaced() {
        assert_eq!(printable(b"a\x1b[2J\r\xff"), "a\\u{1b}[2J\\r\u{fffd}");
    }

    #[test]
    fn no_line_and_no_call_is_longer_than_its_bound() {
        let mut log = Log::default();
        log.add(&[b'a'; LINE - 1]);
        assert_eq!(log.line.len(), LINE - 1);
        log.add(b"bc");
        assert_eq!(log.line, b"c");
        log.add(&[b'd'; 2 * PER_CALL]);
        assert_eq!((log.left, log.line.len()), (0, 0));
        log.add(b"more\n");
        assert!(log.line.is_empty());
    }
}
