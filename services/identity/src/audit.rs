//! The audit log: every fact of every service, numbered without gaps, each hash covering the one before.

use anyhow::Context;
use chassis::events::{Consumer, Event};
use chrono::{DateTime, SubsecRound, Utc};
use proto::identity::v1 as pb;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{error::Result, parse::timestamp};

/// The services whose facts are recorded.
pub const SOURCES: [&str; 6] = [
    "identity",
    "indicators",
    "forecasting",
    "explanations",
    "feedback",
    "notifications",
];

/// Writes one service's facts into the log.
pub struct Recorder(pub &'static str);

impl Consumer for Recorder {
    const NAME: &'static str = "audit";

    fn source(&self) -> &str {
        self.0
    }

    fn types(&self) -> &[&str] {
        &[]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        append(tx, event).await
    }
}

/// An entry before it has its hash.
struct Facts<'a> {
    number: i64,
    event: &'a Event,
    trace_id: &'a str,
    time: DateTime<Utc>,
    data_hash: &'a [u8],
}

impl Facts<'_> {
    /// SHA-256 over the previous hash and each part preceded by its length, so that no two entries read alike.
    fn hash(&self, previous: &[u8]) -> Vec<u8> {
        let mut hasher = Sha256::new();
        let id = self.event.id.to_string();
        let time = self.time.timestamp_micros().to_be_bytes();
        let number = self.number.to_be_bytes();
        // It decides who sees the entry.
        let units: Vec<u8> = self
            .event
            .unit_ids
            .iter()
            .flat_map(|id| id.into_bytes())
            .collect();
        let parts: [&[u8]; 11] = [
            previous,
            &number,
            id.as_bytes(),
            self.event.source.as_bytes(),
            self.event.kind.as_bytes(),
            self.event.subject.as_bytes(),
            self.event.actor.as_bytes(),
            self.trace_id.as_bytes(),
            &time,
            &units,
            self.data_hash,
        ];
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().to_vec()
    }
}

async fn append(tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
    // All sources append to the one chain; the row's lock makes them wait for each other until commit.
    let head = sqlx::query!("SELECT number, hash FROM audit_head FOR UPDATE")
        .fetch_one(&mut *tx)
        .await?;
    let seen = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM audit_entry WHERE source = $1 AND event_id = $2) AS "seen!""#,
        event.source,
        event.id
    )
    .fetch_one(&mut *tx)
    .await?;
    if seen {
        // A feed that was restored states its facts again.
        return Ok(());
    }
    let data_hash = Sha256::digest(&event.data);
    let facts = Facts {
        number: head.number + 1,
        event,
        trace_id: event.traceparent.split('-').nth(1).unwrap_or_default(),
        // Postgres keeps microseconds; the hash must be of what is kept.
        time: event.time.trunc_subsecs(6),
        data_hash: &data_hash,
    };
    let hash = facts.hash(&head.hash);
    sqlx::query!(
        "WITH head AS (UPDATE audit_head SET number = $1, hash = $10)
         INSERT INTO audit_entry (number, event_id, source, type, subject, actor, trace_id, time, unit_ids, data_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $11, $9, $10)",
        facts.number,
        event.id,
        event.source,
        event.kind,
        event.subject,
        event.actor,
        facts.trace_id,
        facts.time,
        facts.data_hash,
        hash,
        &event.unit_ids
    )
    .execute(tx)
    .await
    .context("entry not written")?;
    Ok(())
}

/// Which entries are listed; empty texts select nothing.
pub struct Filter {
    pub actor: String,
    pub subject: String,
    pub source: String,
    /// The last of the previous page.
    pub before: Option<i64>,
    pub limit: i64,
}

/// Entries, newest first. Those of some units only are cut to the units given (none: all).
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: Filter,
    units: Option<&[Uuid]>,
) -> Result<Vec<pb::AuditEntry>> {
    let rows = sqlx::query!(
        r#"SELECT number, event_id, source, type AS kind, subject, actor, trace_id, time, encode(hash, 'hex') AS "hash!"
         FROM audit_entry
         WHERE ($1 = '' OR actor = $1) AND ($2 = '' OR subject = $2) AND ($3 = '' OR source = $3)
            AND ($4::bigint IS NULL OR number < $4) AND ($5::uuid[] IS NULL OR unit_ids && $5)
         ORDER BY number DESC LIMIT $6"#,
        filter.actor,
        filter.subject,
        filter.source,
        filter.before,
        units,
        filter.limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| pb::AuditEntry {
            number: row.number,
            event_id: row.event_id.to_string(),
            source: row.source,
            r#type: row.kind,
            subject: row.subject,
            actor: row.actor,
            trace_id: row.trace_id,
            time: Some(timestamp(row.time)),
            hash: row.hash,
        })
        .collect())
}

/// The number of the first entry whose hash is not what its content and the one before give; none if all are.
pub async fn verify(db: &sqlx::PgPool) -> anyhow::Result<Option<i64>> {
    let mut previous = Vec::new();
    let mut number = 0;
    loop {
        let rows = sqlx::query!(
            "SELECT number, event_id, source, type AS kind, subject, actor, trace_id, time, unit_ids, data_hash, hash
             FROM audit_entry WHERE number > $1 ORDER BY number LIMIT 1000",
            number
        )
        .fetch_all(db)
        .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let event = Event {
                id: row.event_id,
                source: row.source,
                kind: row.kind,
                subject: row.subject,
                time: row.time,
                unit_ids: row.unit_ids,
                field_code: None,
                actor: row.actor,
                traceparent: String::new(),
                data: Vec::new(),
            };
            let facts = Facts {
                number: row.number,
                event: &event,
                trace_id: &row.trace_id,
                time: row.time,
                data_hash: &row.data_hash,
            };
            if row.number != number + 1 || facts.hash(&previous) != row.hash {
                return Ok(Some(number + 1));
            }
            number = row.number;
            previous = row.hash;
        }
    }
    let head = sqlx::query!("SELECT number, hash FROM audit_head")
        .fetch_one(db)
        .await?;
    let whole = head.number == number && head.hash == previous;
    Ok((!whole).then_some(number + 1))
}
