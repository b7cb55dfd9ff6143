//! The first call of a backend that is to replace another one.

use std::sync::Arc;

use crate::budget::Deadline;
use crate::error::ErrorKind;
use crate::instance::Pool;

/// No artifact has this key, and if one has, it is only read.
const KEY: &str = "artifact-store: does this backend answer?";

/// Makes a call that changes nothing. Any answer of the contract counts, also that the storage
/// cannot be reached.
///
/// # Errors
///
/// A fault of the backend: a trap, a broken contract, exhausted limits, or a timeout.
pub(super) async fn answers(pool: &Pool, deadline: &Arc<Deadline>) -> Result<(), ErrorKind> {
    let answer = pool
        .call(deadline, None, async |accessor, exports| {
            let answer = match &exports.inventory {
                Some(inventory) => inventory.call_stat(accessor, KEY.into()).await?.map(drop),
                None => exports.store.call_get(accessor, KEY.into()).await?.map(drop),
            };
            Ok(answer.map_err(ErrorKind::from))
        })
        .await;
    match answer {
        // It waited, and only the network can make it wait so long.
        Err(ErrorKind::Timeout(_)) if pool.has_network() && !deadline.was_computing() => Ok(()),
        Err(kind) if kind.is_fault() => Err(kind),
        _ => Ok(()),
    }
}
