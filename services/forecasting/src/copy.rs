//! What this service keeps of the indicators service's data: indicators, targets, figures. Each change queues the
//! series that rest on it, in the same transaction.

use std::{collections::HashSet, str::FromStr};

use anyhow::Context;
use chassis::Directory;
use chrono::{DateTime, Utc};
use prost::Message;
use proto::{indicators::v1 as pb, period::Period};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{lineage, load::Key};

/// The channel on which the worker is woken.
pub const WAKE: &str = "recompute";

fn id(text: &str) -> anyhow::Result<Uuid> {
    Uuid::from_str(text).with_context(|| format!("{text:?} is no id"))
}

/// A time as the contract writes it.
pub fn time(time: Option<prost_types::Timestamp>) -> anyhow::Result<DateTime<Utc>> {
    let time = time.context("no time")?;
    let nanos = u32::try_from(time.nanos).context("time out of range")?;
    DateTime::from_timestamp(time.seconds, nanos).context("time out of range")
}

/// Forgets all copies, for what is there now to be copied anew, and queues every series that was assessed: it may rest
/// on something that is no more.
pub async fn forget(tx: &mut PgConnection, directory: &Directory) -> anyhow::Result<()> {
    sqlx::query!("DELETE FROM indicator")
        .execute(&mut *tx)
        .await?;
    sqlx::query!("DELETE FROM part").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM target").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM observation")
        .execute(&mut *tx)
        .await?;
    let series = sqlx::query!("SELECT indicator_id, unit_id FROM assessment");
    let series = series.fetch_all(&mut *tx).await?;
    let series = series
        .into_iter()
        .map(|row| (row.indicator_id, row.unit_id));
    queue(tx, directory, series.collect()).await
}

/// Keeps indicators, and queues all their series.
pub async fn keep_indicators(
    tx: &mut PgConnection,
    directory: &Directory,
    indicators: &[pb::Indicator],
) -> anyhow::Result<()> {
    let (mut ids, mut versions, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    for indicator in indicators {
        ids.push(id(&indicator.id)?);
        versions.push(indicator.version);
        payloads.push(indicator.encode_to_vec());
    }
    let newer = sqlx::query_scalar!(
        "INSERT INTO indicator AS i (id, version, payload)
        SELECT n.id, n.version, n.payload FROM unnest($1::uuid[], $2::integer[], $3::bytea[]) AS n (id, version, payload)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, payload = excluded.payload
        WHERE i.version < excluded.version
        RETURNING id",
        &ids,
        &versions,
        &payloads
    );
    let newer: HashSet<Uuid> = newer.fetch_all(&mut *tx).await?.into_iter().collect();
    keep_parts(tx, indicators, &newer).await?;
    let series = sqlx::query!(
        r#"SELECT indicator_id AS "indicator_id!", unit_id AS "unit_id!" FROM (
            SELECT indicator_id, unit_id FROM observation WHERE indicator_id = ANY($1)
            UNION SELECT indicator_id, unit_id FROM target WHERE indicator_id = ANY($1)
            UNION SELECT p.root_id, o.unit_id FROM parts_below($1) p JOIN observation o ON o.indicator_id = p.part_id
            UNION SELECT indicator_id, unit_id FROM assessment WHERE indicator_id = ANY($1)) s"#,
        &ids
    )
    .fetch_all(&mut *tx)
    .await?;
    let series: Vec<_> = series
        .into_iter()
        .map(|row| (row.indicator_id, row.unit_id))
        .collect();
    queue(tx, directory, series).await
}

/// Keeps what those indicators that are new here are calculated from.
async fn keep_parts(
    tx: &mut PgConnection,
    indicators: &[pb::Indicator],
    newer: &HashSet<Uuid>,
) -> anyhow::Result<()> {
    let (mut wholes, mut parts) = (Vec::new(), Vec::new());
    for indicator in indicators {
        let whole = id(&indicator.id)?;
        let formula = indicator.formula.iter().filter(|_| newer.contains(&whole));
        for term in formula.flat_map(|formula| formula.numerator.iter().chain(&formula.denominator))
        {
            wholes.push(whole);
            parts.push(id(&term.indicator_id)?);
        }
    }
    let newer: Vec<Uuid> = newer.iter().copied().collect();
    sqlx::query!("DELETE FROM part WHERE indicator_id = ANY($1)", &newer)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "INSERT INTO part (indicator_id, part_id)
        SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, part_id)
        ON CONFLICT DO NOTHING",
        &wholes,
        &parts
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps targets, and queues their series.
pub async fn keep_targets(
    tx: &mut PgConnection,
    directory: &Directory,
    targets: &[pb::Target],
) -> anyhow::Result<()> {
    let (mut ids, mut indicators, mut units) = (Vec::new(), Vec::new(), Vec::new());
    let (mut versions, mut payloads) = (Vec::new(), Vec::new());
    for target in targets {
        ids.push(id(&target.id)?);
        indicators.push(id(&target.indicator_id)?);
        units.push(id(&target.unit_id)?);
        versions.push(target.version);
        payloads.push(target.encode_to_vec());
    }
    sqlx::query!(
        "INSERT INTO target AS t (id, indicator_id, unit_id, version, payload)
        SELECT n.id, n.indicator_id, n.unit_id, n.version, n.payload
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::bytea[])
            AS n (id, indicator_id, unit_id, version, payload)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, payload = excluded.payload
        WHERE t.version < excluded.version",
        &ids,
        &indicators,
        &units,
        &versions,
        &payloads
    )
    .execute(&mut *tx)
    .await?;
    let series = indicators.into_iter().zip(units);
    queue(tx, directory, series.collect()).await
}

/// Keeps figures, and queues their series.
pub async fn keep_observations(
    tx: &mut PgConnection,
    directory: &Directory,
    observations: &[pb::Observation],
) -> anyhow::Result<()> {
    let (mut ids, mut indicators, mut units) = (Vec::new(), Vec::new(), Vec::new());
    let (mut indexes, mut vintages, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let mut payloads = Vec::new();
    for observation in observations {
        ids.push(id(&observation.id)?);
        indicators.push(id(&observation.indicator_id)?);
        units.push(id(&observation.unit_id)?);
        indexes.push(Period::try_from(&observation.period)?.index());
        vintages.push(i16::try_from(observation.vintage).context("vintage")?);
        times.push(time(observation.known_time)?);
        payloads.push(observation.encode_to_vec());
    }
    sqlx::query!(
        "INSERT INTO observation (id, indicator_id, unit_id, period_index, vintage, known_time, payload)
        SELECT n.id, n.indicator_id, n.unit_id, n.period_index, n.vintage, n.known_time, n.payload
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::smallint[], $6::timestamptz[], $7::bytea[])
            AS n (id, indicator_id, unit_id, period_index, vintage, known_time, payload)
        ON CONFLICT (id) DO NOTHING",
        &ids,
        &indicators,
        &units,
        &indexes,
        &vintages,
        &times,
        &payloads
    )
    .execute(&mut *tx)
    .await?;
    let series = indicators.into_iter().zip(units);
    queue(tx, directory, series.collect()).await
}

/// Queues series, those of the units that came from theirs and what is calculated from them, and wakes the worker on
/// commit. A series that waits already is locked until then, so that the worker does not take it without seeing this change.
async fn queue(
    tx: &mut PgConnection,
    directory: &Directory,
    mut series: Vec<Key>,
) -> anyhow::Result<()> {
    series.extend(lineage::successors(directory, &series));
    series.sort_unstable();
    series.dedup();
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.into_iter().unzip();
    sqlx::query!(
        "WITH queued AS (
            INSERT INTO recompute (indicator_id, unit_id)
            SELECT s.indicator_id, s.unit_id FROM (
                SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, unit_id)
                UNION
                SELECT p.whole_id, n.unit_id FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, unit_id)
                JOIN wholes_above($1) p ON p.root_id = n.indicator_id) s
            ORDER BY 1, 2
            ON CONFLICT (indicator_id, unit_id) DO UPDATE SET attempts = 0, error = NULL, create_time = now())
        SELECT pg_notify($3, '')",
        &indicators,
        &units,
        WAKE
    )
    .execute(tx)
    .await?;
    Ok(())
}
