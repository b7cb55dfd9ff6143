//! Bodies in chunks (`aws-chunked`), so that none is held in memory whole. `s3s` collects a chunk
//! before it passes it on, and some clients send a body of any size as one.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;

/// The largest chunk with a signature: it counts only if all of it is right.
const MOST: u64 = 16 << 20;

/// The longest line that names the size of a chunk.
const LINE: usize = 1024;

/// A client sent more in one chunk than can be verified.
#[derive(Debug, thiserror::Error)]
#[error("a chunk with a signature has at most {MOST} bytes")]
pub(crate) struct LargeChunk;

/// Passes a body on in other chunks, if they have no signatures.
pub(crate) struct Rechunk {
    is_signed: bool,
    state: State,
    out: VecDeque<Bytes>,
}

enum State {
    /// What there is of the line in front of a chunk.
    Line(Vec<u8>),
    /// So many bytes of a chunk follow.
    Data(u64),
    /// So many bytes of the line break behind a chunk follow.
    Break(usize),
    /// Nothing is changed from here on: trailers, or something that is no chunk, which `s3s` refuses.
    Rest,
}

impl Rechunk {
    /// `None` if the body is not in chunks.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let payload = headers.get("x-amz-content-sha256")?.to_str().ok()?;
        let kind = payload.strip_prefix("STREAMING-")?;
        let state = State::Line(Vec::new());
        Some(Self { is_signed: !kind.starts_with("UNSIGNED"), state, out: VecDeque::new() })
    }

    /// The next bytes to be passed on; `None` if more have to come first.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    /// Takes bytes as they come.
    pub(crate) fn push(&mut self, mut bytes: Bytes) -> Result<(), LargeChunk> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Line(line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    line.extend_from_slice(&bytes.split_to(end.map_or(bytes.len(), |at| at + 1)));
                    if end.is_some() || line.len() > LINE {
                        let line = std::mem::take(line);
                        self.begin(line)?;
                    }
                }
                State::Data(left) => {
                    let fits = usize::try_from(*left).unwrap_or(usize::MAX);
                    let data = bytes.split_to(fits.min(bytes.len()));
                    *left -= data.len() as u64;
                    if *left == 0 {
                        self.state = State::Break(2);
                    }
                    self.pass(data);
                }
                State::Break(left) => {
                    let found = bytes.split_to((*left).min(bytes.len()));
                    *left -= found.len();
                    if *left == 0 {
                        self.state = State::Line(Vec::new());
                    }
                    let is_break = found.iter().all(|byte| b"\r\n".contains(byte));
                    if self.is_signed || !is_break {
                        self.out.push_back(found);
                    }
                }
                State::Rest => self.out.push_back(std::mem::take(&mut bytes)),
            }
        }
        Ok(())
    }

    fn begin(&mut self, line: Vec<u8>) -> Result<(), LargeChunk> {
        let digits: Vec<_> = line.iter().copied().take_while(u8::is_ascii_hexdigit).collect();
        let size = str::from_utf8(&digits).ok().and_then(|it| u64::from_str_radix(it, 16).ok());
        match size.filter(|size| *size > 0) {
            Some(size) if self.is_signed && size > MOST => return Err(LargeChunk),
            Some(size) => self.state = State::Data(size),
            None => self.state = State::Rest,
        }
        if self.is_signed || matches!(self.state, State::Rest) {
            self.out.push_back(line.into());
        }
        Ok(())
    }

    fn pass(&mut self, data: Bytes) {
        match self.is_signed {
            true => self.out.push_back(data),
            false => {
                self.out.push_back(format!("{:x}\r\n", data.len()).into());
                self.out.extend([data, Bytes::from_static(b"\r\n")]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(payload: &'static str, body: &[u8], pieces: usize) -> Result<Vec<u8>, LargeChunk> {
        let headers = [("x-amz-content-sha256", payload)];
        let headers = headers.map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        let mut rechunk = Rechunk::of(&headers.into_iter().collect()).unwrap();
        let mut all = Vec::new();
        for piece in body.chunks(pieces) {
            rechunk.push(Bytes::copy_from_slice(piece))?;
            while let Some(bytes) = rechunk.pop() {
                all.extend_from_slice(&bytes);
            }
        }
        Ok(all)
    }

    #[test]
    fn chunks_are_no_larger_than_what_came() {
        let body = b"a\r\n0123456789\r\n3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        let whole = passed("STREAMING-UNSIGNED-PAYLOAD-TRAILER", body, 1000).unwrap();
        assert_eq!(whole, body);
        for pieces in 1..20 {
            let split = passed("STREAMING-UNSIGNED-PAYLOAD-TRAILER", body, pieces).unwrap();
            let text = String::from_utf8(split).unwrap();
            let mut data = String::new();
            let mut rest = &*text;
            while let Some((size, after)) = rest.split_once("\r\n") {
                let size = usize::from_str_radix(size, 16).unwrap();
                if size == 0 {
                    assert_eq!(after, "x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
                    break;
                }
                data.push_str(&after[..size]);
                rest = &after[size + 2..];
            }
            assert_eq!(data, "0123456789abc");
        }
    }

    #[test]
    fn chunks_with_signatures_stay_as_they_are_or_are_refused() {
        const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let body = b"3;chunk-signature=x\r\nabc\r\n0;chunk-signature=y\r\n\r\n";
        for pieces in 1..20 {
            assert_eq!(passed(SIGNED, body, pieces).unwrap(), body);
        }
        assert!(passed(SIGNED, b"1000001;chunk-signature=x\r\n", 5).is_err());
        assert!(passed("STREAMING-UNSIGNED-PAYLOAD-TRAILER", b"fffffffff\r\n", 5).is_ok());
        // No chunk: whoever reads it says so.
        assert_eq!(passed(SIGNED, b"zzz\r\nabc", 2).unwrap(), b"zzz\r\nabc");
    }
}
