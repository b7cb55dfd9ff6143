//! The meaning of a failed request for the caller of the contract, as in the table of `docs/s3.md`.
//! Only this file decides it.

use artifact_store_backend::Error;
use wasip3::http::types::ErrorCode;

use crate::settings::Settings;

/// A request that failed.
pub struct Failure {
    /// The operation, and its object.
    pub doing: String,
    pub cause: Cause,
    /// Whether the request changes something.
    pub changes: bool,
    /// Whether an earlier attempt may have taken effect.
    pub is_open: bool,
    /// Whether the clock here was wrong, and is now corrected.
    pub is_about_time: bool,
}

pub enum Cause {
    /// The answer is missing or incomplete.
    Transport { endpoint: String, code: ErrorCode },
    /// The service refused the request.
    Refused(Refusal),
    /// The server does not speak S3.
    Foreign { status: u16, why: &'static str },
    /// The answer is compressed, although no coding was asked for.
    Encoded { status: u16, coding: String },
}

/// An error of S3.
pub struct Refusal {
    pub status: u16,
    /// Empty if the answer had no body, as after `HEAD`.
    pub code: String,
    pub message: String,
    /// The region of the bucket according to the service.
    pub region: Option<String>,
}

impl Failure {
    /// The status of the answer; 0 if there was none.
    pub fn status(&self) -> u16 {
        match &self.cause {
            Cause::Transport { .. } => 0,
            Cause::Refused(refusal) => refusal.status,
            Cause::Foreign { status, .. } | Cause::Encoded { status, .. } => *status,
        }
    }

    pub fn is_code(&self, code: &str) -> bool {
        matches!(&self.cause, Cause::Refused(refusal) if refusal.code == code)
    }

    /// Whether there is no object of this name. It is certain that the answer comes from S3 and is
    /// about the object only if the answer says so.
    pub fn is_absent(&self) -> bool {
        self.status() == 404 && self.is_code("NoSuchKey")
    }

    /// Whether something is absent, perhaps the object, and the answer does not say what.
    pub fn is_vaguely_absent(&self) -> bool {
        let is_vague = matches!(self.cause, Cause::Foreign { .. }) || self.is_code("");
        self.status() == 404 && is_vague
    }

    /// Whether two conditional requests met, and this one stored nothing.
    pub fn is_conflict(&self) -> bool {
        self.is_code("ConditionalRequestConflict")
    }

    /// Whether the condition of the request does not hold.
    pub fn is_precondition(&self) -> bool {
        self.status() == 412
    }

    /// Whether the request may have taken effect although S3 refused it in the end: then S3 can be
    /// asked.
    pub fn may_be_done(&self) -> bool {
        let is_answer =
            matches!(&self.cause, Cause::Refused(refusal) if matches!(refusal.status, 400..=499));
        is_answer && (self.is_open || self.leaves_open())
    }

    /// Whether the same request may succeed at once or a little later.
    pub fn can_retry(&self) -> bool {
        match &self.cause {
            Cause::Transport { code, .. } => !is_final(code) && !is_slow(code),
            Cause::Refused(refusal) => is_passing(refusal),
            Cause::Foreign { status, .. } => matches!(status, 502..=504),
            Cause::Encoded { .. } => false,
        }
    }

    /// Whether the request may nevertheless have taken effect. Services report objects that they
    /// stored as too many, too early, or in conflict with themselves.
    pub fn leaves_open(&self) -> bool {
        match &self.cause {
            Cause::Transport { code, .. } => !is_final(code) && !is_unsent(code),
            Cause::Refused(refusal) => {
                matches!(refusal.status, 200..=299 | 500 | 502 | 504) || is_passing(refusal)
            }
            Cause::Foreign { status, .. } => matches!(status, 200..=299 | 500..),
            Cause::Encoded { status, .. } => self.changes && matches!(status, 200..=299 | 500..),
        }
    }

    /// Whether a later call may succeed without a repair.
    fn is_passing(&self) -> bool {
        let is_slow = matches!(&self.cause, Cause::Transport { code, .. } if is_slow(code));
        // If something may have happened, or may still happen, the answer is not final.
        self.is_open || is_slow || self.can_retry() || self.leaves_open()
    }
}

/// Time alone does not repair these.
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
            | Code::TlsProtocolError
            | Code::TlsAlertReceived(_)
            | Code::DestinationIpProhibited
            | Code::ConfigurationError
    )
}

/// It took all the time of one call: another attempt would, too.
fn is_slow(code: &ErrorCode) -> bool {
    use ErrorCode as Code;
    matches!(
        code,
        Code::DnsTimeout
            | Code::ConnectionTimeout
            | Code::ConnectionReadTimeout
            | Code::ConnectionWriteTimeout
            | Code::HttpResponseTimeout
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
        let is_passing = failure.is_passing();
        let Failure { doing, cause, .. } = failure;
        let error = match cause {
            Cause::Transport { endpoint, code } => transport(&doing, &endpoint, &code),
            Cause::Refused(refusal) => refused(&doing, &refusal),
            Cause::Foreign { status: 407, .. } => {
                Error::Other(format!("cannot {doing}: a proxy requires credentials (status 407)"))
            }
            Cause::Foreign { status, why } => Error::Other(format!(
                "cannot {doing}: the response with status {status} is not an S3 response: {why}"
            )),
            Cause::Encoded { status, coding } => Error::Other(format!(
                "cannot {doing}: the service or a proxy compressed the response with status {status} \
                 (`Content-Encoding: {}`), although no coding was requested",
                coding.chars().take(50).collect::<String>().escape_debug()
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

/// The body of an answer could not be read.
pub fn unread(settings: &Settings, object: &str, code: &ErrorCode) -> Error {
    let (endpoint, (why, name)) = (settings.bucket.endpoint(), words(code));
    Error::Unavailable(format!("cannot read all of `{object}`: {endpoint}: {why} ({name})"))
}

fn transport(doing: &str, endpoint: &str, code: &ErrorCode) -> Error {
    let (why, name) = words(code);
    let text = format!("cannot {doing}: {endpoint}: {why} ({name})");
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            Error::AccessDenied(text)
        }
        _ => Error::Other(text),
    }
}

/// The meaning of a code, and its name.
fn words(code: &ErrorCode) -> (&'static str, String) {
    use ErrorCode as Code;
    let why = match code {
        Code::HttpRequestDenied => "the host does not grant this request",
        Code::DestinationIpProhibited => "the host does not grant the address of this name",
        Code::DnsTimeout | Code::DnsError(_) | Code::DestinationNotFound => "the host is unknown",
        Code::ConnectionRefused => "the connection was refused or could not be made",
        Code::DestinationUnavailable => "the service or its proxy cannot be reached",
        Code::ConnectionTimeout
        | Code::ConnectionReadTimeout
        | Code::ConnectionWriteTimeout
        | Code::HttpResponseTimeout => "it timed out",
        Code::ConnectionTerminated | Code::HttpResponseIncomplete => "the connection was lost",
        Code::TlsCertificateError => "its certificate is not trusted or is for another name",
        Code::TlsProtocolError => "the TLS handshake failed: the other side does not speak TLS",
        Code::TlsAlertReceived(alert) if alert.alert_id == Some(70) => {
            "the TLS handshake failed: the other side has neither TLS 1.2 nor a later version"
        }
        Code::TlsAlertReceived(_) => "the TLS handshake failed: the other side refused it",
        Code::ConfigurationError => {
            "the proxy refuses the request or requires credentials (status 407)"
        }
        Code::ConnectionLimitReached => "there are too many connections",
        Code::HttpRequestBodySize(_) => "the body is incomplete",
        _ => "the request failed",
    };
    let name = format!("{code:?}");
    (why, name.split(['(', ' ']).next().unwrap_or_default().to_owned())
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
        ("NoSuchBucket", _) => {
            Error::Other(text("the service has no bucket with the name in S3_BUCKET"))
        }
        ("NoSuchUpload", _) => Error::Unavailable(text("the unfinished upload was removed")),
        ("MetadataTooLarge" | "RequestHeaderSectionTooLarge", _) => {
            Error::Other(text("the service does not keep so many bytes of attributes"))
        }
        ("RequestTimeTooSkewed", _) => Error::AccessDenied(text(
            "the clock of this machine differs from the service's; set it",
        )),
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
                    "AWS_REGION or AWS_ENDPOINT_URL is not the bucket's; redirects are not followed"
                        .into()
                }
            };
            Error::Other(text(&hint))
        }
        ("NotImplemented" | "MethodNotAllowed", _) | (_, 405 | 501) => Error::Unsupported(text("")),
        (_, 401 | 403) => Error::AccessDenied(text("")),
        (_, 407) => Error::Other(text("a proxy requires credentials")),
        _ => Error::Other(text("")),
    }
}
