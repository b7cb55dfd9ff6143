//! The built-in backend's protocol, hand-written on `std::fs` with no sandbox: the same header,
//! checksum, temporary, sync and rename. What it costs more than this is the price of the sandbox.

use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

use super::{PIECE, Subject};

/// Bytes of a header beside its key.
const FIXED: usize = 56;

pub fn open(dir: &Path, durable: bool) -> Box<dyn Subject> {
    fs::create_dir_all(dir.join("tmp")).expect("open");
    Box::new(Native { dir: dir.into(), durable, next: AtomicU64::new(0) })
}

struct Native {
    dir: PathBuf,
    durable: bool,
    next: AtomicU64,
}

fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

fn header(key: &str, size: u64, checksum: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED + key.len());
    bytes.extend(*b"\x89ART\r\n\x1a\n");
    bytes.extend(1u16.to_le_bytes());
    bytes.extend((key.len() as u16).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(checksum.to_le_bytes());
    // The generation, which nobody asks for here.
    bytes.extend([0; 16]);
    bytes.extend(key.as_bytes());
    bytes.extend(self::checksum(&bytes).to_le_bytes());
    bytes
}

/// An artifact whose header is right.
struct Opened {
    file: File,
    start: u64,
    size: u64,
    checksum: u64,
}

impl Native {
    fn path(&self, key: &str) -> PathBuf {
        let mut segments: Vec<_> = key.split('/').collect();
        let file = segments.pop().expect("a segment");
        let mut path = self.dir.clone();
        path.extend(segments.iter().map(|segment| format!(",{segment}")));
        path.join(format!("_{file}"))
    }

    fn open(&self, key: &str) -> Opened {
        let file = File::open(self.path(key)).expect("open");
        let length = file.metadata().expect("stat").len();
        let mut bytes = vec![0; FIXED + key.len()];
        file.read_exact_at(&mut bytes, 0).expect("header");
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        let (size, checksum) = (number(16), number(24));
        assert_eq!(bytes, header(key, size, checksum));
        assert_eq!(length, bytes.len() as u64 + size);
        Opened { file, start: bytes.len() as u64, size, checksum }
    }

    /// Stores what `fill` writes at an offset; it returns size and checksum.
    fn store(&self, key: &str, fill: impl FnOnce(&File, u64) -> io::Result<(u64, u64)>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join("tmp").join(format!("{number:032x}"));
        let place = self.path(key);
        let publish = || {
            let file = File::create_new(&temporary)?;
            let (size, checksum) = fill(&file, (FIXED + key.len()) as u64)?;
            file.write_all_at(&header(key, size, checksum), 0)?;
            assert_eq!(file.metadata()?.len(), (FIXED + key.len()) as u64 + size);
            if self.durable {
                file.sync_all()?;
            }
            let dir = place.parent().expect("a directory");
            if let Err(error) = fs::rename(&temporary, &place) {
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(error);
                }
                fs::create_dir_all(dir)?;
                let above = dir.ancestors().skip(1).take_while(|dir| dir.starts_with(&self.dir));
                for dir in above.filter(|_| self.durable) {
                    File::open(dir)?.sync_all()?;
                }
                fs::rename(&temporary, &place)?;
            }
            if self.durable {
                File::open(dir)?.sync_all()?;
            }
            Ok(())
        };
        publish().expect("put");
    }
}

impl Subject for Native {
    fn put(&self, key: &str, data: &Bytes) {
        self.write(key, data);
    }

    fn get(&self, key: &str) -> usize {
        let opened = self.open(key);
        let mut data = Vec::with_capacity(opened.size as usize);
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        while (data.len() as u64) < opened.size {
            let before = data.len();
            let room = (opened.size as usize - before).min(PIECE);
            let at = opened.start + before as u64;
            let spare = &mut data.spare_capacity_mut()[..room];
            let read = rustix::io::pread(&opened.file, spare, at).expect("get").0.len();
            assert!(read > 0);
            // SAFETY: the system has filled that many bytes.
            unsafe { data.set_len(before + read) };
            digest.update(&data[before..]);
        }
        assert_eq!(digest.finalize(), opened.checksum);
        data.len()
    }

    fn write(&self, key: &str, data: &Bytes) {
        self.store(key, |file, start| {
            let (mut digest, mut at) = (Digest::new(CrcAlgorithm::Crc64Nvme), start);
            for piece in data.chunks(PIECE) {
                digest.update(piece);
                file.write_all_at(piece, at)?;
                at += piece.len() as u64;
            }
            Ok((at - start, digest.finalize()))
        });
    }

    fn read(&self, key: &str) -> usize {
        let opened = self.open(key);
        let (mut buffer, mut at) = (vec![0; PIECE], 0);
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        while at < opened.size {
            let read = opened.file.read_at(&mut buffer, opened.start + at).expect("read");
            assert!(read > 0);
            digest.update(&buffer[..read]);
            at += read as u64;
        }
        assert_eq!(digest.finalize(), opened.checksum);
        at as usize
    }

    fn range(&self, key: &str, offset: u64, length: usize) -> usize {
        let opened = self.open(key);
        let mut data = vec![0; length];
        opened.file.read_exact_at(&mut data, opened.start + offset).expect("range");
        data.len()
    }

    fn stat(&self, key: &str) {
        black_box(self.open(key).size);
    }

    fn delete(&self, key: &str) {
        let place = self.path(key);
        fs::remove_file(&place).expect("delete");
        if self.durable {
            File::open(place.parent().expect("a directory"))
                .and_then(|d| d.sync_all())
                .expect("sync");
        }
    }

    /// The names spell out the keys, and the sizes come from the system.
    fn list(&self) -> usize {
        let (mut count, mut left) = (0, vec![(self.dir.clone(), String::new())]);
        while let Some((dir, base)) = left.pop() {
            let entries = fs::read_dir(&dir).expect("list");
            let mut names: Vec<_> = entries.map(|entry| entry.expect("list")).collect();
            names.sort_unstable_by_key(|entry| entry.file_name());
            for entry in names {
                let name = entry.file_name().into_string().expect("a name");
                if let Some(segment) = name.strip_prefix(',') {
                    left.push((entry.path(), format!("{base}{segment}/")));
                } else if let Some(rest) = name.strip_prefix('_') {
                    let size = entry.metadata().expect("list").len();
                    assert!(size >= (FIXED + base.len() + rest.len()) as u64);
                    count += 1;
                }
            }
        }
        count
    }
}
