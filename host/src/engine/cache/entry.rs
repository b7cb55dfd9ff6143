//! The bytes of an entry: its key, the code, and a checksum of both.
//!
//! The checksum finds damage. Against whoever may write to the folder no digest would help: they
//! could compute it, too. And it is computed at each start, where SHA-256 took ten times as long.

use crate::checksum::Checksum;
use crate::engine::profile::Profile;

/// Names the format, and its version.
const MAGIC: &[u8; 16] = b"artifact code 2\n";

const DIGEST: usize = 32;
const CHECKSUM: usize = 8;
const HEAD: usize = MAGIC.len() + 2 * DIGEST + Profile::BYTES + CHECKSUM;

/// The key of an entry: the component, and the engine that compiled it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Id {
    /// The component's SHA-256.
    pub(in crate::engine) component: [u8; 32],
    /// A digest of all that the engine's code depends on.
    pub(in crate::engine) engine: [u8; 32],
}

/// The bytes before the code in an entry.
pub(super) fn head(id: &Id, profile: &Profile, code: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    head.extend(MAGIC);
    head.extend(id.component);
    head.extend(id.engine);
    head.extend(profile.to_bytes());
    head.extend(checksum(&head, code));
    head
}

/// The code in an entry, if the entry is for `id` and has not changed since it was written.
pub(super) fn open<'e>(entry: &'e [u8], id: &Id) -> Option<(Profile, &'e [u8])> {
    let (head, code) = entry.split_at_checked(HEAD)?;
    let (stated, found) = head.split_at(HEAD - CHECKSUM);
    if checksum(stated, code) != found {
        return None;
    }
    let stated = stated.strip_prefix(MAGIC)?.strip_prefix(&id.component)?;
    Some((Profile::from_bytes(stated.strip_prefix(&id.engine)?)?, code))
}

fn checksum(head: &[u8], code: &[u8]) -> [u8; CHECKSUM] {
    let mut checksum = Checksum::new();
    checksum.update(head);
    checksum.update(code);
    checksum.value().to_le_bytes()
}
