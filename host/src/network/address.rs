use std::fmt;

use http::Uri;
use http::uri::Scheme;

use crate::error::LoadError;

/// An endpoint to which connections can be granted. Two are equal only if scheme, host and port
/// are: a granted name covers neither its addresses nor other names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Address {
    /// The endpoint of a grant: `https://host[:port]` or `http://host[:port]`.
    pub(crate) fn parse(text: &str) -> Result<Self, LoadError> {
        let wrong = |why: &str| LoadError::Network {
            // The text before an `@` may be a password.
            what: format!("the endpoint `{}`", text.rsplit('@').next().unwrap_or_default()),
            source: why.into(),
        };
        let uri: Uri = text.parse().map_err(|_| wrong("it is not a URL"))?;
        if uri.scheme().is_none() {
            return Err(wrong("it must begin with `https://` or `http://`"));
        }
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if has_user {
            return Err(wrong("it must not have a user or password"));
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return Err(wrong("it must be a host with an optional port, and without a path"));
        }
        Self::of(&uri)
            .ok_or_else(|| wrong("it has no host, or its scheme is neither http nor https"))
    }

    /// The endpoint of a request for `uri`.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?.clone();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port_u16() {
            Some(port) => Some(port).filter(|port| *port != 0)?,
            // An invalid port must not become the default one.
            None if authority.as_str().len() != host.len() => return None,
            None => default,
        };
        (!host.is_empty()).then_some(Self { scheme, host, port })
    }

    /// The value of the `host` header.
    pub(super) fn host_header(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host_header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_host_and_port() {
        for (text, shown) in [
            ("https://s3.example.org", "https://s3.example.org"),
            ("https://S3.Example.org:443/", "https://s3.example.org"),
            ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        assert_ne!(Address::parse("http://h").unwrap(), Address::parse("https://h").unwrap());
        assert_ne!(Address::parse("http://h").unwrap(), Address::parse("http://h:8080").unwrap());
        assert_ne!(Address::parse("http://h").unwrap(), Address::parse("http://h.").unwrap());
    }

    #[test]
    fn what_is_no_endpoint_is_refused_and_shows_no_password() {
        for text in [
            "",
            "h",
            "h:80",
            "//h",
            "ftp://h",
            "http://",
            "http://:80",
            "http://h:0",
            "http://h:",
            "http://h:65536",
            "http://h/path",
            "http://h?q",
            "http://h#f",
            "http://user:hush@h",
            "http://a b",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
        }
    }
}
