//! `opendal` on a local directory, with its atomic writes.

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use futures::TryStreamExt;
use opendal::Operator;
use opendal::services::Fs;

use super::{PIECE, Subject, runtime};

pub fn open(dir: &Path) -> Box<dyn Subject> {
    let (root, temporaries) = (dir.join("root"), dir.join("tmp"));
    std::fs::create_dir_all(&root).expect("open");
    std::fs::create_dir_all(&temporaries).expect("open");
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let fs = Fs::default().root(&text(&root)).atomic_write_dir(&text(&temporaries));
    Box::new(Peer(Operator::new(fs).expect("open")))
}

struct Peer(Operator);

impl Subject for Peer {
    fn put(&self, key: &str, data: &Bytes) {
        runtime().block_on(self.0.write(key, data.clone())).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        runtime().block_on(self.0.read(key)).expect("get").len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        runtime().block_on(async {
            let mut writer = self.0.writer(key).await.expect("write");
            for at in (0..data.len()).step_by(PIECE) {
                let piece = data.slice(at..data.len().min(at + PIECE));
                writer.write(piece).await.expect("write");
            }
            writer.close().await.expect("write");
        });
    }

    fn read(&self, key: &str) -> usize {
        let read = async {
            let reader = self.0.reader_with(key).chunk(PIECE).await?;
            let stream = reader.into_stream(..).await?;
            stream.try_fold(0, |size, chunk| std::future::ready(Ok(size + chunk.len()))).await
        };
        runtime().block_on(read).expect("read")
    }

    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        let range = offset..offset + length as u64;
        let read = async { self.0.read_with(key).range(range).await };
        runtime().block_on(read).expect("range").len()
    }

    fn stat(&self, key: &str) {
        black_box(runtime().block_on(self.0.stat(key)).expect("stat"));
    }

    fn delete(&self, key: &str) {
        runtime().block_on(self.0.delete(key)).expect("delete");
    }

    fn list(&self) -> usize {
        let list = async {
            let lister = self.0.lister_with("").recursive(true).await?;
            lister
                .try_fold(0, |count, entry| {
                    std::future::ready(Ok(count + usize::from(entry.metadata().is_file())))
                })
                .await
        };
        runtime().block_on(list).expect("list")
    }
}
