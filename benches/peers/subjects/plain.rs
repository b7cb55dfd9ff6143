//! `std::fs` with nothing around it: no checksum, and a put that a crash or a reader sees half.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{PIECE, Subject};

pub fn open(dir: &Path) -> Box<dyn Subject> {
    std::fs::create_dir_all(dir.join("bench")).expect("open");
    Box::new(Plain(dir.into()))
}

struct Plain(PathBuf);

impl Subject for Plain {
    fn put(&self, key: &str, data: &Bytes) {
        fs::write(self.0.join(key), data).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        fs::read(self.0.join(key)).expect("get").len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        let mut file = File::create(self.0.join(key)).expect("write");
        for piece in data.chunks(PIECE) {
            file.write_all(piece).expect("write");
        }
    }

    fn read(&self, key: &str) -> usize {
        let mut file = File::open(self.0.join(key)).expect("read");
        let (mut buffer, mut size) = (vec![0; PIECE], 0);
        loop {
            match file.read(&mut buffer).expect("read") {
                0 => return size,
                read => size += read,
            }
        }
    }

    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        let mut data = vec![0; length];
        let file = File::open(self.0.join(key)).expect("range");
        file.read_exact_at(&mut data, offset).expect("range");
        data.len()
    }

    fn stat(&self, key: &str) {
        black_box(fs::metadata(self.0.join(key)).expect("stat"));
    }

    fn delete(&self, key: &str) {
        fs::remove_file(self.0.join(key)).expect("delete");
    }

    fn copy(&self, source: &str, target: &str) {
        fs::copy(self.0.join(source), self.0.join(target)).expect("copy");
    }

    fn list(&self) -> usize {
        let entries = fs::read_dir(self.0.join("bench")).expect("list");
        let listed = entries.map(|entry| entry.and_then(|entry| entry.metadata()).expect("list"));
        listed.map(black_box).fold(0, |count, _| count + 1)
    }
}
