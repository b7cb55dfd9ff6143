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

#[test]
fn an_outage_is_one_line_at_its_begin_and_one_at_its_end() {
    let store = ArtifactStore::open(hostile()).unwrap();
    let text = logged(Level::WARN, || {
        for _ in 0..10 {
            store.delete("trap").unwrap_err();
        }
        // For whoever calls it, the backend that takes the place of another one is the same store.
        store.swap(hostile(), SwapOptions::default()).unwrap();
        for _ in 0..10 {
            store.delete("trap").unwrap_err();
        }
        // Reads are another matter.
        store.get("fine").unwrap();
        store.delete("say").unwrap();
        store.delete("say").unwrap();
    });
    let lines: Vec<_> = text.lines().filter(|line| line.contains("calls ")).collect();
    let [begin, end] = &lines[..] else { panic!("{text}") };
    assert!(begin.contains("calls fail") && begin.contains(r#"outcome="trap" failed=1"#), "{text}");
    assert!(end.contains("calls succeed again") && end.contains("failed=20"), "{text}");
    // At the level info each call is seen.
    let text = logged(Level::INFO, || drop(store.delete("trap")));
    assert!(text.contains("called") && text.contains(r#"outcome="trap""#), "{text}");
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

/// What copies into an `AsyncWrite` shuts it down at the end, and takes that for the commit.
#[test]
fn a_writer_that_was_shut_down_takes_no_more_and_says_that_nothing_was_stored() {
    use std::io::ErrorKind::BrokenPipe;

    use tokio::io::AsyncWriteExt;

    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // With streams, and without.
    for backend in [Backend::fs(dir.path()), hostile()] {
        let store = runtime.block_on(artifact_store::ArtifactStore::open(backend)).unwrap();
        let shut = |then_commit: bool| {
            runtime.block_on(async {
                let mut writer = store.writer("confidential", Default::default()).unwrap();
                writer.write_all(b"bytes").await.unwrap();
                writer.shutdown().await.unwrap();
                writer.shutdown().await.unwrap();
                assert_eq!(writer.write_all(b"more").await.unwrap_err().kind(), BrokenPipe);
                let error = writer.write_chunk("more").await.unwrap_err();
                assert!(matches!(error.kind(), artifact_store::ErrorKind::Io(_)), "{error}");
                if then_commit {
                    let _ = writer.commit().await;
                }
            });
        };
        let text = logged(Level::WARN, || shut(false));
        assert!(text.contains("without a commit: nothing is stored"), "{text}");
        assert!(!text.contains("confidential"), "{text}");
        let text = logged(Level::WARN, || shut(true));
        assert!(!text.contains("without a commit"), "{text}");
    }
}
