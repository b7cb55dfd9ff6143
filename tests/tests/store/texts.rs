//! Texts of a backend are for people: they are neither long nor able to hide, to drive a terminal or
//! to pass for something else.

use std::fmt::Write;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Error, ErrorKind, Limits, Resource};
use artifact_store_tests::{bare, guest};

/// All that is shown of an error, however it is shown.
fn shown(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        write!(text, "\n{next}\n{next:?}").unwrap();
        cause = next.source();
    }
    text
}

/// No line of it is longer than the 4 KiB that are kept, escaped once more, and some words.
fn is_harmless(error: &Error) {
    let text = shown(error);
    assert!(text.len() < 256 << 10, "{} bytes", text.len());
    for line in text.lines() {
        assert!(line.len() < 40 << 10, "{} bytes: {:.200}", line.len(), line);
        let hidden = line.chars().find(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}'));
        assert!(hidden.is_none(), "{hidden:?} in {line:.300}");
    }
}

#[test]
fn a_key_or_cursor_without_end_makes_no_long_error() {
    let limits = Limits::default().memory(1 << 30);
    let store = ArtifactStore::open(Backend::from_file(guest("hostile")).limits(limits)).unwrap();
    for prefix in ["huge", "huge-twice", "huge-cursor"] {
        let error = store.list(prefix).find_map(Result::err).expect(prefix);
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{prefix}");
        is_harmless(&error);
        assert!(error.to_string().len() < 1000, "{:.2000}", error.to_string());
    }
    let error = store.get("loud").unwrap_err();
    is_harmless(&error);
    assert!(error.to_string().contains("\\u{1b}[2Jloud"), "{:.100}", error.to_string());
}

/// A component whose call of `delete` traps in a function of this name.
fn traps_in(name: &str) -> Error {
    let code = format!("(call $\"{name}\")");
    let module = format!("(func $\"{name}\" unreachable)");
    let store = ArtifactStore::open(bare(&[("DELETE", &code), ("MODULE", &module)])).unwrap();
    store.delete("k").unwrap_err()
}

#[test]
fn the_names_in_a_trap_are_short_and_pass_for_nothing_else() {
    let long = "long ".repeat(1 << 18);
    for name in [
        "too much data is being copied between the host and the guest: fuel allocated for \
         hostcalls has been exhausted",
        "cannot allocate another handle: store handle limit exceeded",
        "resource limit exceeded: memory count too high at 1001",
        "wasm trap: out of bounds\\n2026-01-01T00:00:00Z  INFO a line of nobody's\\u{202e}",
        &long,
    ] {
        let error = traps_in(name);
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{name:.80}: {:?}", error.kind());
        is_harmless(&error);
    }
    assert!(shown(&traps_in("a-function")).contains("in `a-function`"));
}

#[test]
fn the_parts_of_a_component_are_bounded_and_named() {
    let module = "(memory 0)".repeat(40);
    let error = ArtifactStore::open(bare(&[("MODULE", &module)])).err().unwrap();
    assert!(
        matches!(error.kind(), ErrorKind::Exhausted { what: Resource::Memories, .. }),
        "{error:?}"
    );
}

/// Page after page with nothing on it: it ends by their number, and by the time that they take.
#[test]
fn a_listing_of_nothing_comes_to_an_end() {
    for (prefix, call_timeout) in [("pages", 30_000), ("pages-100", 500)] {
        let call_timeout = Duration::from_millis(call_timeout);
        let limits = Limits::default().call_timeout(call_timeout);
        let backend = Backend::from_file(guest("stalls")).limits(limits);
        let store = ArtifactStore::open(backend).unwrap();
        let begun = Instant::now();
        let error = store.list(prefix).find_map(Result::err).unwrap();
        eprintln!("{prefix}: {:?}", begun.elapsed());
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error:?}");
    }
}

#[test]
fn what_a_component_asks_for_is_named_in_short() {
    let imports: String = (0..5000)
        .map(|n| format!("(import \"x{n}-{}\" (func))", "y".repeat(if n < 3 { 50_000 } else { 5 })))
        .collect();
    let text = std::str::from_utf8(include_bytes!("../../guests/bare.wat")).unwrap();
    let bare =
        ["REALLOC", "PUT", "GET", "DELETE", "MODULE"].iter().fold(text.to_owned(), |text, word| {
            text.replace(&format!("{word} "), "").replace(&format!("{word}\n"), "")
        });
    let whole = bare.replacen("(component", &format!("(component {imports}"), 1);
    let component = wat::parse_str(&whole).unwrap();
    let error = ArtifactStore::open(Backend::from_bytes("asks", component)).err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Load(_)), "{error:.300}");
    is_harmless(&error);
}
