//! Whole artifacts in memory, for backends without streams.

use bytes::Bytes;

use crate::checksum::Checksum;
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
    let stored = running.run(async |accessor, exports| {
        call.clock().given(data.len() as u64);
        let answer = exports.store.call_put(accessor, call.key.clone(), data.into()).await?;
        Ok(answer.map_err(ErrorKind::from))
    });
    stored.await.map(|()| Info::of(&written))
}

/// Reads the artifact, and ends the call.
pub(crate) async fn get(running: &Running) -> error::Result<Bytes> {
    let outcome = fetch(running).await;
    let bytes = outcome.as_ref().map_or(0, |data| data.len() as u64);
    running.call.end(bytes, outcome)
}

async fn fetch(running: &Running) -> Result<Bytes, ErrorKind> {
    let call = &running.call;
    let limit = call.limits().buffer;
    let got = running
        .run(async |accessor, exports| {
            call.clock().expect(limit);
            let answer = exports.store.call_get(accessor, call.key.clone()).await?;
            Ok(answer.map(Bytes::from).map_err(ErrorKind::from))
        })
        .await;
    let data = got.map_err(|kind| match kind {
        ErrorKind::Exhausted { what: Resource::HandedBack, .. } => ErrorKind::TooLarge { limit },
        kind => kind,
    })?;
    check_size(call.limits(), data.len() as u64)?;
    Ok(data)
}

/// `put` cannot keep an artifact that is there.
pub(crate) fn cannot_create() -> ErrorKind {
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
pub(crate) fn range(data: &Bytes, options: ReadOptions) -> Result<Bytes, ErrorKind> {
    let ReadOptions { offset, length } = options;
    let size = data.len() as u64;
    if offset > size {
        return Err(ErrorKind::InvalidRange);
    }
    let end = length.map_or(size, |length| offset.saturating_add(length).min(size));
    // Both lie within a length that is a `usize`.
    Ok(data.slice(offset as usize..end as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_table_of_the_contract() {
        let data = Bytes::from_static(b"01234");
        type Case = (u64, Option<u64>, Option<&'static [u8]>);
        let cases: [Case; 9] = [
            (0, None, Some(b"01234")),
            (5, None, Some(b"")),
            (5, Some(0), Some(b"")),
            (6, Some(0), None),
            (4, Some(10), Some(b"4")),
            (u64::MAX, Some(1), None),
            (1, Some(u64::MAX), Some(b"1234")),
            (1, Some(2), Some(b"12")),
            (0, Some(0), Some(b"")),
        ];
        for (offset, length, expected) in cases {
            let seen = range(&data, ReadOptions { offset, length }).ok();
            assert_eq!(seen.as_deref(), expected, "{offset} {length:?}");
        }
        assert!(range(&Bytes::new(), ReadOptions { offset: 1, length: None }).is_err());
    }
}
