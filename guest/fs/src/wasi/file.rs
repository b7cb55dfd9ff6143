//! Open files. Streams carry no errors: the future of a stream reports how it ended.

use alloc::string::String;
use alloc::vec::Vec;

use wit_bindgen::{FutureReader, StreamReader, StreamResult, block_on};

use super::bindings::types::Descriptor;
use super::bindings::wit_stream;
use super::{Called, ErrorCode, Failure, Stat};

/// Reports how a stream of a file ended.
pub type Ended = FutureReader<core::result::Result<(), ErrorCode>>;

/// The bytes of a file from an offset to its end, and how reading ended; for [`end`](File::end).
pub type FileStream = (StreamReader<u8>, Ended);

/// An open file, and its path in the store for error messages.
pub struct File {
    handle: Descriptor,
    pub path: String,
}

/// Fills the capacity of `bytes` from `stream`; whether the stream ended before.
pub async fn fill(stream: &mut StreamReader<u8>, mut bytes: Vec<u8>) -> (Vec<u8>, bool) {
    while bytes.len() < bytes.capacity() {
        let how;
        (how, bytes) = stream.read(bytes).await;
        if let StreamResult::Dropped | StreamResult::Cancelled = how {
            return (bytes, true);
        }
    }
    (bytes, false)
}

impl File {
    pub(super) fn new(handle: Descriptor, path: String) -> Self {
        Self { handle, path }
    }

    pub fn stat(&self) -> Called<Stat> {
        Ok(self.handle.stat().map_err(self.failed("stat"))?.into())
    }

    /// Makes the file's bytes and size durable; no setting turns this off.
    pub fn sync(&self) -> Called<()> {
        self.handle.sync().map_err(self.failed("sync"))
    }

    /// The file's bytes from `offset` on.
    pub fn stream(&self, offset: u64) -> FileStream {
        self.handle.read_via_stream(offset)
    }

    /// Waits for the end of a stream of this file.
    pub async fn end(&self, ended: Ended) -> Called<()> {
        ended.await.map_err(self.failed("read"))
    }

    /// Fills the capacity of `bytes` from `stream`. Returns the rest of the stream; `None` if the
    /// file ended before.
    pub fn read(
        &self,
        (mut stream, ended): FileStream,
        bytes: Vec<u8>,
    ) -> Called<(Vec<u8>, Option<FileStream>)> {
        block_on(async move {
            let (bytes, is_over) = fill(&mut stream, bytes).await;
            if is_over {
                drop(stream);
                self.end(ended).await?;
                return Ok((bytes, None));
            }
            Ok((bytes, Some((stream, ended))))
        })
    }

    /// Writes `first`, and `second` after it, to the beginning of the file.
    pub fn write(&self, first: Vec<u8>, second: Vec<u8>) -> Called<()> {
        let (mut writer, reader) = wit_stream::new();
        let written = self.handle.write_via_stream(reader, 0);
        let outcome = block_on(async {
            let mut is_cut = false;
            for part in [first, second] {
                // A stream that refused bytes must not be offered more: that is a trap.
                if !part.is_empty() && !is_cut {
                    is_cut = !writer.write_all(part).await.is_empty();
                }
            }
            drop(writer);
            // A dropped write reports success.
            match written.await {
                Ok(()) if is_cut => Err(ErrorCode::Io),
                written => written,
            }
        });
        outcome.map_err(self.failed("write"))
    }

    /// Writes the bytes of `data` at `offset`. `Ok` does not say how many there were.
    pub async fn write_stream(&self, offset: u64, data: StreamReader<u8>) -> Called<()> {
        self.handle.write_via_stream(data, offset).await.map_err(self.failed("write"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(ErrorCode) -> Failure {
        move |code| self.failure(doing, code)
    }

    /// Apart, so that it is in the component once and not with each call of the system.
    #[cold]
    #[inline(never)]
    fn failure(&self, doing: &'static str, code: ErrorCode) -> Failure {
        Failure { doing, path: self.path.clone(), code }
    }
}
