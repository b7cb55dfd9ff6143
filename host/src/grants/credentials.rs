use std::fmt;

use zeroize::Zeroizing;

/// The variables that usually hold the parts of credentials.
pub(crate) const CREDENTIALS: [&str; 3] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Credentials of an S3 service, or where to find them. They are kept out of every message and out
/// of the backend's sandbox. See [`Grants::sign_s3`](crate::Grants::sign_s3).
///
/// ```
/// use artifact_store::S3Credentials;
///
/// let credentials = S3Credentials::new("AKIAEXAMPLE", "hush\n");
/// assert_eq!(credentials, S3Credentials::new("AKIAEXAMPLE", "hush"));
/// assert!(!format!("{credentials:?}").contains("hush"));
/// assert_ne!(S3Credentials::aws(), S3Credentials::aws_profile("ci"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials(pub(crate) Kind);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Keys(Keys),
    /// Found by the host, as Amazon's own tools do.
    Aws {
        /// `None` for the one that `AWS_PROFILE` names, and all other places.
        profile: Option<String>,
    },
}

/// An access key, its secret, and the token of temporary ones.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    key_id: String,
    secret: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
}

impl S3Credentials {
    /// An access key and its secret. White space around a value is removed: values from a file or a
    /// command often end with a newline.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self(Kind::Keys(Keys::new(access_key_id.into(), secret_access_key.into())))
    }

    /// The session token, which temporary credentials also have. It changes nothing where the host
    /// finds the credentials.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        if let Kind::Keys(keys) = &mut self.0 {
            keys.set_token(token.into());
        }
        self
    }

    /// The credentials that the host finds where Amazon's own tools do: in variables of this process,
    /// the files of `~/.aws`, what a `credential_process` says, a web identity, the container, or the
    /// instance's metadata service. `docs/s3.md` has the order.
    ///
    /// They are first looked for when a store is opened. Temporary ones are renewed before they
    /// expire.
    #[must_use]
    pub fn aws() -> Self {
        Self(Kind::Aws { profile: None })
    }

    /// The same, but from this profile of the files of `~/.aws` and from nowhere else.
    #[must_use]
    pub fn aws_profile(profile: impl Into<String>) -> Self {
        Self(Kind::Aws { profile: Some(profile.into()) })
    }
}

impl Keys {
    pub(crate) fn new(key_id: String, secret: String) -> Self {
        Self { key_id: key_id.trim().to_owned(), secret: trimmed(secret), token: None }
    }

    pub(crate) fn set_token(&mut self, token: String) {
        self.token = Some(trimmed(token)).filter(|token| !token.is_empty());
    }

    /// A value that cannot be sent: the name of the variable that usually holds it, and the reason.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let [key_id, secret, token] = CREDENTIALS;
        let sent = [(key_id, self.key_id.as_str()), (token, self.token().unwrap_or("none"))];
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        match sent.into_iter().find(|(_, value)| value.is_empty() || !is_visible(value)) {
            Some((name, _)) => Some((name, "only visible ASCII characters are allowed")),
            None if self.secret.is_empty() || self.secret.chars().any(char::is_control) => {
                Some((secret, "it is empty or holds a control character"))
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
        match &self.0 {
            Kind::Keys(keys) => {
                f.debug_tuple("S3Credentials").field(&keys.key_id).finish_non_exhaustive()
            }
            Kind::Aws { profile } => {
                f.debug_struct("S3Credentials").field("aws_profile", profile).finish()
            }
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.key_id).finish_non_exhaustive()
    }
}
