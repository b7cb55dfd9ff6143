//! Stores that are named in a file: the library's way and the command line's.
#![cfg(unix)]

use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Configuration, ConfigurationError, Error, ErrorKind, LoadError};
use artifact_store_tests::{cli, expect, guest, run};

/// Writes the file beside the directories `a` and `b`.
fn configure(dir: &Path, text: &str) -> std::path::PathBuf {
    for name in ["a", "b"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    let file = dir.join("stores.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn refused(text: &str) -> Error {
    let dir = tempfile::tempdir().unwrap();
    Configuration::from_file(configure(dir.path(), text)).unwrap_err()
}

/// `line: text` of each problem.
fn problems(text: &str) -> Vec<String> {
    match refused(text).kind() {
        ErrorKind::Configuration(ConfigurationError::Invalid { problems, .. }) => {
            problems.iter().map(|problem| format!("{}: {}", problem.line, problem.text)).collect()
        }
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn the_documented_example_is_one() {
    let text = include_str!("../../docs/configuration.md");
    let example = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = configure(dir.path(), example);
    let configuration = Configuration::from_file(file).unwrap();
    assert_eq!(
        configuration.stores().collect::<Vec<_>>(),
        ["releases", "archive", "bucket", "shared"]
    );
    // Its limits are the defaults, as it says.
    let limits = configuration.store("releases").unwrap().limits();
    assert_eq!(*limits, artifact_store::Limits::default());
    // What is shown is the file again, but for the values of variables.
    let shown = configuration.store("releases").unwrap().to_string();
    std::fs::write(dir.path().join("shown.toml"), &shown).unwrap();
    let again = Configuration::from_file(dir.path().join("shown.toml")).unwrap();
    assert_eq!(again.store("releases").unwrap().to_string(), shown);
    let error = configuration.backend("archive").unwrap_err();
    let text =
        "store `archive` hands on the variable `ARCHIVE_TOKEN` of this process, which is not set";
    assert_eq!(error.to_string(), text);
}

#[test]
fn stores_are_opened_with_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = configure(
        dir.path(),
        &format!(
            "
            [stores.here]
            backend = 'fs'
            directories = [{{ host = 'a' }}]

            [stores.\"read only\"]
            backend = 'fs'
            [[stores.\"read only\".directories]]
            host = 'a'
            read-only = true

            [stores.plain]
            backend = '{}'
            directories = [{{ host = 'b', guest = '/' }}]
            limits = {{ buffer = 5 }}
            ",
            guest("plain").display()
        ),
    );
    let store = ArtifactStore::open_configured(&file, "here").unwrap();
    store.put("k", "there").unwrap();
    let store = ArtifactStore::open_configured(&file, "read only").unwrap();
    assert_eq!(store.get("k").unwrap(), "there");
    let error = store.put("k", "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
    let store = ArtifactStore::open_configured(&file, "plain").unwrap();
    store.put("k", "12345").unwrap();
    let error = store.put("k", "123456").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 5 }), "{error}");
    let error = ArtifactStore::open_configured(&file, "hear").err().unwrap();
    assert!(error.to_string().ends_with("; did you mean `here`?"), "{error}");
}

#[test]
fn only_the_pinned_component_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let text = |digest: &str| {
        format!("[stores.a]\nbackend = 'fs'\ndirectories = [{{ host = 'a' }}]\ndigest = '{digest}'")
    };
    let file = configure(dir.path(), &text(&"0".repeat(64)));
    let error = ArtifactStore::open_configured(&file, "a").err().unwrap();
    let ErrorKind::Load(LoadError::WrongDigest { found, .. }) = error.kind() else {
        panic!("{error}")
    };
    let file = configure(dir.path(), &text(found));
    ArtifactStore::open_configured(&file, "a").unwrap();
}

#[test]
fn all_that_is_wrong_is_told_with_its_line() {
    let text = r#"
[stores.a]
backend = "fs"
memory = "64MiB"
env = { "A=B" = "1", PORT = 80 }
env-from = ["PORT", 7]
sweep-older-than = "soon"
network = ["example.org"]
sign = "host"

[[stores.a.directories]]
hots = "/srv"
guest = "data"
read_only = "yes"

[stores.a.limits]
call-timeout = 5
memori = "64MiB"
buffer = "much"
handles = 0
concurrency = -1

[stores.b]
bakcend = "fs"
digest = "abc"

[other]
"#;
    assert_eq!(problems(text).join("\n"), include_str!("configuration-problems.txt").trim_end());
}

#[test]
fn what_is_no_configuration_is_one_problem() {
    assert_eq!(problems("# nothing"), ["1: there is no store; one begins with `[stores.NAME]`"]);
    assert_eq!(problems("stores = 5").len(), 2);
    // A store that is wrong is one: nothing is said of there being none.
    assert_eq!(problems("[stores.a]\nbackend = ''"), ["2: `stores.a.backend` is empty"]);
    assert_eq!(problems("[stores.a]").len(), 1);
    let text = "[stores.a]\nbackend = 'fs'\n[[stores.a.directories]]\nhost = ''\n\
                [stores.b]\nbackend = 's3'\nproxy = ''\ncertificate-authority = ''\n";
    let empty = [
        "4: `stores.a.directories.host` is empty",
        "7: `stores.b.proxy` is empty",
        "8: `stores.b.certificate-authority` is empty",
    ];
    assert_eq!(problems(text), empty);
    assert_eq!(problems("a = 1\nb = ").len(), 1);
    let dir = tempfile::tempdir().unwrap();
    let latin = dir.path().join("latin.toml");
    std::fs::write(&latin, b"# one\n# caf\xe9\n").unwrap();
    let error = Configuration::from_file(&latin).unwrap_err().to_string();
    assert!(
        error.contains("latin.toml:2: this is not UTF-8: byte 6 of the line (offset 11"),
        "{error}"
    );
    let error = Configuration::from_file(dir.path().join("absent.toml")).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Configuration(ConfigurationError::Read { .. })),
        "{error}"
    );
}

#[test]
fn the_s3_backend_is_granted_what_its_variables_name() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[stores.a]\nbackend = 's3'\nsign = 'SIGN'\n\
                env = { S3_BUCKET = 'b', AWS_ENDPOINT_URL = 'http://127.0.0.1:9', \
                AWS_ACCESS_KEY_ID = 'AKIA', AWS_SECRET_ACCESS_KEY = 'hush' }\n";
    for (sign, signed) in [("host", true), ("backend", false)] {
        let file = configure(dir.path(), &text.replace("SIGN", sign));
        let configuration = Configuration::from_file(file).unwrap();
        let backend = format!("{:?}", configuration.backend("a").unwrap());
        let shown = configuration.store("a").unwrap().to_string();
        assert!(!backend.contains("hush") && !shown.contains("hush"), "{backend} {shown}");
        // Whoever signs has the key.
        assert_eq!(backend.contains("AKIA"), signed, "{backend}");
        assert_eq!(backend.contains("\"AWS_SECRET_ACCESS_KEY\""), !signed, "{backend}");
        assert!(shown.contains(&format!("sign = \"{sign}\"\n")), "{shown}");
    }
    let file = configure(dir.path(), "[stores.a]\nbackend = 's3'\n");
    let error = ArtifactStore::open_configured(file, "a").err().unwrap();
    let ErrorKind::Load(LoadError::Settings(problems)) = error.kind() else { panic!("{error}") };
    assert_eq!(problems[0].name, "S3_BUCKET");
}

/// Whatever is done to a secret, it is shown to nobody.
#[test]
fn secrets_are_never_shown() {
    // As values of wrong types, in wrong places and behind syntax errors.
    for text in [
        "[stores.a]\nbackend = 'fs'\nenv = 'hush'",
        "[stores.a]\nbackend = 'fs'\nenv = ['hush']",
        "[stores.a]\nbackend = 'fs'\nenv.TOKEN = hush",
        "[stores.a]\nbackend = 'fs'\nenv.TOKEN = 'hush",
        "[stores.a]\nbackend = 'fs'\nenv.TOKEN = \"hush\\q\"",
        "[stores.a]\nbackend = 'fs'\nenv = { TOKEN = 'hush', TOKEN = 'hush' }",
        "[stores.a]\nbackend = 'fs'\nenv = { TOKEN = 'hush\\u0000' } hush",
        "[stores.a]\nbackend = 'fs'\nlimits.memory = 'hush'\nlimits.handles = 'hush'",
        "[stores.a]\nbackend = 'fs'\ndigest = 'hush'\ndirectories = 'hush'\nlimits = 'hush'",
        "[stores.a]\nbackend = 's3'\nnetwork = 'hush'\nsign = 'hush'\nsweep-older-than = 'hush'",
        "[stores.a]\nbackend = 's3'\nnetwork = ['https://user:hush@example.org']",
    ] {
        let error = refused(text);
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("hush"), "{text}: {shown}");
    }
    let dir = tempfile::tempdir().unwrap();
    let text = "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'a' }]\n\
                proxy = 'http://user:hush@127.0.0.1:9'\nenv = { TOKEN = 'hush' }\nenv-from = { SECRET = 'SECRET_OF_A_TEST' }\n";
    let file = configure(dir.path(), text);
    let configuration = Configuration::from_file(&file).unwrap();
    let store = configuration.store("a").unwrap();
    let shown = format!("{configuration:?} {store} {store:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hush"), "{shown}");

    let mut check = cli();
    check.args(["config", "check", "--config"]).arg(&file).env("SECRET_OF_A_TEST", "hush too");
    let output = check.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = dir.path().canonicalize().unwrap().display().to_string();
    let digest = shown.rsplit(' ').next().unwrap().trim();
    let shown = shown.replace(&root, "ROOT").replace(digest, "DIGEST");
    assert_eq!(shown, include_str!("configuration-check.txt"));
}

#[test]
fn the_command_line_takes_its_stores_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'a' }]\n";
    configure(dir, text);
    expect(dir, &["--config", "stores.toml", "put", "k"], b"in a", 0);
    assert_eq!(expect(dir, &["get", "k", "--dir", "a"], b"", 0), "in a");
    // With two, one has to be named.
    configure(dir, &format!("{text}[stores.b]\nbackend = 'fs'\ndirectories = [{{ host = 'b' }}]"));
    let message = expect(dir, &["--config", "stores.toml", "get", "k"], b"", 2);
    assert!(message.contains("`a`, `b`"), "{message}");
    expect(dir, &["--config", "stores.toml", "--store", "b", "get", "k"], b"", 3);
    expect(dir, &["get", "k", "--store", "c", "--config", "stores.toml"], b"", 2);
    assert_eq!(
        expect(dir, &["get", "k", "--store", "a", "--config", "stores.toml"], b"", 0),
        "in a"
    );
    // What is said counts more than what the environment says.
    let mut command = cli();
    command.args(["get", "k", "--dir", "a"]).current_dir(dir);
    let output = command.env("ARTIFACT_STORE_CONFIG", "absent.toml").output().unwrap();
    assert_eq!(output.stdout, b"in a");
    for line in [
        ["--config", "stores.toml", "--dir", "a"],
        ["--config", "stores.toml", "--backend", "fs"],
        ["--config", "stores.toml", "--env", "A=1"],
        ["--store", "a", "--dir", "a"],
    ] {
        let mut arguments = line.to_vec();
        arguments.extend(["get", "k"]);
        expect(dir, &arguments, b"", 2);
    }
}

#[test]
fn the_commonest_limits_are_set_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let backend = guest("hostile");
    let backend = backend.to_str().unwrap();
    let hang = ["--backend", backend, "--timeout", "200ms", "delete", "spin"];
    let message = expect(dir, &hang, b"", 6);
    assert!(message.contains("longer than 0.2 s"), "{message}");
    let text = format!("[stores.a]\nbackend = '{backend}'\nlimits.call-timeout = '1h'\n");
    configure(dir, &text);
    let hang = ["--config", "stores.toml", "--timeout", "200ms", "delete", "spin"];
    let message = expect(dir, &hang, b"", 6);
    assert!(message.contains("longer than 0.2 s"), "{message}");
    let little = ["--memory", "1KiB", "put", "k"];
    let message = expect(dir, &little, b"x", 1);
    assert!(message.contains("1024 bytes of memory"), "{message}");
}

#[test]
fn a_check_names_each_problem_on_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    configure(dir, "[stores.a]\nbackend = 'fs'\nlimits.memori = 5\nlimits.handles = 'x'\n");
    let message = expect(dir, &["--config", "stores.toml", "config", "check"], b"", 1);
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 3, "{message}");
    assert!(lines.iter().all(|line| line.starts_with("artifact-store: stores.toml:")), "{message}");

    configure(
        dir,
        "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'a' }]\n\
         [stores.b]\nbackend = 'none.wasm'\n\
         [stores.c]\nbackend = 'fs'\ndirectories = [{ host = 'none' }]\n\
         [stores.d]\nbackend = 'fs'\ndirectories = [{ host = 'b' }]\nenv-from = ['NOT_SET_AT_ALL']\n",
    );
    let output = run(dir, &["--config", "stores.toml", "config", "check"], b"");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 3, "{message}");
    for (line, place) in message.lines().zip(["4: store `b`", "6: store `c`", "12: store `d`"]) {
        assert!(line.contains(&format!("stores.toml:{place}")), "{message}");
    }
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.matches("# opened; SHA-256").count(), 1, "{shown}");
    let one = ["--config", "stores.toml", "--store", "a", "config", "check"];
    assert!(expect(dir, &one, b"", 0).starts_with("[stores.a]\n"));
    let one = ["--config", "stores.toml", "--store", "c", "config", "check", "--no-open"];
    assert!(expect(dir, &one, b"", 0).starts_with("[stores.c]\n"));
}

#[test]
fn a_setting_that_makes_no_sense_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[stores.a]\nbackend = 's3'\n\n[stores.a.env]\nS3_PART_SIZE = '1'\n\
                S3_BUCKET = 'bucket'\nS3_CHECKSUM = 'hush'\n\
                [stores.b]\nbackend = 's3'\n\
                [stores.c]\nbackend = 'fs'\ndirectories = [{ host = 'c' }]\n\
                env = { ARTIFACT_STORE_SINC = 'off', S3_BUCKET = 'bucket' }\n\
                env-from = { \"new\\nline\u{202e}\" = 'PATH' }\n";
    let file = configure(dir.path(), text);
    std::fs::create_dir(dir.path().join("c")).unwrap();
    let error = ArtifactStore::open_configured(&file, "a").err().unwrap();
    let ErrorKind::Load(LoadError::Settings(problems)) = error.kind() else { panic!("{error}") };
    let found = problems.iter().map(|it| (&*it.name, it.location.clone().unwrap().1));
    assert_eq!(found.collect::<Vec<_>>(), [("S3_PART_SIZE", 5), ("S3_CHECKSUM", 7)]);
    let arguments = ["--config", "stores.toml", "config", "check"];
    let message = expect(dir.path(), &arguments, b"", 1);
    let file = file.display();
    for line in [
        format!("{file}:5: store `a`: the variable S3_PART_SIZE: it is a number of bytes"),
        format!("{file}:7: store `a`: the variable S3_CHECKSUM: it is `crc64nvme`"),
        format!("{file}:8: store `b`: the variable S3_BUCKET: it is not set"),
        format!(
            "{file}:13: warning: store `c`: the variable ARTIFACT_STORE_SINC: the backend has no \
             such setting; did you mean `ARTIFACT_STORE_SYNC`?"
        ),
        format!("{file}:14: warning: store `c`: the variable new\\nline\\u{{202e}}: the backend"),
    ] {
        assert!(message.contains(&line), "{line}: {message}");
    }
    assert!(!message.contains("hush") && !message.contains("store `c`: the variable S3"));
}
