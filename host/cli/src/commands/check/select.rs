//! Which checks are meant: `--only`, and `--list`.

use std::fmt::Write;

use anyhow::Result;
use artifact_store::conformance::{Check, Group, UNTESTABLE, checks, layer_checks};
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde::Serialize;

use crate::failure::Usage;

/// Takes the name of a group, of a rule, of several rules (`read` for `read-1`, `read-2`, …) or of a
/// check. The groups are what a shell completes.
#[derive(Clone)]
pub struct Selector;

impl TypedValueParser for Selector {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        let name = StringValueParser::new().parse_ref(command, argument, value)?;
        if all().any(|check| is_meant(check, &name)) {
            return Ok(name);
        }
        let mut error = clap::Error::new(ErrorKind::ValueValidation).with_cmd(command);
        if let Some(argument) = argument {
            let argument = ContextValue::String(argument.to_string());
            error.insert(ContextKind::InvalidArg, argument);
        }
        error.insert(ContextKind::InvalidValue, ContextValue::String(name.clone()));
        let hint = match UNTESTABLE.iter().find(|(rule, _)| *rule == name) {
            Some((_, why)) => format!("this rule has no check: {why}"),
            None => {
                "it is no group, rule or check; `artifact-store check --list` names them".into()
            }
        };
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
        Err(error)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Group::ALL.iter().map(|group| PossibleValue::new(group.name()))))
    }
}

/// The checks of backends, then those of layers alone.
fn all() -> impl Iterator<Item = &'static Check> {
    checks().chain(layer_checks())
}

/// Those that one of these names means; all where there is none.
pub fn selected(only: &[String]) -> Vec<&'static Check> {
    let is_selected = |check: &&Check| only.is_empty() || only.iter().any(|it| is_meant(check, it));
    all().filter(is_selected).collect()
}

/// The same of those that apply to a layer, or to a backend.
pub fn applicable(only: &[String], is_layer: bool) -> Result<Vec<&'static Check>> {
    let applies = |check: &&Check| is_layer || check.group() != Group::Layers;
    for name in only {
        if !all().filter(applies).any(|check| is_meant(check, name)) {
            let text = "is checked of a layer only: name one with --layer FILE";
            return Err(Usage(format!("`{name}` {text}")).into());
        }
    }
    Ok(selected(only).into_iter().filter(applies).collect())
}

fn is_meant(check: &Check, name: &str) -> bool {
    let is_meant_by = |rule: &str| {
        rule == name || rule.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    };
    check.group().name() == name
        || check.name() == name
        || check.rules().iter().any(|rule| is_meant_by(rule))
}

/// What `--list` shows of one check.
#[derive(Serialize)]
#[serde(tag = "type", rename = "check")]
pub struct Listed {
    name: &'static str,
    group: &'static str,
    rules: &'static [&'static str],
    sentence: &'static str,
}

impl From<&'static Check> for Listed {
    fn from(check: &'static Check) -> Self {
        let (name, group) = (check.name(), check.group().name());
        Self { name, group, rules: check.rules(), sentence: check.sentence() }
    }
}

/// One line for each check, below its group.
pub fn list(checks: &[&'static Check]) -> String {
    let mut text = String::new();
    let mut last = None;
    for check in checks {
        let group = check.group();
        if last.replace(group) != Some(group) {
            let _ = writeln!(text, "{}", group.name());
        }
        let _ = writeln!(text, "  {:52}  {}", check.name(), check.rules().join(", "));
    }
    text
}
