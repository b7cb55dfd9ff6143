//! The checks, one file for each group.

mod concurrency;
mod create;
mod errors;
mod expect;
mod instances;
mod keys;
mod limits;
mod listing;
mod maintenance;
mod overwrite;
mod ranges;
mod round_trip;
mod settings;
mod streaming;

use super::{Check, Interface};

const STREAMS: &[Interface] = &[Interface::Streams];
const INVENTORY: &[Interface] = &[Interface::Inventory];
const MAINTENANCE: &[Interface] = &[Interface::Maintenance];
const SETTINGS: &[Interface] = &[Interface::Settings];

/// All checks, group by group.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [
        keys::CHECKS,
        round_trip::CHECKS,
        overwrite::CHECKS,
        create::CHECKS,
        ranges::CHECKS,
        streaming::CHECKS,
        listing::CHECKS,
        errors::CHECKS,
        concurrency::CHECKS,
        instances::CHECKS,
        limits::CHECKS,
        maintenance::CHECKS,
        settings::CHECKS,
    ]
    .into_iter()
    .flatten()
}
