//! Calls of the system that it refuses: optional ones have a fallback, and what the others fail with
//! keeps its meaning up to the caller. The real command line, behind a filter of system calls.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use artifact_store_tests::{cli, confine};
use libc::{
    EDQUOT, EFBIG, EINVAL, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, EROFS,
    ESTALE, ETIMEDOUT, SYS_fsync, SYS_linkat, SYS_mkdirat, SYS_openat2, SYS_preadv2, SYS_pwrite64,
    SYS_pwritev2, SYS_renameat, SYS_renameat2, SYS_statx, SYS_unlinkat, c_int, c_long,
};

type Refused<'a> = &'a [(c_long, c_int)];

/// Runs the command line in `dir`, where the system refuses those calls.
fn run(dir: &Path, refused: Refused, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = cli();
    confine::refuse(&mut command, refused);
    feed(command.current_dir(dir).args(arguments), input)
}

fn feed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ok(dir: &Path, refused: Refused, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(dir, refused, arguments, input);
    assert!(output.status.success(), "{refused:?} {arguments:?}: {}", said(&output));
    output.stdout
}

/// Fails with this code and these words, and leaves nothing unfinished.
fn fails(dir: &Path, refused: Refused, arguments: &[&str], code: i32, words: &str) {
    let output = run(dir, refused, arguments, b"new");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{refused:?} {arguments:?}: {said}");
    assert!(said.contains(words), "{refused:?} {arguments:?}: {said}");
    // What cannot be removed stays.
    let can_remove = !refused.iter().any(|(call, _)| *call == SYS_unlinkat);
    if can_remove && let Ok(mut left) = fs::read_dir(dir.join("artifacts/tmp")) {
        assert!(left.next().is_none(), "{refused:?} {arguments:?}");
    }
}

#[test]
fn all_commands_work_where_optional_calls_are_refused() {
    let mut refused: Vec<Vec<(c_long, c_int)>> = Vec::new();
    for error in [ENOSYS, EPERM, EOPNOTSUPP, EINVAL] {
        refused.push(vec![(SYS_preadv2, error)]);
        refused.push(vec![(SYS_openat2, error)]);
        refused.push(vec![(SYS_openat2, error), (SYS_preadv2, error), (SYS_pwritev2, error)]);
    }
    for error in [ENOSYS, EPERM] {
        refused.push(vec![(SYS_statx, error), (SYS_openat2, error), (SYS_preadv2, error)]);
    }
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for refused in &refused {
        let dir = tempfile::tempdir().unwrap();
        let ok = |arguments: &[&str], input: &[u8]| ok(dir.path(), refused, arguments, input);
        ok(&["put", "builds/small"], b"small");
        ok(&["put", "large"], &large);
        ok(&["put", "--create", "new"], b"new");
        assert_eq!(ok(&["get", "builds/small"], b""), b"small", "{refused:?}");
        assert!(ok(&["get", "large"], b"") == large, "{refused:?}");
        let part = ok(&["get", "large", "--offset", "5", "--length", "3"], b"");
        assert_eq!(part, large[5..8], "{refused:?}");
        let listed = String::from_utf8(ok(&["list"], b"")).unwrap();
        let mut keys: Vec<_> = listed.lines().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["builds/small", "large", "new"], "{refused:?}");
        ok(&["stat", "large"], b"");
        ok(&["verify"], b"");
        ok(&["delete", "new"], b"");
        fails(dir.path(), refused, &["get", "new"], 3, "not found");
        fails(dir.path(), refused, &["put", "--create", "large"], 4, "already has an artifact");
    }
}

/// What the storage refuses a change with.
#[test]
fn a_refused_change_says_why() {
    let renames = |error| [(SYS_renameat, error), (SYS_renameat2, error)];
    let no_space = "no space: ";
    let denied = "access denied: ";
    for (error, words) in [
        (EDQUOT, "the quota is used up"),
        (ENOSPC, "no space left on the device"),
        (EROFS, "the filesystem is read-only"),
        (EFBIG, "the file is too large for the filesystem"),
    ] {
        let kind = if error == EROFS { denied } else { no_space };
        for refused in [
            vec![(SYS_pwrite64, error)],
            vec![(SYS_mkdirat, error)],
            renames(error).to_vec(),
            vec![(SYS_openat2, error)],
            vec![(SYS_fsync, error)],
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("artifacts")).unwrap();
            for expected in [kind, words] {
                fails(dir.path(), &refused, &["put", "k"], 1, expected);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        ok(dir.path(), &[], &["put", "k"], b"old");
        fails(dir.path(), &[(SYS_linkat, error)], &["put", "--create", "new"], 1, words);
        fails(dir.path(), &[(SYS_unlinkat, error)], &["delete", "k"], 1, words);
        assert_eq!(ok(dir.path(), &[], &["get", "k"], b""), b"old");
        assert_eq!(ok(dir.path(), &[], &["list"], b""), b"k\n");
    }
}

/// What passes by itself is said to, whatever the backend makes of it.
#[test]
fn a_shortage_of_the_host_can_be_retried() {
    let dir = tempfile::tempdir().unwrap();
    // In a directory of its own, since that of the store is open.
    ok(dir.path(), &[], &["put", "d/k"], b"old");
    for (error, words) in [
        (EMFILE, "`ulimit -n`"),
        (ENFILE, "`fs.file-max`"),
        (ENOMEM, "no more memory"),
        (ESTALE, "file server"),
        (ETIMEDOUT, "file server"),
    ] {
        let refused = [(SYS_openat2, error)];
        for arguments in
            [&["put", "d/k"][..], &["put", "--create", "d/n"], &["get", "d/k"], &["list"]]
        {
            fails(dir.path(), &refused, arguments, 6, words);
        }
        fails(dir.path(), &refused, &["delete", "d/k"], 6, words);
        let refused = [(SYS_renameat, error), (SYS_renameat2, error)];
        fails(dir.path(), &refused, &["put", "d/k"], 6, words);
    }
    fails(dir.path(), &[(SYS_openat2, EIO)], &["get", "d/k"], 1, "input/output error");
    assert_eq!(ok(dir.path(), &[], &["get", "d/k"], b""), b"old");
}

/// A limit of the size of files, which the process outlives where it takes no notice of the signal.
#[test]
fn a_limit_of_the_size_of_files_is_no_space() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &[], &["put", "k"], b"old");
    let mut command = cli();
    confine::ignore(&mut command, libc::SIGXFSZ);
    confine::limit(&mut command, libc::RLIMIT_FSIZE, 100_000);
    let output = feed(command.current_dir(dir.path()).args(["put", "k"]), &[7; 1_000_000]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no space: ") && said.contains("the file is too large"), "{said}");
    assert_eq!(fs::read_dir(dir.path().join("artifacts/tmp")).unwrap().count(), 0);
    assert_eq!(ok(dir.path(), &[], &["get", "k"], b""), b"old");
}
