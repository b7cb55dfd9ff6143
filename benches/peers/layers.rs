//! What a layer costs, in one run: one store without a layer, with the component that is given once and
//! twice around it, and with `encrypt`; beside the latter `rage`'s library, which encrypts all bytes and
//! then stores what came out.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use age::x25519::Identity;
use artifact_store::{Backend, Encryption, KeyPair, Limits, blocking::ArtifactStore};
use bytes::Bytes;

use crate::cases::{Case, Op};
use crate::run::{Seen, key, measure, plan};
use crate::subjects::{Subject, ours};
use crate::table;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const NAMES: [&str; 5] = ["no layer", "one", "two", "encrypt", "rage and no layer"];

/// Prints one table. `layer` is a component that passes all calls on, such as `prefix`.
pub fn all(quick: bool, target: &Path, layer: &Path) {
    println!("{}", table::machine());
    println!("| | {} |", NAMES.join(" | "));
    println!("|---|{}", "---:|".repeat(NAMES.len()));
    for (op, size) in [Op::Get, Op::Put].into_iter().flat_map(|op| [(op, KIB), (op, 64 * MIB)]) {
        row(&Case { op, size, threads: 1, durable: false }, quick, target, layer);
    }
}

fn row(case: &Case, quick: bool, target: &Path, layer: &Path) {
    let dir = tempfile::tempdir_in(target).expect("a directory");
    let data = Bytes::from_iter((0..case.bytes()).map(|n| (n * 31 % 251) as u8));
    let mut subjects = NAMES.map(|name| {
        let place = dir.path().join(name);
        std::fs::create_dir(&place).expect("a directory");
        let subject = open(name, &place, layer);
        (0..case.keys()).for_each(|n| subject.put(&key(case.op, 0, n), &data));
        (subject, Vec::<Duration>::new())
    });
    let (time, rounds) = plan(quick);
    for round in 0..rounds {
        for at in 0..subjects.len() {
            let count = subjects.len();
            let (subject, samples) = &mut subjects[(at + round) % count];
            measure(case, &**subject, &data, time, samples);
        }
    }
    let cells = subjects.map(|(_, samples)| {
        let seen = Seen::of(samples);
        format!("{} ({})", table::time(seen.median), table::time(seen.p99))
    });
    let size = match case.size {
        size if size < MIB => format!("{} KiB", size / KIB),
        size => format!("{} MiB", size / MIB),
    };
    println!("| {} {size} | {} |", case.op.name(), cells.join(" | "));
}

fn open(name: &str, dir: &Path, layer: &Path) -> Box<dyn Subject> {
    // What `rage` makes of the largest artifact is larger.
    let limits = Limits::default().buffer(80 << 20);
    let backend = ours::backend(dir, false).limits(limits);
    let component = || Backend::from_file(layer).map_grants(|grants| grants.env("PREFIX", "a/"));
    let pair = KeyPair::generate();
    let backend = match name {
        "one" => backend.layer(component()),
        "two" => backend.layer(component()).layer(component()),
        "encrypt" => {
            backend.layer(Encryption::from_identities(pair.identity()).expect("an identity"))
        }
        _ => backend,
    };
    let store = ArtifactStore::open(backend).expect("open");
    match name {
        "rage and no layer" => {
            let identity = pair.identity().parse().expect("an identity");
            Box::new(Rage { store, identity })
        }
        _ => Box::new(ours::Blocking(store)),
    }
}

struct Rage {
    store: ArtifactStore,
    identity: Identity,
}

impl Subject for Rage {
    fn put(&self, key: &str, data: &Bytes) {
        let recipient = self.identity.to_public();
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).expect("a recipient");
        let mut encrypted = Vec::with_capacity(data.len() + (data.len() >> 10) + 1024);
        let mut writer = encryptor.wrap_output(&mut encrypted).expect("a header");
        writer.write_all(data).expect("write");
        writer.finish().expect("finish");
        self.store.put(key, encrypted).expect("put");
    }

    fn get(&self, key: &str) -> usize {
        let encrypted = self.store.get(key).expect("get");
        let decryptor = age::Decryptor::new(&*encrypted).expect("a header");
        let identities = std::iter::once(&self.identity as &dyn age::Identity);
        let mut data = Vec::with_capacity(encrypted.len());
        let mut reader = decryptor.decrypt(identities).expect("the identity");
        reader.read_to_end(&mut data).expect("read")
    }
}
