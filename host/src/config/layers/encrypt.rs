//! `encrypt = { recipients = […], identity-from = "VARIABLE", identity-file = "FILE" }`

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::failed;
use super::super::secrets::Secret;
use super::super::show::quoted;
use super::super::table::{Problems, Value};
use crate::error::{ConfigurationError, Error, Operation, Result};
use crate::{Encryption, Layer};

/// Where the keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Encrypt {
    /// With the recipients alone.
    encryption: Encryption,
    /// The variable of this process with the identities.
    identity_from: Option<String>,
    pub(super) identity_file: Option<PathBuf>,
}

impl Encrypt {
    pub(super) fn read(value: Value<'_>, dir: &Path, problems: &mut Problems<'_>) -> Option<Self> {
        let at = value.at;
        let mut table = value.table(problems)?;
        let (path, file_path) = (table.path("recipients"), table.path("identity-file"));
        let recipients = table.take("recipients").map(|value| value.texts(problems));
        let identity_from = table.take("identity-from").and_then(|value| value.name(problems));
        let identity_file = table.take("identity-file").and_then(|value| value.name(problems));
        table.finish(problems);
        if identity_from.is_some() && identity_file.is_some() {
            problems.add(at, format!("`{file_path}` cannot be used with `identity-from`"));
        }
        let Some(recipients) = recipients else {
            let text = "is missing: a list of public keys `age1…`, as `artifact-store keygen` makes \
                        them";
            problems.add(at, format!("`{path}` {text}"));
            return None;
        };
        let at = recipients.first().map_or(at, |(_, at)| *at);
        match Encryption::new(recipients.iter().map(|(text, _)| text)) {
            Ok(encryption) => {
                let identity_file = identity_file.map(|file| dir.join(file));
                Some(Self { encryption, identity_from, identity_file })
            }
            Err(error) => {
                problems.add(at, format!("`{path}`: {error}"));
                None
            }
        }
    }

    pub(super) fn layer(&self, store: &str) -> Result<Layer> {
        let encryption = self.encryption.clone();
        let encryption = match (&self.identity_from, &self.identity_file) {
            (Some(variable), _) => {
                let text = std::env::var(variable).map_err(|error| {
                    let (variable, state) = (variable.clone(), Secret::state(&error));
                    let name = store.to_owned();
                    failed(
                        ConfigurationError::IdentityVariable { store: name, variable, state },
                        store,
                    )
                })?;
                encryption.identities(&text)
            }
            (None, Some(file)) => encryption.identity_file(file),
            (None, None) => Ok(encryption),
        };
        let encryption = encryption
            .map_err(|error| Error::new(error.into(), Operation::Open, None, &store.into()))?;
        Ok(encryption.into())
    }
}

impl fmt::Display for Encrypt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recipients: Vec<_> = self.encryption.recipients().map(|it| quoted(&it)).collect();
        write!(f, "{{ encrypt = {{ recipients = [{}]", recipients.join(", "))?;
        if let Some(variable) = &self.identity_from {
            write!(f, ", identity-from = {}", quoted(variable))?;
        }
        if let Some(file) = &self.identity_file {
            write!(f, ", identity-file = {}", quoted(&file.to_string_lossy()))?;
        }
        f.write_str(" } }")
    }
}
