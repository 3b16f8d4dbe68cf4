//! What was forecast after each figure, kept to be held against what came.

use std::collections::HashMap;

use proto::{forecasting::v1 as pb, indicators::v1::Observation, period::Period};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    assess::{Basis, Terms, assess},
    recompute::Key,
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
#[derive(Serialize)]
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
    fn new((indicator_id, unit_id): Key, prediction: &Prediction) -> Self {
        let (low80, high80) = prediction.range80.iter().copied().unzip();
        let (low95, high95) = prediction.range95.iter().copied().unzip();
        let (target_ids, probabilities) = prediction.chances.iter().copied().unzip();
        Self {
            indicator_id,
            unit_id,
            origin: prediction.origin.to_string(),
            is_hindcast: prediction.is_hindcast,
            mean: prediction.mean.clone(),
            low80,
            high80,
            low95,
            high95,
            target_ids,
            probabilities,
        }
    }

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

/// Keeps predictions of series. One made at the time stands for ever; one made afterwards until more is known of that
/// time.
pub async fn keep(tx: &mut PgConnection, made: &[(Key, Prediction)]) -> sqlx::Result<()> {
    let rows: Vec<Row> = made.iter().map(|(key, one)| Row::new(*key, one)).collect();
    sqlx::query!(
        "INSERT INTO prediction (indicator_id, unit_id, origin, make_time, is_hindcast, mean, low80, high80, low95,
            high95, target_ids, probabilities)
        SELECT indicator_id, unit_id, origin, now(), is_hindcast, mean, low80, high80, low95, high95, target_ids,
            probabilities
        FROM jsonb_to_recordset($1) AS d (indicator_id uuid, unit_id uuid, origin text, is_hindcast boolean,
            mean double precision[], low80 double precision[], high80 double precision[], low95 double precision[],
            high95 double precision[], target_ids uuid[], probabilities double precision[])
        ON CONFLICT (indicator_id, unit_id, origin) DO UPDATE SET make_time = excluded.make_time,
            mean = excluded.mean, low80 = excluded.low80, high80 = excluded.high80, low95 = excluded.low95,
            high95 = excluded.high95, target_ids = excluded.target_ids, probabilities = excluded.probabilities
        WHERE prediction.is_hindcast AND excluded.is_hindcast",
        Json(rows) as _
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
