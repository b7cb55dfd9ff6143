//! The command line of the artifact store: arguments in, one call on the library, exit code out.

mod arguments;
mod commands;
mod exit;
mod hint;
mod interrupt;
mod opening;
mod output;
mod progress;
mod verbose;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::from_process();
    verbose::init(arguments.verbose);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(arguments));
            // A read of standard input may still wait in a thread; nobody waits for it.
            runtime.shutdown_background();
            outcome.unwrap_or_else(|error| exit::report(&error))
        }
        Err(error) => exit::report(&error.into()),
    };
    ExitCode::from(code)
}
