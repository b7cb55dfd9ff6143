use super::*;

fn id(n: u8) -> Id {
    Id { component: [n; 32], engine: [7; 32] }
}

fn profile() -> Profile {
    Profile::default()
}

#[test]
fn an_entry_opens_for_what_it_was_made_for_and_for_nothing_else() {
    let code = b"code";
    let entry = [code, &*entry::tail(&id(1), &profile(), code)].concat();
    let open = |entry: &[u8], id| {
        entry::verify(entry, entry.len() as u64, &id).unwrap().map(|(_, code)| code)
    };
    assert_eq!(open(&entry, id(1)), Some(4));
    assert_eq!(open(&entry, id(2)), None);
    assert_eq!(open(&entry, Id { engine: [8; 32], ..id(1) }), None);
    for bit in 0..entry.len() * 8 {
        let mut flipped = entry.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&flipped, id(1)), None, "bit {bit}");
    }
    for end in 0..entry.len() {
        assert_eq!(open(&entry[..end], id(1)), None, "{end} bytes");
    }
}

#[test]
fn the_oldest_entries_go_where_there_is_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let code = [0; 1000];
    let size = (entry::tail(&id(0), &profile(), &code).len() + code.len()) as u64;
    let entries = Entries { folder: folder.path().to_owned(), room: 3 * size + size / 2 };
    let is_there = |n| entries.path(&id(n)).exists();
    for n in 0..3 {
        entries.keep(&id(n), &profile(), &code);
        // The first one is used last.
        let used = SystemTime::now() - DAY * u32::from(n + 1);
        let file = File::options().write(true).open(entries.path(&id(n))).unwrap();
        file.set_modified(used).unwrap();
    }
    entries.keep(&id(3), &profile(), &code);
    assert_eq!([0, 1, 2, 3].map(is_there), [true, true, false, true]);
    // The time of one that is used again is that of its use.
    assert!(entries.find(&id(1), |_, _| Some(())).is_some());
    entries.keep(&id(4), &profile(), &code);
    assert_eq!([0, 1, 3, 4].map(is_there), [false, true, true, true]);
    // What is larger than all the room moves nobody.
    entries.keep(&id(5), &profile(), &[0; 10_000]);
    assert_eq!([1, 3, 4, 5].map(is_there), [true, true, true, false]);
}

#[test]
fn what_a_writer_left_unfinished_goes_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let entries = Entries { folder: folder.path().to_owned(), room: ROOM };
    let part = |name: &str| folder.path().join(name).with_extension(UNFINISHED);
    for (name, age) in [("old", ABANDONED * 2), ("new", Duration::ZERO)] {
        let file = File::create(part(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    std::fs::write(folder.path().join("another's"), "").unwrap();
    entries.keep(&id(1), &profile(), b"code");
    assert!(!part("old").exists() && part("new").exists());
    assert!(folder.path().join("another's").exists());
}
