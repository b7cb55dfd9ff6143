//! What the S3 backend is told: a setting that is missing or makes no sense is one error when the
//! store is opened, before any request, and names the variable and no value.

use std::process::Stdio;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Error, ErrorKind, Grants, LoadError, Sign};
use artifact_store_tests::scripted::{Answer, Scripted, answer};
use artifact_store_tests::service::Differences;
use artifact_store_tests::{cli, expect};

/// The variable at fault, and those that differ from the right ones; an empty one is not set.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const WRONG: &[Case] = &[
    ("S3_BUCKET", &[("S3_BUCKET", "")]),
    ("S3_BUCKET", &[("S3_BUCKET", "hush hush")]),
    ("S3_BUCKET", &[("S3_BUCKET", "../hush")]),
    ("S3_STYLE", &[("S3_STYLE", "hush")]),
    // An address is no name that a bucket could begin.
    ("S3_STYLE", &[("S3_STYLE", "virtual")]),
    ("S3_PREFIX", &[("S3_PREFIX", "a//hush")]),
    ("S3_PREFIX", &[("S3_PREFIX", "../hush")]),
    ("S3_PART_SIZE", &[("S3_PART_SIZE", "8 hush")]),
    ("S3_PART_SIZE", &[("S3_PART_SIZE", "1")]),
    ("S3_PART_SIZE", &[("S3_PART_SIZE", "99999999999999999999999")]),
    ("S3_CHECKSUM", &[("S3_CHECKSUM", "hush")]),
    ("AWS_REGION", &[("AWS_REGION", "hush hush")]),
    ("AWS_ENDPOINT_URL", &[("AWS_ENDPOINT_URL", "hush")]),
    ("AWS_ENDPOINT_URL", &[("AWS_ENDPOINT_URL", "ftp://hush")]),
    ("AWS_ENDPOINT_URL", &[("AWS_ENDPOINT_URL", "http://user:hush@127.0.0.1")]),
    ("AWS_ENDPOINT_URL", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:hush")]),
    ("AWS_ENDPOINT_URL_S3", &[("AWS_ENDPOINT_URL_S3", "hush")]),
    ("AWS_ENDPOINT_URL_S3", &[("AWS_ENDPOINT_URL_S3", "ftp://hush")]),
    ("AWS_ACCESS_KEY_ID", &[("AWS_ACCESS_KEY_ID", "hush hush")]),
    ("AWS_SECRET_ACCESS_KEY", &[("AWS_SECRET_ACCESS_KEY", "hush\thush")]),
    ("AWS_SESSION_TOKEN", &[("AWS_SESSION_TOKEN", "hush hush")]),
    ("AWS_SECRET_ACCESS_KEY", &[("AWS_SECRET_ACCESS_KEY", " \t ")]),
    ("AWS_ACCESS_KEY_ID", &[("AWS_ACCESS_KEY_ID", "")]),
    ("AWS_SECRET_ACCESS_KEY", &[("AWS_SECRET_ACCESS_KEY", "")]),
    ("AWS_ACCESS_KEY_ID", &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]),
];

fn server() -> Scripted {
    Scripted::start(|_, _| Answer::Send(answer(200, "etag: \"1\"\r\n", "")))
}

/// The right variables, with these in their place.
fn variables(server: &Scripted, changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let right = [
        ("AWS_ENDPOINT_URL", &*server.endpoint()),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "hush-secret"),
        ("AWS_SESSION_TOKEN", "hush-token"),
        ("S3_BUCKET", "bucket"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let changed = changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    // Of several with one name the last one counts.
    right.into_iter().chain(changed).collect()
}

#[track_caller]
fn names(error: &Error, variable: &str) {
    let is_named = matches!(
        error.kind(),
        ErrorKind::Load(LoadError::Settings(problems)) if problems[0].name == variable
    );
    assert!(is_named, "{variable}: {error}");
    assert!(!format!("{error} {error:?}").contains("hush"), "{variable}: {error:?}");
}

#[test]
fn all_that_the_library_finds_wrong_is_one_error() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "hush"),
        ("AWS_ENDPOINT_URL", "hush"),
        ("AWS_PROFILE", "hush"),
        ("S3_BUCKET", "bucket"),
        ("S3_BUCKT", "hush"),
    ];
    let error = Backend::s3(variables, Sign::Host).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    let ErrorKind::Load(LoadError::Settings(problems)) = error.kind() else { panic!("{error:?}") };
    let mut names: Vec<_> = problems.iter().map(|problem| &*problem.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "S3_BUCKT"]);
}

#[test]
fn the_library_names_what_is_wrong_when_it_opens_the_store() {
    let server = server();
    for (name, changed) in WRONG {
        for sign in [Sign::Host, Sign::Backend] {
            let backend = Backend::s3(variables(&server, changed), sign);
            names(&backend.and_then(ArtifactStore::open).expect_err(name), name);
        }
    }
    // Also what is added later.
    let right = Backend::s3(variables(&server, &[]), Sign::Host).unwrap();
    let wrong = right.clone().map_grants(|grants| grants.env("S3_CHECKSUM", "hush"));
    names(&ArtifactStore::open(wrong).err().unwrap(), "S3_CHECKSUM");
    assert!(server.requests().is_empty());
    // And where all is right, opening it asks the service for nothing.
    let store = ArtifactStore::open(right).unwrap();
    assert!(server.requests().is_empty());
    store.put("k", "x").unwrap();
}

#[test]
fn the_command_line_names_it_too() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    for (name, changed) in WRONG {
        let mut command = cli();
        for variable in Backend::S3_VARIABLES {
            command.env_remove(variable);
        }
        command.envs(variables(&server, changed)).args(["--backend", "s3", "list"]);
        let output = command.current_dir(dir.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {error}");
        assert!(error.contains(&format!("the variable {name}: ")), "{name}: {error}");
        assert!(!error.contains("hush") && output.stdout.is_empty(), "{name}: {error}");
    }
    assert!(server.requests().is_empty());
}

/// What comes from a file or from `$(command)` with another end of line.
#[test]
fn white_space_around_a_value_is_left_out() {
    let differences = Differences { token: Some("token"), ..Differences::default() };
    let server = differences.clone().start();
    for (before, after) in [("", "\n"), ("", "\r\n"), (" \t", " "), ("\n", "")] {
        for sign in [Sign::Host, Sign::Backend] {
            let variables = differences.variables(&server, "prefix").into_iter();
            let variables = variables
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name, format!("{before}{value}{after}")));
            let backend = Backend::s3(variables, sign).unwrap();
            ArtifactStore::open(backend).unwrap().put("k", "x").unwrap();
        }
    }
    assert!(server.requests().iter().all(|request| request.path == "/artifacts/prefix/_/k_"));
}

/// As Amazon's own tools have it. A signed request never goes to another service than the one that
/// is named.
#[test]
fn the_endpoint_of_s3_counts_more_than_that_of_all_services() {
    let (s3, all) = (server(), server());
    for sign in [Sign::Host, Sign::Backend] {
        let named = [("AWS_ENDPOINT_URL_S3", &*s3.endpoint())];
        let store = ArtifactStore::open(Backend::s3(variables(&all, &named), sign).unwrap());
        store.unwrap().put("k", "x").unwrap();
        // Alone, it is enough.
        let named = [("AWS_ENDPOINT_URL_S3", &*s3.endpoint()), ("AWS_ENDPOINT_URL", "")];
        let store = ArtifactStore::open(Backend::s3(variables(&all, &named), sign).unwrap());
        store.unwrap().put("k", "x").unwrap();
    }
    assert_eq!((s3.requests().len(), all.requests().len()), (4, 0));
    // An empty one is not set.
    let named = [("AWS_ENDPOINT_URL_S3", " \n")];
    let store = ArtifactStore::open(Backend::s3(variables(&all, &named), Sign::Host).unwrap());
    store.unwrap().put("k", "x").unwrap();
    assert_eq!((s3.requests().len(), all.requests().len()), (4, 1));
}

#[test]
fn the_command_line_takes_the_endpoint_of_s3_from_its_environment_unless_it_names_one() {
    let (s3, all, dir) = (server(), server(), tempfile::tempdir().unwrap());
    let put = |arguments: &[&str]| {
        let mut command = cli();
        let named = [("AWS_ENDPOINT_URL_S3", &*s3.endpoint())];
        command.envs(variables(&all, &named)).current_dir(dir.path());
        command.args(["--backend", "s3"]).args(arguments).args(["put", "k", "-"]);
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
        (s3.requests().len(), all.requests().len())
    };
    assert_eq!(put(&[]), (1, 0));
    let named = format!("AWS_ENDPOINT_URL={}", all.endpoint());
    assert_eq!(put(&["--env", &named]), (1, 1));
    assert_eq!(put(&["--env", "AWS_ENDPOINT_URL_S3"]), (2, 1));
}

/// Nor is a secret shown where all is right and the user wants to know everything.
#[test]
fn a_verbose_command_line_shows_no_secret_and_no_signature() {
    let dir = tempfile::tempdir().unwrap();
    for status in [200, 403, 500] {
        let server =
            Scripted::start(move |_, _| Answer::Send(answer(status, "etag: \"1\"\r\n", "")));
        for sign in ["host", "backend"] {
            let mut command = cli();
            command.envs(variables(&server, &[])).current_dir(dir.path());
            command.args(["--backend", "s3", "--sign", sign, "-vv", "get", "k"]);
            let output = command.output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("s3"), "{text}");
            let shown = text.to_ascii_lowercase();
            assert!(!shown.contains("hush") && !shown.contains("signature="), "{text}");
        }
    }
}

#[test]
fn a_configuration_names_it_too() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    for (name, changed) in WRONG {
        let mut text = "[stores.bucket]\nbackend = 's3'\n[stores.bucket.env]\n".to_owned();
        let all = std::collections::BTreeMap::from_iter(variables(&server, changed));
        all.iter().for_each(|(name, value)| text += &format!("{name} = '{value}'\n"));
        std::fs::write(dir.path().join("stores.toml"), text).unwrap();
        let error = expect(dir.path(), &["--config", "stores.toml", "list"], b"", 1);
        assert!(error.contains(&format!("the variable {name}: ")), "{name}: {error}");
        assert!(!error.contains("hush"), "{name}: {error}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn the_filesystem_backend_does_so_with_its_one_setting() {
    let dir = tempfile::tempdir().unwrap();
    let grants = Grants::none().read_write(dir.path(), "/").env("ARTIFACT_STORE_SYNC", "hush");
    let opened = ArtifactStore::open(Backend::fs(dir.path()).grants(grants));
    names(&opened.err().unwrap(), "ARTIFACT_STORE_SYNC");
}
