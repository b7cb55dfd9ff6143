//! Whole artifacts in memory, for backends without streams.

use bytes::Bytes;

use super::decrypt::decrypt;
use super::encrypt::encrypt;
use crate::checksum::Checksum;
use crate::encryption::sealed_size;
use crate::error::{self, ErrorKind, Resource};
use crate::info::{Info, ReadOptions};
use crate::limits::Limits;
use crate::serving::Running;

/// Stores `data`, and ends the call.
pub(crate) async fn put(running: &Running, data: Bytes) -> error::Result<Info> {
    let size = data.len() as u64;
    running.call.end(size, send(running, data).await)
}

async fn send(running: &Running, data: Bytes) -> Result<Info, ErrorKind> {
    let call = &running.call;
    check_size(call.limits(), data.len() as u64)?;
    let mut written = Checksum::new();
    written.update(&data);
    let (info, data) = match &call.backend.encryption {
        Some(encryption) => (Info::of_size(written.size()), encrypt(encryption, &call.key, &data)?),
        None => (Info::of(&written), data),
    };
    let stored = running.run(async |accessor, exports| {
        call.clock().given(data.len() as u64);
        let answer = exports.store.call_put(accessor, call.key.clone(), data.into()).await?;
        Ok(answer.map_err(ErrorKind::from))
    });
    stored.await.map(|()| info)
}

/// Reads the artifact, of which `options` select a part, and ends the call.
pub(crate) async fn get(running: &Running, options: ReadOptions) -> error::Result<(Info, Bytes)> {
    let outcome = fetch(running).await;
    let bytes = outcome.as_ref().map_or(0, |data| data.len() as u64);
    let part = |data: Bytes| Ok((Info::of_size(data.len() as u64), range(&data, options)?));
    running.call.end(bytes, outcome.and_then(part))
}

async fn fetch(running: &Running) -> Result<Bytes, ErrorKind> {
    let call = &running.call;
    let limit = call.limits().buffer;
    let encryption = call.backend.encryption.as_ref();
    let stored = encryption.and_then(|_| sealed_size(limit)).unwrap_or(limit);
    let got = running
        .run(async |accessor, exports| {
            call.clock().expect(stored);
            let answer = exports.store.call_get(accessor, call.key.clone()).await?;
            Ok(answer.map(Bytes::from).map_err(ErrorKind::from))
        })
        .await;
    let data = got.map_err(|kind| match kind {
        ErrorKind::Exhausted { what: Resource::HandedBack, .. } => ErrorKind::TooLarge { limit },
        kind => kind,
    })?;
    if let Some(encryption) = encryption {
        if data.len() as u64 > stored {
            return Err(ErrorKind::TooLarge { limit });
        }
        return decrypt(encryption, &call.key, data);
    }
    check_size(call.limits(), data.len() as u64)?;
    Ok(data)
}

/// `put` cannot keep an artifact that is there.
pub(crate) fn only_plain() -> ErrorKind {
    let text =
        "the backend does not export `streams`, and only `streams` can create without replacing";
    ErrorKind::Unsupported(text.into())
}

/// Refuses an artifact that is too large for memory.
pub(crate) fn check_size(limits: &Limits, size: u64) -> Result<(), ErrorKind> {
    let limit = limits.buffer;
    if size > limit { Err(ErrorKind::TooLarge { limit }) } else { Ok(()) }
}

/// The part of `data` that a range selects, as the contract defines it.
fn range(data: &Bytes, options: ReadOptions) -> Result<Bytes, ErrorKind> {
    let size = data.len() as u64;
    let offset = options.begin(size).ok_or(ErrorKind::InvalidRange)?;
    let end = options.length.map_or(size, |length| offset.saturating_add(length).min(size));
    // Both lie within a length that is a `usize`.
    Ok(data.slice(offset as usize..end as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_table_of_the_contract() {
        let data = Bytes::from_static(b"01234");
        type Case = (Option<u64>, u64, Option<u64>, Option<&'static [u8]>);
        let cases: [Case; 15] = [
            (None, 0, None, Some(b"01234")),
            (None, 5, None, Some(b"")),
            (None, 5, Some(0), Some(b"")),
            (None, 6, Some(0), None),
            (None, 4, Some(10), Some(b"4")),
            (None, u64::MAX, Some(1), None),
            (None, 1, Some(u64::MAX), Some(b"1234")),
            (None, 1, Some(2), Some(b"12")),
            (None, 0, Some(0), Some(b"")),
            (Some(2), 0, None, Some(b"34")),
            (Some(9), 0, Some(1), Some(b"0")),
            (Some(2), 1, None, Some(b"4")),
            (Some(0), 0, None, Some(b"")),
            (Some(2), 3, None, None),
            (Some(0), u64::MAX, None, None),
        ];
        for (suffix, offset, length, expected) in cases {
            let seen = range(&data, ReadOptions { offset, length, suffix }).ok();
            assert_eq!(seen.as_deref(), expected, "{suffix:?} {offset} {length:?}");
        }
        assert!(range(&Bytes::new(), ReadOptions::default().offset(1)).is_err());
    }
}
