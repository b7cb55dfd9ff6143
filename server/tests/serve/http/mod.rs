//! Plain HTTP, as build caches speak it.

mod access;
mod caches;
mod requests;
mod swap;
