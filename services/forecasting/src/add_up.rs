//! Makes the forecasts of units and of the unit above add up.
//!
//! Each series is assessed with what its whole has more than its parts, as far as that is known. Once no series waits,
//! wholes with a part that changed are added up anew; where that changes something, all their series are assessed again.

use std::collections::{BTreeSet, HashMap};

use prost::Message;
use proto::indicators::v1::Indicator;
use serde::Serialize;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::{
    assess::Assessed,
    load::{Key, Loaded},
    model::{Excess, Member},
    recompute::{begin, queue},
};

/// Held shared by who assesses and alone by who adds up, so that no change goes unseen.
const LOCK: i64 = 0x6164_645f_7570;

/// Keeps wholes from being added up until the transaction ends.
pub async fn hold_off(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock_shared($1)", LOCK)
        .execute(tx)
        .await?;
    Ok(())
}

/// What a series says for itself, as it is stored.
#[derive(Serialize)]
struct Row<'a> {
    indicator_id: Uuid,
    unit_id: Uuid,
    origin: Option<i32>,
    recent: Option<&'a [Option<f64>]>,
    mean: Option<&'a [f64]>,
    variance: Option<&'a [f64]>,
}

/// Keeps what series say for themselves, and notes which wholes must be added up again.
pub async fn keep(tx: &mut PgConnection, assessed: &[(Loaded, Assessed)]) -> sqlx::Result<()> {
    let adding = assessed.iter().filter(|(series, _)| series.adds_up());
    let rows: Vec<Row<'_>> = adding
        .map(|(series, assessed)| {
            let member = assessed.member.as_ref();
            Row {
                indicator_id: series.indicator_id,
                unit_id: series.basis.unit_id,
                origin: member.map(|member| member.origin),
                recent: member.map(|member| member.recent.as_slice()),
                mean: member.map(|member| member.mean.as_slice()),
                variance: member.map(|member| member.variance.as_slice()),
            }
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE assessment a SET origin = d.origin, recent = d.recent, mean = d.mean, variance = d.variance,
            is_added_up = a.is_added_up AND (a.origin, a.recent, a.mean, a.variance)
                IS NOT DISTINCT FROM (d.origin, d.recent, d.mean, d.variance)
        FROM jsonb_to_recordset($1) AS d (indicator_id uuid, unit_id uuid, origin integer, recent double precision[],
            mean double precision[], variance double precision[])
        WHERE a.indicator_id = d.indicator_id AND a.unit_id = d.unit_id",
        Json(rows) as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Reads what the wholes of series have more than their parts.
pub async fn load(tx: &mut PgConnection, series: &mut [&mut Loaded]) -> sqlx::Result<()> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().map(|one| one.key()).unzip();
    let parents: Vec<Option<Uuid>> = series.iter().map(|one| one.parent_id).collect();
    let rows = sqlx::query!(
        r#"SELECT s.indicator_id AS "indicator_id!", s.unit_id AS "unit_id!", e.unit_id AS whole, e.first, e.excess,
            e.variance
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS s (indicator_id, unit_id, parent_id)
        JOIN excess e ON e.indicator_id = s.indicator_id AND e.unit_id IN (s.unit_id, s.parent_id)
        ORDER BY e.unit_id = s.unit_id"#,
        &indicators,
        &units,
        &parents as &[Option<Uuid>]
    );
    let mut found: HashMap<Key, (Excess, bool)> = HashMap::new();
    for row in rows.fetch_all(tx).await? {
        let excess = Excess {
            first: row.first,
            excess: row.excess,
            variance: row.variance,
        };
        // What is both a whole and a part counts as a whole.
        found.insert(
            (row.indicator_id, row.unit_id),
            (excess, row.whole == row.unit_id),
        );
    }
    for one in series {
        one.basis.excess = found.remove(&one.key());
    }
    Ok(())
}

/// Adds up the wholes of one indicator of which a part changed, and queues the series that this moves; answers of how
/// many series that is, at least 1 if there was something to add up.
pub async fn step(db: &PgPool) -> anyhow::Result<usize> {
    let mut tx = begin(db).await?;
    let waits =
        sqlx::query_scalar!("SELECT indicator_id FROM assessment WHERE NOT is_added_up LIMIT 1");
    let Some(indicator_id) = waits.fetch_optional(&mut *tx).await? else {
        return Ok(0);
    };
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK)
        .execute(&mut *tx)
        .await?;
    let rounding = rounding(&mut tx, indicator_id).await?;
    let members = members(&mut tx, indicator_id).await?;
    let before = stored(&mut tx, indicator_id).await?;

    let mut parts: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for (unit, (parent, _)) in &members {
        parts.entry(*parent).or_default().push(*unit);
    }
    parts.remove(&Uuid::nil());
    let mut moved: BTreeSet<Key> = BTreeSet::new();
    let mut now: HashMap<Uuid, Excess> = HashMap::new();
    for (whole, units) in &parts {
        let excess = members.get(whole).and_then(|(_, member)| {
            let mut units = units.clone();
            units.sort_unstable();
            let parts: Vec<Member> = units.iter().map(|unit| members[unit].1.clone()).collect();
            Excess::new(member, &parts, rounding)
        });
        if before.get(whole) != excess.as_ref() {
            let all = units.iter().chain([whole]);
            moved.extend(all.map(|unit| (indicator_id, *unit)));
        }
        now.extend(excess.map(|excess| (*whole, excess)));
    }
    for whole in before.keys().filter(|whole| !parts.contains_key(whole)) {
        moved.insert((indicator_id, *whole));
    }
    replace(&mut tx, indicator_id, &now).await?;
    let moved: Vec<Key> = moved.into_iter().collect();
    queue(&mut tx, &moved).await?;
    sqlx::query!(
        "UPDATE assessment SET is_added_up = true WHERE indicator_id = $1 AND NOT is_added_up",
        indicator_id
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(moved.len().max(1))
}

/// The steps that an indicator's figures are rounded to.
async fn rounding(tx: &mut PgConnection, indicator_id: Uuid) -> anyhow::Result<f64> {
    let payload = sqlx::query_scalar!("SELECT payload FROM indicator WHERE id = $1", indicator_id);
    let payload = payload.fetch_optional(tx).await?.unwrap_or_default();
    Ok(0.1_f64.powi(Indicator::decode(payload.as_slice())?.decimals))
}

/// The series of an indicator whose units add up, with the unit above each, nil for none.
async fn members(
    tx: &mut PgConnection,
    indicator_id: Uuid,
) -> sqlx::Result<HashMap<Uuid, (Uuid, Member)>> {
    let rows = sqlx::query!(
        r#"SELECT unit_id, parent_unit_id, origin AS "origin!",
            recent AS "recent!: Vec<Option<f64>>", mean AS "mean!", variance AS "variance!" FROM assessment
        WHERE indicator_id = $1 AND origin IS NOT NULL"#,
        indicator_id
    );
    let rows = rows.fetch_all(tx).await?.into_iter();
    let member = rows.map(|row| {
        let member = Member {
            origin: row.origin,
            recent: row.recent,
            mean: row.mean,
            variance: row.variance,
        };
        (
            row.unit_id,
            (row.parent_unit_id.unwrap_or_default(), member),
        )
    });
    Ok(member.collect())
}

async fn stored(tx: &mut PgConnection, indicator_id: Uuid) -> sqlx::Result<HashMap<Uuid, Excess>> {
    let rows = sqlx::query!(
        "SELECT unit_id, first, excess, variance FROM excess WHERE indicator_id = $1",
        indicator_id
    );
    let excess = rows.fetch_all(tx).await?.into_iter().map(|row| {
        let excess = Excess {
            first: row.first,
            excess: row.excess,
            variance: row.variance,
        };
        (row.unit_id, excess)
    });
    Ok(excess.collect())
}

async fn replace(
    tx: &mut PgConnection,
    indicator_id: Uuid,
    now: &HashMap<Uuid, Excess>,
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM excess WHERE indicator_id = $1", indicator_id)
        .execute(&mut *tx)
        .await?;
    for (unit_id, excess) in now {
        sqlx::query!(
            "INSERT INTO excess (indicator_id, unit_id, first, excess, variance) VALUES ($1, $2, $3, $4, $5)",
            indicator_id,
            unit_id,
            excess.first,
            &excess.excess,
            &excess.variance
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
