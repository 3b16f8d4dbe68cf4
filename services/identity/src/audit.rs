//! The audit log: every fact of every service, numbered without gaps, each hash covering the one before.

use std::{collections::HashSet, slice};

use anyhow::Context;
use chassis::{
    events::{Consumer, Event},
    postgres::array_literal,
};
use chrono::{DateTime, SubsecRound, Utc};
use proto::identity::v1 as pb;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor};
use tracing::Instrument;
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
        append(tx, slice::from_ref(event)).await
    }

    /// A forecast of the whole city states tens of thousands at once.
    async fn handle_all(&self, tx: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let Some(first) = events.first() else {
            return Ok(());
        };
        append(tx, events).instrument(first.span(Self::NAME)).await
    }
}

/// An entry before it has its hash.
struct Facts<'a> {
    number: i64,
    event: &'a Event,
    trace_id: &'a str,
    time: DateTime<Utc>,
    data_hash: Vec<u8>,
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
            &self.data_hash,
        ];
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().to_vec()
    }
}

/// Appends the facts of one source that are not there yet: a feed that was restored states its facts again.
async fn append(tx: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
    // All sources append to the one chain; the row's lock makes them wait for each other until commit.
    let head = sqlx::query!("SELECT number, hash FROM audit_head FOR UPDATE")
        .fetch_one(&mut *tx)
        .await?;
    let sources: Vec<&str> = events.iter().map(|event| event.source.as_str()).collect();
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let mut seen: HashSet<Uuid> = sqlx::query_scalar!(
        r#"SELECT e.id AS "id!" FROM unnest($1::text[], $2::uuid[]) AS e (source, id)
         CROSS JOIN LATERAL (SELECT FROM audit_entry WHERE source = e.source AND event_id = e.id LIMIT 1) AS seen"#,
        &sources as &[&str],
        &ids
    )
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .collect();

    let (mut number, mut hash) = (head.number, head.hash);
    let mut entries: Vec<(Facts<'_>, Vec<u8>)> = Vec::new();
    for event in events {
        if !seen.insert(event.id) {
            continue;
        }
        number += 1;
        let facts = Facts {
            number,
            event,
            trace_id: event.traceparent.split('-').nth(1).unwrap_or_default(),
            // Postgres keeps microseconds; the hash must be of what is kept.
            time: event.time.trunc_subsecs(6),
            data_hash: Sha256::digest(&event.data).to_vec(),
        };
        hash = facts.hash(&hash);
        entries.push((facts, hash.clone()));
    }
    write(tx, &entries).await.context("entries not written")?;
    sqlx::query!("UPDATE audit_head SET number = $1, hash = $2", number, hash)
        .execute(tx)
        .await?;
    Ok(())
}

async fn write(tx: &mut PgConnection, entries: &[(Facts<'_>, Vec<u8>)]) -> sqlx::Result<()> {
    fn column<'a, T>(
        entries: &'a [(Facts<'a>, Vec<u8>)],
        value: impl Fn(&'a Facts<'a>) -> T,
    ) -> Vec<T> {
        entries.iter().map(|(facts, _)| value(facts)).collect()
    }
    let hashes: Vec<&[u8]> = entries.iter().map(|(_, hash)| hash.as_slice()).collect();
    sqlx::query!(
        "INSERT INTO audit_entry (number, event_id, source, type, subject, actor, trace_id, time, unit_ids, data_hash, hash)
         SELECT number, event_id, source, type, subject, actor, trace_id, time, unit_ids::uuid[], data_hash, hash
         FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[], $9::text[], $10::bytea[], $11::bytea[])
            AS e (number, event_id, source, type, subject, actor, trace_id, time, unit_ids, data_hash, hash)",
        &column(entries, |facts| facts.number),
        &column(entries, |facts| facts.event.id),
        &column(entries, |facts| facts.event.source.as_str()) as &[&str],
        &column(entries, |facts| facts.event.kind.as_str()) as &[&str],
        &column(entries, |facts| facts.event.subject.as_str()) as &[&str],
        &column(entries, |facts| facts.event.actor.as_str()) as &[&str],
        &column(entries, |facts| facts.trace_id) as &[&str],
        &column(entries, |facts| facts.time),
        &column(entries, |facts| array_literal(&facts.event.unit_ids)),
        &column(entries, |facts| facts.data_hash.as_slice()) as &[&[u8]],
        &hashes as &[&[u8]],
    )
    .execute(tx)
    .await?;
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
                data_hash: row.data_hash,
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
