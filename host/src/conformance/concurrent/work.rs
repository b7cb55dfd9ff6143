//! What one process does: its threads change and read a few keys as fast as they can, and each
//! call is written down when it begins and when it ends.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::history::{Answer, Call, Seen, begins, ends};
use super::now;
use super::value::Id;
use crate::blocking::ArtifactStore;
use crate::budget::on_this_thread;
use crate::error::{ErrorKind, Operation};
use crate::serving::Running;
use crate::transfer::buffered;
use crate::{Info, Mode, ReadOptions, WriteOptions};

/// For so long all processes work on the same keys, in nanoseconds. Then each key has had few
/// enough calls that all orders of them can be looked at.
const SPELL: u64 = 500_000_000;
/// How many keys there are at a time.
const KEYS: u64 = 3;
/// After a call that told nothing the next one waits for so long.
const PAUSE: Duration = Duration::from_millis(1);

/// A process of a trial.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Worker {
    /// Its number: each process of a trial has another one, also one that is started again.
    pub process: u32,
    /// How many threads call at once.
    pub threads: usize,
    /// What all keys begin with. The store has no other artifacts with this prefix.
    pub prefix: String,
    /// Determines what each thread does.
    pub seed: u64,
}

impl Worker {
    /// A process of this number, with four threads.
    #[must_use]
    pub fn new(process: u32, prefix: impl Into<String>) -> Self {
        Self { process, threads: 4, prefix: prefix.into(), seed: 1 }
    }
}

/// Works on the store until `is_over`, and writes each call to `log`.
///
/// # Errors
///
/// The log cannot be written. What the store answers is no error, but a part of the log.
pub fn work(
    store: &ArtifactStore,
    worker: &Worker,
    log: impl Write + Send,
    is_over: impl Fn() -> bool + Sync,
) -> io::Result<()> {
    let shared = Shared { store, worker, log: Mutex::new(log), next: AtomicU32::new(1) };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..worker.threads)
            .map(|number| {
                let (shared, is_over) = (&shared, &is_over);
                scope.spawn(move || {
                    let dice = Dice(worker.seed ^ u64::from(worker.process) << 32 ^ number as u64);
                    let mut thread = Thread { shared, number, dice };
                    while !is_over() {
                        thread.act()?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

struct Shared<'a, W> {
    store: &'a ArtifactStore,
    worker: &'a Worker,
    log: Mutex<W>,
    next: AtomicU32,
}

struct Thread<'a, W> {
    shared: &'a Shared<'a, W>,
    number: usize,
    dice: Dice,
}

impl<W: Write> Thread<'_, W> {
    /// One call, or one look and the change that follows from it.
    fn act(&mut self) -> io::Result<()> {
        let prefix = &self.shared.worker.prefix;
        let key = format!("{prefix}{:08}/{}", now() / SPELL, self.dice.below(KEYS));
        let call = match self.dice.below(16) {
            0..=6 => return self.update(&key),
            7 => Call::Put,
            8 => Call::Write,
            9 => Call::Create,
            10 | 11 => Call::Delete,
            12 => Call::Get,
            13 => Call::Read,
            _ => Call::Stat,
        };
        self.change(&key, call)
    }

    /// A call, and often a look at what it left: who has changed something sees it at once.
    fn change(&mut self, key: &str, call: Call) -> io::Result<()> {
        let answer = self.call(key, call)?;
        if !matches!(answer, Answer::Stored(_) | Answer::Deleted) {
            return Ok(());
        }
        match self.dice.below(4) {
            0 => self.call(key, Call::Stat).map(drop),
            1 => self.call(key, Call::Read).map(drop),
            _ => Ok(()),
        }
    }

    /// What `replace` and `delete-if` are for: to decide by what is there.
    fn update(&mut self, key: &str) -> io::Result<()> {
        let next = match self.call(key, Call::Read)? {
            Answer::Got(_, Seen { version: Some(version), .. }) => match self.dice.below(5) {
                0 => Call::DeleteIf(version),
                _ => Call::Replace(version),
            },
            Answer::Absent => Call::Create,
            _ => return Ok(()),
        };
        self.change(key, next)
    }

    fn call(&mut self, key: &str, call: Call) -> io::Result<Answer> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let id = Id { process: self.shared.worker.process, number };
        self.log(&begins(id, self.number, now(), key, &call))?;
        let answer = make(self.shared.store, id, key, &call);
        self.log(&ends(id, now(), &answer))?;
        if matches!(answer, Answer::Unknown(_) | Answer::Refused(_) | Answer::Unsupported) {
            thread::sleep(PAUSE);
        }
        Ok(answer)
    }

    fn log(&self, line: &str) -> io::Result<()> {
        let mut log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.write_all(line.as_bytes())?;
        log.flush()
    }
}

fn make(store: &ArtifactStore, id: Id, key: &str, call: &Call) -> Answer {
    let write = |mode: Mode| {
        store.put_with(key, id.payload(), WriteOptions::default().mode(mode)).map(stored)
    };
    let answer = match call {
        Call::Put => {
            on_this_thread(buffered::put(&plain(store, Operation::Put, key), id.payload()))
                .map(|info| Answer::Stored(Seen { version: None, ..seen(&info) }))
        }
        Call::Write => write(Mode::Overwrite),
        Call::Create => write(Mode::Create),
        Call::Replace(version) => write(Mode::Replace(version.clone())),
        Call::Get => {
            let get = plain(store, Operation::Get, key);
            on_this_thread(buffered::get(&get, ReadOptions::default())).map(|(_, data)| {
                got(&data, Seen { size: data.len() as u64, checksum: None, version: None })
            })
        }
        Call::Read => read(store, key),
        Call::Stat => store.stat(key).map(|info| Answer::Stated(seen(&info))),
        Call::Delete => store.delete(key).map(|()| Answer::Deleted),
        Call::DeleteIf(version) => store.delete_if(key, version).map(|()| Answer::Deleted),
    };
    answer.unwrap_or_else(|error| failed(call, error.kind()))
}

/// A call of the interface `artifact-store`, which the host does not use where there are streams.
fn plain(store: &ArtifactStore, operation: Operation, key: &str) -> Running {
    Running::new(store.backend().0.call(operation, key))
}

fn read(store: &ArtifactStore, key: &str) -> crate::Result<Answer> {
    let mut reader = store.read(key, ReadOptions::default())?;
    let mut data = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        data.extend_from_slice(&chunk);
    }
    Ok(got(&data, seen(reader.info())))
}

fn got(data: &[u8], seen: Seen) -> Answer {
    match Id::of_payload(data) {
        Some(id) => Answer::Got(id, seen),
        None => {
            let begin = String::from_utf8_lossy(&data[..data.len().min(24)]);
            Answer::Damaged(format!("{} bytes that nobody stored: {begin:?}…", data.len()))
        }
    }
}

fn seen(info: &Info) -> Seen {
    Seen { size: info.size, checksum: info.checksum, version: info.version.clone() }
}

fn stored(info: Info) -> Answer {
    Answer::Stored(seen(&info))
}

/// What an error says of the key, by the rules change-4 and change-5.
fn failed(call: &Call, kind: &ErrorKind) -> Answer {
    let is_read = matches!(call, Call::Get | Call::Read | Call::Stat);
    let why = || format!("{}: {kind}", kind.name());
    match kind {
        ErrorKind::NotFound if is_read => Answer::Absent,
        ErrorKind::AlreadyExists if *call == Call::Create => Answer::Exists,
        ErrorKind::ConditionFailed if matches!(call, Call::Replace(_) | Call::DeleteIf(_)) => {
            Answer::Differs
        }
        ErrorKind::Unsupported(_) => Answer::Unsupported,
        ErrorKind::Corrupt(_) | ErrorKind::Protocol(_) if is_read => Answer::Damaged(why()),
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::ConditionFailed
        | ErrorKind::InvalidKey(_)
        | ErrorKind::InvalidRange
        | ErrorKind::InvalidAttribute(_)
        | ErrorKind::TooLarge { .. }
        | ErrorKind::AccessDenied(_)
        | ErrorKind::NoSpace(_)
        | ErrorKind::Corrupt(_)
        | ErrorKind::Other(_) => Answer::Refused(why()),
        _ => Answer::Unknown(why()),
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % end
    }
}
