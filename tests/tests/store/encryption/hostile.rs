//! A backend that changes what it keeps: what it hands out is put through a store without
//! encryption, with every seal right.

use std::io::Read;

use artifact_store::{Error, ReadOptions};

use super::{HEAD, PIECE, Place, STORED_PIECE, bytes, is_corrupt};

/// Whatever is read of the artifact is an error, before a byte that it had not is handed out.
fn is_found(place: &Place, key: &str, stored: Vec<u8>, data: &[u8], what: &str) {
    let size = data.len();
    place.below.put(key, stored).unwrap();
    let refused = |error: Error| assert!(is_corrupt(&error), "{what}: {error}");
    refused(place.store.get(key).map(drop).expect_err(what));
    // A stream may hand out the pieces before the wrong one, and no other byte.
    match place.store.read(key, ReadOptions::default()) {
        Err(error) => refused(error),
        Ok(mut reader) => {
            let mut read = Vec::new();
            let error = reader.read_to_end(&mut read).expect_err(what);
            refused(error.downcast().unwrap());
            assert!(data.starts_with(&read), "{what}");
        }
    }
    let ranges = (0..=size / PIECE).map(|n| (n * PIECE).saturating_sub(1));
    let ranges = ranges.map(|at| ReadOptions::default().offset(at as u64).length(2));
    let whole = [ReadOptions::default().suffix(u64::MAX)];
    for options in ranges.chain(whole) {
        match place.store.get_with(key, options) {
            // Each that is right is made of pieces that nobody changed.
            Ok((_, part)) => {
                let at = usize::try_from(options.offset).unwrap();
                assert!(options.suffix.is_none(), "{what}");
                assert!(part == data[at..(at + 2).min(size)], "{what} at {at}");
            }
            Err(error) => {
                let is_range = matches!(error.kind(), artifact_store::ErrorKind::InvalidRange);
                assert!(is_corrupt(&error) || is_range, "{what}: {error}");
            }
        }
    }
}

#[test]
fn every_byte_of_an_artifact_counts() {
    let place = Place::new();
    let data = b"small";
    place.store.put("k", &data[..]).unwrap();
    let stored = place.below.get("k").unwrap();
    for at in 0..stored.len() {
        let mut changed = stored.to_vec();
        changed[at] ^= 1 << (at % 8);
        is_found(&place, "k", changed, data, &format!("byte {at}"));
    }
    place.below.put("k", stored).unwrap();
    assert_eq!(place.store.get("k").unwrap(), &data[..]);
}

#[test]
fn a_piece_that_is_gone_new_moved_or_repeated_is_found() {
    let place = Place::new();
    for size in [PIECE, 3 * PIECE, 3 * PIECE + 10] {
        let data = bytes(size);
        place.store.put("k", data.clone()).unwrap();
        let stored = place.below.get("k").unwrap();
        let (head, payload) = stored.split_at(HEAD);
        let pieces: Vec<_> = payload.chunks(STORED_PIECE).collect();
        let of = |pieces: &[&[u8]]| [head, &pieces.concat()].concat();
        assert!(of(&pieces) == stored);
        for n in 0..pieces.len() {
            is_found(&place, "k", of(&pieces[..n]), &data, &format!("{size}: cut at {n}"));
            let mut without = pieces.clone();
            without.remove(n);
            is_found(&place, "k", of(&without), &data, &format!("{size}: without {n}"));
            for to in 0..=pieces.len() {
                let mut twice = pieces.clone();
                twice.insert(to, pieces[n]);
                is_found(&place, "k", of(&twice), &data, &format!("{size}: {n} again at {to}"));
            }
            for other in 0..n {
                let mut swapped = pieces.clone();
                swapped.swap(n, other);
                is_found(&place, "k", of(&swapped), &data, &format!("{size}: {n} and {other}"));
            }
            let at = HEAD + n * STORED_PIECE;
            for cut in [at.saturating_sub(1), at + 1, at + 15, at + 16, at + 17] {
                let cut = stored[..cut.min(stored.len() - 1)].to_vec();
                is_found(&place, "k", cut, &data, &format!("{size}: cut near {n}"));
            }
        }
        for more in [1, 15, 16, 17, STORED_PIECE] {
            let longer = [&stored[..], &vec![0; more]].concat();
            is_found(&place, "k", longer, &data, &format!("{size}: {more} more"));
        }
    }
}

#[test]
fn what_belongs_to_another_key_or_generation_is_found() {
    let place = Place::new();
    let data = bytes(2 * PIECE + 10);
    let newer: Vec<_> = data.iter().map(|byte| !byte).collect();
    place.store.put("k", data).unwrap();
    let old = place.below.get("k").unwrap();
    place.store.put("other", newer.clone()).unwrap();
    let other = place.below.get("other").unwrap();
    place.store.put("k", newer.clone()).unwrap();
    let new = place.below.get("k").unwrap();
    is_found(&place, "k", other.to_vec(), &newer, "the artifact of another key");
    for n in 0..3 {
        let at = HEAD + n * STORED_PIECE;
        let end = (at + STORED_PIECE).min(new.len());
        for (from, what) in [(&old, "an older"), (&other, "another")] {
            let mixed = [&new[..at], &from[at..end], &new[end..]].concat();
            is_found(&place, "k", mixed, &newer, &format!("piece {n} of {what} one"));
        }
    }
    // The line, the header and the nonce, each from elsewhere.
    for (end, what) in [(2048, "header"), (HEAD, "header and nonce")] {
        for from in [&old, &other] {
            let mixed = [&from[..end], &new[end..]].concat();
            is_found(&place, "k", mixed, &newer, what);
        }
    }
    let mixed = [&new[..2048], &old[2048..HEAD], &new[HEAD..]].concat();
    is_found(&place, "k", mixed, &newer, "nonce");
    // A whole older one cannot be told from the present one; the documentation says so.
    place.below.put("k", old).unwrap();
    assert!(place.store.get("k").unwrap() != newer);
}
