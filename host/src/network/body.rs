use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::Error;

use crate::budget::Deadline;

/// A body whose bytes count as progress of its call, as far as bytes of the caller cover them.
pub(super) struct Watched<B> {
    body: B,
    deadline: Arc<Deadline>,
    /// For a request: when its bytes last moved.
    moved: Option<Moved>,
    /// For a response: the longest wait for bytes that the backend permits.
    pause: Option<Duration>,
    /// The current wait, if there is one.
    wait: Option<Pin<Box<Sleep>>>,
    /// The place among the requests, which is held until the body has ended.
    _permit: Option<OwnedSemaphorePermit>,
}

/// When bytes of a request last moved.
#[derive(Clone)]
pub(super) struct Moved(Arc<Mutex<Instant>>);

impl Default for Moved {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Moved {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Resolves when no byte has moved for `limit`.
    pub(super) async fn pause(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        loop {
            let since = self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            match limit.checked_sub(since).filter(|left| !left.is_zero()) {
                Some(left) => sleep(left).await,
                None => return,
            }
        }
    }
}

impl<B> Watched<B> {
    pub(super) fn request(body: B, deadline: Arc<Deadline>, moved: Moved) -> Self {
        Self { body, deadline, moved: Some(moved), pause: None, wait: None, _permit: None }
    }

    pub(super) fn response(
        body: B,
        deadline: Arc<Deadline>,
        pause: Option<Duration>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { body, deadline, moved: None, pause, wait: None, _permit: Some(permit) }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let me = &mut *self;
        match Pin::new(&mut me.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match &me.moved {
                    Some(moved) => {
                        me.deadline.sent(bytes);
                        if bytes > 0 {
                            moved.now();
                        }
                    }
                    None => me.deadline.received(bytes),
                }
                me.wait = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                let Some(pause) = me.pause else { return Poll::Pending };
                // The pause begins with the wait: the time between two reads is the reader's own.
                let pause = || pause.min(me.deadline.of_one_wait());
                let wait = me.wait.get_or_insert_with(|| Box::pin(sleep(pause())));
                wait.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
            ended => ended,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
