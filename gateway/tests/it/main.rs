//! The gateway on loopback, before services that only these tests know.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use chassis::{
    Directory,
    mesh::{Mesh, TokenSource},
    testing::{self, City},
};
use clap::{Args, FromArgMatches};
use gateway::{Config, Gateway};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    server::NamedService,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

mod fixture;
mod grpc;
mod limits;
mod live;
mod proxy;
mod rest;
mod session;
mod statics;

const DEADLINE: Duration = Duration::from_secs(20);

/// A gateway that serves on loopback.
struct Running {
    address: SocketAddr,
    folder: TempDir,
    directory: Directory,
    config: Config,
    shutdown: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

/// Serves with these services behind it.
async fn run(city: &City, services: &[(&str, SocketAddr)], flags: &[&str]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("cookie-key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let known: Vec<_> = services
        .iter()
        .map(|(name, address)| format!("{name}=http://{address}"))
        .collect();
    let own = [
        format!("--discovery=static:{}", known.join(",")),
        format!("--cookie-key-file={}", key.display()),
        format!("--console={}", folder.path().join("console").display()),
        "--drain=1s".to_owned(),
        "--client-secret=the secret+of us".to_owned(),
    ];
    let flags = own.iter().map(String::as_str).chain(flags.iter().copied());
    let command = Config::augment_args(clap::Command::new("test"));
    let matches = command
        .args_override_self(true)
        .get_matches_from(std::iter::once("test").chain(flags));
    let config = Config::from_arg_matches(&matches).unwrap();
    let directory = city.directory();
    let gateway = Gateway {
        contract: fixture::pool(),
        mesh: Mesh::with_tokens(&config.base, TokenSource::None).unwrap(),
        verifier: testing::verifier(),
        directory: directory.clone(),
        config: config.clone(),
    };
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(gateway.serve(listener, shutdown.clone()));
    Running {
        address,
        folder,
        directory,
        config,
        shutdown,
        ended,
    }
}

/// A gateway before the fixture.
async fn with_fixture(flags: &[&str]) -> Running {
    let fixture = serve(fixture::Fixture).await;
    run(&City::new(), &[("fixture", fixture)], flags).await
}

/// Serves a gRPC service on loopback for as long as the test runs.
async fn serve<S>(service: S) -> SocketAddr
where
    S: tower::Service<Request<Body>, Error = Infallible, Response = http::Response<Body>>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Running {
    /// Sends a request as a browser or another client would, over HTTP/1.1.
    async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut request = request.body(Full::new(body.into())).unwrap();
        let target = format!("http://{}{}", self.address, request.uri());
        *request.uri_mut() = target.parse().unwrap();
        let answer = tokio::time::timeout(DEADLINE, client.request(request));
        let (parts, body) = answer.await.unwrap().unwrap().into_parts();
        let body = tokio::time::timeout(DEADLINE, body.collect())
            .await
            .unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.unwrap().to_bytes(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    async fn post(&self, path: &str, json: &str) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request, json.to_owned()).await
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect_lazy()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

/// Adds a token to the calls of a generated client.
fn bearer(
    token: &str,
) -> impl Fn(tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> + Clone + use<> {
    let value: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    move |mut request| {
        request
            .metadata_mut()
            .insert("authorization", value.clone());
        Ok(request)
    }
}

/// Awaits a condition.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap();
}

#[tokio::test]
async fn it_is_ready_when_its_directory_is_loaded() {
    let city = City::new();
    let gateway = run(&city, &[], &[]).await;
    until(async || gateway.get("/readyz").await.status == StatusCode::OK).await;
    assert_eq!(gateway.get("/healthz").await.text(), "ok");
    gateway.stop().await;
}

#[tokio::test]
async fn without_a_directory_it_is_not_ready() {
    let gateway = run(&City::new(), &[], &[]).await;
    let mut settings = gateway.config.clone();
    settings.base.drain = Duration::from_secs(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(gateway::serve(settings, listener, shutdown.clone()));
    let fresh = Running {
        address,
        shutdown,
        ended,
        ..gateway
    };
    until(async || fresh.get("/healthz").await.status == StatusCode::OK).await;
    assert_eq!(
        fresh.get("/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    fresh.stop().await;
}
