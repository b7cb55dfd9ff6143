//! A child that was forked from a process with a store has none of its threads, and is told so.
#![cfg(unix)]

use artifact_store::{ArtifactStore, ErrorKind, ReadOptions, WriteOptions, blocking};
use tokio::runtime::{Builder, Runtime};

/// Whether `check` holds in a child, which has 60 seconds for it.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child only calls `check` and ends. What that may wait for is what is tested.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(60);
                let holds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
                libc::_exit(if holds.unwrap_or(false) { 0 } else { 1 });
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

fn is_forked<T>(outcome: Result<T, artifact_store::Error>) -> bool {
    outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::Forked) && !error.is_retryable())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// One test, since it is about what the whole process has done before.
#[test]
fn a_child_can_use_no_store_of_its_parent_and_none_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    // Whoever forks before there is a store may do in the child whatever it likes.
    assert!(in_child(|| {
        let store = blocking::ArtifactStore::open_dir(dir.path()).unwrap();
        store.put("k", "from a child").is_ok()
    }));

    let store = blocking::ArtifactStore::open_dir(dir.path()).unwrap();
    assert_eq!(store.get("k").unwrap(), "from a child");
    let other = runtime().block_on(ArtifactStore::open_dir(dir.path())).unwrap();
    store.put("large", vec![7; 3 << 20]).unwrap();
    let mut writer = store.writer("written", WriteOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, b"some").unwrap();
    std::io::Write::flush(&mut writer).unwrap();
    let mut reader = store.read("large", ReadOptions::default()).unwrap();
    reader.next_chunk().unwrap();

    assert!(in_child(|| is_forked(store.put("k", "x"))), "put");
    assert!(in_child(|| is_forked(store.get("k"))), "get");
    assert!(in_child(|| is_forked(store.stat("k"))), "stat");
    assert!(in_child(|| is_forked(store.delete("k"))), "delete");
    assert!(in_child(|| store.list("").next().is_some_and(is_forked)), "list");
    assert!(in_child(|| is_forked(store.read("large", ReadOptions::default()))), "read");
    assert!(in_child(|| is_forked(store.write("w", &b"x"[..], WriteOptions::default()))), "write");
    assert!(in_child(|| is_forked(blocking::ArtifactStore::open_dir(dir.path()))), "open");
    let call = |call: fn(&ArtifactStore, &Runtime) -> bool| in_child(|| call(&other, &runtime()));
    assert!(call(|store, on| is_forked(on.block_on(store.put("k", "x")))), "async put");
    assert!(call(|store, on| is_forked(on.block_on(store.get("k")))), "async get");
    assert!(call(|store, on| is_forked(on.block_on(store.stat("k")))), "async stat");
    assert!(call(|store, on| is_forked(on.block_on(store.delete("k")))), "async delete");
    assert!(call(|store, on| is_forked(on.block_on(store.list("").next()))), "async list");
    let opens = || is_forked(runtime().block_on(ArtifactStore::open_dir(dir.path())));
    assert!(in_child(opens), "async open");
    // What the parent has open is left alone when the child drops it.
    assert!(in_child(|| {
        drop((reader, writer));
        true
    }));

    // The parent goes on.
    store.put("k", "x").unwrap();
    assert_eq!(runtime().block_on(other.get("k")).unwrap(), "x");
}
