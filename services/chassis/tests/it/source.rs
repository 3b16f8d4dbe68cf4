//! What the tests of events share: a source that states facts, and a sink that notes what it is told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::database::{Database, NO_MIGRATIONS};
use chassis::{
    Caller, Directory,
    directory::EVERYTHING,
    events::{Consumer, Event, Fact, Feed, consume, publish_all},
    testing::{City, claims},
};
use proto::{calendar::v1::Period, events::v1::event_feed_service_client::EventFeedServiceClient};
use sqlx::{PgConnection, PgPool};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Request, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Server},
};
use uuid::Uuid;

/// Waits for a condition, with a deadline.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One replica of the service "source", over a database.
pub struct Source {
    pub feed: Feed,
    pub address: SocketAddr,
    _end: DropGuard,
}

impl Source {
    pub async fn serve(db: PgPool) -> Self {
        Self::serve_with(db, Duration::from_secs(3600), Self::directory()).await
    }

    /// Everybody in these tests may read everything.
    pub fn directory() -> Directory {
        let mut city = City::new();
        for name in ["sink", "other", "source"] {
            city.service(name, "mesh");
        }
        city.role("operator", &["platform.operate"]);
        city.grant("sink", "operator", EVERYTHING, &[]);
        city.directory()
    }

    pub async fn serve_with(db: PgPool, retention: Duration, directory: Directory) -> Self {
        Self::start("source", Some("source.read"), db, retention, directory).await
    }

    pub async fn serve_named(name: &'static str, db: PgPool) -> Self {
        let retention = Duration::from_secs(3600);
        Self::start(name, None, db, retention, Self::directory()).await
    }

    /// A source whose feed is not for everybody.
    pub async fn serve_mesh(db: PgPool, directory: Directory) -> Self {
        let retention = Duration::from_secs(3600);
        Self::start("source", None, db, retention, directory).await
    }

    async fn start(
        name: &'static str,
        permission: Option<&'static str>,
        db: PgPool,
        retention: Duration,
        directory: Directory,
    ) -> Self {
        let end = CancellationToken::new();
        let feed = Feed::new(name, permission, db, retention, end.clone());
        tokio::spawn({
            let feed = feed.clone();
            async move { feed.run().await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let admit = move |mut request: Request<()>| {
            let name = request.metadata().get("caller");
            let name = name.map_or("sink", |name| name.to_str().unwrap());
            let mut claims = claims(name);
            if Uuid::parse_str(name).is_err() {
                claims.kind = chassis::auth::Kind::Service;
            }
            let caller = Caller::new(Arc::new(claims), directory.clone());
            request.extensions_mut().insert(caller);
            Ok::<_, Status>(request)
        };
        let server = Server::builder()
            .tcp_nodelay(true)
            .add_service(InterceptedService::new(feed.service(), admit));
        let ended = end.clone().cancelled_owned();
        tokio::spawn(server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended));
        Self {
            feed,
            address,
            _end: end.drop_guard(),
        }
    }

    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .tcp_nodelay(true)
            .connect_lazy()
    }

    pub fn client(&self) -> EventFeedServiceClient<Channel> {
        EventFeedServiceClient::new(self.channel())
    }
}

/// A request in the name of a caller.
pub fn as_caller<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("caller", caller.parse().unwrap());
    request
}

/// The fact number `n` of a subject.
pub fn fact<'a>(subject: &str, message: &'a Period) -> Fact<'a, Period> {
    Fact {
        subject: subject.to_owned(),
        unit_ids: Vec::new(),
        field_code: None,
        actor: "test".to_owned(),
        message,
    }
}

/// States the facts of these numbers in one transaction.
pub async fn state(db: &PgPool, subject: &str, numbers: std::ops::RangeInclusive<i32>) {
    let mut tx = db.begin().await.unwrap();
    state_in(&mut tx, subject, numbers).await;
    tx.commit().await.unwrap();
}

pub async fn state_in(
    tx: &mut PgConnection,
    subject: &str,
    numbers: std::ops::RangeInclusive<i32>,
) {
    let messages: Vec<_> = numbers
        .map(|n| Period {
            code: n.to_string(),
        })
        .collect();
    let facts = messages.iter().map(|message| fact(subject, message));
    publish_all(tx, facts).await.unwrap();
}

/// A database with a table of what was handled, in order.
pub async fn sink() -> (Database, PgPool) {
    let (database, pool) = Database::migrated(&NO_MIGRATIONS).await;
    sqlx::query(
        "CREATE TABLE seen (seq bigint GENERATED ALWAYS AS IDENTITY, who text, subject text, n int)",
    )
    .execute(&pool)
    .await
    .unwrap();
    (database, pool)
}

/// Notes every event under its name.
pub struct Note(pub String);

impl Consumer for Note {
    const NAME: &'static str = "note";

    fn source(&self) -> &str {
        "source"
    }

    fn types(&self) -> &[&str] {
        &[]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        note(tx, &self.0, event).await
    }
}

pub async fn note(tx: &mut PgConnection, who: &str, event: &Event) -> anyhow::Result<()> {
    let n: i32 = event.decode::<Period>()?.code.parse()?;
    sqlx::query("INSERT INTO seen (who, subject, n) VALUES ($1, $2, $3)")
        .bind(who)
        .bind(&event.subject)
        .bind(n)
        .execute(tx)
        .await?;
    Ok(())
}

/// The numbers that were noted of a subject, in the order of the notes.
pub async fn noted(db: &PgPool, subject: &str) -> Vec<i32> {
    sqlx::query_scalar("SELECT n FROM seen WHERE subject = $1 ORDER BY seq")
        .bind(subject)
        .fetch_all(db)
        .await
        .unwrap()
}

/// A running consumer.
pub struct Running {
    pub end: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    pub fn start(db: &PgPool, source: &Source, service: &str, consumer: impl Consumer) -> Self {
        let end = CancellationToken::new();
        let (db, channel) = (db.clone(), source.channel());
        let (service, shutdown) = (service.to_owned(), end.clone());
        let task =
            tokio::spawn(async move { consume(db, channel, &service, consumer, shutdown).await });
        Self { end, task }
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(self) {
        self.end.cancel();
        self.task.await.unwrap();
    }

    /// Ends it as a crash does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Lets the leases of dead replicas of one consumer run out at once.
pub async fn expire_lease(db: &PgPool, consumer: &str) {
    let expired = sqlx::query(
        "UPDATE chassis.consumer SET lease_end_time = now() - interval '1 second' WHERE name = $1",
    )
    .bind(consumer)
    .execute(db)
    .await
    .unwrap();
    assert_eq!(expired.rows_affected(), 1, "{consumer}");
}
