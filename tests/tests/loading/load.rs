//! What is no backend is refused with one clear error.

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, Limits, LoadError};
use artifact_store_tests::{bare_text, guest, guest_on};
use std::time::{Duration, Instant};

fn refusal(backend: Backend) -> LoadError {
    let error = ArtifactStore::open(backend).expect_err("it is refused");
    let text = error.to_string();
    match error.into_kind() {
        ErrorKind::Load(error) => error,
        kind => panic!("{text}: {kind:?}"),
    }
}

#[test]
fn other_files_are_named_for_what_they_are() {
    for (bytes, kind) in [
        (&b""[..], "an empty file"),
        (b"\0asm\x01\0\0\0", "a core WebAssembly module"),
        (b"\0asm\xff\0\xff\0", "WebAssembly of an unknown version"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"(component)", "WebAssembly text"),
        (b"\x7fELF", "some other file"),
    ] {
        match refusal(Backend::from_bytes("wrong", bytes.to_vec())) {
            LoadError::NotAComponent(text) => assert!(text.starts_with(kind), "{text}"),
            error => panic!("{kind}: {error:?}"),
        }
    }
}

#[test]
fn a_damaged_component_is_invalid() {
    let whole = Backend::fs_component();
    for end in [8, 9, 100, whole.len() / 2, whole.len() - 1] {
        let refused = refusal(Backend::from_bytes("cut", whole[..end].to_vec()));
        assert!(
            matches!(refused, LoadError::Invalid(_) | LoadError::MissingExport { .. }),
            "{end}: {refused:?}"
        );
    }
}

#[test]
fn another_world_and_another_version_say_what_is_missing() {
    match refusal(Backend::from_file(guest("other_world"))) {
        LoadError::MissingExport { missing, found } => {
            assert_eq!(missing, "artifact:storage/artifact-store@0.1.0");
            assert!(found.is_empty());
        }
        error => panic!("{error:?}"),
    }
    let error = refusal(Backend::from_file(guest("later_version")));
    assert_eq!(
        error.to_string(),
        "the component does not export `artifact:storage/artifact-store@0.1.0` \
         (it exports `artifact:storage/artifact-store@0.2.0`)"
    );
}

#[test]
fn the_right_name_with_other_types_is_named() {
    match refusal(Backend::from_file(guest("wrong_types"))) {
        LoadError::WrongInterface { interface, .. } => {
            assert_eq!(interface, "artifact:storage/artifact-store@0.1.0");
        }
        error => panic!("{error:?}"),
    }
}

#[test]
fn an_import_that_nothing_grants_is_refused_by_name() {
    match refusal(Backend::from_file(guest("asks_for_more"))) {
        LoadError::UnexpectedImports(names) => assert_eq!(names, ["test:spy/microphone"]),
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_version_of_wasi_that_is_unknown_is_named_with_the_side_that_is_older() {
    for (interface, draft) in [
        ("wasi:cli/environment@0.3.0-rc-2025-09-16", Some(true)),
        // A draft of what comes later is newer than this library.
        ("wasi:cli/environment@0.4.0-rc-2027-01-01", Some(false)),
        ("wasi:cli/environment@0.4.0", Some(false)),
        ("wasi:http/handler@0.3.0-rc-2025-09-16", Some(true)),
        ("wasi:http/client@0.4.0", Some(false)),
        // This version is known, and never granted.
        ("wasi:http/outgoing-handler@0.2.3", None),
        ("wasi:nn/tensor@0.9.0", None),
    ] {
        let text = format!(
            "(component (import \"{interface}\" (instance (export \"f\" (func)))) (instance $i)
             (export \"artifact:storage/artifact-store@0.1.0\" (instance $i)))"
        );
        let component = wat::parse_str(text).unwrap();
        match (refusal(Backend::from_bytes("other", component)), draft) {
            (LoadError::UnknownWasi { interface: named, is_draft, .. }, Some(draft)) => {
                assert_eq!((&*named, is_draft), (interface, draft));
            }
            (LoadError::UnexpectedImports(names), None) => assert_eq!(names, [interface]),
            (error, _) => panic!("{interface}: {error:?}"),
        }
    }
}

#[test]
fn an_absent_file_and_an_absent_directory_are_named() {
    let absent = refusal(Backend::from_file("no/such/file.wasm"));
    assert!(matches!(absent, LoadError::Read(_)), "{absent:?}");
    match refusal(guest_on("plain", std::path::Path::new("/no/such/directory"))) {
        LoadError::Directory { path, .. } => assert_eq!(path, "/no/such/directory"),
        error => panic!("{error:?}"),
    }
}

#[test]
fn nothing_is_granted_by_default() {
    let bytes = Backend::fs_component().to_vec();
    let store = ArtifactStore::open(Backend::from_bytes("fs", bytes.clone())).unwrap();
    let error = store.put("k", "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");

    let dir = tempfile::tempdir().unwrap();
    ArtifactStore::open_dir(dir.path()).unwrap().put("k", "x").unwrap();
    let read_only = Grants::none().read_only(dir.path(), "/");
    let store = ArtifactStore::open(Backend::from_bytes("fs", bytes).grants(read_only)).unwrap();
    assert_eq!(store.get("k").unwrap(), "x");
    assert_eq!(store.list("").count(), 1);
    for error in [store.put("k", "y").unwrap_err(), store.delete("k").unwrap_err()] {
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
    }
    assert_eq!(store.get("k").unwrap(), "x");
}

/// A change here is a change of what a built-in backend may ask for: look at it twice.
#[test]
fn the_built_in_backends_import_what_they_need() {
    let engine = wasmtime::Engine::default();
    for (bytes, expected) in [
        (Backend::fs_component(), include_str!("../fs-imports.txt")),
        (Backend::s3_component(), include_str!("../s3-imports.txt")),
    ] {
        let component = wasmtime::component::Component::from_binary(&engine, bytes).unwrap();
        let ty = component.component_type();
        let mut imports: Vec<_> = ty.imports(&engine).map(|(name, _)| name.to_owned()).collect();
        imports.sort();
        assert_eq!(imports, expected.lines().collect::<Vec<_>>());
    }
}

/// The backend `wrong` with a fault, ready but for its directory.
fn wrong(fault: &str) -> Backend {
    let limits = Limits::default().call_timeout(Duration::from_millis(500));
    Backend::from_file(guest("wrong")).grants(Grants::none().env("FAULT", fault)).limits(limits)
}

#[test]
fn a_backend_of_others_says_what_is_wrong_with_its_settings() {
    let backend = wrong("").map_grants(|grants| grants.env("MODE", "fast").env("TOKEN", "a\nb"));
    match refusal(backend) {
        LoadError::Settings(problems) => {
            let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let token = "the variable TOKEN: this holds a control character";
            assert_eq!(texts, [token, "the variable MODE: it is `plain`"]);
        }
        error => panic!("{error:?}"),
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Whatever it is granted, it can be asked what it reads.
    let settings = runtime.block_on(wrong("").settings()).unwrap().unwrap();
    assert_eq!((&*settings[0].name, settings[0].is_secret), ("TOKEN", true));
    assert_eq!((&*settings[1].name, settings[1].default.as_deref()), ("MODE", Some("plain")));
    assert_eq!(runtime.block_on(Backend::from_file(guest("plain")).settings()).unwrap(), None);
}

#[test]
fn a_backend_that_lies_about_its_settings_is_refused_in_time() {
    let open = |fault| ArtifactStore::open(wrong(fault)).expect_err(fault);
    let error = open("settings-never-end");
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    let error = open("settings-trap");
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error}");
    let error = open("settings-say-nothing");
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    // What it says is cut, and drives no terminal.
    let error = open("settings-flood");
    let (text, problems) = (error.to_string(), error.into_kind());
    assert!(!text.contains(char::is_control) && text.len() < 32 << 10, "{} bytes", text.len());
    assert!(matches!(problems, ErrorKind::Load(LoadError::Settings(_))), "{text:.200}");
}

/// A backend that describes its settings by this code, which returns the address of an empty list.
fn describes(code: &str) -> Backend {
    let module = format!(
        "(func (export \"describe\") (result i32) {code} (i32.const 0))
         (func (export \"check\") (result i32) (i32.const 0))"
    );
    let text = bare_text(&[("MODULE", &module)]);
    let whole = text.trim_end().strip_suffix(')').unwrap();
    let component = format!("{whole}{})", include_str!("../../guests/bare-settings.wat"));
    Backend::from_bytes("bare", wat::parse_str(component).unwrap())
}

#[test]
fn a_backend_that_computes_its_settings_blocks_no_task_of_its_caller() {
    let soon = Duration::from_millis(800);
    let limits = Limits::default().call_timeout(soon);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let asked = |code| runtime.block_on(describes(code).limits(limits.clone()).settings());
    assert_eq!(asked("").unwrap(), Some(Vec::new()));
    let begun = Instant::now();
    let (error, beside) = runtime.block_on(async {
        let backend = describes("(loop $l (br $l))").limits(limits.clone());
        let beside = async {
            while begun.elapsed() < soon / 2 {
                tokio::time::sleep(soon / 16).await;
            }
            begun.elapsed()
        };
        tokio::join!(backend.settings(), beside)
    });
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::Timeout(_)));
    assert!(beside < soon, "{beside:?}");
}
