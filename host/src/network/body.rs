use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::Error;

use crate::budget::Deadline;

/// A body whose bytes count as progress of the call that they belong to, as far as those of its
/// caller cover them.
pub(super) struct Watched<B> {
    body: B,
    deadline: Arc<Deadline>,
    way: Way,
    /// The longest pause between bytes, and the present one.
    pause: Option<(Duration, Pin<Box<Sleep>>)>,
    /// The place among the requests, which is taken until the body has ended.
    _permit: Option<OwnedSemaphorePermit>,
}

/// Which way the bytes go.
enum Way {
    Out,
    In,
}

impl<B> Watched<B> {
    pub(super) fn request(body: B, deadline: Arc<Deadline>) -> Self {
        Self { body, deadline, way: Way::Out, pause: None, _permit: None }
    }

    pub(super) fn response(
        body: B,
        deadline: Arc<Deadline>,
        pause: Option<Duration>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let pause = pause.map(|pause| (pause, Box::pin(sleep(pause))));
        Self { body, deadline, way: Way::In, pause, _permit: Some(permit) }
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
                match me.way {
                    Way::Out => me.deadline.sent(bytes),
                    Way::In => me.deadline.received(bytes),
                }
                if let Some((pause, over)) = &mut me.pause {
                    *over = Box::pin(sleep(*pause));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => match &mut me.pause {
                Some((_, over)) => {
                    over.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
                }
                None => Poll::Pending,
            },
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
