//! The fixture's service, written by hand: the gateway has only its descriptors.

use std::{
    collections::HashMap,
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use prost_reflect::DescriptorPool;
use proto::google::api::HttpBody;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt as _};

#[derive(Clone, PartialEq, prost::Message)]
pub struct Period {
    #[prost(string, tag = "1")]
    pub code: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Thing {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub display_name: String,
    #[prost(int32, tag = "3")]
    pub kind: i32,
    #[prost(string, repeated, tag = "4")]
    pub tags: Vec<String>,
    #[prost(message, optional, tag = "5")]
    pub create_time: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "6")]
    pub period: Option<Period>,
    #[prost(map = "string, string", tag = "7")]
    pub headers: HashMap<String, String>,
    #[prost(int64, tag = "8")]
    pub size: i64,
    #[prost(bool, tag = "9")]
    pub is_good: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct PutPartRequest {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(message, optional, tag = "2")]
    pub part: Option<Thing>,
}

/// The contract, and the fixture's package besides.
pub fn pool() -> DescriptorPool {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    let mut compiler = protox::Compiler::new([here, contract]).unwrap();
    compiler
        .include_source_info(true)
        .open_file("fixture.proto")
        .unwrap();
    let mut pool = proto::DESCRIPTORS.clone();
    pool.decode_file_descriptor_set(compiler.encode_file_descriptor_set().as_slice())
        .unwrap();
    pool
}

#[derive(Clone)]
pub struct Fixture;

impl NamedService for Fixture {
    const NAME: &'static str = "civicmesh.fixture.v1.FixtureService";
}

impl tower::Service<http::Request<Body>> for Fixture {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
            Ok(match method.as_str() {
                "ListThings" => {
                    unary(request, async |request: Request<Thing>| {
                        Ok(request.into_inner())
                    })
                    .await
                }
                "GetThing" | "ChangeThing" | "FileThing" => {
                    unary(request, async |request: Request<Thing>| {
                        let headers = headers(&request);
                        Ok(Thing {
                            headers,
                            ..request.into_inner()
                        })
                    })
                    .await
                }
                "PutPart" => {
                    unary(request, async |request: Request<PutPartRequest>| {
                        let put = request.into_inner();
                        Ok(Thing {
                            id: put.id,
                            ..put.part.unwrap_or_default()
                        })
                    })
                    .await
                }
                "DownloadThing" => unary(request, download).await,
                "FailThing" => unary(request, fail).await,
                "CountThings" => {
                    let codec = ProstCodec::<Thing, Thing>::default();
                    let service = tower::service_fn(count);
                    Grpc::new(codec).server_streaming(service, request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn unary<Q, A>(
    request: http::Request<Body>,
    answer: impl AsyncFn(Request<Q>) -> Result<A, Status>,
) -> http::Response<Body>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
{
    // Decoded here, so that the answer may be made by a plain async function.
    let (parts, body) = request.into_parts();
    let codec = ProstCodec::<A, Q>::default();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let (done, answered) = tokio::sync::oneshot::channel();
    let answered = std::sync::Mutex::new(Some(answered));
    let service = tower::service_fn(move |request: Request<Q>| {
        let sender = sender.lock().unwrap().take().unwrap();
        let answered = answered.lock().unwrap().take().unwrap();
        let _ = sender.send(request);
        async move { answered.await.unwrap() }
    });
    let mut grpc = Grpc::new(codec);
    let serve = grpc.unary(service, http::Request::from_parts(parts, body));
    let reply = async {
        if let Ok(request) = receiver.await {
            let _ = done.send(answer(request).await.map(Response::new));
        }
    };
    let (response, ()) = tokio::join!(serve, reply);
    response
}

fn headers<T>(request: &Request<T>) -> HashMap<String, String> {
    let headers = request.metadata().clone().into_headers();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()))
        .collect()
}

async fn download(request: Request<Thing>) -> Result<HttpBody, Status> {
    let content_type = match request.get_ref().id.as_str() {
        "picture" => "image/png",
        _ => "text/html",
    };
    Ok(HttpBody {
        content_type: content_type.to_owned(),
        data: b"<script>alert(1)</script>".to_vec(),
        extensions: Vec::new(),
    })
}

async fn fail(request: Request<Thing>) -> Result<Thing, Status> {
    let code = Code::from(i32::try_from(request.get_ref().size).unwrap());
    let mut details = ErrorDetails::new();
    details.set_error_info("TESTED", "fixture", HashMap::new());
    details.add_bad_request_violation("period.code", "is wrong");
    details.set_retry_info(Some(Duration::from_millis(1500)));
    details.set_debug_info(vec!["a secret".to_owned()], "of ours");
    Err(Status::with_error_details(code, "không được", details))
}

type Things = std::pin::Pin<Box<dyn futures::Stream<Item = Result<Thing, Status>> + Send>>;

async fn count(request: Request<Thing>) -> Result<Response<Things>, Status> {
    let thing = request.into_inner();
    let numbers = (1..=thing.size).map(|size| {
        Ok(Thing {
            size,
            ..Thing::default()
        })
    });
    let end = (!thing.is_good).then(|| Err(Status::aborted("at the end")));
    let things = tokio_stream::iter(numbers.chain(end));
    // One at a time, as a real stream comes.
    let things = things.then(async |thing| {
        tokio::task::yield_now().await;
        thing
    });
    Ok(Response::new(Box::pin(things)))
}
