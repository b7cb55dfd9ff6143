//! The methods of descriptors that open or change something, for both generations of WASI. Methods
//! that only read an open descriptor are wasmtime's.

use rustix::fs::Timespec;

use super::errno::{Called, Code};

/// Links each of them into `$types` by `$link`. The types of arguments and results, and `time` and
/// `describe`, which convert, are those of the generation.
macro_rules! methods {
    ($link:ident, $types:ident) => {
        $link!($types, "create-directory-at", |table, (dir: Fd, path: String)| -> () {
            paths::create_directory(table, &dir, &path)
        });
        $link!($types, "remove-directory-at", |table, (dir: Fd, path: String)| -> () {
            paths::remove_directory(table, &dir, &path)
        });
        $link!($types, "unlink-file-at", |table, (dir: Fd, path: String)| -> () {
            paths::unlink_file(table, &dir, &path)
        });
        $link!($types, "rename-at", |table, (dir: Fd, old: String, to: Fd, new: String)| -> () {
            paths::rename(table, (&dir, &old), (&to, &new))
        });
        $link!(
            $types,
            "link-at",
            |table, (dir: Fd, follow: PathFlags, old: String, to: Fd, new: String)| -> () {
                let follow = follow.contains(PathFlags::SYMLINK_FOLLOW);
                paths::link(table, follow, (&dir, &old), (&to, &new))
            }
        );
        $link!($types, "symlink-at", |table, (dir: Fd, target: String, path: String)| -> () {
            paths::symlink(table, &dir, &target, &path)
        });
        $link!($types, "readlink-at", |table, (dir: Fd, path: String)| -> String {
            paths::read_link(table, &dir, &path)
        });
        $link!(
            $types,
            "stat-at",
            |table, (dir: Fd, follow: PathFlags, path: String)| -> DescriptorStat {
                let follow = follow.contains(PathFlags::SYMLINK_FOLLOW);
                Ok(describe(paths::stat(table, &dir, follow, &path)?))
            }
        );
        $link!(
            $types,
            "set-times",
            |table, (file: Fd, accessed: NewTimestamp, modified: NewTimestamp)| -> () {
                let (last_access, last_modification) = (time(accessed)?, time(modified)?);
                paths::set_times(table, &file, &Timestamps { last_access, last_modification })
            }
        );
        $link!(
            $types,
            "set-times-at",
            |table,
             (
                dir: Fd,
                follow: PathFlags,
                path: String,
                accessed: NewTimestamp,
                modified: NewTimestamp
            )|
             -> () {
                let follow = follow.contains(PathFlags::SYMLINK_FOLLOW);
                let (last_access, last_modification) = (time(accessed)?, time(modified)?);
                let times = Timestamps { last_access, last_modification };
                paths::set_times_at(table, &dir, follow, &path, &times)
            }
        );
        $link!($types, "set-size", |table, (file: Fd, size: u64)| -> () {
            write::set_size(table, &file, size)
        });
        $link!($types, "sync", |table, (file: Fd)| -> () { write::sync(table, &file, true) });
        $link!($types, "sync-data", |table, (file: Fd)| -> () {
            write::sync(table, &file, false)
        });
    };
}
pub(super) use methods;

/// The attributes of a file in the types of either generation, whose `time_of` converts a time.
/// `$other` is the type of files that WASI does not know.
macro_rules! describe {
    ($other:expr) => {
        pub(super) fn kind_of(kind: FileType) -> DescriptorType {
            match kind {
                FileType::RegularFile => DescriptorType::RegularFile,
                FileType::Directory => DescriptorType::Directory,
                FileType::Symlink => DescriptorType::SymbolicLink,
                FileType::BlockDevice => DescriptorType::BlockDevice,
                FileType::CharacterDevice => DescriptorType::CharacterDevice,
                FileType::Fifo => DescriptorType::Fifo,
                FileType::Socket => DescriptorType::Socket,
                FileType::Unknown => $other,
            }
        }

        fn describe(found: Found) -> DescriptorStat {
            DescriptorStat {
                type_: kind_of(found.kind),
                link_count: found.links,
                size: found.size,
                data_access_timestamp: time_of(found.accessed),
                data_modification_timestamp: time_of(found.modified),
                status_change_timestamp: time_of(found.changed),
            }
        }
    };
}
pub(super) use describe;

/// A time to set; `now` is taken from the clock of the storage.
pub(super) fn timespec(seconds: i64, nanoseconds: u32) -> Called<Timespec> {
    let seconds = seconds.checked_add(i64::from(nanoseconds / 1_000_000_000));
    Ok(Timespec {
        tv_sec: seconds.ok_or(Code::Overflow)?,
        tv_nsec: (nanoseconds % 1_000_000_000).into(),
    })
}
