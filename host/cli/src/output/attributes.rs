//! What a file that is replaced keeps: its owner, group, permissions, access list and the user's
//! own attributes. What it never keeps is a privilege: new bytes run with nobody else's rights.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// The permissions without the set-user-ID, set-group-ID and sticky bits.
#[cfg(unix)]
const PERMISSIONS: u32 = 0o777;

/// How many names a file has besides the one that is written.
pub fn other_names(file: &Metadata) -> Option<u64> {
    #[cfg(unix)]
    let links = std::os::unix::fs::MetadataExt::nlink(file);
    #[cfg(not(unix))]
    let links = {
        let _ = file;
        1
    };
    links.checked_sub(1).filter(|others| *others > 0)
}

/// Gives `new` what the file `old` has; the names of attributes that it could not be given.
///
/// # Errors
///
/// Why `new` cannot take the place of `old`: some could then read or write it who could not, or the
/// other way round.
#[cfg(unix)]
pub fn carry_over(
    old: &Path,
    metadata: &Metadata,
    new: &File,
) -> Result<Vec<String>, &'static str> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let fresh = new.metadata().map_err(|_| "its owner cannot be determined")?;
    let owner = (fresh.uid() != metadata.uid()).then_some(metadata.uid());
    let group = (fresh.gid() != metadata.gid()).then_some(metadata.gid());
    if owner.is_some() || group.is_some() {
        // Before the permissions: they are the right ones for this owner and group alone.
        fchown(new, owner, group).map_err(|_| "a new file cannot have its owner and group")?;
    }
    let lost = extended::carry_over(old, new)?;
    let mode = PermissionsExt::from_mode(metadata.mode() & PERMISSIONS);
    new.set_permissions(mode).map_err(|_| "a new file cannot have its permissions")?;
    Ok(lost)
}

#[cfg(not(unix))]
pub fn carry_over(_: &Path, metadata: &Metadata, new: &File) -> Result<Vec<String>, &'static str> {
    let kept = new.set_permissions(metadata.permissions());
    kept.map(|()| Vec::new()).map_err(|_| "a new file cannot have its permissions")
}

/// Before a file is written in place. Where another user's file has such a bit, it stays unwritten.
pub fn take_privileges(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        let mode = file.metadata()?.mode();
        let kept = mode & PERMISSIONS;
        if mode & !PERMISSIONS & 0o7777 != 0 {
            file.set_permissions(PermissionsExt::from_mode(kept))?;
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod extended {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, getxattr, listxattr};
    use rustix::io::Errno;

    const ACCESS_LIST: &str = "system.posix_acl_access";

    /// An attribute has at most 64 KiB, and so has the list of their names.
    const MOST: usize = 64 << 10;

    pub fn carry_over(old: &Path, new: &File) -> Result<Vec<String>, &'static str> {
        let access = "a new file cannot have its access list (ACL)";
        match value(old, ACCESS_LIST) {
            Ok(list) => {
                fsetxattr(new, ACCESS_LIST, &list, XattrFlags::empty()).map_err(|_| access)?;
            }
            Err(Errno::NODATA | Errno::NOTSUP) => match fremovexattr(new, ACCESS_LIST) {
                // One that the directory gives to all new files.
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(_) => return Err(access),
            },
            Err(_) => return Err(access),
        }
        let mut lost = Vec::new();
        for name in names(old).iter().filter(|name| is_kept(name)) {
            let kept = value(old, name)
                .and_then(|value| fsetxattr(new, name.as_str(), &value, XattrFlags::empty()));
            if kept.is_err() {
                lost.push(name.clone());
            }
        }
        Ok(lost)
    }

    /// The user's own, and the label of SELinux. All others are privileges (`security.capability`),
    /// seals of the old bytes (`security.ima`) or the filesystem's.
    fn is_kept(name: &str) -> bool {
        name.starts_with("user.") || name == "security.selinux"
    }

    fn value(file: &Path, name: &str) -> rustix::io::Result<Vec<u8>> {
        let mut value = vec![0; MOST];
        let size = getxattr(file, name, &mut value[..])?;
        value.truncate(size);
        Ok(value)
    }

    /// None where the filesystem keeps none.
    fn names(file: &Path) -> Vec<String> {
        let mut list = vec![0; MOST];
        let size = listxattr(file, &mut list[..]).unwrap_or(0);
        let names = list[..size].split(|byte| *byte == 0).filter(|name| !name.is_empty());
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod extended {
    pub fn carry_over(_: &std::path::Path, _: &std::fs::File) -> Result<Vec<String>, &'static str> {
        Ok(Vec::new())
    }
}
