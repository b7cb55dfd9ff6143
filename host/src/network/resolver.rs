//! Addresses of names, asked for on a thread that may block.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::Limits;
use crate::instance::look_at_disk;

/// The system's resolver.
#[derive(Clone)]
pub(super) struct Resolver;

impl Service<Name> for Resolver {
    type Response = IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            // The port is put in by whoever connects.
            let resolve = move || (name.as_str(), 0).to_socket_addrs();
            match look_at_disk(&Limits::default(), resolve).await {
                Ok(addresses) => addresses,
                Err(kind) => Err(io::Error::new(io::ErrorKind::TimedOut, kind)),
            }
        })
    }
}
