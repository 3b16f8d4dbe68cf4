//! gRPC and gRPC-Web, passed through.

use bytes::{BufMut as _, Bytes, BytesMut};
use chassis::testing;
use http::{Request, StatusCode, uri::PathAndQuery};
use prost::Message as _;
use tonic::{Code, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::{
    fixture::{Period, Thing},
    serve, with_fixture,
};

async fn call(
    channel: Channel,
    method: &str,
    request: tonic::Request<Thing>,
) -> Result<tonic::Response<Thing>, tonic::Status> {
    let path = format!("/civicmesh.fixture.v1.FixtureService/{method}");
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<Thing, Thing>::default();
    grpc.unary(request, PathAndQuery::try_from(path).unwrap(), codec)
        .await
}

fn thing(size: i64) -> Thing {
    Thing {
        size,
        period: Some(Period {
            code: "2025".into(),
        }),
        ..Thing::default()
    }
}

#[tokio::test]
async fn what_claims_an_identity_does_not_come_in() {
    let gateway = with_fixture(&[]).await;
    let mut request = tonic::Request::new(thing(1));
    for (name, value) in [
        ("x-user-id", "root"),
        ("x-forwarded-user", "root"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-auth-request-email", "root@example"),
        ("cookie", "a=b"),
        ("civicmesh-service", "identity"),
        ("anything", "else"),
        ("accept-language", "en"),
    ] {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let token = format!(
        "Bearer {}",
        testing::token("0198a0b0-0000-7000-8000-000000000001")
    );
    let metadata = request.metadata_mut();
    metadata.insert("authorization", token.parse().unwrap());
    let answer = call(gateway.channel(), "GetThing", request).await.unwrap();
    let headers = answer.into_inner().headers;
    assert_eq!(headers["authorization"], token);
    assert_eq!(headers["accept-language"], "en");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    for name in [
        "x-user-id",
        "x-forwarded-user",
        "x-auth-request-email",
        "cookie",
        "civicmesh-service",
        "anything",
    ] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn deadlines_are_set_and_capped() {
    let gateway = with_fixture(&["--deadline=3s"]).await;
    let left = async |stated: Option<&str>| {
        let mut request = tonic::Request::new(thing(1));
        if let Some(stated) = stated {
            let metadata = request.metadata_mut();
            metadata.insert("grpc-timeout", stated.parse().unwrap());
        }
        let answer = call(gateway.channel(), "GetThing", request).await.unwrap();
        let headers = answer.into_inner().headers;
        headers["grpc-timeout"]
            .trim_end_matches('u')
            .parse::<u64>()
            .unwrap()
    };
    assert!((1_000_000..=3_000_000).contains(&left(None).await));
    assert!((1_000_000..=3_000_000).contains(&left(Some("60S")).await));
    assert!(left(Some("900m")).await <= 900_000);
}

#[tokio::test]
async fn bad_tokens_and_unknown_methods_are_refused_here() {
    let gateway = with_fixture(&[]).await;
    let mut request = tonic::Request::new(thing(1));
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer rubbish".parse().unwrap());
    let refused = call(gateway.channel(), "GetThing", request).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let missing = call(
        gateway.channel(),
        "ChangeThing",
        tonic::Request::new(thing(1)),
    )
    .await;
    assert_eq!(missing.unwrap_err().code(), Code::Unauthenticated);
    let unknown = call(gateway.channel(), "Unknown", tonic::Request::new(thing(1))).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn streams_and_their_ends_pass() {
    let gateway = with_fixture(&[]).await;
    let mut grpc = Grpc::new(gateway.channel());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/civicmesh.fixture.v1.FixtureService/CountThings");
    let codec = ProstCodec::<Thing, Thing>::default();
    let request = tonic::Request::new(thing(1000));
    let stream = grpc.server_streaming(request, path, codec).await.unwrap();
    let mut stream = stream.into_inner();
    for size in 1..=1000 {
        assert_eq!(stream.message().await.unwrap().unwrap().size, size);
    }
    let end = stream.message().await.unwrap_err();
    assert_eq!((end.code(), end.message()), (Code::Aborted, "at the end"));
}

#[tokio::test]
async fn details_of_errors_pass() {
    let gateway = with_fixture(&[]).await;
    let failed = call(
        gateway.channel(),
        "FailThing",
        tonic::Request::new(thing(9)),
    )
    .await;
    let status = failed.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.error_info().unwrap().reason, "TESTED");
}

#[tokio::test]
async fn large_calls_are_refused() {
    let gateway = with_fixture(&["--body-limit=1000"]).await;
    let large = Thing {
        display_name: "x".repeat(2000),
        ..Thing::default()
    };
    let refused = call(gateway.channel(), "GetThing", tonic::Request::new(large)).await;
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
}

fn frame(thing: &Thing) -> Bytes {
    let message = thing.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(&message);
    frame.freeze()
}

/// The frames of a gRPC-Web answer; the last one holds the trailers as text.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while body.len() >= 5 {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        frames.push((body[0], body[5..5 + length].to_vec()));
        body = &body[5 + length..];
    }
    frames
}

#[tokio::test]
async fn browsers_speak_grpc_web() {
    let gateway = with_fixture(&[]).await;
    let ask = |method: &str, thing: &Thing| {
        let request = Request::post(format!("/civicmesh.fixture.v1.FixtureService/{method}"))
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1");
        gateway.send(request, frame(thing))
    };
    let answer = ask("GetThing", &thing(7)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
    assert_eq!(answer.header("cache-control"), "no-store");
    let parts = frames(&answer.body);
    assert_eq!(Thing::decode(parts[0].1.as_slice()).unwrap().size, 7);
    assert_eq!(parts[1].0, 0x80);
    assert!(String::from_utf8_lossy(&parts[1].1).contains("grpc-status:0"));

    let counted = frames(
        &ask(
            "CountThings",
            &Thing {
                is_good: true,
                ..thing(5)
            },
        )
        .await
        .body,
    );
    assert_eq!(counted.len(), 6);
    let failed = ask("FailThing", &thing(5)).await;
    let trailers = frames(&failed.body);
    let in_trailers = trailers
        .iter()
        .any(|(_, text)| String::from_utf8_lossy(text).contains("grpc-status:5"));
    assert!(in_trailers || failed.header("grpc-status") == "5");

    let compressed = Request::post("/civicmesh.fixture.v1.FixtureService/GetThing")
        .header("content-type", "application/grpc-web+proto")
        .header("accept-encoding", "br");
    let large = Thing {
        display_name: "x".repeat(5000),
        ..thing(1)
    };
    let compressed = gateway.send(compressed, frame(&large)).await;
    assert_eq!(compressed.header("content-encoding"), "br");
    assert!(compressed.body.len() < 1500);
}

#[tokio::test]
async fn health_and_reflection_are_open() {
    let gateway = with_fixture(&[]).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(gateway.channel());
    crate::until(async || {
        let request = tonic_health::pb::HealthCheckRequest::default();
        let answer = health.check(request).await.unwrap().into_inner();
        answer.status() == tonic_health::pb::health_check_response::ServingStatus::Serving
    })
    .await;
}

#[tokio::test]
async fn the_gateway_drains_when_told() {
    let fixture = serve(crate::fixture::Fixture).await;
    let gateway = crate::run(&testing::City::new(), &[("fixture", fixture)], &[]).await;
    assert_eq!(gateway.get("/v1/things/7").await.status, StatusCode::OK);
    gateway.stop().await;
}
