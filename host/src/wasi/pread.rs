//! Reading a file at an offset, without a cursor that another reader could move.

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;

use bytes::Bytes;

/// How many bytes are read beyond a small read of the backend: such a read is usually a header, and
/// the next read asks for what follows. More bytes would cost more than the system call that they
/// save.
#[cfg(target_os = "linux")]
const AHEAD: usize = 2048;

/// Fills as much of `buffer` as it can; the number is 0 at the end of the file. It also returns the
/// rest of the file if that is short, or nothing.
pub(super) fn read_ahead(
    file: &File,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<(usize, Bytes)> {
    #[cfg(target_os = "linux")]
    if !linux::is_missing() {
        match linux::read_ahead(file, offset, buffer, linux::ReadWriteFlags::empty()) {
            Ok(read) => return Ok(read),
            Err(errno) if !linux::may_be_missing(errno) => return Err(errno.into()),
            Err(_) => {
                let read = read(file, offset, buffer)?;
                // The file can be read in the other way.
                linux::is_missing_from_now_on();
                return Ok((read, Bytes::new()));
            }
        }
    }
    Ok((read(file, offset, buffer)?, Bytes::new()))
}

/// Like [`read_ahead`], for cached bytes; `None` if it would have to wait for them.
pub(super) fn read_ahead_cached(
    file: &File,
    offset: u64,
    buffer: &mut [u8],
) -> Option<(usize, Bytes)> {
    #[cfg(target_os = "linux")]
    {
        if linux::is_missing() {
            return None;
        }
        linux::read_ahead(file, offset, buffer, linux::ReadWriteFlags::NOWAIT).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, buffer);
        None
    }
}

/// Calls that only Linux has; an old kernel or a filter of system calls may refuse them.
#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;
    pub(super) use rustix::io::ReadWriteFlags;
    use rustix::io::{Errno, Result, preadv2, retry_on_intr};

    use super::AHEAD;

    static IS_MISSING: AtomicBool = AtomicBool::new(false);

    /// Whether this process has no `preadv2`.
    pub(super) fn is_missing() -> bool {
        IS_MISSING.load(Ordering::Relaxed)
    }

    pub(super) fn is_missing_from_now_on() {
        IS_MISSING.store(true, Ordering::Relaxed);
    }

    pub(super) fn may_be_missing(errno: Errno) -> bool {
        matches!(errno, Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL)
    }

    pub(super) fn read_ahead(
        file: &File,
        offset: u64,
        buffer: &mut [u8],
        how: ReadWriteFlags,
    ) -> Result<(usize, Bytes)> {
        // For the system, -1 means no offset: it would read at the cursor, and move it.
        if i64::try_from(offset).is_err() {
            return Err(Errno::INVAL);
        }
        let room = buffer.len();
        let mut ahead = vec![0; if room < AHEAD { AHEAD } else { 0 }];
        let parts = &mut [buffer, &mut ahead].map(IoSliceMut::new);
        let read = retry_on_intr(|| preadv2(file, parts, offset, how))?;
        let behind = read.saturating_sub(room);
        // A read that stops because it would wait stops at a page boundary; the end of a file may
        // be anywhere.
        let is_end = behind < ahead.len() && !(offset + read as u64).is_multiple_of(4096);
        ahead.truncate(if is_end { behind } else { 0 });
        Ok((read - behind, ahead.into()))
    }
}

#[cfg(unix)]
fn read(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    use rustix::io::{pread, retry_on_intr};
    Ok(retry_on_intr(|| pread(file, &mut *buffer, offset))?)
}

#[cfg(windows)]
fn read(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Appends up to `limit` bytes to `buffer`, into uninitialized memory. Clearing it first, which
/// Windows requires, takes a quarter of the time of reading a file from the cache.
pub(super) fn append(
    file: &File,
    offset: u64,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> io::Result<usize> {
    #[cfg(unix)]
    {
        use rustix::io::{pread, retry_on_intr};
        buffer.reserve(limit);
        let room = &mut buffer.spare_capacity_mut()[..limit];
        let read = retry_on_intr(|| pread(file, &mut *room, offset).map(|(read, _)| read.len()))?;
        // SAFETY: the system has initialized that many bytes after the present ones.
        unsafe { buffer.set_len(buffer.len() + read) };
        Ok(read)
    }
    #[cfg(windows)]
    {
        let before = buffer.len();
        buffer.resize(before + limit, 0);
        let read = read(file, offset, &mut buffer[before..]);
        buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }
}

/// Like [`append`], for cached bytes; `None` if it would have to wait for them.
pub(super) fn append_cached(
    file: &File,
    offset: u64,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        if linux::is_missing() {
            return None;
        }
        buffer.reserve(limit);
        let room = buffer.spare_capacity_mut().as_mut_ptr();
        let part = libc::iovec { iov_base: room.cast(), iov_len: limit };
        let offset = offset.try_into().ok()?;
        // SAFETY: there is room for that many bytes. `rustix` has no such call for uninitialized
        // memory.
        let read = unsafe { libc::preadv2(file.as_raw_fd(), &part, 1, offset, libc::RWF_NOWAIT) };
        let read = usize::try_from(read).ok()?;
        // SAFETY: the system has initialized that many bytes after the present ones.
        unsafe { buffer.set_len(buffer.len() + read) };
        Some(read)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, buffer, limit);
        None
    }
}
