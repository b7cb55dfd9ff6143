//! What it reads from its environment: a secret, a switch and, where the fault is about that, a name
//! that is required. That it reads its fault is not described, so that no check takes it away.

use std::env::var;
use std::fs;

use crate::exports::artifact::storage::settings::{Guest, Problem, Setting};
use crate::{Wrong, fault};

fn setting(name: &str, default: Option<&str>) -> Setting {
    let description = "for a test".into();
    let default = default.map(Into::into);
    Setting { name: name.into(), description, required: false, secret: false, default }
}

fn problem(name: &str, reason: &str) -> Problem {
    Problem { name: name.into(), reason: reason.into() }
}

fn is_off(name: &str) -> bool {
    var(name).is_err()
}

fn needs_an_owner() -> bool {
    let faults = ["required-with-a-default", "required-may-be-absent", "problem-of-another-name"];
    faults.into_iter().any(fault)
}

impl Guest for Wrong {
    async fn describe_settings() -> Vec<Setting> {
        let mut owner = setting("OWNER", None);
        owner.required = true;
        let mut token = setting("TOKEN", None);
        token.secret = true;
        let mut mode = setting("MODE", Some("plain"));
        if fault("required-with-a-default") {
            owner.default = Some("me".into());
        }
        if fault("default-is-wrong") {
            mode.default = Some("simple".into());
        }
        let mut settings = vec![token, mode];
        if needs_an_owner() {
            settings.push(owner);
        }
        if fault("setting-twice") {
            settings.push(setting("MODE", None));
        }
        if fault("setting-without-a-name") {
            settings.push(setting("", None));
        }
        if fault("settings-differ") && is_off("TOKEN") {
            settings.pop();
        }
        settings
    }

    async fn check_settings() -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if fault("settings-never-end") {
            #[expect(clippy::empty_loop, reason = "that is the fault")]
            loop {}
        }
        if fault("settings-trap") {
            panic!("as asked");
        }
        if fault("settings-say-nothing") {
            return Err(problems);
        }
        if fault("settings-flood") {
            let flood = problem(&"\u{1b}[2J".repeat(10_000), &"\n".repeat(10_000));
            return Err(vec![flood; 50]);
        }
        if fault("settings-use-the-store") {
            fs::read_dir("/").expect("a directory");
        }
        if needs_an_owner() && is_off("OWNER") && !fault("required-may-be-absent") {
            let name = if fault("problem-of-another-name") { "owner" } else { "OWNER" };
            problems.push(problem(name, "it is not set"));
        }
        if is_off("TOKEN") && fault("optional-is-missed") {
            problems.push(problem("TOKEN", "it is not set"));
        }
        if let Ok(token) = var("TOKEN")
            && token.contains(char::is_control)
        {
            let token = if fault("secret-in-a-reason") { &token } else { "this" };
            problems.push(problem("TOKEN", &format!("{token} holds a control character")));
        }
        if var("MODE").is_ok_and(|mode| mode != "plain") {
            problems.push(problem("MODE", "it is `plain`"));
        }
        if fault("problem-without-a-name") && !problems.is_empty() {
            problems.clear();
            return Err(problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
