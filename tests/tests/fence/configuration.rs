//! The stores of one configuration are kept apart, whether they are open or not.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Configuration, ConfigurationError, ErrorKind, LoadError, SwapOptions};
use artifact_store_tests::cli;

use super::{Place, ended, refused};

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
