//! A service whose behaviour the request chooses, and replicas of it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use chassis::{
    Config,
    connections::{Limits, serve_connections},
    deadline,
    guard::Guard,
    mesh::Mesh,
    testing,
};
use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use proto::identity::v1 as pb;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    server::{NamedService, UnaryService},
};
use tonic_prost::ProstCodec;
use tower::Layer as _;

/// A method of the contract without side effects: it may be repeated.
pub const READ: &str = "/civicmesh.identity.v1.DirectoryService/GetUnit";
/// A method that no descriptor calls repeatable.
pub const WRITE: &str = "/civicmesh.identity.v1.DirectoryService/Write";

/// Answers unary calls with a `Unit` whose id says something.
#[derive(Clone)]
pub struct Fixture {
    pub name: &'static str,
    pub calls: Arc<AtomicUsize>,
    pub broken: Arc<AtomicBool>,
    pub next: Option<Mesh>,
}

impl NamedService for Fixture {
    const NAME: &'static str = "civicmesh.identity.v1.DirectoryService";
}

impl Fixture {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            calls: Arc::default(),
            broken: Arc::default(),
            next: None,
        }
    }

    async fn answer(self, request: tonic::Request<pb::GetUnitRequest>) -> Result<String, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(Status::unavailable("broken"));
        }
        let header = |name: &str| {
            let value = request.metadata().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        match request.get_ref().id.as_str() {
            "hang" => std::future::pending().await,
            "pause" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(self.name.to_owned())
            }
            "panic" => panic!("as asked"),
            "refuse" => Err(Status::unauthenticated("your token is not good")),
            "header" => Ok(format!(
                "{} {}",
                header("authorization"),
                header("accept-language")
            )),
            // What is left of the deadline here, and at each further hop.
            "left" => {
                let left = deadline::remaining().unwrap().as_micros();
                match &self.next {
                    Some(mesh) => {
                        let inner = call(mesh.channel("a"), READ, "left").await?;
                        Ok(format!("{left} {inner}"))
                    }
                    None => Ok(left.to_string()),
                }
            }
            _ => Ok(self.name.to_owned()),
        }
    }
}

impl UnaryService<pb::GetUnitRequest> for Fixture {
    type Response = pb::Unit;
    type Future = BoxFuture<'static, Result<tonic::Response<pb::Unit>, Status>>;

    fn call(&mut self, request: tonic::Request<pb::GetUnitRequest>) -> Self::Future {
        let answer = self.clone().answer(request);
        async move {
            let id = answer.await?;
            Ok(tonic::Response::new(pb::Unit {
                id,
                ..pb::Unit::default()
            }))
        }
        .boxed()
    }
}

impl<B> tower::Service<Request<B>> for Fixture
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let fixture = self.clone();
        async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok(grpc.unary(fixture, request).await)
        }
        .boxed()
    }
}

/// Calls a method of the fixture.
pub async fn call<C>(channel: C, path: &'static str, id: &str) -> Result<String, Status>
where
    C: tonic::client::GrpcService<Body>,
    C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    send(
        channel,
        path,
        tonic::Request::new(pb::GetUnitRequest { id: id.into() }),
    )
    .await
}

/// Sends a request to a method of the fixture.
pub async fn send<C>(
    channel: C,
    path: &'static str,
    request: tonic::Request<pb::GetUnitRequest>,
) -> Result<String, Status>
where
    C: tonic::client::GrpcService<Body>,
    C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.into().to_string()))?;
    let path = http::uri::PathAndQuery::from_static(path);
    let codec = ProstCodec::<pb::GetUnitRequest, pb::Unit>::default();
    Ok(grpc.unary(request, path, codec).await?.into_inner().id)
}

/// A fixture that serves, behind the guard.
pub struct Replica {
    pub fixture: Fixture,
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub ended: JoinHandle<bool>,
}

impl Replica {
    pub async fn start(fixture: Fixture) -> Self {
        let limits = Limits {
            drain: Duration::ZERO,
            ..Limits::default()
        };
        Self::with(fixture, &testing::config(&[]), limits).await
    }

    pub async fn with(fixture: Fixture, config: &Config, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let service = Guard::new(config, stop.clone()).layer(fixture.clone());
        let serving = serve_connections(listener, service, limits, stop.clone());
        Self {
            fixture,
            address,
            stop,
            ended: tokio::spawn(serving),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn calls(&self) -> usize {
        self.fixture.calls.load(Ordering::SeqCst)
    }

    pub fn channel(&self) -> tonic::transport::Channel {
        tonic::transport::Endpoint::from_shared(self.url())
            .unwrap()
            .tcp_nodelay(true)
            .connect_lazy()
    }

    /// Ends it at once, connections and all.
    pub async fn kill(&mut self) {
        self.stop.cancel();
        (&mut self.ended).await.unwrap();
    }
}

/// A mesh in which service "a" has these replicas.
pub fn mesh(urls: &[String]) -> Mesh {
    let list: Vec<_> = urls.iter().map(|url| format!("a={url}")).collect();
    let flag = format!("--discovery=static:{}", list.join(","));
    Mesh::new("test", &testing::config(&[&flag])).unwrap()
}

/// An address where nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}
