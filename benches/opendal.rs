//! OpenDAL on an artifact store, through the crate `object_store_opendal`: what is written for the
//! one or the other runs on any backend.

use std::sync::Arc;

use artifact_store::ArtifactStore;
use artifact_store_object_store::ArtifactObjectStore;
use futures::TryStreamExt;
use object_store_opendal::ObjectStoreBuilder;
use opendal::{ErrorKind, Operator};

#[tokio::test(flavor = "multi_thread")]
async fn opendal_runs_on_an_artifact_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).await.unwrap();
    let objects = Arc::new(ArtifactObjectStore::new(store.clone()));
    let operator = Operator::new(ObjectStoreBuilder::new(objects)).unwrap();

    operator.write("builds/app", "0123456789").await.unwrap();
    assert_eq!(store.get("builds/app").await.unwrap(), "0123456789");
    assert_eq!(operator.read("builds/app").await.unwrap().to_vec(), b"0123456789");
    assert_eq!(operator.read_with("builds/app").range(3..5).await.unwrap().to_vec(), b"34");
    assert_eq!(operator.stat("builds/app").await.unwrap().content_length(), 10);

    // In parts.
    let mut writer = operator.writer("large").await.unwrap();
    for part in 0..3 {
        writer.write(vec![part; 6 << 20]).await.unwrap();
    }
    writer.close().await.unwrap();
    let large = store.get("large").await.unwrap();
    assert_eq!((large.len(), large[0], large[large.len() - 1]), (18 << 20, 0, 2));

    let lister = operator.lister_with("").recursive(true).await.unwrap();
    let all: Vec<_> = lister.try_collect().await.unwrap();
    let mut files: Vec<_> = all.iter().map(|entry| entry.path()).collect();
    files.retain(|path| !path.ends_with('/'));
    files.sort_unstable();
    assert_eq!(files, ["builds/app", "large"]);

    operator.delete("builds/app").await.unwrap();
    let absent = operator.read("builds/app").await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}
