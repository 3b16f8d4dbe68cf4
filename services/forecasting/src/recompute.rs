//! The worker: assesses queued series anew, in batches, as soon as something wakes it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::Context;
use chassis::{Base, calendar::city_date};
use chrono::Utc;
use prost::Message;
use proto::{forecasting::v1 as pb, identity::v1::UnitKind};
use sqlx::{PgConnection, PgPool, Postgres, Transaction, postgres::PgListener};
use uuid::Uuid;

use crate::{
    accuracy, add_up,
    assess::{Basis, Terms, assess},
    copy::WAKE,
    keep::keep,
    lineage,
    load::{Key, Loaded, load},
    model::Thresholds,
    prediction::{self, Prediction},
    threshold,
};

/// Raised when the same figures come to be assessed otherwise: what was made before is made anew.
pub const MODEL_VERSION: i16 = 4;

/// Series assessed in one transaction at most: what waits behind one of them waits no longer than that.
const BATCH: i64 = 64;
/// Outdated series queued at once at most.
const OUTDATED: i64 = 512;
/// Series whose past is forecast at once: what waits behind them waits no longer than that.
const HINDCAST_BATCH: i64 = 4;
/// After so many failures a series is set aside, as the queries and the index say.
const ATTEMPTS: i16 = 3;
/// How long a missed wake-up may go unnoticed, and how late a new day is seen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Assesses what is queued until the service stops; failures of the database are waited out.
pub async fn work(base: Base) -> anyhow::Result<()> {
    let mut is_new = true;
    let mut lineages = lineage::Seen::default();
    loop {
        if let Err(error) = watch(&base, &mut is_new, &mut lineages).await {
            tracing::warn!(error = format!("{error:#}"), "assessing was interrupted");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn watch(base: &Base, is_new: &mut bool, lineages: &mut lineage::Seen) -> anyhow::Result<()> {
    let mut listener = PgListener::connect_with(&base.db).await?;
    listener.listen(WAKE).await?;
    if *is_new {
        // What was set aside may be no trouble to a new release.
        sqlx::query!("UPDATE recompute SET attempts = 0 WHERE attempts > 0")
            .execute(&base.db)
            .await?;
        *is_new = false;
    }
    loop {
        queue_units(&base.db, lineages.changed(&base.directory)).await?;
        drain(base).await?;
        // Wake-ups that came meanwhile are all answered by one look at the queue.
        if listener.next_buffered().is_none() {
            let _ = tokio::time::timeout(PATIENCE, listener.recv())
                .await
                .map(Result::ok);
        }
        while listener.next_buffered().is_some() {}
    }
}

/// Assesses until nothing is left to do. While much waits two batches are under way, so that one has the processors
/// while the database has the other.
async fn drain(base: &Base) -> anyhow::Result<()> {
    let full = usize::try_from(BATCH)?;
    let lane = async || {
        while step(base).await? >= full {}
        anyhow::Ok(())
    };
    loop {
        match step(base).await? {
            0 => return Ok(()),
            count if count >= full => {
                tokio::try_join!(lane(), lane())?;
            }
            _ => {}
        }
    }
}

/// Begins work on many series. Plans made while tables were small would be kept through an import of a whole city: here
/// each statement is planned for what it finds.
pub async fn begin(db: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = db.begin().await?;
    sqlx::query("SET LOCAL plan_cache_mode = force_custom_plan")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// Assesses one batch, or if that fails each of its series by itself; answers how many series it was.
pub async fn step(base: &Base) -> anyhow::Result<usize> {
    let terms = terms(&base.db).await?;
    let mut tx = begin(&base.db).await?;
    add_up::hold_off(&mut tx).await?;
    let mut series = claim(&mut tx, None).await?;
    if series.is_empty() {
        queue_outdated(&mut tx, base, &terms).await?;
        series = claim(&mut tx, None).await?;
    }
    if series.is_empty() {
        tx.commit().await?;
        return match add_up::step(&base.db).await? {
            0 => hindcast(base, &terms).await,
            count => Ok(count),
        };
    }
    // News of a new unit may still be on its way from identity: its series wait for it.
    let (series, early): (Vec<Key>, Vec<Key>) = series
        .into_iter()
        .partition(|series| base.directory.unit(series.1).is_some());
    put_back(&mut tx, &early).await?;
    match renew(&mut tx, base, &terms, &series).await {
        Ok(()) => tx.commit().await?,
        Err(error) => {
            tx.rollback().await?;
            tracing::warn!(error = format!("{error:#}"), "a batch was not assessed");
            for key in &series {
                alone(base, &terms, *key).await?;
            }
        }
    }
    Ok(series.len())
}

/// Forecasts the past of some series for which that was not done yet, as if at the time, once they have come to rest
/// after an import; answers how many series.
async fn hindcast(base: &Base, terms: &Terms) -> anyhow::Result<usize> {
    let mut tx = begin(&base.db).await?;
    let rows = sqlx::query!(
        "SELECT indicator_id, unit_id, forecast FROM assessment
        WHERE NOT is_hindcast AND update_time < now() - interval '3 seconds'
        ORDER BY update_time LIMIT $1 FOR UPDATE SKIP LOCKED",
        HINDCAST_BATCH
    );
    let mut forecasts = HashMap::new();
    for row in rows.fetch_all(&mut *tx).await? {
        let forecast = pb::Forecast::decode(row.forecast.as_slice())?;
        forecasts.insert((row.indicator_id, row.unit_id), forecast);
    }
    let keys: Vec<Key> = forecasts.keys().copied().collect();
    let loaded = load(&mut tx, base, &keys, terms.thresholds_version).await?;
    match on_all_processors(loaded, terms.clone(), prediction::hindcasts).await {
        Ok(made) => {
            let mut predictions: Vec<_> = made
                .iter()
                .flat_map(|(series, made)| made.iter().map(|one| (series.key(), one.clone())))
                .collect();
            // What stands was made at the time, if perhaps by a release that did not keep it yet.
            let newest = made.iter().filter_map(|(series, _)| {
                let forecast = forecasts.get(&series.key())?;
                let last = series.basis.history.last()?;
                Some((series.key(), Prediction::of(forecast, last, false)?))
            });
            predictions.extend(newest);
            prediction::keep(&mut tx, &predictions).await?;
            let renewed: Vec<_> = made
                .iter()
                .filter_map(|(series, _)| Some((series, forecasts.get(&series.key())?)))
                .collect();
            accuracy::renew(&mut tx, &renewed).await?;
        }
        // What fails once always fails: the same figures give the same forecast.
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the past was not forecast");
        }
    }
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    sqlx::query!(
        "UPDATE assessment SET is_hindcast = true
        WHERE (indicator_id, unit_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
        &indicators,
        &units
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(keys.len())
}

/// Assesses one series; a failure is counted.
async fn alone(base: &Base, terms: &Terms, key: Key) -> anyhow::Result<()> {
    let mut tx = begin(&base.db).await?;
    add_up::hold_off(&mut tx).await?;
    let series = claim(&mut tx, Some(key)).await?;
    let Err(error) = renew(&mut tx, base, terms, &series).await else {
        return Ok(tx.commit().await?);
    };
    tx.rollback().await?;
    let error = format!("{error:#}");
    let attempts = sqlx::query_scalar!(
        "UPDATE recompute SET attempts = attempts + 1, error = $3, create_time = clock_timestamp()
        WHERE indicator_id = $1 AND unit_id = $2 RETURNING attempts",
        key.0,
        key.1,
        error
    );
    let attempts = attempts.fetch_optional(&base.db).await?;
    let (indicator, unit) = (key.0.to_string(), key.1.to_string());
    if attempts.is_some_and(|attempts| attempts >= ATTEMPTS) {
        tracing::error!(indicator, unit, error, "a series was set aside");
    } else {
        tracing::warn!(indicator, unit, error, "a series was not assessed");
    }
    Ok(())
}

/// Assesses series anew, and forgets the assessments of those that are no more.
async fn renew(
    tx: &mut PgConnection,
    base: &Base,
    terms: &Terms,
    series: &[Key],
) -> anyhow::Result<()> {
    let bases = load(tx, base, series, terms.thresholds_version).await?;
    let known: HashSet<Key> = bases.iter().map(Loaded::key).collect();
    let gone = series.iter().filter(|key| !known.contains(key)).copied();
    forget(tx, gone.collect()).await?;
    let assessed = on_all_processors(bases, terms.clone(), assess).await?;
    keep(tx, base.name, &assessed, terms).await
}

async fn forget(tx: &mut PgConnection, series: Vec<Key>) -> sqlx::Result<()> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.into_iter().unzip();
    sqlx::query!(
        "WITH gone AS (SELECT * FROM unnest($1::uuid[], $2::uuid[])), accuracy AS (
            DELETE FROM accuracy WHERE (indicator_id, unit_id) IN (SELECT * FROM gone))
        DELETE FROM assessment WHERE (indicator_id, unit_id) IN (SELECT * FROM gone)",
        &indicators,
        &units
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What holds for all series now.
pub async fn terms(db: &PgPool) -> anyhow::Result<Terms> {
    let threshold = threshold::current(db).await?;
    let now = Utc::now();
    Ok(Terms {
        now,
        today: city_date(now),
        thresholds: Thresholds {
            red_below: threshold.red_below,
            green_above: threshold.green_above,
            margin: threshold.margin,
        },
        thresholds_version: threshold.version,
    })
}

/// Takes the series that wait longest, or a certain one if it still waits. They stay locked until they are assessed, so
/// that no second replica assesses them with less, and who queues one again waits for that.
async fn claim(tx: &mut PgConnection, one: Option<Key>) -> sqlx::Result<Vec<Key>> {
    let rows = sqlx::query!(
        // By the rows' places: joined by their keys, the whole queue would be read for each batch.
        "DELETE FROM recompute WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM recompute
            WHERE attempts < 3 AND ($2::uuid IS NULL OR (indicator_id = $2 AND unit_id = $3))
            ORDER BY create_time LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING indicator_id, unit_id",
        BATCH,
        one.map(|key| key.0),
        one.map(|key| key.1)
    );
    let rows = rows.fetch_all(tx).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.indicator_id, row.unit_id))
        .collect())
}

/// Puts series that were taken at the end of the queue. Nothing else, for what another lane has taken would be waited for.
async fn put_back(tx: &mut PgConnection, series: &[Key]) -> sqlx::Result<()> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO recompute (indicator_id, unit_id, create_time)
        SELECT n.indicator_id, n.unit_id, clock_timestamp()
        FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, unit_id)",
        &indicators,
        &units
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Puts series at the end of the queue, and what is calculated from them.
pub async fn queue(tx: &mut PgConnection, series: &[Key]) -> sqlx::Result<()> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO recompute (indicator_id, unit_id, create_time)
        SELECT s.indicator_id, s.unit_id, clock_timestamp() FROM (
            SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, unit_id)
            UNION
            SELECT p.whole_id, n.unit_id FROM unnest($1::uuid[], $2::uuid[]) AS n (indicator_id, unit_id)
            JOIN wholes_above($1) p ON p.root_id = n.indicator_id) s
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING",
        &indicators,
        &units
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Queues for units all series that these have: each unit beside one whose series it may have.
async fn queue_units(db: &PgPool, units: Vec<(Uuid, Uuid)>) -> sqlx::Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    let (old, new): (Vec<Uuid>, Vec<Uuid>) = units.into_iter().unzip();
    sqlx::query!(
        "INSERT INTO recompute (indicator_id, unit_id)
        SELECT DISTINCT a.indicator_id, n.new FROM unnest($1::uuid[], $2::uuid[]) AS n (old, new)
        JOIN assessment a ON a.unit_id = n.old ORDER BY 1, 2
        ON CONFLICT DO NOTHING",
        &old,
        &new
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Queues what was assessed on an earlier day, by other thresholds or by another model, for nothing else tells that a
/// figure became late; and what is on the board though its unit ended meanwhile, or is not though it exists. With it goes
/// what came from it.
async fn queue_outdated(tx: &mut PgConnection, base: &Base, terms: &Terms) -> sqlx::Result<()> {
    let (mut ended, mut existing) = (Vec::new(), Vec::new());
    for unit in base.directory.units() {
        if unit.has_ended_by(terms.today) {
            ended.push(unit.id);
        } else if unit.is_valid_on(terms.today) && unit.kind != UnitKind::Country {
            existing.push(unit.id);
        }
    }
    let (old, new): (Vec<Uuid>, Vec<Uuid>) = lineage::heirs(&base.directory).into_iter().unzip();
    sqlx::query!(
        "WITH outdated AS (
            (SELECT indicator_id, unit_id FROM assessment a WHERE thresholds_version < $1 AND NOT EXISTS (
                SELECT FROM recompute r WHERE r.indicator_id = a.indicator_id AND r.unit_id = a.unit_id)
                ORDER BY thresholds_version LIMIT $3)
            UNION
            (SELECT indicator_id, unit_id FROM assessment a WHERE model_version < $4 AND NOT EXISTS (
                SELECT FROM recompute r WHERE r.indicator_id = a.indicator_id AND r.unit_id = a.unit_id)
                ORDER BY model_version LIMIT $3)
            UNION
            (SELECT indicator_id, unit_id FROM assessment a WHERE unit_id = ANY($5) AND item IS NOT NULL AND NOT EXISTS (
                SELECT FROM recompute r WHERE r.indicator_id = a.indicator_id AND r.unit_id = a.unit_id)
                LIMIT $3)
            UNION
            (SELECT indicator_id, unit_id FROM assessment a WHERE unit_id = ANY($6) AND item IS NULL AND NOT EXISTS (
                SELECT FROM recompute r WHERE r.indicator_id = a.indicator_id AND r.unit_id = a.unit_id)
                LIMIT $3)
            UNION
            (SELECT indicator_id, unit_id FROM assessment a WHERE city_date < $2 AND NOT EXISTS (
                SELECT FROM recompute r WHERE r.indicator_id = a.indicator_id AND r.unit_id = a.unit_id)
                ORDER BY city_date LIMIT $3))
        INSERT INTO recompute (indicator_id, unit_id)
        SELECT indicator_id, unit_id FROM outdated
        UNION SELECT o.indicator_id, n.new FROM outdated o
            JOIN unnest($7::uuid[], $8::uuid[]) AS n (old, new) ON n.old = o.unit_id
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING",
        terms.thresholds_version,
        terms.today,
        OUTDATED,
        MODEL_VERSION,
        &ended,
        &existing,
        &old,
        &new
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Does the arithmetic of series on all processors, away from the threads that serve.
async fn on_all_processors<T: Send + 'static>(
    loaded: Vec<Loaded>,
    terms: Terms,
    work: fn(&Basis, &Terms) -> T,
) -> anyhow::Result<Vec<(Loaded, T)>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shares: Vec<Vec<Loaded>> = (0..threads).map(|_| Vec::new()).collect();
    for (at, series) in loaded.into_iter().enumerate() {
        shares[at % threads].push(series);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for share in shares.into_iter().filter(|share| !share.is_empty()) {
        let terms = terms.clone();
        tasks.spawn_blocking(move || {
            let done = share.into_iter().map(|series| {
                let result = work(&series.basis, &terms);
                (series, result)
            });
            done.collect::<Vec<_>>()
        });
    }
    let mut all = Vec::new();
    while let Some(share) = tasks.join_next().await {
        all.extend(share.context("arithmetic panicked")?);
    }
    Ok(all)
}
