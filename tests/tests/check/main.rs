//! What the author of a backend runs: the conformance check, its reports, and a first backend to begin with.

mod command;
mod layers;
mod new_backend;
mod new_layer;
mod reports;
