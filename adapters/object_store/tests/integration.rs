//! What `object_store` asks of every store, on the backend `fs`: each function of its own
//! `integration` module, on a runtime with one thread and on one with several.

#[macro_use]
mod functions;

use std::sync::Arc;

use artifact_store::ArtifactStore;
use artifact_store_object_store::ArtifactObjectStore;
use object_store::integration as asked;
use object_store::path::Path;

/// Runs `test` on a store of its own, on both kinds of runtimes.
fn on_both<F: Future<Output = ()>>(test: impl Fn(Arc<ArtifactObjectStore>) -> F) {
    let (mut one, mut many) = (
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    );
    for runtime in [&mut one, &mut many] {
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = ArtifactStore::open_dir(dir.path()).await.unwrap();
            test(Arc::new(store.into())).await;
        });
    }
}

macro_rules! asks {
    ($($name:ident($($argument:expr),*);)*) => {
        $(#[test]
        fn $name() {
            on_both(async |store| asked::$name(&*store, $($argument),*).await);
        })*
    };
    (both $($name:ident;)*) => {
        $(#[test]
        fn $name() {
            on_both(async |store| asked::$name(&*store, &*store).await);
        })*
    };
}

all!(asks);

#[test]
fn get_nonexistent_object() {
    on_both(async |store| {
        for location in [None, Some(Path::from("a/b")), Some(Path::from("a"))] {
            let error = asked::get_nonexistent_object(&*store, location).await.unwrap_err();
            assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
        }
    });
}
