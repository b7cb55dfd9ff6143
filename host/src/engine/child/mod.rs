//! Compiling in a separate process, which runs this program again: a compiler that takes too much
//! time or memory is ended with it.
//!
//! The parent writes a request to the child's standard input, and reads the answer from its
//! standard output. Anything else that the child writes there or to its standard error is reported
//! as the reason why it died.

mod parent;
mod serve;

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(unix)]
use rustix::process::Resource;

pub(super) use parent::compile;

/// The argument that starts the child. It is not for users.
const ARGUMENT: &str = "--artifact-store-compile-a-component";

/// An answer begins with this; the message of a program does not.
const MAGIC: [u8; 8] = *b"\0answer\n";

/// The exit code of a child that the system refused a resource; a compiler that panics has another.
const REFUSED: i32 = 75;

static IS_ENABLED: AtomicBool = AtomicBool::new(false);

pub(super) fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// Does not return in the child. A program that calls it can be the child.
pub(super) fn enable() {
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(ARGUMENT)) {
        serve::serve();
    }
    IS_ENABLED.store(true, Ordering::Relaxed);
}

/// What to compile, and the limits.
struct Request {
    /// Memory in bytes.
    memory: u64,
    /// Processor time of all threads together.
    time: Duration,
    /// The number of bytes of the component, which follow.
    size: u64,
}

impl Request {
    /// The limits that the child sets itself in the system; the system may permit less.
    #[cfg(unix)]
    fn bounds(&self) -> [(Resource, u64); 3] {
        [
            (Resource::Data, self.memory),
            // Addresses are reserved for stacks and the allocator that are never used.
            (Resource::As, self.memory.saturating_mul(2).saturating_add(1 << 30)),
            (Resource::Cpu, self.time.as_secs().max(1)),
        ]
    }

    fn write(&self, mut to: impl Write) -> io::Result<()> {
        for number in [self.memory, self.time.as_secs(), self.size] {
            to.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    fn read(mut from: impl Read) -> io::Result<Self> {
        let mut number = || read_number(&mut from);
        let (memory, time, size) = (number()?, number()?, number()?);
        Ok(Self { memory, time: Duration::from_secs(time), size })
    }
}

/// How the compilation ended.
#[derive(Clone, Copy)]
enum Reply {
    /// Code follows.
    Compiled,
    /// A text follows that says why there is no code.
    Invalid,
}

/// The beginning of an answer.
struct Head {
    /// The key of the child's engine.
    key: [u8; 32],
    outcome: Reply,
    /// The number of bytes that follow.
    size: u64,
}

impl Head {
    fn write(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&MAGIC)?;
        to.write_all(&self.key)?;
        to.write_all(&[self.outcome as u8])?;
        to.write_all(&self.size.to_le_bytes())
    }

    /// Reads what follows [`MAGIC`].
    fn read(mut from: impl Read) -> io::Result<Self> {
        let (mut key, mut outcome) = ([0; 32], [0]);
        from.read_exact(&mut key)?;
        from.read_exact(&mut outcome)?;
        let outcome = match outcome {
            [0] => Reply::Compiled,
            [1] => Reply::Invalid,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(Self { key, outcome, size: read_number(from)? })
    }
}

fn read_number(mut from: impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
