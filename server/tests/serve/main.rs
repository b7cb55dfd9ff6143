//! The server, through requests over the network: S3, and in `http` plain HTTP.

mod access;
#[cfg(unix)]
mod activation;
#[cfg(unix)]
mod admin;
mod bodies;
mod checksums;
#[cfg(unix)]
mod cli;
mod http;
mod limits;
mod lists;
mod parts;
#[cfg(unix)]
mod process;
mod requests;
mod served;
#[cfg(unix)]
mod tls;
mod uploads;
