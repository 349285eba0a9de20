//! The messages of a stream, on their way out.
//!
//! Keeps the call's place until the stream has ended, notes the status it ends with, and ends it itself, properly, where the
//! handler does not: when the connection's grace is over, or when the handler panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Held, status};

type Item = Option<Result<Frame<Bytes>, Status>>;

pub(super) struct StreamBody {
    inner: Body,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    held: Option<Held>,
}

impl StreamBody {
    pub(super) fn new(inner: Body, held: Held, cut: CancellationToken) -> Self {
        Self { inner, cut: Box::pin(cut.cancelled_owned()), held: Some(held) }
    }

    /// Ends the stream with `trailers`, whatever the handler still has.
    fn end_with(&mut self, trailers: HeaderMap) -> Poll<Item> {
        self.end(status::code_in(&trailers).unwrap_or(Code::Unknown));
        self.inner = Body::empty();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn end_after_panic(&mut self) -> Poll<Item> {
        let name = self.held.as_ref().map(|held| held.name.clone());
        let trailers = name.map_or_else(status::panic_trailers, |name| name.within(status::panic_trailers));
        self.end_with(trailers)
    }

    fn end(&mut self, code: Code) {
        if let Some(held) = self.held.take() {
            held.outcome.end(code);
        }
    }

    fn pass(&mut self, item: Item) -> Poll<Item> {
        match &item {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(status::code_in(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(error)) => self.end(error.code()),
            None => self.end(Code::Unknown),
        }
        Poll::Ready(item)
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Item> {
        if self.held.is_none() {
            return Poll::Ready(None);
        }
        let inner = AssertUnwindSafe(|| Pin::new(&mut self.inner).poll_frame(context));
        match catch_unwind(inner) {
            Err(_) => self.end_after_panic(),
            Ok(Poll::Ready(item)) => self.pass(item),
            Ok(Poll::Pending) => match self.cut.as_mut().poll(context) {
                Poll::Ready(()) => self.end_with(status::closing_trailers()),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
