//! What a component is linked with: WASI, as far as its grants give it a meaning.

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime::{Engine, Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::{p2, p3};

use crate::instance::HostState;
use crate::transfer::splice;

const P2: &str = "wasi:filesystem/types@0.2.12";
const P3: &str = "wasi:filesystem/types@0.3.0";
const OPEN_AT: &str = "[method]descriptor.open-at";

/// What goes beyond plain WASI, or stays behind it.
pub(super) struct Links {
    /// Looks by itself at what it opens as a file.
    pub(super) looks_at_files: bool,
    /// Bytes of a file that it hands on go past it, and directories are read in batches.
    pub(super) splice: bool,
    /// Asks for HTTP.
    pub(super) http: bool,
}

/// Both generations of WASI, so that a component of any toolchain finds its own; HTTP only for
/// one that asks for it.
pub(super) fn linker(engine: &Engine, links: Links) -> Result<Linker<HostState>> {
    let Links { looks_at_files, splice, http } = links;
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    #[cfg(feature = "network")]
    if http {
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    #[cfg(not(feature = "network"))]
    let _ = http;
    linker.allow_shadowing(true);
    refuse_special_files_p2(&mut linker, looks_at_files)?;
    refuse_special_files_p3(&mut linker, looks_at_files)?;
    if splice {
        splice::link(&mut linker.instance(P3)?)?;
        #[cfg(unix)]
        super::directory::link(&mut linker.instance(P3)?)?;
    }
    Ok(linker)
}

/// To open a pipe waits for its other end, a device does as it likes, and no clock ends a thread
/// that is in the system: a backend opens files and directories only. The built-in one looks at
/// a file before it opens it, and is spared the second look; but it remembers what was a
/// directory, and somebody may have put a pipe in its place.
fn refuse_special_files_p3(linker: &mut Linker<HostState>, looks_at_files: bool) -> Result<()> {
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
                let accessor = accessor.with_getter::<WasiFilesystem>(HostState::filesystem);
                if how.contains(OpenFlags::DIRECTORY) || !looks_at_files {
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

/// As [`refuse_special_files_p3`].
fn refuse_special_files_p2(linker: &mut Linker<HostState>, looks_at_files: bool) -> Result<()> {
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
                let mut files = store.data_mut().filesystem();
                if how.contains(OpenFlags::DIRECTORY) || !looks_at_files {
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
