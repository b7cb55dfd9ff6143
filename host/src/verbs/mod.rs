//! The verbs of the contract, one call each.

mod artifact;
mod audit;
mod cursor;
mod listing;
mod paging;
mod sweep;

pub use audit::Audit;
pub(crate) use cursor::Cursor;
pub use listing::Listing;
pub(crate) use paging::{Page, Pages};
pub(crate) use sweep::in_background as sweep_in_background;
