//! The command line of the artifact store: arguments in, one call on the library, exit code out.

mod arguments;
mod commands;
mod disk;
mod exit;
mod hint;
mod interrupt;
mod opening;
mod output;
mod progress;
mod verbose;

use std::process::ExitCode;
use std::time::Duration;
use std::{io, panic};

use tokio::runtime::Runtime;

use disk::Unavailable;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::from_process();
    verbose::init(arguments.verbose);
    let code = match runtime() {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(arguments));
            // A read of standard input may still wait in a thread; nobody waits for it.
            runtime.shutdown_background();
            outcome.unwrap_or_else(|error| exit::report(&error))
        }
        Err(error) => exit::report(&error),
    };
    ExitCode::from(code)
}

/// With a thread that may block, which stays: where tokio has none, and the system gives none, it
/// panics.
fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.thread_keep_alive(Duration::MAX).enable_all().build()?;
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let kept = panic::catch_unwind(|| drop(runtime.spawn_blocking(|| ())));
    panic::set_hook(hook);
    match kept {
        Ok(()) => Ok(runtime),
        Err(_) => Err(Unavailable::Thread(io::ErrorKind::WouldBlock.into()).into()),
    }
}
