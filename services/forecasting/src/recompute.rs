//! The worker: assesses queued series anew, in batches, as soon as something wakes it.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use chassis::{Base, calendar::city_date};
use chrono::Utc;
use prost::Message;
use proto::{
    calendar::v1::Frequency,
    identity::v1::UnitKind,
    indicators::v1::{Indicator, Observation, Target},
    period::Period,
};
use sqlx::{PgConnection, PgPool, postgres::PgListener};
use uuid::Uuid;

use crate::{
    assess::{Assessed, Basis, Terms, assess},
    copy::WAKE,
    keep::keep,
    model::Thresholds,
    threshold,
};

/// Series assessed in one transaction at most: what waits behind one of them waits no longer than that.
const BATCH: i64 = 64;
/// Outdated series queued at once at most.
const OUTDATED: i64 = 512;
/// How long a missed wake-up may go unnoticed, and how late a new day is seen.
const PATIENCE: Duration = Duration::from_secs(5);

/// A series: an indicator of a unit.
pub type Key = (Uuid, Uuid);

/// Assesses what is queued until the service stops; failures of the database are waited out.
pub async fn work(base: Base) -> anyhow::Result<()> {
    loop {
        if let Err(error) = watch(&base).await {
            tracing::warn!(error = format!("{error:#}"), "assessing was interrupted");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn watch(base: &Base) -> anyhow::Result<()> {
    let mut listener = PgListener::connect_with(&base.db).await?;
    listener.listen(WAKE).await?;
    loop {
        while step(base).await? > 0 {}
        // Wake-ups that came meanwhile are all answered by one look at the queue.
        if listener.next_buffered().is_none() {
            let _ = tokio::time::timeout(PATIENCE, listener.recv())
                .await
                .map(Result::ok);
        }
        while listener.next_buffered().is_some() {}
    }
}

/// Assesses one batch; answers how many series it was.
pub async fn step(base: &Base) -> anyhow::Result<usize> {
    let terms = terms(&base.db).await?;
    let mut tx = base.db.begin().await?;
    let mut series = claim(&mut tx).await?;
    if series.is_empty() {
        queue_outdated(&mut tx, &terms).await?;
        series = claim(&mut tx).await?;
    }
    if series.is_empty() {
        return Ok(0);
    }
    // News of a new unit may still be on its way from identity: its series wait for it.
    let (series, early): (Vec<Key>, Vec<Key>) = series
        .into_iter()
        .partition(|series| base.directory.unit(series.1).is_some());
    queue(&mut tx, &early).await?;
    let bases = load(&mut tx, base, &series).await?;
    let assessed = compute(bases, terms.clone()).await?;
    keep(&mut tx, base.name, &assessed, &terms).await?;
    tx.commit().await?;
    Ok(series.len())
}

/// What holds for all series now.
pub async fn terms(db: &PgPool) -> anyhow::Result<Terms> {
    let threshold = threshold::current(db).await?;
    let rules = sqlx::query!(
        "SELECT frequency, valid_from, days_after FROM report_rule ORDER BY valid_from DESC"
    )
    .fetch_all(db)
    .await?;
    let due_days = rules.into_iter().filter_map(|rule| {
        let frequency = Frequency::from_str_name(&rule.frequency)?;
        Some((frequency, rule.valid_from, rule.days_after))
    });
    let new_years = sqlx::query_scalar!("SELECT date FROM new_year ORDER BY date");
    let now = Utc::now();
    Ok(Terms {
        now,
        today: city_date(now),
        thresholds: Thresholds {
            red_below: threshold.red_below,
            green_above: threshold.green_above,
        },
        thresholds_version: threshold.version,
        due_days: due_days.collect(),
        new_years: new_years.fetch_all(db).await?,
    })
}

/// Takes the series that wait longest. They stay locked until they are assessed, so that no second replica assesses
/// them with less, and who queues one again waits for that.
async fn claim(tx: &mut PgConnection) -> sqlx::Result<Vec<Key>> {
    let rows = sqlx::query!(
        "DELETE FROM recompute WHERE (indicator_id, unit_id) IN (
            SELECT indicator_id, unit_id FROM recompute ORDER BY create_time LIMIT $1 FOR UPDATE SKIP LOCKED)
        RETURNING indicator_id, unit_id",
        BATCH
    );
    let rows = rows.fetch_all(tx).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.indicator_id, row.unit_id))
        .collect())
}

/// Puts series back at the end of the queue.
async fn queue(tx: &mut PgConnection, series: &[Key]) -> sqlx::Result<()> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO recompute (indicator_id, unit_id, create_time)
        SELECT n.indicator_id, n.unit_id, clock_timestamp() FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, unit_id)
        ON CONFLICT DO NOTHING",
        &indicators,
        &units
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Queues what was assessed on an earlier day or by other thresholds: nothing else tells that a figure became late.
async fn queue_outdated(tx: &mut PgConnection, terms: &Terms) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO recompute (indicator_id, unit_id)
        SELECT indicator_id, unit_id FROM (
            (SELECT indicator_id, unit_id FROM assessment WHERE thresholds_version < $1
                ORDER BY thresholds_version LIMIT $3)
            UNION
            (SELECT indicator_id, unit_id FROM assessment WHERE city_date < $2 ORDER BY city_date LIMIT $3)) s
        ON CONFLICT DO NOTHING",
        terms.thresholds_version,
        terms.today,
        OUTDATED
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A series with what it rests on, and who may see it.
pub struct Loaded {
    /// What it rests on.
    pub basis: Basis,
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit that answers for the figure.
    pub responsible: Uuid,
    /// What kind of unit it is of.
    pub kind: UnitKind,
}

async fn load(tx: &mut PgConnection, base: &Base, series: &[Key]) -> anyhow::Result<Vec<Loaded>> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().copied().unzip();
    let rows = sqlx::query!(
        "SELECT id, payload FROM indicator WHERE id = ANY($1)",
        &indicators
    );
    let mut definitions = HashMap::new();
    for row in rows.fetch_all(&mut *tx).await? {
        definitions.insert(row.id, Indicator::decode(row.payload.as_slice())?);
    }
    let mut targets: HashMap<Key, Vec<Target>> = HashMap::new();
    let rows = sqlx::query!(
        "SELECT t.indicator_id, t.unit_id, t.payload
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        JOIN target t ON t.indicator_id = s.indicator_id AND t.unit_id = s.unit_id
        ORDER BY t.id",
        &indicators,
        &units
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let target = Target::decode(row.payload.as_slice())?;
        targets
            .entry((row.indicator_id, row.unit_id))
            .or_default()
            .push(target);
    }
    let mut history = history(tx, &indicators, &units).await?;

    let mut loaded = Vec::with_capacity(series.len());
    for key in series {
        // Its definition comes later, and queues it again.
        let Some(indicator) = definitions.get(&key.0).cloned() else {
            continue;
        };
        let unit = base.directory.unit(key.1);
        let kind = unit
            .as_ref()
            .map_or(UnitKind::Unspecified, |unit| unit.kind);
        let owner = indicator.owner_unit_id.parse().context("owner_unit_id")?;
        // A year's total printed beside the months of a monthly indicator is no point of its series.
        let mut history = history.remove(key).unwrap_or_default();
        history.retain(|figure| {
            Period::try_from(&figure.period).is_ok_and(|p| p.frequency() == indicator.frequency())
        });
        let by_owner = matches!(kind, UnitKind::City | UnitKind::Country);
        loaded.push(Loaded {
            indicator_id: key.0,
            responsible: if by_owner { owner } else { key.1 },
            kind,
            basis: Basis {
                indicator,
                unit_id: key.1,
                reported_since: unit
                    .filter(|_| kind != UnitKind::Country)
                    .map(|unit| unit.valid_from),
                targets: targets.remove(key).unwrap_or_default(),
                history,
            },
        });
    }
    Ok(loaded)
}

/// The best known figures of series, oldest first.
async fn history(
    tx: &mut PgConnection,
    indicators: &[Uuid],
    units: &[Uuid],
) -> anyhow::Result<HashMap<Key, Vec<Observation>>> {
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (o.indicator_id, o.unit_id, o.period_index) o.indicator_id, o.unit_id, o.payload
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        JOIN observation o ON o.indicator_id = s.indicator_id AND o.unit_id = s.unit_id
        ORDER BY o.indicator_id, o.unit_id, o.period_index, o.vintage DESC, o.known_time DESC, o.id DESC",
        indicators,
        units
    );
    let mut history: HashMap<Key, Vec<Observation>> = HashMap::new();
    for row in rows.fetch_all(tx).await? {
        let figure = Observation::decode(row.payload.as_slice())?;
        history
            .entry((row.indicator_id, row.unit_id))
            .or_default()
            .push(figure);
    }
    Ok(history)
}

/// Assesses on all processors, away from the threads that serve.
async fn compute(loaded: Vec<Loaded>, terms: Terms) -> anyhow::Result<Vec<(Loaded, Assessed)>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shares: Vec<Vec<Loaded>> = (0..threads).map(|_| Vec::new()).collect();
    for (at, series) in loaded.into_iter().enumerate() {
        shares[at % threads].push(series);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for share in shares.into_iter().filter(|share| !share.is_empty()) {
        let terms = terms.clone();
        tasks.spawn_blocking(move || {
            let assessed = share.into_iter().map(|series| {
                let assessed = assess(&series.basis, &terms);
                (series, assessed)
            });
            assessed.collect::<Vec<_>>()
        });
    }
    let mut all = Vec::new();
    while let Some(share) = tasks.join_next().await {
        all.extend(share.context("assessing panicked")?);
    }
    Ok(all)
}
