//! The child's side: it limits itself before it reads the component, and ends with its parent.

use std::io::{self, Read, Write};
use std::process::{abort, exit};

use super::{Head, REFUSED, Reply, Request};
use crate::budget::{have_threads_to_compile, no_thread, of_system, scarce};
use crate::engine::cache::Cache;
use crate::engine::{Compile, EngineBuilder, Settings};
use crate::error::{ErrorKind, LoadError};
use crate::text::chain;

/// Answers one request.
pub(super) fn serve() -> ! {
    // The parent sees that there is no answer, and the reason if it can still read it.
    match answer() {
        Ok(()) => exit(0),
        Err(error) => {
            let (text, code) = match error {
                LoadError::Refused(text) => (text, REFUSED),
                LoadError::Compiler(text) => (text, 1),
                error => (chain(&error), 1),
            };
            let _ = writeln!(io::stderr(), "{text}");
            exit(code)
        }
    }
}

fn answer() -> Result<(), LoadError> {
    close_inherited();
    let mut stdin = io::stdin().lock();
    let request = Request::read(&mut stdin).map_err(failed)?;
    // The engine has to match the parent's, so this looks before the process lowers its limits.
    scarce();
    limit(&request).map_err(failed)?;
    let mut component = Vec::new();
    stdin.by_ref().take(request.size).read_to_end(&mut component).map_err(failed)?;
    drop(stdin);
    if component.len() as u64 != request.size {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    // Nothing more is sent; the end of the input means the end of the parent.
    let watch = std::thread::Builder::new().spawn(|| {
        let _ = io::stdin().lock().read(&mut [0]);
        abort()
    });
    watch.map_err(|error| refused(no_thread(error)))?;
    let settings =
        Settings { cache: Cache::Off, compile: Compile::InProcess, ..Settings::default() };
    let engine = EngineBuilder(settings).build()?;
    have_threads_to_compile().map_err(refused)?;
    let (outcome, answer) = match engine.compile_here(&component) {
        Ok(code) => (Reply::Compiled, code),
        Err(error @ LoadError::Refused(_)) => return Err(error),
        Err(error) => (Reply::Invalid, reason(&error).into_bytes()),
    };
    let head = Head { key: engine.key(), outcome, size: answer.len() as u64 };
    let mut stdout = io::stdout().lock();
    let written = head.write(&mut stdout).and_then(|()| stdout.write_all(&answer));
    written.and_then(|()| stdout.flush()).map_err(failed)
}

fn failed(error: io::Error) -> LoadError {
    match of_system(&error) {
        Some(named) => LoadError::Refused(named),
        None => LoadError::Compiler(error.to_string()),
    }
}

fn refused(kind: ErrorKind) -> LoadError {
    match kind {
        ErrorKind::Unavailable(text) => LoadError::Refused(text),
        kind => LoadError::Compiler(kind.to_string()),
    }
}

/// Why a component is invalid: the causes of the error, without its own sentence, which the parent
/// adds.
fn reason(error: &LoadError) -> String {
    std::error::Error::source(error).map_or_else(String::new, chain)
}

/// A compiler needs only the standard descriptors.
#[cfg(unix)]
fn close_inherited() {
    use std::os::fd::{BorrowedFd, RawFd};
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(open) = std::fs::read_dir(folder) else { return };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.collect::<Vec<RawFd>>() {
        // SAFETY: this process has only begun, does nothing else meanwhile, and never uses one that
        // it has not opened itself after this.
        unsafe {
            // The descriptor of the folder itself is closed by now.
            let is_open = rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(number)).is_ok();
            if number > 2 && is_open {
                rustix::io::close(number);
            }
        }
    }
}

#[cfg(not(unix))]
fn close_inherited() {}

#[cfg(unix)]
fn limit(request: &Request) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let at_most = |resource, limit: u64| {
        // Only the system's administrator could raise a lower limit.
        let limit = Some(getrlimit(resource).maximum.map_or(limit, |maximum| limit.min(maximum)));
        setrlimit(resource, Rlimit { current: limit, maximum: limit })
    };
    #[cfg(target_os = "linux")]
    {
        // If the machine runs out of memory, this process is the one to be killed.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    }
    for (resource, limit) in request.bounds() {
        at_most(resource, limit)?;
    }
    // It writes no files, and leaves none when it is killed.
    at_most(Resource::Core, 0)?;
    at_most(Resource::Fsize, 0)?;
    Ok(())
}

/// The parent ends the child when its time is over; its memory is left to the system to limit.
#[cfg(not(unix))]
fn limit(_: &Request) -> io::Result<()> {
    Ok(())
}
