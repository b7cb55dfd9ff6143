//! How the store below a layer fails if a check lets it.

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::oneshot;
use wasmtime::component::{Accessor, FutureReader, StreamReader};

use super::streams::Reading;
use super::{Below, Told, deadline, remembered};
use crate::bindings::streams::Contents;
use crate::error::{Error, Operation};
use crate::info::{Info, ReadOptions};
use crate::serving::{Fault, Given, OVERSTATED, RunBy, Running};
use crate::transfer::below::Sent;
use crate::transfer::upload;
use crate::wasi::HostState;

/// A read that begins well and fails.
pub(super) struct Broken {
    info: Info,
    bytes: Bytes,
    error: Error,
}

impl Below {
    fn fault(&self) -> Option<Fault> {
        self.0.as_ref().and_then(|below| below.fault())
    }

    fn failure(&self, given: Given, operation: Operation, key: &str) -> Error {
        match self.backend() {
            Ok(backend) => backend.error(given.kind(), operation, key),
            Err(error) => error,
        }
    }

    /// Fails if every call is to fail.
    pub(super) fn refused(&self, operation: Operation, key: &str) -> Result<(), Error> {
        match self.fault() {
            Some(Fault::Refuse(given)) => Err(self.failure(given, operation, key)),
            _ => Ok(()),
        }
    }

    /// Fails if changes are to be lost.
    pub(super) fn lost(&self, operation: Operation, key: &str) -> Result<(), Error> {
        match self.fault() {
            Some(Fault::Lose(given)) => Err(self.failure(given, operation, key)),
            _ => Ok(()),
        }
    }

    /// Fails if reads are to break off: a whole artifact is then no answer.
    pub(super) fn cut(&self, key: &str) -> Result<(), Error> {
        match self.fault() {
            Some(Fault::Cut | Fault::Overstate) => {
                Err(self.failure(Given::Corrupt, Operation::Get, key))
            }
            _ => Ok(()),
        }
    }

    /// What a layer sends, unless it is to be lost: then all of it is taken before the failure.
    pub(super) async fn taken(
        &self,
        key: &str,
        mut sent: Sent,
        seal: oneshot::Receiver<upload::End>,
    ) -> Result<(Sent, oneshot::Receiver<upload::End>), Error> {
        let Some(Fault::Lose(given)) = self.fault() else { return Ok((sent, seal)) };
        while sent.next().await.is_some() {}
        let _: Result<upload::End, _> = seal.await;
        Err(self.failure(given, Operation::Put, key))
    }

    /// A read that breaks off, if reads are to.
    pub(super) async fn broken(
        &self,
        key: &str,
        options: ReadOptions,
    ) -> Result<Option<Broken>, Error> {
        let fault = self.fault();
        if let Some(Fault::Refuse(given)) = fault {
            return Err(self.failure(given, Operation::Get, key));
        }
        let Some(fault @ (Fault::Cut | Fault::Overstate)) = fault else { return Ok(None) };
        let call = self.backend()?.call(Operation::Get, key);
        let get = move |call: Running| async move { call.get(options).await };
        let (mut info, mut bytes) = call.start(RunBy::Layer, get).await?;
        let given = match fault {
            Fault::Cut => {
                bytes.truncate(bytes.len() / 2);
                Given::Unavailable
            }
            _ => {
                info.size = info.size.saturating_add(OVERSTATED);
                Given::Corrupt
            }
        };
        let error = self.failure(given, Operation::Get, key);
        Ok(Some(Broken { info, bytes, error }))
    }
}

impl Broken {
    /// The answer to the layer.
    pub(super) fn handed(self, accessor: &Accessor<HostState>) -> Told<Reading> {
        let Self { info, bytes, error } = self;
        let deadline = deadline(accessor);
        let outcome = async move { wasmtime::error::Ok(Err(remembered(&deadline, error))) };
        accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, bytes)?;
            let outcome = FutureReader::new(&mut access, outcome)?;
            Ok((Ok((info.into(), Contents::Streamed((stream, outcome)))),))
        })
    }
}
