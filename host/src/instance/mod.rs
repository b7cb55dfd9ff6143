//! Running a component: the engine, what an instance sees, the pool of instances, and a
//! call on one of them.

mod backoff;
mod deadline;
mod engine;
mod inline;
mod limiter;
mod output;
mod pool;
mod state;
mod worker;

pub(crate) use deadline::Deadline;
pub(crate) use engine::{Timer, after, on_this_thread, runtime, spawn};
pub(crate) use inline::{Inline, is_possible};
pub(crate) use limiter::HANDED_BACK;
pub(crate) use pool::{Exports, Failed, Offered, Outcome, Pool, shortened};
pub(crate) use state::HostState;
pub(crate) use worker::{Permit, Worker};
