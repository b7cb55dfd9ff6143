//! An object that is being read, for S3 and plain HTTP.

use std::convert::Infallible;
use std::ops;

use artifact_store::{ArtifactStore, ErrorKind, Info, Interface, ReadOptions};
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use s3s::dto::{Range, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::conditions::Conditions;
use crate::error::{custom, failed};
use crate::kept::Kept;
use crate::verdict::Verdict;

/// How often an object is opened that is replaced meanwhile.
const ATTEMPTS: usize = 8;

/// An object, or the part of it that was asked for.
pub(crate) struct Opened {
    pub(crate) info: Info,
    part: Option<ops::Range<u64>>,
    pub(crate) body: StreamingBlob,
}

impl Opened {
    /// Begins to read it, if it meets the conditions.
    pub(crate) async fn open(
        store: &ArtifactStore,
        key: &str,
        range: Option<Range>,
        conditions: &Conditions,
    ) -> S3Result<Self> {
        let reader = match store.read(key, options(range.as_ref())).await {
            // The size is part of this answer.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidRange) => {
                let info = info(store, key).await?;
                conditions.check(&info)?;
                return Err(unsatisfiable(info.size));
            }
            reader => reader.map_err(failed)?,
        };
        let info = reader.info().clone();
        conditions.check(&info)?;
        let part = match range.map(|range| range.check(info.size)) {
            // The end of an object without bytes has none.
            Some(Ok(part)) if !part.is_empty() => Some(part),
            Some(_) => return Err(unsatisfiable(info.size)),
            None => None,
        };
        let length = part.as_ref().map_or(info.size, |part| part.end - part.start);
        let verdict = Verdict::begin(reader, length).await.map_err(failed)?;
        Ok(Self { info, part, body: StreamingBlob::wrap(verdict) })
    }

    /// Begins to read one part of it.
    pub(crate) async fn open_part(
        store: &ArtifactStore,
        key: &str,
        number: i32,
        conditions: &Conditions,
    ) -> S3Result<Self> {
        for _ in 0..ATTEMPTS {
            let before = info(store, key).await?;
            conditions.check(&before)?;
            let kept = Kept::of(&before);
            let bytes = kept.range(number, before.size).ok_or_else(no_part)?;
            if bytes.is_empty() {
                let body = StreamingBlob::wrap(stream::empty::<Result<Bytes, Infallible>>());
                return Ok(Self { info: before, part: Some(bytes), body });
            }
            let (first, last) = (bytes.start, Some(bytes.end - 1));
            let range = kept.count().map(|_| Range::Int { first, last });
            // What lies where depends on the generation.
            match Self::open(store, key, range, &Conditions::default()).await {
                Ok(opened)
                    if opened.info.version == before.version && Kept::of(&opened.info) == kept =>
                {
                    return Ok(opened);
                }
                Err(error) if *error.code() != S3ErrorCode::InvalidRange => return Err(error),
                _ => {}
            }
        }
        Err(s3_error!(SlowDown, "the object is replaced again and again; try again"))
    }

    /// How many bytes the body has.
    pub(crate) fn length(&self) -> u64 {
        self.part.as_ref().map_or(self.info.size, |part| part.end - part.start)
    }

    /// The value of `Content-Range`, if a part was asked for.
    pub(crate) fn content_range(&self) -> Option<String> {
        let part = self.part.as_ref().filter(|part| !part.is_empty())?;
        Some(format!("bytes {}-{}/{}", part.start, part.end - 1, self.info.size))
    }
}

/// What is known of an object, from any backend: one without an inventory tells it with the bytes.
pub(crate) async fn info(store: &ArtifactStore, key: &str) -> S3Result<Info> {
    if store.offers(Interface::Inventory) {
        return store.stat(key).await.map_err(failed);
    }
    let nothing = ReadOptions::default().length(0);
    Ok(store.read(key, nothing).await.map_err(failed)?.info().clone())
}

fn options(range: Option<&Range>) -> ReadOptions {
    let all = ReadOptions::default();
    match range {
        None => all,
        Some(Range::Suffix { length }) => all.suffix(*length),
        Some(Range::Int { first, last }) => {
            all.offset(*first).length(last.map(|last| last - first + 1))
        }
    }
}

pub(crate) fn no_part() -> S3Error {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    custom("InvalidPartNumber", status, "the object has no such part")
}

fn unsatisfiable(size: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange, "the range selects no byte of the object");
    if let Ok(value) = format!("bytes */{size}").parse() {
        error.set_headers([(http::header::CONTENT_RANGE, value)].into_iter().collect());
    }
    error
}
