//! From the bytes of a backend to those that were encrypted. No byte is handed out before the piece
//! to which it belongs is authenticated.

use std::ops::Range;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::download::receive;
use super::opening::{ATTEMPTS, ask};
use super::sink::{Gone, Sink, Whole};
use crate::chunk::{self, CHUNK};
use crate::encryption::{
    Encryption, HEAD, Opener, Opening, PIECE, SEALED_PIECE, pieces, plain_info,
};
use crate::error::ErrorKind;
use crate::info::{Info, ReadOptions};
use crate::interface::Interface;
use crate::serving::Running;

/// How many pieces are decrypted at once: with what stands before the first, they fit in a chunk.
const AT_ONCE: usize = (CHUNK - HEAD) / SEALED_PIECE;

/// Sends the bytes that the options select to `sink`, and returns it with their number.
pub(super) async fn read<S: Sink>(
    running: &Running,
    encryption: &Encryption,
    options: ReadOptions,
    sink: S,
) -> Result<(S, u64), ErrorKind> {
    let call = &running.call;
    let opening = Opening { encryption: encryption.clone(), key: call.key.clone() };
    let read = running.run(async |accessor, exports| {
        let Some(streams) = &exports.streams else {
            return Ok(Err(ErrorKind::not_exported(Interface::Streams)));
        };
        let key = &call.key;
        if let Some(length) = from_start(options) {
            let opened = match ask(accessor, streams, key, 0, length).await? {
                Ok(opened) => opened,
                Err(kind) => return Ok(Err(kind)),
            };
            let sink = Decrypting::new(sink, Head::Ahead(opening), options);
            return receive(accessor, opened, length, sink).await;
        }
        for _ in 0..ATTEMPTS {
            let opened = match ask(accessor, streams, key, 0, Some(HEAD as u64)).await? {
                Ok(opened) => opened,
                Err(kind) => return Ok(Err(kind)),
            };
            let info = opened.info.clone();
            let part = match Part::of(&info, options) {
                Ok(part) => part,
                Err(kind) => {
                    opened.close(accessor)?;
                    return Ok(Err(kind));
                }
            };
            let head = Whole::new(HEAD as u64);
            let head = match receive(accessor, opened, Some(HEAD as u64), head).await? {
                Ok((head, _)) => head.into_parts().1,
                Err(kind) => return Ok(Err(kind)),
            };
            let opener = match opening.open(&head) {
                Ok(opener) => opener,
                Err(kind) => return Ok(Err(kind)),
            };
            let (offset, length) = part.stored();
            match ask(accessor, streams, key, offset, Some(length)).await? {
                Ok(opened) if opened.info == info => {
                    let sink = Decrypting::new(sink, Head::Open(opener), options);
                    return receive(accessor, opened, Some(length), sink).await;
                }
                Ok(opened) => drop(opened.close(accessor)?),
                // It was replaced by a smaller one.
                Err(ErrorKind::InvalidRange) => {}
                Err(kind) => return Ok(Err(kind)),
            }
        }
        let text = format!("the artifact was replaced {ATTEMPTS} times before it could be read");
        Ok(Err(ErrorKind::Unavailable(text)))
    });
    let (sink, _) = read.await?;
    // If the caller seems to have gone, the host has given it up.
    call.verdict().map_or_else(|| sink.finish(), Err)
}

/// How much is read from the start of what is stored, if the part begins in its first piece: its
/// header then needs no read of its own. `None` within means all.
fn from_start(options: ReadOptions) -> Option<Option<u64>> {
    if options.suffix.is_some() || options.offset >= PIECE as u64 {
        return None;
    }
    Some(options.length.map(|length| {
        let end = pieces(options.offset.saturating_add(length));
        end.saturating_mul(SEALED_PIECE as u64).saturating_add(HEAD as u64)
    }))
}

/// The part of an artifact that is read, in pieces.
struct Part {
    /// The info of the whole artifact.
    info: Info,
    /// The first piece, and how many bytes of it come before the part.
    first: u64,
    skip: u64,
    /// How many bytes the part has.
    due: u64,
    /// The piece behind the part.
    end: u64,
    /// The last piece of the artifact, and how many bytes are stored for it.
    last: u64,
    last_size: usize,
}

impl Part {
    /// The part that the options select of an artifact whose stored form has this info.
    fn of(stored: &Info, options: ReadOptions) -> Result<Self, ErrorKind> {
        let info = plain_info(stored.clone())?;
        let begin = options.begin(info.size).ok_or(ErrorKind::InvalidRange)?;
        let rest = info.size - begin;
        let due = options.length.map_or(rest, |length| length.min(rest));
        let last = pieces(info.size) - 1;
        // At the end of an artifact, its last piece shows that this is the end.
        let first = (begin / PIECE as u64).min(last);
        let end = if due == 0 { first + 1 } else { pieces(begin + due) };
        let last_size = info.size - last * PIECE as u64 + (SEALED_PIECE - PIECE) as u64;
        // At most a piece.
        let last_size = usize::try_from(last_size).unwrap_or(SEALED_PIECE);
        let skip = begin - first * PIECE as u64;
        Ok(Self { info, first, skip, due, end, last, last_size })
    }

    /// Where its pieces begin in what is stored, and how many bytes they have there.
    fn stored(&self) -> (u64, u64) {
        let (piece, head) = (SEALED_PIECE as u64, HEAD as u64);
        let until = match self.end > self.last {
            true => self.last * piece + self.last_size as u64,
            false => self.end * piece,
        };
        (head + self.first * piece, until - self.first * piece)
    }
}

/// What stands before the pieces.
enum Head {
    /// It comes first.
    Ahead(Opening),
    /// It was read before.
    Open(Opener),
}

/// Decrypts for another sink.
struct Decrypting<S> {
    sink: S,
    head: Head,
    options: ReadOptions,
    /// `None` until the read has begun.
    part: Option<Part>,
    /// What came; before `at` it is decrypted.
    buffer: Vec<u8>,
    at: usize,
    /// What of it is decrypted and not handed on.
    plain: Range<usize>,
    /// The piece at `at`.
    next: u64,
    /// How many bytes of the part are not decrypted yet.
    left: u64,
    /// Why the read cannot go on.
    failed: Option<ErrorKind>,
    is_gone: bool,
}

impl<S: Sink> Decrypting<S> {
    fn new(sink: S, head: Head, options: ReadOptions) -> Self {
        Self {
            sink,
            head,
            options,
            part: None,
            buffer: Vec::new(),
            at: 0,
            plain: 0..0,
            next: 0,
            left: 0,
            failed: None,
            is_gone: false,
        }
    }

    /// The other sink, and how many bytes it got, if it got all of them.
    fn finish(self) -> Result<(S, u64), ErrorKind> {
        let due = self.part.as_ref().map_or(0, |part| part.due);
        match self.failed {
            Some(failed) => Err(failed),
            None if self.is_gone || self.is_complete() => Ok((self.sink, due - self.left)),
            None => Err(ErrorKind::Corrupt("it ends before its last piece".into())),
        }
    }

    fn is_complete(&self) -> bool {
        let is_read = self.part.as_ref().is_some_and(|part| self.next == part.end);
        is_read && self.left == 0 && self.plain.is_empty()
    }

    /// Decrypts the next piece, if all of it is there.
    fn step(&mut self) -> Result<bool, ErrorKind> {
        let rest = self.buffer.get_mut(self.at..).unwrap_or_default();
        let opener = match &self.head {
            Head::Open(opener) => opener,
            Head::Ahead(opening) => {
                let Some((head, _)) = rest.split_at_checked(HEAD) else { return Ok(false) };
                self.head = Head::Open(opening.open(head)?);
                self.at += HEAD;
                return Ok(true);
            }
        };
        let Some(part) = self.part.as_ref().filter(|part| self.next < part.end) else {
            return Ok(false);
        };
        let is_last = self.next == part.last;
        let size = if is_last { part.last_size } else { SEALED_PIECE };
        let Some(piece) = rest.get_mut(..size) else { return Ok(false) };
        let opened = opener.open(piece, self.next, is_last)?;
        let skip = if self.next == part.first { part.skip } else { 0 };
        let skip = usize::try_from(skip).unwrap_or(opened).min(opened);
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let taken = (opened - skip).min(left);
        self.plain = self.at + skip..self.at + skip + taken;
        self.left -= taken as u64;
        self.at += size;
        self.next += 1;
        Ok(true)
    }

    /// Hands on what is decrypted.
    fn poll_hand_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while !self.plain.is_empty() {
            let (into, room) = self.sink.buffer();
            if room == 0 {
                ready!(self.sink.poll_flush(cx))?;
                continue;
            }
            let taken = room.min(self.plain.len());
            into.extend_from_slice(&self.buffer[self.plain.start..self.plain.start + taken]);
            self.plain.start += taken;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            ready!(self.poll_hand_on(cx))?;
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(kind) => {
                    self.failed = Some(kind);
                    return Poll::Ready(Err(Gone));
                }
            }
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        self.plain = 0..0;
        if self.is_complete() {
            ready!(self.sink.poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Sink> Sink for Decrypting<S> {
    fn start(&mut self, info: Info, due: u64) -> Result<Result<(), Gone>, ErrorKind> {
        let part = Part::of(&info, self.options)?;
        let started = self.sink.start(part.info.clone(), part.due)?;
        (self.next, self.left) = (part.first, part.due);
        self.part = Some(part);
        self.is_gone = started.is_err();
        let size = usize::try_from(due.saturating_add(1)).unwrap_or(CHUNK);
        self.buffer = chunk::empty(size.min(CHUNK));
        Ok(started)
    }

    fn buffer(&mut self) -> (&mut Vec<u8>, usize) {
        let head = if let Head::Ahead(_) = self.head { HEAD } else { 0 };
        let room = (head + AT_ONCE * SEALED_PIECE).saturating_sub(self.buffer.len());
        (&mut self.buffer, room)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let flushed = ready!(self.poll_all(cx));
        self.is_gone |= flushed.is_err();
        Poll::Ready(flushed)
    }
}

/// The same for an artifact that is in memory.
pub(super) fn decrypt(
    encryption: &Encryption,
    key: &str,
    stored: Bytes,
) -> Result<Bytes, ErrorKind> {
    let part = Part::of(&Info::of_size(stored.len() as u64), ReadOptions::default())?;
    let opening = Opening { encryption: encryption.clone(), key: key.to_owned() };
    let mut stored = Vec::from(stored);
    let (head, payload) = stored.split_at_mut_checked(HEAD).unwrap_or_default();
    let opener = opening.open(head)?;
    let mut data = Vec::with_capacity(payload.len());
    for (piece, number) in payload.chunks_mut(SEALED_PIECE).zip(0..) {
        let size = opener.open(piece, number, number == part.last)?;
        data.extend_from_slice(&piece[..size]);
    }
    Ok(data.into())
}
