//! The verbs of the contract; each is one call.

mod artifact;
mod audit;
mod cursor;
mod listing;
mod pages;
mod paging;
mod sweep;

pub use audit::Audit;
pub use listing::Listing;
pub(crate) use pages::Pages;
pub(crate) use sweep::in_background as sweep_in_background;
