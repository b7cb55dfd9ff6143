//! The endpoints of a store, how they are reached, and who signs the requests.

use std::path::Path;

#[cfg(feature = "network")]
use super::table::Value;
use super::table::{Problems, Table};
use crate::Grants;

/// The grants of `network`, `certificate-authority` and `proxy` of a store.
#[cfg(feature = "network")]
pub(super) fn grants(
    table: &mut Table<'_>,
    dir: &Path,
    mut grants: Grants,
    problems: &mut Problems<'_>,
) -> Grants {
    use crate::network::Address;

    let endpoints = table.take("network").map(|value| value.texts(problems));
    for (endpoint, at) in endpoints.into_iter().flatten() {
        if let Err(error) = Address::parse(&endpoint) {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let text = format!("{error}: {}", why.unwrap_or_default());
            problems.add(at, format!("`{}`: {text}", table.path("network")));
        }
        grants = grants.connect(endpoint);
    }
    let authority = table.take("certificate-authority").and_then(|value| value.name(problems));
    if let Some(file) = authority {
        grants = grants.certificate_authority(dir.join(file));
    }
    match table.take("proxy").and_then(|value| value.name(problems)) {
        Some(proxy) => grants.proxy(proxy),
        None => grants,
    }
}

/// Who signs the requests of the backend `s3`, and with which credentials; requests of other backends
/// cannot be signed.
#[cfg(feature = "network")]
pub(super) fn sign(
    table: &mut Table<'_>,
    component: Option<&mut super::Component>,
    problems: &mut Problems<'_>,
) {
    use super::Component;
    use crate::backend::Signed;
    use crate::{S3Credentials, Sign};

    let signers = [("host", Sign::Host), ("backend", Sign::Backend)];
    let sign = placed(table, "sign", |value| value.one_of(&signers, problems));
    let found = placed(table, "credentials", |value| {
        value.one_of(&[("aws", ())], problems).map(|()| S3Credentials::aws())
    });
    let named =
        placed(table, "aws-profile", |value| value.name(problems).map(S3Credentials::aws_profile));
    // A profile says more exactly where they are found.
    let credentials = named.or(found);
    match component {
        None => {}
        Some(Component::S3(signed)) => match (sign, credentials) {
            (Some((Sign::Backend, _)), Some((_, (path, at)))) => {
                let text = "needs `sign = \"host\"`: the backend never sees these credentials";
                problems.add(at, format!("`{path}` {text}"));
            }
            (_, Some((credentials, _))) => *signed = Signed::With(credentials),
            (Some((sign, _)), None) => *signed = Signed::Variables(sign),
            (None, None) => {}
        },
        Some(_) => {
            let places = sign.map(|it| it.1).into_iter().chain(credentials.map(|it| it.1));
            for (path, at) in places {
                problems.add(at, format!("`{path}` is for the backend `s3` alone"));
            }
        }
    }
}

/// A setting, with its path and its place in the file.
#[cfg(feature = "network")]
fn placed<T>(
    table: &mut Table<'_>,
    name: &'static str,
    read: impl FnOnce(Value<'_>) -> Option<T>,
) -> Option<(T, (String, usize))> {
    let value = table.take(name)?;
    let place = (value.path.clone(), value.at);
    Some((read(value)?, place))
}

/// This build has no network.
#[cfg(not(feature = "network"))]
pub(super) fn grants(
    table: &mut Table<'_>,
    _: &Path,
    grants: Grants,
    problems: &mut Problems<'_>,
) -> Grants {
    for key in ["network", "certificate-authority", "proxy", "sign", "credentials", "aws-profile"] {
        if let Some(value) = table.take_misplaced(key) {
            let text = "is not supported: this program is built without the network";
            problems.add(value.at, format!("`{}` {text}", value.path));
        }
    }
    grants
}

#[cfg(not(feature = "network"))]
pub(super) fn sign(_: &mut Table<'_>, _: Option<&mut super::Component>, _: &mut Problems<'_>) {}
