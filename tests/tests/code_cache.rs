//! The cache of compiled code. What lies in it is run outside of the sandbox, so that it is used
//! only where it is what this user's compiler wrote.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Cache, Engine, ErrorKind, Limits, LoadError, LoadLimits};
use artifact_store_tests::{bare, cli, expect, logged};
use crc_fast::{CrcAlgorithm, checksum};
use tempfile::TempDir;

/// Where the parts of an entry begin that follow the code: what it is for, and the checksum over all
/// of it.
const COMPONENT: usize = 16;
const ENGINE: usize = COMPONENT + 32;
const CHECKSUM: usize = ENGINE + 32 + 8 * 18;
const TAIL: usize = CHECKSUM + 8;

/// The place of such a part in this entry.
fn at(entry: &[u8], part: usize) -> usize {
    entry.len() - TAIL + part
}

fn engine(folder: &Path) -> Engine {
    Engine::builder().cache(Cache::Dir(folder.to_owned())).build().unwrap()
}

/// Loads a backend whose artifacts are all empty, and asks it for one.
fn works(engine: &Engine) {
    let store = ArtifactStore::open(bare(&[]).engine(engine)).unwrap();
    assert_eq!(store.get("k").unwrap(), "");
}

/// Another backend, whose `get` traps.
fn trapping() -> Backend {
    bare(&[("GET", "unreachable")])
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// A folder with the one entry of the backend that [`works`].
fn filled() -> (TempDir, Engine, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    works(&engine);
    let [entry] = &*entries(folder.path()) else { panic!("{:?}", entries(folder.path())) };
    let entry = entry.clone();
    (folder, engine, entry)
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// The backend works, and its entry is a new file that is as good as the one that was there first.
#[track_caller]
fn heals(engine: &Engine, entry: &Path, whole: &[u8]) {
    works(engine);
    assert!(fs::symlink_metadata(entry).unwrap().is_file());
    assert!(fs::read(entry).unwrap() == whole, "it was not made again");
    let before = inode(entry);
    works(engine);
    assert_eq!(inode(entry), before, "it is used from then on");
}

/// Computes the checksum of an entry that was changed, as whoever may write there could.
fn signed(mut entry: Vec<u8>) -> Vec<u8> {
    let place = at(&entry, CHECKSUM);
    let found = checksum(CrcAlgorithm::Crc64Nvme, &entry[..place]);
    entry[place..].copy_from_slice(&found.to_le_bytes());
    entry
}

#[test]
fn a_second_start_uses_the_entry_of_the_first() {
    let (folder, engine, entry) = filled();
    let before = inode(&entry);
    works(&engine);
    drop(engine);
    works(&self::engine(folder.path()));
    assert_eq!((entries(folder.path()).len(), inode(&entry)), (1, before));
    let mode = fs::metadata(&entry).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o600, "others can neither read nor write it");
    let whole = fs::read(&entry).unwrap();
    assert!(whole == signed(whole.clone()), "the tests below know its format");
}

#[test]
fn a_flipped_bit_anywhere_in_an_entry_is_found_and_the_entry_is_made_again() {
    let (_folder, engine, entry) = filled();
    let whole = fs::read(&entry).unwrap();
    let places = [0, 15, COMPONENT, ENGINE, ENGINE + 32, CHECKSUM - 1, CHECKSUM, TAIL - 1];
    let places = places.map(|part| at(&whole, part));
    let spread = (0..20).map(|n| (whole.len() - TAIL) / 20 * n + n);
    for place in places.into_iter().chain(spread).chain([at(&whole, 0) - 1]) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&entry, damaged).unwrap();
        heals(&engine, &entry, &whole);
    }
}

#[test]
fn an_entry_that_is_cut_or_too_long_is_made_again() {
    let (_folder, engine, entry) = filled();
    let whole = fs::read(&entry).unwrap();
    let code = at(&whole, 0);
    for end in [0, 1, TAIL - 1, TAIL, TAIL + 1, whole.len() / 2, code, whole.len() - 1] {
        fs::write(&entry, &whole[..end]).unwrap();
        heals(&engine, &entry, &whole);
    }
    fs::write(&entry, [&whole[..], b"\0"].concat()).unwrap();
    heals(&engine, &entry, &whole);
    fs::write(&entry, vec![0; whole.len()]).unwrap();
    heals(&engine, &entry, &whole);
}

#[test]
fn the_entry_of_another_component_is_not_run_in_the_place_of_ones_own() {
    let (folder, engine, entry) = filled();
    let whole = fs::read(&entry).unwrap();
    let other = ArtifactStore::open(trapping().engine(&engine)).unwrap();
    assert!(matches!(other.get("k").unwrap_err().kind(), ErrorKind::Trap(_)));
    let others = entries(folder.path());
    let other = others.iter().find(|path| **path != entry).unwrap();
    fs::copy(other, &entry).unwrap();
    heals(&engine, &entry, &whole);
    // A pin does not help who looks at the file of the component alone.
    fs::copy(other, &entry).unwrap();
    let digest = ArtifactStore::open(bare(&[])).unwrap().backend().digest().to_owned();
    let pinned = bare(&[]).pin(digest);
    let store = ArtifactStore::open(pinned.engine(&engine)).unwrap();
    assert_eq!(store.get("k").unwrap(), "");
}

#[test]
fn an_entry_of_another_engine_or_format_is_made_again() {
    let (_folder, engine, entry) = filled();
    let whole = fs::read(&entry).unwrap();
    for place in [14, COMPONENT, ENGINE, ENGINE + 31] {
        let mut others = whole.clone();
        others[at(&whole, place)] ^= 1;
        fs::write(&entry, signed(others)).unwrap();
        heals(&engine, &entry, &whole);
    }
    // Code that wasmtime itself does not take for that of this engine.
    let mut others = whole.clone();
    others[..64].fill(0);
    fs::write(&entry, signed(others)).unwrap();
    heals(&engine, &entry, &whole);
}

#[test]
fn what_is_no_file_of_this_users_own_is_replaced_and_not_followed() {
    let (folder, engine, entry) = filled();
    let whole = fs::read(&entry).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target");
    fs::write(&target, &whole).unwrap();
    fs::remove_file(&entry).unwrap();
    symlink(&target, &entry).unwrap();
    heals(&engine, &entry, &whole);
    assert_eq!(fs::read(&target).unwrap(), whole);

    fs::remove_file(&entry).unwrap();
    symlink(elsewhere.path().join("absent"), &entry).unwrap();
    heals(&engine, &entry, &whole);
    assert!(!elsewhere.path().join("absent").exists());

    for mode in [0o620, 0o602] {
        fs::set_permissions(&entry, fs::Permissions::from_mode(mode)).unwrap();
        let before = inode(&entry);
        works(&engine);
        assert_ne!(inode(&entry), before, "others may have written it");
        assert_eq!(fs::metadata(&entry).unwrap().mode() & 0o7777, 0o600);
    }

    fs::remove_file(&entry).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&entry).status().unwrap();
    assert!(fifo.success());
    heals(&engine, &entry, &whole);

    // This one cannot be replaced; the backend works all the same.
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    works(&engine);
    assert_eq!(entries(folder.path()), [entry], "nothing unfinished is left");
}

#[test]
fn a_file_of_another_user_is_not_run() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can give a file away");
    }
    let (_folder, engine, entry) = filled();
    let before = inode(&entry);
    std::os::unix::fs::chown(&entry, Some(65534), None).unwrap();
    works(&engine);
    assert_ne!(inode(&entry), before);
    assert_eq!(fs::metadata(&entry).unwrap().uid(), 0);
}

/// The engine does not use the folder, says why, and works.
#[track_caller]
fn is_not_used(folder: &Path, why: &str) {
    let before = entries(folder);
    let engine = engine(folder);
    let ((), log) = logged(|| works(&engine));
    assert!(log.contains("WARN") && log.contains("compiled code is not cached"), "{log}");
    assert!(log.contains(why), "{log}");
    works(&engine);
    assert_eq!(entries(folder), before);
}

#[test]
fn a_folder_into_which_others_can_write_is_not_used() {
    let outer = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = outer.path().join("code");
    fs::create_dir(&folder).unwrap();
    for mode in [0o770, 0o707, 0o777, 0o1777] {
        set(&folder, mode);
        is_not_used(&folder, "other users may write to");
    }
    set(&folder, 0o700);
    for mode in [0o770, 0o777] {
        set(outer.path(), mode);
        is_not_used(&folder, "other users may write to");
        is_not_used(&folder.join("deeper/still"), "other users may write to");
    }
    // There nobody can rename what is another user's; `/tmp` is such a folder.
    set(outer.path(), 0o1777);
    works(&engine(&folder));
    assert_eq!(entries(&folder).len(), 1);
    // A link leads to a folder that is looked at as it is.
    set(outer.path(), 0o700);
    let link = outer.path().join("link");
    symlink(&folder, &link).unwrap();
    works(&engine(&link));
    set(&folder, 0o777);
    is_not_used(&link, "other users may write to");
    // No folder at all.
    fs::write(outer.path().join("file"), "").unwrap();
    is_not_used(&outer.path().join("file"), "ot a directory");
}

#[test]
fn a_folder_of_another_user_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can give a folder away");
    }
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("code");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(65534), None).unwrap();
    is_not_used(&folder, "belongs to another user");
    // As with `sudo` that keeps HOME: the folder of the caller.
    is_not_used(&folder.join("artifact-store"), "belongs to another user");
    assert_eq!(entries(&folder).len(), 0, "nothing is made there");
}

#[test]
fn limits_hold_for_code_from_the_cache_too() {
    let (_folder, engine, _) = filled();
    let load = LoadLimits::default().functions(1);
    let limits = Limits::default().load(load);
    let error = ArtifactStore::open(bare(&[]).engine(&engine).limits(limits)).err().unwrap();
    let ErrorKind::Load(LoadError::Limit { name, limit, .. }) = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!((*name, *limit), ("functions", 1));
}

#[test]
fn an_engine_without_a_cache_keeps_nothing() {
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::builder().cache(Cache::Off).build().unwrap();
    works(&engine);
    assert_eq!(entries(home.path()).len(), 0);
    assert_eq!(engine, Engine::builder().cache(Cache::Off).build().unwrap());
    assert_ne!(engine, self::engine(home.path()));
}

#[test]
fn the_command_line_keeps_code_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let put = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = cli();
        command.args(["put", "k", "file"]).args(arguments).current_dir(dir);
        command.env("XDG_CACHE_HOME", dir.join("xdg")).env_remove("ARTIFACT_STORE_CACHE");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    fs::write(dir.join("file"), "content").unwrap();
    let default = dir.join("xdg/artifact-store/code");
    put(&["--cache", "off"], &[]);
    put(&[], &[("ARTIFACT_STORE_CACHE", "off")]);
    assert!(!default.exists() && !dir.join("off").exists());
    put(&["--cache", "named"], &[("ARTIFACT_STORE_CACHE", "off")]);
    assert_eq!(entries(&dir.join("named")).len(), 1);
    put(&[], &[("ARTIFACT_STORE_CACHE", "by-variable")]);
    assert_eq!(entries(&dir.join("by-variable")).len(), 1);
    put(&["--cache", "./off"], &[]);
    assert_eq!(entries(&dir.join("off")).len(), 1);
    assert!(!default.exists());
    put(&[], &[("ARTIFACT_STORE_CACHE", "")]);
    assert_eq!(entries(&default).len(), 1, "an empty variable is one that is not set");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&default), mode(&dir.join("xdg"))), (0o700, 0o700));
}

#[test]
fn a_configuration_says_where_code_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("data")).unwrap();
    let configure = |cache: &str| {
        let text = format!(
            "{cache}\n[stores.main]\nbackend = 'fs'\n\
             [[stores.main.directories]]\nhost = 'data'\n"
        );
        fs::write(dir.join("stores.toml"), text).unwrap();
    };
    configure("cache = 'code'");
    let check = ["--config", "stores.toml", "config", "check"];
    let shown = expect(dir, &check, b"", 0);
    assert!(shown.contains("cache = "), "{shown}");
    assert_eq!(entries(&dir.join("code")).len(), 1, "beside the file");
    let store = ArtifactStore::open_configured(dir.join("stores.toml"), "main").unwrap();
    store.put("k", "v").unwrap();
    fs::remove_dir_all(dir.join("code")).unwrap();
    // The command line counts more.
    expect(dir, &[&check[..], &["--cache", "other"]].concat(), b"", 0);
    assert_eq!((entries(&dir.join("code")).len(), entries(&dir.join("other")).len()), (0, 1));
    configure("cache = 'off'");
    expect(dir, &check, b"", 0);
    assert!(!dir.join("off").exists());
    for wrong in ["cache = ''", "cache = 5"] {
        configure(wrong);
        let error = expect(dir, &check, b"", 1);
        assert!(error.contains("stores.toml:1") && error.contains("`cache`"), "{error}");
    }
}
