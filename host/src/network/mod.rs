//! The network as a backend sees it: `wasi:http` to the granted endpoints, and nothing else.
//!
//! Connections belong to the host. They are shared by all instances of a backend and outlive
//! each of them.

mod address;
mod body;
mod client;
mod connect;
mod failure;
mod hooks;
mod sign;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub(crate) use address::Address;
pub(crate) use hooks::Hooks;

use crate::error::LoadError;
use crate::grants::{Grants, Signing};
use client::Client;
use sign::Scope;

/// Requests of one backend that are under way at once; more wait. It bounds what a hostile one
/// can make the host hold in sockets and buffers.
const REQUESTS: usize = 256;

/// What the grants of one backend open, and the connections made so far.
pub(crate) struct Network {
    granted: Vec<Address>,
    scopes: Vec<Scope>,
    client: Option<Client>,
    free: Arc<Semaphore>,
}

impl Network {
    /// # Errors
    ///
    /// [`LoadError::Network`] where an endpoint or proxy makes no sense, or a certificate cannot
    /// be read.
    pub(crate) fn new(grants: &Grants) -> Result<Self, LoadError> {
        let mut granted = Vec::new();
        for endpoint in &grants.endpoints {
            granted.push(Address::parse(endpoint)?);
        }
        let mut scopes = Vec::new();
        for Signing { bucket, credentials } in &grants.signing {
            let scope = Scope::new(bucket, credentials)?;
            granted.push(scope.address.clone());
            scopes.push(scope);
        }
        // Without an endpoint no request ever gets as far as a connection.
        let client = match granted.is_empty() {
            true => None,
            false => Some(Client::new(&grants.authorities, grants.proxy.as_deref())?),
        };
        Ok(Self { granted, scopes, client, free: Arc::new(Semaphore::new(REQUESTS)) })
    }

    fn client_for(&self, address: &Address) -> Option<&Client> {
        self.client.as_ref().filter(|_| self.granted.contains(address))
    }

    /// What is signed of the requests to this endpoint; nothing where they are sent as they are.
    fn scopes_of(&self, address: &Address) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().filter(move |scope| scope.address == *address)
    }
}
