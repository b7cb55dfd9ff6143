//! What a failed request means to the caller of the contract: the one place that decides it, and
//! the table of `docs/s3.md`.

use wasip3::http::types::ErrorCode;

use crate::component::Error;

/// A request that did not do what it was to do.
pub struct Failure {
    /// What was being done, to which object.
    pub doing: String,
    pub cause: Cause,
    /// Whether an earlier try, or this one, may have taken effect.
    pub is_open: bool,
}

pub enum Cause {
    /// No whole answer came.
    Transport { endpoint: String, code: ErrorCode },
    /// The service answered that it will not.
    Refused(Refusal),
    /// What answered does not speak S3.
    Foreign { status: u16, why: &'static str },
}

/// An error of S3.
pub struct Refusal {
    pub status: u16,
    /// Empty where the answer had no body, as after `HEAD`.
    pub code: String,
    pub message: String,
    /// The region in which the service says that the bucket is.
    pub region: Option<String>,
}

impl Failure {
    /// The status of an answer; 0 where none came.
    pub fn status(&self) -> u16 {
        match &self.cause {
            Cause::Transport { .. } => 0,
            Cause::Refused(refusal) => refusal.status,
            Cause::Foreign { status, .. } => *status,
        }
    }

    pub fn is_code(&self, code: &str) -> bool {
        matches!(&self.cause, Cause::Refused(refusal) if refusal.code == code)
    }

    /// Whether there is no object of this name. That the answer comes from S3 and speaks of the
    /// object is sure only where it says so.
    pub fn is_absent(&self) -> bool {
        self.status() == 404 && self.is_code("NoSuchKey")
    }

    /// Whether the condition of the request does not hold.
    pub fn is_precondition(&self) -> bool {
        self.status() == 412
    }

    /// Whether the same request may succeed at once or a little later.
    pub fn can_retry(&self) -> bool {
        match &self.cause {
            Cause::Transport { code, .. } => !is_final(code),
            Cause::Refused(refusal) => is_passing(refusal),
            Cause::Foreign { status, .. } => matches!(status, 502..=504),
        }
    }

    /// Whether the request may have taken effect all the same.
    pub fn leaves_open(&self) -> bool {
        match &self.cause {
            Cause::Transport { code, .. } => !is_final(code) && !is_unsent(code),
            Cause::Refused(Refusal { status, code, .. }) => {
                matches!(status, 200..=299 | 500 | 502 | 504) && code != "SlowDown"
            }
            Cause::Foreign { status, .. } => matches!(status, 200..=299 | 500..),
        }
    }
}

/// Nothing about these changes with time alone.
fn is_final(code: &ErrorCode) -> bool {
    use ErrorCode as Code;
    matches!(
        code,
        Code::HttpRequestDenied
            | Code::HttpRequestMethodInvalid
            | Code::HttpRequestUriInvalid
            | Code::HttpRequestUriTooLong
            | Code::HttpRequestHeaderSectionSize(_)
            | Code::HttpRequestHeaderSize(_)
            | Code::TlsCertificateError
            | Code::DestinationIpProhibited
            | Code::ConfigurationError
    )
}

/// The request never reached a server.
fn is_unsent(code: &ErrorCode) -> bool {
    use ErrorCode as Code;
    matches!(
        code,
        Code::DnsTimeout
            | Code::DnsError(_)
            | Code::DestinationNotFound
            | Code::DestinationUnavailable
            | Code::DestinationIpUnroutable
            | Code::ConnectionRefused
            | Code::ConnectionLimitReached
    )
}

fn is_passing(Refusal { status, code, .. }: &Refusal) -> bool {
    match code.as_str() {
        "SlowDown"
        | "InternalError"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "BadDigest" => true,
        "NotImplemented" => false,
        _ => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        // What may have happened, or may still happen, has no final answer.
        let is_passing = failure.is_open || failure.can_retry() || failure.leaves_open();
        let Failure { doing, cause, .. } = failure;
        let error = match cause {
            Cause::Transport { endpoint, code } => transport(&doing, &endpoint, &code),
            Cause::Refused(refusal) => refused(&doing, &refusal),
            Cause::Foreign { status, why } => Error::Other(format!(
                "cannot {doing}: the answer with status {status} is not S3's: {why}"
            )),
        };
        match error {
            Error::Other(why)
            | Error::AccessDenied(why)
            | Error::NoSpace(why)
            | Error::Unsupported(why)
                if is_passing =>
            {
                Error::Unavailable(why)
            }
            error => error,
        }
    }
}

fn transport(doing: &str, endpoint: &str, code: &ErrorCode) -> Error {
    use ErrorCode as Code;
    let why = match code {
        Code::HttpRequestDenied => {
            return Error::AccessDenied(format!(
                "cannot {doing}: the host grants no connection to `{endpoint}`"
            ));
        }
        Code::DnsTimeout | Code::DnsError(_) | Code::DestinationNotFound => "no such host is known",
        Code::ConnectionRefused => "the connection was refused, or could not be made",
        Code::ConnectionTimeout
        | Code::ConnectionReadTimeout
        | Code::ConnectionWriteTimeout
        | Code::HttpResponseTimeout => "it took too long",
        Code::ConnectionTerminated | Code::HttpResponseIncomplete => "the connection was lost",
        Code::TlsCertificateError => "its certificate is not trusted, or is for another name",
        Code::TlsProtocolError | Code::TlsAlertReceived(_) => "TLS cannot be agreed on",
        Code::ConnectionLimitReached => "there are too many connections",
        Code::HttpRequestBodySize(_) => "the body was cut",
        _ => "the exchange failed",
    };
    let name = format!("{code:?}");
    let name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
    Error::Other(format!("cannot {doing}: {endpoint}: {why} ({name})"))
}

fn refused(doing: &str, refusal: &Refusal) -> Error {
    let Refusal { status, code, message, region } = refusal;
    let said = match (code.as_str(), message.as_str()) {
        ("", _) => format!("status {status}"),
        (code, "") => format!("{code} (status {status})"),
        (code, message) => format!("{code} (status {status}): {message}"),
    };
    let text = |hint: &str| {
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        format!("cannot {doing}: {said}{hint}")
    };
    match (code.as_str(), status) {
        ("NoSuchKey", 404) => Error::NotFound,
        ("NoSuchBucket", _) => Error::Other(text("S3_BUCKET names no bucket of this service")),
        ("NoSuchUpload", _) => Error::Unavailable(text("the unfinished upload was removed")),
        ("RequestTimeTooSkewed", _) => {
            Error::AccessDenied(text("the clock of this machine differs from the service's"))
        }
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => {
            Error::AccessDenied(text("AWS_SESSION_TOKEN is no longer valid"))
        }
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => {
            Error::AccessDenied(text("the access key or its secret is wrong"))
        }
        ("QuotaExceeded" | "StorageFull" | "XMinioStorageFull" | "EntityTooLarge", _)
        | (_, 507 | 413) => Error::NoSpace(text("")),
        (
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 300..=399) => {
            let hint = match region {
                Some(region) => {
                    format!("the bucket is in the region `{region}` (AWS_REGION, AWS_ENDPOINT_URL)")
                }
                None => {
                    "AWS_REGION or AWS_ENDPOINT_URL is not the bucket's; no redirect is followed"
                        .into()
                }
            };
            Error::Other(text(&hint))
        }
        ("NotImplemented" | "MethodNotAllowed", _) | (_, 405 | 501) => Error::Unsupported(text("")),
        (_, 401 | 403) => Error::AccessDenied(text("")),
        _ => Error::Other(text("")),
    }
}
