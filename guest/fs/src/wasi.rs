//! The few WASI calls that this backend makes, and the one place where a system error gets
//! its meaning in the contract.

use std::cell::OnceCell;

use wasip3::filesystem::preopens::get_directories;
pub use wasip3::filesystem::types::{Descriptor, DescriptorStat, DescriptorType, ErrorCode};
use wasip3::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

use crate::component::Error;
use crate::name::{self, Place};

/// The result of a call of the contract.
pub type Result<T> = std::result::Result<T, Error>;

/// The directory that this component was granted. The handle is kept: it is no state.
pub fn root() -> Result<&'static Descriptor> {
    thread_local!(static ROOT: OnceCell<&'static Descriptor> = const { OnceCell::new() });
    ROOT.with(|root| {
        if let Some(root) = root.get() {
            return Ok(*root);
        }
        let mut granted = get_directories();
        let at = granted.iter().position(|(_, path)| path == "/");
        let found = match (at, granted.len()) {
            (Some(at), _) => granted.swap_remove(at).0,
            (None, 1) => granted.remove(0).0,
            (None, count) => {
                let text = format!("needs one directory, granted as `/`; {count} others are");
                return Err(Error::AccessDenied(text));
            }
        };
        Ok(*root.get_or_init(|| Box::leak(Box::new(found))))
    })
}

/// Opens a directory below `parent`; a link in its place is an error.
pub async fn open_dir(
    parent: &Descriptor,
    name: &str,
) -> std::result::Result<Descriptor, ErrorCode> {
    let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    let opened = parent.open_at(PathFlags::empty(), name.into(), OpenFlags::DIRECTORY, flags).await;
    match opened {
        // A directory granted for reading only can still be read.
        Err(ErrorCode::NotPermitted | ErrorCode::ReadOnly) => {
            let flags = DescriptorFlags::READ;
            parent.open_at(PathFlags::empty(), name.into(), OpenFlags::DIRECTORY, flags).await
        }
        opened => opened,
    }
}

/// Opens a directory below the root and makes it where it is absent; the second value says
/// whether it was made.
pub async fn make_dir(name: &str) -> Result<(Descriptor, bool)> {
    let root = root()?;
    match open_dir(root, name).await {
        Err(ErrorCode::NoEntry) => {}
        opened => return Ok((opened.map_err(|e| explain("open", name, e))?, false)),
    }
    match root.create_directory_at(name.into()).await {
        Ok(()) | Err(ErrorCode::Exist) => {}
        Err(error) => return Err(explain("create", name, error)),
    }
    let opened = open_dir(root, name).await;
    Ok((opened.map_err(|e| explain("open", name, e))?, true))
}

/// Opens the shard of `place`; none where no artifact was ever put into it.
pub async fn open_shard(place: &Place) -> Result<Option<Descriptor>> {
    match open_dir(root()?, &place.shard).await {
        Ok(shard) => Ok(Some(shard)),
        Err(ErrorCode::NoEntry) => Ok(None),
        Err(error) => Err(explain("open", &place.shard, error)),
    }
}

/// What lies under `name`, a link not followed; none where nothing does.
pub async fn look(dir: &Descriptor, name: &str) -> Result<Option<DescriptorStat>> {
    match dir.stat_at(PathFlags::empty(), name.into()).await {
        Ok(stat) => Ok(Some(stat)),
        Err(ErrorCode::NoEntry) => Ok(None),
        Err(error) => Err(explain("look at", name, error)),
    }
}

/// Opens a file for reading. Call [`look`] before: to open a pipe would wait for its writer.
pub async fn open_file(dir: &Descriptor, name: &str) -> std::result::Result<Descriptor, ErrorCode> {
    dir.open_at(PathFlags::empty(), name.into(), OpenFlags::empty(), DescriptorFlags::READ).await
}

/// Creates a file that did not exist, for writing.
pub async fn create_file(
    dir: &Descriptor,
    name: &str,
) -> std::result::Result<Descriptor, ErrorCode> {
    let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    dir.open_at(PathFlags::empty(), name.into(), how, flags).await
}

/// Makes a directory's entries durable. Some filesystems cannot sync a directory and keep its
/// entries in order by themselves: there the call is refused, and that is no failure.
pub async fn sync_dir(dir: &Descriptor, name: &str) -> Result<()> {
    if !is_durable()? {
        return Ok(());
    }
    match dir.sync().await {
        Ok(()) | Err(ErrorCode::Unsupported | ErrorCode::Invalid) => Ok(()),
        Err(error) => Err(explain("sync", name, error)),
    }
}

/// Makes a file's bytes durable, without exception.
pub async fn sync_file(file: &Descriptor, name: &str) -> Result<()> {
    if !is_durable()? {
        return Ok(());
    }
    file.sync().await.map_err(|e| explain("sync", name, e))
}

/// Whether ok means durable: always, unless the user asked for less.
fn is_durable() -> Result<bool> {
    const NAME: &str = "ARTIFACT_STORE_SYNC";
    thread_local!(static ASKED: OnceCell<Option<String>> = const { OnceCell::new() });
    ASKED.with(|asked| {
        let environment = || wasip3::cli::environment::get_environment();
        let asked = asked.get_or_init(|| {
            environment().into_iter().find(|(name, _)| name == NAME).map(|(_, value)| value)
        });
        match asked.as_deref() {
            None | Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(Error::Other(format!("{NAME} is neither `on` nor `off`"))),
        }
    })
}

/// The name of a new temporary file.
pub fn temporary() -> String {
    let mut random = [0; 16];
    for (half, bytes) in
        [wasip3::random::random::get_random_u64(), wasip3::random::random::get_random_u64()]
            .into_iter()
            .zip(random.chunks_exact_mut(8))
    {
        bytes.copy_from_slice(&half.to_le_bytes());
    }
    name::temporary(&random)
}

/// What a system error means to the caller of the contract. The text says what failed on
/// which file, since the code alone helps nobody.
pub fn explain(doing: &str, name: &str, code: ErrorCode) -> Error {
    let text = |why: &str| format!("cannot {doing} `{name}`: {why}");
    match code {
        ErrorCode::InsufficientSpace => Error::NoSpace(text("no space left on the device")),
        ErrorCode::Quota => Error::NoSpace(text("the quota is used up")),
        ErrorCode::FileTooLarge => Error::NoSpace(text("the filesystem takes no file so large")),
        ErrorCode::Access | ErrorCode::NotPermitted => {
            Error::AccessDenied(text("permission denied"))
        }
        ErrorCode::ReadOnly => Error::AccessDenied(text("the filesystem is read-only")),
        ErrorCode::Busy | ErrorCode::TextFileBusy => Error::Unavailable(text("it is in use")),
        ErrorCode::Deadlock => Error::Unavailable(text("it is locked")),
        ErrorCode::InsufficientMemory => Error::Unavailable(text("the system is out of memory")),
        ErrorCode::Interrupted => Error::Unavailable(text("interrupted")),
        ErrorCode::Loop => Error::Corrupt(text("a link stands in its place")),
        ErrorCode::NotDirectory => Error::Corrupt(text("it is no directory")),
        ErrorCode::IsDirectory => Error::Corrupt(text("a directory stands in its place")),
        ErrorCode::Other(why) => Error::Other(text(why.as_deref().unwrap_or("unknown error"))),
        code => Error::Other(text(&format!("{code:?}"))),
    }
}
