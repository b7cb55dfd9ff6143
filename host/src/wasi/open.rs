//! Opening: a backend opens files and directories, and nothing else. To open a pipe waits for its
//! other end, a device does as it likes, and no clock ends a thread that is in the system.
//!
//! What is opened to be read takes one system call that waits for nobody and stays within the
//! granted directory, and one that tells what was opened ([`to_read`]). Else the name is looked at
//! before wasmtime opens it.

use std::future::poll_fn;

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::{WasiView, p2, p3};

use super::HostState;
use super::linker::{P2, P3};
use crate::telemetry;

const OPEN_AT: &str = "[method]descriptor.open-at";

/// How symbolic links on a path are taken.
#[derive(Clone, Copy)]
pub(crate) enum Links {
    /// As WASI has it: followed within the granted directory.
    Within,
    /// None is followed, not even one that stays within.
    Never,
}

impl Links {
    /// Whether wasmtime's own way, which follows links to directories, is out of the question.
    fn forbid(self, path: &str) -> bool {
        matches!(self, Self::Never) && path.contains('/')
    }
}

/// Replaces wasmtime's way to open, in both generations of WASI.
pub(super) fn link(linker: &mut Linker<HostState>, links: Links) -> Result<()> {
    link_p2(linker, links)?;
    link_p3(linker, links)
}

fn link_p3(linker: &mut Linker<HostState>, links: Links) -> Result<()> {
    use p3::bindings::filesystem::types::{
        DescriptorFlags, DescriptorType as Type, ErrorCode, HostDescriptorWithStore, OpenFlags,
        PathFlags,
    };
    type Arguments = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
    let is_special =
        |kind| !matches!(kind, Type::RegularFile | Type::Directory | Type::SymbolicLink);
    linker.instance(P3)?.func_wrap_concurrent(
        OPEN_AT,
        move |accessor: &Accessor<HostState>, (dir, follow, path, how, flags): Arguments| {
            Box::pin(async move {
                telemetry::opens(&path);
                if how & !OpenFlags::DIRECTORY == OpenFlags::empty()
                    && flags & !DescriptorFlags::MUTATE_DIRECTORY == DescriptorFlags::READ
                {
                    let follow = follow.contains(PathFlags::SYMLINK_FOLLOW);
                    let is_dir = how.contains(OpenFlags::DIRECTORY);
                    let asked = Asked { path: &path, follow, is_dir, links };
                    match to_read_inline(accessor, &dir, asked).await? {
                        Opened::As(opened) => return Ok((Ok(opened),)),
                        Opened::Nothing => return Ok((Err(ErrorCode::NoEntry),)),
                        Opened::Unknown => {}
                    }
                }
                if links.forbid(&path) {
                    return Ok((Err(ErrorCode::Unsupported),));
                }
                let accessor = accessor.with_getter::<WasiFilesystem>(HostState::filesystem);
                if !how.contains(OpenFlags::EXCLUSIVE) {
                    let dir = Resource::new_borrow(dir.rep());
                    let found = WasiFilesystem::stat_at(&accessor, dir, follow, path.clone()).await;
                    if found.is_ok_and(|stat| is_special(stat.type_)) {
                        return Ok((Err(ErrorCode::NotPermitted),));
                    }
                }
                match WasiFilesystem::open_at(&accessor, dir, follow, path, how, flags).await {
                    Ok(opened) => Ok((Ok(opened),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}

/// As [`link_p3`].
fn link_p2(linker: &mut Linker<HostState>, links: Links) -> Result<()> {
    use p2::bindings::filesystem::types::{
        DescriptorFlags, DescriptorType as Type, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
    };
    type Arguments = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
    let is_special =
        |kind| !matches!(kind, Type::RegularFile | Type::Directory | Type::SymbolicLink);
    linker.instance(P2)?.func_wrap_async(
        OPEN_AT,
        move |mut store: StoreContextMut<'_, HostState>,
              (dir, follow, path, how, flags): Arguments| {
            Box::new(async move {
                telemetry::opens(&path);
                if how & !OpenFlags::DIRECTORY == OpenFlags::empty()
                    && flags & !DescriptorFlags::MUTATE_DIRECTORY == DescriptorFlags::READ
                {
                    let follow = follow.contains(PathFlags::SYMLINK_FOLLOW);
                    let is_dir = how.contains(OpenFlags::DIRECTORY);
                    let asked = Asked { path: &path, follow, is_dir, links };
                    match to_read(store.data_mut(), &dir, asked, false)? {
                        Opened::As(opened) => return Ok((Ok(opened),)),
                        Opened::Nothing => return Ok((Err(ErrorCode::NoEntry),)),
                        Opened::Unknown => {}
                    }
                }
                if links.forbid(&path) {
                    return Ok((Err(ErrorCode::Unsupported),));
                }
                let mut files = store.data_mut().filesystem();
                if !how.contains(OpenFlags::EXCLUSIVE) {
                    let dir = Resource::new_borrow(dir.rep());
                    let found = files.stat_at(dir, follow, path.clone()).await;
                    if found.is_ok_and(|stat| is_special(stat.type_)) {
                        return Ok((Err(ErrorCode::NotPermitted),));
                    }
                }
                match files.open_at(dir, follow, path, how, flags).await {
                    Ok(opened) => Ok((Ok(opened),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}

/// What is to be opened.
#[derive(Clone, Copy)]
struct Asked<'a> {
    path: &'a str,
    /// Whether a link at its end is followed.
    follow: bool,
    /// Whether it has to be a directory.
    is_dir: bool,
    links: Links,
}

enum Opened<T> {
    As(T),
    Nothing,
    /// It is to be asked for in the other way, which knows the right error.
    Unknown,
}

/// As [`to_read`], on a thread that may block where the disk is needed.
async fn to_read_inline(
    accessor: &Accessor<HostState>,
    dir: &Resource<Descriptor>,
    asked: Asked<'_>,
) -> Result<Opened<Resource<Descriptor>>> {
    let inline = accessor.with(|mut access| access.data_mut().inline.clone());
    if let Some(inline) = inline.filter(|inline| inline.is_on_task()) {
        match accessor.with(|mut access| to_read(access.data_mut(), dir, asked, true))? {
            Opened::Unknown => poll_fn(|cx| inline.poll_thread(cx)).await,
            known => return Ok(known),
        }
    }
    accessor.with(|mut access| to_read(access.data_mut(), dir, asked, false))
}

/// Opens a file or directory to read it, without waiting for anybody; `cached`, not for the disk
/// either.
fn to_read(
    state: &mut HostState,
    dir: &Resource<Descriptor>,
    asked: Asked<'_>,
    cached: bool,
) -> Result<Opened<Resource<Descriptor>>> {
    let table = state.ctx().table;
    let Descriptor::Dir(dir) = table.get(dir)? else { return Ok(Opened::Unknown) };
    Ok(match open(dir, asked, cached) {
        Opened::As(opened) => Opened::As(table.push(opened)?),
        Opened::Nothing => Opened::Nothing,
        Opened::Unknown => Opened::Unknown,
    })
}

#[cfg(target_os = "linux")]
fn open(dir: &Dir, asked: Asked<'_>, cached: bool) -> Opened<Descriptor> {
    use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
    use rustix::io::Errno;
    use wasmtime_wasi::filesystem::{File, OpenMode};

    let Asked { path, follow, is_dir, links } = asked;
    // A pipe does not wait for its other end then; to a file it makes no difference.
    let mut how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    how.set(OFlags::NOFOLLOW, !follow);
    how.set(OFlags::DIRECTORY, is_dir);
    let mut resolve = match links {
        Links::Within => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        Links::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    };
    // Another filesystem may be one that waits.
    resolve.set(ResolveFlags::CACHED | ResolveFlags::NO_XDEV, cached);
    let opened = match openat2(&*dir.dir, path, how, Mode::empty(), resolve) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Opened::Nothing,
        Err(_) => return Opened::Unknown,
    };
    let kind = match is_dir {
        true => FileType::Directory,
        false => match fstat(&opened) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(_) => return Opened::Unknown,
        },
    };
    Opened::As(match kind {
        FileType::Directory => {
            Descriptor::Dir(Dir::new(opened.into(), dir.perms, OpenMode::READ, true))
        }
        FileType::RegularFile => {
            Descriptor::File(File::new(opened.into(), dir.perms, OpenMode::READ, true))
        }
        _ => return Opened::Unknown,
    })
}

#[cfg(not(target_os = "linux"))]
fn open(_: &Dir, _: Asked<'_>, _: bool) -> Opened<Descriptor> {
    Opened::Unknown
}
