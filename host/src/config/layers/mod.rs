//! The layers of a store, the outermost first.

#[cfg(feature = "encrypt")]
mod encrypt;

use std::fmt;
use std::path::{Path, PathBuf};

use super::table::{Problems, Table, Value};
use crate::Layer;
use crate::error::Result;

/// One layer of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LayerConfiguration {
    #[cfg(feature = "encrypt")]
    Encrypt(encrypt::Encrypt),
}

/// Takes the layers of a store.
pub(super) fn read(
    table: &mut Table<'_>,
    dir: &Path,
    problems: &mut Problems<'_>,
) -> Vec<LayerConfiguration> {
    let Some(layers) = table.take("layers") else { return Vec::new() };
    let layers = layers.list(problems, "a list of layers, such as `{ encrypt = { … } }`");
    layers.into_iter().filter_map(|layer| one(layer, dir, problems)).collect()
}

fn one(value: Value<'_>, dir: &Path, problems: &mut Problems<'_>) -> Option<LayerConfiguration> {
    let at = value.at;
    let mut table = value.table(problems)?;
    let encrypt = table.take("encrypt");
    let path = table.path("encrypt");
    table.finish(problems);
    let Some(encrypt) = encrypt else {
        problems.add(at, format!("`{path}` is missing"));
        return None;
    };
    #[cfg(feature = "encrypt")]
    return encrypt::Encrypt::read(encrypt, dir, problems).map(LayerConfiguration::Encrypt);
    #[cfg(not(feature = "encrypt"))]
    {
        let _ = dir;
        problems.add(encrypt.at, format!("`{path}`: this program was built without encryption"));
        None
    }
}

impl LayerConfiguration {
    /// The layer, with the secrets that this process has now.
    pub(super) fn layer(&self, store: &str) -> Result<Layer> {
        match *self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(ref encrypt) => encrypt.layer(store),
        }
    }

    /// The file with its secrets, which no backend may touch.
    pub(super) fn secret_file(&self) -> Option<&PathBuf> {
        match *self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(ref encrypt) => encrypt.identity_file.as_ref(),
        }
    }
}

/// In the format of the file, without secrets.
impl fmt::Display for LayerConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(ref encrypt) => encrypt.fmt(f),
        }
    }
}
