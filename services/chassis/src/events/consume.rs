//! The reading side: follows another service's feed, exactly once in effect, one replica at a time.

use std::{collections::HashSet, panic::AssertUnwindSafe, time::Duration};

use anyhow::{Context, bail, ensure};
use futures::FutureExt;
use prost::Message;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming, body::Body, client::GrpcService};
use tonic_types::StatusExt;
use tracing::Instrument;

use proto::events::v1::{self as pb, event_feed_service_client::EventFeedServiceClient};

use super::{Event, lease::Lease};
use crate::{
    auth::is_directory_unavailable,
    postgres::{Fault, fault},
};

/// Events digested in one transaction at most.
const BATCH: usize = 100;
/// The waits between the tries of an event that fails; after the last it is parked.
const WAITS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
/// How long the handling of a batch may take; each event of one that takes longer has as long again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the lease is renewed, progress is told to the source and replays are looked for.
const TICK: Duration = Duration::from_millis(1500);
/// Heartbeats come every 10 seconds; a stream silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(25);
/// How often a source is told of progress though there is none: it forgets who is unseen for 30 days.
const SIGN_OF_LIFE: Duration = Duration::from_secs(24 * 3600);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
/// Characters of an error kept for operators.
const ERROR_LENGTH: usize = 2000;

/// What a service does with the events of another.
pub trait Consumer: Send + Sync + 'static {
    /// Its name within this service, such as "observations".
    const NAME: &'static str;

    /// The service whose feed it follows.
    fn source(&self) -> &str;

    /// The full names of the messages it wants; none means all.
    fn types(&self) -> &[&str];

    /// Digests an event within the transaction that also moves the cursor. Everything it does must go through `tx`: a
    /// failed event is rolled back and tried again, after the last try it is parked.
    fn handle(
        &self,
        tx: &mut PgConnection,
        event: &Event,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Digests several events in their order, as `handle` does each. For who can do it with fewer statements.
    fn handle_all(
        &self,
        tx: &mut PgConnection,
        events: &[Event],
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async move {
            for event in events {
                self.handle(&mut *tx, event)
                    .instrument(event.span(Self::NAME))
                    .await?;
            }
            Ok(())
        }
    }

    /// Prepares to read from a new place: at the very start, and when the feed no longer knows the cursor. Reads the
    /// owner's export where there is one and answers the cursor that it gives; empty means the oldest event kept.
    /// Commits together with the new cursor.
    fn reset(&self, _tx: &mut PgConnection) -> impl Future<Output = anyhow::Result<String>> + Send {
        async { Ok(String::new()) }
    }
}

/// Follows the feed behind `channel` until told to stop, on behalf of the service named `service`. Every replica runs
/// it; the one that holds the lease acts.
pub async fn consume<C, T>(
    db: PgPool,
    channel: T,
    service: &str,
    consumer: C,
    shutdown: CancellationToken,
) where
    C: Consumer,
    T: GrpcService<
            Body,
            ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<Failure> + Send>
                              + Send
                              + 'static,
        > + Clone
        + Send,
    T::Future: Send,
{
    let name = format!("{service}.{}", C::NAME);
    let mut follower = Follower {
        lease: Lease::new(db.clone(), name, consumer.source().to_owned()),
        feed: EventFeedServiceClient::new(channel),
        db,
        consumer,
        parked: HashSet::new(),
        cursor: String::new(),
        kept: String::new(),
        acknowledged: None,
        backoff: FIRST_BACKOFF,
    };
    while !shutdown.is_cancelled() {
        let outcome = tokio::select! {
            () = shutdown.cancelled() => break,
            outcome = follower.follow() => outcome,
        };
        let wait = match outcome {
            Ok(()) => FIRST_BACKOFF,
            Err(error) => follower.note(&error),
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = sleep(wait) => {}
        }
    }
    if let Err(error) = follower.lease.release().await {
        tracing::debug!(%error, "the lease was not given back, it runs out by itself");
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Follower<C, T> {
    db: PgPool,
    feed: EventFeedServiceClient<T>,
    consumer: C,
    lease: Lease,
    /// Subjects with parked events: later ones go behind them.
    parked: HashSet<String>,
    /// Read up to here,
    cursor: String,
    /// committed up to here,
    kept: String,
    /// and told to the source up to here, then.
    acknowledged: Option<(String, Instant)>,
    backoff: Duration,
}

/// How digesting went wrong.
enum Trouble {
    /// The handler, or the commit of what it did, failed: the event's fault as far as we know.
    Event(anyhow::Error),
    /// The lease or the database is gone: nobody's fault, not counted.
    Surroundings(anyhow::Error),
}

impl<C, T> Follower<C, T>
where
    C: Consumer,
    T: GrpcService<
            Body,
            ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<Failure> + Send>
                              + Send
                              + 'static,
        > + Clone
        + Send,
    T::Future: Send,
{
    /// Follows while the lease, the stream and the database hold. Waits quietly while another replica has the lease.
    async fn follow(&mut self) -> anyhow::Result<()> {
        let Some(cursor) = self.lease.acquire().await? else {
            sleep(TICK).await;
            return Ok(());
        };
        match cursor {
            Some(cursor) => self.stand_at(cursor),
            None => self.reset().await?,
        }
        self.parked = sqlx::query_scalar!(
            "SELECT DISTINCT subject FROM chassis.parked_event WHERE consumer = $1 AND source = $2",
            self.lease.name(),
            self.lease.source()
        )
        .fetch_all(&self.db)
        .await?
        .into_iter()
        .collect();

        let mut stream = match self.subscribe().await {
            Ok(stream) => stream,
            Err(status) if is_unknown_cursor(&status) => {
                tracing::warn!(
                    consumer = self.lease.name(),
                    source = self.lease.source(),
                    reason = %status.message(),
                    "the feed does not know the cursor, starting over"
                );
                self.reset().await?;
                self.subscribe().await?
            }
            Err(status) => return Err(status.into()),
        };
        let mut heard = Instant::now();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = stream.message() => {
                    let Some(first) = message? else {
                        return Ok(()); // the process behind it stops, or our token has ended
                    };
                    self.backoff = FIRST_BACKOFF;
                    let batch = collect(first, &mut stream);
                    self.digest(batch).await?;
                    heard = Instant::now();
                }
                _ = tick.tick() => {
                    ensure!(heard.elapsed() < SILENCE, "the feed fell silent");
                    self.tick().await?;
                }
            }
        }
    }

    async fn subscribe(&mut self) -> Result<Streaming<pb::SubscribeResponse>, Status> {
        let request = pb::SubscribeRequest {
            cursor: self.cursor.clone(),
            types: self
                .consumer
                .types()
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            latest: false,
        };
        Ok(self.feed.subscribe(request).await?.into_inner())
    }

    fn stand_at(&mut self, cursor: String) {
        self.kept.clone_from(&cursor);
        self.cursor = cursor;
    }

    async fn reset(&mut self) -> anyhow::Result<()> {
        // However long it takes to read everything: the row of the lease is held until commit.
        let mut tx = self.begin("").await.map_err(Trouble::into_error)?;
        let cursor = self.consumer.reset(&mut tx).await.context("reset")?;
        self.lease.advance(&mut tx, &cursor).await?;
        tx.commit().await?;
        self.stand_at(cursor);
        Ok(())
    }

    async fn digest(&mut self, batch: Vec<pb::SubscribeResponse>) -> anyhow::Result<()> {
        let Some(last) = batch.last() else {
            return Ok(());
        };
        self.cursor.clone_from(&last.cursor);
        let cursor = last.cursor.clone();
        let events: Vec<_> = batch
            .into_iter()
            .filter_map(|message| Some((message.event?, message.cursor)))
            .collect();
        if events.is_empty() {
            return Ok(()); // heartbeats: the next tick keeps the cursor
        }
        let all: Vec<_> = events.iter().map(|(event, _)| event).collect();
        match self.apply(&all, &cursor).await {
            Ok(()) => {}
            Err(Trouble::Surroundings(error)) => return Err(error),
            Err(Trouble::Event(error)) => {
                tracing::debug!(
                    error = format!("{error:#}"),
                    "a batch failed, trying its events one by one"
                );
                for (event, cursor) in &events {
                    self.digest_one(event, cursor).await?;
                }
            }
        }
        self.kept.clone_from(&self.cursor);
        Ok(())
    }

    async fn digest_one(&mut self, event: &pb::Event, cursor: &str) -> anyhow::Result<()> {
        let mut waits = WAITS.iter();
        let mut attempts = 1;
        loop {
            let error = match self.apply(&[event], cursor).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Surroundings(error)) => return Err(error),
                Err(Trouble::Event(error)) => error,
            };
            let Some(wait) = waits.next() else {
                return self.park(event, cursor, &error, attempts).await;
            };
            sleep(*wait).await;
            attempts += 1;
            if !self.lease.renew(None).await? {
                bail!("the lease was lost");
            }
        }
    }

    /// Digests events and moves the cursor behind them in one transaction.
    async fn apply(&self, events: &[&pb::Event], cursor: &str) -> Result<(), Trouble> {
        let mut tx = self.begin(cursor).await?;
        let (behind, free): (Vec<_>, Vec<_>) = events
            .iter()
            .partition(|event| self.parked.contains(&event.subject));
        for event in behind {
            self.set_aside(&mut tx, event, "behind a parked event of its subject", 0)
                .await
                .map_err(blame)?;
        }
        self.handle(&mut tx, &free).await.map_err(blame)?;
        tx.commit().await.map_err(blame)
    }

    /// Begins a transaction in which the lease is held and the cursor moved.
    async fn begin(&self, cursor: &str) -> Result<Transaction<'static, Postgres>, Trouble> {
        let begin = async {
            let mut tx = self.db.begin().await?;
            if !self.lease.advance(&mut tx, cursor).await? {
                bail!("the lease was lost");
            }
            Ok(tx)
        };
        begin.await.map_err(Trouble::Surroundings)
    }

    async fn handle(&self, tx: &mut PgConnection, events: &[&pb::Event]) -> anyhow::Result<()> {
        let events = events
            .iter()
            .map(|&event| Event::try_from(event))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let handled = AssertUnwindSafe(self.consumer.handle_all(tx, &events)).catch_unwind();
        match timeout(PATIENCE, handled).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => bail!("the handler panicked"),
            Err(_) => bail!("the handler took longer than {PATIENCE:?}"),
        }
    }

    /// Parks an event after its last try, and moves on.
    async fn park(
        &mut self,
        event: &pb::Event,
        cursor: &str,
        error: &anyhow::Error,
        attempts: i32,
    ) -> anyhow::Result<()> {
        let error = format!("{error:#}");
        let mut tx = self.begin(cursor).await.map_err(Trouble::into_error)?;
        self.set_aside(&mut tx, event, &error, attempts).await?;
        tx.commit().await?;
        tracing::error!(
            consumer = self.lease.name(),
            event.id = event.id,
            event.subject = event.subject,
            error,
            "an event is parked after its last try"
        );
        self.parked.insert(event.subject.clone());
        Ok(())
    }

    async fn set_aside(
        &self,
        tx: &mut PgConnection,
        event: &pb::Event,
        error: &str,
        attempts: i32,
    ) -> anyhow::Result<()> {
        let error: String = error.chars().take(ERROR_LENGTH).collect();
        sqlx::query!(
            "INSERT INTO chassis.parked_event (consumer, source, subject, event_id, event, error, attempts)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            self.lease.name(),
            self.lease.source(),
            event.subject,
            event.id,
            event.encode_to_vec(),
            error,
            attempts
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn tick(&mut self) -> anyhow::Result<()> {
        let moved = Some(self.cursor.as_str()).filter(|cursor| *cursor != self.kept);
        if !self.lease.renew(moved).await? {
            bail!("the lease was lost");
        }
        self.kept.clone_from(&self.cursor);
        self.acknowledge().await;
        self.replay_wanted().await
    }

    /// Tells the source how far is committed, so that it may delete, and from time to time that we still follow, so that
    /// it does not forget us. Failing is no harm: the next tick does it again.
    async fn acknowledge(&mut self) {
        let is_known = matches!(&self.acknowledged, Some((cursor, when))
            if *cursor == self.kept && when.elapsed() < SIGN_OF_LIFE);
        if self.kept.is_empty() || is_known {
            return;
        }
        let request = pb::AcknowledgeEventsRequest {
            service: self.lease.source().to_owned(),
            consumer: self.lease.name().to_owned(),
            cursor: self.kept.clone(),
        };
        match timeout(TICK, self.feed.acknowledge_events(request)).await {
            Ok(Ok(_)) => self.acknowledged = Some((self.kept.clone(), Instant::now())),
            Ok(Err(status)) => tracing::warn!(
                consumer = self.lease.name(),
                code = %status.code(),
                message = status.message(),
                "progress was not acknowledged"
            ),
            Err(_) => tracing::warn!(
                consumer = self.lease.name(),
                "progress was not acknowledged in time"
            ),
        }
    }

    /// Digests the parked events of the subjects that an operator asked for.
    async fn replay_wanted(&mut self) -> anyhow::Result<()> {
        let subjects = sqlx::query_scalar!(
            "SELECT DISTINCT subject FROM chassis.parked_event
            WHERE consumer = $1 AND source = $2 AND is_replay_wanted",
            self.lease.name(),
            self.lease.source()
        )
        .fetch_all(&self.db)
        .await?;
        for subject in subjects {
            self.replay(&subject).await?;
        }
        Ok(())
    }

    /// Digests all parked events of a subject in their order, up to the first that fails again.
    async fn replay(&mut self, subject: &str) -> anyhow::Result<()> {
        loop {
            let oldest = sqlx::query!(
                "SELECT seq, event FROM chassis.parked_event
                WHERE consumer = $1 AND source = $2 AND subject = $3 ORDER BY seq LIMIT 1",
                self.lease.name(),
                self.lease.source(),
                subject
            )
            .fetch_optional(&self.db)
            .await?;
            let Some(oldest) = oldest else {
                self.parked.remove(subject);
                return Ok(());
            };
            match self.replay_one(oldest.seq, &oldest.event).await {
                Ok(()) => {}
                Err(Trouble::Surroundings(error)) => return Err(error),
                Err(Trouble::Event(error)) => {
                    return self.note_failed_replay(subject, oldest.seq, &error).await;
                }
            }
        }
    }

    async fn replay_one(&self, seq: i64, event: &[u8]) -> Result<(), Trouble> {
        let mut tx = self.begin(&self.kept).await?;
        let digest = async {
            let event = pb::Event::decode(event)?;
            self.handle(&mut tx, &[&event]).await?;
            sqlx::query!("DELETE FROM chassis.parked_event WHERE seq = $1", seq)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            anyhow::Ok(())
        };
        digest.await.map_err(blame)
    }

    async fn note_failed_replay(
        &self,
        subject: &str,
        seq: i64,
        error: &anyhow::Error,
    ) -> anyhow::Result<()> {
        let error: String = format!("{error:#}").chars().take(ERROR_LENGTH).collect();
        sqlx::query!(
            "UPDATE chassis.parked_event SET is_replay_wanted = false,
                error = CASE WHEN seq = $4 THEN $5 ELSE error END,
                attempts = attempts + CASE WHEN seq = $4 THEN 1 ELSE 0 END
            WHERE consumer = $1 AND source = $2 AND subject = $3",
            self.lease.name(),
            self.lease.source(),
            subject,
            seq,
            error
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }

    /// Logs why following stopped; answers how long to wait: ever longer, and not in step with other replicas.
    fn note(&mut self, error: &anyhow::Error) -> Duration {
        let text = format!("{error:#}");
        let (consumer, source) = (self.lease.name(), self.lease.source());
        let is_starting = error.downcast_ref().is_some_and(is_directory_unavailable);
        if is_starting {
            tracing::debug!(consumer, source, error = text, "a feed has just started");
        } else {
            tracing::warn!(
                consumer,
                source,
                error = text,
                "following a feed was interrupted"
            );
        }
        let wait = self.backoff.mul_f64(rand::random_range(0.5..1.0));
        self.backoff = (self.backoff * 2).min(LAST_BACKOFF);
        wait
    }
}

impl Trouble {
    fn into_error(self) -> anyhow::Error {
        match self {
            Self::Event(error) | Self::Surroundings(error) => error,
        }
    }
}

/// Tells a failure of the event from one of the database, which must not count as a try.
fn blame(error: impl Into<anyhow::Error>) -> Trouble {
    let error = error.into();
    match fault(&error) {
        Some(Fault::Away | Fault::Contention) => Trouble::Surroundings(error),
        Some(Fault::Value | Fault::Statement) | None => Trouble::Event(error),
    }
}

fn is_unknown_cursor(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason);
    status.code() == Code::OutOfRange
        && matches!(reason.as_deref(), Some("CURSOR_EXPIRED" | "CURSOR_FORKED"))
}

/// Adds to the first message what is already here, without waiting.
fn collect(
    first: pb::SubscribeResponse,
    stream: &mut Streaming<pb::SubscribeResponse>,
) -> Vec<pb::SubscribeResponse> {
    let mut batch = vec![first];
    // An error or the end is met again by the next wait.
    while batch.len() < BATCH
        && let Some(Ok(Some(message))) = stream.message().now_or_never()
    {
        batch.push(message);
    }
    batch
}
