//! What a failed connection or exchange is called in `wasi:http`: the one place that decides it.

use std::error::Error as StdError;
use std::{io, iter};

use rustls::AlertDescription;
use wasmtime_wasi_http::Error;

use super::connect::RouteError;
use crate::text::foreign;

/// The case of an error of the HTTP client. What it says in words goes to the log: `wasi:http`
/// has no place for it in most cases.
pub(super) fn of(error: &(dyn StdError + 'static)) -> Error {
    let chain = || iter::successors(Some(error), |&error| error.source().or_else(|| inside(error)));
    let words: Vec<_> = chain().map(ToString::to_string).collect();
    tracing::debug!("a request failed: {}", foreign(&words.join(": ")));
    // What this host found out by itself is said inside of errors of the client.
    let route = chain().find_map(|error| error.downcast_ref().map(of_route));
    route.or_else(|| chain().find_map(case)).unwrap_or(Error::ConnectionTerminated)
}

/// An I/O error does not count what it carries among its causes.
fn inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let carried = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(carried)
}

fn case(error: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(own) = error.downcast_ref::<Error>() {
        return Some(of_body(own));
    }
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return of_io(io);
    }
    if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(hyper);
    }
    None
}

fn of_route(error: &RouteError) -> Error {
    match error {
        RouteError::Prohibited => Error::DestinationIpProhibited,
        RouteError::NoThread(_) => Error::ConnectionLimitReached,
        RouteError::UnknownName(_) => Error::DnsError { rcode: None, info_code: None },
        RouteError::Late(_) => Error::ConnectionTimeout,
        // Whoever names the proxy has to act.
        RouteError::Refused(_) => Error::ConfigurationError,
        RouteError::Unreachable => Error::DestinationUnavailable,
    }
}

fn of_hyper(error: &hyper::Error) -> Option<Error> {
    if error.is_incomplete_message() {
        Some(Error::HttpResponseIncomplete)
    } else if error.is_parse_too_large() {
        Some(Error::HttpResponseHeaderSectionSize(None))
    } else if error.is_parse() {
        Some(Error::HttpProtocolError)
    } else {
        None
    }
}

fn of_io(error: &io::Error) -> Option<Error> {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Some(of_tls(tls));
    }
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Error::DestinationIpUnroutable
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Error::ConnectionTerminated,
        _ => return None,
    })
}

/// What the two sides cannot agree on stays so; what was damaged on the way may be right the next
/// time.
fn of_tls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        // The version is all that these two implementations can lack; it is what we tell them.
        rustls::Error::PeerIncompatible(_) => of_alert(AlertDescription::ProtocolVersion),
        rustls::Error::DecryptError | rustls::Error::PeerSentOversizedRecord => {
            Error::ConnectionTerminated
        }
        _ => Error::TlsProtocolError,
    }
}

fn of_alert(alert: AlertDescription) -> Error {
    match alert {
        AlertDescription::InternalError
        | AlertDescription::UserCanceled
        | AlertDescription::CloseNotify
        | AlertDescription::BadRecordMac
        | AlertDescription::DecryptError => Error::ConnectionTerminated,
        alert => Error::TlsAlertReceived {
            alert_id: Some(u8::from(alert)),
            alert_message: Some(format!("{alert:?}")),
        },
    }
}

/// The case that a body of this host had ended with.
fn of_body(error: &Error) -> Error {
    match error {
        Error::HttpRequestBodySize(size) => Error::HttpRequestBodySize(*size),
        Error::ConnectionReadTimeout => Error::ConnectionReadTimeout,
        _ => Error::HttpProtocolError,
    }
}
