//! Running a component: its pool of instances, a call on one of them, and the thread that the call
//! runs on.

mod backoff;
mod call;
mod exports;
mod pool;
mod worker;

pub(crate) use call::{Failed, Outcome};
pub(crate) use exports::{Exports, Offered};
pub(crate) use pool::Pool;
pub(crate) use worker::{Site, Worker, look_at_disk};
