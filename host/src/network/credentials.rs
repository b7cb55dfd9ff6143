use std::fmt;

/// Credentials of an S3 service, kept out of every message and of the backend's sandbox. See
/// [`Grants::sign_s3`](crate::Grants::sign_s3).
///
/// ```
/// use artifact_store::S3Credentials;
///
/// let credentials = S3Credentials::new("AKIAEXAMPLE", "hush");
/// assert!(!format!("{credentials:?}").contains("hush"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials(rusty_s3::Credentials);

impl S3Credentials {
    /// An access key and its secret.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self(rusty_s3::Credentials::new(access_key_id, secret_access_key))
    }

    /// Temporary credentials also have the token of their session.
    #[must_use]
    pub fn session_token(self, token: impl Into<String>) -> Self {
        let (key, secret) = (self.0.key(), self.0.secret());
        Self(rusty_s3::Credentials::new_with_token(key, secret, token))
    }

    pub(super) fn inner(&self) -> &rusty_s3::Credentials {
        &self.0
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Credentials").field(&self.0.key()).finish_non_exhaustive()
    }
}

/// Requests to this endpoint are signed by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signing {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) credentials: S3Credentials,
}
