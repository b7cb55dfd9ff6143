//! `artifact-store`: whole artifacts.

use bytes::Bytes;
use wasmtime::component::Linker;

use super::{Answer, Below, tell};
use crate::bindings::STORE;
use crate::error::{Error, Operation};
use crate::info::{ReadOptions, WriteOptions};
use crate::serving::{RunBy, Running};
use crate::wasi::HostState;

pub(super) fn link(linker: &mut Linker<HostState>, below: &Below) -> wasmtime::Result<()> {
    let mut store = linker.instance(STORE)?;
    let of = below.clone();
    store.func_wrap_concurrent("put", move |accessor, (key, data)| -> Answer<'_, ()> {
        let of = of.clone();
        Box::pin(async move { tell(accessor, put(&of, key, data).await) })
    })?;
    let of = below.clone();
    store.func_wrap_concurrent("get", move |accessor, (key,)| -> Answer<'_, Vec<u8>> {
        let of = of.clone();
        Box::pin(async move { tell(accessor, get(&of, key).await) })
    })?;
    let of = below.clone();
    store.func_wrap_concurrent("delete", move |accessor, (key,)| -> Answer<'_, ()> {
        let of = of.clone();
        Box::pin(async move { tell(accessor, delete(&of, key).await) })
    })
}

async fn put(below: &Below, key: String, data: Vec<u8>) -> Result<(), Error> {
    #[cfg(feature = "conformance")]
    below.lost(Operation::Put, &key)?;
    let (data, options) = (Bytes::from(data), WriteOptions::default());
    let call = below.call(Operation::Put, &key)?;
    let put = move |call: Running| async move { call.put(data, options).await };
    call.start(RunBy::Layer, put).await.map(drop)
}

async fn get(below: &Below, key: String) -> Result<Vec<u8>, Error> {
    #[cfg(feature = "conformance")]
    below.cut(&key)?;
    let call = below.call(Operation::Get, &key)?;
    let get = |call: Running| async move { call.get(ReadOptions::default()).await };
    let (_, data) = call.start(RunBy::Layer, get).await?;
    Ok(data.into())
}

async fn delete(below: &Below, key: String) -> Result<(), Error> {
    #[cfg(feature = "conformance")]
    below.lost(Operation::Delete, &key)?;
    let call = below.call(Operation::Delete, &key)?;
    call.start(RunBy::Layer, |call| async move { call.delete().await }).await
}
