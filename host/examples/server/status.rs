//! What an error of the store means to an HTTP client.

use artifact_store::{Error, ErrorKind};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::warn;

/// What ends a request early.
pub enum Failure {
    Store(Error),
    /// The client did not send what it announced.
    Client(axum::Error),
    /// It sent nothing for too long.
    Slow,
    /// There is no such range in an artifact of this size.
    Range {
        size: u64,
    },
}

fn status(kind: &ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        // Only `If-None-Match: *` asks for it.
        ErrorKind::AlreadyExists => StatusCode::PRECONDITION_FAILED,
        ErrorKind::InvalidKey(_) | ErrorKind::Io(_) => StatusCode::BAD_REQUEST,
        ErrorKind::InvalidRange => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::AccessDenied(_) => StatusCode::FORBIDDEN,
        ErrorKind::NoSpace(_) => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unavailable(_) | ErrorKind::Busy { .. } | ErrorKind::Load(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::Paused(_) => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Trap(_)
        | ErrorKind::Exhausted { .. }
        | ErrorKind::Protocol(_)
        | ErrorKind::Corrupt(_) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, extra) = match self {
            Self::Store(error) => {
                let status = status(error.kind());
                if status.is_server_error() {
                    warn!("{:#}", anyhow::Error::from(error));
                }
                let later = (header::RETRY_AFTER, HeaderValue::from_static("1"));
                (status, (status == StatusCode::SERVICE_UNAVAILABLE).then_some(later))
            }
            Self::Client(error) => {
                warn!("a request broke off: {error}");
                (StatusCode::BAD_REQUEST, None)
            }
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, None),
            Self::Range { size } => {
                let range = HeaderValue::try_from(format!("bytes */{size}")).ok();
                (StatusCode::RANGE_NOT_SATISFIABLE, range.map(|r| (header::CONTENT_RANGE, r)))
            }
        };
        // The error's own text is for operators: it may name paths.
        let reason = status.canonical_reason().unwrap_or_default();
        let mut response = (status, format!("{reason}\n")).into_response();
        response.headers_mut().extend(extra);
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// A writer's errors are those of the store, in the shape that `AsyncWrite` has.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Self::Store(error),
            Err(error) => Self::Client(axum::Error::new(error)),
        }
    }
}
