//! The parent's side: it starts the child, sends it the component, and takes the answer within the
//! limits.

use std::io::{self, PipeReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{ARGUMENT, Head, MAGIC, REFUSED, Reply, Request};
use crate::budget::not_started;
use crate::engine::LoadLimits;
use crate::error::{ErrorKind, LoadError};

/// How many components are compiled at once, for all backends of the process: each may take the
/// memory of its limit. Others wait, within their own time.
const AT_ONCE: usize = 4;

/// How many bytes of a dying child's output are read.
const TEXT: u64 = 4096;

/// The message of Rust's standard library if there is no memory.
const NO_MEMORY: &str = "memory allocation of";

/// Compiles the component in a child whose engine has to have this key.
pub(in crate::engine) fn compile(
    component: &[u8],
    key: &[u8; 32],
    limits: &LoadLimits,
) -> Result<Vec<u8>, ErrorKind> {
    let begun = Instant::now();
    let _turn = Turn::take(limits.time).ok_or_else(|| LoadLimits::too_slow(limits.time))?;
    let cannot = |error: io::Error| {
        not_started("cannot start the process that compiles the component", &error)
    };
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    let (mut child, stdin, output) = start(threads).map_err(cannot)?;
    // Its threads share the time; one second is for the start.
    let time = limits.time.saturating_mul(u32::try_from(threads).unwrap_or(1));
    let time = time.saturating_add(Duration::from_secs(1));
    let request = Request { memory: limits.memory, time, size: component.len() as u64 };
    let answer = thread::scope(|scope| {
        let (sender, receiver) = channel();
        let feed = || request.write(&stdin).and_then(|()| (&stdin).write_all(component));
        let read = move || {
            let answer = read(output, key, limits.memory);
            sender.send(answer.unwrap_or_else(|error| Answered::None(error.to_string())))
        };
        let spawn = || -> io::Result<()> {
            thread::Builder::new().spawn_scoped(scope, feed)?;
            thread::Builder::new().spawn_scoped(scope, read)?;
            Ok(())
        };
        let answer =
            spawn().map(|()| receiver.recv_timeout(limits.time.saturating_sub(begun.elapsed())));
        // It has sent its answer, or has to end; the threads end with their pipes.
        let _ = child.kill();
        answer
    });
    let status = child.wait().map_err(cannot)?;
    match answer.map_err(cannot)? {
        Ok(Answered::Code(code)) => Ok(code),
        Ok(Answered::Invalid(text)) => Err(LoadError::Invalid(text.into()).into()),
        Ok(Answered::None(text)) => Err(died(&text, &status, &request).into()),
        Err(RecvTimeoutError::Timeout) => Err(LoadLimits::too_slow(limits.time).into()),
        // This happens only if reading panicked.
        Err(RecvTimeoutError::Disconnected) => Err(died("", &status, &request).into()),
    }
}

fn start(threads: usize) -> io::Result<(Child, ChildStdin, PipeReader)> {
    let (output, child_end) = io::pipe()?;
    let mut command = Command::new(program()?);
    command.arg(ARGUMENT).env_clear();
    // The child gets nothing of this process but the number of threads that its memory allows.
    command.env("RAYON_NUM_THREADS", threads.to_string());
    command.stdin(Stdio::piped()).stdout(child_end.try_clone()?).stderr(child_end);
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, stdin, output))
}

/// This program, even if its file has been replaced or removed since it was started.
fn program() -> io::Result<PathBuf> {
    let linux = Path::new("/proc/self/exe");
    if cfg!(target_os = "linux") && linux.exists() {
        return Ok(linux.to_owned());
    }
    std::env::current_exe()
}

enum Answered {
    Code(Vec<u8>),
    Invalid(String),
    /// It died; the text is its output.
    None(String),
}

/// Code takes no more bytes than the compiler had.
fn read(mut from: PipeReader, key: &[u8; 32], most: u64) -> io::Result<Answered> {
    let mut begin = Vec::new();
    from.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    if begin != MAGIC {
        from.take(TEXT).read_to_end(&mut begin)?;
        return Ok(Answered::None(String::from_utf8_lossy(&begin).into_owned()));
    }
    let head = Head::read(&mut from)?;
    if head.key != *key {
        return Ok(Answered::None("it is another version of this program".into()));
    }
    let most = match head.outcome {
        Reply::Compiled => most,
        Reply::Invalid => TEXT,
    };
    let mut answer = Vec::new();
    from.take(head.size.min(most)).read_to_end(&mut answer)?;
    Ok(match head.outcome {
        Reply::Compiled if answer.len() as u64 == head.size => Answered::Code(answer),
        Reply::Compiled => Answered::None("its answer is incomplete or too long".into()),
        Reply::Invalid => Answered::Invalid(String::from_utf8_lossy(&answer).into_owned()),
    })
}

/// Why the child died, from its output and how it ended.
fn died(text: &str, status: &ExitStatus, request: &Request) -> LoadError {
    if status.code() == Some(REFUSED) {
        return LoadError::Refused(text.trim().to_owned());
    }
    let has_no_memory = text.contains(NO_MEMORY);
    // A child that got less than its limits did not exceed the limit of loading.
    if (has_no_memory || text.is_empty() && status.code().is_none())
        && let Some(less) = request.cut(has_no_memory)
    {
        let text = format!(
            "the system ended the process that compiles the component: its limit is {less}"
        );
        return LoadError::Refused(text);
    }
    if has_no_memory {
        let limit = request.memory;
        return LoadError::Limit { name: "memory", limit, found: None, unit: "bytes of memory" };
    }
    let said = text.lines().map(str::trim).find(|line| !line.is_empty());
    LoadError::Compiler(said.map_or_else(|| status.to_string(), str::to_owned))
}

impl Request {
    /// What the system gives the child less of than its limits: memory, or else processor time.
    #[cfg(unix)]
    fn cut(&self, memory: bool) -> Option<String> {
        use rustix::process::{Resource, getrlimit};
        self.bounds().into_iter().find_map(|(resource, limit)| {
            let most = getrlimit(resource).maximum.filter(|most| *most < limit)?;
            match resource {
                Resource::Cpu if !memory => Some(format!("{most} s of CPU time (`ulimit -t`)")),
                Resource::Data if memory => Some(format!("{most} bytes of data (`ulimit -d`)")),
                Resource::As if memory => {
                    Some(format!("{most} bytes of address space (`ulimit -v`)"))
                }
                _ => None,
            }
        })
    }

    #[cfg(not(unix))]
    fn cut(&self, _: bool) -> Option<String> {
        None
    }
}

/// The right to run a child.
struct Turn;

static FREE: Mutex<usize> = Mutex::new(AT_ONCE);
static GIVEN_BACK: Condvar = Condvar::new();

impl Turn {
    /// `None` if no place was free within `time`.
    fn take(time: Duration) -> Option<Self> {
        let free = FREE.lock().unwrap_or_else(|e| e.into_inner());
        let waited = GIVEN_BACK.wait_timeout_while(free, time, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(|e| e.into_inner());
        *free = free.checked_sub(1)?;
        Some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(|e| e.into_inner()) += 1;
        GIVEN_BACK.notify_one();
    }
}
