//! Where the system gives the process no thread, no address space or no executable memory, calls say so.
//! Nothing panics, no backend is blamed, and what is there later serves.
#![cfg(target_os = "linux")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use artifact_store::{ArtifactStore, Error, ErrorKind, ReadOptions, WriteOptions, blocking};
use artifact_store_tests::{bare_component, cli, confine, guest};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Runs as somebody else, with a folder of its own. Root is never refused a thread, and nobody else has
/// this folder's inode, so that there is no other process of this user.
fn as_somebody_else(command: &mut Command, dir: &Path) {
    command.env("HOME", dir).env_remove("XDG_CACHE_HOME");
    if rustix::process::geteuid().is_root() {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
        let somebody = 100_000 + (std::fs::metadata(dir).unwrap().ino() % 1_000_000) as u32;
        command.uid(somebody).gid(somebody);
    }
}

/// Runs one of the ignored tests below in a process of its own.
fn alone(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test, "--nocapture"]).env("TMPDIR", dir.path());
    as_somebody_else(&mut command, dir.path());
    quiet(&command.output().unwrap(), test);
}

/// It ended well, and nothing panicked.
fn quiet(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {:?}\n{said}", output.status);
    assert!(!said.contains("panicked"), "{what}: {said}");
}

/// From here on the process gets no more threads than it has, or again as many as it likes.
fn threads(are_given: bool) {
    let most = getrlimit(Resource::Nproc).maximum;
    let current = if are_given { most } else { Some(1) };
    setrlimit(Resource::Nproc, Rlimit { current, maximum: most }).unwrap();
    assert_eq!(thread::Builder::new().spawn(|| ()).is_ok(), are_given);
}

fn is_unavailable<T>(outcome: Result<T, Error>, what: &str) {
    let Err(error) = outcome else { panic!("{what}: there is no thread for it") };
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{what}: {error:?}");
    assert!(error.is_retryable() && error.to_string().contains("thread"), "{error}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn without_a_thread_at_the_first_use_nothing_panics() {
    alone("at_the_first_use");
}

#[test]
#[ignore = "runs in a process of its own"]
fn at_the_first_use() {
    let (dir, runtime) = (tempfile::tempdir().unwrap(), runtime());
    threads(false);
    is_unavailable(blocking::ArtifactStore::open_dir(dir.path()), "blocking");
    is_unavailable(runtime.block_on(ArtifactStore::open_dir(dir.path())), "async");
    threads(true);
    let store = runtime.block_on(ArtifactStore::open_dir(dir.path())).unwrap();
    runtime.block_on(store.put("k", "x")).unwrap();
}

#[test]
fn without_a_thread_after_idle_seconds_nothing_panics() {
    alone("after_idle_seconds");
}

#[test]
#[ignore = "runs in a process of its own"]
fn after_idle_seconds() {
    let (dir, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let store = runtime.block_on(ArtifactStore::open_dir(dir.path())).unwrap();
    let blocking = blocking::ArtifactStore::from(store.clone());
    runtime.block_on(store.put("k", vec![7; 3 << 20])).unwrap();
    // Longer than a thread waits for the next call.
    thread::sleep(Duration::from_secs(12));
    threads(false);
    runtime.block_on(async {
        is_unavailable(store.put("k", "x").await, "put");
        is_unavailable(store.put_new("l", "x").await, "create");
        is_unavailable(store.delete("k").await, "delete");
        is_unavailable(store.list("").next().await, "list");
        is_unavailable(store.sweep(Duration::ZERO).await, "sweep");
        is_unavailable(store.write("k", &b"x"[..], WriteOptions::default()).await, "write");
        // What is in memory needs none; all else does.
        for outcome in [store.get("k").await.map(drop), store.stat("k").await.map(drop)] {
            if outcome.is_err() {
                is_unavailable(outcome, "a read");
            }
        }
        match store.read("k", ReadOptions::default()).await {
            Ok(mut reader) => while reader.next_chunk().await.is_ok_and(|chunk| chunk.is_some()) {},
            outcome => is_unavailable(outcome, "a read"),
        }
    });
    // The calling thread does it.
    blocking.put("k", "blocking").unwrap();
    assert_eq!(blocking.get("k").unwrap(), "blocking");
    // What is given up half-way needs one to be cleaned up, and does without.
    drop(blocking.writer("half", WriteOptions::default()).unwrap());
    threads(true);
    runtime.block_on(async {
        store.put("k", "x").await.unwrap();
        assert_eq!(store.get("k").await.unwrap(), "x");
    });
}

/// The command line under a limit of the system, whatever it is: it works, or says that it cannot now.
/// The worst exit code, and all that it said.
fn under(what: &str, confined: impl Fn(&mut Command), dir: &Path) -> (i32, String) {
    let outcomes = [
        &["put", "k", "file"][..],
        &["get", "k", "-o", "out"],
        &["stat", "k"],
        &["list"],
        &["verify"],
        &["delete", "absent"],
    ];
    let (mut worst, mut all) = (0, String::new());
    for arguments in outcomes {
        let mut command = cli();
        command.args(arguments).current_dir(dir);
        as_somebody_else(&mut command, dir);
        confined(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 6)), "{what}, {arguments:?}: {code:?} {said}");
        assert!(!said.contains("panicked") && !said.contains("trapped"), "{arguments:?}: {said}");
        worst = worst.max(code.unwrap());
        all.push_str(&said);
    }
    (worst, all)
}

fn within(limit: libc::__rlimit_resource_t, most: u64, dir: &Path) -> i32 {
    under(&format!("{limit:?} {most}"), |command| confine::limit(command, limit, most), dir).0
}

/// A store that this user has been in before, so that its code is in a cache.
fn used() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), vec![7; 1 << 20]).unwrap();
    assert_eq!(within(libc::RLIMIT_NOFILE, 1024, dir.path()), 0);
    dir
}

#[test]
fn the_command_line_does_with_few_threads_or_says_so() {
    let dir = used();
    let outcomes: Vec<_> =
        (1..12).map(|most| within(libc::RLIMIT_NPROC, most, dir.path())).collect();
    eprintln!("with so many threads: {outcomes:?}");
    assert_eq!(outcomes.last(), Some(&0));
}

#[test]
fn the_command_line_does_with_little_address_space() {
    let dir = used();
    for gibibytes in [1, 2, 5, 9] {
        assert_eq!(within(libc::RLIMIT_AS, gibibytes << 30, dir.path()), 0, "{gibibytes} GiB");
    }
}

/// Files without a name are a convenience, threads and executable memory are none.
#[test]
fn what_the_system_refuses_is_done_without_or_named() {
    let dir = used();
    let refusing = |what: &str, call| {
        under(what, |command| confine::refuse(command, &[(call, libc::EPERM)]), dir.path())
    };
    let (code, said) = refusing("memfd_create", libc::SYS_memfd_create);
    assert_eq!(code, 0, "{said}");
    let (code, said) = refusing("clone3", libc::SYS_clone3);
    assert_eq!(code, 6);
    assert!(said.contains("cannot start a thread"), "{said}");
    // As systemd's MemoryDenyWriteExecute has it.
    const PR_SET_MDWE: i32 = 65;
    const PR_MDWE_REFUSE_EXEC_GAIN: i32 = 1;
    let deny = || {
        // SAFETY: it concerns memory that comes later.
        match unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: it asks for a setting.
    if unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) } < 0 {
        eprintln!("this kernel cannot refuse executable memory");
        return;
    }
    let (code, said) = under(
        "executable memory",
        |command| {
            // SAFETY: it makes one system call.
            unsafe { command.pre_exec(deny) };
        },
        dir.path(),
    );
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("make memory executable"), "{said}");
}

/// Both outcomes that are right where the system gives too little: it works, or the limit is named and
/// the command may be tried again.
fn works_or_names(limit: &str, (code, said): &(i32, String), what: &str) {
    assert!(matches!(code, 0 | 6), "{what}: {code} {said}");
    assert!(*code == 0 || said.contains(limit), "{what}: {said}");
    for wrong in ["panicked", "trapped", "memory allocation", "fault of", "died"] {
        assert!(!said.contains(wrong), "{what}: {said}");
    }
}

/// The command line with a component of others, which it compiles anew.
fn compiling(
    component: &Path,
    (limit, most): (libc::__rlimit_resource_t, u64),
    dir: &Path,
) -> (i32, String) {
    let mut command = cli();
    command.arg("--backend").arg(component).args(["--cache", "off", "put", "k", "small"]);
    command.current_dir(dir);
    as_somebody_else(&mut command, dir);
    confine::limit(&mut command, limit, most);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

/// A store, and a component of others beside it, which this user may read.
fn foreign(component: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = used();
    std::fs::write(dir.path().join("small"), "x").unwrap();
    let file = dir.path().join("foreign.wasm");
    std::fs::write(&file, component).unwrap();
    (dir, file)
}

fn plain() -> (tempfile::TempDir, std::path::PathBuf) {
    foreign(&std::fs::read(guest("plain")).unwrap())
}

#[test]
fn the_command_line_does_with_few_open_files_or_names_the_limit() {
    let dir = used();
    let limited = |most| {
        let confined = |command: &mut Command| confine::limit(command, libc::RLIMIT_NOFILE, most);
        under(&format!("{most} files"), confined, dir.path())
    };
    // With 3 the system's loader does not start the program.
    let few = [4, 5, 6, 7, 8, 10, 12, 13, 14, 16, 19, 22, 23, 24, 26];
    for most in few {
        works_or_names("`ulimit -n`", &limited(most), &format!("{most} files"));
    }
    assert_eq!(limited(32).0, 0);
    let (dir, component) = plain();
    for most in few {
        let outcome = compiling(&component, (libc::RLIMIT_NOFILE, most), dir.path());
        works_or_names("`ulimit -n`", &outcome, &format!("compiling with {most} files"));
    }
}

#[test]
fn a_limit_of_file_sizes_is_no_fault_of_a_backend() {
    let (dir, component) = plain();
    for most in [1 << 10, 10 << 10, 1 << 20] {
        let limit = (libc::RLIMIT_FSIZE, most);
        assert_eq!(compiling(&component, limit, dir.path()), (0, String::new()), "{most}");
        for arguments in [&["put", "small", "small"][..], &["get", "small"], &["list"], &["verify"]]
        {
            let mut command = cli();
            command.args(arguments).current_dir(dir.path());
            as_somebody_else(&mut command, dir.path());
            confine::limit(&mut command, limit.0, limit.1);
            quiet(&command.output().unwrap(), &format!("{arguments:?}, {most} bytes"));
        }
    }
}

#[test]
fn too_little_address_space_is_named_and_nothing_aborts() {
    let (dir, component) = plain();
    for mebibytes in [120, 160, 200, 280, 340, 400] {
        let most = mebibytes << 20;
        let what = format!("{mebibytes} MiB of addresses");
        let confined = |command: &mut Command| confine::limit(command, libc::RLIMIT_AS, most);
        works_or_names("`ulimit -v`", &under(&what, confined, dir.path()), &what);
        let outcome = compiling(&component, (libc::RLIMIT_AS, most), dir.path());
        works_or_names("`ulimit -v`", &outcome, &what);
    }
    let outcome = compiling(&component, (libc::RLIMIT_AS, 500 << 20), dir.path());
    assert_eq!(outcome, (0, String::new()));
}

/// The system permitted less than the limits of loading, so that those did not run out.
#[test]
fn a_compiler_that_the_system_ends_ran_into_the_limit_of_the_system() {
    let function = format!(
        "(func (param i32) (result i32) local.get 0 {})",
        "local.get 0 i32.add ".repeat(300_000)
    );
    let (dir, component) = foreign(&bare_component(&[("MODULE", &function)]));
    let outcome = compiling(&component, (libc::RLIMIT_AS, 240 << 20), dir.path());
    works_or_names("`ulimit -v`", &outcome, "addresses");
    assert_eq!(outcome.0, 6, "it takes more");
    let outcome = compiling(&component, (libc::RLIMIT_CPU, 1), dir.path());
    works_or_names("`ulimit -t`", &outcome, "processor time");
}

#[test]
fn a_compiler_without_threads_is_a_shortage_of_the_host() {
    let (dir, component) = plain();
    let outcomes: Vec<_> = (0..14)
        .chain([32])
        .map(|most| {
            let outcome = compiling(&component, (libc::RLIMIT_NPROC, most), dir.path());
            works_or_names("`ulimit -u`", &outcome, &format!("{most} threads"));
            outcome.0
        })
        .collect();
    eprintln!("with so many threads: {outcomes:?}");
    assert_eq!(outcomes.last(), Some(&0));
}
