//! The layers that `--layer` names.

use std::path::Path;

use anyhow::Result;
use artifact_store::{Backend, Encryption, Grants, Layer, Limits};

use super::StoreArguments;
use super::opening::{built_in, variable_of};
use crate::failure::Usage;
use crate::shown;

/// Holds identities where no option names their file.
const IDENTITY_VARIABLE: &str = "ARTIFACT_STORE_IDENTITY";

const ENCRYPT: &str = "encrypt";

/// What one `--layer` says.
pub enum NamedLayer<'a> {
    /// `encrypt[=RECIPIENT,…]`.
    Encryption { recipients: &'a str },
    /// `FILE[,NAME[=VALUE]]…`.
    Component { file: &'a Path, variables: Vec<&'a str> },
}

impl<'a> NamedLayer<'a> {
    pub fn of(named: &'a str) -> Result<Self, Usage> {
        if let (ENCRYPT, recipients) = named.split_once('=').unwrap_or((named, "")) {
            return Ok(Self::Encryption { recipients });
        }
        let mut parts = named.split(',');
        let file = Path::new(parts.next().unwrap_or_default());
        if file.as_os_str().is_empty() || built_in(file).is_some() {
            let shown = shown::name(named);
            let text = "is no layer; `encrypt=RECIPIENT[,RECIPIENT]` is one, and so is \
                        `FILE.wasm[,NAME=VALUE]`";
            return Err(Usage(format!("`{shown}` {text}")));
        }
        Ok(Self::Component { file, variables: parts.collect() })
    }
}

impl StoreArguments {
    /// The backend with the layers of the command line around it.
    pub(super) fn layered(&self, mut backend: Backend) -> Result<Backend> {
        // The outermost is named first, and added last.
        for named in self.layer.iter().rev() {
            backend = backend.layer(self.one_layer(named)?);
        }
        Ok(backend)
    }

    /// Whether one of the layers of the command line is a component.
    pub fn has_component_layer(&self) -> bool {
        self.component_layers().next().is_some()
    }

    /// The files of the layers that are components, the outermost first.
    pub fn component_layers(&self) -> impl Iterator<Item = &Path> {
        self.layer.iter().filter_map(|named| match NamedLayer::of(named) {
            Ok(NamedLayer::Component { file, .. }) => Some(file),
            _ => None,
        })
    }

    fn one_layer(&self, named: &str) -> Result<Layer> {
        match NamedLayer::of(named)? {
            NamedLayer::Encryption { recipients } => Ok(self.encryption(recipients)?.into()),
            NamedLayer::Component { file, variables } => {
                Ok(self.component(file, &variables)?.into())
            }
        }
    }

    /// The component of this file, which is granted these variables, `NAME[=VALUE]`.
    fn component(&self, file: &Path, variables: &[&str]) -> Result<Backend> {
        let mut grants = Grants::none();
        for variable in variables {
            let (name, value) = variable_of("--layer", variable)?;
            grants = grants.env(name, value);
        }
        let limits = self.limits(&Limits::default());
        Ok(Backend::from_file(file).grants(grants).limits(limits))
    }

    /// Encryption for these recipients, or else for those of the identities.
    fn encryption(&self, recipients: &str) -> Result<Encryption> {
        let recipients: Vec<_> = recipients.split(',').filter(|it| !it.is_empty()).collect();
        // A variable that is empty counts as one that is not set.
        let text = std::env::var(IDENTITY_VARIABLE).ok().filter(|text| !text.is_empty());
        if recipients.is_empty() {
            return Ok(match (&self.identity, text) {
                (Some(file), _) => Encryption::from_identity_file(file)?,
                (None, Some(text)) => Encryption::from_identities(&text)?,
                (None, None) => {
                    let text = "needs recipients, `encrypt=age1…`, or an identity: --identity FILE";
                    return Err(Usage(format!("`--layer encrypt` {text}")).into());
                }
            });
        }
        let encryption = Encryption::new(recipients)?;
        Ok(match (&self.identity, text) {
            (Some(file), _) => encryption.identity_file(file)?,
            (None, Some(text)) => encryption.identities(&text)?,
            (None, None) => encryption,
        })
    }
}
