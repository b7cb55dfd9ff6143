//! What a backend reaches over the network, and the S3 backend before servers that fail.

mod access;
mod credentials;
mod faults;
mod listings;
mod outcomes;
mod service_lacks;
mod settings;
mod signing;
mod tls;
mod together;
