//! The functions of `object_store::integration` on the backend `s3`, against a SeaweedFS.

#[macro_use]
mod functions;

use std::sync::Arc;

use artifact_store::{ArtifactStore, Sign};
use artifact_store_object_store::ArtifactObjectStore;
use artifact_store_tests::weed::{self, Weed};
use libtest_mimic::{Arguments, Trial};
use object_store::integration as asked;

fn main() {
    let arguments = Arguments::from_args();
    let is_missing = weed::binary().is_none();
    let weed = (!is_missing && !arguments.list).then(|| Arc::new(Weed::start()));
    let mut trials = Vec::new();
    macro_rules! asks {
        ($($name:ident($($argument:expr),*);)*) => {
            $(trials.push(trial(stringify!($name), weed.clone(), async |it: &ArtifactObjectStore| {
                asked::$name(it, $($argument),*).await;
            }));)*
        };
        (both $($name:ident;)*) => {
            $(trials.push(trial(stringify!($name), weed.clone(), async |it: &ArtifactObjectStore| {
                asked::$name(it, it).await;
            }));)*
        };
    }
    all!(asks);
    trials.push(trial("get_nonexistent_object", weed.clone(), async |it| {
        let error = asked::get_nonexistent_object(it, None).await.unwrap_err();
        assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
    }));
    // The last test that ends, ends the server.
    drop(weed);
    libtest_mimic::run(&arguments, trials).exit();
}

/// `test` on a store of its own; ignored where there is no service.
fn trial(
    name: &'static str,
    weed: Option<Arc<Weed>>,
    test: impl AsyncFnOnce(&ArtifactObjectStore) + Send + 'static,
) -> Trial {
    let is_ignored = weed.is_none();
    let run = move || {
        let Some(weed) = weed else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let backend = weed.backend(&format!("object_store/{name}/"), Sign::Host);
            let store = ArtifactStore::open(backend).await?;
            test(&store.into()).await;
            Ok(())
        })
    };
    Trial::test(name, run).with_ignored_flag(is_ignored)
}
