//! The error of `wasi:http` for each failed connection or exchange. Only this file decides it.

use std::error::Error as StdError;
use std::{io, iter};

use rustls::AlertDescription;
use wasmtime_wasi_http::Error;

use super::connect::RouteError;
use crate::text::foreign;

/// The error of the HTTP client as a case of `wasi:http`. Its text goes to the log: most cases of
/// `wasi:http` have no place for it.
pub(super) fn of(error: &(dyn StdError + 'static)) -> Error {
    let chain = || iter::successors(Some(error), |&error| error.source().or_else(|| inside(error)));
    let words: Vec<_> = chain().map(ToString::to_string).collect();
    tracing::debug!("a request failed: {}", foreign(&words.join(": ")));
    // Errors of this host itself are inside of errors of the client.
    let route = chain().find_map(|error| error.downcast_ref().map(of_route));
    route.or_else(|| chain().find_map(case)).unwrap_or(Error::ConnectionTerminated)
}

/// The causes of an I/O error do not include the error that it carries.
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
        // The operator who configured the proxy has to act.
        RouteError::Refused(_) => Error::ConfigurationError,
        RouteError::Unreachable => Error::DestinationUnavailable,
    }
}

/// Why a service could not be reached, so that nothing was sent; none if something may have been.
pub(super) fn of_connecting(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::ConnectionRefused => "the connection was refused",
        Error::ConnectionTimeout => "connecting took too long",
        Error::DnsError { .. } => "its name cannot be looked up",
        Error::DestinationIpUnroutable => "there is no route to it",
        Error::DestinationUnavailable => "the proxy cannot reach it",
        _ => return None,
    })
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

/// A failed negotiation fails again; data that was damaged on the way may arrive intact the next
/// time.
fn of_tls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        // The version is the only thing that these two implementations can disagree on.
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

/// The error with which a body of this host had ended.
fn of_body(error: &Error) -> Error {
    match error {
        Error::HttpRequestBodySize(size) => Error::HttpRequestBodySize(*size),
        Error::ConnectionReadTimeout => Error::ConnectionReadTimeout,
        _ => Error::HttpProtocolError,
    }
}
