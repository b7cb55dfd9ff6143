//! What a call may use, and what the process has for all calls.
//!
//! `deadline` has the clocks of a call, `turn` decides which calls run, and `pause` what happens to
//! a transfer whose caller pauses; the rule for these is in `docs/threat-model.md`, "Time".
//! `closing` ends all calls of a backend. `limiter` counts memory, `inline` the work on a caller's
//! task, and `shortage` names what the system refuses. `runtime` and `threads` belong to the
//! process, and `fork` detects that they are gone.

mod closing;
mod deadline;
mod fork;
mod inline;
mod limiter;
mod pause;
mod runtime;
mod shortage;
mod threads;
mod together;
mod turn;

pub(crate) use closing::Closing;
pub(crate) use deadline::Deadline;
pub(crate) use fork::is_child;
pub(crate) use inline::{Inline, is_local, is_possible};
pub(crate) use limiter::Limiter;
pub(crate) use pause::{Away, Patience, watch};
pub(crate) use runtime::{
    Timer, after, have_threads_to_compile, network_runtime, no_thread, on_this_thread, running,
    runtime, spawn,
};
pub(crate) use shortage::{
    explain_trouble, invalid, is_busy, make_do, not_started, of_system, refused, room_for_calls,
    scarce, shortage,
};
pub(crate) use threads::{Joined, Threads, guarded, in_background, on_thread};
pub(crate) use together::{Together, begin_beside, has_place};
pub(crate) use turn::{Admitted, Turn, Turns};
