//! The values of a history: each is stored by one operation alone, so that who reads it names its
//! writer.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::history::Seen;
use crate::checksum::Checksum;

/// An operation, and the value that it stores, if it stores one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    /// The process that made it. One that is started again has a number of its own.
    pub(super) process: u32,
    /// Its number there.
    pub(super) number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.process, self.number)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not the number of an operation");
        let (process, number) = text.split_once('.').ok_or_else(wrong)?;
        let number_of = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self { process: number_of(process)?, number: number_of(number)? })
    }
}

impl Id {
    /// The bytes of the value: its name, again and again. Most are short, so that the calls are
    /// quick; some take several chunks, so that a mixture of two would be seen.
    pub(super) fn payload(self) -> Bytes {
        let name = format!("{self};");
        let size = match self.number {
            number if number.is_multiple_of(16) => 70_001,
            number => number as usize * 37 % 600,
        };
        name.bytes().cycle().take(name.len() + size).collect()
    }

    /// The value that has these bytes, if any has.
    pub(super) fn of_payload(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().take(32).position(|byte| *byte == b';')?;
        let id: Self = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
        (id.payload() == bytes).then_some(id)
    }

    /// Size and checksum of the value.
    pub(super) fn sum(self) -> (u64, u64) {
        let mut sum = Checksum::new();
        sum.update(&self.payload());
        (sum.size(), sum.value())
    }
}

impl Seen {
    /// Whether size and checksum are these.
    pub(super) fn fits(&self, (size, checksum): (u64, u64)) -> bool {
        self.size == size && self.checksum.is_none_or(|seen| seen == checksum)
    }
}
