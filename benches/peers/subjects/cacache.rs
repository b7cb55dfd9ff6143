//! `cacache`: content-addressed, with SHA-256; its blocking API, which is the faster one.

use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{PIECE, Subject};

pub fn open(dir: &Path) -> Box<dyn Subject> {
    Box::new(Peer(dir.into()))
}

struct Peer(PathBuf);

impl Subject for Peer {
    fn put(&self, key: &str, data: &Bytes) {
        cacache::write_sync(&self.0, key, data).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        cacache::read_sync(&self.0, key).expect("get").len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        let mut writer = cacache::SyncWriter::create(&self.0, key).expect("write");
        for piece in data.chunks(PIECE) {
            writer.write_all(piece).expect("write");
        }
        writer.commit().expect("write");
    }

    fn read(&self, key: &str) -> usize {
        let mut reader = cacache::SyncReader::open(&self.0, key).expect("read");
        let (mut buffer, mut size) = (vec![0; PIECE], 0);
        loop {
            match reader.read(&mut buffer).expect("read") {
                0 => break,
                read => size += read,
            }
        }
        reader.check().expect("read");
        size
    }

    /// It has none: what comes before is read, too, and nothing is checked.
    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        let mut reader = cacache::SyncReader::open(&self.0, key).expect("range");
        std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink()).expect("range");
        let mut data = vec![0; length];
        reader.read_exact(&mut data).expect("range");
        data.len()
    }

    fn stat(&self, key: &str) {
        black_box(cacache::metadata_sync(&self.0, key).expect("stat").expect("it is there"));
    }

    fn delete(&self, key: &str) {
        cacache::remove_sync(&self.0, key).expect("delete");
    }

    fn list(&self) -> usize {
        cacache::list_sync(&self.0).inspect(|entry| assert!(entry.is_ok())).count()
    }
}
