//! How facts travel: each service writes them to its outbox in the transaction of their effect and serves that outbox
//! as a feed; others follow it from a cursor that they keep in their own database.

mod consume;
mod cursor;
mod feed;
mod lease;
mod park;
mod retain;
mod sequence;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use prost::{Message, Name};
use sqlx::{PgConnection, PgExecutor};
use tracing::Span;
use uuid::Uuid;

use proto::events::v1 as pb;

use crate::{parse::instant, postgres::array_literal, telemetry};
use cursor::Cursor;

pub use consume::{Consumer, consume};
pub use feed::Feed;

/// A fact to be stated.
#[derive(Clone, Debug)]
pub struct Fact<'a, M> {
    /// What it is about; order is kept per subject.
    pub subject: String,
    /// The units it concerns; empty for facts of the whole city.
    pub unit_ids: Vec<Uuid>,
    /// The field (lĩnh vực) it belongs to, if any.
    pub field_code: Option<String>,
    /// Who caused it: `Caller::id`.
    pub actor: String,
    /// The fact itself, a message of the contract.
    pub message: &'a M,
}

/// States a fact: writes it to the outbox in the caller's transaction. It reaches others once that commits.
pub async fn publish<M: Message + Name>(
    tx: &mut PgConnection,
    fact: Fact<'_, M>,
) -> sqlx::Result<()> {
    publish_all(tx, [fact]).await
}

/// States many facts with one statement, in their order.
pub async fn publish_all<'a, M: Message + Name + 'a>(
    tx: &mut PgConnection,
    facts: impl IntoIterator<Item = Fact<'a, M>>,
) -> sqlx::Result<()> {
    let (mut ids, mut subjects, mut units) = (Vec::new(), Vec::new(), Vec::new());
    let (mut fields, mut actors, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for fact in facts {
        ids.push(Uuid::now_v7());
        subjects.push(fact.subject);
        units.push(array_literal(&fact.unit_ids));
        fields.push(fact.field_code);
        actors.push(fact.actor);
        data.push(fact.message.encode_to_vec());
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH added AS (
            INSERT INTO chassis.outbox (id, type, subject, unit_ids, field_code, actor, traceparent, data)
            SELECT f.id, $1, f.subject, f.unit_ids::uuid[], f.field_code, f.actor, $2, f.data
            FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[]) WITH ORDINALITY
                AS f (id, subject, unit_ids, field_code, actor, data, n)
            ORDER BY f.n)
        SELECT pg_notify('chassis_outbox', '')",
        M::full_name(),
        telemetry::traceparent(),
        &ids,
        &subjects,
        &units,
        &fields as &[Option<String>],
        &actors,
        &data
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The cursor after the newest event of this service's feed. An export reads it before it reads the state that it sends,
/// and gives it to the reader to follow from.
pub async fn newest_cursor(db: impl PgExecutor<'_>) -> sqlx::Result<String> {
    Ok(Cursor::newest(db).await?.encode())
}

/// A fact that another service stated.
#[derive(Clone, Debug)]
pub struct Event {
    /// The id of the fact.
    pub id: Uuid,
    /// The service that states it.
    pub source: String,
    /// The full name of the message it holds.
    pub kind: String,
    /// What it is about; order is kept per subject.
    pub subject: String,
    /// When it was stated.
    pub time: DateTime<Utc>,
    /// The units it concerns; empty for facts of the whole city.
    pub unit_ids: Vec<Uuid>,
    /// The field (lĩnh vực) it belongs to, if any.
    pub field_code: Option<String>,
    /// Who caused it: the id of a person, or the name of a service.
    pub actor: String,
    /// W3C trace context of the cause.
    pub traceparent: String,
    /// The message, encoded.
    pub data: Vec<u8>,
}

impl Event {
    /// The span of its handling by this consumer, within the trace of its cause.
    #[must_use]
    pub fn span(&self, consumer: &'static str) -> Span {
        let span = tracing::info_span!(
            "event",
            otel.name = format!("consume {}", self.kind),
            otel.kind = "consumer",
            consumer,
            event.id = %self.id,
            event.subject = self.subject,
        );
        telemetry::follow(&span, &self.traceparent);
        span
    }

    /// Whether it holds a message of this type.
    #[must_use]
    pub fn is<M: Name>(&self) -> bool {
        self.kind == M::full_name()
    }

    /// The message it holds; an error when that is of another type.
    pub fn decode<M: Message + Name + Default>(&self) -> anyhow::Result<M> {
        ensure!(
            self.is::<M>(),
            "the event holds {}, not {}",
            self.kind,
            M::full_name()
        );
        M::decode(self.data.as_slice()).with_context(|| format!("malformed {}", self.kind))
    }
}

impl TryFrom<&pb::Event> for Event {
    type Error = anyhow::Error;

    fn try_from(event: &pb::Event) -> anyhow::Result<Self> {
        Ok(Self {
            id: event.id.parse().context("malformed id")?,
            source: event.source.clone(),
            kind: event.r#type.clone(),
            subject: event.subject.clone(),
            time: instant("time", event.time).context("malformed time")?,
            unit_ids: event
                .unit_ids
                .iter()
                .map(|id| id.parse())
                .collect::<Result<_, _>>()
                .context("malformed unit_ids")?,
            field_code: Some(event.field_code.clone()).filter(|code| !code.is_empty()),
            actor: event.actor.clone(),
            traceparent: event.traceparent.clone(),
            data: event.data.clone(),
        })
    }
}
