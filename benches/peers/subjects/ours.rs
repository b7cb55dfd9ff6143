//! This project, with its built-in backends: both of its APIs.

use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use artifact_store::{
    ArtifactStore, Backend, Grants, ListOptions, ListPage, ReadOptions, WriteOptions, blocking,
};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::{PIECE, Subject, bucket, runtime, tasks};

pub fn backend(dir: &Path, durable: bool) -> Backend {
    let mode = if durable { "on" } else { "off" };
    let grants = Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", mode);
    Backend::fs(dir).grants(grants)
}

pub fn blocking(dir: &Path, durable: bool) -> Box<dyn Subject> {
    Box::new(Blocking(blocking::ArtifactStore::open(backend(dir, durable)).expect("open")))
}

pub fn asynchronous(dir: &Path, durable: bool) -> Box<dyn Subject> {
    let opening = ArtifactStore::open(backend(dir, durable));
    Box::new(Async(runtime().block_on(opening).expect("open")))
}

pub fn blocking_bucket(dir: &Path) -> Box<dyn Subject> {
    Box::new(Blocking(blocking::ArtifactStore::open(bucket::backend(dir)).expect("open")))
}

pub fn asynchronous_bucket(dir: &Path) -> Box<dyn Subject> {
    let opening = ArtifactStore::open(bucket::backend(dir));
    Box::new(Async(runtime().block_on(opening).expect("open")))
}

fn level() -> ListOptions {
    ListOptions::default().delimiter("/".to_owned())
}

fn after(key: &str) -> ListOptions {
    ListOptions::default().start_after(key.to_owned())
}

fn first(key: &str, limit: usize) -> ListOptions {
    after(key).limit(limit)
}

fn count(page: &ListPage) -> usize {
    assert_eq!(page.next, None);
    page.entries.len() + page.prefixes.len()
}

pub struct Blocking(pub blocking::ArtifactStore);

impl Subject for Blocking {
    fn put(&self, key: &str, data: &Bytes) {
        self.0.put(key, data.clone()).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        self.0.get(key).expect("get").len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        let mut writer = self.0.writer(key, WriteOptions::default()).expect("writer");
        for piece in data.chunks(PIECE) {
            writer.write_all(piece).expect("write");
        }
        writer.commit().expect("commit");
    }

    fn read(&self, key: &str) -> usize {
        let mut reader = self.0.read(key, ReadOptions::default()).expect("read");
        let mut size = 0;
        while let Some(chunk) = reader.next_chunk().expect("read") {
            size += chunk.len();
        }
        size
    }

    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        let options = ReadOptions::default().offset(offset).length(length as u64);
        let mut data = Vec::with_capacity(length);
        self.0.read(key, options).expect("range").read_to_end(&mut data).expect("range")
    }

    fn stat(&self, key: &str) {
        black_box(self.0.stat(key).expect("stat"));
    }

    fn delete(&self, key: &str) {
        self.0.delete(key).expect("delete");
    }

    fn copy(&self, source: &str, target: &str) {
        self.0.copy(source, target).expect("copy");
    }

    fn list(&self) -> usize {
        self.0.list("").inspect(|entry| assert!(entry.is_ok())).count()
    }

    fn level(&self, folder: &str) -> usize {
        count(&self.0.list_page(folder, level()).expect("list"))
    }

    fn after(&self, folder: &str, key: &str) -> usize {
        count(&self.0.list_page(folder, after(key)).expect("list"))
    }

    fn page(&self, folder: &str, key: &str, limit: usize) -> usize {
        self.0.list_page(folder, first(key, limit)).expect("list").entries.len()
    }
}

struct Async(ArtifactStore);

impl Subject for Async {
    fn put(&self, key: &str, data: &Bytes) {
        runtime().block_on(self.0.put(key, data.clone())).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        runtime().block_on(self.0.get(key)).expect("get").len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        runtime().block_on(async {
            let mut writer = self.0.writer(key, WriteOptions::default()).expect("writer");
            for piece in data.chunks(PIECE) {
                writer.write_all(piece).await.expect("write");
            }
            writer.commit().await.expect("commit");
        });
    }

    fn read(&self, key: &str) -> usize {
        runtime().block_on(async {
            let mut reader = self.0.read(key, ReadOptions::default()).await.expect("read");
            let mut size = 0;
            while let Some(chunk) = reader.next_chunk().await.expect("read") {
                size += chunk.len();
            }
            size
        })
    }

    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        runtime().block_on(async {
            let options = ReadOptions::default().offset(offset).length(length as u64);
            let mut reader = self.0.read(key, options).await.expect("range");
            let mut size = 0;
            while let Some(chunk) = reader.next_chunk().await.expect("range") {
                size += chunk.len();
            }
            size
        })
    }

    fn stat(&self, key: &str) {
        black_box(runtime().block_on(self.0.stat(key)).expect("stat"));
    }

    fn delete(&self, key: &str) {
        runtime().block_on(self.0.delete(key)).expect("delete");
    }

    fn copy(&self, source: &str, target: &str) {
        runtime().block_on(self.0.copy(source, target)).expect("copy");
    }

    fn together(&self, keys: Vec<String>) -> usize {
        let get = |key: String| {
            let store = self.0.clone();
            async move { store.get(&key).await.expect("get").len() }
        };
        tasks(keys.into_iter().map(get)).into_iter().sum()
    }

    fn list(&self) -> usize {
        runtime().block_on(async {
            let (mut listing, mut count) = (self.0.list(""), 0);
            while listing.next().await.expect("list").is_some() {
                count += 1;
            }
            count
        })
    }

    fn level(&self, folder: &str) -> usize {
        count(&runtime().block_on(self.0.list_page(folder, level())).expect("list"))
    }

    fn after(&self, folder: &str, key: &str) -> usize {
        count(&runtime().block_on(self.0.list_page(folder, after(key))).expect("list"))
    }

    fn page(&self, folder: &str, key: &str, limit: usize) -> usize {
        let page = self.0.list_page(folder, first(key, limit));
        runtime().block_on(page).expect("list").entries.len()
    }
}
