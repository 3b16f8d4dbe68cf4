//! What a subscriber is sent.

use std::time::Duration;

use proto::{calendar::v1::Period, events::v1 as pb, identity::v1::UnitKind};
use sqlx::PgPool;
use tonic::{Code, Streaming};
use uuid::Uuid;

use crate::database::{Database, NO_MIGRATIONS};
use crate::source::{Source, as_caller, state, until};
use chassis::{
    events::{Fact, newest_cursor, publish},
    testing::{self, City},
};

async fn state_of(db: &PgPool, subject: &str, unit_ids: Vec<Uuid>, field_code: Option<&str>) {
    let mut tx = db.begin().await.unwrap();
    let fact = Fact {
        subject: subject.to_owned(),
        unit_ids,
        field_code: field_code.map(str::to_owned),
        actor: "test".to_owned(),
        message: &Period {
            code: "2025".to_owned(),
        },
    };
    publish(&mut tx, fact).await.unwrap();
    tx.commit().await.unwrap();
}

async fn next_event(stream: &mut Streaming<pb::SubscribeResponse>) -> pb::Event {
    loop {
        if let Some(event) = stream.message().await.unwrap().unwrap().event {
            return event;
        }
    }
}

#[tokio::test]
async fn a_subscriber_sees_only_its_units_and_fields() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let mut city = City::new();
    let root = city.root;
    let ward = city.unit("W1", UnitKind::Ward, Some(root));
    let other = city.unit("W2", UnitKind::Ward, Some(root));
    city.role("reader", &["events.subscribe", "source.read"]);
    let person = city.person("Lan", ward);
    city.grant(&person, "reader", ward, &[]);
    let doctor = city.person("Minh", ward);
    let health = city.unit("SYT", UnitKind::Department, Some(root));
    city.grant(&doctor, "reader", health, &["T06"]);
    let source = Source::serve_with(db.clone(), Duration::from_secs(60), city.directory()).await;
    let subscribe = async |caller: &str| {
        let request = as_caller(caller, pb::SubscribeRequest::default());
        source
            .client()
            .subscribe(request)
            .await
            .unwrap()
            .into_inner()
    };
    let (mut for_person, mut for_doctor) = (subscribe(&person).await, subscribe(&doctor).await);
    state_of(&db, "whole city", vec![], None).await;
    state_of(&db, "other ward", vec![other], None).await;
    state_of(&db, "other ward, health", vec![other], Some("T06")).await;
    state_of(&db, "both wards", vec![other, ward], None).await;
    state_of(&db, "ward", vec![ward], Some("T01")).await;
    state_of(&db, "health", vec![], Some("T06")).await;
    assert_eq!(next_event(&mut for_person).await.subject, "both wards");
    assert_eq!(next_event(&mut for_person).await.subject, "ward");
    assert_eq!(
        next_event(&mut for_doctor).await.subject,
        "other ward, health"
    );
    assert_eq!(next_event(&mut for_doctor).await.subject, "health");
}

#[tokio::test]
async fn what_a_feed_carries_needs_the_permission_to_read_it() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let mut city = City::new();
    let root = city.root;
    let ward = city.unit("W1", UnitKind::Ward, Some(root));
    let other = city.unit("W2", UnitKind::Ward, Some(root));
    city.role("subscriber", &["events.subscribe"]);
    city.role("reader", &["source.read"]);
    let stranger = city.service("robot", "subscriber");
    let person = city.person("Lan", ward);
    city.grant(&person, "subscriber", root, &[]);
    city.grant(&person, "reader", ward, &["T06"]);
    city.mesh("sink");
    let directory = city.directory();
    let retention = Duration::from_secs(60);
    let open = Source::serve_with(db.clone(), retention, directory.clone()).await;
    let closed = Source::serve_mesh(db.clone(), directory).await;
    state_of(&db, "whole city", vec![], None).await;
    state_of(&db, "other ward", vec![other], Some("T01")).await;
    state_of(&db, "ward", vec![ward], None).await;
    state_of(&db, "health", vec![other], Some("T06")).await;

    let subscribe = async |source: &Source, caller: &str| {
        let request = as_caller(caller, pb::SubscribeRequest::default());
        let answer = source.client().subscribe(request).await;
        answer.map(tonic::Response::into_inner)
    };
    let mut cut = subscribe(&open, &person).await.unwrap();
    assert_eq!(next_event(&mut cut).await.subject, "ward");
    assert_eq!(next_event(&mut cut).await.subject, "health");
    for source in [&open, &closed] {
        let mut whole = subscribe(source, "sink").await.unwrap();
        assert_eq!(next_event(&mut whole).await.subject, "whole city");
    }
    for (source, caller) in [(&open, &stranger), (&closed, &stranger), (&closed, &person)] {
        let status = subscribe(source, caller).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        let request = as_caller(caller, pb::AcknowledgeEventsRequest::default());
        let status = source.client().acknowledge_events(request).await;
        assert_eq!(status.unwrap_err().code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn an_event_arrives_whole() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let source = Source::serve(db.clone()).await;
    let unit = Uuid::now_v7();
    state_of(&db, "subject", vec![unit], Some("T06")).await;
    let request = pb::SubscribeRequest::default();
    let mut stream = source
        .client()
        .subscribe(request)
        .await
        .unwrap()
        .into_inner();
    let event = next_event(&mut stream).await;
    assert_eq!(event.source, "source");
    assert_eq!(event.r#type, "civicmesh.calendar.v1.Period");
    assert_eq!(event.unit_ids, [unit.to_string()]);
    assert_eq!(event.field_code, "T06");
    assert_eq!(event.actor, "test");
    let event = chassis::events::Event::try_from(&event).unwrap();
    assert_eq!(event.decode::<Period>().unwrap().code, "2025");
    assert!(event.decode::<pb::ParkedEvent>().is_err());
}

#[tokio::test]
async fn types_latest_and_exports_choose_what_is_sent() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let source = Source::serve(db.clone()).await;
    state(&db, "history", 1..=3).await;
    let all = pb::SubscribeRequest::default();
    let mut from_start = source
        .client()
        .subscribe(all.clone())
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        assert_eq!(next_event(&mut from_start).await.subject, "history");
    }
    let latest = pb::SubscribeRequest {
        latest: true,
        ..all.clone()
    };
    let mut from_now = source
        .client()
        .subscribe(latest)
        .await
        .unwrap()
        .into_inner();
    let exported = pb::SubscribeRequest {
        cursor: newest_cursor(&db).await.unwrap(),
        ..all.clone()
    };
    let mut from_export = source
        .client()
        .subscribe(exported.clone())
        .await
        .unwrap()
        .into_inner();
    let foreign_type = pb::SubscribeRequest {
        types: vec!["some.Other".to_owned()],
        ..all.clone()
    };
    let mut filtered = source
        .client()
        .subscribe(foreign_type)
        .await
        .unwrap()
        .into_inner();
    assert!(filtered.message().await.unwrap().unwrap().event.is_none());
    state(&db, "news", 1..=1).await;
    assert_eq!(next_event(&mut from_now).await.subject, "news");
    assert_eq!(next_event(&mut from_export).await.subject, "news");

    let both = pb::SubscribeRequest {
        latest: true,
        ..exported
    };
    let status = source.client().subscribe(both).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_event_costs_the_same_however_many_there_were() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let _source = Source::serve(db.clone()).await;
    let all_have_positions = async || {
        until("all have positions", async || {
            let waiting = "SELECT EXISTS (SELECT FROM chassis.outbox WHERE position IS NULL)";
            let is_waiting: bool = sqlx::query_scalar(waiting).fetch_one(&db).await.unwrap();
            !is_waiting
        })
        .await;
    };
    state(&db, "subject", 1..=20_000).await;
    all_have_positions().await;
    sqlx::query("VACUUM ANALYZE chassis.outbox")
        .execute(&db)
        .await
        .unwrap();
    let (rows, ()) = testing::rows_read(&db, async {
        state(&db, "subject", 20_001..=20_064).await;
        all_have_positions().await;
    })
    .await;
    assert!((64..2000).contains(&rows), "{rows} rows");
}
