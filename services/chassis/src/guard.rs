//! What every gRPC call passes before its service: language, load shedding, deadline, panics.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body};

use crate::{
    Config,
    body::{Bounds, exceeded},
    deadline,
    language::Language,
    methods::{self, Method},
    refusal::Refusal,
};

/// How much longer an upload (a stream of the caller's) may take than a unary call.
pub(crate) const UPLOAD_FACTOR: u32 = 10;

/// When a shed caller may come again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The layer that puts a [`Guarded`] around a gRPC service.
#[derive(Clone)]
pub struct Guard {
    slots: Arc<Semaphore>,
    deadline: Duration,
    stop: CancellationToken,
}

impl Guard {
    /// Limits by the settings; open streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(config: &Config, stop: CancellationToken) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(config.concurrency)),
            deadline: config.deadline,
            stop,
        }
    }

    /// When a call must be answered: as its caller states; a unary one within our own limit too.
    fn deadline(&self, method: Method, headers: &http::HeaderMap) -> Option<Instant> {
        let limit = match method {
            method if method.is_unary() => Some(self.deadline),
            method if method.server_streaming => None,
            _ => Some(self.deadline * UPLOAD_FACTOR),
        };
        let timeout = match (deadline::stated(headers), limit) {
            (Some(stated), Some(limit)) => Some(stated.min(limit)),
            (stated, limit) => stated.or(limit),
        };
        timeout.and_then(|timeout| Instant::now().checked_add(timeout))
    }
}

impl<S> tower::Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            guard: self.clone(),
            inner,
        }
    }
}

/// A gRPC service behind a [`Guard`].
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S, B> tower::Service<Request<B>> for Guarded<S>
where
    S: tower::Service<Request<B>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is used, its clone stays for the next call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let guard = self.guard.clone();
        let language = Language::of(request.headers());
        let serve = language.scope(serve(guard, inner, request, language));
        serve.map(Ok).boxed()
    }
}

async fn serve<S, B>(
    guard: Guard,
    mut inner: S,
    request: Request<B>,
    language: Language,
) -> Response<Body>
where
    S: tower::Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    let path = request.uri().path();
    let method = methods::of(path);
    // Who watches a busy server must not take it for a dead one.
    let permit = if path.starts_with("/grpc.health.v1.Health/") {
        None
    } else if let Ok(permit) = guard.slots.clone().try_acquire_owned() {
        Some(permit)
    } else {
        return overloaded().into_http();
    };
    let deadline = guard.deadline(method, request.headers());
    let call = AssertUnwindSafe(inner.call(request)).catch_unwind();
    let call = deadline::scope(deadline, call);
    let answer = match deadline {
        Some(deadline) => match tokio::time::timeout_at(deadline, call).await {
            Ok(answer) => answer,
            Err(_) => return exceeded().into_http(),
        },
        None => call.await,
    };
    let Ok(Ok(response)) = answer else {
        tracing::error!("a handler panicked");
        return Status::from(Refusal::new(
            Code::Internal,
            "INTERNAL",
            "lỗi nội bộ",
            "internal error",
        ))
        .into_http();
    };
    // A stream may be open for days; it counts for the limit only until it has begun.
    let bounds = Bounds {
        deadline,
        stop: method.server_streaming.then_some(guard.stop),
        language,
        lost: None,
        held: permit
            .filter(|_| !method.server_streaming)
            .map(|permit| Box::new(permit) as Box<_>),
    };
    bounds.around(response)
}

fn overloaded() -> Status {
    Refusal::new(
        Code::Unavailable,
        "OVERLOADED",
        "dịch vụ đang quá tải, hãy thử lại sau giây lát",
        "the service is overloaded, try again in a moment",
    )
    .retry_after(RETRY_AFTER)
    .into()
}
