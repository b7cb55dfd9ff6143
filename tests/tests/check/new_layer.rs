//! What the author of a layer begins with, through the real binary.

use artifact_store_tests::expect;

use crate::new_backend::built;

#[test]
fn one_builds_and_is_a_store_within_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = expect(dir, &["new-layer", "my-layer"], b"", 0);
    let check = "check --layer target/wasm32-wasip2/release/my_layer.wasm,PREFIX=";
    let readme = std::fs::read_to_string(dir.join("my-layer/README.md")).unwrap();
    assert!(text.contains(check) && readme.contains(check), "{text}{readme}");
    let file = built(&dir.join("my-layer"));
    let layer = format!("{file},PREFIX=team-a/");
    let through = |words: &[&str], input: &[u8], code| {
        expect(dir, &[&["--layer", &layer], words].concat(), input, code)
    };
    through(&["put", "k"], b"bytes", 0);
    expect(dir, &["put", "other"], b"other", 0);
    assert_eq!(expect(dir, &["list"], b"", 0), "other\nteam-a/k\n");
    assert_eq!(through(&["list"], b"", 0), "k\n");
    assert_eq!(through(&["get", "k"], b"", 0), "bytes");
    assert!(through(&["stat", "k"], b"", 0).contains("size      5 bytes"));
    through(&["get", "other"], b"", 3);
    through(&["delete", "other"], b"", 0);
    through(&["delete", "k"], b"", 0);
    assert_eq!(expect(dir, &["list"], b"", 0), "other\n");
    let text = expect(dir, &["check", "--layer", &layer, "--only", "layers"], b"", 0);
    assert!(text.contains("keeps every rule"), "{text}");
    let error = expect(dir, &["--layer", &file, "list"], b"", 1);
    assert!(error.contains("PREFIX"), "{error}");
    let text = expect(dir, &["inspect", &file], b"", 0);
    assert!(text.contains("language   Rust\n") && text.contains("PREFIX"), "{text}");
}

#[test]
fn it_is_written_only_where_nothing_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for name in ["../x", "", "1st", "é", "a.b"] {
        let error = expect(dir, &["new-layer", name], b"", 2);
        assert!(error.contains("cannot be the name of a layer"), "{error}");
    }
    std::fs::create_dir(dir.join("there")).unwrap();
    std::fs::write(dir.join("there/README.md"), "mine").unwrap();
    std::fs::write(dir.join("file"), "mine").unwrap();
    for words in [&["new-layer", "there"][..], &["new-layer", "x", "--path", "file"]] {
        let error = expect(dir, words, b"", 1);
        assert!(error.contains("cannot create the layer in"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(dir.join("there/README.md")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.join("there")).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(dir.join("file")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2);
    // A name that is also a word of the texts stays what it is.
    for command in ["new-layer", "new-backend"] {
        let path = format!("below/{command}");
        expect(dir, &[command, "BUILD_COMPONENT_KIND", "--path", &path], b"", 0);
        let read = |name| std::fs::read_to_string(dir.join(&path).join(name)).unwrap();
        assert!(read("README.md").starts_with("# BUILD_COMPONENT_KIND\n"), "{}", read("README.md"));
        assert!(read("README.md").contains("/BUILD_COMPONENT_KIND.wasm"), "{}", read("README.md"));
        let named = "name = \"BUILD_COMPONENT_KIND\"\n";
        assert!(read("Cargo.toml").contains(named), "{}", read("Cargo.toml"));
    }
}
