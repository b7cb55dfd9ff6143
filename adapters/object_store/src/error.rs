//! Errors as callers of `object_store` tell them apart.

use std::error::Error as Cause;

use artifact_store::ErrorKind;
use object_store::Error;

/// What the errors name as the store.
pub(crate) const STORE: &str = "ArtifactObjectStore";

/// The error of a call on the artifact store.
pub(crate) fn failed(error: artifact_store::Error) -> Error {
    let path = error.key().unwrap_or_default().to_owned();
    failed_at(path, error)
}

/// The same, of a call that has to do with more than one path.
pub(crate) fn failed_at(path: String, error: artifact_store::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        ErrorKind::ConditionFailed => Error::Precondition { path, source: error.into() },
        ErrorKind::AccessDenied(_) => Error::PermissionDenied { path, source: error.into() },
        ErrorKind::Unsupported(_) => not_implemented(error.to_string()),
        _ => generic(error),
    }
}

pub(crate) fn generic(source: impl Into<Box<dyn Cause + Send + Sync>>) -> Error {
    Error::Generic { store: STORE, source: source.into() }
}

pub(crate) fn not_implemented(operation: impl Into<String>) -> Error {
    Error::NotImplemented { operation: operation.into(), implementer: STORE.into() }
}
