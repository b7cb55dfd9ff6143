//! What `bundle` composes, and what it refuses. `wasmtime_cli.rs` runs what it writes.

use std::path::Path;

use artifact_store_tests::{bare_component, expect, guest};

fn bundle(dir: &Path, backend: &str, layers: &[&str], code: i32) -> String {
    let layers: Vec<_> = layers.iter().flat_map(|layer| ["--layer", layer]).collect();
    expect(dir, &[&["bundle", backend, "-o", "out.wasm"], &layers[..]].concat(), b"", code)
}

fn file(name: &str) -> String {
    guest(name).display().to_string()
}

#[test]
fn layers_of_a_bundle_are_inside_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let size = |layers: &[&str]| {
        bundle(dir, "fs", layers, 0);
        std::fs::metadata(dir.join("out.wasm")).unwrap().len()
    };
    let (layer, passes) = (file("prefix"), file("layer"));
    let sizes = [size(&[]), size(&[&layer]), size(&[&layer, &layer]), size(&[&passes, &layer])];
    assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2] && sizes[1] < sizes[3], "{sizes:?}");
    // Nothing but WASI, and the types, is left for the one that runs it.
    let text = expect(dir, &["inspect", "out.wasm"], b"", 0);
    assert!(!text.contains("through another backend"), "{text}");
    // Before the command, as everywhere.
    expect(dir, &["--layer", &layer, "bundle", "fs", "-o", "before.wasm"], b"", 0);
    size(&[&layer]);
    let read = |name| std::fs::read(dir.join(name)).unwrap();
    assert!(read("before.wasm") == read("out.wasm"));
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let prefix = file("prefix");
    std::fs::write(dir.join("text.wasm"), "no component").unwrap();
    std::fs::write(dir.join("bare.wasm"), bare_component(&[])).unwrap();
    for (name, import) in
        [("strange", "artifact:storage/artifact-store@0.1.0"), ("open", "my:own/thing")]
    {
        let text = format!(r#"(component (import "{import}" (instance (export "put" (func)))))"#);
        let bytes = wat::parse_str(text).unwrap();
        std::fs::write(dir.join(name).with_extension("wasm"), bytes).unwrap();
    }
    // Each with what its message says.
    for (backend, layers, said) in [
        ("fs", &["none.wasm"][..], &["the layer `none.wasm`", "No such file"][..]),
        ("fs", &[&prefix, "text.wasm"], &["the layer `text.wasm`", "not a WebAssembly component"]),
        ("none.wasm", &[&prefix], &["cannot bundle `none.wasm`", "No such file"]),
        // A backend in the place of a layer, and the other way round.
        ("fs", &[&file("plain")], &["the layer `", "plain.wasm`", "a backend and no layer"]),
        (&prefix, &[], &["the backend `", "prefix.wasm`", "is a layer", "artifact-store@0.1.0"]),
        (&prefix, &[&prefix], &["the backend `", "prefix.wasm`", "is a layer"]),
        // What is below exports too little, or the layer on top.
        ("bare.wasm", &[&prefix], &["the backend `bare.wasm` does not export", "streams@0.1.0"]),
        ("bare.wasm", &[&prefix], &["inventory@0.1.0, which the layer `", "prefix.wasm` imports"]),
        ("fs", &[&file("odd_layer"), &prefix], &["prefix.wasm` does not export", "maintenance@"]),
        ("bare.wasm", &[], &["`bare.wasm` does not export", "which the command imports"]),
        // Another contract, and what none has.
        ("fs", &["strange.wasm"], &["of the backend `fs` has not the types", "`strange.wasm`"]),
        ("fs", &["open.wasm"], &["the layer `open.wasm` imports `my:own/thing`", "no part"]),
    ] {
        let error = bundle(dir, backend, layers, 1);
        assert!(said.iter().all(|said| error.contains(said)), "{backend} {layers:?}: {error}");
        assert!(!dir.join("out.wasm").exists());
    }
    // In the other order they fit.
    bundle(dir, "fs", &[&prefix, &file("odd_layer")], 0);
}

#[test]
fn what_is_no_component_or_has_variables_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let with_variable = format!("{},PREFIX=a/", file("prefix"));
    for (layer, said) in [
        ("encrypt", "`--layer encrypt` cannot be in a bundle"),
        ("encrypt=age1x", "`--layer encrypt` cannot be in a bundle"),
        (&with_variable, "wasmtime run --env NAME=VALUE"),
        ("fs", "`fs` is no layer"),
        ("", "is no layer"),
    ] {
        let error = bundle(dir, "fs", &[layer], 2);
        assert!(error.contains(said), "{layer}: {error}");
        assert!(!dir.join("out.wasm").exists());
    }
}
