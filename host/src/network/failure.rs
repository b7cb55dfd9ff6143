//! What a failed connection or exchange is called in `wasi:http`: the one place that decides it.

use std::error::Error as StdError;
use std::io;

use wasmtime_wasi_http::Error;

use crate::text::foreign;

/// The case of an error of the HTTP client. What it says in words goes to the log: `wasi:http`
/// has no place for it in most cases.
pub(super) fn of(error: &(dyn StdError + 'static)) -> Error {
    tracing::debug!("a request failed: {}", foreign(&words(error)));
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<Error>() {
            return own_case(own);
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(case) = of_io(io)
        {
            return case;
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            if hyper.is_incomplete_message() {
                return Error::HttpResponseIncomplete;
            }
            if hyper.is_parse_too_large() {
                return Error::HttpResponseHeaderSectionSize(None);
            }
            if hyper.is_parse() {
                return Error::HttpProtocolError;
            }
        }
        if error.to_string().starts_with("dns error") {
            return Error::DnsError { rcode: None, info_code: None };
        }
        cause = error.source().or_else(|| inside(error));
    }
    Error::ConnectionTerminated
}

/// An I/O error does not count what it carries among its causes.
fn inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let carried = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(carried)
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

fn of_tls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        _ => Error::TlsProtocolError,
    }
}

/// The case that a body of this host had ended with.
fn own_case(error: &Error) -> Error {
    match error {
        Error::HttpRequestBodySize(size) => Error::HttpRequestBodySize(*size),
        Error::ConnectionReadTimeout => Error::ConnectionReadTimeout,
        _ => Error::HttpProtocolError,
    }
}

fn words(error: &(dyn StdError + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
