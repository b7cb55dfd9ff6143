//! Component layers on the command line and in a configuration.

use std::path::Path;

use artifact_store_tests::{expect, guest};

/// The artifacts are those of the directory `d`, through the layers.
fn run(dir: &Path, layers: &[&str], words: &[&str], code: i32) -> String {
    let layers: Vec<_> = layers.iter().flat_map(|layer| ["--layer", layer]).collect();
    expect(dir, &[&["--dir", "d"], &layers[..], words].concat(), b"bytes", code)
}

#[test]
fn layers_stand_on_each_other_from_the_outermost_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let prefix = guest("prefix").display().to_string();
    let [outer, inner] = ["b/", "a/"].map(|it| format!("{prefix},PREFIX={it}"));
    run(dir, &[&outer, &inner], &["put", "k"], 0);
    assert_eq!(run(dir, &[], &["list"], 0), "a/b/k\n");
    assert_eq!(run(dir, &[&inner], &["list"], 0), "b/k\n");
    assert_eq!(run(dir, &[&outer, &inner], &["get", "k"], 0), "bytes");
    run(dir, &[&inner], &["get", "k"], 3);
    // Sealed below, a prefix above: what is stored has the key of both.
    expect(dir, &["keygen", "-o", "key.txt"], b"", 0);
    let both = [&inner, "encrypt"];
    run(dir, &both, &["put", "s", "--identity", "key.txt"], 0);
    assert_eq!(run(dir, &both, &["get", "s", "--identity", "key.txt"], 0), "bytes");
    assert!(run(dir, &[], &["get", "a/s"], 0).starts_with("Encrypted by artifact-store"));
}

#[test]
fn what_is_wrong_with_a_layer_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, &[], &["put", "k"], 0);
    let prefix = guest("prefix").display().to_string();
    let error = run(dir, &[&prefix], &["list"], 1);
    assert!(error.contains("PREFIX") && error.contains("prefix.wasm"), "{error}");
    let error = run(dir, &["none.wasm"], &["list"], 1);
    assert!(error.contains("none.wasm"), "{error}");
    for wrong in ["fs", "", ",PREFIX=a", &format!("{prefix},=a")] {
        run(dir, &[wrong], &["list"], 2);
    }
    // A backend is no layer, and a layer is no backend.
    let backend = guest("plain").display().to_string();
    let error = run(dir, &[&backend], &["list"], 1);
    assert!(error.contains("plain.wasm"), "{error}");
    let error = expect(dir, &["--backend", &prefix, "--env", "PREFIX=a/", "list"], b"", 1);
    assert!(error.contains("prefix.wasm"), "{error}");
}

#[test]
fn a_configuration_names_layers() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let prefix = guest("prefix").display().to_string();
    let config = format!(
        "[stores.team]\nbackend = 'fs'\ndirectories = [{{ host = 'd' }}]\n\
         layers = [{{ component = '{prefix}', env = {{ PREFIX = 'a/' }} }}]\n"
    );
    std::fs::write(dir.join("stores.toml"), &config).unwrap();
    std::fs::create_dir(dir.join("d")).unwrap();
    expect(dir, &["--config", "stores.toml", "put", "k"], b"bytes", 0);
    assert_eq!(run(dir, &[], &["list"], 0), "a/k\n");
    let text = expect(dir, &["--config", "stores.toml", "config", "check"], b"", 0);
    assert!(text.contains("prefix.wasm"), "{text}");
    std::fs::write(dir.join("stores.toml"), config.replace("PREFIX =", "PREFX =")).unwrap();
    let error = expect(dir, &["--config", "stores.toml", "list"], b"", 1);
    assert!(error.contains("PREFIX"), "{error}");
}
