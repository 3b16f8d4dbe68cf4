//! A service's server: gRPC and HTTP on one port, with everything that every service has.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use axum::{middleware, response::IntoResponse};
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use proto::events::v1::event_feed_service_server::EventFeedServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

use crate::{
    access::Rules,
    auth::AuthLayer,
    base::Base,
    events::{self, Consumer, Feed},
    guard::UPLOAD_FACTOR,
    language::Language,
    lifecycle::{Lifecycle, Task},
    telemetry::ServerLayer,
};

/// The largest message a service takes in. tonic's own limit is 4 MiB; a service with uploads raises it to this one:
/// `FeedbackServiceServer::new(grpc).max_decoding_message_size(chassis::server::MAX_MESSAGE)`.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The server of one service, being put together.
pub struct Server {
    base: Base,
    routes: Routes,
    services: Vec<&'static str>,
    http: axum::Router,
    tasks: Vec<Task>,
    finishing: Vec<Task>,
    consumers: Vec<Follow>,
    feed_permission: Option<&'static str>,
}

/// Starts a consumer, given what stops it.
type Follow = Box<dyn FnOnce(&Base, CancellationToken) -> Task + Send>;

impl Server {
    /// A server with health, reflection and the service's own feed, and nothing else yet.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Self {
            base,
            routes: Routes::default(),
            services: Vec::new(),
            http: axum::Router::new(),
            tasks: Vec::new(),
            finishing: Vec::new(),
            consumers: Vec::new(),
            feed_permission: None,
        }
    }

    /// Opens the service's feed to those who hold this permission besides `events.subscribe`, as far as they hold both.
    /// Otherwise it is the mesh's alone.
    #[must_use]
    pub fn open_feed(mut self, permission: &'static str) -> Self {
        self.feed_permission = Some(permission);
        self
    }

    /// Adds a gRPC service of the contract.
    #[must_use]
    pub fn grpc<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Adds HTTP routes; anything that is not gRPC goes to them.
    #[must_use]
    pub fn http(mut self, router: axum::Router) -> Self {
        self.http = self.http.merge(router);
        self
    }

    /// Adds a background task. It runs from the start until calls are drained and is then cancelled at an await and
    /// waited for. It deals with passing failures itself: an error means that it cannot go on, and stops the service.
    #[must_use]
    pub fn task(
        mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> Self {
        self.tasks.push((name, task.boxed()));
        self
    }

    /// Adds a background task that heeds the shutdown itself: it may finish what it began, such as a conversation with
    /// a mail server, until 20 seconds after the shutdown. Otherwise as `task`.
    #[must_use]
    pub fn finishing_task(
        mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> Self {
        self.finishing.push((name, task.boxed()));
        self
    }

    /// Follows the feed of another service, once the directory is loaded: what is done with an event depends on the
    /// units and people it concerns.
    #[must_use]
    pub fn consume<C: Consumer>(mut self, consumer: C) -> Self {
        self.consumers.push(Box::new(|base, shutdown| {
            let channel = base.mesh.channel(consumer.source());
            let (db, service) = (base.db.clone(), base.name);
            let directory = base.directory.clone();
            let follow = async move {
                shutdown.run_until_cancelled(directory.loaded()).await;
                events::consume(db, channel, service, consumer, shutdown).await;
                Ok(())
            };
            (C::NAME, follow.boxed())
        }));
        self
    }

    /// Serves until shutdown is cancelled and the drain is over.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self {
            base,
            routes,
            mut services,
            http,
            mut tasks,
            mut finishing,
            consumers,
            feed_permission,
        } = self;
        services.push(EventFeedServiceServer::<Feed>::NAME);
        let rules = Rules::read(&proto::DESCRIPTORS, &services)?;
        let auth = AuthLayer::new(rules, base.verifier.clone(), base.directory.clone());
        let (lifecycle, health) = Lifecycle::new(
            base.name,
            base.config.clone(),
            base.mesh.discovery().clone(),
            Some(base.db.clone()),
            services,
        )
        .await;
        // Nobody holds a right before the directory was loaded, once: what came earlier would be refused.
        let known = base.directory.clone();
        let lifecycle = lifecycle.ready_when(move || known.is_loaded());
        let feed = Feed::new(
            base.name,
            feed_permission,
            base.db.clone(),
            base.config.event_retention,
            lifecycle.streams(),
        );
        let routes = routes.add_service(health).add_service(feed.service());
        let front = Front {
            grpc: lifecycle
                .guard()
                .layer(auth.layer(with_reflection(routes)?.prepare())),
            http: with_limits(
                http.merge(lifecycle.probes()),
                base.config.deadline * UPLOAD_FACTOR,
            ),
        };
        let front = ServerLayer::new(base.name).layer(front);

        let follow = base
            .directory
            .clone()
            .follow(base.mesh.channel("identity"), shutdown.clone());
        tasks.push(("directory", follow.map(Ok).boxed()));
        tasks.push(("feed", async move { feed.run().map(Ok).await }.boxed()));
        for consumer in consumers {
            finishing.push(consumer(&base, shutdown.clone()));
        }
        let lifecycle = lifecycle.finishing(finishing);
        lifecycle.serve(listener, front, tasks, shutdown).await
    }
}

fn with_reflection(routes: Routes) -> anyhow::Result<Routes> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().context("reflection v1")?;
    let v1alpha = builder().build_v1alpha().context("reflection v1alpha")?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// What every HTTP route has: the language, limits of size and time, panics kept in.
fn with_limits(router: axum::Router, limit: Duration) -> axum::Router {
    router
        .layer(middleware::from_fn(
            move |request: axum::extract::Request, next: middleware::Next| async move {
                let language = Language::of(request.headers());
                let answer = language.scope(next.run(request));
                let answer = tokio::time::timeout(limit, answer).await;
                answer.unwrap_or_else(|_| StatusCode::GATEWAY_TIMEOUT.into_response())
            },
        ))
        .layer(RequestBodyLimitLayer::new(MAX_MESSAGE))
        .layer(CatchPanicLayer::new())
}

/// Whether a request is gRPC (gRPC-Web is the gateway's).
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Tells gRPC from HTTP.
#[derive(Clone)]
struct Front<G> {
    grpc: G,
    http: axum::Router,
}

impl<G> Service<Request<Incoming>> for Front<G>
where
    G: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    G::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if is_grpc(request.headers()) {
            self.grpc.clone().oneshot(request.map(Body::new)).boxed()
        } else {
            let http = self.http.clone();
            async move { Ok(http.oneshot(request).await?.map(Body::new)) }.boxed()
        }
    }
}
