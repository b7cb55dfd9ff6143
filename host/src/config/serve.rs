//! What a file says for whoever serves its stores to others: keys of access, a certificate, and an
//! address for operators.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::format::Stores;
use super::secrets::Secret;
use super::table::{Problems, Table, Value};
use super::{ConfigurationError, failed};
use crate::error::Result;
use crate::text::{alike, foreign_name};

/// The table `serve` of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Serve {
    /// In the order of their names.
    pub(super) keys: Vec<ServeKey>,
    pub(super) tls: Option<ServeTls>,
    pub(super) admin: Option<String>,
}

impl Serve {
    /// The files that whoever serves relies on.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.tls.iter().flat_map(|tls| [tls.certificate.clone(), tls.key.clone()]).collect()
    }
}

/// The files of a certificate, of the table `[serve.tls]` of a
/// [`Configuration`](crate::Configuration). The library does not read them: a server of the stores
/// does.
///
/// ```
/// use artifact_store::Configuration;
///
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("stores.toml");
/// # let store = "[stores.main]\nbackend = \"fs\"\ndirectories = [{ host = \".\" }]\n";
/// # let tls = "[serve.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
/// # std::fs::write(&file, format!("{store}{tls}"))?;
/// let configuration = Configuration::from_file(&file)?;
/// let tls = configuration.serve_tls().unwrap();
/// assert_eq!(tls.certificate(), dir.path().join("server.pem"));
/// assert_eq!(tls.line(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeTls {
    certificate: PathBuf,
    key: PathBuf,
    line: usize,
}

impl ServeTls {
    /// The PEM file of the certificate.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The PEM file of its private key.
    #[must_use]
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// The line of the file on which the table begins, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
}

/// A key of access, of a table `[serve.keys.NAME]` of a [`Configuration`](crate::Configuration). The
/// library does not use it: a server of the stores does.
///
/// ```
/// use artifact_store::{Configuration, ServeAccess};
///
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("stores.toml");
/// # let store = "[stores.main]\nbackend = \"fs\"\ndirectories = [{ host = \".\" }]\n";
/// # let key = "[serve.keys.ci]\nid = \"ci\"\nsecret-from = \"CI_SECRET\"\naccess = \"append\"\n";
/// # std::fs::write(&file, format!("{store}{key}"))?;
/// let configuration = Configuration::from_file(&file)?;
/// for key in configuration.serve_keys() {
///     assert_eq!((key.name(), key.id(), key.access()), ("ci", "ci", ServeAccess::Append));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeKey {
    name: String,
    id: String,
    /// Its `name` is that of the key.
    secret: Secret,
    buckets: Option<Vec<String>>,
    access: ServeAccess,
}

/// What the holder of a [`ServeKey`] may do. Each level includes the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ServeAccess {
    /// Read and list.
    #[default]
    Read,
    /// Also store new artifacts, but neither replace nor delete one.
    Append,
    /// Everything.
    Write,
}

impl ServeKey {
    /// The name of its table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id, which requests name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret, as this process has it now.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::KeyVariable`] where it has it not.
    pub fn secret(&self) -> Result<String> {
        let state = match std::env::var(&self.secret.from) {
            Ok(secret) if secret.is_empty() => "empty",
            Ok(secret) => return Ok(secret),
            Err(error) => Secret::state(&error),
        };
        let (key, variable) = (self.name.clone(), self.secret.from.clone());
        Err(failed(ConfigurationError::KeyVariable { key, variable, state }, &self.name))
    }

    /// The stores that it reaches; `None` means all.
    #[must_use]
    pub fn buckets(&self) -> Option<&[String]> {
        self.buckets.as_deref()
    }

    /// What its holder may do there.
    #[must_use]
    pub fn access(&self) -> ServeAccess {
        self.access
    }
}

/// The table `serve` of a file in the folder `dir`.
pub(super) fn read(
    value: Option<Value<'_>>,
    dir: &Path,
    stores: &Stores,
    problems: &mut Problems<'_>,
) -> Serve {
    let Some(mut serve) = value.and_then(|value| value.table(problems)) else {
        return Serve::default();
    };
    let keys = serve.take("keys").and_then(|value| value.table(problems));
    let tls = serve.take("tls").and_then(|value| value.table(problems));
    let admin = serve.take("admin").and_then(|value| value.name(problems));
    serve.finish(problems);
    let tls = tls.and_then(|table| self::tls(table, dir, problems));
    Serve { keys: self::keys(keys, stores, problems), tls, admin }
}

fn tls(mut table: Table<'_>, dir: &Path, problems: &mut Problems<'_>) -> Option<ServeTls> {
    let line = problems.line(table.at);
    let certificate = text(&mut table, "certificate", "a PEM file", problems);
    let key = text(&mut table, "key", "a PEM file", problems);
    table.finish(problems);
    Some(ServeTls { certificate: dir.join(certificate?.0), key: dir.join(key?.0), line })
}

/// The keys of access, in the order of their names.
fn keys(named: Option<Table<'_>>, stores: &Stores, problems: &mut Problems<'_>) -> Vec<ServeKey> {
    let mut keys: BTreeMap<String, ServeKey> = BTreeMap::new();
    for (name, value) in named.into_iter().flat_map(Table::all) {
        let at = value.at;
        let Some(table) = value.table(problems) else { continue };
        let Some(key) = key(&name, table, stores, problems) else { continue };
        if let Some(other) = keys.values().find(|other| other.id == key.id) {
            let (name, other) = (foreign_name(&name), foreign_name(&other.name));
            problems.add(at, format!("the keys `{name}` and `{other}` have the same id"));
        }
        keys.insert(name, key);
    }
    keys.into_values().collect()
}

fn key(
    name: &str,
    mut table: Table<'_>,
    stores: &Stores,
    problems: &mut Problems<'_>,
) -> Option<ServeKey> {
    let id = text(&mut table, "id", "the id that requests name", problems);
    if let Some((id, at)) = &id
        && !id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    {
        let path = table.path("id");
        problems.add(*at, format!("`{path}` has letters, digits, `-`, `_` and `.`"));
    }
    let from = text(&mut table, "secret-from", "a variable of the server's process", problems);
    if let Some((from, at)) = &from
        && from.contains(['=', '\0'])
    {
        let path = table.path("secret-from");
        problems.add(*at, format!("`{path}` does not name a variable"));
    }
    let buckets = table.take("buckets").map(|value| value.texts(problems));
    for (bucket, at) in buckets.iter().flatten() {
        if !stores.contains_key(bucket) {
            let mut text = format!("there is no store `{}`", foreign_name(bucket));
            if let Some(meant) = alike(bucket, stores.keys().map(String::as_str)) {
                text.push_str(&format!("; did you mean `{}`?", foreign_name(meant)));
            }
            problems.add(*at, text);
        }
    }
    let words = [
        ("read", ServeAccess::Read),
        ("append", ServeAccess::Append),
        ("write", ServeAccess::Write),
    ];
    let access = table.take("access").and_then(|value| value.one_of(&words, problems));
    table.finish(problems);
    Some(ServeKey {
        name: name.to_owned(),
        id: id?.0,
        secret: Secret { name: name.to_owned(), from: from?.0 },
        buckets: buckets.map(|all| all.into_iter().map(|(bucket, _)| bucket).collect()),
        access: access.unwrap_or_default(),
    })
}

/// A text that has to be there and not to be empty, and where it is.
fn text(
    table: &mut Table<'_>,
    key: &'static str,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<(String, usize)> {
    let Some(value) = table.take(key) else {
        problems.add(table.at, format!("`{}` is missing: {what}", table.path(key)));
        return None;
    };
    let at = value.at;
    Some((value.name(problems)?, at))
}
