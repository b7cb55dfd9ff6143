//! What a call may use up, and what the whole process has for all calls.
//!
//! `deadline` is the clock of a call, `turn` decides who runs, `pause` what becomes of a caller that
//! is waited for; `docs/threat-model.md`, "Time", is the rule that they keep. `closing` ends all calls
//! of a backend. `limiter` counts memory, `inline` what is done on a caller's task, `shortage` is what
//! the system refuses. `runtime` and `threads` are the process's, `fork` notices where they are gone.

mod closing;
mod deadline;
mod fork;
mod inline;
mod limiter;
mod pause;
mod runtime;
mod shortage;
mod threads;
mod turn;

pub(crate) use closing::Closing;
pub(crate) use deadline::Deadline;
pub(crate) use fork::is_child;
pub(crate) use inline::{Inline, is_possible};
pub(crate) use limiter::Limiter;
pub(crate) use pause::{Away, Patience, watch};
pub(crate) use runtime::{
    Timer, after, have_threads_to_compile, no_thread, on_this_thread, running, runtime, spawn,
};
pub(crate) use shortage::{
    explain_trouble, invalid, make_do, not_started, of_system, refused, room_for_calls, scarce,
    shortage,
};
pub(crate) use threads::{Joined, in_background, on_thread};
pub(crate) use turn::{Admitted, Turn, Turns};
