//! The terminal sessions of the documentation (blocks of `console`) are what the program writes.
//! `UPDATE=1` writes them anew.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifact_store_tests::{alone, cli};

const BEGIN: &str = "```console";
const END: &str = "```";

/// A command, and what is printed below it.
struct Step {
    command: String,
    output: String,
}

#[test]
fn sessions_of_the_documentation_are_what_the_program_writes() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    let updates = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut sessions = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let (found, run) = page_as_run(&text);
        sessions += found;
        match updates {
            true => fs::write(&page, run).unwrap(),
            false => assert_eq!(text, run, "{}: UPDATE=1 writes it anew", page.display()),
        }
    }
    assert!(sessions > 0, "the README has a session");
}

/// How many sessions a page has, and the page as they went just now.
fn page_as_run(text: &str) -> (usize, String) {
    let (mut page, mut sessions) = (String::new(), 0);
    let mut rest = text;
    while let Some((before, session)) = rest.split_once(&format!("{BEGIN}\n")) {
        let (session, after) = session.split_once(&format!("\n{END}\n")).expect("it has an end");
        page.push_str(&format!("{before}{BEGIN}\n{}{END}\n", session_as_run(session)));
        (rest, sessions) = (after, sessions + 1);
    }
    page.push_str(rest);
    (sessions, page)
}

/// Runs a session in a directory of its own. What it prints stays as it is if only that differs which
/// differs from run to run.
fn session_as_run(text: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    let (bin, dir) = (place.path().join("bin"), place.path().join("here"));
    for made in [&bin, &dir] {
        fs::create_dir(made).unwrap();
    }
    std::os::unix::fs::symlink(cli().get_program(), bin.join("artifact-store")).unwrap();
    // What a value of the text is now, and what it becomes in the text.
    let (mut now, mut rewritten) = (HashMap::new(), HashMap::new());
    let mut run = String::new();
    for Step { command, output } in steps(text) {
        let new = printed(&bin, &dir, &replaced(&command, &now));
        let ((old_form, old_values), (new_form, new_values)) = (masked(&output), masked(&new));
        let is_as_written = old_form == new_form;
        for (old, new) in old_values.into_iter().zip(new_values) {
            if !is_as_written {
                rewritten.insert(old.clone(), new.clone());
            }
            now.insert(old, new);
        }
        let output = if is_as_written { replaced(&output, &rewritten) } else { new };
        run.push_str(&format!("$ {}\n{output}", replaced(&command, &rewritten)));
    }
    run
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step { command: command.to_owned(), output: String::new() });
            }
            (None, Some(step)) => step.output.push_str(&format!("{line}\n")),
            (None, None) => panic!("a session begins with a command: {line}"),
        }
    }
    steps
}

/// What the command writes to its terminal, as far as it notices none.
fn printed(bin: &Path, dir: &Path, command: &str) -> String {
    let mut path = vec![bin.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(dir);
    shell.env("PATH", std::env::join_paths::<_, PathBuf>(path).unwrap());
    alone(&mut shell);
    let output = shell.output().expect("there is a shell");
    String::from_utf8(output.stdout).expect("a session is text")
}

fn replaced(text: &str, values: &HashMap<String, String>) -> String {
    words(text).map(|word| values.get(word).map_or(word, String::as_str)).collect()
}

/// The text without what differs from run to run, and those values in their order.
fn masked(text: &str) -> (String, Vec<String>) {
    let (mut form, mut values) = (String::new(), Vec::new());
    for word in words(text) {
        match kind(word) {
            Some(kind) => {
                form.push_str(kind);
                values.push(word.to_owned());
            }
            None => form.push_str(word),
        }
    }
    // A rate is a number and a unit.
    let mut parts = form.split(" at ");
    let mut form = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once("B/s").map(|(_, rest)| format!("RATE{rest}"));
        form.push_str(" at ");
        form.push_str(rest.as_deref().unwrap_or(part));
    }
    (form, values)
}

/// Words, and what is between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    text.split_inclusive(move |c| !is_of_word(c)).flat_map(move |part| {
        let end = part.char_indices().next_back().filter(|(_, c)| !is_of_word(*c));
        let (word, between) = part.split_at(end.map_or(part.len(), |(at, _)| at));
        [word, between]
    })
}

/// What differs from run to run: versions, times, and how long something took.
fn kind(word: &str) -> Option<&'static str> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_version = word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_time = word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    let is_span = ["ms", "s"].iter().any(|unit| word.strip_suffix(unit).is_some_and(is_digits));
    match () {
        () if is_version => Some("VERSION"),
        () if is_time => Some("TIME"),
        () if is_span => Some("SPAN"),
        () => None,
    }
}
