use std::fmt;

use zeroize::Zeroizing;

/// Credentials of an S3 service. They are kept out of every message and out of the backend's
/// sandbox. See [`Grants::sign_s3`](crate::Grants::sign_s3).
///
/// White space around a value is removed: values from a file or a command often end with a newline.
///
/// ```
/// use artifact_store::S3Credentials;
///
/// let credentials = S3Credentials::new("AKIAEXAMPLE", "hush\n");
/// assert_eq!(credentials, S3Credentials::new("AKIAEXAMPLE", "hush"));
/// assert!(!format!("{credentials:?}").contains("hush"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    key_id: String,
    secret: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
}

impl S3Credentials {
    /// An access key and its secret.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        let key_id = access_key_id.into().trim().to_owned();
        Self { key_id, secret: trimmed(secret_access_key.into()), token: None }
    }

    /// The session token, which temporary credentials also have.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(trimmed(token.into())).filter(|token| !token.is_empty());
        self
    }

    /// A value that cannot be sent: the name of the variable that usually holds it, and the reason.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let sent = [
            ("AWS_ACCESS_KEY_ID", self.key_id.as_str()),
            ("AWS_SESSION_TOKEN", self.token().unwrap_or("none")),
        ];
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        match sent.into_iter().find(|(_, value)| value.is_empty() || !is_visible(value)) {
            Some((name, _)) => Some((name, "only visible ASCII characters are allowed")),
            None if self.secret.is_empty() || self.secret.chars().any(char::is_control) => {
                Some(("AWS_SECRET_ACCESS_KEY", "it is empty or holds a control character"))
            }
            None => None,
        }
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.as_str())
    }
}

fn trimmed(secret: String) -> Zeroizing<String> {
    let secret = Zeroizing::new(secret);
    Zeroizing::new(secret.trim().to_owned())
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Credentials").field(&self.key_id).finish_non_exhaustive()
    }
}
