//! What may lie for a while in the place of a watched file, and successors that fail their first
//! call: the old backend serves, and the watch goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{
    Backend, Configuration, ConfigurationError, Error, ErrorKind, Limits, LoadError, SwapOptions,
    Watch,
};
use artifact_store_tests::scripted::{Answer, Scripted};
use artifact_store_tests::{bare, bare_component, expect};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use crate::watch::eventually;

/// The files that are watched.
const FILES: [&str; 3] = ["backend.wasm", "stores.toml", "ca.pem"];

/// A store of which all three are in one folder.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("data")).unwrap();
        fs::write(place.path("backend.wasm"), component(0)).unwrap();
        fs::write(place.path("ca.pem"), authority()).unwrap();
        let text = "[stores.main]\nbackend = 'backend.wasm'\ncertificate-authority = 'ca.pem'\n\
                    network = ['https://localhost']\nlimits = { call-timeout = '10s' }\n";
        fs::write(place.path("stores.toml"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self) -> (ArtifactStore, Watch) {
        let file = self.path("stores.toml");
        ArtifactStore::open_watched(file, "main", SwapOptions::default()).unwrap()
    }

    fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path("new"), content).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }
}

/// A backend that works; each number is another component.
fn component(n: u8) -> Vec<u8> {
    let mut component = bare_component(&[]);
    component.extend([0, 3, 1, b'n', n]);
    component
}

fn authority() -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

/// A file that another process writes to without end.
struct Growing(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Growing {
    fn start(path: &Path) -> Self {
        use std::io::Write;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let mut file = fs::File::create(path).unwrap();
        // The first eight bytes alone are a component, one without anything in it.
        file.write_all(&component(0)[..8]).unwrap();
        file.write_all(&[0; 1 << 16]).unwrap();
        let writer = std::thread::spawn(move || {
            let mut written = 0;
            while !is_over.load(Ordering::Relaxed) && written < 500 << 20 {
                written += file.write(&[0; 1 << 16]).unwrap();
            }
        });
        Self(over, Some(writer))
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(JoinHandle::join);
    }
}

/// Puts something that is no sound file into the place of a file.
type Put = fn(&Path) -> Option<Growing>;

const ODD: &[(&str, Put)] = &[
    ("a named pipe", |path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        None
    }),
    ("a directory", |path| {
        fs::create_dir(path).unwrap();
        None
    }),
    ("a socket", |path| {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        None
    }),
    ("an endless device", |path| {
        symlink("/dev/zero", path).unwrap();
        None
    }),
    ("a terminal", |path| {
        symlink("/dev/tty", path).unwrap();
        None
    }),
    ("a link that leads nowhere", |path| {
        symlink("nowhere", path).unwrap();
        None
    }),
    ("a link to itself", |path| {
        symlink(path, path).unwrap();
        None
    }),
    ("an empty file of 8 GiB", |path| {
        fs::File::create(path).unwrap().set_len(8 << 30).unwrap();
        None
    }),
    ("a file that grows", |path| Some(Growing::start(path))),
    ("an empty file", |path| {
        fs::write(path, "").unwrap();
        None
    }),
];

fn remove(path: &Path) {
    match fs::symlink_metadata(path).unwrap().is_dir() {
        true => fs::remove_dir(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    }
}

#[test]
fn whatever_lies_in_the_place_of_a_watched_file_the_watch_goes_on() {
    let place = Place::new();
    let (store, watch) = place.open();
    for file in FILES {
        let path = place.path(file);
        for (what, put) in ODD {
            let what = format!("{what} in the place of {file}");
            let whole = fs::read(&path).unwrap();
            let swaps = watch.status().swaps;
            fs::remove_file(&path).unwrap();
            let growing = put(&path);
            eventually(&what, &watch, || watch.status().last_error.is_some());
            assert_eq!(store.get("k").unwrap(), "", "{what}");
            drop(growing);
            remove(&path);
            fs::write(&path, &whole).unwrap();
            eventually(&what, &watch, || watch.status().last_error.is_none());
            assert_eq!(watch.status().swaps, swaps, "{what}: it is what served before");
        }
    }
    place.replace("backend.wasm", component(1));
    eventually("the new backend", &watch, || watch.status().swaps == 1);
}

#[test]
fn a_component_that_is_no_file_is_refused_at_once_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backend.wasm");
    for (what, put) in ODD {
        let growing = put(&path);
        let begun = Instant::now();
        let opened = ArtifactStore::open(Backend::from_file(&path)).err().unwrap().into_kind();
        let inspected = Backend::from_file(&path).inspect().err().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        let ErrorKind::Load(opened) = opened else { panic!("{what}: {opened:?}") };
        for error in [opened, inspected] {
            let is_named = match (*what, &error) {
                ("a named pipe" | "a directory" | "a socket", LoadError::NotAComponent(kind)) => {
                    kind == what
                }
                ("an endless device" | "a terminal", LoadError::NotAComponent(kind)) => {
                    kind == "a device"
                }
                ("an empty file", LoadError::NotAComponent(kind)) => kind == what,
                ("an empty file of 8 GiB", LoadError::Limit { name, found, .. }) => {
                    *name == "file-size" && *found == Some(8 << 30)
                }
                // How far it had grown is not known; it may have been cut in a section.
                ("a file that grows", _) => true,
                (_, error) => matches!(error, LoadError::Read(_)),
            };
            assert!(is_named, "{what}: {error:?}");
        }
        // The command line says so in one line, too.
        for command in ["inspect", "bundle", "check"] {
            let more: &[&str] = if command == "bundle" { &["-o", "out.wasm"] } else { &[] };
            let error = expect(dir.path(), &[&[command, "backend.wasm"], more].concat(), b"", 1);
            let said = error.lines().filter(|line| !line.starts_with("hint: ")).count();
            assert_eq!(said, 1, "{what}: {error}");
        }
        drop(growing);
        remove(&path);
    }
}

#[test]
fn a_configuration_or_authority_that_is_no_file_is_an_error_that_names_it() {
    let place = Place::new();
    let cases = ODD.iter().filter(|(what, _)| *what != "a file that grows");
    for (what, put) in cases {
        let file = place.path("other.toml");
        put(&file);
        let error = Configuration::from_file(&file).and_then(|it| it.store("main").map(drop));
        let error = error.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{what}: {error}");
        assert!(error.to_string().contains("other.toml"), "{what}: {error}");
        remove(&file);
    }
    fs::write(place.path("large.toml"), "#".repeat(5 << 20)).unwrap();
    let error = Configuration::from_file(place.path("large.toml")).unwrap_err();
    let ErrorKind::Configuration(ConfigurationError::Read { source, .. }) = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::FileTooLarge);
    for (what, put) in ODD.iter().filter(|(what, _)| *what != "a file that grows") {
        remove(&place.path("ca.pem"));
        put(&place.path("ca.pem"));
        let configuration = Configuration::from_file(place.path("stores.toml")).unwrap();
        let backend = configuration.store("main").unwrap().backend().unwrap();
        let error = ArtifactStore::open(backend).err().unwrap();
        let is_named = matches!(error.kind(), ErrorKind::Load(LoadError::Network { .. }));
        assert!(is_named, "{what}: {error:?}");
    }
}

/// Swaps it in by a call.
fn swapped(backend: Backend) -> Result<(), Error> {
    let store = ArtifactStore::open(bare(&[])).unwrap();
    let limits = Limits::default().call_timeout(Duration::from_secs(3));
    let outcome = store.swap(backend.limits(limits), SwapOptions::default()).map(drop);
    if outcome.is_err() {
        assert_eq!(store.get("k").unwrap(), "", "the old one serves");
    }
    outcome
}

#[test]
fn a_successor_that_cannot_answer_is_refused() {
    let error = swapped(bare(&[("GET", "unreachable")])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
    let error = swapped(bare(&[("GET", "(loop (br 0))")])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
    // A result that is none: its case is beyond those of the contract.
    let error = swapped(bare(&[("GET", "(i32.store8 (i32.const 0) (i32.const 9))")])).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_) | ErrorKind::Protocol(_)), "{error:?}");
    let full = "(loop (drop (memory.grow (i32.const 100))) (br 0))";
    assert!(swapped(bare(&[("GET", full)])).is_err());
    swapped(bare(&[("PUT", "unreachable")])).unwrap();
}

#[test]
fn the_watch_tries_a_successor_before_it_serves() {
    let place = Place::new();
    let (store, watch) = place.open();
    for code in ["unreachable", "(loop (br 0))"] {
        place.replace("backend.wasm", bare_component(&[("GET", code)]));
        eventually("the refusal", &watch, || watch.status().last_error.is_some());
        assert_eq!(store.get("k").unwrap(), "");
        place.replace("backend.wasm", component(0));
        eventually("its end", &watch, || watch.status().last_error.is_none());
    }
    assert_eq!(watch.status().swaps, 0);
}

#[test]
fn a_service_that_is_out_of_reach_is_no_reason_to_refuse_a_successor() {
    // It answers nothing, then 503, then it is gone.
    let hangs = Scripted::start(|_, _| Answer::Hang);
    swapped(hangs.backend()).unwrap();
    let fails = Scripted::start(|_, _| {
        Answer::Send(artifact_store_tests::scripted::error(503, "SlowDown"))
    });
    swapped(fails.backend()).unwrap();
    let closes = Scripted::start(|_, _| Answer::Reset(Vec::new()));
    swapped(closes.backend()).unwrap();
}
