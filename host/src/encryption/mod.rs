//! Encryption of artifacts, in the format of age: what is stored can be decrypted without this
//! library.
//!
//! `keys` has the recipients and identities, `size` the arithmetic of sizes, `header` what stands
//! before the payload, `payload` the payload itself. How the bytes move is up to `transfer`.

#[cfg(not(feature = "encrypt"))]
mod absent;
#[cfg(feature = "encrypt")]
mod header;
#[cfg(feature = "encrypt")]
mod keys;
#[cfg(feature = "encrypt")]
mod payload;
mod size;
#[cfg(all(test, feature = "encrypt"))]
mod tests;

#[cfg(not(feature = "encrypt"))]
pub(crate) use absent::{Encryption, Opener, Opening, Sealed, Sealer};
#[cfg(feature = "encrypt")]
pub(crate) use header::{Opening, Sealed};
#[cfg(feature = "encrypt")]
pub use keys::{Encryption, KeyPair};
#[cfg(feature = "encrypt")]
pub(crate) use payload::{Opener, Sealer};
pub(crate) use size::{HEAD, PIECE, SEALED_PIECE, pieces, plain_entry, plain_info, sealed_size};
