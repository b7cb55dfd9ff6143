//! The memory of chunks, which is used again: to take fresh memory from the system, page by page,
//! costs more than to read a file into it.

use std::sync::Mutex;

use bytes::Bytes;

/// How many bytes move at once between the caller and the thread that runs the backend.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many unused chunks are kept, in the whole process.
const KEPT: usize = 8;

static UNUSED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer for `size` bytes, or for a chunk where that is less. Who asks for little gets
/// no more, since it may be kept for long.
pub(crate) fn empty(size: usize) -> Vec<u8> {
    if size < CHUNK / 2 {
        return Vec::with_capacity(size);
    }
    let used_before = unused().pop();
    used_before.unwrap_or_else(|| Vec::with_capacity(CHUNK))
}

/// What was read into a buffer. A chunk's memory comes back when nobody holds it any more.
pub(crate) fn share(data: Vec<u8>) -> Bytes {
    if data.capacity() == CHUNK { Bytes::from_owner(Chunk(data)) } else { data.into() }
}

struct Chunk(Vec<u8>);

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut unused = unused();
        if unused.len() < KEPT {
            self.0.clear();
            unused.push(std::mem::take(&mut self.0));
        }
    }
}

fn unused() -> std::sync::MutexGuard<'static, Vec<Vec<u8>>> {
    UNUSED.lock().unwrap_or_else(|e| e.into_inner())
}
