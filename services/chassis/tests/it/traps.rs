//! Nothing lost, nothing twice, nothing out of order: with concurrent writers, restarts, replicas.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::database::{Database, NO_MIGRATIONS};
use crate::source::{
    Note, Running, Source, expire_lease, note, noted, sink, state, state_in, until,
};
use chassis::events::{Consumer, Event};

const WRITERS: u64 = 8;
const SUBJECTS: i32 = 40;
const EVENTS_PER_WRITER: i32 = 2600;

struct One;
struct Two;
struct Three;

macro_rules! follows {
    ($consumer:ty, $name:literal) => {
        impl Consumer for $consumer {
            const NAME: &'static str = $name;

            fn source(&self) -> &str {
                "source"
            }

            fn types(&self) -> &[&str] {
                &["civicmesh.calendar.v1.Period"]
            }

            async fn handle(
                &self,
                tx: &mut sqlx::PgConnection,
                event: &Event,
            ) -> anyhow::Result<()> {
                note(tx, $name, event).await
            }
        }
    };
}

follows!(One, "one");
follows!(Two, "two");
follows!(Three, "three");

/// Writes facts as services do: under the lock of their subject, for some time, sometimes in vain.
async fn write(db: PgPool, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut left = EVENTS_PER_WRITER;
    while left > 0 {
        let number = random.random_range(0..SUBJECTS);
        let subject = format!("subject {number}");
        let many = random.random_range(1..=15);
        let mut tx = db.begin().await.unwrap();
        let last: i32 =
            sqlx::query_scalar("UPDATE counter SET n = n + $2 WHERE subject = $1 RETURNING n")
                .bind(&subject)
                .bind(many)
                .fetch_one(&mut *tx)
                .await
                .unwrap();
        state_in(&mut tx, &subject, last - many + 1..=last).await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..4000))).await;
        if random.random_bool(0.1) {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            left -= many;
        }
    }
}

/// Runs a consumer, ending it again and again, kindly or not, until told to stop.
async fn run_restarting(
    db: PgPool,
    look: PgPool,
    sources: [std::sync::Arc<Source>; 2],
    make: fn() -> Running3,
    seed: u64,
    writing: tokio_util::sync::CancellationToken,
) -> Running {
    let mut random = StdRng::seed_from_u64(seed);
    let consumer = make().name();
    loop {
        let source = &sources[random.random_range(0..2)];
        let running = make().start(&db, source);
        let life = Duration::from_millis(random.random_range(200..1500));
        if writing
            .run_until_cancelled(tokio::time::sleep(life))
            .await
            .is_none()
        {
            return running;
        }
        if random.random_bool(0.5) {
            running.stop().await;
        } else {
            running.kill().await;
            expire_lease(&look, consumer).await;
        }
    }
}

enum Running3 {
    One,
    Two,
    Three,
}

impl Running3 {
    /// As the lease's table has it.
    fn name(&self) -> &'static str {
        match self {
            Self::One => "sink.one",
            Self::Two => "sink.two",
            Self::Three => "sink.three",
        }
    }

    fn start(self, db: &PgPool, source: &Source) -> Running {
        match self {
            Self::One => Running::start(db, source, "sink", One),
            Self::Two => Running::start(db, source, "sink", Two),
            Self::Three => Running::start(db, source, "sink", Three),
        }
    }
}

async fn counted(db: &PgPool, what: &'static str) -> i64 {
    sqlx::query_scalar(what).fetch_one(db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_and_restarts_lose_and_repeat_nothing() {
    let (source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (sink_database, sink_db) = sink().await;
    // What the test itself asks must not wait for the consumers' connections.
    let look = sink_database.pool().await;
    sqlx::query("CREATE TABLE counter (subject text PRIMARY KEY, n int NOT NULL)")
        .execute(&source_db)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO counter SELECT 'subject ' || i, 0 FROM generate_series(0, $1 - 1) AS i",
    )
    .bind(SUBJECTS)
    .execute(&source_db)
    .await
    .unwrap();
    // Writers have connections of their own, so that they wait for each other only in Postgres.
    let writer_db = source_database.pool().await;
    // Two replicas of the source, both giving positions.
    let sources = [
        std::sync::Arc::new(Source::serve(source_db.clone()).await),
        std::sync::Arc::new(Source::serve(source_db.clone()).await),
    ];
    let start = Instant::now();
    let writing = tokio_util::sync::CancellationToken::new();
    let mut consumers = JoinSet::new();
    for (seed, make) in [
        (11, (|| Running3::One) as fn() -> Running3),
        (12, || Running3::Two),
        (13, || Running3::Three),
    ] {
        consumers.spawn(run_restarting(
            sink_db.clone(),
            look.clone(),
            sources.clone(),
            make,
            seed,
            writing.clone(),
        ));
    }
    let mut writers = JoinSet::new();
    for seed in 0..WRITERS {
        writers.spawn(write(writer_db.clone(), seed));
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let written = start.elapsed();
    writing.cancel();
    let _running = consumers.join_all().await;

    let committed = counted(&source_db, "SELECT sum(n) FROM counter").await;
    assert!(committed >= 20_000, "{committed}");
    until("every consumer has seen every event", || async {
        counted(&look, "SELECT count(*) FROM seen").await >= 3 * committed
    })
    .await;
    let read = start.elapsed();
    println!(
        "{committed} events written in {written:?}, read by 3 consumers in {read:?}: {:.0} handled/s",
        3.0 * committed as f64 / read.as_secs_f64()
    );
    // Exactly 1, 2, 3, … per consumer and subject, in the order of handling: none lost, none twice, none out of order.
    let wrong: Vec<(String, String)> = sqlx::query_as(
        "SELECT who, subject FROM seen GROUP BY who, subject
        HAVING array_agg(n ORDER BY seq) <> (SELECT array_agg(i) FROM generate_series(1, max(n)) AS i)",
    )
    .fetch_all(&look)
    .await
    .unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        counted(&look, "SELECT count(*) FROM seen").await,
        3 * committed
    );
}

#[tokio::test]
async fn an_event_reaches_its_consumer_at_once() {
    let (_source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_sink_database, sink_db) = sink().await;
    let source = Source::serve(source_db.clone()).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    struct Tell(tokio::sync::mpsc::UnboundedSender<Instant>);
    impl Consumer for Tell {
        const NAME: &'static str = "tell";

        fn source(&self) -> &str {
            "source"
        }

        fn types(&self) -> &[&str] {
            &[]
        }

        async fn handle(&self, _: &mut sqlx::PgConnection, _: &Event) -> anyhow::Result<()> {
            Ok(self.0.send(Instant::now())?)
        }
    }
    let running = Running::start(&sink_db, &source, "sink", Tell(told));
    state(&source_db, "warm up", 1..=1).await;
    heard.recv().await.unwrap();
    let mut delays = Vec::new();
    for n in 1..=100 {
        state(&source_db, "subject", n..=n).await;
        let committed = Instant::now();
        delays.push(
            heard
                .recv()
                .await
                .unwrap()
                .saturating_duration_since(committed),
        );
    }
    delays.sort();
    println!(
        "commit to handler: median {:?}, 99 % {:?}",
        delays[50], delays[98]
    );
    // Polling alone would take half a second.
    assert!(delays[50] < Duration::from_millis(100), "{:?}", delays[50]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_one_acts_and_the_other_takes_over() {
    let (_source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_sink_database, sink_db) = sink().await;
    let source = Source::serve(source_db.clone()).await;
    let mut replicas = vec![
        (
            "a",
            Running::start(&sink_db, &source, "sink", Note("a".into())),
        ),
        (
            "b",
            Running::start(&sink_db, &source, "sink", Note("b".into())),
        ),
    ];
    let actors = || async {
        sqlx::query_scalar::<_, String>("SELECT who FROM seen GROUP BY who ORDER BY min(seq)")
            .fetch_all(&sink_db)
            .await
            .unwrap()
    };
    let seen = |many: usize| {
        let sink_db = sink_db.clone();
        async move { noted(&sink_db, "subject").await.len() == many }
    };
    for n in 1..=50 {
        state(&source_db, "subject", n..=n).await;
    }
    until("the first 50 are seen", || seen(50)).await;
    let first = actors().await;
    assert_eq!(first.len(), 1, "both acted: {first:?}");

    let place = replicas
        .iter()
        .position(|(name, _)| *name == first[0])
        .unwrap();
    replicas.remove(place).1.kill().await;
    for n in 51..=100 {
        state(&source_db, "subject", n..=n).await;
    }
    until("the other has seen the rest", || seen(100)).await;
    assert_eq!(
        noted(&sink_db, "subject").await,
        (1..=100).collect::<Vec<_>>()
    );
    let both = actors().await;
    assert_eq!(both.len(), 2, "{both:?}");
    let late: i64 = sqlx::query_scalar("SELECT count(*) FROM seen WHERE who = $1 AND n > 50")
        .bind(&both[0])
        .fetch_one(&sink_db)
        .await
        .unwrap();
    assert_eq!(late, 0, "the dead acted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_its_lease_has_no_effect() {
    let (_source_database, source_db) = Database::migrated(&NO_MIGRATIONS).await;
    let (_sink_database, sink_db) = sink().await;
    let source = Source::serve(source_db.clone()).await;
    let _old = Running::start(&sink_db, &source, "sink", Note("old".into()));
    let _witness = Running::start(&sink_db, &source, "witness", Note("witness".into()));
    state(&source_db, "before", 1..=1).await;
    until("both have seen it", || async {
        noted(&sink_db, "before").await.len() == 2
    })
    .await;

    // Someone else takes the lease while the old one still believes in it.
    sqlx::query("UPDATE chassis.consumer SET holder = $1, lease_end_time = now() + interval '1 hour' WHERE name = 'sink.note'")
        .bind(Uuid::now_v7())
        .execute(&sink_db)
        .await
        .unwrap();
    state(&source_db, "during", 1..=1).await;
    until("the witness has seen it", || async {
        noted(&sink_db, "during").await.len() == 1
    })
    .await;
    // The witness kept on after the old one tried: give the old one every chance to be wrong.
    state(&source_db, "during", 2..=20).await;
    until("the witness has seen all", || async {
        noted(&sink_db, "during").await.len() == 20
    })
    .await;
    let acted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM seen WHERE who = 'old' AND subject = 'during'")
            .fetch_one(&sink_db)
            .await
            .unwrap();
    assert_eq!(acted, 0);

    expire_lease(&sink_db, "sink.note").await;
    until("the old one acts again, once per event", || async {
        noted(&sink_db, "during").await.len() == 40
    })
    .await;
}
