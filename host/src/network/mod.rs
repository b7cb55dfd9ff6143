//! The network as a backend sees it: only `wasi:http`, and only to the granted endpoints.
//!
//! Connections belong to the host. All instances of a backend share them, and they outlive the
//! instances.

mod address;
mod aws;
mod body;
mod client;
mod connect;
mod failure;
mod hooks;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub(crate) use address::Address;
pub(crate) use aws::region;
pub(crate) use hooks::Hooks;

use crate::error::{ErrorKind, LoadError};
use crate::grants::{Grants, Signing};
use aws::Keyring;
use client::Client;
use sign::Scope;

/// How many requests of one backend run at once; more have to wait. This limits the sockets and
/// buffers that a hostile backend can make the host hold.
const REQUESTS: usize = 256;

/// The granted endpoints of one backend, and its connections.
pub(crate) struct Network {
    granted: Vec<Address>,
    scopes: Vec<Scope>,
    client: Option<Client>,
    free: Arc<Semaphore>,
}

impl Network {
    /// # Errors
    ///
    /// [`LoadError::Network`] if an endpoint or the proxy is invalid, or if a certificate cannot be
    /// read.
    pub(crate) fn new(grants: &Grants) -> Result<Self, LoadError> {
        let mut granted = Vec::new();
        for endpoint in &grants.endpoints {
            granted.push(Address::parse(endpoint)?);
        }
        let mut scopes = Vec::new();
        for Signing { bucket, credentials } in &grants.signing {
            let scope = Scope::new(bucket, Keyring::new(credentials, grants)?)?;
            granted.push(scope.address.clone());
            scopes.push(scope);
        }
        // Without an endpoint, every request is refused before it needs a connection.
        let client = match granted.is_empty() {
            true => None,
            false => Some(Client::new(&grants.authorities, grants.proxy.as_deref())?),
        };
        Ok(Self { granted, scopes, client, free: Arc::new(Semaphore::new(REQUESTS)) })
    }

    /// Makes sure that requests can be signed, before the first one has to be.
    ///
    /// # Errors
    ///
    /// The credentials are to be found by the host, and it found none.
    pub(crate) async fn prepare(&self, limit: Duration) -> Result<(), ErrorKind> {
        for scope in &self.scopes {
            scope.keyring.keys(limit).await?;
        }
        Ok(())
    }

    fn client_for(&self, address: &Address) -> Option<&Client> {
        self.client.as_ref().filter(|_| self.granted.contains(address))
    }

    /// The scopes in which requests to this endpoint are signed; empty if they are sent unsigned.
    fn scopes_of(&self, address: &Address) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().filter(move |scope| scope.address == *address)
    }
}
