//! An event that cannot be digested stops its subject, not the feed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{PgConnection, PgPool};
use tonic::Code;
use tonic_types::StatusExt;

use crate::database::{Database, NO_MIGRATIONS};
use crate::source::{Running, Source, as_caller, note, noted, sink, state, until};
use chassis::{
    events::{Consumer, Event},
    testing::City,
};
use proto::{events::v1 as pb, identity::v1::UnitKind};

/// Chokes on the third event of "bad" and panics at the first of "worse", until mended.
struct Choking {
    mended: Arc<AtomicBool>,
}

impl Consumer for Choking {
    const NAME: &'static str = "choking";

    fn source(&self) -> &str {
        "source"
    }

    fn types(&self) -> &[&str] {
        &[]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        note(tx, "choking", event).await?;
        if !self.mended.load(Ordering::SeqCst) {
            let n: i32 = event
                .decode::<proto::calendar::v1::Period>()?
                .code
                .parse()?;
            anyhow::ensure!(
                (event.subject.as_str(), n) != ("bad", 3),
                "cannot digest three"
            );
            assert_ne!((event.subject.as_str(), n), ("worse", 1), "out of bounds");
        }
        Ok(())
    }
}

async fn parked(db: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM chassis.parked_event")
        .fetch_one(db)
        .await
        .unwrap()
}

fn replay(subject: &str) -> pb::ReplayParkedEventsRequest {
    pb::ReplayParkedEventsRequest {
        service: "sink".to_owned(),
        consumer: "sink.choking".to_owned(),
        subject: subject.to_owned(),
    }
}

/// A source with a poisoned subject, and the consumer that chokes on it.
struct Scene {
    source_db: PgPool,
    sink_db: PgPool,
    source: Source,
    /// The parked events are the sink's to show, by its own feed service.
    shown: Source,
    mended: Arc<AtomicBool>,
    _databases: [Database; 2],
}

impl Scene {
    async fn set() -> Self {
        let (source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
        let (sink_database, sink_db) = sink().await;
        for n in 1..=5 {
            state(&source_db, "bad", n..=n).await;
            state(&source_db, "good", n..=n).await;
        }
        state(&source_db, "worse", 1..=1).await;
        Self {
            source: Source::serve(source_db.clone()).await,
            shown: Source::serve_named("sink", sink_db.clone()).await,
            source_db,
            sink_db,
            mended: Arc::default(),
            _databases: [source_database, sink_database],
        }
    }

    fn consume(&self) -> Running {
        let consumer = Choking {
            mended: self.mended.clone(),
        };
        Running::start(&self.sink_db, &self.source, "sink", consumer)
    }

    async fn until_parked(&self, many: i64) {
        until("the poison is parked", || async {
            parked(&self.sink_db).await == many
        })
        .await;
    }

    async fn noted(&self, subject: &str) -> Vec<i32> {
        noted(&self.sink_db, subject).await
    }
}

fn brief(page: &pb::ListParkedEventsResponse) -> Vec<(&str, i32)> {
    let events = page.parked_events.iter();
    events
        .map(|parked| {
            (
                parked.event.as_ref().unwrap().subject.as_str(),
                parked.attempts,
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_parked_and_shown_while_others_flow() {
    let scene = Scene::set().await;
    let _running = scene.consume();
    scene.until_parked(4).await;
    until("others flow", || async {
        scene.noted("good").await.len() == 5
    })
    .await;
    assert_eq!(scene.noted("bad").await, [1, 2]);

    let mut operator = scene.shown.client();
    let first = pb::ListParkedEventsRequest {
        page_size: 3,
        ..Default::default()
    };
    let page = operator
        .list_parked_events(first)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(brief(&page), [("bad", 5), ("bad", 0), ("bad", 0)]);
    assert!(page.parked_events[0].error.contains("cannot digest three"));
    let second = pb::ListParkedEventsRequest {
        page_token: page.next_page_token,
        ..Default::default()
    };
    let page = operator
        .list_parked_events(second)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(brief(&page), [("worse", 5)]);
    assert_eq!(page.next_page_token, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_events_are_replayed_in_order() {
    let scene = Scene::set().await;
    let running = scene.consume();
    scene.until_parked(4).await;
    let mut operator = scene.shown.client();
    let status = operator
        .replay_parked_events(replay("bad"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "STILL_FAILING"
    );
    let status = operator
        .replay_parked_events(replay("good"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    // What is parked survives a restart, and what follows waits behind it.
    running.stop().await;
    let running = scene.consume();
    state(&scene.source_db, "bad", 6..=6).await;
    scene.until_parked(5).await;

    scene.mended.store(true, Ordering::SeqCst);
    let replayed = operator.replay_parked_events(replay("bad")).await.unwrap();
    assert_eq!(replayed.into_inner().replayed, 4);
    state(&scene.source_db, "bad", 7..=7).await;
    until("the subject flows again", || async {
        scene.noted("bad").await == [1, 2, 3, 4, 5, 6, 7]
    })
    .await;
    operator
        .replay_parked_events(replay("worse"))
        .await
        .unwrap();
    assert_eq!(scene.noted("worse").await, [1]);
    assert_eq!(parked(&scene.sink_db).await, 0);
    running.stop().await;
}

#[tokio::test]
async fn parked_events_are_for_operators_of_the_whole_city() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let mut city = City::new();
    let ward = city.unit("W1", UnitKind::Ward, Some(city.root));
    city.role("operator", &["platform.operate"]);
    let person = city.person("Lan", ward);
    city.grant(&person, "operator", ward, &[]);
    let source = Source::serve_with(db, Duration::from_secs(60), city.directory()).await;
    let list = as_caller(&person, pb::ListParkedEventsRequest::default());
    let listed = source.client().list_parked_events(list).await;
    let again = pb::ReplayParkedEventsRequest {
        service: "source".to_owned(),
        ..replay("bad")
    };
    let again = as_caller(&person, again);
    let replayed = source.client().replay_parked_events(again).await;
    for status in [listed.unwrap_err(), replayed.unwrap_err()] {
        assert_eq!(status.code(), Code::PermissionDenied);
        let reason = status.get_details_error_info().unwrap().reason;
        assert_eq!(reason, "OUTSIDE_SCOPE");
    }
}

/// Loses against other transactions the first times.
struct Losing {
    tries: Arc<AtomicUsize>,
}

impl Consumer for Losing {
    const NAME: &'static str = "losing";

    fn source(&self) -> &str {
        "source"
    }

    fn types(&self) -> &[&str] {
        &[]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        if self.tries.fetch_add(1, Ordering::SeqCst) < 8 {
            sqlx::query("DO $$ BEGIN RAISE 'as asked' USING ERRCODE = 'deadlock_detected'; END $$")
                .execute(&mut *tx)
                .await?;
        }
        note(tx, "losing", event).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_race_is_not_the_events_fault() {
    let (_source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_sink_database, sink_db) = sink().await;
    state(&source_db, "subject", 1..=1).await;
    let source = Source::serve(source_db).await;
    let consumer = Losing {
        tries: Arc::default(),
    };
    let running = Running::start(&sink_db, &source, "sink", consumer);
    until("the event is digested", || async {
        noted(&sink_db, "subject").await == [1]
    })
    .await;
    assert_eq!(parked(&sink_db).await, 0);
    running.stop().await;
}
