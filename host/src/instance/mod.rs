//! Running a component: the engine, the pool of instances, and a
//! call on one of them.

mod backoff;
mod pool;
mod worker;

pub(crate) use pool::{Exports, Failed, Offered, Outcome, Pool};
pub(crate) use worker::{Worker, look_at_disk};
