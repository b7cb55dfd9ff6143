//! The environment variables of a store: literal ones, and secrets that this process hands on.
//! Neither kind of value is ever shown.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::PathBuf;

use super::table::{Problems, Table};
use super::{Component, failed};
use crate::Grants;
use crate::backend::Surroundings;
use crate::error::{ConfigurationError, MissingVariable, Result};
use crate::text::foreign_name;

/// A variable of the backend whose value is a variable of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    /// Its name in the backend.
    pub(super) name: String,
    /// Its name in this process.
    pub(super) from: String,
}

impl Secret {
    /// The error says why there is none.
    fn value(&self) -> Result<String, &'static str> {
        std::env::var(&self.from).map_err(|error| Self::state(&error))
    }

    /// Where the configuration sets it.
    fn line(&self, surroundings: Option<&Surroundings>) -> Option<(PathBuf, usize)> {
        let around = surroundings?;
        let line = around.lines.variables.get(&foreign_name(&self.name))?;
        Some((around.file.clone(), *line))
    }

    /// What is wrong with a variable of this process.
    pub(super) fn state(error: &VarError) -> &'static str {
        match error {
            VarError::NotPresent => "not set",
            VarError::NotUnicode(_) => "not UTF-8",
        }
    }
}

/// The grants with the values that this process has now.
///
/// # Errors
///
/// [`ConfigurationError::Variables`] with all that it has not, or not as text.
pub(super) fn hand_on(
    secrets: &[Secret],
    mut grants: Grants,
    store: &str,
    surroundings: Option<&Surroundings>,
) -> Result<Grants> {
    let mut missing = Vec::new();
    for secret in secrets {
        match secret.value() {
            Ok(value) => grants = grants.env(&secret.name, value),
            Err(state) => {
                let location = secret.line(surroundings);
                missing.push(MissingVariable { name: secret.from.clone(), state, location });
            }
        }
    }
    if missing.is_empty() {
        return Ok(grants);
    }
    let name = store.to_owned();
    Err(failed(ConfigurationError::Variables { store: name, missing }, store))
}

/// What `env` and `env-from` of a store name, and where: the lines of names as they are shown, which
/// is how problems name them.
pub(super) fn variables(
    table: &mut Table<'_>,
    mut grants: Grants,
    component: Option<&Component>,
    problems: &mut Problems<'_>,
) -> (Grants, Vec<Secret>, BTreeMap<String, usize>) {
    let mut lines = BTreeMap::new();
    let check = |path: &str, name: &str, at, problems: &mut Problems<'_>| {
        if let Some(error) = component.and_then(|component| component.refuses_variable(name)) {
            problems.add(at, format!("`{path}` sets {error}"));
        }
    };
    let literal = table.take("env").and_then(|value| value.table(problems));
    for (name, value) in literal.into_iter().flat_map(Table::all) {
        let (path, at) = (value.path.clone(), value.at);
        let Some(value) = value.text(problems) else { continue };
        if !is_name(&name) || value.contains('\0') {
            let text = "cannot be a variable: its name has a `=` or is empty, or it has a NUL";
            problems.add(at, format!("`{path}` {text}"));
        }
        check(&path, &name, at, problems);
        lines.insert(foreign_name(&name), problems.line(at));
        grants = grants.env(name, value);
    }
    let mut secrets: Vec<Secret> = Vec::new();
    let handed_on = table.take("env-from").map(|value| value.names(problems));
    for (name, value) in handed_on.into_iter().flatten() {
        let (path, at) = (value.path.clone(), value.at);
        let Some(from) = value.text(problems) else { continue };
        if !is_name(&name) || !is_name(&from) {
            problems.add(at, format!("`{path}` does not name a variable"));
        }
        check(&path, &name, at, problems);
        let twice = secrets.iter().any(|secret| secret.name == name)
            || grants.env.iter().any(|(literal, _)| *literal == name);
        if twice {
            let name = foreign_name(&name);
            problems.add(at, format!("`{path}` sets `{name}`, which is set already"));
        }
        lines.insert(foreign_name(&name), problems.line(at));
        secrets.push(Secret { name, from });
    }
    (grants, secrets, lines)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}
