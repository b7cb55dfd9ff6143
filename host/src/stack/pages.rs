//! `inventory`, and `maintenance` for a layer that passes it on.

use std::time::Duration;

use wasmtime::component::Linker;

use super::{Answer, Below, tell};
use crate::bindings::inventory::Page;
use crate::bindings::maintenance::{Findings, SweepReport};
use crate::bindings::{INVENTORY, MAINTENANCE, types};
use crate::error::{Error, Operation};
use crate::serving::{RunBy, Running};
use crate::wasi::HostState;

/// What is asked for: the prefix, the cursor, and the most entries.
type Asked = (String, Option<String>, u32);

pub(super) fn link(linker: &mut Linker<HostState>, below: &Below) -> wasmtime::Result<()> {
    let mut inventory = linker.instance(INVENTORY)?;
    let of = below.clone();
    inventory.func_wrap_concurrent("stat", move |accessor, (key,)| -> Answer<'_, types::Info> {
        let of = of.clone();
        Box::pin(async move { tell(accessor, stat(&of, key).await) })
    })?;
    let of = below.clone();
    inventory.func_wrap_concurrent(
        "list-artifacts",
        move |accessor, asked: Asked| -> Answer<'_, Page> {
            let of = of.clone();
            Box::pin(async move { tell(accessor, list(&of, asked).await) })
        },
    )?;
    let mut maintenance = linker.instance(MAINTENANCE)?;
    let of = below.clone();
    maintenance.func_wrap_concurrent(
        "audit",
        move |accessor, asked: (Option<String>, u32)| -> Answer<'_, Findings> {
            let of = of.clone();
            Box::pin(async move { tell(accessor, audit(&of, asked).await) })
        },
    )?;
    let of = below.clone();
    maintenance.func_wrap_concurrent("sweep", move |accessor, (age,)| -> Answer<'_, SweepReport> {
        let of = of.clone();
        Box::pin(async move { tell(accessor, sweep(&of, age).await) })
    })
}

async fn stat(below: &Below, key: String) -> Result<types::Info, Error> {
    let call = below.call(Operation::Stat, &key)?;
    Ok(call.start(RunBy::Layer, |call| async move { call.stat().await }).await?.into())
}

async fn list(below: &Below, (prefix, cursor, limit): Asked) -> Result<Page, Error> {
    let call = below.call(Operation::List, &prefix)?;
    let page = move |call: Running| async move { call.list_from(cursor, limit).await };
    let (entries, next) = call.start(RunBy::Layer, page).await?;
    Ok(Page { entries: entries.into_iter().map(Into::into).collect(), next })
}

async fn audit(below: &Below, (cursor, limit): (Option<String>, u32)) -> Result<Findings, Error> {
    let call = below.call(Operation::Audit, "")?;
    let page = move |call: Running| async move { call.audit_from(cursor, limit).await };
    let (items, next) = call.start(RunBy::Layer, page).await?;
    Ok(Findings { items: items.into_iter().map(Into::into).collect(), next })
}

async fn sweep(below: &Below, age: u64) -> Result<SweepReport, Error> {
    let call = below.call(Operation::Sweep, "")?;
    let sweep = move |call: Running| async move { call.sweep(Duration::from_secs(age)).await };
    Ok(call.start(RunBy::Layer, sweep).await?.into())
}
