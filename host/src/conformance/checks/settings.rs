use std::collections::BTreeSet;

use super::super::environment::Environment;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Settings};
use super::SETTINGS;
use crate::bindings::settings::{Problem, Setting};

pub(super) const CHECKS: &[Check] = &[
    Check::new("settings_need_no_grant", Settings, &["settings-1"], without_grants)
        .needs(SETTINGS)
        .direct(),
    Check::new("settings_are_the_same_everywhere", Settings, &["settings-2"], everywhere)
        .needs(SETTINGS)
        .direct(),
    Check::new("settings_have_names_of_their_own", Settings, &["settings-3"], names)
        .needs(SETTINGS)
        .direct(),
    Check::new("a_default_can_be_set", Settings, &["settings-4"], defaults)
        .needs(SETTINGS)
        .direct(),
    Check::new("what_is_required_is_asked_for", Settings, &["settings-6"], required)
        .needs(SETTINGS)
        .direct(),
    Check::new("a_problem_names_its_setting", Settings, &["settings-7"], problems)
        .needs(SETTINGS)
        .direct(),
    Check::new("a_problem_holds_no_secret", Settings, &["settings-8"], secrets)
        .needs(SETTINGS)
        .direct(),
];

/// What a value must not be, whatever it is for: none of these is a number, a URL, a switch.
const NONSENSE: &str = "\u{1}no value";

/// What no text may hold.
const SECRET: &str = "hush-5e1c2a\u{1}";

fn described(s: &Subject) -> Verdict<Vec<Setting>> {
    s.describe_settings(&s.environment())
}

/// The environment of the backend without the settings that it describes.
fn without(s: &Subject, settings: &[Setting]) -> Environment {
    let mut environment = s.environment();
    environment.retain(|name, _| settings.iter().all(|setting| setting.name != *name));
    environment
}

/// The same with this value for each of them.
fn all_set_to(s: &Subject, settings: &[Setting], value: &str) -> Environment {
    let mut environment = without(s, settings);
    environment.extend(settings.iter().map(|setting| (setting.name.clone(), value.to_owned())));
    environment
}

fn problems_in(s: &Subject, environment: &Environment) -> Verdict<Vec<Problem>> {
    Ok(s.check_settings(environment)?.err().unwrap_or_default())
}

fn without_grants(s: &Subject) -> Verdict {
    let settings = described(s)?;
    s.describe_settings(&Environment::default())?;
    problems_in(s, &Environment::default())?;
    problems_in(s, &all_set_to(s, &settings, NONSENSE))?;
    problems_in(s, &s.environment()).map(drop)
}

fn everywhere(s: &Subject) -> Verdict {
    let settings = described(s)?;
    let all = all_set_to(s, &settings, NONSENSE);
    for environment in [Environment::default(), without(s, &settings), all] {
        let again = format!("{:?}", s.describe_settings(&environment)?);
        let first = format!("{settings:?}");
        s.check(first == again, &first, again)?;
    }
    Ok(())
}

fn names(s: &Subject) -> Verdict {
    let mut seen = BTreeSet::new();
    for Setting { name, .. } in described(s)? {
        let can_be_set = !name.is_empty() && !name.contains(|c: char| c == '=' || c.is_control());
        s.check(can_be_set, "the name of a variable", format!("{name:?}"))?;
        s.check(seen.insert(name.clone()), "each name once", format!("{name:?} twice"))?;
    }
    Ok(())
}

fn defaults(s: &Subject) -> Verdict {
    let mut environment = s.environment();
    for Setting { name, required, default, .. } in described(s)? {
        let Some(default) = default else { continue };
        s.check(!required, &format!("{name:?} without a default, since it is required"), &default)?;
        environment.entry(name).or_insert(default);
    }
    let problems = problems_in(s, &environment)?;
    s.check(problems.is_empty(), "no problem with what holds anyway", format!("{problems:?}"))
}

fn required(s: &Subject) -> Verdict {
    let settings = described(s)?;
    let mut least = s.environment();
    let is_optional = |name: &str| settings.iter().any(|it| it.name == name && !it.required);
    least.retain(|name, _| !is_optional(name));
    let problems = problems_in(s, &least)?;
    s.check(problems.is_empty(), "no problem if all that is required is set", shown(&problems))?;
    for Setting { name, .. } in settings.iter().filter(|setting| setting.required) {
        let mut environment = least.clone();
        environment.remove(name);
        let problems = problems_in(s, &environment)?;
        let is_named = problems.iter().any(|problem| problem.name == *name);
        s.check(is_named, &format!("a problem with {name:?}"), shown(&problems))?;
    }
    Ok(())
}

fn problems(s: &Subject) -> Verdict {
    let settings = described(s)?;
    for environment in [without(s, &settings), all_set_to(s, &settings, NONSENSE)] {
        let Err(problems) = s.check_settings(&environment)? else { continue };
        s.check(!problems.is_empty(), "ok, or at least one problem", "none")?;
        for Problem { name, .. } in problems {
            let is_described = settings.iter().any(|setting| setting.name == name);
            s.check(is_described, "the name of a described setting", format!("{name:?}"))?;
        }
    }
    Ok(())
}

fn secrets(s: &Subject) -> Verdict {
    let settings = described(s)?;
    let secrets = || settings.iter().filter(|setting| setting.secret);
    let secret = || secrets().map(|setting| (setting.name.clone(), SECRET.to_owned()));
    let (mut wrong, mut alone) = (all_set_to(s, &settings, NONSENSE), s.environment());
    wrong.extend(secret());
    alone.extend(secret());
    for environment in [wrong, alone] {
        for Problem { name, reason } in problems_in(s, &environment)? {
            let is_shown = reason.contains(SECRET.trim_end_matches('\u{1}'));
            s.check(!is_shown, &format!("a reason for {name:?} without a secret"), reason)?;
        }
    }
    Ok(())
}

fn shown(problems: &[Problem]) -> String {
    format!("{problems:?}")
}
