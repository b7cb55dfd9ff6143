//! What operators read: events that name keys only where they are asked to, and what a backend writes.

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants, SwapOptions};
use artifact_store_tests::{guest, logged_at};
use tracing::Level;

fn hostile() -> Backend {
    Backend::from_bytes("hostile", std::fs::read(guest("hostile")).unwrap())
}

/// What is logged at this level while `work` runs, on this thread.
fn logged(level: Level, work: impl FnOnce()) -> String {
    logged_at(level, work).1
}

#[test]
fn keys_are_named_at_the_level_debug_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let work = || {
        store.put("confidential", "x").unwrap();
        store.get("confidential").unwrap();
        store.stat("confidential-too").unwrap_err();
        store.swap(hostile(), SwapOptions::default()).unwrap();
        // Its message names the key.
        store.delete("trap").unwrap_err();
        store.swap(Backend::fs(dir.path()), SwapOptions::default()).unwrap();
    };
    let text = logged(Level::INFO, work);
    assert!(!text.contains("confidential"), "{text}");
    for shown in [r#"operation="put""#, r#"outcome="not-found""#, r#"outcome="trap""#, "swapped"] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    let text = logged(Level::DEBUG, work);
    assert!(text.contains(r#"key="confidential""#), "{text}");
    assert!(text.contains(r#"error="not found""#), "{text}");
}

#[test]
fn what_a_backend_writes_is_bounded_and_harmless() {
    let store = ArtifactStore::open(hostile()).unwrap();
    let text = logged(Level::DEBUG, || store.delete("chatter").unwrap());
    let lines: Vec<_> =
        text.lines().filter(|line| line.contains("artifact_store::backend")).collect();
    let (dropped, shown): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.contains("is dropped"));
    assert_eq!(dropped.len(), 1);
    let bytes: usize = shown.iter().map(|line| line.matches("la").count() * 2).sum();
    assert!((32 << 10..=64 << 10).contains(&bytes), "{bytes}");
    // The next call has its share again.
    let text = logged(Level::DEBUG, || store.delete("say").unwrap());
    let said: Vec<_> =
        text.lines().filter(|line| line.contains("artifact_store::backend")).collect();
    let [out, long @ .., err] = &said[..] else { panic!("{text}") };
    assert!(out.contains("stdout") && out.contains(r"\u{1b}[2Jout\r"), "{out}");
    assert!(long.len() == 3 && long.iter().all(|line| line.len() < 5 << 10), "{}", long.len());
    assert!(err.contains("stderr") && err.contains("without an end"), "{err}");
    // Nobody looks, nothing is kept.
    assert!(!logged(Level::INFO, || store.delete("say").unwrap()).contains("Jout"));
}

/// What a grant holds shows nowhere, unless the backend itself writes it.
#[test]
fn secrets_are_not_logged() {
    let grants = Grants::none().env("TOKEN", "hush-hush");
    let text = logged(Level::TRACE, || {
        let store = ArtifactStore::open(hostile().grants(grants)).unwrap();
        store.get("fine").unwrap();
        let error = store.delete("trap").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hush-hush"));
        assert!(!format!("{:?}", store.backend()).contains("hush-hush"));
    });
    assert!(text.contains("trap") && !text.contains("hush-hush"), "{text}");
}
