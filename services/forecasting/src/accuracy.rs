//! How predictions came true.

use std::collections::{HashMap, HashSet};

use chassis::directory::Scope;
use proto::{
    forecasting::v1::{self as pb, RiskStatus},
    period::{Period, per_year},
};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use crate::{
    error::Error,
    load::{Key, Loaded, is_local},
    prediction::{self, Prediction, STEPS},
    timeline::Timeline,
};

/// Into how many equal parts probabilities are divided.
const BINS: usize = 10;

/// What came of predictions, summed up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    forecasts: i32,
    hindcasts: i32,
    steps: [Step; STEPS],
    bins: [Bin; BINS],
    squared_error: f64,
    /// Plans that have been decided and were spoken of.
    plans: i32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Step {
    known: i32,
    inside80: i32,
    inside95: i32,
    error: f64,
    naive_error: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    stated: i32,
    probability: f64,
    met: i32,
}

impl Tally {
    /// Holds predictions of a series against its figures, and against the plans that have been decided.
    #[must_use]
    pub fn new(
        timeline: &Timeline,
        predictions: &[Prediction],
        decided: &HashMap<Uuid, bool>,
    ) -> Self {
        let mut tally = Self::default();
        let mut plans = HashSet::new();
        let frequency = timeline.last().frequency();
        for prediction in predictions
            .iter()
            .filter(|p| p.origin.frequency() == frequency)
        {
            tally.forecasts += 1;
            tally.hindcasts += i32::from(prediction.is_hindcast);
            tally.add_figures(timeline, prediction);
            for (target, probability) in &prediction.chances {
                if let Some(is_met) = decided.get(target) {
                    plans.insert(target);
                    tally.add_plan(*probability, *is_met);
                }
            }
        }
        tally.plans = i32::try_from(plans.len()).unwrap_or(i32::MAX);
        tally
    }

    fn add_figures(&mut self, timeline: &Timeline, prediction: &Prediction) {
        let expected = prediction
            .mean
            .iter()
            .zip(&prediction.range80)
            .zip(&prediction.range95);
        for (ahead, (step, ((mean, range80), range95))) in
            (1..).zip(self.steps.iter_mut().zip(expected))
        {
            let period = prediction.origin.plus(ahead);
            let Some(value) = timeline.value(period) else {
                continue;
            };
            let within = |range: &(f64, f64)| i32::from(range.0 <= value && value <= range.1);
            step.known += 1;
            step.inside80 += within(range80);
            step.inside95 += within(range95);
            if let Some(naive) = naive(timeline, prediction.origin, period) {
                step.error += (mean - value).abs();
                step.naive_error += (naive - value).abs();
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a probability"
    )]
    fn add_plan(&mut self, probability: f64, is_met: bool) {
        let at = ((probability * BINS as f64) as usize).min(BINS - 1);
        let bin = &mut self.bins[at];
        bin.stated += 1;
        bin.probability += probability;
        bin.met += i32::from(is_met);
        self.squared_error += (probability - f64::from(u8::from(is_met))).powi(2);
    }

    /// Adds another series. Errors count by how large those of the naive forecast are in it, so that no series counts
    /// more for being measured in a smaller unit.
    fn add(&mut self, other: &Self) {
        self.forecasts += other.forecasts;
        self.hindcasts += other.hindcasts;
        self.squared_error += other.squared_error;
        self.plans += other.plans;
        let (naive, known) = other.steps.iter().fold((0.0, 0), |(naive, known), step| {
            (naive + step.naive_error, known + step.known)
        });
        let scale = if naive > 0.0 {
            f64::from(known) / naive
        } else {
            0.0
        };
        for (sum, step) in self.steps.iter_mut().zip(&other.steps) {
            sum.known += step.known;
            sum.inside80 += step.inside80;
            sum.inside95 += step.inside95;
            sum.error += step.error * scale;
            sum.naive_error += step.naive_error * scale;
        }
        for (sum, bin) in self.bins.iter_mut().zip(&other.bins) {
            sum.stated += bin.stated;
            sum.probability += bin.probability;
            sum.met += bin.met;
        }
    }
}

/// The figure of the same period of the last year known at the origin.
fn naive(timeline: &Timeline, origin: Period, period: Period) -> Option<f64> {
    let year = per_year(origin.frequency());
    let ahead = period.index() - origin.index();
    let years = (ahead + year - 1) / year;
    timeline.value(period.plus(-years * year))
}

/// Which series are told of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this indicator.
    pub indicator_id: Option<Uuid>,
    /// Only of this unit.
    pub unit_id: Option<Uuid>,
    /// Only of this field.
    pub field_code: Option<String>,
    /// Leaves out figures of wards, communes and special zones.
    pub city_level_only: bool,
}

/// Sums up the series within a scope.
pub async fn read(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &Filter,
) -> Result<pb::ForecastAccuracy, Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT indicator_id, unit_id, responsible_unit_id, field_code, is_local, illustrative, forecasts, hindcasts,
            known, inside80, inside95, error, naive_error, stated, probability, met, squared_error, plans
        FROM accuracy
        WHERE ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))
            AND ($4::uuid IS NULL OR indicator_id = $4)
            AND ($5::uuid IS NULL OR unit_id = $5)
            AND NOT ($7 AND is_local)
            AND ($6::text IS NULL OR field_code = $6)",
        scope.all,
        &scope.units,
        &scope.fields,
        filter.indicator_id,
        filter.unit_id,
        filter.field_code,
        filter.city_level_only
    );
    let rows = rows.fetch_all(db).await?;
    let mut sum = Tally::default();
    rows.iter().for_each(|row| sum.add(&row.tally()));
    Ok(pb::ForecastAccuracy {
        series_count: i32::try_from(rows.len()).unwrap_or(i32::MAX),
        illustrative: rows.iter().any(|row| row.illustrative),
        ..shown(&sum)
    })
}

fn shown(tally: &Tally) -> pb::ForecastAccuracy {
    let steps = (1..).zip(&tally.steps).filter(|(_, step)| step.known > 0);
    let steps = steps.map(|(ahead, step)| {
        let share = |count| f64::from(count) / f64::from(step.known);
        pb::StepAccuracy {
            step: ahead,
            count: step.known,
            relative_error: (step.naive_error > 0.0).then(|| step.error / step.naive_error),
            coverage80: share(step.inside80),
            coverage95: share(step.inside95),
        }
    });
    let bins = (0..).zip(&tally.bins).filter(|(_, bin)| bin.stated > 0);
    let bins = bins.map(|(at, bin)| {
        let share = |sum: f64| sum / f64::from(bin.stated);
        pb::ReliabilityBin {
            low: f64::from(at) / BINS as f64,
            high: f64::from(at + 1) / BINS as f64,
            count: bin.stated,
            mean_probability: share(bin.probability),
            met_share: share(bin.met.into()),
        }
    });
    let stated: i32 = tally.bins.iter().map(|bin| bin.stated).sum();
    pb::ForecastAccuracy {
        steps: steps.collect(),
        bins: bins.collect(),
        brier: (stated > 0).then(|| tally.squared_error / f64::from(stated)),
        forecast_count: tally.forecasts,
        hindcast_count: tally.hindcasts,
        plan_count: tally.plans,
        ..Default::default()
    }
}

/// Sums up what came of the predictions of these series.
pub async fn renew(
    tx: &mut PgConnection,
    renewed: &[(&Loaded, &pb::Forecast)],
) -> sqlx::Result<()> {
    let keys: Vec<Key> = renewed.iter().map(|(series, _)| series.key()).collect();
    let remembered = prediction::remembered(&mut *tx, &keys).await?;
    let row = |(series, forecast): &(&Loaded, &pb::Forecast)| {
        let predictions = remembered.get(&series.key())?;
        let timeline = Timeline::new(&series.basis.history)?;
        let tally = Tally::new(&timeline, predictions, &decided(forecast));
        Some(Row::new(series, forecast.illustrative, &tally))
    };
    keep(tx, renewed.iter().filter_map(row).collect()).await
}

/// The targets whose official figure is there, and whether it met them.
fn decided(forecast: &pb::Forecast) -> HashMap<Uuid, bool> {
    let decided = |assessment: &pb::Assessment| {
        let is_met = match assessment.status() {
            RiskStatus::Met => true,
            RiskStatus::Missed => false,
            _ => return None,
        };
        Some((assessment.target.as_ref()?.id.parse().ok()?, is_met))
    };
    forecast.assessments.iter().filter_map(decided).collect()
}

/// A tally as it is stored.
#[derive(Serialize)]
struct Row {
    indicator_id: Uuid,
    unit_id: Uuid,
    responsible_unit_id: Uuid,
    field_code: String,
    is_local: bool,
    illustrative: bool,
    forecasts: i32,
    hindcasts: i32,
    known: Vec<i32>,
    inside80: Vec<i32>,
    inside95: Vec<i32>,
    error: Vec<f64>,
    naive_error: Vec<f64>,
    stated: Vec<i32>,
    probability: Vec<f64>,
    met: Vec<i32>,
    squared_error: f64,
    plans: i32,
}

impl Row {
    fn new(series: &Loaded, illustrative: bool, tally: &Tally) -> Self {
        let Tally { steps, bins, .. } = tally;
        Self {
            indicator_id: series.indicator_id,
            unit_id: series.basis.unit_id,
            responsible_unit_id: series.responsible,
            field_code: series.basis.indicator.field_code.clone(),
            is_local: is_local(series.kind),
            illustrative,
            forecasts: tally.forecasts,
            hindcasts: tally.hindcasts,
            known: steps.iter().map(|step| step.known).collect(),
            inside80: steps.iter().map(|step| step.inside80).collect(),
            inside95: steps.iter().map(|step| step.inside95).collect(),
            error: steps.iter().map(|step| step.error).collect(),
            naive_error: steps.iter().map(|step| step.naive_error).collect(),
            stated: bins.iter().map(|bin| bin.stated).collect(),
            probability: bins.iter().map(|bin| bin.probability).collect(),
            met: bins.iter().map(|bin| bin.met).collect(),
            squared_error: tally.squared_error,
            plans: tally.plans,
        }
    }

    fn tally(&self) -> Tally {
        Tally {
            forecasts: self.forecasts,
            hindcasts: self.hindcasts,
            squared_error: self.squared_error,
            plans: self.plans,
            steps: std::array::from_fn(|at| Step {
                known: self.known[at],
                inside80: self.inside80[at],
                inside95: self.inside95[at],
                error: self.error[at],
                naive_error: self.naive_error[at],
            }),
            bins: std::array::from_fn(|at| Bin {
                stated: self.stated[at],
                probability: self.probability[at],
                met: self.met[at],
            }),
        }
    }
}

async fn keep(tx: &mut PgConnection, rows: Vec<Row>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO accuracy (indicator_id, unit_id, responsible_unit_id, field_code, is_local, illustrative,
            forecasts, hindcasts, known, inside80, inside95, error, naive_error, stated, probability, met,
            squared_error, plans)
        SELECT indicator_id, unit_id, responsible_unit_id, field_code, is_local, illustrative, forecasts, hindcasts,
            known, inside80, inside95, error, naive_error, stated, probability, met, squared_error, plans
        FROM jsonb_to_recordset($1) AS d (indicator_id uuid, unit_id uuid, responsible_unit_id uuid, field_code text,
            is_local boolean, illustrative boolean, forecasts integer, hindcasts integer, known integer[],
            inside80 integer[], inside95 integer[], error double precision[], naive_error double precision[],
            stated integer[], probability double precision[], met integer[], squared_error double precision,
            plans integer)
        ON CONFLICT (indicator_id, unit_id) DO UPDATE SET responsible_unit_id = excluded.responsible_unit_id,
            field_code = excluded.field_code, is_local = excluded.is_local, illustrative = excluded.illustrative,
            forecasts = excluded.forecasts, hindcasts = excluded.hindcasts, known = excluded.known,
            inside80 = excluded.inside80, inside95 = excluded.inside95, error = excluded.error,
            naive_error = excluded.naive_error, stated = excluded.stated, probability = excluded.probability,
            met = excluded.met, squared_error = excluded.squared_error, plans = excluded.plans",
        Json(rows) as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proto::indicators::v1::{Observation, Vintage};

    use super::*;

    fn timeline(first: &str, values: &[f64]) -> Timeline {
        let first: Period = first.parse().unwrap();
        let figures: Vec<Observation> = (0..)
            .zip(values)
            .map(|(step, value)| Observation {
                period: Some(first.plus(step).into()),
                value: value.to_string(),
                vintage: Vintage::Official.into(),
                ..Default::default()
            })
            .collect();
        Timeline::new(&figures).unwrap()
    }

    fn prediction(origin: &str, mean: &[f64], chances: Vec<(Uuid, f64)>) -> Prediction {
        let around = |width: f64| {
            mean.iter()
                .map(|mean| (mean - width, mean + width))
                .collect()
        };
        Prediction {
            origin: origin.parse().unwrap(),
            is_hindcast: origin == "2025-Q3",
            mean: mean.to_vec(),
            range80: around(1.0),
            range95: around(2.0),
            chances,
        }
    }

    #[test]
    fn what_came_is_held_against_what_was_said() {
        let figures = timeline("2024-Q4", &[10.0, 20.0, 30.0, 40.0, 14.0, 20.0]);
        let (met, missed, open) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let chances = vec![(met, 0.25), (missed, 0.27), (open, 0.9)];
        let predictions = [
            // 2025-Q4 was 14, 2026-Q1 was 20; a year before they were 10 and 20.
            prediction("2025-Q3", &[13.0, 21.5], chances),
            prediction("2025-Q4", &[17.0, 30.0], vec![(met, 1.0)]),
            // Its indicator was monthly then.
            prediction("2025-11", &[1.0], vec![(met, 0.1)]),
        ];
        let decided = HashMap::from([(met, true), (missed, false)]);
        let tally = Tally::new(&figures, &predictions, &decided);
        let shown = shown(&tally);
        assert_eq!((shown.forecast_count, shown.hindcast_count), (2, 1));
        assert_eq!(shown.plan_count, 2, "one of them spoken of twice");
        let [first, second] = &shown.steps[..] else {
            panic!("{:?}", shown.steps);
        };
        // 13 for 14 and 17 for 20, against 10 and 20.
        assert_eq!((first.step, first.count), (1, 2));
        assert_eq!(first.relative_error, Some((1.0 + 3.0) / 4.0));
        assert_eq!((first.coverage80, first.coverage95), (0.5, 0.5));
        assert_eq!((second.step, second.count), (2, 1));
        assert_eq!(second.relative_error, None, "the naive forecast was right");
        assert_eq!((second.coverage80, second.coverage95), (0.0, 1.0));
        let [low, high] = &shown.bins[..] else {
            panic!("{:?}", shown.bins);
        };
        assert_eq!(
            (low.low, low.high, low.count, low.met_share),
            (0.2, 0.3, 2, 0.5)
        );
        assert_eq!(low.mean_probability, 0.26);
        assert_eq!((high.low, high.count, high.met_share), (0.9, 1, 1.0));
        let brier = (0.75_f64.powi(2) + 0.27_f64.powi(2)) / 3.0;
        assert!((shown.brier.unwrap() - brier).abs() < 1e-12);
    }

    #[test]
    fn no_series_counts_more_for_its_unit_of_measure() {
        let tally = |scale: f64| {
            let values: Vec<f64> = (0..16).map(|at| scale * f64::from(at * at)).collect();
            let figures = timeline("2020-Q1", &values);
            let made = prediction("2022-Q4", &[scale * 150.0], Vec::new());
            Tally::new(&figures, &[made], &HashMap::new())
        };
        let sum = |scales: [f64; 2]| {
            let mut sum = Tally::default();
            scales.iter().for_each(|scale| sum.add(&tally(*scale)));
            shown(&sum).steps[0].relative_error.unwrap()
        };
        assert!((sum([1.0, 1.0]) - sum([1.0, 1e6])).abs() < 1e-9);
    }

    #[test]
    fn a_period_more_than_a_year_ahead_is_compared_with_a_known_one() {
        let figures = timeline("2024-Q1", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let period = |code: &str| code.parse::<Period>().unwrap();
        assert_eq!(
            naive(&figures, period("2024-Q4"), period("2026-Q1")),
            Some(1.0)
        );
        assert_eq!(
            naive(&figures, period("2024-Q4"), period("2025-Q4")),
            Some(4.0)
        );
        assert_eq!(naive(&figures, period("2024-Q1"), period("2024-Q2")), None);
    }
}
