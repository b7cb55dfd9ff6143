//! What `object_store` asks of every store, on the backend `fs`: each function of its own
//! `integration` module, on a runtime with one thread and on one with several, encrypted, and as a store
//! within an encrypted one.

#[macro_use]
mod functions;

use std::sync::Arc;

use artifact_store::{ArtifactStore, Backend, Encryption, KeyPair};
use artifact_store_object_store::ArtifactObjectStore;
use artifact_store_tests::guest;
use object_store::integration as asked;
use object_store::path::Path;
use tokio::runtime::Builder;

/// Puts layers around a backend.
type Layers<'a> = dyn Fn(Backend) -> Backend + 'a;

/// Runs `test` on a store of its own: on both kinds of runtimes, and below layers.
fn on_each<F: Future<Output = ()>>(test: impl Fn(Arc<ArtifactObjectStore>) -> F) {
    let pair = KeyPair::generate();
    let encryption = Encryption::from_identities(pair.identity()).unwrap();
    let prefix = Backend::from_file(guest("prefix")).map_grants(|it| it.env("PREFIX", "team/"));
    let plain = |backend: Backend| backend;
    let encrypted = |backend: Backend| backend.layer(encryption.clone());
    let within = |backend: Backend| encrypted(backend).layer(prefix.clone());
    let cases: [(bool, &Layers<'_>); 4] =
        [(false, &plain), (true, &plain), (true, &encrypted), (false, &within)];
    for (has_threads, layers) in cases {
        let mut runtime = match has_threads {
            true => Builder::new_multi_thread(),
            false => Builder::new_current_thread(),
        };
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = ArtifactStore::open(layers(Backend::fs(dir.path()))).await.unwrap();
            test(Arc::new(store.into())).await;
        });
    }
}

macro_rules! asks {
    ($($name:ident($($argument:expr),*);)*) => {
        $(#[test]
        fn $name() {
            on_each(async |store| asked::$name(&*store, $($argument),*).await);
        })*
    };
    (both $($name:ident;)*) => {
        $(#[test]
        fn $name() {
            on_each(async |store| asked::$name(&*store, &*store).await);
        })*
    };
}

all!(asks);

#[test]
fn get_nonexistent_object() {
    on_each(async |store| {
        for location in [None, Some(Path::from("a/b")), Some(Path::from("a"))] {
            let error = asked::get_nonexistent_object(&*store, location).await.unwrap_err();
            assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
        }
    });
}
