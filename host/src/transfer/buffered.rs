//! Whole artifacts in memory, for backends that offer no streams.

use bytes::Bytes;

use crate::error::ErrorKind;
use crate::instance::{Pool, TOO_MUCH};

pub(crate) async fn put(pool: &Pool, key: String, data: Bytes) -> Result<(), ErrorKind> {
    check_size(pool, data.len() as u64)?;
    pool.call(async |accessor, exports| {
        let answer = exports.store.call_put(accessor, key, data.into()).await?;
        Ok(answer.map_err(ErrorKind::from))
    })
    .await
}

pub(crate) async fn get(pool: &Pool, key: String) -> Result<Bytes, ErrorKind> {
    let got = pool
        .call(async |accessor, exports| {
            let answer = exports.store.call_get(accessor, key).await?;
            Ok(answer.map(Bytes::from).map_err(ErrorKind::from))
        })
        .await;
    let data = got.map_err(|kind| match kind {
        ErrorKind::Protocol(text) if text == TOO_MUCH => {
            ErrorKind::TooLarge { limit: pool.limits().buffer }
        }
        kind => kind,
    })?;
    check_size(pool, data.len() as u64)?;
    Ok(data)
}

/// `put` has no way to leave an artifact that is there.
pub(crate) fn cannot_create() -> ErrorKind {
    let text = "the backend has no streams, and only they can create without replacing";
    ErrorKind::Unsupported(text.into())
}

/// Refuses what is not to be held in memory.
pub(crate) fn check_size(pool: &Pool, size: u64) -> Result<(), ErrorKind> {
    let limit = pool.limits().buffer;
    if size > limit { Err(ErrorKind::TooLarge { limit }) } else { Ok(()) }
}

/// The part of `data` that a range names, as the contract defines it.
pub(crate) fn range(data: &Bytes, offset: u64, length: Option<u64>) -> Result<Bytes, ErrorKind> {
    let size = data.len() as u64;
    if offset > size {
        return Err(ErrorKind::InvalidRange);
    }
    let end = length.map_or(size, |length| offset.saturating_add(length).min(size));
    // Both lie within a length that is a usize.
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
            let seen = range(&data, offset, length).ok();
            assert_eq!(seen.as_deref(), expected, "{offset} {length:?}");
        }
        assert!(range(&Bytes::new(), 1, None).is_err());
    }
}
