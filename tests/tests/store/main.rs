//! What the library promises to an application.

#[cfg(unix)]
mod access;
mod api;
#[cfg(unix)]
mod claims;
mod copying;
mod damage;
mod encryption;
mod listing;
mod ordered;
mod splice;
mod stacks;
mod texts;
mod twins;
mod versions;
