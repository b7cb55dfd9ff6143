//! What is in a cache of compiled code is run as it is, by every store: no foreign backend writes
//! into one, be it in use or not.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Cache, Engine, ErrorKind, Grants, LoadError};
use artifact_store_tests::{cli, guest};
use tempfile::TempDir;

/// Directories for the grants, of which `data/code` is a cache.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["data/code", "other", "home"] {
            fs::create_dir_all(place.path(dir)).unwrap();
        }
        fs::copy(guest("intruder"), place.path("intruder.wasm")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The exit code and the standard error of a command that begins here.
    fn ended(&self, arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command: Command = cli();
        command.current_dir(self.0.path()).env_remove("XDG_CACHE_HOME");
        command.env("HOME", self.path("home")).envs(env.iter().copied());
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// A foreign backend may not write there.
    #[track_caller]
    fn refused(&self, arguments: &[&str], env: &[(&str, &str)]) {
        let (code, text) = self.ended(arguments, env);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("the cache of compiled code") || text.contains("relies on"),
            "{text}"
        );
    }

    #[track_caller]
    fn works(&self, arguments: &[&str], env: &[(&str, &str)]) {
        let (code, text) = self.ended(arguments, env);
        assert_eq!(code, Some(0), "{text}");
    }
}

const ON_DATA: [&str; 6] = ["--backend", "intruder.wasm", "--dir", "data", "get", "environment"];

fn home(place: &Place) -> String {
    place.path("data").display().to_string()
}

#[test]
fn the_users_cache_is_refused_and_what_lies_in_it() {
    let place = Place::new();
    place.works(&ON_DATA, &[]);
    let home = home(&place);
    place.refused(&ON_DATA, &[("HOME", &home)]);
    let below = place.path("data/.cache/artifact-store/code/below");
    fs::create_dir_all(&below).unwrap();
    let mut in_it = ON_DATA;
    in_it[3] = below.to_str().unwrap();
    place.refused(&in_it, &[("HOME", &home)]);
    // The built-in backend is no stranger.
    place.works(&["--dir", "data", "put", "k", "intruder.wasm"], &[("HOME", &home)]);
}

/// Another process uses it, in which the variable is not set or the option not given.
#[test]
fn a_cache_that_is_not_in_use_is_refused_too() {
    let place = Place::new();
    let home = home(&place);
    place.refused(&ON_DATA, &[("HOME", &home), ("XDG_CACHE_HOME", "/elsewhere")]);
    place.refused(&ON_DATA, &[("XDG_CACHE_HOME", &home)]);
    let off = [&["--cache", "off"], &ON_DATA[..]].concat();
    place.refused(&off, &[("HOME", &home)]);
    place.refused(&off, &[("ARTIFACT_STORE_CACHE", "data/code")]);
    place.refused(&ON_DATA, &[("ARTIFACT_STORE_CACHE", "data/code")]);
    place.refused(&[&["--cache", "data/code"], &ON_DATA[..]].concat(), &[]);
    place.works(&off, &[("ARTIFACT_STORE_CACHE", "other")]);
    place.works(&off, &[("ARTIFACT_STORE_CACHE", "off")]);
    place.works(&off, &[("ARTIFACT_STORE_CACHE", "")]);
}

#[test]
fn the_cache_of_a_configuration_is_refused_whichever_is_in_use() {
    let place = Place::new();
    symlink("data", place.path("alias")).unwrap();
    let configure = |cache: &str, dir: &str| {
        let text = format!(
            "{cache}\n[stores.foreign]\nbackend = 'intruder.wasm'\n\
             directories = [{{ host = '{dir}' }}]\n\
             [stores.ours]\nbackend = 'fs'\ndirectories = [{{ host = 'other' }}]\n"
        );
        fs::write(place.path("stores.toml"), text).unwrap();
    };
    let foreign = ["--config", "stores.toml", "--store", "foreign", "get", "environment"];
    // It would run what the other store left in the cache.
    let ours = ["--config", "stores.toml", "--store", "ours", "list"];
    let elsewhere = place.path("home").display().to_string();
    for dir in ["data", "data/code", "alias"] {
        configure("cache = 'data/code'", dir);
        for command in [foreign, [&ours[..], &[""]].concat().try_into().unwrap()] {
            place.refused(&command, &[]);
            place.refused(&command, &[("ARTIFACT_STORE_CACHE", &elsewhere)]);
            place.refused(&[&["--cache", "off"], &command[..]].concat(), &[]);
        }
    }
    for cache in ["cache = 'off'", "cache = 'home/code'", ""] {
        configure(cache, "data");
        place.works(&foreign, &[]);
        place.works(&ours, &[]);
    }
}

/// What comes later is compared with what is open.
#[test]
fn an_engine_protects_its_cache_and_what_it_is_told() {
    let place = Place::new();
    let open = |engine: &Engine, dir: &str| {
        let grants = Grants::none().read_write(place.path(dir), "/");
        let backend = Backend::from_file(place.path("intruder.wasm")).grants(grants);
        ArtifactStore::open(backend.engine(engine))
    };
    let ours = |engine: &Engine| {
        ArtifactStore::open(Backend::fs(place.path("other")).engine(engine)).map(drop)
    };
    #[track_caller]
    fn refused<T>(opened: Result<T, artifact_store::Error>) {
        let error = opened.err().expect("it is refused");
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Overlap { .. })), "{error:?}");
    }
    let off = Engine::builder().cache(Cache::Off).build().unwrap();
    let on = Engine::builder().cache(Cache::Dir(place.path("data/code"))).build().unwrap();
    let protects =
        Engine::builder().cache(Cache::Off).protect(place.path("data/plan")).build().unwrap();
    for engine in [&on, &protects] {
        refused(open(engine, "data"));
        ours(engine).unwrap();
        let writer = open(&off, "data").unwrap();
        refused(ours(engine));
        drop(writer);
        ours(engine).unwrap();
    }
}

/// What is trusted here besides the grants.
#[test]
fn the_certificates_of_the_environment_are_refused() {
    let place = Place::new();
    fs::write(place.path("data/ca.pem"), "").unwrap();
    let (code, text) = place.ended(&ON_DATA, &[("SSL_CERT_FILE", "data/ca.pem")]);
    assert!(code == Some(1) && text.contains("a certificate authority"), "{text}");
    let (code, text) = place.ended(&ON_DATA, &[("SSL_CERT_DIR", "home:data/code")]);
    assert!(code == Some(1) && text.contains("a certificate authority"), "{text}");
    place.works(&ON_DATA, &[("SSL_CERT_FILE", "other/ca.pem"), ("SSL_CERT_DIR", "")]);
}

/// Whoever can put something else in its place later is refused now.
#[test]
fn a_path_that_leads_nowhere_is_protected_too() {
    let place = Place::new();
    symlink("circle", place.path("data/circle")).unwrap();
    symlink("code/nowhere", place.path("data/dangling")).unwrap();
    fs::write(place.path("data/file"), "").unwrap();
    let long = format!("data/{}", "n".repeat(300));
    for cache in ["data/circle", "data/circle/c", "data/dangling", "data/file/c", &long] {
        place.refused(&ON_DATA, &[("ARTIFACT_STORE_CACHE", cache)]);
        let off = [&["--cache", "off"], &ON_DATA[..]].concat();
        place.refused(&off, &[("ARTIFACT_STORE_CACHE", cache)]);
    }
    let elsewhere = ["other/none/c", "other/none/../c"];
    for cache in elsewhere {
        place.works(&ON_DATA, &[("ARTIFACT_STORE_CACHE", cache)]);
    }
}

/// Nothing is made in a directory before it is known that it may be used.
#[test]
fn a_refused_backend_makes_no_cache() {
    let place = Place::new();
    place.refused(&[&["--cache", "data/new/cache"], &ON_DATA[..]].concat(), &[]);
    assert!(!place.path("data/new").exists());
}

/// Whoever writes into the host's memory is the host, and whoever reads it knows its secrets.
#[cfg(target_os = "linux")]
#[test]
fn the_processes_of_the_system_are_granted_to_no_foreign_backend() {
    let place = Place::new();
    for dir in ["/proc", "/proc/self", "/proc/self/task", "/proc/sys", "/proc/1"] {
        let mut command = ON_DATA;
        command[3] = dir;
        let (code, text) = place.ended(&command, &[]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("the processes of this system"), "{text}");
    }
    let backend = Backend::from_file(guest("intruder"));
    let read_only = backend.grants(Grants::none().read_only("/proc", "/"));
    let error = ArtifactStore::open(read_only).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Overlap { .. })), "{error:?}");
}
