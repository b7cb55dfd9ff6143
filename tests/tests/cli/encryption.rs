//! Keys and encrypted stores on the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use artifact_store_tests::{cli, expect, guest};

/// The recipient of a file that `keygen` made.
fn recipient(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    line.to_owned()
}

fn identity(file: &Path) -> String {
    fs::read_to_string(file).unwrap().lines().last().unwrap().to_owned()
}

#[test]
fn keygen_writes_what_age_keygen_writes_and_never_over_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = expect(dir, &["keygen"], b"", 0);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("# created: 2") && lines[0].ends_with('Z'), "{text}");
    assert!(lines[1].starts_with("# public key: age1"), "{text}");
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1"), "{text}");
    let text = expect(dir, &["keygen", "-o", "key.txt"], b"", 0);
    let file = dir.join("key.txt");
    assert_eq!(text, format!("Public key: {}\n", recipient(&file)));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    let error = expect(dir, &["keygen", "-o", "key.txt"], b"", 1);
    assert!(error.contains("`key.txt`") && error.contains("exists"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    std::os::unix::fs::symlink("nowhere", dir.join("link")).unwrap();
    expect(dir, &["keygen", "-o", "link"], b"", 1);
    assert!(!dir.join("nowhere").exists());
    expect(dir, &["keygen", "-o", "no/such/key.txt"], b"", 1);
}

#[test]
fn a_layer_encrypts_for_recipients_and_decrypts_with_an_identity() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for key in ["key.txt", "other.txt"] {
        expect(dir, &["keygen", "-o", key], b"", 0);
    }
    let recipients = ["key.txt", "other.txt"].map(|file| recipient(&dir.join(file)));
    let layer = format!("encrypt={}", recipients.join(","));
    fn with<'a>(words: &[&'a str]) -> Vec<&'a str> {
        [&["--dir", "d"], words].concat()
    }
    expect(dir, &with(&["--layer", &layer, "put", "k"]), b"secret", 0);
    assert!(expect(dir, &with(&["get", "k"]), b"", 0).starts_with("Encrypted by artifact-store"));
    for file in ["key.txt", "other.txt"] {
        let get = ["--layer", "encrypt", "--identity", file, "get", "k"];
        assert_eq!(expect(dir, &with(&get), b"", 0), "secret");
    }
    // An option may stand before or after the command, and none of several is lost.
    let get = with(&["get", "k", "--layer", &layer, "--identity", "key.txt"]);
    assert_eq!(expect(dir, &get, b"", 0), "secret");
    let twice = with(&["--layer", &layer, "get", "k", "--layer", &layer]);
    assert!(expect(dir, &twice, b"", 1).contains("encrypted twice"));
    let stat = expect(dir, &with(&["--layer", &layer, "stat", "k"]), b"", 0);
    assert!(stat.contains("size      6 bytes\n"), "{stat}");
    assert!(expect(dir, &with(&["--layer", &layer, "list", "-l"]), b"", 0).contains(" 6 "));
    // What a whole read authenticates is sound.
    let verify = with(&["--layer", &layer, "--identity", "key.txt", "verify"]);
    expect(dir, &verify, b"", 0);
    // The identity may be in the environment.
    let mut command = cli();
    command.args(with(&["--layer", "encrypt", "get", "k"])).current_dir(dir);
    let secret = identity(&dir.join("key.txt"));
    let output = command.env("ARTIFACT_STORE_IDENTITY", &secret).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "secret");

    expect(dir, &["keygen", "-o", "stranger.txt"], b"", 0);
    for (words, code, said) in [
        (&["--layer", &layer, "get", "k"][..], 1, "access denied"),
        (&["--layer", &layer, "--identity", "stranger.txt", "get", "k"], 1, &recipients[0]),
        (&["--layer", "encrypt", "get", "k"], 2, "needs recipients"),
        (&["--layer", "encrypt=", "get", "k"], 2, "needs recipients"),
        (&["--layer", "encrypt=age1x", "get", "k"], 1, "recipient 1 is no public key"),
        (&["--layer", "encrypt", "--identity", "none.txt", "get", "k"], 1, "`none.txt`"),
        (&["--layer", "encrypt", "--identity", "d", "get", "k"], 1, "`d`"),
    ] {
        let error = expect(dir, &with(words), b"", code);
        assert!(error.contains(said), "{words:?}: {error}");
        assert!(!error.contains("AGE-SECRET"), "{error}");
    }
    let secret = format!("encrypt={}", identity(&dir.join("key.txt")));
    let error = expect(dir, &with(&["--layer", &secret, "get", "k"]), b"", 1);
    assert!(error.contains("it is a secret key") && !error.contains("AGE-SECRET-KEY-1"), "{error}");
}

#[test]
fn a_configuration_names_the_layers_and_a_copy_changes_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for key in ["old.txt", "new.txt"] {
        expect(dir, &["keygen", "-o", key], b"", 0);
        fs::create_dir(dir.join(key.trim_end_matches(".txt"))).unwrap();
    }
    let store = |name: &str| {
        let recipient = recipient(&dir.join(format!("{name}.txt")));
        format!(
            "[stores.{name}]\nbackend = 'fs'\ndirectories = [{{ host = '{name}' }}]\nlayers = [{{ \
             encrypt = {{ recipients = ['{recipient}'], identity-file = '{name}.txt' }} }}]\n"
        )
    };
    let text = format!("{}{}", store("old"), store("new"));
    fs::write(dir.join("stores.toml"), &text).unwrap();
    fn with<'a>(words: &[&'a str]) -> Vec<&'a str> {
        [&["--config", "stores.toml"], words].concat()
    }
    expect(dir, &with(&["--store", "old", "put", "k"]), b"secret", 0);
    expect(dir, &with(&["copy", "--from", "old", "--to", "new"]), b"", 0);
    assert_eq!(expect(dir, &with(&["--store", "new", "get", "k"]), b"", 0), "secret");
    let plain = ["--dir", "new", "--layer", "encrypt", "--identity", "old.txt", "get", "k"];
    assert!(expect(dir, &plain, b"", 1).contains("access denied"));

    let shown = expect(dir, &with(&["config", "check"]), b"", 0);
    let recipient = recipient(&dir.join("old.txt"));
    let part = format!("layers = [{{ encrypt = {{ recipients = [\"{recipient}\"], identity-file");
    assert!(shown.contains(&part) && !shown.contains("AGE-SECRET"), "{shown}");
    // The checks are about the component below.
    expect(dir, &with(&["--store", "old", "check", "--only", "read"]), b"", 0);
    let error = expect(dir, &with(&["--layer", "encrypt", "list"]), b"", 2);
    assert!(error.contains("--config cannot be used with --layer"), "{error}");

    let layers = text.lines().nth(3).unwrap();
    let file = "identity-file = 'old.txt'";
    for (layers, code, said) in [
        (layers.replace(file, "identity-from = 'NOT_SET_HERE'"), 1, "`NOT_SET_HERE`"),
        (layers.replace(file, "identity-file = 'none.txt'"), 1, "none.txt"),
        (layers.replace(file, "identity-fle = 'old.txt'"), 1, "did you mean `identity-file`?"),
        (layers.replace(file, &format!("{file}, identity-from = 'V'")), 1, "cannot be used with"),
        (layers.replace(&*recipient, "age1x"), 1, "recipient 1 is no public key"),
        (
            "layers = [{ encrypt = {} }]".into(),
            1,
            "`stores.old.layers.encrypt.recipients` is missing",
        ),
        ("layers = [{ encript = {} }]".into(), 1, "did you mean `encrypt`?"),
        ("layers = { encrypt = {} }".into(), 1, "must be a list of layers"),
        ("layers = [{}]".into(), 1, "is missing"),
        (
            layers
                .replace("}]", "}, { encrypt = { recipients = ['R'] } }]")
                .replace('R', &recipient),
            1,
            "twice",
        ),
        // It may only store.
        (layers.replace(&format!(", {file}"), ""), 0, ""),
        ("layers = []".into(), 0, ""),
    ] {
        let text = text.lines().take(3).chain([&*layers]).collect::<Vec<_>>().join("\n");
        fs::write(dir.join("stores.toml"), text).unwrap();
        let error = expect(dir, &with(&["config", "check"]), b"", code);
        assert!(error.contains(said), "{layers}: {error}");
    }
    // A component of somebody else may not even read the identities.
    fs::copy(dir.join("old.txt"), dir.join("old/key.txt")).unwrap();
    let component = format!("'{}'", guest("plain").display());
    let foreign = store("old").replace("'old.txt'", "'old/key.txt'").replace("'fs'", &component);
    for text in [foreign.clone(), foreign.replace("'old' }", "'old', read-only = true }")] {
        fs::write(dir.join("stores.toml"), text).unwrap();
        let error = expect(dir, &with(&["get", "k"]), b"", 1);
        assert!(error.contains("the identities of an encrypted store"), "{error}");
    }
    let plain = guest("plain").display().to_string();
    let stack = ["--backend", &plain, "--dir", "old", "--layer", "encrypt", "--identity"];
    let error = expect(dir, &[&stack[..], &["old/key.txt", "get", "k"]].concat(), b"", 1);
    assert!(error.contains("the identities of an encrypted store"), "{error}");
    expect(dir, &[&stack[..], &["old.txt", "get", "none"]].concat(), b"", 3);
}
