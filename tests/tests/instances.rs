//! What an instance has used up ends the instance, not the calls that come after.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants, Limits, ReadOptions, WriteOptions};
use artifact_store_tests::{bare, guest};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

/// The built-in backend below a layer that hands on everything, as one component.
fn layered() -> &'static [u8] {
    static LAYERED: OnceLock<Vec<u8>> = OnceLock::new();
    LAYERED.get_or_init(|| {
        let mut graph = CompositionGraph::new();
        let mut register = |name: &str, bytes: Vec<u8>| {
            let package = Package::from_bytes(name, None, bytes, graph.types_mut()).unwrap();
            graph.register_package(package).unwrap()
        };
        let backend = register("backend", Backend::fs_component().to_vec());
        let layer = register("layer", std::fs::read(guest("layer")).unwrap());
        plug(&mut graph, vec![backend], layer).unwrap();
        graph.encode(EncodeOptions::default()).unwrap()
    })
}

fn layer_on(dir: &Path, limits: Limits) -> ArtifactStore {
    let grants = Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", "off");
    let backend = Backend::from_bytes("layered", layered()).grants(grants).limits(limits);
    ArtifactStore::open(backend.sweep_older_than(None)).unwrap()
}

/// In wasmtime 48 a composed component keeps an entry of its tables for each call.
#[test]
fn a_composed_layer_serves_for_ever() {
    for handles in [256, 32] {
        let dir = tempfile::tempdir().unwrap();
        let store = layer_on(dir.path(), Limits::default().handles(handles));
        for n in 0..1500 {
            let key = format!("k{}", n % 7);
            store.put(&key, vec![7; n]).unwrap_or_else(|e| panic!("put {n}: {e:?}"));
            let got = store.get(&key).unwrap_or_else(|e| panic!("get {n}: {e:?}"));
            assert_eq!(got.len(), n);
            if n % 50 == 0 {
                store.stat(&key).unwrap();
                assert!(store.list("k").count() <= 7);
                store.write("w", &vec![1; 1_000_000][..], WriteOptions::default()).unwrap();
                let mut reader = store.read("w", ReadOptions::default()).unwrap();
                assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 1_000_000);
                store.delete("w").unwrap();
            }
        }
    }
}

/// Its memory would stay as large as it ever was.
#[test]
#[cfg(target_os = "linux")]
fn an_instance_that_has_grown_is_not_kept() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() << 12
    };
    // 100 MiB, each page of them touched.
    let grow = "(local $at i32) (drop (memory.grow (i32.const 1600)))
        (local.set $at (i32.const 65536))
        (loop $again
            (i32.store (local.get $at) (i32.const 7))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $again (i32.lt_u (local.get $at) (i32.const 104000000))))";
    let store = ArtifactStore::open(bare(&[("DELETE", grow)])).unwrap();
    store.get("k").unwrap();
    let before = resident();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| store.delete("k").unwrap());
        }
    });
    let grown = resident().saturating_sub(before);
    assert!(grown < 90 << 20, "{} MiB are kept", grown >> 20);
    store.get("k").unwrap();
}
