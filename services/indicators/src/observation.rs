//! Reported figures. Rows are only ever added; which of them counts is decided when reading.

use chassis::{Caller, Directory, calendar::city_date};
use chrono::{DateTime, TimeDelta, Utc};
use proto::{identity::v1::UnitKind, indicators::v1 as pb, period::Period};
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{catalogue::Catalogue, duty, error::Error, parse, reach::Reach, target::demand_scope};

/// A figure.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Its id.
    pub id: Uuid,
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit.
    pub unit_id: Uuid,
    /// The period it is about.
    pub period: String,
    /// The period's index.
    pub period_index: i32,
    /// How final, as the number of the contract's enum.
    pub vintage: i16,
    /// The value.
    pub value: Decimal,
    /// When it became known.
    pub known_time: DateTime<Utc>,
    /// Where it comes from.
    pub source: String,
    /// Made up for demonstration.
    pub illustrative: bool,
}

impl From<&Observation> for pb::Observation {
    fn from(observation: &Observation) -> Self {
        Self {
            id: observation.id.to_string(),
            indicator_id: observation.indicator_id.to_string(),
            unit_id: observation.unit_id.to_string(),
            period: Some(proto::calendar::v1::Period {
                code: observation.period.clone(),
            }),
            vintage: observation.vintage.into(),
            value: observation.value.to_string(),
            known_time: Some(chassis::parse::timestamp(observation.known_time)),
            source: observation.source.clone(),
            illustrative: observation.illustrative,
        }
    }
}

/// A figure to be recorded.
#[derive(Clone, Debug)]
pub struct Record {
    /// The figure; its time counts only if `is_time_known`.
    pub observation: Observation,
    /// When it became known is stated, rather than now.
    pub is_time_known: bool,
    /// Its period is of the indicator's frequency, not a longer one.
    pub is_of_series: bool,
    /// The indicator's owner answers for it.
    pub by_owner: bool,
    /// The submission that it comes from.
    pub submission_id: Option<Uuid>,
}

impl Record {
    /// Reads a figure that the caller may publish.
    pub fn read(
        caller: &Caller,
        directory: &Directory,
        catalogue: &Catalogue,
        message: &pb::Observation,
    ) -> Result<Self, Error> {
        let indicator = catalogue.get("indicator_id", &message.indicator_id)?;
        let (unit_id, by_owner) = parse::unit(directory, "unit_id", &message.unit_id)?;
        demand_scope(
            caller,
            "indicators.publish",
            unit_id,
            indicator.responsible(unit_id, by_owner),
            &indicator.field_code,
        )?;
        let period = parse::period("period", &message.period)?;
        indicator.demand_no_finer("period", period)?;
        parse::demand_begun("period", period, city_date(Utc::now()))?;
        parse::demand_lasting("period", directory, unit_id, period)?;
        let is_of_series = period.frequency() == indicator.frequency();
        let value = parse::decimal("value", &message.value)?;
        let unit = directory.unit(unit_id);
        // What is plausible is said of the city and its units.
        if is_of_series && unit.is_none_or(|unit| unit.kind != UnitKind::Country) {
            indicator.demand_plausible("value", value)?;
        }
        let known_time = parse::optional_time("known_time", message.known_time)?;
        if known_time.is_some_and(|time| time > Utc::now() + TimeDelta::minutes(1)) {
            return Err(Error::invalid(
                "known_time",
                "không được ở tương lai",
                "must not be in the future",
            ));
        }
        parse::name("vintage", message.vintage, pb::Vintage::as_str_name)?;
        Ok(Self {
            observation: Observation {
                id: Uuid::now_v7(),
                indicator_id: indicator.id,
                unit_id,
                period: period.to_string(),
                period_index: period.index(),
                vintage: i16::try_from(message.vintage).unwrap_or_default(),
                value,
                known_time: known_time.unwrap_or_else(Utc::now),
                source: parse::text("source", &message.source, 0, 1000)?.to_owned(),
                illustrative: message.illustrative,
            },
            is_time_known: known_time.is_some(),
            is_of_series,
            by_owner,
            submission_id: None,
        })
    }
}

/// Records figures with one statement, and moves the duties on; answers those that are new.
///
/// A figure is not new when the same value of the same vintage became known at the same time, or, without a stated
/// time, when it is the last known value of its vintage.
pub async fn record(
    tx: &mut PgConnection,
    directory: &Directory,
    records: &[Record],
    actor: &str,
) -> Result<Vec<Observation>, Error> {
    let mut columns = Columns::default();
    records.iter().for_each(|record| columns.push(record));
    let added = sqlx::query_as!(
        Observation,
        "INSERT INTO observation (id, indicator_id, unit_id, by_owner, period, period_index, vintage, value, known_time,
            source, illustrative, submission_id, actor)
        SELECT f.id, f.indicator_id, f.unit_id, f.by_owner, f.period, f.period_index, f.vintage, f.value,
            coalesce(f.known_time, now()), f.source, f.illustrative, f.submission_id, $13
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::text[], $6::integer[], $7::smallint[],
            $8::numeric[], $9::timestamptz[], $10::text[], $11::boolean[], $12::uuid[])
            AS f (id, indicator_id, unit_id, by_owner, period, period_index, vintage, value, known_time, source,
                illustrative, submission_id)
        WHERE f.known_time IS NOT NULL OR f.value IS DISTINCT FROM (SELECT o.value FROM observation o
            WHERE o.indicator_id = f.indicator_id AND o.unit_id = f.unit_id AND o.period_index = f.period_index
                AND o.vintage = f.vintage
            ORDER BY o.known_time DESC, o.id DESC LIMIT 1)
        ON CONFLICT (indicator_id, unit_id, period_index, vintage, known_time, value) DO NOTHING
        RETURNING id, indicator_id, unit_id, period, period_index, vintage, value, known_time, source, illustrative",
        &columns.ids,
        &columns.indicator_ids,
        &columns.unit_ids,
        &columns.by_owner,
        &columns.periods,
        &columns.period_indexes,
        &columns.vintages,
        &columns.values,
        &columns.known_times as &[Option<DateTime<Utc>>],
        &columns.sources,
        &columns.illustrative,
        &columns.submission_ids as &[Option<Uuid>],
        actor
    )
    .fetch_all(&mut *tx)
    .await?;
    duty::begin(tx, directory, &columns.starts).await?;
    Ok(added)
}

/// Records turned into the arrays that one statement takes.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    indicator_ids: Vec<Uuid>,
    unit_ids: Vec<Uuid>,
    by_owner: Vec<bool>,
    periods: Vec<String>,
    period_indexes: Vec<i32>,
    vintages: Vec<i16>,
    values: Vec<Decimal>,
    known_times: Vec<Option<DateTime<Utc>>>,
    sources: Vec<String>,
    illustrative: Vec<bool>,
    submission_ids: Vec<Option<Uuid>>,
    starts: Vec<duty::Start>,
}

impl Columns {
    fn push(&mut self, record: &Record) {
        let figure = &record.observation;
        self.ids.push(figure.id);
        self.indicator_ids.push(figure.indicator_id);
        self.unit_ids.push(figure.unit_id);
        self.by_owner.push(record.by_owner);
        self.periods.push(figure.period.clone());
        self.period_indexes.push(figure.period_index);
        self.vintages.push(figure.vintage);
        self.values.push(figure.value);
        let time = record.is_time_known.then_some(figure.known_time);
        self.known_times.push(time);
        self.sources.push(figure.source.clone());
        self.illustrative.push(figure.illustrative);
        self.submission_ids.push(record.submission_id);
        if record.is_of_series {
            self.starts.push(duty::Start {
                indicator_id: figure.indicator_id,
                unit_id: figure.unit_id,
                by_owner: record.by_owner,
                index: figure.period_index,
            });
        }
    }
}

/// Which figures are read.
#[derive(Clone, Debug)]
pub struct Filter {
    indicator_id: Option<Uuid>,
    unit_id: Option<Uuid>,
    from: Option<Period>,
    as_known_at: Option<DateTime<Utc>>,
}

impl Filter {
    /// Reads what a request asks for.
    pub fn read(request: &pb::ListObservationsRequest) -> Result<Self, Error> {
        Ok(Self {
            indicator_id: parse::optional_id("indicator_id", &request.indicator_id)?,
            unit_id: parse::optional_id("unit_id", &request.unit_id)?,
            from: match &request.from {
                None => None,
                some => Some(parse::period("from", some)?),
            },
            as_known_at: parse::optional_time("as_known_at", request.as_known_at)?,
        })
    }
}

/// The last row of the page before: indicator, unit, period; then time and id when every version is listed.
pub type After = (Uuid, Uuid, i32, DateTime<Utc>, Uuid);

/// The best known figure of each period within reach, by indicator, unit and period.
pub async fn list_best(
    db: impl PgExecutor<'_>,
    reach: &Reach,
    filter: &Filter,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<Observation>, Error> {
    let figures = sqlx::query_as!(
        Observation,
        "SELECT DISTINCT ON (o.indicator_id, o.unit_id, o.period_index) o.id, o.indicator_id, o.unit_id, o.period,
            o.period_index, o.vintage, o.value, o.known_time, o.source, o.illustrative
        FROM observation o JOIN indicator i ON i.id = o.indicator_id
        WHERE ($1 OR o.unit_id = ANY($2) OR o.indicator_id = ANY($3) OR (o.by_owner AND o.indicator_id = ANY($13)))
            AND ($4::uuid IS NULL OR o.indicator_id = $4)
            AND ($5::uuid IS NULL OR o.unit_id = $5)
            AND ($6::integer IS NULL OR (o.period_index >= $6 AND i.frequency = $7))
            AND ($8::timestamptz IS NULL OR o.known_time <= $8)
            AND ($9::uuid IS NULL OR (o.indicator_id, o.unit_id, o.period_index) > ($9, $10, $11))
        ORDER BY o.indicator_id, o.unit_id, o.period_index, o.vintage DESC, o.known_time DESC, o.id DESC LIMIT $12",
        reach.all,
        &reach.units,
        &reach.of_fields,
        filter.indicator_id,
        filter.unit_id,
        filter.from.map(Period::index),
        filter.from.map(|from| from.frequency().as_str_name()),
        filter.as_known_at,
        after.map(|key| key.0),
        after.map(|key| key.1),
        after.map(|key| key.2),
        limit,
        &reach.owned
    );
    Ok(figures.fetch_all(db).await?)
}

/// All figures within reach, by indicator, unit, period and when they became known.
pub async fn list_all(
    db: impl PgExecutor<'_>,
    reach: &Reach,
    filter: &Filter,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<Observation>, Error> {
    let figures = sqlx::query_as!(
        Observation,
        "SELECT o.id, o.indicator_id, o.unit_id, o.period, o.period_index, o.vintage, o.value, o.known_time, o.source,
            o.illustrative
        FROM observation o JOIN indicator i ON i.id = o.indicator_id
        WHERE ($1 OR o.unit_id = ANY($2) OR o.indicator_id = ANY($3) OR (o.by_owner AND o.indicator_id = ANY($15)))
            AND ($4::uuid IS NULL OR o.indicator_id = $4)
            AND ($5::uuid IS NULL OR o.unit_id = $5)
            AND ($6::integer IS NULL OR (o.period_index >= $6 AND i.frequency = $7))
            AND ($8::timestamptz IS NULL OR o.known_time <= $8)
            AND ($9::uuid IS NULL
                OR (o.indicator_id, o.unit_id, o.period_index, o.known_time, o.id) > ($9, $10, $11, $12, $13))
        ORDER BY o.indicator_id, o.unit_id, o.period_index, o.known_time, o.id LIMIT $14",
        reach.all,
        &reach.units,
        &reach.of_fields,
        filter.indicator_id,
        filter.unit_id,
        filter.from.map(Period::index),
        filter.from.map(|from| from.frequency().as_str_name()),
        filter.as_known_at,
        after.map(|key| key.0),
        after.map(|key| key.1),
        after.map(|key| key.2),
        after.map(|key| key.3),
        after.map(|key| key.4),
        limit,
        &reach.owned
    );
    Ok(figures.fetch_all(db).await?)
}

/// The best known values of one indicator of one unit in these periods, by period.
pub async fn values(
    db: impl PgExecutor<'_>,
    indicator_id: Uuid,
    unit_id: Uuid,
    period_indexes: &[i32],
) -> Result<Vec<(i32, Decimal)>, Error> {
    let values = sqlx::query!(
        "SELECT DISTINCT ON (period_index) period_index, value FROM observation
        WHERE indicator_id = $1 AND unit_id = $2 AND period_index = ANY($3)
        ORDER BY period_index, vintage DESC, known_time DESC, id DESC",
        indicator_id,
        unit_id,
        period_indexes
    );
    let values = values.fetch_all(db).await?;
    Ok(values
        .into_iter()
        .map(|row| (row.period_index, row.value))
        .collect())
}
