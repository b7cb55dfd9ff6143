//! Reading a file at a place, with no cursor that another reader of it could move.

use std::fs::File;
use std::io;

use bytes::Bytes;

/// How much is read behind the few bytes that a backend reads itself: they are mostly a header, and
/// what follows is asked for next. More would take longer than the system call that it saves.
#[cfg(target_os = "linux")]
const AHEAD: usize = 2048;

/// Fills what it can of `buffer`; the number is 0 at the end of the file. With it comes all that
/// follows in the file, where that is little, or nothing.
pub(super) fn read_ahead(
    file: &File,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<(usize, Bytes)> {
    #[cfg(target_os = "linux")]
    if buffer.len() < AHEAD {
        return Ok(linux::read_ahead(file, offset, buffer, linux::ReadWriteFlags::empty())?);
    }
    Ok((read(file, offset, buffer)?, Bytes::new()))
}

/// As [`read_ahead`], of bytes that are in the system's memory; none where it would have to wait for
/// them.
pub(super) fn read_ahead_cached(
    file: &File,
    offset: u64,
    buffer: &mut [u8],
) -> Option<(usize, Bytes)> {
    #[cfg(target_os = "linux")]
    return match buffer.len() < AHEAD {
        true => linux::read_ahead(file, offset, buffer, linux::ReadWriteFlags::NOWAIT).ok(),
        false => {
            let read = linux::read(file, offset, [buffer], linux::ReadWriteFlags::NOWAIT).ok()?;
            Some((read, Bytes::new()))
        }
    };
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, buffer);
        None
    }
}

/// What only Linux has.
#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd;

    use bytes::Bytes;
    pub(super) use rustix::io::ReadWriteFlags;
    use rustix::io::{Result, preadv2};

    use super::AHEAD;

    pub(super) fn read<const N: usize>(
        file: &File,
        offset: u64,
        parts: [&mut [u8]; N],
        how: ReadWriteFlags,
    ) -> Result<usize> {
        preadv2(file, &mut parts.map(IoSliceMut::new), offset, how)
    }

    pub(super) fn read_ahead(
        file: &File,
        offset: u64,
        buffer: &mut [u8],
        how: ReadWriteFlags,
    ) -> Result<(usize, Bytes)> {
        let mut ahead = vec![0; AHEAD];
        let room = buffer.len();
        let read = read(file, offset, [buffer, &mut ahead], how)?;
        let behind = read.saturating_sub(room);
        // What stops because it would wait does so where a page ends, and a file may end anywhere.
        let is_end = behind < AHEAD && !(offset + read as u64).is_multiple_of(4096);
        ahead.truncate(if is_end { behind } else { 0 });
        Ok((read - behind, ahead.into()))
    }

    pub(super) fn append_cached(
        file: &File,
        offset: u64,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Option<usize> {
        buffer.reserve(limit);
        let part = libc::iovec {
            iov_base: buffer.spare_capacity_mut().as_mut_ptr().cast(),
            iov_len: limit,
        };
        let offset = offset.try_into().ok()?;
        // SAFETY: there is room for that many bytes. `rustix` has no such call for memory that was
        // not written before.
        let read = unsafe { libc::preadv2(file.as_raw_fd(), &part, 1, offset, libc::RWF_NOWAIT) };
        let read = usize::try_from(read).ok()?;
        // SAFETY: the system has filled that many bytes behind the present ones.
        unsafe { buffer.set_len(buffer.len() + read) };
        Some(read)
    }
}

#[cfg(unix)]
fn read(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Appends what it can of `limit` bytes to `buffer`, into memory that was not written before: to clear
/// it first, as Windows has to, takes a quarter of the time that it takes to read a file from the cache.
pub(super) fn append(
    file: &File,
    offset: u64,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> io::Result<usize> {
    #[cfg(unix)]
    {
        buffer.reserve(limit);
        let room = &mut buffer.spare_capacity_mut()[..limit];
        let read = rustix::io::pread(file, room, offset)?.0.len();
        // SAFETY: the system has filled that many bytes behind the present ones.
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

/// As [`append`], of bytes that are in the system's memory; none where it would have to wait for
/// them.
pub(super) fn append_cached(
    file: &File,
    offset: u64,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Option<usize> {
    #[cfg(target_os = "linux")]
    return linux::append_cached(file, offset, buffer, limit);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, buffer, limit);
        None
    }
}
