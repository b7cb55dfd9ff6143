//! Paths of requests.

use http::Uri;
use percent_encoding::percent_decode_str;
use s3s::{S3Result, s3_error};

/// `/STORE/KEY`, decoded. The key is all that follows, whatever it looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) store: String,
    pub(super) key: String,
}

impl Path {
    pub(super) fn of(uri: &Uri) -> S3Result<Self> {
        // It would have a meaning that this server does not know.
        if uri.query().is_some() {
            return Err(s3_error!(InvalidRequest, "a path has no query here"));
        }
        let path = uri.path().strip_prefix('/');
        let path = path.ok_or_else(|| s3_error!(InvalidRequest, "a path is /STORE/KEY"))?;
        let (store, key) = path.split_once('/').unwrap_or((path, ""));
        Ok(Self { store: decoded(store)?, key: decoded(key)? })
    }

    /// Whether it names a directory. There is each that a client asks for.
    pub(super) fn is_collection(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The SHA-256 that the path promises of its content: Bazel's `cas/HEX`.
    pub(super) fn digest(&self) -> S3Result<Option<[u8; 32]>> {
        let mut segments = self.key.rsplit('/');
        let (Some(name), Some("cas")) = (segments.next(), segments.next()) else {
            return Ok(None);
        };
        match hexadecimal(name) {
            Some(digest) => Ok(Some(digest)),
            None => Err(s3_error!(InvalidArgument, "a name below `cas/` has to be a SHA-256")),
        }
    }
}

fn decoded(part: &str) -> S3Result<String> {
    let text = percent_decode_str(part).decode_utf8();
    let text = text.map_err(|_| s3_error!(InvalidArgument, "the path is not UTF-8"))?;
    Ok(text.into_owned())
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut digest = [0; 32];
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let digit = |it: &u8| char::from(*it).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Path {
        Path::of(&path.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_all_that_follows_the_store() {
        for (path, store, key) in [
            ("/s/a/../b", "s", "a/../b"),
            ("/s/a%2F%2e%2E%2fb", "s", "a/../b"),
            ("/s//a", "s", "/a"),
            ("/s", "s", ""),
            ("/s/", "s", ""),
            ("/s%2Fa", "s/a", ""),
            ("/", "", ""),
        ] {
            assert_eq!(of(path), Path { store: store.into(), key: key.into() }, "{path}");
        }
        for wrong in ["*", "/s/a?b", "/s/%ff"] {
            assert!(Path::of(&wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_names_below_cas_promise_a_digest() {
        let name = "0a".repeat(32);
        for path in ["/s/ac/0a", "/s/cas", "/s/cas/", "/s/cas/x/y", "/s/mycas/0a", "/s/0a"] {
            let digest = of(path).digest();
            assert!(matches!(digest, Ok(None)) || path == "/s/cas/", "{path}");
        }
        for path in [format!("/s/cas/{name}"), format!("/s/main/cas/{}", name.to_uppercase())] {
            assert_eq!(of(&path).digest().unwrap(), Some([10; 32]), "{path}");
        }
        for name in ["", "0a", &"0g".repeat(32), &name[1..], &format!("{name}0")] {
            assert!(of(&format!("/s/cas/{name}")).digest().is_err(), "{name}");
        }
    }
}
