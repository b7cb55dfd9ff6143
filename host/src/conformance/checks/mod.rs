//! The checks, one file for each group.

mod attributes;
mod concurrency;
mod conditional;
mod copying;
mod create;
mod errors;
mod expect;
mod instances;
mod keys;
mod layers;
mod limits;
mod listing;
mod maintenance;
mod ordered;
mod overwrite;
mod ranges;
mod round_trip;
mod settings;
mod streaming;
mod versions;

use super::{Check, Interface};

const STREAMS: &[Interface] = &[Interface::Streams];
const INVENTORY: &[Interface] = &[Interface::Inventory];
const CONDITIONAL: &[Interface] = &[Interface::Conditional];
const COPYING: &[Interface] = &[Interface::Copying];
const ORDERED: &[Interface] = &[Interface::Ordered];
const MAINTENANCE: &[Interface] = &[Interface::Maintenance];
const SETTINGS: &[Interface] = &[Interface::Settings];

/// All checks, group by group.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [
        keys::CHECKS,
        round_trip::CHECKS,
        overwrite::CHECKS,
        create::CHECKS,
        versions::CHECKS,
        attributes::CHECKS,
        ranges::CHECKS,
        streaming::CHECKS,
        listing::CHECKS,
        ordered::CHECKS,
        errors::CHECKS,
        concurrency::CHECKS,
        instances::CHECKS,
        limits::CHECKS,
        conditional::CHECKS,
        copying::CHECKS,
        maintenance::CHECKS,
        settings::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The checks of the rules for layers, and of what a layer makes of a store below that fails. They are
/// for a [`Target`](super::Target) that [is a layer](super::Target::is_layer), besides all others.
pub fn layer_checks() -> impl Iterator<Item = &'static Check> {
    layers::CHECKS.iter()
}
