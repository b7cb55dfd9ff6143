//! Running a component: the engine, the pool of instances, and a
//! call on one of them.

mod backoff;
mod deadline;
mod engine;
mod inline;
mod limiter;
mod pool;
mod worker;

pub(crate) use deadline::Deadline;
pub(crate) use engine::{TICK, Timer, after, cache_dir, engine, on_this_thread, runtime, spawn};
pub(crate) use inline::{Inline, is_possible};
pub(crate) use limiter::{HANDED_BACK, Limiter};
pub(crate) use pool::{Exports, Failed, Offered, Outcome, Pool, shortened};
pub(crate) use worker::{Permit, Worker};
