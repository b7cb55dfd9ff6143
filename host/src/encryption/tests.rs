use super::{Encryption, HEAD, KeyPair, Opening, PIECE, Sealed};
use crate::error::ErrorKind;

const KEY: &str = "a/key";

/// A small artifact as it is stored.
fn sealed(encryption: &Encryption, data: &[u8]) -> Vec<u8> {
    let Sealed { head: mut stored, mut sealer } = encryption.begin(KEY).unwrap();
    let start = stored.len();
    stored.extend_from_slice(data);
    sealer.seal(&mut stored, start, true).unwrap();
    stored
}

fn opened(encryption: &Encryption, mut stored: Vec<u8>) -> Result<Vec<u8>, ErrorKind> {
    let opening = Opening { encryption: encryption.clone(), key: KEY.into() };
    let (head, piece) = stored.split_at_mut(HEAD);
    let size = opening.open(head)?.open(piece, 0, true)?;
    Ok(piece[..size].to_vec())
}

#[test]
fn every_bit_of_an_artifact_counts() {
    let pair = KeyPair::generate();
    let encryption = Encryption::from_identities(pair.identity()).unwrap();
    let stored = sealed(&encryption, b"small");
    assert_eq!(opened(&encryption, stored.clone()).unwrap(), b"small");
    for bit in 0..stored.len() * 8 {
        let mut changed = stored.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = opened(&encryption, changed).unwrap_err();
        assert!(matches!(error, ErrorKind::Corrupt(_)), "bit {bit}: {error}");
    }
}

#[test]
fn a_piece_is_in_its_place_and_no_larger_than_one() {
    let pair = KeyPair::generate();
    let encryption = Encryption::from_identities(pair.identity()).unwrap();
    let Sealed { head, mut sealer } = encryption.begin(KEY).unwrap();
    let mut piece = vec![7; PIECE];
    sealer.seal(&mut piece, 0, false).unwrap();
    let opener = Opening { encryption, key: KEY.into() }.open(&head).unwrap();
    for (number, is_last) in [(0, true), (1, false), (u64::MAX, false)] {
        assert!(opener.open(&mut piece.clone(), number, is_last).is_err());
    }
    assert!(opener.open(&mut [0; 15], 0, false).is_err());
    assert_eq!(opener.open(&mut piece, 0, false).unwrap(), PIECE);
    assert!(sealer.seal(&mut vec![0; PIECE + 1], 0, false).is_err());
}

/// age adds a stanza of random length to each header.
#[test]
fn a_header_for_the_most_recipients_fits() {
    let recipients: Vec<_> = (0..16).map(|_| KeyPair::generate().recipient().to_owned()).collect();
    let encryption = Encryption::new(recipients).unwrap();
    for _ in 0..300 {
        assert_eq!(encryption.begin(KEY).unwrap().head.len(), HEAD);
    }
}
