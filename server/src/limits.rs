//! What clients may use.

use std::time::Duration;

/// What clients may use.
///
/// ```
/// use artifact_store_server::ServerLimits;
/// use std::time::Duration;
///
/// let limits = ServerLimits::default().connections(100).body_timeout(Duration::from_secs(20));
/// assert_eq!(limits.connections, 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// How many connections are served at once, from before their handshake. Further ones wait.
    /// Default: 1024.
    pub connections: usize,
    /// How long the handshake of TLS may take. Default: 10 seconds. Beyond it the connection is
    /// closed.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take, from the end of the request before. Default: 30
    /// seconds. Beyond it the connection is closed.
    pub header_timeout: Duration,
    /// How long a client may send nothing in the middle of a body, or less than 1000 bytes a second.
    /// Default: 60 seconds. Beyond it the request fails with `RequestTimeout`, and nothing is stored.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer. Default: 60 seconds. Beyond it the
    /// connection is closed.
    pub answer_timeout: Duration,
    /// After how long the answer to the end of an upload in parts begins although the upload is
    /// still being written, so that clients keep waiting. Default: 5 seconds.
    pub answer_after: Duration,
    /// The most bytes of a request's head. Default: 64 KiB.
    pub head: usize,
    /// How long requests may still run after the server was told to stop. Default: 30 seconds.
    pub patience: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
            answer_after: Duration::from_secs(5),
            head: 64 << 10,
            patience: Duration::from_secs(30),
        }
    }
}

/// A setter for each of these fields.
macro_rules! setters {
    ($($field:ident: $type:ty),*) => {
        impl ServerLimits {
            $(
                #[doc = concat!("The same with another `", stringify!($field), "`.")]
                #[must_use]
                pub fn $field(self, $field: $type) -> Self {
                    Self { $field, ..self }
                }
            )*
        }
    };
}

setters! {
    connections: usize,
    handshake_timeout: Duration,
    header_timeout: Duration,
    body_timeout: Duration,
    answer_timeout: Duration,
    answer_after: Duration,
    head: usize,
    patience: Duration
}
