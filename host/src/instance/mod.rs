//! Running a component: the engine, the pool of instances, and a
//! call on one of them.

mod backoff;
mod engine;
mod pool;
mod worker;

pub(crate) use engine::{cache_dir, engine};
pub(crate) use pool::{Exports, Failed, Offered, Outcome, Pool};
pub(crate) use worker::{Worker, look_at_disk};
