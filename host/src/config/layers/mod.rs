//! The layers of a store, the outermost first.

mod component;
#[cfg(feature = "encrypt")]
mod encrypt;

use std::fmt;
use std::path::{Path, PathBuf};

use super::apart::Named;
use super::table::{Problems, Table, Value};
use crate::Layer;
use crate::backend::Surroundings;
use crate::error::Result;
use crate::grants::Directory;
use component::Component;

/// One layer of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LayerConfiguration {
    #[cfg(feature = "encrypt")]
    Encrypt(encrypt::Encrypt),
    Component(Box<Component>),
}

/// Takes the layers of a store. What they are granted is added to `named`.
pub(super) fn read(
    (store, table): (&str, &mut Table<'_>),
    dir: &Path,
    named: &mut Vec<Named>,
    problems: &mut Problems<'_>,
) -> Vec<LayerConfiguration> {
    let Some(layers) = table.take("layers") else { return Vec::new() };
    let expected = "a list of layers, each the path of a component or `{ encrypt = { … } }`";
    let layers = layers.list(problems, expected);
    layers.into_iter().filter_map(|layer| one(layer, (store, dir), named, problems)).collect()
}

fn one(
    value: Value<'_>,
    (store, dir): (&str, &Path),
    named: &mut Vec<Named>,
    problems: &mut Problems<'_>,
) -> Option<LayerConfiguration> {
    let at = value.at;
    if value.is_text() {
        let file = dir.join(value.name(problems)?);
        return Some(Component::new(file, problems.line(at)).into());
    }
    let mut table = value.table(problems)?;
    let (component, encrypt) = (table.take("component"), table.take("encrypt"));
    let path = table.path("component");
    match (component, encrypt) {
        (Some(component), None) => {
            let file = dir.join(component.name(problems)?);
            Some(Component::read(file, table, (store, dir), named, problems).into())
        }
        (None, Some(encrypt)) => {
            table.finish(problems);
            self::encrypt(encrypt, dir, problems)
        }
        (None, None) => {
            table.finish(problems);
            problems.add(at, format!("`{path}` is missing, or `encrypt`"));
            None
        }
        (Some(_), Some(encrypt)) => {
            problems.add(encrypt.at, format!("`{}` is a layer of its own", encrypt.path));
            None
        }
    }
}

#[cfg(feature = "encrypt")]
fn encrypt(
    value: Value<'_>,
    dir: &Path,
    problems: &mut Problems<'_>,
) -> Option<LayerConfiguration> {
    encrypt::Encrypt::read(value, dir, problems).map(LayerConfiguration::Encrypt)
}

#[cfg(not(feature = "encrypt"))]
fn encrypt(value: Value<'_>, _: &Path, problems: &mut Problems<'_>) -> Option<LayerConfiguration> {
    problems.add(value.at, format!("`{}`: this program was built without encryption", value.path));
    None
}

impl From<Component> for LayerConfiguration {
    fn from(component: Component) -> Self {
        Self::Component(Box::new(component))
    }
}

impl LayerConfiguration {
    /// The layer, with the secrets that this process has now.
    pub(super) fn layer(&self, store: &str, surroundings: Option<&Surroundings>) -> Result<Layer> {
        match *self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(ref encrypt) => encrypt.layer(store),
            Self::Component(ref component) => component.layer(store, surroundings),
        }
    }

    /// The file with its secrets, which no backend may touch.
    pub(super) fn secret_file(&self) -> Option<&PathBuf> {
        match *self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(ref encrypt) => encrypt.identity_file.as_ref(),
            Self::Component(_) => None,
        }
    }

    /// The file of its component.
    pub(super) fn component(&self) -> Option<&Path> {
        match *self {
            Self::Component(ref component) => Some(component.file()),
            #[cfg(feature = "encrypt")]
            Self::Encrypt(_) => None,
        }
    }

    /// What it is granted.
    pub(super) fn directories(&self) -> &[Directory] {
        match *self {
            Self::Component(ref component) => component.directories(),
            #[cfg(feature = "encrypt")]
            Self::Encrypt(_) => &[],
        }
    }
}

/// In the format of the file, without secrets.
impl fmt::Display for LayerConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(ref encrypt) => encrypt.fmt(f),
            Self::Component(ref component) => component.fmt(f),
        }
    }
}
