//! The guard in front of the calls, and the whole server over a database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chassis::{
    Directory, Server,
    connections::Limits,
    testing::{self, City},
};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::identity::v1 as pb;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;

use crate::{
    database::{Database, NO_MIGRATIONS},
    fixture::{Fixture, READ, Replica, call, send, until},
    source::{self, Note, Source},
};

#[tokio::test]
async fn what_is_too_much_is_shed() {
    let config = testing::config(&["--concurrency=2"]);
    let replica = Replica::with(Fixture::new("one"), &config, Limits::default()).await;
    let channel = replica.channel();
    let hung = [
        tokio::spawn(call(channel.clone(), READ, "hang")),
        tokio::spawn(call(channel.clone(), READ, "hang")),
    ];
    until("both are under way", || async { replica.calls() == 2 }).await;
    let begun = Instant::now();
    let status = call(channel.clone(), READ, "").await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "OVERLOADED"
    );
    assert!(
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .is_some()
    );
    // A caller that goes away frees its place.
    hung[0].abort();
    until("there is room again", || async {
        call(channel.clone(), READ, "").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn deadlines_are_kept_and_capped() {
    let config = testing::config(&["--deadline=300ms"]);
    let replica = Replica::with(Fixture::new("one"), &config, Limits::default()).await;
    for stated in [
        None,
        Some(Duration::from_millis(100)),
        Some(Duration::from_secs(60)),
    ] {
        let mut request = tonic::Request::new(pb::GetUnitRequest { id: "hang".into() });
        if let Some(stated) = stated {
            request.set_timeout(stated);
        }
        let begun = Instant::now();
        let status = send(replica.channel(), READ, request).await.unwrap_err();
        // A client of tonic's says CANCELLED when its own clock is first.
        assert!(
            matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
            "{status:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(2), "{stated:?}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    let replica = Replica::start(Fixture::new("one")).await;
    let channel = replica.channel();
    let status = call(channel.clone(), READ, "panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "lỗi nội bộ");
    call(channel, READ, "").await.unwrap();
}

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let request = Request::get(format!("http://{address}{path}"))
        .body(Empty::new())
        .unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[sqlx::test(migrations = false)]
async fn a_server_has_everything_on_one_port(db: PgPool) {
    let mut city = City::new();
    let clerk = city.person("Clerk", city.root);
    let base = testing::base("identity", db, city.directory(), testing::config(&[])).await;
    let hello = axum::Router::new().route(
        "/hello",
        axum::routing::get(async || chassis::say("chào", "hello")),
    );
    let server = Server::new(base).grpc(Fixture::new("one")).http(hello);
    let running = testing::run(server).await;

    let mut health = HealthClient::new(running.channel());
    for service in ["", "identity", "civicmesh.identity.v1.DirectoryService"] {
        until("health says SERVING", || {
            let mut health = health.clone();
            async move {
                let request = HealthCheckRequest {
                    service: service.into(),
                };
                let answer = health.check(request).await;
                answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
            }
        })
        .await;
    }
    assert_eq!(get(running.address, "/healthz").await, (200, "ok".into()));
    assert_eq!(get(running.address, "/readyz").await, (200, "ready".into()));
    assert_eq!(get(running.address, "/hello").await, (200, "chào".into()));
    assert_eq!(get(running.address, "/nothing").await.0, 404);

    let channel = running.channel();
    let status = call(channel.clone(), READ, "").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = tonic::Request::new(pb::GetUnitRequest::default());
    let token = format!("Bearer {}", testing::token(&clerk));
    request
        .metadata_mut()
        .insert("authorization", token.parse().unwrap());
    assert_eq!(send(channel.clone(), READ, request).await.unwrap(), "one");

    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..Default::default()
    };
    let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let requests = futures::stream::iter([request]);
    let mut answers = reflection
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let listed = format!("{:?}", answers.message().await.unwrap());
    assert!(listed.contains("civicmesh.events.v1.EventFeedService"));
    let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    old.server_reflection_info(futures::stream::empty())
        .await
        .unwrap();

    // A stream that would stay open for ever ends when the server stops, and the server stops soon.
    let request = HealthCheckRequest::default();
    let mut watch = health.watch(request).await.unwrap().into_inner();
    watch.message().await.unwrap();
    let begun = Instant::now();
    let ended = tokio::spawn(async move { while let Ok(Some(_)) = watch.message().await {} });
    running.stop().await.unwrap();
    ended.await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

/// Closes a database to everybody.
async fn take_away(db: &PgPool) {
    let options = (*db.connect_options()).clone();
    let name = options.get_database().unwrap().to_owned();
    let mut admin = PgConnection::connect_with(&options.database("postgres"))
        .await
        .unwrap();
    let close = format!(r#"ALTER DATABASE "{name}" ALLOW_CONNECTIONS false"#);
    sqlx::query(AssertSqlSafe(close))
        .execute(&mut admin)
        .await
        .unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(end)
        .bind(name)
        .execute(&mut admin)
        .await
        .unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_server_is_not_ready_without_its_database(db: PgPool) {
    let config = testing::config(&[]);
    let base = testing::base("identity", db.clone(), City::new().directory(), config).await;
    let running = testing::run(Server::new(base).grpc(Fixture::new("one"))).await;
    let address = running.address;
    until("ready", || async { get(address, "/readyz").await.0 == 200 }).await;
    take_away(&db).await;
    until("not ready", || async {
        get(address, "/readyz").await.0 == 503
    })
    .await;
    assert_eq!(get(address, "/healthz").await.0, 200);
    let request = HealthCheckRequest::default();
    let answer = HealthClient::new(running.channel())
        .check(request)
        .await
        .unwrap();
    assert_eq!(answer.get_ref().status(), ServingStatus::NotServing);
    running.stop().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_task_that_gives_up_stops_the_service(db: PgPool) {
    let config = testing::config(&["--drain=100ms"]);
    let base = testing::base("identity", db, City::new().directory(), config).await;
    let server = Server::new(base)
        .grpc(Fixture::new("one"))
        .task("restless", async { anyhow::bail!("cannot go on") });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = server
        .serve(listener, CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(format!("{error:#}"), "task restless: cannot go on");
}

#[sqlx::test(migrations = false)]
async fn a_task_that_heeds_the_shutdown_finishes_what_it_began(db: PgPool) {
    let config = testing::config(&["--drain=100ms"]);
    let base = testing::base("identity", db, City::new().directory(), config).await;
    let (shutdown, finished) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let (held, cut) = tokio::sync::oneshot::channel::<()>();
    let heedless = async move {
        let _held = held;
        std::future::pending().await
    };
    let done = finished.clone();
    let conversation = async move {
        let _ = cut.await;
        done.store(true, Ordering::SeqCst);
        Ok(())
    };
    let server = Server::new(base)
        .grpc(Fixture::new("one"))
        .task("heedless", heedless)
        .finishing_task("conversation", conversation);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    shutdown.cancel();
    server.serve(listener, shutdown).await.unwrap();
    assert!(finished.load(Ordering::SeqCst));
}

#[sqlx::test(migrations = false)]
async fn a_consumer_waits_for_the_directory(db: PgPool) {
    let (_source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    source::state(&source_db, "subject", 1..=1).await;
    let source = Source::serve(source_db).await;
    let flag = format!("--discovery=static:source=http://{}", source.address);
    let config = testing::config(&["--drain=100ms", &flag]);
    let directory = Directory::default();
    let base = testing::base("sink", db.clone(), directory.clone(), config).await;
    let noted = "CREATE TABLE seen (seq bigint GENERATED ALWAYS AS IDENTITY, who text, subject text, n int)";
    sqlx::query(noted).execute(&db).await.unwrap();
    let server = Server::new(base)
        .grpc(Fixture::new("one"))
        .consume(Note("sink".to_owned()));
    let running = testing::run(server).await;
    until("it lives", || async {
        get(running.address, "/healthz").await.0 == 200
    })
    .await;
    let began = "SELECT count(*) FROM chassis.consumer";
    let began: i64 = sqlx::query_scalar(began).fetch_one(&db).await.unwrap();
    assert_eq!(began, 0);
    directory.replace([]).unwrap();
    until("the event is digested", || async {
        source::noted(&db, "subject").await == [1]
    })
    .await;
    running.stop().await.unwrap();
}
