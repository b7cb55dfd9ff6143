//! Resolving a path below a granted directory, without leaving that directory and without waiting:
//! opening succeeds or fails at once, also for a pipe without another end.
//!
//! On Linux one system call does this, `openat2`. Where it is missing (another system, an old
//! kernel, a filter of system calls) the host goes from name to name.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat, readlinkat};

use super::Links;
use super::errno::{Called, Code};

/// The most links on one path, as on Linux.
const LINKS: usize = 40;

/// The longest path, as on Linux.
const LENGTH: usize = 4096;

/// The most directories that are open at once while going from name to name.
const DEPTH: usize = 128;

/// Opens `path` below `dir` without waiting. If the last name is a link it is followed, unless the
/// flags say otherwise.
pub(super) fn open(dir: &File, path: &str, flags: OFlags, links: Links) -> Called<OwnedFd> {
    let flags = without_waiting(flags);
    #[cfg(target_os = "linux")]
    if let Some(opened) = linux::open(dir, path, flags, links) {
        return opened;
    }
    walk(dir, path, flags, links)
}

/// Opens what is cached; `None` if the disk is needed, or if that is unknown.
#[cfg(target_os = "linux")]
pub(super) fn open_cached(dir: &File, path: &str, flags: OFlags) -> Option<Called<OwnedFd>> {
    linux::open_cached(dir, path, without_waiting(flags))
}

fn without_waiting(flags: OFlags) -> OFlags {
    match !path_only().is_empty() && flags.contains(path_only()) {
        // Opening a path only never waits, and the system takes no such flags with it.
        true => flags | OFlags::CLOEXEC,
        false => flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK,
    }
}

/// Like [`open`], name by name. The system gets one name at a time and follows no link: if a name
/// is a link, the names of its target replace it. `..` goes back through the directories that were
/// opened on the way, whatever is moved meanwhile, and not above the first.
fn walk(start: &File, path: &str, flags: OFlags, links: Links) -> Called<OwnedFd> {
    let on_the_way = without_waiting(OFlags::DIRECTORY | OFlags::NOFOLLOW | path_only());
    let (at_the_end, mode) = (flags | OFlags::NOFOLLOW, mode(flags));
    let follow = !flags.intersects(OFlags::NOFOLLOW | OFlags::EXCL);
    let mut links_left = if links == Links::Never { 0 } else { LINKS };
    let mut dirs: Vec<OwnedFd> = Vec::new();
    // The next name is at the end.
    let mut names = split(path.as_bytes())?;
    while let Some(name) = names.pop() {
        let is_last = names.is_empty();
        match &*name {
            b"" | b"." => {}
            b".." => drop(dirs.pop().ok_or(Code::NotPermitted)?),
            name => {
                let dir = dirs.last().map_or(start.as_fd(), AsFd::as_fd);
                if (follow || !is_last)
                    && let Ok(target) = readlinkat(dir, name, Vec::new())
                {
                    links_left = usize::checked_sub(links_left, 1).ok_or(Code::Loop)?;
                    names.extend(split(target.as_bytes())?);
                    continue;
                }
                if is_last {
                    return Ok(openat(dir, name, at_the_end, mode)?);
                }
                if dirs.len() == DEPTH {
                    return Err(Code::NameTooLong.into());
                }
                dirs.push(openat(dir, name, on_the_way, Mode::empty())?);
            }
        }
        if is_last {
            let dir = dirs.last().map_or(start.as_fd(), AsFd::as_fd);
            return Ok(openat(dir, ".", at_the_end, mode)?);
        }
    }
    Err(Code::NoEntry.into())
}

/// The names of a path, the first one at the end.
fn split(path: &[u8]) -> Called<Vec<Vec<u8>>> {
    match path {
        [b'/', ..] => Err(Code::NotPermitted.into()),
        [] => Err(Code::NoEntry.into()),
        _ if path.len() > LENGTH => Err(Code::NameTooLong.into()),
        _ => Ok(path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()),
    }
}

fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o666) } else { Mode::empty() }
}

/// The flag that opens a name without touching the file, if the system has one.
pub(super) fn path_only() -> OFlags {
    #[cfg(target_os = "linux")]
    return OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    OFlags::empty()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    use super::super::errno::{Called, Code, Refusal};
    use super::{Links, mode};

    /// How often a path is retried that another process is changing.
    const ATTEMPTS: usize = 4;

    /// Whether this process has no `openat2`.
    static IS_MISSING: AtomicBool = AtomicBool::new(false);

    /// `None` if the system call is missing, or if the path keeps changing.
    pub(super) fn open(
        dir: &File,
        path: &str,
        flags: OFlags,
        links: Links,
    ) -> Option<Called<OwnedFd>> {
        let resolve = match links {
            Links::Within => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            Links::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        };
        if IS_MISSING.load(Ordering::Relaxed) {
            return None;
        }
        for _ in 0..ATTEMPTS {
            match openat2(dir, path, flags, mode(flags), resolve) {
                Ok(opened) => return Some(Ok(opened)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) if is_missing(errno, dir) => return None,
                Err(errno) => return Some(Err(failure(errno))),
            }
        }
        None
    }

    pub(super) fn open_cached(dir: &File, path: &str, flags: OFlags) -> Option<Called<OwnedFd>> {
        // Another filesystem may be one that waits.
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::CACHED
            | ResolveFlags::NO_XDEV;
        if IS_MISSING.load(Ordering::Relaxed) {
            return None;
        }
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Ok(opened) => Some(Ok(opened)),
            Err(Errno::NOENT) => Some(Err(Errno::NOENT.into())),
            Err(_) => None,
        }
    }

    fn failure(errno: Errno) -> Refusal {
        match errno {
            // The path leads out of the directory.
            Errno::XDEV => Code::NotPermitted.into(),
            errno => errno.into(),
        }
    }

    /// Whether the system call is missing: then it refuses even the simplest request. This does not
    /// change during the life of a process.
    fn is_missing(errno: Errno, dir: &File) -> bool {
        let is_refusal =
            |errno| matches!(errno, Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL);
        if !is_refusal(errno) {
            return false;
        }
        let simplest = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tried = openat2(dir, ".", simplest, Mode::empty(), ResolveFlags::BENEATH);
        let is_missing = tried.is_err_and(is_refusal);
        if is_missing {
            IS_MISSING.store(true, Ordering::Relaxed);
        }
        is_missing
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::errno::Refusal;
    use super::*;

    /// The contents of the file at a path, or the code of its refusal.
    fn read(
        open: impl FnOnce(&File, &str, OFlags, Links) -> Called<OwnedFd>,
        dir: &File,
        path: &str,
        flags: OFlags,
        links: Links,
    ) -> Result<String, Code> {
        let opened = open(dir, path, flags, links).map_err(|failure| match failure {
            Refusal::Refused(code) => code,
            Refusal::System(error) => Code::of(&error),
            Refusal::Trap(trap) => panic!("{trap}"),
        })?;
        let mut text = String::new();
        match File::from(opened).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(Code::of(&error)),
        }
    }

    /// Both ways give the same result.
    #[test]
    fn going_from_name_to_name_is_as_good_as_the_systems_own_way() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("in/dir/deep")).unwrap();
        std::fs::write(at("in/file"), "file").unwrap();
        std::fs::write(at("in/dir/file"), "in dir").unwrap();
        std::fs::write(at("secret"), "secret").unwrap();
        for (name, target) in [
            ("in/to-file", "dir/file"),
            ("in/to-dir", "dir"),
            ("in/to-dir-slash", "dir/"),
            ("in/dir/up", ".."),
            ("in/dir/to-file", "../file"),
            ("in/out", "../secret"),
            ("in/up-and-out", "dir/up/../secret"),
            ("in/absolute", "/etc/hostname"),
            ("in/loop", "loop"),
            ("in/nowhere", "absent"),
            ("in/dir/deep/far", "../../to-dir/up/to-file"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        let dir = File::open(at("in")).unwrap();
        let names = [
            "file",
            "dir",
            "to-file",
            "to-dir",
            "to-dir-slash",
            "up",
            "deep",
            "far",
            "out",
            "..",
            ".",
            "",
            "up-and-out",
            "absolute",
            "loop",
            "nowhere",
            "absent",
        ];
        let mut paths: Vec<String> = names.map(String::from).into();
        for first in names {
            for second in names {
                paths.push(format!("{first}/{second}"));
                for third in ["file", "..", "to-file", "far", ""] {
                    paths.push(format!("{first}/{second}/{third}"));
                }
            }
        }
        let mut found = 0;
        for path in &paths {
            for flags in [OFlags::RDONLY, OFlags::NOFOLLOW, OFlags::DIRECTORY, OFlags::RDWR] {
                let walked = read(walk, &dir, path, flags, Links::Within);
                assert!(!matches!(&walked, Ok(text) if text == "secret"), "{path}");
                found += usize::from(walked.is_ok());
                #[cfg(target_os = "linux")]
                {
                    let own = |dir: &File, path: &str, flags, links| {
                        linux::open(dir, path, flags, links).expect("this system has the call")
                    };
                    let opened = read(own, &dir, path, flags, Links::Within);
                    assert_eq!(walked, opened, "{path} {flags:?}");
                    let walked = read(walk, &dir, path, flags, Links::Never);
                    let opened = read(own, &dir, path, flags, Links::Never);
                    assert_eq!(walked.is_ok(), opened.is_ok(), "{path} {flags:?}");
                }
            }
        }
        assert!(found > 100, "{found}");
    }

    #[test]
    fn a_file_is_made_where_there_is_none_and_not_beyond_a_link_that_must_not_be_there() {
        let root = tempfile::tempdir().unwrap();
        let dir = File::open(root.path()).unwrap();
        std::os::unix::fs::symlink("made", root.path().join("link")).unwrap();
        let flags = OFlags::RDWR | OFlags::CREATE;
        let exclusive = flags | OFlags::EXCL;
        assert_eq!(read(walk, &dir, "link", exclusive, Links::Within), Err(Code::Exist));
        assert!(!root.path().join("made").exists());
        assert_eq!(read(walk, &dir, "link", flags, Links::Within), Ok(String::new()));
        assert!(root.path().join("made").exists());
        assert_eq!(read(walk, &dir, "new", exclusive, Links::Within), Ok(String::new()));
        assert_eq!(read(walk, &dir, "../new", flags, Links::Within), Err(Code::NotPermitted));
        let deep = "dir/".repeat(DEPTH + 2);
        std::fs::create_dir_all(root.path().join(&deep)).unwrap();
        assert_eq!(read(walk, &dir, &deep, OFlags::RDONLY, Links::Within), Err(Code::NameTooLong));
    }
}
