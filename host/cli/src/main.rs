//! The command line of the artifact store: arguments in, one call on the library, exit code out.

mod arguments;
mod commands;
mod complete;
mod descriptor;
mod disk;
mod dispatch;
mod exit;
mod failure;
mod hint;
mod input;
mod interrupt;
mod lack;
mod message;
mod offload;
mod output;
mod progress;
mod shown;
mod startup;
mod store;
mod streak;
mod units;
mod verbose;

use std::process::ExitCode;
use std::thread;

use tokio::runtime::Builder;

use arguments::{Arguments, Command};

/// What commands need of a stack, whatever `ulimit -s` leaves the main thread.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    startup::spare_addresses();
    // Components of others are compiled by this program in a process of its own.
    artifact_store::Engine::compile_in_child();
    if let Some(code) = complete::answer() {
        return code;
    }
    if startup::has_stack(STACK) {
        return command();
    }
    let body = thread::Builder::new().name("main".into()).stack_size(STACK).spawn(command);
    match body.map_err(interrupt::NoThread) {
        // A panic was shown.
        Ok(body) => body.join().unwrap_or(ExitCode::from(101)),
        Err(error) => ExitCode::from(exit::report(&error.into())),
    }
}

fn command() -> ExitCode {
    ExitCode::from(lack::look().map_or_else(|error| exit::report(&error), |()| run()))
}

fn run() -> u8 {
    let arguments = Arguments::from_process();
    let is_server = |arguments: &Arguments| matches!(arguments.command, Command::Serve(_));
    let serves = arguments.as_ref().is_ok_and(is_server);
    if let Ok(arguments) = &arguments {
        verbose::init(arguments.verbose, serves);
        hint::about(arguments.described());
    }
    // A server's clients share all processors; every other command does one thing.
    let mut runtime = match serves {
        true => Builder::new_multi_thread(),
        false => Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build();
    match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(async {
                match arguments {
                    Ok(arguments) => dispatch::run(arguments).await,
                    Err(error) => exit::answer(error).await,
                }
            });
            // A read of standard input may still wait in a thread; nobody waits for it.
            runtime.shutdown_background();
            outcome.unwrap_or_else(|error| exit::report(&error))
        }
        Err(error) => exit::report(&error.into()),
    }
}
