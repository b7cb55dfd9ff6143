//! Running a component: the engine, what an instance sees, the pool of instances, and a
//! call on one of them.

mod backoff;
mod engine;
mod output;
mod pool;
mod state;
mod worker;

pub(crate) use engine::engine;
pub(crate) use pool::{Exports, Failed, Offered, Outcome, Pool};
pub(crate) use state::HostState;
pub(crate) use worker::{Worker, look_at_disk};
