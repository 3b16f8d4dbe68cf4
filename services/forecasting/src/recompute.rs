//! The worker: assesses queued series anew, in batches, as soon as something wakes it.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use chassis::{
    Base,
    directory::city_date,
    events::{self, Fact},
};
use chrono::{NaiveDate, Utc};
use prost::Message;
use proto::{
    calendar::v1::Frequency,
    forecasting::v1 as pb,
    identity::v1::UnitKind,
    indicators::v1::{Indicator, Observation, Target},
    period::Period,
};
use sqlx::{PgConnection, PgPool, postgres::PgListener};
use uuid::Uuid;

use crate::{
    assess::{Assessed, Basis, Terms, assess},
    copy::WAKE,
    model::Thresholds,
    threshold,
};

/// Series assessed in one transaction at most: what waits behind one of them waits no longer than that.
const BATCH: i64 = 64;
/// Outdated series queued at once at most.
const OUTDATED: i64 = 512;
/// How long a missed wake-up may go unnoticed, and how late a new day is seen.
const PATIENCE: Duration = Duration::from_secs(15);

type Key = (Uuid, Uuid);

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
    let bases = load(&mut tx, base, &series).await?;
    let assessed = compute(bases, terms.clone()).await?;
    write(&mut tx, base, &assessed, &terms).await?;
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
struct Loaded {
    basis: Basis,
    indicator_id: Uuid,
    responsible: Uuid,
    kind: UnitKind,
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
        let kind = base
            .directory
            .unit(key.1)
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
                is_reported: kind != UnitKind::Country,
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

/// Keeps assessments, and states those that changed.
async fn write(
    tx: &mut PgConnection,
    base: &Base,
    assessed: &[(Loaded, Assessed)],
    terms: &Terms,
) -> anyhow::Result<()> {
    let mut columns = Columns::default();
    for (series, assessed) in assessed {
        columns.push(series, assessed);
    }
    let before = before(tx, &columns).await?;
    columns
        .upsert(tx, terms.today, terms.thresholds_version, terms.now)
        .await?;

    let mut changes: Vec<(&Loaded, pb::RiskChanged)> = Vec::new();
    for (series, assessed) in assessed
        .iter()
        .filter(|(series, one)| is_listed(series, one))
    {
        let standing = Standing::of(assessed);
        let earlier = before.get(&(series.indicator_id, series.basis.unit_id));
        if earlier != Some(&standing) {
            let status = earlier.map(|earlier| i32::from(earlier.status));
            changes.push((
                series,
                pb::RiskChanged {
                    item: Some(assessed.item.clone()),
                    status_before: status.unwrap_or_default(),
                },
            ));
        }
    }
    let facts = changes.iter().map(|(series, message)| {
        let unit_id = series.basis.unit_id;
        let mut unit_ids = vec![unit_id, series.responsible];
        unit_ids.dedup();
        Fact {
            subject: format!("series/{}/{unit_id}", series.indicator_id),
            unit_ids,
            field_code: Some(series.basis.indicator.field_code.clone()),
            actor: base.name.to_owned(),
            message,
        }
    });
    events::publish_all(tx, facts).await?;
    Ok(())
}

/// Figures of the whole country are on the board only where somebody set a target for them.
fn is_listed(series: &Loaded, assessed: &Assessed) -> bool {
    series.kind != UnitKind::Country || !assessed.forecast.assessments.is_empty()
}

/// What must change before an assessment is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    status: i16,
    probability_rank: i32,
    last_observation_id: Option<Uuid>,
}

impl Standing {
    fn of(assessed: &Assessed) -> Self {
        let last = assessed.item.last_observation.as_ref();
        Self {
            status: i16::try_from(assessed.item.status).unwrap_or_default(),
            probability_rank: assessed.rank.1,
            last_observation_id: last.and_then(|figure| figure.id.parse().ok()),
        }
    }
}

async fn before(tx: &mut PgConnection, columns: &Columns) -> sqlx::Result<HashMap<Key, Standing>> {
    let rows = sqlx::query!(
        "SELECT a.indicator_id, a.unit_id, a.status, a.probability_rank, a.last_observation_id
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        JOIN assessment a ON a.indicator_id = s.indicator_id AND a.unit_id = s.unit_id",
        &columns.indicator_ids,
        &columns.unit_ids
    );
    let standing = rows.fetch_all(tx).await?.into_iter().map(|row| {
        (
            (row.indicator_id, row.unit_id),
            Standing {
                status: row.status,
                probability_rank: row.probability_rank,
                last_observation_id: row.last_observation_id,
            },
        )
    });
    Ok(standing.collect())
}

/// Assessments turned into the arrays that one statement takes.
#[derive(Default)]
struct Columns {
    indicator_ids: Vec<Uuid>,
    unit_ids: Vec<Uuid>,
    responsible: Vec<Uuid>,
    fields: Vec<String>,
    is_local: Vec<bool>,
    statuses: Vec<i16>,
    status_ranks: Vec<i16>,
    probability_ranks: Vec<i32>,
    gap_ranks: Vec<i64>,
    last_observations: Vec<Option<Uuid>>,
    forecasts: Vec<Vec<u8>>,
    items: Vec<Option<Vec<u8>>>,
}

impl Columns {
    fn push(&mut self, series: &Loaded, assessed: &Assessed) {
        let standing = Standing::of(assessed);
        self.indicator_ids.push(series.indicator_id);
        self.unit_ids.push(series.basis.unit_id);
        self.responsible.push(series.responsible);
        self.fields.push(series.basis.indicator.field_code.clone());
        self.is_local.push(matches!(
            series.kind,
            UnitKind::District | UnitKind::Ward | UnitKind::Commune | UnitKind::SpecialZone
        ));
        self.statuses.push(standing.status);
        self.status_ranks.push(assessed.rank.0);
        self.probability_ranks.push(assessed.rank.1);
        self.gap_ranks.push(assessed.rank.2);
        self.last_observations.push(standing.last_observation_id);
        self.forecasts.push(assessed.forecast.encode_to_vec());
        let item = is_listed(series, assessed).then(|| assessed.item.encode_to_vec());
        self.items.push(item);
    }

    async fn upsert(
        &self,
        tx: &mut PgConnection,
        today: NaiveDate,
        thresholds_version: i32,
        now: chrono::DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "INSERT INTO assessment (indicator_id, unit_id, responsible_unit_id, field_code, is_local, status,
                status_rank, probability_rank, gap_rank, last_observation_id, thresholds_version, city_date,
                update_time, forecast, item)
            SELECT n.indicator_id, n.unit_id, n.responsible_unit_id, n.field_code, n.is_local, n.status, n.status_rank,
                n.probability_rank, n.gap_rank, n.last_observation_id, $13, $14, $15, n.forecast, n.item
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::smallint[], $7::smallint[],
                $8::integer[], $9::bigint[], $10::uuid[], $11::bytea[], $12::bytea[])
                AS n (indicator_id, unit_id, responsible_unit_id, field_code, is_local, status, status_rank,
                    probability_rank, gap_rank, last_observation_id, forecast, item)
            ON CONFLICT (indicator_id, unit_id) DO UPDATE SET responsible_unit_id = excluded.responsible_unit_id,
                field_code = excluded.field_code, is_local = excluded.is_local, status = excluded.status,
                status_rank = excluded.status_rank, probability_rank = excluded.probability_rank,
                gap_rank = excluded.gap_rank, last_observation_id = excluded.last_observation_id,
                thresholds_version = excluded.thresholds_version, city_date = excluded.city_date,
                update_time = excluded.update_time, forecast = excluded.forecast, item = excluded.item",
            &self.indicator_ids,
            &self.unit_ids,
            &self.responsible,
            &self.fields,
            &self.is_local,
            &self.statuses,
            &self.status_ranks,
            &self.probability_ranks,
            &self.gap_ranks,
            &self.last_observations as &[Option<Uuid>],
            &self.forecasts,
            &self.items as &[Option<Vec<u8>>],
            thresholds_version,
            today,
            now
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}
