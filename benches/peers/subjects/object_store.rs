//! `object_store` on a local directory, and on a bucket.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{PIECE, Subject, bucket, runtime, tasks};

pub fn open(dir: &Path, durable: bool) -> Box<dyn Subject> {
    let store = LocalFileSystem::new_with_prefix(dir).expect("open");
    Box::new(Peer(Arc::new(store.with_fsync(durable))))
}

/// As its builder has it by default: each put is signed with the SHA-256 of its bytes.
pub fn open_bucket(dir: &Path) -> Box<dyn Subject> {
    client(&bucket::endpoint(), bucket::BUCKET, &bucket::prefix(dir))
}

/// The same for the bucket of any server.
pub fn client(endpoint: &str, bucket: &str, prefix: &str) -> Box<dyn Subject> {
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(bucket::KEY)
        .with_secret_access_key(bucket::SECRET)
        .with_bucket_name(bucket);
    let store = builder.build().expect("open");
    Box::new(Peer(Arc::new(PrefixStore::new(store, prefix))))
}

struct Peer<S>(Arc<S>);

impl<S: ObjectStore> Subject for Peer<S> {
    fn put(&self, key: &str, data: &Bytes) {
        runtime().block_on(self.0.put(&Key::from(key), data.clone().into())).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        let got = async { self.0.get(&Key::from(key)).await?.bytes().await };
        runtime().block_on(got).expect("get").len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        runtime().block_on(async {
            let mut upload = self.0.put_multipart(&Key::from(key)).await.expect("write");
            for at in (0..data.len()).step_by(PIECE) {
                let piece = data.slice(at..data.len().min(at + PIECE));
                upload.put_part(piece.into()).await.expect("write");
            }
            upload.complete().await.expect("write");
        });
    }

    fn read(&self, key: &str) -> usize {
        let read = async {
            let stream = self.0.get(&Key::from(key)).await?.into_stream();
            stream.try_fold(0, |size, chunk| std::future::ready(Ok(size + chunk.len()))).await
        };
        runtime().block_on(read).expect("read")
    }

    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        let range = offset..offset + length as u64;
        runtime().block_on(self.0.get_range(&Key::from(key), range)).expect("range").len()
    }

    fn stat(&self, key: &str) {
        black_box(runtime().block_on(self.0.head(&Key::from(key))).expect("stat"));
    }

    fn delete(&self, key: &str) {
        runtime().block_on(self.0.delete(&Key::from(key))).expect("delete");
    }

    /// A hard link, where the two lie on one filesystem.
    fn copy(&self, source: &str, target: &str) {
        runtime().block_on(self.0.copy(&Key::from(source), &Key::from(target))).expect("copy");
    }

    fn together(&self, keys: Vec<String>) -> usize {
        let get = |key: String| {
            let store = Arc::clone(&self.0);
            async move { store.get(&Key::from(key)).await?.bytes().await.map(|data| data.len()) }
        };
        tasks(keys.into_iter().map(get)).into_iter().map(|size| size.expect("get")).sum()
    }

    fn list(&self) -> usize {
        let list = self.0.list(None).try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
        runtime().block_on(list).expect("list")
    }

    fn level(&self, folder: &str) -> usize {
        let folder = Key::from(folder);
        let found = self.0.list_with_delimiter(Some(&folder));
        let found = runtime().block_on(found).expect("list");
        found.objects.len() + found.common_prefixes.len()
    }

    fn after(&self, folder: &str, key: &str) -> usize {
        let list = self.0.list_with_offset(Some(&Key::from(folder)), &Key::from(key));
        let list = list.try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
        runtime().block_on(list).expect("list")
    }

    /// Of a directory it reads and sorts nothing by itself: these are any hundred.
    fn page(&self, folder: &str, key: &str, limit: usize) -> usize {
        let list = self.0.list_with_offset(Some(&Key::from(folder)), &Key::from(key));
        let list = list.take(limit).try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
        runtime().block_on(list).expect("list")
    }
}
