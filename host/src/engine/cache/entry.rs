//! The bytes of an entry: the code, its key, and a checksum of both.
//!
//! The code is at the beginning, where it can be mapped into memory. The checksum finds damage.
//! Against whoever may write to the folder no digest would help: they could compute it, too. And it
//! is computed at each start, where SHA-256 took ten times as long.

use std::io::{self, Read};

use crate::checksum::Checksum;
use crate::engine::profile::Profile;

/// Names the format, and its version.
const MAGIC: &[u8; 16] = b"artifact code 3\n";

const DIGEST: usize = 32;
const CHECKSUM: usize = 8;
const TAIL: usize = MAGIC.len() + 2 * DIGEST + Profile::BYTES + CHECKSUM;

/// How much of an entry is read at once: as much as stays in the processor's cache.
const PIECE: usize = 128 << 10;

/// The key of an entry: the component, and the engine that compiled it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Id {
    /// The component's SHA-256.
    pub(in crate::engine) component: [u8; 32],
    /// A digest of all that the engine's code depends on.
    pub(in crate::engine) engine: [u8; 32],
}

/// The bytes after the code in an entry.
pub(super) fn tail(id: &Id, profile: &Profile, code: &[u8]) -> Vec<u8> {
    let mut tail = Vec::with_capacity(TAIL);
    tail.extend(MAGIC);
    tail.extend(id.component);
    tail.extend(id.engine);
    tail.extend(profile.to_bytes());
    let mut checksum = Checksum::new();
    checksum.update(code);
    checksum.update(&tail);
    tail.extend(checksum.value().to_le_bytes());
    tail
}

/// The size of the code in an entry of `size` bytes, and what is known of it, if the entry is for
/// `id` and has not changed since it was written.
pub(super) fn verify(
    mut entry: impl Read,
    size: u64,
    id: &Id,
) -> io::Result<Option<(Profile, u64)>> {
    let Some(code) = size.checked_sub(TAIL as u64) else { return Ok(None) };
    let mut checksum = Checksum::new();
    let mut piece = vec![0; PIECE];
    let mut left = code;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        entry.read_exact(&mut piece[..most])?;
        checksum.update(&piece[..most]);
        left -= most as u64;
    }
    let mut tail = [0; TAIL];
    entry.read_exact(&mut tail)?;
    let (stated, found) = tail.split_at(TAIL - CHECKSUM);
    checksum.update(stated);
    Ok(profile(stated, id).filter(|_| checksum.value().to_le_bytes() == found).map(|it| (it, code)))
}

fn profile(stated: &[u8], id: &Id) -> Option<Profile> {
    let stated = stated.strip_prefix(MAGIC)?.strip_prefix(&id.component)?;
    Profile::from_bytes(stated.strip_prefix(&id.engine)?)
}
