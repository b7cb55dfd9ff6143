//! Reading and writing what is open already, whatever state others have put it into.
//!
//! Standard input and output are shared with other processes: one of them may have made them
//! non-blocking, which shells and terminals then leave so. And the standard library takes a
//! descriptor that cannot be read or written for an empty one; here it is an error.

use std::fs::File;
use std::io::{self, Read, Write};

pub const INPUT: u32 = 0;
pub const OUTPUT: u32 = 1;
pub const ERROR: u32 = 2;

/// Descriptor `number` of those that the process was started with, to read from.
pub fn for_reading(number: u32) -> io::Result<Box<dyn Read + Send>> {
    #[cfg(unix)]
    return Ok(Box::new(Patient::inherited(number, Ready::ToRead)?));
    #[cfg(not(unix))]
    match number {
        INPUT => Ok(Box::new(io::stdin())),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The same to write to.
pub fn for_writing(number: u32) -> io::Result<Box<dyn Write + Send>> {
    #[cfg(unix)]
    return Ok(Box::new(Patient::inherited(number, Ready::ToWrite)?));
    #[cfg(not(unix))]
    match number {
        OUTPUT => Ok(Box::new(io::stdout())),
        ERROR => Ok(Box::new(io::stderr())),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// A file that waits until it can be read or written, also where it is non-blocking.
pub struct Patient(File);

impl Patient {
    pub fn new(file: File) -> Self {
        Self(file)
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if is_passing(&error) => self.wait(&error, Ready::ToRead)?,
                outcome => return outcome,
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if is_passing(&error) => self.wait(&error, Ready::ToWrite)?,
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

enum Ready {
    ToRead,
    ToWrite,
}

impl Patient {
    #[cfg(unix)]
    fn inherited(number: u32, ready: Ready) -> io::Result<Self> {
        use rustix::fs::{OFlags, fcntl_getfl};

        let file = crate::startup::inherited(number)?;
        let (wrong, text) = match ready {
            Ready::ToRead => (OFlags::WRONLY, "it is not open for reading"),
            Ready::ToWrite => (OFlags::RDONLY, "it is not open for writing"),
        };
        if fcntl_getfl(&file)? & OFlags::RWMODE == wrong {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(Self(file))
    }

    #[cfg(unix)]
    fn wait(&self, error: &io::Error, ready: Ready) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};

        if error.kind() == io::ErrorKind::Interrupted {
            return Ok(());
        }
        let events = match ready {
            Ready::ToRead => PollFlags::IN,
            Ready::ToWrite => PollFlags::OUT,
        };
        match poll(&mut [PollFd::new(&self.0, events)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(unix))]
    fn wait(&self, _: &io::Error, _: Ready) -> io::Result<()> {
        std::thread::sleep(std::time::Duration::from_millis(10));
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_is_not_there_is_an_error() {
        assert!(for_reading(4_000_000).is_err() && for_writing(u32::MAX).is_err());
        // This test has opened it itself: it is none that the process was started with.
        let own = File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&own).unsigned_abs();
        assert!(for_reading(number).is_err());
    }
}
