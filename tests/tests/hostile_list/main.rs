//! The hostile list: what a backend can do to its host, and that the host comes to no harm by it.
//!
//! `list/` names each behaviour, the call that brings it about, and the outcomes that are right. All of
//! them happen in one process, which serves a healthy store meanwhile. The host is harmed where that
//! process ends or panics, the call has another outcome or takes too long, the healthy store has to
//! wait, files, threads, memory or logs grow, or anything changes that was not granted.
//!
//! `cargo test --test hostile_list -- --nocapture` prints a line for each behaviour, and the figure.

#[cfg(target_os = "linux")]
mod act;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod list;
#[cfg(target_os = "linux")]
mod parent;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod sabotage;
#[cfg(target_os = "linux")]
mod vitals;

fn main() {
    #[cfg(target_os = "linux")]
    {
        if let Ok(which) = std::env::var(process::WHICH) {
            return process::run(&which);
        }
        let trials = parent::trials();
        libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit();
    }
    #[cfg(not(target_os = "linux"))]
    eprintln!("ignored: it looks at the process by way of Linux's /proc");
}
