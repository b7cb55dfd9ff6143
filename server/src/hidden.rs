//! The part of each store that clients do not see: unfinished uploads.

use s3s::{S3Result, s3_error};

/// What hidden keys begin with.
pub(crate) const HIDDEN: &str = ".s3/";

/// Greater than each of them.
pub(crate) const HIDDEN_END: &str = ".s3/\u{10ffff}";

/// Clients can neither read nor change what is hidden.
pub(crate) fn check_key(key: &str) -> S3Result<()> {
    match key.starts_with(HIDDEN) {
        true => Err(s3_error!(InvalidArgument, "keys that begin with `{HIDDEN}` are reserved")),
        false => Ok(()),
    }
}
