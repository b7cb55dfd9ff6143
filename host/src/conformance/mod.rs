//! Checks that a backend keeps the contract, on the component itself. With the feature
//! `conformance`.

#[cfg(unix)]
pub mod crash;
