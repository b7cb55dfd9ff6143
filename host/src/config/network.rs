//! The endpoints of a store, how they are reached, and who signs the requests.

use std::path::Path;

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

/// Who signs the requests of the backend `s3`; requests of other backends cannot be signed.
#[cfg(feature = "network")]
pub(super) fn sign(
    table: &mut Table<'_>,
    component: Option<&mut super::Component>,
    problems: &mut Problems<'_>,
) {
    use super::Component;
    use crate::Sign;

    let Some(value) = table.take("sign") else { return };
    let (path, at) = (value.path.clone(), value.at);
    let Some(signer) = value.one_of(&[("host", Sign::Host), ("backend", Sign::Backend)], problems)
    else {
        return;
    };
    match component {
        Some(Component::S3(sign)) => *sign = signer,
        Some(_) => problems.add(at, format!("`{path}` is for the backend `s3` alone")),
        None => {}
    }
}

/// This build has no network.
#[cfg(not(feature = "network"))]
pub(super) fn grants(
    table: &mut Table<'_>,
    _: &Path,
    grants: Grants,
    problems: &mut Problems<'_>,
) -> Grants {
    for key in ["network", "certificate-authority", "proxy", "sign"] {
        if let Some(value) = table.take_misplaced(key) {
            let text = "is not supported: this program is built without the network";
            problems.add(value.at, format!("`{}` {text}", value.path));
        }
    }
    grants
}

#[cfg(not(feature = "network"))]
pub(super) fn sign(_: &mut Table<'_>, _: Option<&mut super::Component>, _: &mut Problems<'_>) {}
