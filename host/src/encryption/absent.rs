//! In the place of encryption in a build without it: no value of these types exists.

use crate::error::ErrorKind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {}

pub(crate) struct Sealed {
    pub(crate) head: Vec<u8>,
    pub(crate) sealer: Sealer,
}

pub(crate) enum Sealer {}

pub(crate) enum Opener {}

pub(crate) struct Opening {
    pub(crate) encryption: Encryption,
    pub(crate) key: String,
}

impl Encryption {
    pub(crate) fn begin(&self, _: &str) -> Result<Sealed, ErrorKind> {
        match *self {}
    }
}

impl Sealer {
    pub(crate) fn seal(&mut self, _: &mut Vec<u8>, _: usize, _: bool) -> Result<(), ErrorKind> {
        match *self {}
    }
}

impl Opener {
    pub(crate) fn open(&self, _: &mut [u8], _: u64, _: bool) -> Result<usize, ErrorKind> {
        match *self {}
    }
}

impl Opening {
    pub(crate) fn open(&self, _: &[u8]) -> Result<Opener, ErrorKind> {
        let _ = &self.key;
        match self.encryption {}
    }
}
