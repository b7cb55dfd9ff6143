//! A program that states credentials on its standard output, as `credential_process` names one. The
//! texts of errors hold nothing of that output.

use std::io::{self, ErrorKind};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::Lack;
use super::source::Until;
use crate::grants::Keys;
use crate::text::{foreign_name, span};

/// How long a program may take: it may have to ask another service.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the end of its output is waited for when it has ended: what it has started may keep the
/// output open.
const REST: Duration = Duration::from_secs(1);

/// The most bytes of its answer.
const ANSWER: usize = 64 * 1024;

/// How many bytes of its standard error are looked at.
const ERRORS: usize = 4 * 1024;

/// Runs this line of a shell.
pub(super) async fn ask(line: &str) -> Result<(Keys, Until), Lack> {
    let late = |_| Lack::passing(format!("it takes longer than {}", span(PATIENCE)));
    let ended = timeout(PATIENCE, run(line)).await.map_err(late)??;
    if ended.status.success() {
        return understand(&ended.answer).map_err(Lack::lasting);
    }
    let text = String::from_utf8_lossy(&ended.errors);
    // Only one line: whoever writes much may write secrets, too.
    let said = text.lines().map(str::trim).find(|line| !line.is_empty());
    let said = said.map_or(String::new(), |line| format!(": {}", foreign_name(line)));
    Err(Lack::lasting(format!("it failed with {}{said}", ended.status)))
}

struct Ended {
    status: ExitStatus,
    answer: Vec<u8>,
    errors: Vec<u8>,
}

async fn run(line: &str) -> Result<Ended, Lack> {
    let broken = |error: io::Error| Lack::passing(format!("it cannot be run: {error}"));
    let mut child = shell(line).spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => {
            Lack::lasting(format!("there is no shell to run it: {error}"))
        }
        _ => broken(error),
    })?;
    let mut group = group::Group::of(&child);
    let (mut answer, mut errors) = (Vec::with_capacity(4096), Vec::with_capacity(ERRORS));
    let (mut output, mut error_output) = (child.stdout.take(), child.stderr.take());
    let mut ended = None;
    let mut rest = std::pin::pin!(sleep(PATIENCE));
    while ended.is_none() || output.is_some() || error_output.is_some() {
        tokio::select! {
            // What it wrote before its end is read first.
            biased;
            read = read(&mut output, &mut answer), if output.is_some() => {
                read.map_err(broken)?;
                if answer.len() > ANSWER {
                    let text = format!("its output is longer than {} KiB", ANSWER / 1024);
                    return Err(Lack::lasting(text));
                }
            }
            read = read(&mut error_output, &mut errors), if error_output.is_some() => {
                read.map_err(broken)?;
                errors.truncate(ERRORS);
            }
            status = child.wait(), if ended.is_none() => {
                ended = Some(status.map_err(broken)?);
                group.leave();
                rest.as_mut().reset(tokio::time::Instant::now() + REST);
            }
            () = &mut rest, if ended.is_some() => break,
        }
    }
    match ended {
        Some(status) => Ok(Ended { status, answer, errors }),
        None => Err(Lack::passing("it was given up")),
    }
}

/// Reads some bytes; at its end the source is gone.
async fn read(
    source: &mut Option<impl AsyncReadExt + Unpin>,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    if let Some(open) = source
        && open.read_buf(bytes).await? == 0
    {
        *source = None;
    }
    Ok(())
}

fn shell(line: &str) -> Command {
    let mut command = match cfg!(windows) {
        true => Command::new("cmd.exe"),
        false => Command::new("sh"),
    };
    command.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    command.process_group(0);
    command.kill_on_drop(true);
    command
}

/// The keys of an answer, and how long they are good for, or what is wrong with it.
fn understand(answer: &[u8]) -> Result<(Keys, Until), String> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(answer) else {
        return Err("its output is not a JSON object".into());
    };
    if answer.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err("`Version` in its output is not 1".into());
    }
    let text = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` in its output is not a string")),
    };
    let needed = |name| text(name)?.ok_or_else(|| format!("its output has no `{name}`"));
    let mut keys = Keys::new(needed("AccessKeyId")?, needed("SecretAccessKey")?);
    keys.set_token(text("SessionToken")?.unwrap_or_default());
    let until = match text("Expiration")? {
        None => Until::Ever,
        Some(end) => Until::Expires(end.parse::<Timestamp>().map_err(|_| {
            "`Expiration` in its output is not a time such as 2030-12-31T23:59:59Z".to_owned()
        })?),
    };
    Ok((keys, until))
}

/// A program may start others. All of them end with it if it is given up, and if this process ends.
#[cfg(unix)]
mod group {
    use std::sync::{Mutex, Once, PoisonError};

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::Child;
    use crate::budget::is_child;

    static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

    pub(super) struct Group(Option<Pid>);

    impl Group {
        /// The group that the process is the first one of.
        pub(super) fn of(child: &Child) -> Self {
            let first = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(first) = first {
                end_at_exit();
                running(|all| all.push(first));
            }
            Self(first)
        }

        /// The program has ended by itself. What it leaves behind is its own affair, and its number
        /// may soon be that of another.
        pub(super) fn leave(&mut self) -> Option<Pid> {
            let first = self.0.take()?;
            running(|all| all.retain(|other| *other != first));
            Some(first)
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            if let Some(first) = self.leave() {
                end(first);
            }
        }
    }

    fn running<T>(work: impl FnOnce(&mut Vec<Pid>) -> T) -> T {
        work(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(first: Pid) {
        // It may have ended already.
        let _ = kill_process_group(first, Signal::KILL);
    }

    fn end_at_exit() {
        extern "C" fn end_all() {
            // Those of a parent are no business of its child.
            if !is_child() {
                running(std::mem::take).into_iter().for_each(end);
            }
        }
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // SAFETY: the function is there for as long as the process. If it cannot be registered,
            // the programs end by themselves.
            unsafe { libc::atexit(end_all) };
        });
    }
}

#[cfg(not(unix))]
mod group {
    use super::Child;

    /// `kill_on_drop` is all there is.
    pub(super) struct Group;

    impl Group {
        pub(super) fn of(_: &Child) -> Self {
            Self
        }

        pub(super) fn leave(&mut self) {}
    }
}
