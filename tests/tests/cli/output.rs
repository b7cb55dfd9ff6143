//! Where `-o` leads: files that are replaced, files that are written in place, links and
//! descriptors.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use artifact_store_tests::{expect, run, shell};

/// What is put under `k`.
const NEW: &str = "new bytes\n";

fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    expect(dir.path(), &["put", "k"], NEW.as_bytes(), 0);
    dir
}

/// What `get k -o` says on standard error.
fn get(dir: &Path, output: &str) -> String {
    let ended = run(dir, &["get", "k", "-o", output], b"");
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{output}: {error}");
    assert!(ended.stdout.is_empty());
    error
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().mode() & 0o7777
}

fn write(file: &Path, mode: u32) {
    fs::write(file, "old").unwrap();
    fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
}

fn litter(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".artifact-store-")).count()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What a command says that only some systems have; none where it fails.
fn tried(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then_some(output)
}

#[test]
fn a_file_keeps_its_permissions_but_no_privilege() {
    let dir = place();
    let dir = dir.path();
    for (before, after) in [
        (0o640, 0o640),
        (0o600, 0o600),
        (0o4755, 0o755),
        (0o2755, 0o755),
        (0o1644, 0o644),
        (0o7777, 0o777),
    ] {
        for arguments in [
            &["get", "k", "-o", "out"][..],
            &["extract", "command", "-o", "out"],
            &["bundle", "fs", "-o", "out"],
        ] {
            write(&dir.join("out"), before);
            assert_eq!(run(dir, arguments, b"").status.code(), Some(0), "{arguments:?}");
            assert_eq!(mode(&dir.join("out")), after, "{before:o} {arguments:?}");
            assert_ne!(fs::read(dir.join("out")).unwrap(), b"old");
        }
    }
    // A new one has what the umask leaves.
    let output = shell(dir, "umask 027; \"$A\" get k -o new");
    assert!(output.status.success() && mode(&dir.join("new")) == 0o640);
}

#[test]
fn a_file_keeps_its_owner_and_group() {
    if !is_root() {
        return;
    }
    let dir = place();
    let dir = dir.path();
    let out = dir.join("out");
    write(&out, 0o644);
    chown(&out, Some(12_345), Some(54_321)).unwrap();
    fs::set_permissions(&out, Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(get(dir, "out"), "");
    let metadata = fs::metadata(&out).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), mode(&out)), (12_345, 54_321, 0o755));
    assert_eq!(fs::read_to_string(&out).unwrap(), NEW);
}

/// Who may not give files away writes the file itself, as `cp` does.
#[test]
fn the_file_of_another_user_is_written_in_place_or_not_at_all() {
    if !is_root() || tried("setpriv", &["--version"]).is_none() {
        return;
    }
    let dir = place();
    let dir = dir.path();
    for directory in [dir, &dir.join("artifacts")] {
        fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
    }
    assert!(shell(dir, "chmod -R a+rwX artifacts").status.success());
    let get =
        "HOME=/nonexistent setpriv --reuid 12345 --regid 12345 --clear-groups \"$A\" get k -o out";
    let out = dir.join("out");
    write(&out, 0o666);
    let inode = fs::metadata(&out).unwrap().ino();
    let output = shell(dir, get);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    assert!(error.contains("written in place") && error.contains("owner"), "{error}");
    let metadata = fs::metadata(&out).unwrap();
    assert_eq!((metadata.uid(), metadata.ino(), mode(&out)), (0, inode, 0o666));
    assert_eq!(fs::read_to_string(&out).unwrap(), NEW);
    // One that it may not write, and one whose privilege it cannot take away.
    for before in [0o644, 0o4666, 0o2676] {
        write(&out, before);
        let output = shell(dir, get);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{before:o}: {error}");
        assert_eq!(fs::read_to_string(&out).unwrap(), "old", "{before:o}");
    }
    // In a directory that it may not write to.
    write(&out, 0o666);
    fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    let output = shell(dir, get);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && error.contains("its directory"), "{error}");
    assert_eq!(fs::read_to_string(&out).unwrap(), NEW);
    fs::remove_file(&out).unwrap();
    let output = shell(dir, get);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(litter(dir), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn an_access_list_and_the_users_attributes_are_kept() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};

    let dir = place();
    let dir = dir.path();
    let out = dir.join("out");
    write(&out, 0o640);
    if setxattr(&out, "user.note", b"mine", XattrFlags::empty()).is_err() {
        return;
    }
    assert_eq!(get(dir, "out"), "");
    let mut value = [0; 16];
    let size = getxattr(&out, "user.note", &mut value[..]).unwrap();
    assert_eq!(&value[..size], b"mine");
    // A privilege is none of them.
    if is_root() && tried("setcap", &["cap_net_raw+ep", out.to_str().unwrap()]).is_some() {
        assert_eq!(get(dir, "out"), "");
        assert!(getxattr(&out, "security.capability", &mut value[..]).is_err());
    }
    let name = out.to_str().unwrap();
    if tried("setfacl", &["-m", "u:12345:rw,g::---", name]).is_none() {
        return;
    }
    let list = || String::from_utf8(tried("getfacl", &["-cn", name]).unwrap().stdout).unwrap();
    let before = list();
    assert!(before.contains("user:12345:rw-"));
    assert_eq!(get(dir, "out"), "");
    assert_eq!((list(), &*fs::read_to_string(&out).unwrap()), (before, NEW));
    // A directory's default is for new files, not for this one.
    fs::remove_file(&out).unwrap();
    write(&out, 0o660);
    let without = list();
    assert!(tried("setfacl", &["-d", "-m", "u:12345:rwx", dir.to_str().unwrap()]).is_some());
    assert_eq!(get(dir, "out"), "");
    assert_eq!(list(), without);
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    let dir = place();
    let dir = dir.path();
    fs::create_dir(dir.join("elsewhere")).unwrap();
    write(&dir.join("elsewhere/file"), 0o600);
    symlink("elsewhere/file", dir.join("link")).unwrap();
    symlink("link", dir.join("link-to-link")).unwrap();
    symlink("elsewhere/not-there-yet", dir.join("dangling")).unwrap();
    symlink("no-directory/file", dir.join("broken")).unwrap();
    symlink("circle", dir.join("circle")).unwrap();
    for (name, target) in
        [("link-to-link", "elsewhere/file"), ("dangling", "elsewhere/not-there-yet")]
    {
        assert_eq!(get(dir, name), "");
        assert!(fs::symlink_metadata(dir.join(name)).unwrap().is_symlink(), "{name}");
        assert_eq!(fs::read_to_string(dir.join(target)).unwrap(), NEW, "{name}");
    }
    // A directory is another matter: `get.rs`.
    for name in ["broken", "circle", "no/new", "link/x"] {
        let message = expect(dir, &["get", "k", "-o", name], b"", 1);
        assert!(message.contains(&format!("cannot write `{name}`")), "{name}: {message}");
    }
    assert_eq!(litter(dir) + litter(&dir.join("elsewhere")), 0);
}

#[test]
fn other_names_of_a_file_keep_the_old_bytes_and_that_is_said() {
    let dir = place();
    let dir = dir.path();
    write(&dir.join("out"), 0o644);
    fs::hard_link(dir.join("out"), dir.join("other")).unwrap();
    let said = get(dir, "out");
    assert!(said.contains("hard links"), "{said}");
    assert_eq!(fs::read_to_string(dir.join("other")).unwrap(), "old");
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), NEW);
}

#[test]
fn a_descriptor_is_written_to_and_never_replaced() {
    let dir = place();
    let dir = dir.path();
    for (line, expected) in [
        ("\"$A\" get k -o /dev/stdout >> log", format!("first\n{NEW}")),
        ("\"$A\" get k -o /proc/self/fd/1 >> log", format!("first\n{NEW}")),
        ("\"$A\" get k -o /dev/fd/1 >> log", format!("first\n{NEW}")),
        ("\"$A\" get k -o /dev/fd/3 3>> log", format!("first\n{NEW}")),
        ("\"$A\" get k -o /proc/thread-self/fd/3 3>> log", format!("first\n{NEW}")),
        ("\"$A\" get k -o /dev/stderr 2>> log", format!("first\n{NEW}")),
        ("ln -s /dev/stdout link; \"$A\" get k -o link >> log", format!("first\n{NEW}")),
        ("(echo a; \"$A\" get k -o /dev/stdout; echo b) > log", format!("a\n{NEW}b\n")),
        ("(echo a >&3; \"$A\" get k -o /dev/fd/3; echo b >&3) 3> log", format!("a\n{NEW}b\n")),
        (
            "\"$A\" extract fs -o /dev/stdout | wc -c | tr -d ' \\n' > /dev/null; cp first log",
            "first\n".into(),
        ),
        ("\"$A\" get k -o /dev/stdout | cat > log", NEW.into()),
        ("mkfifo fifo; cat fifo > log & \"$A\" get k -o fifo && wait", NEW.into()),
        ("\"$A\" get k -o /dev/null; cp first log", "first\n".into()),
    ] {
        let linked = dir.join("log");
        for name in ["first", "log"] {
            fs::write(dir.join(name), "first\n").unwrap();
        }
        let inode = fs::metadata(&linked).unwrap().ino();
        let output = shell(dir, line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {error}");
        assert_eq!(fs::read_to_string(&linked).unwrap(), expected, "{line}");
        assert_eq!(fs::metadata(&linked).unwrap().ino(), inode, "{line}");
    }
    for line in [
        "\"$A\" get k -o /dev/stdout >&-",
        "\"$A\" get k -o /dev/fd/7",
        "\"$A\" get k -o /dev/fd/3 3< first",
        "\"$A\" get k -o /dev/stdin < first",
    ] {
        assert_eq!(shell(dir, line).status.code(), Some(1), "{line}");
        assert_eq!(fs::read_to_string(dir.join("first")).unwrap(), "first\n", "{line}");
    }
    assert_eq!(litter(dir), 0);
}

/// A file that is mounted by itself, as containers have it, cannot be replaced.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_mounted_by_itself_is_written_in_place() {
    let dir = place();
    let dir = dir.path();
    write(&dir.join("outside"), 0o4755);
    write(&dir.join("out"), 0o600);
    let mounted = "unshare -m sh -c 'mount --bind outside out && \"$A\" get k -o out'";
    if !is_root() || !shell(dir, "unshare -m mount --bind outside out").status.success() {
        return;
    }
    let output = shell(dir, mounted);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    assert!(error.contains("`out` is written in place"), "{error}");
    assert_eq!(fs::read_to_string(dir.join("outside")).unwrap(), NEW);
    assert_eq!((mode(&dir.join("outside")), litter(dir)), (0o755, 0));
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "old");
    // In a directory that nobody can write to.
    write(&dir.join("outside"), 0o644);
    let read_only = "unshare -m sh -c 'mkdir -p ro && mount -t tmpfs none ro && touch ro/out && \
                     mount -o remount,ro ro && mount --bind outside ro/out && \"$A\" get k -o ro/out'";
    let output = shell(dir, read_only);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && error.contains("its directory"), "{error}");
    assert_eq!(fs::read_to_string(dir.join("outside")).unwrap(), NEW);
}

#[test]
fn a_get_that_fails_leaves_the_file_as_it_was() {
    let dir = place();
    let dir = dir.path();
    write(&dir.join("out"), 0o640);
    let before = fs::metadata(dir.join("out")).unwrap();
    for arguments in
        [&["get", "absent", "-o", "out"][..], &["get", "k", "--offset", "99", "-o", "out"]]
    {
        assert_ne!(run(dir, arguments, b"").status.code(), Some(0));
    }
    let after = fs::metadata(dir.join("out")).unwrap();
    assert_eq!(
        (before.ino(), before.modified().unwrap()),
        (after.ino(), after.modified().unwrap())
    );
    assert_eq!(fs::read(dir.join("out")).unwrap(), b"old");
}
