//! The memory of chunks is reused: getting fresh memory from the system, page by page, takes longer
//! than reading a file into it.

use std::sync::Mutex;

use bytes::Bytes;

/// How many bytes move at once between the caller and the thread that runs the backend.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many unused chunks the process keeps.
const KEPT: usize = 8;

static UNUSED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer of `size` bytes, at most one chunk. A small request gets no more than its size,
/// since the buffer may be kept for long.
pub(crate) fn empty(size: usize) -> Vec<u8> {
    if size < CHUNK / 2 {
        return Vec::with_capacity(size);
    }
    let used_before = unused().pop();
    used_before.unwrap_or_else(|| Vec::with_capacity(CHUNK))
}

/// What was read into a buffer. The memory of a chunk comes back when its last owner drops it.
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
