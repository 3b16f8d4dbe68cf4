//! What was forecast after each figure, kept to be held against what came.

use std::collections::HashMap;

use proto::{forecasting::v1 as pb, indicators::v1::Observation, period::Period};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    assess::{Basis, Terms, assess},
    load::Key,
};

/// How many predictions of a series are held against what came: three years of monthly ones.
const REMEMBERED: i64 = 36;
/// Periods ahead that are kept.
pub const STEPS: usize = 12;
/// How many past figures of a new series are forecast from afterwards.
const HINDCASTS: usize = 24;

/// A forecast as it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The period of the last figure that it knew.
    pub origin: Period,
    /// Made afterwards, as if at the time.
    pub is_hindcast: bool,
    /// The expected values of the periods after it.
    pub mean: Vec<f64>,
    /// The ends of their 80 % intervals.
    pub range80: Vec<(f64, f64)>,
    /// The ends of their 95 % intervals.
    pub range95: Vec<(f64, f64)>,
    /// The targets open then, and the probability of meeting each.
    pub chances: Vec<(Uuid, f64)>,
}

impl Prediction {
    /// What a forecast says of the future after the last figure that it knew; nothing if it says nothing.
    #[must_use]
    pub fn of(forecast: &pb::Forecast, last: &Observation, is_hindcast: bool) -> Option<Self> {
        let origin = Period::try_from(&last.period).ok()?;
        // As shown, rounded to the indicator's places.
        let read = |value: fn(&pb::ForecastPoint) -> &String| -> Option<Vec<f64>> {
            forecast
                .points
                .iter()
                .take(STEPS)
                .map(|point| value(point).parse().ok())
                .collect()
        };
        let zip = |low: Vec<f64>, high| low.into_iter().zip(high).collect();
        let chance = |assessment: &pb::Assessment| {
            let target = assessment.target.as_ref()?;
            Some((target.id.parse().ok()?, assessment.probability?))
        };
        let mean = read(|point| &point.mean)?;
        (!mean.is_empty()).then_some(())?;
        Some(Self {
            origin,
            is_hindcast,
            mean,
            range80: zip(read(|point| &point.low80)?, read(|point| &point.high80)?),
            range95: zip(read(|point| &point.low95)?, read(|point| &point.high95)?),
            chances: forecast.assessments.iter().filter_map(chance).collect(),
        })
    }
}

/// What would have been forecast after each of the last figures but the newest, by what they are known to be now.
#[must_use]
pub fn hindcasts(basis: &Basis, terms: &Terms) -> Vec<Prediction> {
    let period = |figure: &Observation| Period::try_from(&figure.period).ok();
    let origins = basis.history.iter().rev().skip(1).take(HINDCASTS);
    let made = origins.filter_map(|last| {
        let origin = period(last)?;
        let as_of = basis.until(origin);
        let due = chrono::TimeDelta::days(i64::from(basis.indicator.report_days));
        let terms = Terms {
            today: origin.last_day() + due,
            ..terms.clone()
        };
        Prediction::of(&assess(&as_of, &terms).forecast, last, true)
    });
    made.collect()
}

/// A prediction as it is stored.
struct Row {
    indicator_id: Uuid,
    unit_id: Uuid,
    origin: String,
    is_hindcast: bool,
    mean: Vec<f64>,
    low80: Vec<f64>,
    high80: Vec<f64>,
    low95: Vec<f64>,
    high95: Vec<f64>,
    target_ids: Vec<Uuid>,
    probabilities: Vec<f64>,
}

impl Row {
    fn prediction(self) -> Option<Prediction> {
        Some(Prediction {
            origin: self.origin.parse().ok()?,
            is_hindcast: self.is_hindcast,
            mean: self.mean,
            range80: self.low80.into_iter().zip(self.high80).collect(),
            range95: self.low95.into_iter().zip(self.high95).collect(),
            chances: self
                .target_ids
                .into_iter()
                .zip(self.probabilities)
                .collect(),
        })
    }
}

/// Predictions turned into the arrays that one statement takes. Those of all rows follow each other; a row's end where it
/// says.
#[derive(Default)]
struct Columns {
    indicator_ids: Vec<Uuid>,
    unit_ids: Vec<Uuid>,
    origins: Vec<String>,
    is_hindcast: Vec<bool>,
    step_ends: Vec<i32>,
    mean: Vec<f64>,
    low80: Vec<f64>,
    high80: Vec<f64>,
    low95: Vec<f64>,
    high95: Vec<f64>,
    target_ends: Vec<i32>,
    target_ids: Vec<Uuid>,
    probabilities: Vec<f64>,
}

impl Columns {
    fn push(&mut self, (indicator_id, unit_id): Key, prediction: &Prediction) {
        let end = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
        self.indicator_ids.push(indicator_id);
        self.unit_ids.push(unit_id);
        self.origins.push(prediction.origin.to_string());
        self.is_hindcast.push(prediction.is_hindcast);
        self.mean.extend(&prediction.mean);
        for (low, high) in &prediction.range80 {
            self.low80.push(*low);
            self.high80.push(*high);
        }
        for (low, high) in &prediction.range95 {
            self.low95.push(*low);
            self.high95.push(*high);
        }
        self.step_ends.push(end(self.mean.len()));
        for (target_id, probability) in &prediction.chances {
            self.target_ids.push(*target_id);
            self.probabilities.push(*probability);
        }
        self.target_ends.push(end(self.target_ids.len()));
    }
}

/// Keeps predictions of series. One made at the time stands for ever; one made afterwards until more is known of that
/// time.
pub async fn keep(tx: &mut PgConnection, made: &[(Key, Prediction)]) -> sqlx::Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::default();
    for (key, prediction) in made {
        columns.push(*key, prediction);
    }
    sqlx::query!(
        "INSERT INTO prediction (indicator_id, unit_id, origin, make_time, is_hindcast, mean, low80, high80, low95,
            high95, target_ids, probabilities)
        SELECT indicator_id, unit_id, origin, now(), is_hindcast, ($7::float8[])[step:step_end],
            ($8::float8[])[step:step_end], ($9::float8[])[step:step_end], ($10::float8[])[step:step_end],
            ($11::float8[])[step:step_end], ($12::uuid[])[target:target_end], ($13::float8[])[target:target_end]
        FROM (
            SELECT d.*, 1 + lag(step_end, 1, 0) OVER (ORDER BY n) AS step,
                1 + lag(target_end, 1, 0) OVER (ORDER BY n) AS target
            FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[], $5::integer[], $6::integer[])
                WITH ORDINALITY AS d (indicator_id, unit_id, origin, is_hindcast, step_end, target_end, n)) s
        ON CONFLICT (indicator_id, unit_id, origin) DO UPDATE SET make_time = excluded.make_time,
            mean = excluded.mean, low80 = excluded.low80, high80 = excluded.high80, low95 = excluded.low95,
            high95 = excluded.high95, target_ids = excluded.target_ids, probabilities = excluded.probabilities
        WHERE prediction.is_hindcast AND excluded.is_hindcast",
        &columns.indicator_ids,
        &columns.unit_ids,
        &columns.origins,
        &columns.is_hindcast,
        &columns.step_ends,
        &columns.target_ends,
        &columns.mean,
        &columns.low80,
        &columns.high80,
        &columns.low95,
        &columns.high95,
        &columns.target_ids,
        &columns.probabilities
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The last predictions of series.
pub async fn remembered(
    tx: &mut PgConnection,
    series: &[Key],
) -> sqlx::Result<HashMap<Key, Vec<Prediction>>> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().copied().unzip();
    let rows = sqlx::query_as!(
        Row,
        "SELECT p.* FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        CROSS JOIN LATERAL (
            SELECT indicator_id, unit_id, origin, is_hindcast, mean, low80, high80, low95, high95, target_ids,
                probabilities
            FROM prediction WHERE indicator_id = s.indicator_id AND unit_id = s.unit_id
            ORDER BY origin DESC LIMIT $3) AS p",
        &indicators,
        &units,
        REMEMBERED
    );
    let mut found: HashMap<Key, Vec<Prediction>> = HashMap::new();
    for row in rows.fetch_all(tx).await? {
        let key = (row.indicator_id, row.unit_id);
        found.entry(key).or_default().extend(row.prediction());
    }
    Ok(found)
}
