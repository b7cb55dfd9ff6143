//! A layer that is a component: `"FILE"`, or `{ component = "FILE", … }` with what it is granted.

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::apart::Named;
use super::super::secrets::{self, Secret};
use super::super::show::{self, HIDDEN, quoted};
use super::super::table::{Problems, Table};
use super::super::{format, network};
use crate::backend::{Lines, Surroundings};
use crate::error::Result;
use crate::grants::Directory;
use crate::{Backend, Grants, Layer, Limits};

/// A component, and what it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Component {
    file: PathBuf,
    digest: Option<String>,
    grants: Grants,
    secrets: Vec<Secret>,
    limits: Limits,
    /// Where the file says so; it makes no other layer.
    lines: Place,
}

/// Two layers that differ only in their lines are the same.
#[derive(Clone, Debug)]
struct Place(Lines);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Component {
    /// The component in `file`, with no grants.
    pub(super) fn new(file: PathBuf, start: usize) -> Self {
        let (grants, limits) = (Grants::none(), Limits::default());
        let lines = Place(Lines { start, ..Lines::default() });
        Self { file, digest: None, grants, secrets: Vec::new(), limits, lines }
    }

    /// The rest of the table of the component in `file`.
    pub(super) fn read(
        file: PathBuf,
        mut table: Table<'_>,
        (store, dir): (&str, &Path),
        named: &mut Vec<Named>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let start = problems.line(table.at);
        let digest = table.take("digest").and_then(|value| format::digest(value, problems));
        let grants = format::directories(store, &mut table, dir, named, problems);
        let (grants, secrets, variables) = secrets::variables(&mut table, grants, None, problems);
        let grants = network::grants(&mut table, dir, grants, problems);
        let limits = table.take("limits").and_then(|value| value.table(problems));
        let limits = limits.map_or_else(Limits::default, |it| format::limits(it, problems));
        table.finish(problems);
        let lines = Place(Lines { start, variables });
        Self { file, digest, grants, secrets, limits, lines }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn directories(&self) -> &[Directory] {
        &self.grants.directories
    }

    /// The layer, with the secrets that this process has now.
    pub(super) fn layer(&self, store: &str, surroundings: Option<&Surroundings>) -> Result<Layer> {
        let around = surroundings.cloned();
        let around = around.map(|around| Surroundings { lines: self.lines.0.clone(), ..around });
        let grants = self.grants.clone();
        let grants = secrets::hand_on(&self.secrets, grants, store, around.as_ref())?;
        let mut layer = Backend::from_file(&self.file).grants(grants).limits(self.limits.clone());
        if let Some(digest) = &self.digest {
            layer = layer.pin(digest);
        }
        Ok(match around {
            Some(around) => layer.beside(around),
            None => layer,
        }
        .into())
    }
}

/// What differs from the defaults, without the values of variables.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ component = {}", quoted(&self.file.to_string_lossy()))?;
        if let Some(digest) = &self.digest {
            write!(f, ", digest = {}", quoted(digest))?;
        }
        let literal = self.grants.env.iter().map(|(name, _)| (&**name, HIDDEN));
        let secrets = self.secrets.iter().map(|secret| (&*secret.name, &*secret.from));
        for (name, entries) in [("env", show::inline(literal)), ("env-from", show::inline(secrets))]
        {
            entries.iter().try_for_each(|entries| write!(f, ", {name} = {entries}"))?;
        }
        let directories = self.grants.directories.iter().map(|dir| {
            let (host, guest) = (quoted(&dir.host.to_string_lossy()), quoted(&dir.guest));
            format!("{{ host = {host}, guest = {guest}, read-only = {} }}", !dir.writable)
        });
        let directories: Vec<_> = directories.collect();
        if !directories.is_empty() {
            write!(f, ", directories = [{}]", directories.join(", "))?;
        }
        #[cfg(feature = "network")]
        if !self.grants.endpoints.is_empty() {
            let endpoints: Vec<_> = self.grants.endpoints.iter().map(|url| quoted(url)).collect();
            write!(f, ", network = [{}]", endpoints.join(", "))?;
        }
        write!(f, ", limits = {{ {} }} }}", show::limits(&self.limits))
    }
}
