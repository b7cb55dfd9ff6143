//! The verbs of the contract; each is one call.

mod artifact;
mod audit;
mod copy;
mod cursor;
mod listing;
mod ordered;
mod pages;
mod paging;
mod sweep;

pub use audit::Audit;
pub(crate) use copy::copy;
pub use listing::Listing;
pub(crate) use ordered::list_page;
pub use ordered::{ListOptions, ListPage};
pub(crate) use pages::Pages;
pub(crate) use sweep::in_background as sweep_in_background;
