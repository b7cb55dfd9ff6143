//! The rules of layers, looked at in the store below.

mod failures;
mod keys;
mod part;
mod payload;
mod seals;

use super::super::{Check, Group::Layers};
use super::{INVENTORY, Interface, STREAMS};

const BOTH: &[Interface] = &[STREAMS[0], INVENTORY[0]];

pub(super) const CHECKS: &[Check] = &[
    Check::new("different_keys_stay_different_below", Layers, &["layer-1"], keys::different)
        .direct(),
    Check::new("only_its_part_is_listed", Layers, &["layer-2"], part::listed)
        .needs(INVENTORY)
        .direct(),
    Check::new("no_key_reaches_out_of_its_part", Layers, &["layer-2"], part::reached)
        .needs(INVENTORY)
        .direct(),
    Check::new("rewritten_payloads_look_as_they_were_put", Layers, &["layer-3"], payload::stated)
        .needs(BOTH)
        .direct(),
    Check::new("without_a_seal_nothing_is_stored_below", Layers, &["layer-4"], seals::unsealed)
        .needs(STREAMS)
        .direct(),
    Check::new("a_seal_below_follows_that_above", Layers, &["layer-4"], seals::order)
        .needs(STREAMS)
        .direct(),
    Check::new("no_key_is_shortened", Layers, &["layer-5", "key-2"], keys::longest).direct(),
    Check::new("a_failure_below_is_no_absence", Layers, &["error-3", "get-1"], failures::reads)
        .needs(BOTH)
        .direct(),
    Check::new(
        "a_change_that_fails_below_is_not_ok",
        Layers,
        &["change-2", "change-4", "change-5"],
        failures::changes,
    )
    .needs(STREAMS)
    .direct(),
    Check::new("a_listing_that_fails_below_has_no_gaps", Layers, &["list-2"], failures::listing)
        .needs(INVENTORY)
        .direct(),
    Check::new(
        "a_read_that_breaks_off_below_is_not_complete",
        Layers,
        &["read-12", "get-1", "error-3"],
        failures::broken,
    )
    .needs(STREAMS)
    .direct(),
];
