//! Channels to the other services: balanced over their replicas, retried, bounded in time, traced, signed.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{
    HeaderValue, Request, Response,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE},
};
use rand::RngExt as _;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;
use tracing::Instrument as _;

use crate::{
    Config, Refusal,
    auth::is_directory_unavailable,
    body::{Bounds, exceeded},
    deadline,
    discovery::Discovery,
    language,
    methods::{self, Method},
    telemetry,
};

mod outgoing;
mod pool;
mod token;

use outgoing::Outgoing;
use pool::{Outcome, Peer, Pool};
pub use token::TokenSource;

/// Tries of one call at most, the first included.
const TRIES: usize = 3;
/// Pause before the second try; doubled for the third; half of it is chance.
const BACKOFF: Duration = Duration::from_millis(25);
/// What is kept back of a deadline for the way home.
const MARGIN: Duration = Duration::from_millis(20);
/// A replica that let a call wait for this long has failed; less says nothing, for the caller's time may be short.
const SLOW: Duration = Duration::from_secs(1);
/// How long the first call waits for the source of endpoints.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(3);

/// The other services, as seen from this one.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
}

struct Shared {
    discovery: Discovery,
    deadline: Duration,
    tokens: TokenSource,
    pools: Arc<Mutex<HashMap<String, Arc<Pool>>>>,
}

impl Mesh {
    /// Reads the settings: where the others are, and with what this service proves itself to identity. Without a
    /// secret its calls are anonymous.
    pub fn new(name: &'static str, config: &Config) -> anyhow::Result<Self> {
        let anonymous = Self::with_tokens(config, TokenSource::None)?;
        if config.client_secret.expose().is_empty() {
            return Ok(anonymous);
        }
        let identity = anonymous.channel("identity");
        let tokens = TokenSource::identity(name, config.client_secret.clone(), identity);
        let shared = &anonymous.shared;
        Ok(Self {
            shared: Arc::new(Shared {
                discovery: shared.discovery.clone(),
                deadline: shared.deadline,
                tokens,
                pools: shared.pools.clone(),
            }),
        })
    }

    /// As `new`, with tokens from elsewhere.
    pub fn with_tokens(config: &Config, tokens: TokenSource) -> anyhow::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                discovery: Discovery::new(config)?,
                deadline: config.deadline,
                tokens,
                pools: Arc::default(),
            }),
        })
    }

    /// Where this process registers itself and asks for others.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.shared.discovery
    }

    /// A channel to a service, which calls with this service's own token unless the request already has one.
    #[must_use]
    pub fn channel(&self, service: &str) -> MeshChannel {
        let mut pools = self
            .shared
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let pool = pools
            .entry(service.to_owned())
            .or_insert_with(|| Arc::new(Pool::new(self.shared.discovery.watch(service))));
        MeshChannel {
            service: service.into(),
            pool: pool.clone(),
            deadline: self.shared.deadline,
            tokens: self.shared.tokens.clone(),
            _discovery: self.shared.discovery.clone(),
        }
    }
}

/// A channel to one service. Failures come as a status, never as an error of the transport.
#[derive(Clone)]
pub struct MeshChannel {
    service: Arc<str>,
    pool: Arc<Pool>,
    deadline: Duration,
    tokens: TokenSource,
    // What feeds the pool lives as long as a channel does.
    _discovery: Discovery,
}

impl MeshChannel {
    /// The channel of a door: requests go on with the token that their caller sent, or without one, never with ours.
    #[must_use]
    pub fn pass_through(mut self) -> Self {
        self.tokens = TokenSource::None;
        self
    }
}

impl tower::Service<Request<Body>> for MeshChannel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let channel = self.clone();
        let span = tracing::info_span!(
            "call",
            otel.name = request.uri().path().trim_start_matches('/'),
            otel.kind = "client",
            peer.service = &*channel.service,
            rpc.response.status_code = tracing::field::Empty,
        );
        let call = async move {
            let response = channel
                .run(request)
                .await
                .unwrap_or_else(|status| status.into_http());
            let status = Status::from_header_map(response.headers());
            let code = status.map_or(Code::Ok, |status| status.code());
            tracing::Span::current().record("rpc.response.status_code", i32::from(code));
            Ok(response)
        };
        call.instrument(span).boxed()
    }
}

impl MeshChannel {
    async fn run(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let method = methods::of(request.uri().path());
        let deadline = self.deadline(method, &request);
        let Some(deadline) = deadline else {
            return self.tries(request, method, None).await;
        };
        let call = self.tries(request, method, Some(deadline));
        let answer = tokio::time::timeout_at(deadline, call).await;
        answer.unwrap_or_else(|_| Err(exceeded()))
    }

    /// The nearest of: what the caller of this call states, what is left for the request being served, and for a unary
    /// call our own limit.
    fn deadline(&self, method: Method, request: &Request<Body>) -> Option<Instant> {
        let now = Instant::now();
        let stated = deadline::stated(request.headers()).and_then(|left| now.checked_add(left));
        let limit = method.is_unary().then(|| now + self.deadline);
        [stated, deadline::current(), limit]
            .into_iter()
            .flatten()
            .min()
    }

    async fn tries(
        &self,
        request: Request<Body>,
        method: Method,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Status> {
        self.pool.known(DISCOVERY_LIMIT).await;
        let (mut parts, body) = request.into_parts();
        let own_token = self.sign(&mut parts.headers).await?;
        telemetry::inject(&mut parts.headers);
        let mut body = Outgoing::new(body, method).await?;
        let mut tried = Vec::new();
        loop {
            let peer = self.pool.pick(&tried).ok_or_else(|| self.nobody())?;
            tried.push(peer.clone());
            let last = tried.len() >= TRIES || !body.is_kept();
            let request = Request::from_parts(parts.clone(), body.next());
            let limit = self.limit(deadline, method, last);
            let (answer, outcome) = self.attempt(&peer, request, method, deadline, limit).await;
            self.pool.note(&peer, outcome);
            let again = match outcome {
                Outcome::Answered => false,
                Outcome::NotConnected | Outcome::Refused | Outcome::Starting => !last,
                Outcome::Failed | Outcome::Late => {
                    !last && method.repeatable && self.pool.may_retry()
                }
            };
            if !again {
                if let (Err(status), Some(token)) = (answer_status(&answer), &own_token)
                    && status == Code::Unauthenticated
                {
                    self.tokens.forget(token).await;
                }
                return answer;
            }
            tracing::debug!(service = %self.service, ?outcome, "trying another replica");
            match pushback(&answer) {
                Some(None) => return answer,
                Some(Some(pause)) => tokio::time::sleep(pause).await,
                None => tokio::time::sleep(backoff(tried.len())).await,
            }
        }
    }

    /// Adds the language and, where the request has no token, ours; answers the token added.
    async fn sign(&self, headers: &mut http::HeaderMap) -> Result<Option<HeaderValue>, Status> {
        if !headers.contains_key(ACCEPT_LANGUAGE) {
            let code = HeaderValue::from_static(language::current().code());
            headers.insert(ACCEPT_LANGUAGE, code);
        }
        if headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let token = self.tokens.header().await?;
        if let Some(token) = &token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        Ok(token)
    }

    /// How long one try may take. A repeatable call keeps part of its time for another try.
    fn limit(&self, deadline: Option<Instant>, method: Method, last: bool) -> Option<Instant> {
        let deadline = deadline?;
        if last || !method.is_unary() || !method.repeatable || self.pool.len() < 2 {
            return Some(deadline);
        }
        let now = Instant::now();
        Some(now + deadline.saturating_duration_since(now).mul_f64(0.6))
    }

    async fn attempt(
        &self,
        peer: &Arc<Peer>,
        mut request: Request<Body>,
        method: Method,
        deadline: Option<Instant>,
        limit: Option<Instant>,
    ) -> (Result<Response<Body>, Status>, Outcome) {
        if let Some(limit) = limit {
            let left = limit.saturating_duration_since(Instant::now());
            let left = left.saturating_sub(MARGIN.min(left / 10));
            request
                .headers_mut()
                .insert(deadline::HEADER, deadline::header(left));
        }
        let occupied = peer.occupy();
        let begun = Instant::now();
        let call = peer.channel().oneshot(request);
        // A stream may last for ever, but it begins soon.
        let wait = limit.or_else(|| (!method.client_streaming).then(|| begun + self.deadline));
        let answer = match wait {
            Some(wait) => match tokio::time::timeout_at(wait, call).await {
                Ok(answer) => answer,
                Err(_) if begun.elapsed() < SLOW => return (Err(exceeded()), Outcome::Late),
                Err(_) => return (Err(exceeded()), Outcome::Failed),
            },
            None => call.await,
        };
        match answer {
            Ok(response) => {
                let outcome = match answer_code(&response) {
                    Code::Unavailable if is_starting(&response) => Outcome::Starting,
                    Code::Unavailable => Outcome::Failed,
                    _ => Outcome::Answered,
                };
                // An answer that is cut off ends without its status.
                let lost = is_open(&response).then(|| self.nobody());
                let bounds = Bounds {
                    deadline,
                    stop: None,
                    language: language::current(),
                    lost,
                    held: Some(Box::new(occupied)),
                };
                (Ok(bounds.around(response)), outcome)
            }
            Err(error) => {
                let outcome = Outcome::of(&error);
                tracing::debug!(error = ?error, service = %self.service, "call failed");
                (Err(self.nobody()), outcome)
            }
        }
    }

    fn nobody(&self) -> Status {
        Refusal::new(
            Code::Unavailable,
            "UPSTREAM_UNAVAILABLE",
            format!(
                "dịch vụ {} tạm thời không sẵn sàng, hãy thử lại",
                self.service
            ),
            format!(
                "the service {} is not available for the moment, try again",
                self.service
            ),
        )
        .into()
    }
}

/// The status in an answer's headers; one in its trailers comes too late to try again.
fn answer_code(response: &Response<Body>) -> Code {
    match response.headers().get("grpc-status") {
        Some(code) => Code::from_bytes(code.as_bytes()),
        // A proxy on the way that knows no gRPC.
        None if matches!(response.status().as_u16(), 429 | 502..=504) => Code::Unavailable,
        None => Code::Ok,
    }
}

/// Whether the status of an answer of gRPC is still to come.
fn is_open(response: &Response<Body>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
        && !response.headers().contains_key("grpc-status")
}

fn is_starting(response: &Response<Body>) -> bool {
    Status::from_header_map(response.headers())
        .is_some_and(|status| is_directory_unavailable(&status))
}

fn answer_status(answer: &Result<Response<Body>, Status>) -> Result<(), Code> {
    let code = match answer {
        Ok(response) => answer_code(response),
        Err(status) => status.code(),
    };
    if code == Code::Ok { Ok(()) } else { Err(code) }
}

/// What a server says of retries: nothing, not at all, or after a pause.
fn pushback(answer: &Result<Response<Body>, Status>) -> Option<Option<Duration>> {
    let header = answer
        .as_ref()
        .ok()?
        .headers()
        .get("grpc-retry-pushback-ms")?;
    let pause = header.to_str().ok().and_then(|text| text.parse().ok());
    Some(pause.map(Duration::from_millis))
}

fn backoff(tries: usize) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(5);
    (BACKOFF * 2_u32.pow(doublings)).mul_f64(rand::rng().random_range(0.5..1.0))
}
