//! An answer's body that ends by its deadline or at shutdown, and frees what it holds when it is done.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body};

use crate::{Refusal, deadline, language::Language};

/// What bounds a body.
#[derive(Default)]
pub struct Bounds {
    /// When it must have ended.
    pub deadline: Option<Instant>,
    /// What ends it early, at shutdown.
    pub stop: Option<CancellationToken>,
    /// The language its texts are written in.
    pub language: Language,
    /// How an answer of gRPC ends whose connection was lost on the way, for whoever reads it to try again.
    pub lost: Option<Status>,
    /// What is dropped when it has ended, such as a permit.
    pub held: Option<Box<dyn Any + Send>>,
}

impl Bounds {
    /// Wraps an answer.
    #[must_use]
    pub fn around(self, response: http::Response<Body>) -> http::Response<Body> {
        response.map(|body| {
            if body.is_end_stream() {
                return body;
            }
            Body::new(Bounded {
                body: Some(body),
                timer: self
                    .deadline
                    .map(|deadline| Box::pin(tokio::time::sleep_until(deadline))),
                deadline: self.deadline,
                stopped: self.stop.map(|stop| Box::pin(stop.cancelled_owned())),
                language: self.language,
                lost: self.lost,
                held: self.held,
            })
        })
    }
}

struct Bounded {
    body: Option<Body>,
    timer: Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
    stopped: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    language: Language,
    lost: Option<Status>,
    held: Option<Box<dyn Any + Send>>,
}

impl Bounded {
    fn end(&mut self) {
        self.body = None;
        self.held = None;
    }

    fn end_with(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.end();
        let mut trailers = http::HeaderMap::new();
        let _ = status.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let is_ready = |timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>| {
            timer
                .as_mut()
                .is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
        };
        if is_ready(&mut this.timer, cx) {
            let status = this.language.enter(exceeded);
            return this.end_with(&status);
        }
        if let Some(stopped) = &mut this.stopped
            && stopped.as_mut().poll(cx).is_ready()
        {
            let status = this.language.enter(stopping);
            return this.end_with(&status);
        }
        let (language, deadline) = (this.language, this.deadline);
        let polled = language.enter(|| deadline::enter(deadline, || Pin::new(body).poll_frame(cx)));
        match &polled {
            Poll::Ready(None | Some(Err(_))) => {
                if let Some(lost) = this.lost.take() {
                    return this.end_with(&lost);
                }
                this.end();
            }
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => this.end(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

/// The deadline has passed.
#[must_use]
pub fn exceeded() -> Status {
    Refusal::new(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "quá thời hạn trả lời",
        "the deadline has passed",
    )
    .into()
}

/// The service is being stopped; another replica serves.
#[must_use]
pub fn stopping() -> Status {
    Refusal::new(
        Code::Unavailable,
        "STOPPING",
        "dịch vụ đang dừng, hãy thử lại",
        "the service is stopping, try again",
    )
    .into()
}
