//! What stands on the port: tells gRPC from HTTP, and puts around each what it needs.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::IntoResponse as _,
    routing::{any, get},
};
use bytes::Bytes;
use chassis::{language::Language, server::is_grpc, telemetry};
use futures::{FutureExt as _, future::BoxFuture};
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Uri,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG},
};
use hyper::body::Incoming;
use prost_reflect::DescriptorPool;
use tonic::{body::Body, service::Routes};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{Compression, CompressionLayer, Predicate, predicate::SizeAbove},
};

use crate::{
    door::Door,
    statics::{Statics, protect},
    transcode::{Rest, answer, error},
};

/// What the HTTP side is made of.
pub struct Parts<G> {
    /// REST.
    pub rest: Rest<G>,
    /// Knows the address of callers.
    pub door: std::sync::Arc<Door>,
    /// The OpenAPI description.
    pub description: Bytes,
    /// The console.
    pub statics: Statics,
    /// Browsers reach us by https.
    pub is_https: bool,
    /// Sessions, proxied paths, probes.
    pub others: Router,
}

/// All that is not gRPC.
pub fn router<G>(parts: Parts<G>) -> Router
where
    G: Service<http::Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    G::Future: Send + 'static,
{
    let Parts {
        rest,
        door,
        description,
        statics,
        is_https,
        others,
    } = parts;
    let serve_rest = async move |request: Request| {
        let address = door.address(request.extensions(), request.headers());
        rest.serve(request.map(Body::new), address).await
    };
    let describe = async move |headers: HeaderMap| described(&headers, description);
    Router::new()
        .route("/v1/{*path}", any(serve_rest))
        .route("/openapi.json", get(describe))
        .merge(others)
        .fallback(async move |method: Method, uri: Uri, headers: HeaderMap| {
            statics.serve(method, uri, headers).await
        })
        .layer(middleware::from_fn(
            move |request: Request, next: Next| async move {
                let language = Language::of(request.headers());
                let mut response = language.scope(next.run(request)).await;
                protect(response.headers_mut(), is_https);
                let trace = telemetry::trace_id();
                if let Some(trace) = HeaderValue::try_from(trace)
                    .ok()
                    .filter(|id| !id.is_empty())
                {
                    response.headers_mut().insert("x-trace-id", trace);
                }
                response
            },
        ))
        .layer(CatchPanicLayer::new())
}

fn described(headers: &HeaderMap, description: Bytes) -> Response<Body> {
    let tag = answer::tag(&description);
    let mut response = if answer::is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response().map(Body::new)
    } else {
        error::json_response(StatusCode::OK, description)
    };
    let headers = response.headers_mut();
    let minute = HeaderValue::from_static("public, max-age=60");
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, minute);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Adds reflection over the whole contract.
pub fn with_reflection(routes: Routes, pool: &DescriptorPool) -> anyhow::Result<Routes> {
    let set = pool.encode_to_vec();
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(&set)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().context("reflection v1")?;
    let v1alpha = builder().build_v1alpha().context("reflection v1alpha")?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// Only what browsers read is compressed here: gRPC has its own way, photos and fonts are compressed already.
#[derive(Clone, Copy)]
struct Compressible(SizeAbove);

impl Predicate for Compressible {
    fn should_compress<B>(&self, response: &Response<B>) -> bool
    where
        B: http_body::Body,
    {
        const KINDS: [&[u8]; 3] = [b"application/grpc-web", b"application/json", b"text/"];
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
        KINDS.iter().any(|known| kind.starts_with(known)) && self.0.should_compress(response)
    }
}

/// The service of the port.
#[derive(Clone)]
pub struct Front<G> {
    grpc: Compression<G, Compressible>,
    http: Compression<Router, Compressible>,
}

impl<G> Front<G> {
    /// Puts the two sides together.
    pub fn new(grpc: G, http: Router) -> Self {
        let layer = CompressionLayer::new()
            .br(true)
            .gzip(true)
            .compress_when(Compressible(SizeAbove::new(256)));
        Self {
            grpc: layer.layer(grpc),
            http: layer.layer(http),
        }
    }
}

impl<G> Service<http::Request<Incoming>> for Front<G>
where
    G: Service<http::Request<Incoming>, Response = Response<Body>, Error = Infallible>
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

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        if is_grpc(request.headers()) {
            let is_web = is_web(request.headers());
            let answer = self.grpc.clone().oneshot(request);
            async move {
                let mut response = answer.await?.map(Body::new);
                if is_web {
                    let never = HeaderValue::from_static("no-store");
                    response.headers_mut().insert(CACHE_CONTROL, never);
                    protect(response.headers_mut(), false);
                }
                Ok(response)
            }
            .boxed()
        } else {
            let answer = self.http.clone().oneshot(request);
            async move { Ok(answer.await?.map(Body::new)) }.boxed()
        }
    }
}

fn is_web(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc-web"))
}
