//! Keeps the signature of a request out of the answer that the backend sees: some services repeat a
//! request in a header or in the body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use memchr::memmem::{find, find_iter};

/// A body in which asterisks replace the signature.
pub(in crate::network) struct Masked<B> {
    body: B,
    signature: Bytes,
    /// Bytes that have come and may be the beginning of the signature.
    held: Bytes,
}

/// Removes the headers that contain one of these `secrets`.
pub(in crate::network) fn mask_headers(headers: &mut HeaderMap, secrets: &[&str]) {
    let shows = |value: &[u8]| {
        secrets.iter().any(|secret| !secret.is_empty() && find(value, secret.as_bytes()).is_some())
    };
    let names: Vec<_> = headers
        .iter()
        .filter(|(_, value)| shows(value.as_bytes()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        headers.remove(name);
    }
}

impl<B> Masked<B> {
    pub(in crate::network) fn new(body: B, signature: String) -> Self {
        Self { body, signature: signature.into(), held: Bytes::new() }
    }

    /// The bytes of `held` and `data` that can be passed on, with the signature replaced.
    fn pass(&mut self, data: Bytes) -> Bytes {
        let mut data = match self.held.is_empty() {
            true => data,
            false => [&std::mem::take(&mut self.held)[..], &data].concat().into(),
        };
        let found: Vec<_> = find_iter(&data, &self.signature).collect();
        if !found.is_empty() {
            let mut masked = data.to_vec();
            for at in found {
                masked[at..at + self.signature.len()].fill(b'*');
            }
            data = masked.into();
        }
        let longest = data.len().min(self.signature.len() - 1);
        let is_beginning = |held: &usize| self.signature.starts_with(&data[data.len() - held..]);
        let held = (1..=longest).rev().find(is_beginning).unwrap_or(0);
        self.held = data.split_off(data.len() - held);
        data
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Masked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let me = &mut *self;
        loop {
            let frame = match Pin::new(&mut me.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) if !me.held.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut me.held)))));
                }
                other => return other,
            };
            // A store needs no trailers.
            if let Ok(data) = frame.into_data() {
                let data = me.pass(data);
                // All of it may be held: then the next frame is requested at once.
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body_util::BodyExt;

    use super::*;

    const SIGNATURE: &str = "aab0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
        }
    }

    /// The masked body of `text`, sent in pieces of this size.
    fn masked(text: &str, size: usize) -> String {
        let chunks = text.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        let body = Masked::new(Chunks(chunks), SIGNATURE.into());
        let bytes = pollster::block_on(body.collect()).unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_signature_is_masked_however_the_body_is_cut() {
        let stars = "*".repeat(SIGNATURE.len());
        for text in [
            SIGNATURE.to_owned(),
            format!("a{SIGNATURE}aa{SIGNATURE}{SIGNATURE}a"),
            format!("Signature=a{SIGNATURE}\r\n"),
            format!("{}{SIGNATURE}", &SIGNATURE[..40]),
            SIGNATURE[..63].to_owned(),
            "aaab0aab0c4".to_owned(),
            String::new(),
        ] {
            let right = text.replace(SIGNATURE, &stars);
            for size in [1, 2, 3, 5, 31, 63, 64, 65, 200] {
                assert_eq!(masked(&text, size), right, "{size}");
            }
        }
    }

    #[test]
    fn a_header_that_holds_a_secret_is_removed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", format!("Signature={SIGNATURE}").parse().unwrap());
        headers.append("x-two", "fine".parse().unwrap());
        headers.append("x-two", "the token".parse().unwrap());
        headers.insert("etag", "\"1\"".parse().unwrap());
        mask_headers(&mut headers, &[SIGNATURE, "token", ""]);
        assert_eq!(headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["etag"]);
    }
}
