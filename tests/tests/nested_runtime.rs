//! Both APIs work wherever they are called from.

use artifact_store::{ArtifactStore, ReadOptions, WriteOptions, blocking};
use std::io::Read;

fn use_blocking(dir: &std::path::Path) {
    let store = blocking::ArtifactStore::open_dir(dir).unwrap();
    store.write("k", &[1; 1_000_000][..], WriteOptions::default()).unwrap();
    let mut data = Vec::new();
    store.read("k", ReadOptions::default()).unwrap().read_to_end(&mut data).unwrap();
    assert_eq!(data.len(), store.get("k").unwrap().len());
    store.delete("k").unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn the_blocking_api_works_inside_a_current_thread_runtime() {
    let dir = tempfile::tempdir().unwrap();
    use_blocking(dir.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_blocking_api_works_inside_a_multi_thread_runtime() {
    let dir = tempfile::tempdir().unwrap();
    use_blocking(dir.path());
}

#[tokio::test(flavor = "current_thread")]
async fn many_async_calls_share_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).await.unwrap();
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = format!("k{n}");
                store.put(&key, key.clone()).await.unwrap();
                assert_eq!(store.get(&key).await.unwrap(), key);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let mut listing = store.list("k");
    let mut count = 0;
    while listing.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 200);
}

#[tokio::test(flavor = "current_thread")]
async fn a_dropped_call_leaves_the_store_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).await.unwrap();
    store.put("k", "old").await.unwrap();
    for n in 0..50 {
        let put = store.put("k", "new");
        let limit = std::time::Duration::from_micros(n * 20);
        let _ = tokio::time::timeout(limit, put).await;
        let data = store.get("k").await.unwrap();
        assert!(data == "old" || data == "new");
    }
}
