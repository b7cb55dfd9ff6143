//! How many calls of WASI the built-in backends make for each operation. Each costs a microsecond or
//! more, so that none is to be added unnoticed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ReadOptions, Sign};
use artifact_store_tests::service::Differences;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Counts the calls by name: wasmtime opens a span for each, and the host reports what is opened.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counter {
    fn count(&self, function: Function) {
        *self.0.lock().unwrap().entry(function.0).or_default() += 1;
    }
}

struct Function(String);

impl Visit for Function {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if matches!(field.name(), "function" | "message") {
            self.0 = format!("{value:?}").trim_matches('"').to_owned();
        }
    }
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() || metadata.name() == "wit-bindgen import"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut function = Function(String::new());
        span.record(&mut function);
        self.count(function);
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut function = Function(String::new());
        event.record(&mut function);
        if function.0 == "opens" {
            self.count(function);
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// One test, since the spans that are looked at are the same for the whole process.
#[test]
fn each_operation_makes_few_calls() {
    let counter = Counter::default();
    let _counting = tracing::subscriber::set_default(counter.clone());
    let dir = tempfile::tempdir().unwrap();
    // The splice replaces one of wasmtime's functions with one that opens no span.
    let fs = Backend::fs(dir.path()).sweep_older_than(None).splice(false);
    // Elsewhere the backend looks at what it is about to open, since the host cannot at once.
    let bounds = match cfg!(target_os = "linux") {
        true => [("put", 9), ("get", 3), ("range", 4), ("stat", 3), ("delete", 3)],
        false => [("put", 9), ("get", 6), ("range", 7), ("stat", 5), ("delete", 3)],
    };
    check("fs", &counter, fs, bounds);
    let server = Differences::default().start();
    let s3 = Backend::s3(Differences::default().variables(&server, ""), Sign::Host).unwrap();
    let bounds = [("put", 15), ("get", 12), ("range", 12), ("stat", 13), ("delete", 13)];
    check("s3", &counter, s3, bounds);
}

fn check(name: &str, counter: &Counter, backend: Backend, bounds: [(&'static str, u32); 5]) {
    let store = ArtifactStore::open(backend).unwrap();
    let mut all = BTreeMap::new();
    let mut count = |operation: &'static str, call: &dyn Fn()| {
        counter.0.lock().unwrap().clear();
        call();
        let calls = std::mem::take(&mut *counter.0.lock().unwrap());
        let number: u32 = calls.values().sum();
        eprintln!("{name}, {operation}: {number} {calls:?}");
        all.insert(operation, number);
    };
    // What an instance learns at first, it knows the second time.
    for _ in 0..3 {
        count("put", &|| _ = store.put("k", "some bytes").unwrap());
        count("get", &|| drop(store.get("k").unwrap()));
        count("range", &|| {
            let options = ReadOptions::default().offset(1).length(2);
            std::io::copy(&mut store.read("k", options).unwrap(), &mut std::io::sink()).unwrap();
        });
        count("stat", &|| _ = store.stat("k").unwrap());
        count("delete", &|| store.delete("k").unwrap());
    }
    for (operation, bound) in bounds {
        assert!(all[operation] <= bound, "{name}, {operation} makes {} calls", all[operation]);
    }
}
