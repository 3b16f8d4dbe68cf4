//! What is sent outside of the console: a queue row per message, its type and its queries.

use std::time::Duration;

use chassis::{
    directory::Scope,
    events::{self, Event, Fact},
    telemetry,
};
use chrono::{DateTime, Utc};
use proto::notifications::v1 as pb;
use sqlx::{PgConnection, PgExecutor, PgPool, postgres::types::PgInterval};
use uuid::Uuid;

use crate::{
    error::Error,
    notification::{Key, Topic},
};

/// The channel of the database on which the sender is woken.
pub const CHANNEL: &str = "notifications_delivery";
/// Tries before a delivery is given up.
const TRIES: i32 = 12;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Waiting,
    Sending,
    Sent,
    Parked,
}

/// By what it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Medium {
    Email,
    Sms,
}

/// A delivery as operators see it.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: Uuid,
    pub person_id: Uuid,
    pub medium: Medium,
    pub topic: Topic,
    pub state: State,
    pub attempts: i32,
    pub last_error: String,
    pub create_time: DateTime<Utc>,
    pub send_time: Option<DateTime<Utc>>,
    pub next_attempt_time: Option<DateTime<Utc>>,
}

/// Puts a mail about a notice into the queue, in the transaction of the event that caused it.
pub async fn insert(
    tx: &mut PgConnection,
    notification_id: Uuid,
    event: &Event,
    unit_id: Option<Uuid>,
) -> sqlx::Result<()> {
    let mut traceparent = telemetry::traceparent();
    if traceparent.is_empty() {
        traceparent.clone_from(&event.traceparent);
    }
    sqlx::query!(
        "WITH added AS (
            INSERT INTO delivery (id, notification_id, event_id, person_id, unit_id, medium, topic, attempt_limit,
                traceparent)
            SELECT $1, n.id, n.event_id, n.person_id, $3, 'EMAIL', n.topic, $4, $5 FROM notification n WHERE n.id = $2
            ON CONFLICT ON CONSTRAINT delivery_once_key DO NOTHING)
        SELECT pg_notify($6, '')",
        Uuid::now_v7(),
        notification_id,
        unit_id,
        TRIES,
        traceparent,
        CHANNEL
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A delivery whose turn it is, and what it says.
#[derive(Clone, Debug)]
pub struct Due {
    pub id: Uuid,
    pub person_id: Uuid,
    pub attempts: i32,
    pub attempt_limit: i32,
    pub traceparent: String,
    pub language: String,
    pub title: String,
    pub body: String,
    pub path: String,
}

/// Takes deliveries whose turn it is, for as long as the lease lasts. One whose sender died before it settled is taken
/// again when its lease ends.
pub async fn claim(db: &PgPool, limit: usize, lease: Duration) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as!(
        Due,
        "WITH due AS (
            SELECT id FROM delivery WHERE state IN ('WAITING', 'SENDING') AND next_attempt_time <= now()
            ORDER BY next_attempt_time LIMIT $1 FOR UPDATE SKIP LOCKED)
        UPDATE delivery d SET state = 'SENDING', attempts = attempts + 1, next_attempt_time = now() + $2
        FROM due, notification n WHERE d.id = due.id AND n.id = d.notification_id
        RETURNING d.id, d.person_id, d.attempts, d.attempt_limit, d.traceparent, n.language, n.title, n.body, n.path",
        i64::try_from(limit).unwrap_or(i64::MAX),
        interval(lease)
    )
    .fetch_all(db)
    .await
}

/// How long until the next turn comes; none if nothing waits.
pub async fn next_turn(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Duration>> {
    let seconds = sqlx::query_scalar!(
        "SELECT extract(epoch FROM min(next_attempt_time) - now())::float8 FROM delivery
        WHERE state IN ('WAITING', 'SENDING')"
    )
    .fetch_one(db)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it.
    Sent,
    /// It may go later, after this pause.
    Later(Duration, String),
    /// It will never go like this.
    Never(String),
}

/// Writes down how a try ended, and states it when that was the end of it.
pub async fn settle(db: &PgPool, due: &Due, outcome: &Outcome) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    let (state, error, pause) = match outcome {
        Outcome::Sent => (State::Sent, "", None),
        Outcome::Later(_, error) if due.attempts >= due.attempt_limit => {
            (State::Parked, error.as_str(), None)
        }
        Outcome::Later(pause, error) => (State::Waiting, error.as_str(), Some(interval(*pause))),
        Outcome::Never(error) => (State::Parked, error.as_str(), None),
    };
    // What was sent stays sent, whoever says so; a failure counts only while the try is the last one.
    let settled = sqlx::query_as!(
        Delivery,
        r#"UPDATE delivery SET state = $3, last_error = $4, next_attempt_time = now() + $5,
            send_time = CASE WHEN $3 = 'SENT' THEN now() END
        WHERE id = $1 AND state <> 'SENT' AND ($3 = 'SENT' OR (state = 'SENDING' AND attempts = $2))
        RETURNING id, person_id, medium AS "medium: Medium", topic AS "topic: Topic", state AS "state: State",
            attempts, last_error, create_time, send_time, next_attempt_time"#,
        due.id,
        due.attempts,
        state as State,
        error,
        pause
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(delivery) = settled.filter(|delivery| delivery.state != State::Waiting) {
        publish(&mut tx, delivery, crate::NAME).await?;
    }
    tx.commit().await
}

/// A delivery that an operator may see.
pub async fn get(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    id: Uuid,
) -> Result<Option<Delivery>, Error> {
    Ok(sqlx::query_as!(
        Delivery,
        r#"SELECT id, person_id, medium AS "medium: Medium", topic AS "topic: Topic", state AS "state: State", attempts,
            last_error, create_time, send_time, next_attempt_time
        FROM delivery WHERE id = $1 AND ($2 OR unit_id = ANY($3))"#,
        id,
        scope.all,
        &scope.units
    )
    .fetch_optional(db)
    .await?)
}

/// Puts a parked delivery back into the queue at once, with a full set of tries; false if it is not parked.
pub async fn retry(tx: &mut PgConnection, id: Uuid) -> Result<bool, Error> {
    let woken = sqlx::query!(
        "WITH retried AS (
            UPDATE delivery SET state = 'WAITING', next_attempt_time = now(), attempt_limit = attempts + $2
            WHERE id = $1 AND state = 'PARKED' RETURNING id)
        SELECT pg_notify($3, '') FROM retried",
        id,
        TRIES,
        CHANNEL
    )
    .fetch_optional(tx)
    .await?;
    Ok(woken.is_some())
}

/// Deliveries, newest first; at most `limit` after the key.
pub async fn list(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    state: Option<State>,
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<Delivery>, Error> {
    Ok(sqlx::query_as!(
        Delivery,
        r#"SELECT id, person_id, medium AS "medium: Medium", topic AS "topic: Topic", state AS "state: State", attempts,
            last_error, create_time, send_time, next_attempt_time
        FROM delivery
        WHERE ($1 OR unit_id = ANY($2))
            AND ($3::text IS NULL OR state = $3 OR ($3 = 'WAITING' AND state = 'SENDING'))
            AND ($4::timestamptz IS NULL OR (create_time, id) < ($4, $5::uuid))
        ORDER BY create_time DESC, id DESC LIMIT $6"#,
        scope.all,
        &scope.units,
        state as Option<State>,
        after.map(|key| key.0),
        after.map(|key| key.1),
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(db)
    .await?)
}

/// States what became of a delivery. Like a notice it concerns no unit, but one person.
pub async fn publish(
    tx: &mut PgConnection,
    delivery: Delivery,
    actor: &str,
) -> sqlx::Result<pb::Delivery> {
    let changed = pb::DeliveryChanged {
        delivery: Some(delivery.into()),
    };
    let delivery = changed.delivery.clone().unwrap_or_default();
    let fact = Fact {
        subject: delivery.id.clone(),
        unit_ids: Vec::new(),
        field_code: None,
        actor: actor.to_owned(),
        message: &changed,
    };
    events::publish(tx, fact).await?;
    Ok(delivery)
}

fn interval(span: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX),
    }
}

impl From<Delivery> for pb::Delivery {
    fn from(delivery: Delivery) -> Self {
        let medium = match delivery.medium {
            Medium::Email => pb::Medium::Email,
            Medium::Sms => pb::Medium::Sms,
        };
        let state = match delivery.state {
            State::Waiting | State::Sending => pb::DeliveryState::Waiting,
            State::Sent => pb::DeliveryState::Sent,
            State::Parked => pb::DeliveryState::Parked,
        };
        Self {
            id: delivery.id.to_string(),
            person_id: delivery.person_id.to_string(),
            medium: medium.into(),
            topic: pb::Topic::from(delivery.topic).into(),
            state: state.into(),
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            create_time: Some(crate::timestamp(delivery.create_time)),
            send_time: delivery.send_time.map(crate::timestamp),
            next_attempt_time: delivery.next_attempt_time.map(crate::timestamp),
        }
    }
}
