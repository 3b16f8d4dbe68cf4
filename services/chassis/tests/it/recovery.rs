//! Cursors through dump and restore, and what is deleted when.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{PgConnection, PgPool};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::database::{Database, NO_MIGRATIONS};
use crate::source::{Running, Source, note, noted, sink, state, until};
use chassis::events::{Consumer, Event};
use proto::events::v1 as pb;

/// Notes events; forgets everything when it has to start over.
struct Rebuilding {
    resets: Arc<AtomicUsize>,
}

impl Consumer for Rebuilding {
    const NAME: &'static str = "rebuilding";

    fn source(&self) -> &str {
        "source"
    }

    fn types(&self) -> &[&str] {
        &[]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        note(tx, "rebuilding", event).await
    }

    async fn reset(&self, tx: &mut PgConnection) -> anyhow::Result<String> {
        self.resets.fetch_add(1, Ordering::SeqCst);
        sqlx::query("DELETE FROM seen").execute(tx).await?;
        Ok(String::new())
    }
}

/// Dumps a database and restores it as another, with the tools that operators use.
async fn restored(from: &Database) -> Database {
    let to = Database::empty().await;
    let (from, into) = (from.url().to_owned(), to.url().to_owned());
    tokio::task::spawn_blocking(move || {
        let mut dump = Command::new("pg_dump")
            .arg(from)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let restore = Command::new("psql")
            .args(["-q", "-v", "ON_ERROR_STOP=1", &into])
            .stdin(dump.stdout.take().unwrap())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(dump.wait().unwrap().success() && restore.success());
    })
    .await
    .unwrap();
    to
}

async fn open(database: &Database) -> PgPool {
    chassis::postgres::connect(&database.config, &NO_MIGRATIONS)
        .await
        .unwrap()
}

fn upto(n: i32) -> Vec<i32> {
    (1..=n).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_survive_dump_and_restore_of_both_sides() {
    let (source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (sink_database, sink_db) = sink().await;
    let resets = Arc::new(AtomicUsize::new(0));
    let consumer = || Rebuilding {
        resets: resets.clone(),
    };
    let source = Source::serve(source_db.clone()).await;
    let running = Running::start(&sink_db, &source, "sink", consumer());
    state(&source_db, "subject", 1..=300).await;
    until("300 are seen", || async {
        noted(&sink_db, "subject").await.len() == 300
    })
    .await;
    running.stop().await;
    // Committed, with and without a position, when the dump is made.
    state(&source_db, "subject", 301..=310).await;
    drop(source);
    state(&source_db, "subject", 311..=320).await;

    let (source_copy, sink_copy) = (
        restored(&source_database).await,
        restored(&sink_database).await,
    );
    let (source_db, sink_db) = (open(&source_copy).await, open(&sink_copy).await);
    let source = Source::serve(source_db.clone()).await;
    let running = Running::start(&sink_db, &source, "sink", consumer());
    state(&source_db, "subject", 321..=330).await;
    until("the rest is seen", || async {
        noted(&sink_db, "subject").await.len() >= 330
    })
    .await;
    assert_eq!(noted(&sink_db, "subject").await, upto(330));
    assert_eq!(resets.load(Ordering::SeqCst), 1, "only the very start");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_restored_to_before_the_cursor_is_noticed() {
    let (source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_sink_database, sink_db) = sink().await;
    let resets = Arc::new(AtomicUsize::new(0));
    let consumer = || Rebuilding {
        resets: resets.clone(),
    };
    let source = Source::serve(source_db.clone()).await;
    let running = Running::start(&sink_db, &source, "sink", consumer());
    state(&source_db, "subject", 1..=10).await;
    until("10 are seen", || async {
        noted(&sink_db, "subject").await.len() == 10
    })
    .await;
    let copy = restored(&source_database).await;
    // These are lost with the server, but not for who has read them.
    state(&source_db, "lost", 1..=5).await;
    until("they are seen", || async {
        noted(&sink_db, "lost").await.len() == 5
    })
    .await;
    running.stop().await;
    drop(source);

    let source_db = open(&copy).await;
    let source = Source::serve(source_db.clone()).await;
    // The restored feed has gone past the cursor's position by the time it is asked.
    state(&source_db, "subject", 11..=30).await;
    let running = Running::start(&sink_db, &source, "sink", consumer());
    until("the history is read again", || async {
        noted(&sink_db, "subject").await.len() >= 30
    })
    .await;
    assert_eq!(noted(&sink_db, "subject").await, upto(30));
    assert!(noted(&sink_db, "lost").await.is_empty());
    assert_eq!(resets.load(Ordering::SeqCst), 2);
    running.stop().await;
}

fn reason(status: &Status) -> (Code, String) {
    (
        status.code(),
        status.get_details_error_info().unwrap().reason,
    )
}

async fn kept(db: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM chassis.outbox")
        .fetch_one(db)
        .await
        .unwrap()
}

/// Reads this many events from the start; answers the cursor behind each.
async fn read(source: &Source, many: usize) -> Vec<String> {
    let request = pb::SubscribeRequest::default();
    let mut stream = source
        .client()
        .subscribe(request)
        .await
        .unwrap()
        .into_inner();
    let mut cursors = Vec::new();
    while cursors.len() < many {
        let message = stream.message().await.unwrap().unwrap();
        if message.event.is_some() {
            cursors.push(message.cursor);
        }
    }
    cursors
}

fn acknowledgement(consumer: &str, cursor: &str) -> pb::AcknowledgeEventsRequest {
    pb::AcknowledgeEventsRequest {
        service: "source".to_owned(),
        consumer: consumer.to_owned(),
        cursor: cursor.to_owned(),
    }
}

#[tokio::test]
async fn unread_events_are_never_deleted() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let source = Source::serve_with(db.clone(), Duration::ZERO, Source::directory()).await;
    // Registered before there is anything: it has read nothing of what follows.
    let mut client = source.client();
    let request = pb::SubscribeRequest::default();
    let mut stream = client.subscribe(request).await.unwrap().into_inner();
    let start = stream.message().await.unwrap().unwrap().cursor;
    client
        .acknowledge_events(acknowledgement("sink.fast", &start))
        .await
        .unwrap();
    client
        .acknowledge_events(acknowledgement("sink.slow", &start))
        .await
        .unwrap();
    state(&db, "subject", 1..=2500).await;
    let cursors = read(&source, 2500).await;
    source.feed.retain().await.unwrap();
    assert_eq!(kept(&db).await, 2500);

    client
        .acknowledge_events(acknowledgement("sink.fast", &cursors[2499]))
        .await
        .unwrap();
    client
        .acknowledge_events(acknowledgement("sink.slow", &cursors[999]))
        .await
        .unwrap();
    source.feed.retain().await.unwrap();
    assert_eq!(
        kept(&db).await,
        1500,
        "what the slow one has not read is kept"
    );

    // At the edge one may go on; before it events are missing, and that is said.
    let at = |cursor: &str| pb::SubscribeRequest {
        cursor: cursor.to_owned(),
        ..Default::default()
    };
    client.subscribe(at(&cursors[999])).await.unwrap();
    let status = client.subscribe(at(&cursors[998])).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::OutOfRange, "CURSOR_EXPIRED".to_owned())
    );

    // Nobody waits for ever for a consumer that is gone.
    sqlx::query("UPDATE chassis.feed_consumer SET seen_time = now() - interval '31 days' WHERE name = 'sink.slow'")
        .execute(&db)
        .await
        .unwrap();
    source.feed.retain().await.unwrap();
    assert_eq!(kept(&db).await, 0);
    client.subscribe(at(&cursors[2499])).await.unwrap();
}

#[tokio::test]
async fn young_events_are_kept_though_all_have_read_them() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let source = Source::serve(db.clone()).await;
    state(&db, "subject", 1..=10).await;
    let cursors = read(&source, 10).await;
    source
        .client()
        .acknowledge_events(acknowledgement("sink.x", &cursors[9]))
        .await
        .unwrap();
    sqlx::query("UPDATE chassis.outbox SET time = now() - interval '2 hours' WHERE position <= 4 OR position = 8")
        .execute(&db)
        .await
        .unwrap();
    source.feed.retain().await.unwrap();
    assert_eq!(
        kept(&db).await,
        6,
        "an old event behind a young one stays: no holes"
    );
}

#[tokio::test]
async fn a_consumer_starts_over_when_its_cursor_has_expired() {
    let (_source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_sink_database, sink_db) = sink().await;
    let resets = Arc::new(AtomicUsize::new(0));
    let consumer = || Rebuilding {
        resets: resets.clone(),
    };
    let source = Source::serve(source_db.clone()).await;
    let running = Running::start(&sink_db, &source, "sink", consumer());
    state(&source_db, "subject", 1..=5).await;
    until("5 are seen", || async {
        noted(&sink_db, "subject").await.len() == 5
    })
    .await;
    running.stop().await;
    state(&source_db, "subject", 6..=8).await;
    sqlx::query("DELETE FROM chassis.feed_consumer")
        .execute(&source_db)
        .await
        .unwrap();
    until("all have a position, age, and are deleted", || async {
        sqlx::query("UPDATE chassis.outbox SET time = now() - interval '2 hours' WHERE position IS NOT NULL")
            .execute(&source_db)
            .await
            .unwrap();
        source.feed.retain().await.unwrap();
        kept(&source_db).await == 0
    })
    .await;
    state(&source_db, "subject", 9..=9).await;
    let running = Running::start(&sink_db, &source, "sink", consumer());
    until("it goes on from the oldest kept", || async {
        noted(&sink_db, "subject").await == [9]
    })
    .await;
    assert_eq!(resets.load(Ordering::SeqCst), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_foreign_cursor_or_consumer_is_refused() {
    let (_database, db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_other_database, other_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (source, other) = (
        Source::serve(db.clone()).await,
        Source::serve(other_db.clone()).await,
    );
    state(&db, "subject", 1..=1).await;
    state(&other_db, "subject", 1..=1).await;
    let (own, foreign) = (read(&source, 1).await, read(&other, 1).await);
    let mut client = source.client();
    for cursor in [foreign[0].as_str(), "junk", ""] {
        let status = client
            .acknowledge_events(acknowledgement("sink.x", cursor))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{cursor:?}");
    }
    let request = pb::SubscribeRequest {
        cursor: foreign[0].clone(),
        ..Default::default()
    };
    let status = client.subscribe(request).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::OutOfRange, "CURSOR_FORKED".to_owned())
    );

    client
        .acknowledge_events(acknowledgement("sink.x", &own[0]))
        .await
        .unwrap();
    let mut theft = tonic::Request::new(acknowledgement("sink.x", &own[0]));
    theft
        .metadata_mut()
        .insert("caller", "other".parse().unwrap());
    let status = client.acknowledge_events(theft).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::PermissionDenied, "NOT_YOUR_CONSUMER".to_owned())
    );
}
