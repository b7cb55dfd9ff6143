//! What clients learn of a failure: the code of S3, and a text without anything of this machine.

use artifact_store::{Error, ErrorKind};
use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result, StdError, s3_error};

use crate::body::Stalled;
use crate::rechunk::LargeChunk;

/// The answer to a call of the store that failed. The log has the cause.
pub(crate) fn failed(error: Error) -> S3Error {
    let answer = match error.kind() {
        ErrorKind::NotFound => s3_error!(NoSuchKey, "the key has no object"),
        ErrorKind::AlreadyExists => s3_error!(PreconditionFailed, "the key has an object"),
        ErrorKind::ConditionFailed => {
            s3_error!(PreconditionFailed, "the key has another object than the condition names")
        }
        ErrorKind::InvalidKey(why) => s3_error!(InvalidArgument, "invalid key: {why}"),
        ErrorKind::InvalidAttribute(why) => s3_error!(InvalidArgument, "invalid metadata: {why}"),
        ErrorKind::InvalidRange => s3_error!(InvalidRange, "the range begins beyond the end"),
        ErrorKind::TooLarge { limit } => {
            s3_error!(EntityTooLarge, "the store accepts at most {limit} bytes")
        }
        ErrorKind::AccessDenied(_) => s3_error!(AccessDenied, "the storage refused access"),
        ErrorKind::NoSpace(_) => {
            let status = StatusCode::INSUFFICIENT_STORAGE;
            custom("InsufficientStorage", status, "the storage is full")
        }
        ErrorKind::Corrupt(_) => s3_error!(InternalError, "the stored bytes are damaged"),
        ErrorKind::Busy { .. } => s3_error!(SlowDown, "the store is busy; try again"),
        ErrorKind::Unavailable(_) => {
            s3_error!(ServiceUnavailable, "the storage cannot answer now; try again")
        }
        ErrorKind::Timeout(_) => s3_error!(
            ServiceUnavailable,
            "the storage did not answer in time; the request may have taken effect"
        ),
        ErrorKind::Unsupported(_) => s3_error!(NotImplemented, "the store does not offer this"),
        ErrorKind::Paused(_) => s3_error!(RequestTimeout, "the client paused for too long"),
        _ => s3_error!(InternalError, "the store failed"),
    };
    // It may name a key. What operators are told is the store's.
    tracing::debug!(error = &error as &dyn std::error::Error, "a call failed");
    answer
}

/// What a call of the store found; `None` where the key has no object.
pub(crate) fn found<T>(outcome: artifact_store::Result<T>) -> S3Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Whether it may be that a store does not keep all attributes.
pub(crate) fn may_be_for_attributes(error: &S3Error) -> bool {
    matches!(error.code(), S3ErrorCode::NotImplemented | S3ErrorCode::InternalError)
}

/// An error with a code that `s3s` does not know, and so not its status.
pub(crate) fn custom(code: &'static str, status: StatusCode, text: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), text);
    error.set_status_code(status);
    error
}

/// The answer to a body that could not be read to its end, or is not the signed one.
pub(crate) fn body_failed(error: &StdError) -> S3Error {
    // `s3s` does not export these errors.
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let text = "the body has not the signed SHA-256";
        return custom("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST, text);
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "a chunk of the body has another signature");
    }
    if text.contains(&LargeChunk.to_string()) {
        return s3_error!(EntityTooLarge, "{LargeChunk}");
    }
    if text.contains(&Stalled.to_string()) {
        return s3_error!(RequestTimeout, "{Stalled}");
    }
    s3_error!(IncompleteBody, "the body ended before all of it was received")
}
