//! A history: who called what and when, and what the answer was.
//!
//! A process writes it as it goes, one line at the begin of each call and one at its end. So what a
//! process that was killed had under way is known, too: it has a begin and no end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::value::Id;

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Of the interface `artifact-store`, as [`Get`](Self::Get).
    Put,
    Write,
    Create,
    /// The version that is to be replaced.
    Replace(String),
    Get,
    Read,
    Stat,
    Delete,
    /// The version that is to be removed.
    DeleteIf(String),
}

/// What an answer tells of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size: u64,
    pub(super) checksum: Option<u64>,
    pub(super) version: Option<String>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Stored(Seen),
    Deleted,
    /// The value that was read.
    Got(Id, Seen),
    Stated(Seen),
    Absent,
    Exists,
    Differs,
    Unsupported,
    /// An error after which nothing is changed, and from which nothing is learned.
    Refused(String),
    /// The answer to a read is none of an artifact that anybody stored.
    Damaged(String),
    /// It may take effect at any later time, or never.
    Unknown(String),
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) id: Id,
    pub(super) thread: usize,
    pub(super) call: Call,
    /// Nanoseconds of the clock that all processes share.
    pub(super) begin: u64,
    /// `None` where no answer came.
    pub(super) end: Option<u64>,
    pub(super) answer: Answer,
}

/// The line at the begin of a call.
pub(super) fn begins(id: Id, thread: usize, time: u64, key: &str, call: &Call) -> String {
    format!("> {id} {thread} {time} {key} {}\n", Words(call))
}

/// The line at its end.
pub(super) fn ends(id: Id, time: u64, answer: &Answer) -> String {
    format!("< {id} {time} {}\n", Words(answer))
}

/// What is written as the words of a line. A text is the last of them, and has no control
/// characters.
struct Words<'a, T>(&'a T);

impl fmt::Display for Words<'_, Call> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Call::Replace(version) | Call::DeleteIf(version) => {
                write!(f, "{} {version}", self.0.name())
            }
            call => f.write_str(call.name()),
        }
    }
}

impl Call {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Write => "write",
            Self::Create => "create",
            Self::Replace(_) => "replace",
            Self::Get => "get",
            Self::Read => "read",
            Self::Stat => "stat",
            Self::Delete => "delete",
            Self::DeleteIf(_) => "delete-if",
        }
    }

    fn of(words: &str) -> Option<Self> {
        let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
        let plain = [Self::Put, Self::Write, Self::Create, Self::Get, Self::Read, Self::Stat];
        match name {
            "replace" => Some(Self::Replace(rest.into())),
            "delete" => Some(Self::Delete),
            "delete-if" => Some(Self::DeleteIf(rest.into())),
            name => plain.into_iter().find(|call| call.name() == name),
        }
    }
}

impl fmt::Display for Words<'_, Seen> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { size, checksum, version } = self.0;
        let checksum = checksum.map_or("-".into(), |checksum| format!("{checksum:016x}"));
        write!(f, "{size} {checksum} {}", version.as_deref().unwrap_or_default())
    }
}

impl Seen {
    fn of(words: &str) -> Option<Self> {
        let mut words = words.splitn(3, ' ');
        let size = words.next()?.parse().ok()?;
        let checksum = match words.next()? {
            "-" => None,
            checksum => Some(u64::from_str_radix(checksum, 16).ok()?),
        };
        let version = words.next().filter(|version| !version.is_empty()).map(str::to_owned);
        Some(Self { size, checksum, version })
    }
}

impl fmt::Display for Words<'_, Answer> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Answer::Stored(seen) => write!(f, "stored {}", Words(seen)),
            Answer::Deleted => f.write_str("deleted "),
            Answer::Got(id, seen) => write!(f, "got {id} {}", Words(seen)),
            Answer::Stated(seen) => write!(f, "stated {}", Words(seen)),
            Answer::Absent => f.write_str("absent "),
            Answer::Exists => f.write_str("exists "),
            Answer::Differs => f.write_str("differs "),
            Answer::Unsupported => f.write_str("unsupported "),
            Answer::Refused(why) => write!(f, "refused {}", why.escape_debug()),
            Answer::Damaged(why) => write!(f, "damaged {}", why.escape_debug()),
            Answer::Unknown(why) => write!(f, "unknown {}", why.escape_debug()),
        }
    }
}

impl Answer {
    fn of(words: &str) -> Option<Self> {
        let (name, rest) = words.split_once(' ')?;
        Some(match name {
            "stored" => Self::Stored(Seen::of(rest)?),
            "deleted" => Self::Deleted,
            "got" => {
                let (id, seen) = rest.split_once(' ')?;
                Self::Got(id.parse().ok()?, Seen::of(seen)?)
            }
            "stated" => Self::Stated(Seen::of(rest)?),
            "absent" => Self::Absent,
            "exists" => Self::Exists,
            "differs" => Self::Differs,
            "unsupported" => Self::Unsupported,
            "refused" => Self::Refused(rest.into()),
            "damaged" => Self::Damaged(rest.into()),
            "unknown" => Self::Unknown(rest.into()),
            _ => return None,
        })
    }
}

/// What all processes have written, key by key.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) keys: BTreeMap<String, Vec<Operation>>,
    /// Where those are that have no end yet.
    open: HashMap<Id, (String, usize)>,
}

impl History {
    fn add(&mut self, line: &str) -> Option<()> {
        let (sign, line) = line.split_once(' ')?;
        if sign == "<" {
            let mut words = line.splitn(3, ' ');
            let (key, at) = self.open.remove(&words.next()?.parse().ok()?)?;
            let operation = self.keys.get_mut(&key)?.get_mut(at)?;
            let end = words.next()?.parse().ok()?;
            operation.answer = Answer::of(words.next()?)?;
            if !matches!(operation.answer, Answer::Unknown(_)) {
                operation.end = Some(end);
            }
            return Some(());
        }
        let mut words = line.splitn(5, ' ');
        let id: Id = words.next()?.parse().ok()?;
        let thread = words.next()?.parse().ok()?;
        let begin = words.next()?.parse().ok()?;
        let key = words.next()?.to_owned();
        let call = Call::of(words.next()?)?;
        let operations = self.keys.entry(key.clone()).or_default();
        self.open.insert(id, (key, operations.len()));
        let answer = Answer::Unknown("no answer".into());
        operations.push(Operation { id, thread, call, begin, end: None, answer });
        Some(())
    }
}

/// The file to which a process writes, from which another one reads.
#[derive(Debug)]
pub struct Log {
    file: BufReader<File>,
    /// A line that is not whole yet.
    line: Vec<u8>,
}

impl Log {
    /// From its begin.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file: BufReader::new(file), line: Vec::new() }
    }

    /// Adds what was written since; whether that was anything.
    pub(super) fn read_into(&mut self, history: &mut History) -> io::Result<bool> {
        let mut is_any = false;
        while self.file.read_until(b'\n', &mut self.line)? > 0 && self.line.ends_with(b"\n") {
            let line = String::from_utf8_lossy(&self.line[..self.line.len() - 1]).into_owned();
            let wrong = || io::Error::other(format!("`{line}` is not a line of a history"));
            history.add(&line).ok_or_else(wrong)?;
            self.line.clear();
            is_any = true;
        }
        Ok(is_any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut history = History::default();
        let id = |number| Id { process: 3, number };
        let seen = Seen { size: 7, checksum: Some(255), version: Some("W/\"a b\"".into()) };
        let bare = Seen { size: 0, checksum: None, version: None };
        let calls = [
            (Call::Put, Answer::Stored(bare.clone())),
            (Call::Write, Answer::Stored(seen.clone())),
            (Call::Create, Answer::Exists),
            (Call::Replace("a  b".into()), Answer::Differs),
            (Call::Replace("v".into()), Answer::Unsupported),
            (Call::Get, Answer::Got(id(1), bare)),
            (Call::Read, Answer::Damaged("half of it".into())),
            (Call::Stat, Answer::Stated(seen)),
            (Call::Stat, Answer::Absent),
            (Call::Delete, Answer::Deleted),
            (Call::Delete, Answer::Refused("no".into())),
            (Call::DeleteIf("a  b".into()), Answer::Deleted),
        ];
        for (number, (call, answer)) in (0..).zip(&calls) {
            history.add(begins(id(number), 2, 10, "k", call).trim_end_matches('\n')).unwrap();
            history.add(ends(id(number), 20, answer).trim_end_matches('\n')).unwrap();
        }
        history.add(begins(id(99), 2, 30, "k", &Call::Get).trim_end_matches('\n')).unwrap();
        let read = &history.keys["k"];
        for (operation, (call, answer)) in read.iter().zip(&calls) {
            assert_eq!((&operation.call, &operation.answer), (call, answer));
            assert_eq!((operation.begin, operation.end), (10, Some(20)));
        }
        assert_eq!(read.len(), calls.len() + 1);
        assert_eq!(read.last().unwrap().end, None);
        assert_eq!(history.add("< 3.99 40 something else"), None);
    }
}
