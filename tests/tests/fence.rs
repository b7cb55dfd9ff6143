//! What a set of grants may not contain: nothing that a backend may write decides what it, or
//! another one, is granted.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{
    Backend, Configuration, ConfigurationError, Error, ErrorKind, Grants, LoadError, SwapOptions,
};
use artifact_store_tests::{cli, guest};
use tempfile::TempDir;

/// Directories for the grants, and one that nobody is granted.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["data/sub/deep", "other", "outside"] {
            fs::create_dir_all(place.path(dir)).unwrap();
        }
        fs::write(place.path("outside/secret"), "hush").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A component of somebody else's.
    fn foreign(&self, grants: Grants) -> Result<ArtifactStore, Error> {
        ArtifactStore::open(Backend::from_file(guest("intruder")).grants(grants))
    }

    fn foreign_on(&self, dir: &str) -> Result<ArtifactStore, Error> {
        self.foreign(Grants::none().read_write(self.path(dir), "/"))
    }

    fn ours(&self, grants: Grants) -> Result<ArtifactStore, Error> {
        // A sweep would still be at work when the store is dropped.
        ArtifactStore::open(Backend::fs(".").grants(grants).sweep_older_than(None))
    }

    fn ours_on(&self, dir: &str) -> Result<ArtifactStore, Error> {
        self.ours(Grants::none().read_write(self.path(dir), "/"))
    }

    fn configure(&self, text: &str) -> PathBuf {
        let (file, new) = (self.path("stores.toml"), self.path("stores.toml.new"));
        fs::write(&new, text.replace("INTRUDER", guest("intruder").to_str().unwrap())).unwrap();
        fs::rename(new, &file).unwrap();
        file
    }

    fn open(&self, store: &str) -> Result<ArtifactStore, Error> {
        ArtifactStore::open_configured(self.path("stores.toml"), store)
    }
}

/// The exit code and the standard error of a command.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The refusal's text.
#[track_caller]
fn refused(opened: Result<ArtifactStore, Error>) -> String {
    let error = opened.expect_err("it is refused");
    let ErrorKind::Load(LoadError::Overlap { directory, other, .. }) = error.kind() else {
        panic!("{error:?}")
    };
    let text = error.to_string();
    for path in [directory, other] {
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    assert!(!error.is_retryable());
    text
}

#[test]
fn one_backend_has_no_directory_in_a_writable_one() {
    let place = Place::new();
    let (outer, inner) = (place.path("data"), place.path("data/sub"));
    let all = [
        Grants::none().read_write(&outer, "/").read_only(&inner, "/config"),
        Grants::none().read_only(&inner, "/config").read_write(&outer, "/"),
        Grants::none().read_only(&outer, "/").read_write(&inner, "/config"),
        Grants::none().read_write(&outer, "/").read_write(&inner, "/config"),
        Grants::none().read_write(&outer, "/").read_only(&outer, "/config"),
        Grants::none().read_write(&outer, "/").read_only(place.path("data/sub/deep"), "/config"),
    ];
    for grants in all {
        for text in [refused(place.foreign(grants.clone())), refused(place.ours(grants))] {
            assert!(text.contains("directory of the same backend"), "{text}");
        }
    }
    let text =
        refused(place.foreign(Grants::none().read_only(&inner, "/config").read_write(&outer, "/")));
    let expected = format!(
        "the directory `{}` of backend `{}` lies in `{}`, a writable directory of the same backend",
        inner.display(),
        guest("intruder").display(),
        outer.display()
    );
    assert!(text.contains(&expected), "{text}");
    // Where nothing can be written, nothing can be moved.
    let grants = Grants::none().read_only(&outer, "/").read_only(&inner, "/config");
    place.foreign(grants.clone()).unwrap();
    place.ours(grants).unwrap();
    // Names that only begin alike, and neighbours.
    fs::create_dir(place.path("data-2")).unwrap();
    let grants = Grants::none().read_write(&outer, "/").read_write(place.path("data-2"), "/2");
    place.foreign(grants).unwrap();
}

/// What `data` is called makes no difference.
#[test]
fn directories_are_compared_as_the_system_sees_them() {
    let place = Place::new();
    symlink("data", place.path("alias")).unwrap();
    symlink(place.path("alias/sub"), place.path("absolute")).unwrap();
    for inner in ["alias/sub", "absolute", "other/../data/sub", "data/./sub/", "absolute/deep/.."] {
        let grants = Grants::none()
            .read_write(place.path("data"), "/")
            .read_only(place.path(inner), "/config");
        refused(place.foreign(grants));
    }
    for outer in ["alias", "other/../alias/.", "alias/sub/../../data"] {
        let grants = Grants::none()
            .read_write(place.path("data/sub"), "/")
            .read_only(place.path(outer), "/all");
        refused(place.foreign(grants));
    }
    let twice =
        Grants::none().read_write(place.path("data"), "/").read_only(place.path("alias"), "/2");
    refused(place.foreign(twice));
}

#[test]
fn a_relative_path_is_the_directory_that_it_names() {
    let place = Place::new();
    place.configure(
        "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n\
         [stores.b]\nbackend = 'fs'\ndirectories = [{ host = 'other/../data/sub' }]\n",
    );
    let mut command = cli();
    command.current_dir(place.path("other")).args(["--config", "../stores.toml"]);
    let (code, text) = ended(command.args(["--store", "b", "list"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("of store `b` lies in") && text.contains("of store `a`"), "{text}");
}

#[test]
fn stores_that_are_open_have_no_directory_in_one_that_a_foreign_backend_writes() {
    let place = Place::new();
    let open = place.foreign_on("data").unwrap();
    let text = refused(place.ours_on("data/sub"));
    assert!(text.contains("of backend `fs` lies in"), "{text}");
    assert!(text.contains(&format!("of backend `{}`", guest("intruder").display())), "{text}");
    refused(place.foreign_on("data/sub"));
    refused(place.foreign(Grants::none().read_only(place.path("data/sub"), "/")));
    refused(place.foreign(Grants::none().read_only(place.0.path(), "/")));
    // The same directory: a swap, a second handle.
    let second = place.foreign_on("data").unwrap();
    let third = place.ours_on("data").unwrap();
    // They are given back.
    drop(open);
    refused(place.ours_on("data/sub"));
    drop((second, third));
    let inner = place.ours_on("data/sub").unwrap();
    refused(place.foreign_on("data"));
    refused(place.foreign(Grants::none().read_only(place.path("data"), "/")));
    drop(inner);
    place.foreign_on("data").unwrap();
}

#[test]
fn a_refused_backend_holds_nothing() {
    let place = Place::new();
    let nested = Grants::none()
        .read_write(place.path("data"), "/")
        .read_only(place.path("data/sub"), "/config");
    refused(place.foreign(nested));
    place.foreign_on("data/sub").unwrap();
    // Nor does one that does not start.
    let backend = Backend::from_file(guest("later_version"))
        .grants(Grants::none().read_write(place.path("data"), "/"));
    assert!(ArtifactStore::open(backend).is_err());
    place.foreign_on("data/sub").unwrap();
}

#[test]
fn open_stores_of_the_built_in_backend_may_have_nested_directories() {
    let place = Place::new();
    let outer = place.ours_on("data").unwrap();
    let inner = place.ours_on("data/sub").unwrap();
    // By its bytes, wherever they came from.
    let file = place.path("other/fs.wasm");
    fs::write(&file, Backend::fs_component()).unwrap();
    let grants = Grants::none().read_write(place.path("data/sub/deep"), "/");
    let innermost = ArtifactStore::open(Backend::from_file(&file).grants(grants)).unwrap();
    for store in [outer, inner, innermost] {
        store.put("k", "x").unwrap();
        assert_eq!(store.get("k").unwrap(), "x");
    }
}

/// A directory that was renamed since it was opened is where it is now.
#[test]
fn an_open_directory_is_compared_where_it_is_now() {
    let place = Place::new();
    let _open = place.foreign_on("data").unwrap();
    fs::rename(place.path("data"), place.path("other/moved")).unwrap();
    refused(place.foreign_on("other/moved/sub"));
    refused(place.foreign_on("other"));
    fs::create_dir_all(place.path("data/sub")).unwrap();
    place.foreign_on("data/sub").unwrap();
    place.foreign_on("data").unwrap();
}

#[test]
fn stores_of_one_configuration_are_apart_open_or_not() {
    let place = Place::new();
    symlink("data", place.path("alias")).unwrap();
    for backend in ["fs", "INTRUDER"] {
        place.configure(&format!(
            "[stores.a]\nbackend = '{backend}'\ndirectories = [{{ host = 'data' }}]\n\
             [stores.b]\nbackend = 'fs'\ndirectories = [{{ host = 'alias/sub' }}]\n\
             [stores.c]\nbackend = 'fs'\ndirectories = [{{ host = 'other' }}]\n\
             [stores.e]\nbackend = 'none.wasm'\ndirectories = [{{ host = 'none/of/these' }}]\n"
        ));
        let text = refused(place.open("a"));
        assert!(text.contains("store `a` holds"), "{text}");
        assert!(text.contains("a writable directory of store `b`"), "{text}");
        let text = refused(place.open("b"));
        assert!(text.contains("store `b` lies in"), "{text}");
        assert!(text.contains("a writable directory of store `a`"), "{text}");
        // What is wrong with others is theirs.
        place.open("c").unwrap();
    }
    // Two stores may share a directory.
    place.configure(
        "[stores.a]\nbackend = 'INTRUDER'\ndirectories = [{ host = 'data' }]\n\
         [stores.d]\nbackend = 'fs'\ndirectories = [{ host = 'alias' }]\n",
    );
    place.open("a").unwrap();
    place.open("d").unwrap();
    // One that is not there yet decides nothing.
    place.configure(
        "[stores.a]\nbackend = 'INTRUDER'\ndirectories = [{ host = 'alias' }]\n\
         [stores.e]\nbackend = 'none.wasm'\ndirectories = [{ host = 'none/of/these' }]\n",
    );
    place.open("a").unwrap();
    // One that is still to be made would lie in it.
    place.configure(
        "[stores.a]\nbackend = 'INTRUDER'\ndirectories = [{ host = 'data' }]\n\
         [stores.b]\nbackend = 'fs'\ndirectories = [{ host = 'alias/sub/to/come' }]\n",
    );
    let text = refused(place.open("a"));
    assert!(text.contains("holds") && text.contains("to/come"), "{text}");
}

#[test]
fn the_configuration_names_the_line_of_what_it_shows_itself() {
    let place = Place::new();
    let file = place.configure(
        "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n\
         [stores.b]\nbackend = 'none.wasm'\n\
         [[stores.b.directories]]\nhost = './data/sub'\nread-only = true\n\
         [[stores.b.directories]]\nhost = 'other'\nguest = '/other'\n\
         [[stores.b.directories]]\nhost = 'other/.'\nguest = '/again'\nread-only = true\n\
         [stores.c]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n",
    );
    let error = Configuration::from_file(&file).unwrap_err();
    let ErrorKind::Configuration(ConfigurationError::Invalid { problems, .. }) = error.kind()
    else {
        panic!("{error:?}")
    };
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [6, 12, 18], "{error}");
    let root = place.0.path().display();
    let expected = format!(
        "the directory `{root}/./data/sub` of store `b` lies in `{root}/data` of store `a`; a \
         directory that a backend may write neither holds nor lies in another one"
    );
    assert_eq!(problems[0].text, expected);
    assert!(problems[1].text.contains("store `b` has the directory"), "{error}");

    let (code, text) =
        ended(cli().arg("--config").arg(&file).args(["config", "check", "--no-open"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("{}:6: the directory", file.display())), "{text}");
}

/// The configuration decides what a backend may do.
#[test]
fn no_foreign_backend_writes_the_configuration_or_a_component() {
    let place = Place::new();
    fs::write(place.path("data/ca.pem"), "").unwrap();
    fs::copy(guest("intruder"), place.path("data/own.wasm")).unwrap();
    let store = |name: &str, backend: &str, more: &str| {
        format!("[stores.{name}]\nbackend = '{backend}'\n{more}\n")
    };
    let on = |dir: &str| format!("directories = [{{ host = '{dir}' }}]");
    place.configure(&store("a", "INTRUDER", &on(".")));
    let text = refused(place.open("a"));
    assert!(text.contains("holds") && text.ends_with("stores.toml`, the configuration"), "{text}");
    // However it is called, and by whichever way it is found.
    fs::rename(place.path("stores.toml"), place.path("data/real.toml")).unwrap();
    symlink("data/real.toml", place.path("stores.toml")).unwrap();
    let text = fs::read_to_string(place.path("stores.toml")).unwrap();
    fs::write(place.path("stores.toml"), text.replace("host = '.'", "host = 'data'")).unwrap();
    refused(place.open("a"));
    fs::rename(place.path("data/real.toml"), place.path("other/real.toml")).unwrap();
    fs::remove_file(place.path("stores.toml")).unwrap();
    symlink("../other/real.toml", place.path("data/link.toml")).unwrap();
    symlink("data/link.toml", place.path("stores.toml")).unwrap();
    let text = refused(place.open("a"));
    assert!(text.contains("holds a part of the path to"), "{text}");
    fs::remove_file(place.path("stores.toml")).unwrap();

    place.configure(&store("a", "data/own.wasm", &on("data")));
    let text = refused(place.open("a"));
    assert!(text.ends_with("data/own.wasm`, the component of the same backend"), "{text}");
    // Another store's is as good.
    let both = store("a", "INTRUDER", &on("data")) + &store("b", "data/own.wasm", "");
    place.configure(&both);
    let text = refused(place.open("a"));
    assert!(text.ends_with("data/own.wasm`, the component of store `b`"), "{text}");
    place.open("b").unwrap();
    let authority = "certificate-authority = 'data/ca.pem'";
    place.configure(&(store("a", "INTRUDER", &on("data")) + &store("b", "INTRUDER", authority)));
    let text = refused(place.open("a"));
    assert!(text.ends_with("data/ca.pem`, a certificate authority of store `b`"), "{text}");
    place.configure(&store("a", "INTRUDER", &format!("{}\n{authority}", on("data"))));
    assert!(place.open("a").is_err());

    // What it may only read it may have.
    let read_only = "directories = [{ host = '.', read-only = true }]";
    place.configure(&store("a", "data/own.wasm", read_only));
    place.open("a").unwrap();
    // The built-in backend is trusted, also as a file.
    fs::write(place.path("data/own.wasm"), Backend::fs_component()).unwrap();
    for backend in ["fs", "data/own.wasm"] {
        place.configure(&store("a", backend, &on(".")));
        place.open("a").unwrap().put("k", "x").unwrap();
    }
}

#[test]
fn no_foreign_backend_writes_its_own_file_or_that_of_one_that_is_open() {
    let place = Place::new();
    fs::copy(guest("intruder"), place.path("data/own.wasm")).unwrap();
    let own = || Backend::from_file(place.path("data/own.wasm"));
    refused(ArtifactStore::open(own().grants(Grants::none().read_write(place.path("data"), "/"))));
    let open = ArtifactStore::open(own()).unwrap();
    let text = refused(place.foreign_on("data"));
    let component = place.path("data/own.wasm").display().to_string();
    assert!(text.contains(&format!("the component of backend `{component}`")), "{text}");
    drop(open);
    let _writes = place.foreign_on("data").unwrap();
    refused(ArtifactStore::open(own()));
    // Bytes come from nowhere.
    let bytes = fs::read(guest("intruder")).unwrap();
    ArtifactStore::open(Backend::from_bytes("bytes", bytes)).unwrap();
}

#[test]
fn no_directory_is_found_through_a_link_in_one_that_a_backend_writes() {
    let place = Place::new();
    symlink("../outside", place.path("data/link")).unwrap();
    symlink("data/link", place.path("to-link")).unwrap();
    // Of the same backend, whichever it is.
    for (path, dir) in [("data/link", "data"), ("to-link", "data"), ("to-link/.", "data")] {
        let grants =
            Grants::none().read_write(place.path(dir), "/").read_only(place.path(path), "/config");
        for text in [refused(place.foreign(grants.clone())), refused(place.ours(grants))] {
            let link = place.path("data/link").display().to_string();
            assert!(text.contains("is reached through") && text.contains(&link), "{text}");
            assert!(text.ends_with("which the same backend may change"), "{text}");
        }
    }
    // Of the process.
    for open in [place.foreign_on("data").unwrap(), place.ours_on("data").unwrap()] {
        let text = refused(place.ours_on("to-link"));
        assert!(text.contains("is reached through"), "{text}");
        drop(open);
    }
    // Of the configuration, open or not.
    place.configure(
        "[stores.a]\nbackend = 'INTRUDER'\ndirectories = [{ host = 'data' }]\n\
         [stores.b]\nbackend = 'fs'\ndirectories = [{ host = 'to-link' }]\n",
    );
    let text = refused(place.open("b"));
    assert!(
        text.contains("is reached through") && text.ends_with("store `a` may change"),
        "{text}"
    );
    // Out of its own directory: this link decides which one it is.
    symlink("../data", place.path("data/self")).unwrap();
    refused(place.foreign_on("data/self"));
    // An operator's own links are followed.
    place.ours_on("to-link").unwrap().put("k", "x").unwrap();
    assert!(place.path("outside/tmp").exists());
}

/// By renaming a directory a backend decides where `..` leads.
#[test]
fn no_directory_is_found_by_going_up_from_one_that_a_foreign_backend_moves() {
    let place = Place::new();
    let _open = place.foreign_on("data").unwrap();
    refused(place.ours_on("data/sub/../../other"));
    // It moves the root of its grant nowhere.
    place.ours_on("data/../other").unwrap();
}

/// The attack as it was made: `/sub` is renamed away and comes back as a link to elsewhere.
#[test]
fn what_a_backend_moves_within_its_directory_is_granted_to_nobody() {
    let place = Place::new();
    let store = place.foreign_on("data").unwrap();
    for what in ["rename /sub /gone", "symlink ../outside /sub"] {
        assert_eq!(store.get(what).unwrap(), "done");
    }
    let grants = Grants::none()
        .read_write(place.path("data"), "/")
        .read_only(place.path("data/sub"), "/config");
    refused(place.foreign(grants));
    refused(place.ours_on("data/sub"));
    store.get("abort").unwrap_err();
    assert!(store.get("read /sub/secret").is_err());
}

#[test]
fn a_watched_store_whose_new_configuration_overlaps_keeps_the_old_backend() {
    let place = Place::new();
    let text = "[stores.main]\nbackend = 'INTRUDER'\ndirectories = [{ host = 'data' }]\n";
    let file = place.configure(text);
    let (store, watch) =
        ArtifactStore::open_watched(&file, "main", SwapOptions::default()).unwrap();
    symlink("data", place.path("alias")).unwrap();
    let eventually = |what: &str, holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(120), "{what} never came: {watch:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let more = "[[stores.other.directories]]\nhost = 'alias/sub'\n";
    for (changed, is_seen_in_the_file) in [
        (text.replace("'data'", "'.'"), false),
        (format!("{text}[stores.other]\nbackend = 'fs'\n{}", more.replace("alias", "data")), true),
        (text.replace("'data'", "'alias/sub'"), false),
    ] {
        place.configure(&changed);
        eventually("the refusal", &|| watch.status().last_error.is_some());
        let error = watch.status().last_error.unwrap();
        match error.kind() {
            ErrorKind::Load(LoadError::Overlap { .. }) => assert!(!is_seen_in_the_file, "{error}"),
            ErrorKind::Configuration(_) => assert!(is_seen_in_the_file, "{error}"),
            kind => panic!("{kind:?}"),
        }
        assert_eq!(store.get("environment").unwrap(), "[]");
        place.configure(text);
        eventually("its end", &|| watch.status().last_error.is_none());
    }
    assert_eq!(watch.status().swaps, 0);
    // What stands in the way may be another store; when it goes, nobody waits for a pause.
    let other = format!("{text}env = {{ A = '1' }}\n[stores.other]\nbackend = 'fs'\n");
    place.configure(&format!("{other}directories = [{{ host = 'alias/sub' }}]\n"));
    eventually("the refusal", &|| watch.status().last_error.is_some());
    place.configure(&format!("{other}directories = [{{ host = 'other' }}]\n"));
    eventually("its end", &|| watch.status().last_error.is_none());
    assert_eq!(watch.status().swaps, 1);
}

/// Nothing that is named waits for the other end of a pipe, or reads a device.
#[test]
fn nothing_is_loaded_from_a_pipe_or_a_device() {
    let place = Place::new();
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&*pipe, Path::new("/dev/zero"), Path::new("/dev/tty"), place.0.path()] {
        let error = ArtifactStore::open(Backend::from_file(path)).err().unwrap();
        let ErrorKind::Load(LoadError::NotAComponent(_)) = error.kind() else {
            panic!("{error:?}")
        };
        let authority = Grants::none().connect("https://example.org").certificate_authority(path);
        let error = place.foreign(authority).err().unwrap();
        let ErrorKind::Load(LoadError::Network { what, .. }) = error.kind() else {
            panic!("{error:?}")
        };
        assert!(what.contains(&path.display().to_string()), "{what}");
    }
    for path in [&*pipe, Path::new("/dev/zero"), &guest("intruder")] {
        let error = place.foreign(Grants::none().read_only(path, "/")).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Directory { .. })), "{error:?}");
    }
    let file =
        place.configure("[stores.main]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n");
    fs::remove_file(&file).unwrap();
    fs::rename(&pipe, &file).unwrap();
    let opened = ArtifactStore::open_watched(&file, "main", SwapOptions::default());
    let error = opened.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{error:?}");
}

#[test]
fn the_command_line_says_what_to_do() {
    let place = Place::new();
    fs::copy(guest("intruder"), place.path("data/own.wasm")).unwrap();
    let mut command = cli();
    command.arg("--backend").arg(place.path("data/own.wasm")).arg("--dir").arg(place.path("data"));
    let (code, text) = ended(command.args(["get", "environment"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("give the backend a directory of its own"), "{text}");
}
