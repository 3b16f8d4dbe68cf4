//! How a series may go on: its forecast as the board, its targets and what is supposed need it.

use proto::{
    forecasting::v1 as pb,
    indicators::v1::Indicator,
    period::{Period, per_year},
};

use crate::{
    model::{self, Basis, Interval, Member},
    timeline::{Timeline, YEARS_AHEAD},
};

/// How many last figures tell whether units add up.
const RECENT: usize = 12;

/// How a series may go on.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Equally likely futures, each from the period after the last figure on.
    pub paths: Vec<Vec<f64>>,
    /// The coming periods.
    pub points: Vec<Point>,
    /// What it rests on.
    pub basis: Basis,
    /// What it says for itself, before units are made to add up.
    pub member: Member,
    /// The last figure, where figures are running totals of their years.
    total: Option<f64>,
}

/// What is expected of one coming period.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The period.
    pub period: Period,
    /// The expected value.
    pub mean: f64,
    /// Holds it with probability 0.8.
    pub interval80: Interval,
    /// Holds it with probability 0.95.
    pub interval95: Interval,
}

/// How many periods are forecast: a year at least, and up to this period if it is not too far.
#[must_use]
pub fn horizon(last: Period, until: Option<Period>) -> i32 {
    let year = per_year(last.frequency());
    let asked = until.map_or(0, |until| until.index() - last.index());
    asked.clamp(year, YEARS_AHEAD * year)
}

impl Outlook {
    /// Forecasts a year at least, and up to this period if it is not too far.
    pub fn new(
        timeline: &Timeline,
        until: Option<Period>,
        indicator: &Indicator,
        seed: u64,
    ) -> Result<Self, pb::NoForecastReason> {
        let last = timeline.last();
        let horizon = usize::try_from(horizon(last, until)).unwrap_or_default();
        let is_total = timeline.is_total(indicator);
        let series = timeline.question(indicator, last.next())?;
        let mut forecast = model::forecast(&series, horizon, seed);
        let total = timeline.value(last).filter(|_| is_total);
        if let Some(total) = total {
            accumulate(total, last, &mut forecast);
        }
        let points = (1..)
            .zip(&forecast.mean)
            .zip(&forecast.interval80)
            .zip(&forecast.interval95);
        let points = points.map(|(((step, mean), interval80), interval95)| Point {
            period: last.plus(step),
            mean: *mean,
            interval80: *interval80,
            interval95: *interval95,
        });
        let mut points: Vec<Point> = points.collect();
        let (mean, variance) = moments(&forecast.paths, horizon);
        // Means of months add up to that of the year, those of units to that of the city; their medians do not.
        for (point, mean) in points.iter_mut().zip(&mean) {
            point.mean = mean.clamp(point.interval80.low, point.interval80.high);
        }
        Ok(Self {
            points,
            member: Member {
                origin: last.index(),
                recent: timeline.recent(RECENT),
                mean,
                variance,
            },
            paths: forecast.paths,
            basis: forecast.basis,
            total,
        })
    }

    /// What follows from futures that were made elsewhere, each from the period after the last figure on.
    #[must_use]
    pub fn of_paths(timeline: &Timeline, paths: Vec<Vec<f64>>) -> Self {
        let last = timeline.last();
        let steps = paths.iter().map(Vec::len).min().unwrap_or(0);
        let (mean, variance) = moments(&paths, steps);
        Self {
            points: (0..steps).map(|at| point(&paths, last, at)).collect(),
            member: Member {
                origin: last.index(),
                recent: timeline.recent(RECENT),
                mean,
                variance,
            },
            paths,
            basis: Basis::Calculated,
            total: None,
        }
    }

    /// What remains when the first of the coming periods come out like this: later ones follow as far as they go together
    /// with them.
    pub fn suppose(&mut self, values: &[f64]) {
        let Some(last) = self.points.first().map(|point| point.period.previous()) else {
            return;
        };
        let count = values.len().min(self.points.len());
        let (mut known, mut paths) = (values[..count].to_vec(), std::mem::take(&mut self.paths));
        if let Some(total) = self.total {
            paths
                .iter_mut()
                .chain([&mut known])
                .for_each(|path| increments(total, last, path));
        }
        paths = model::supposed(&paths, &known);
        let last = last.plus(i32::try_from(count).unwrap_or_default());
        if let (Some(total), Some(value)) = (&mut self.total, values[..count].last()) {
            *total = *value;
            paths.iter_mut().for_each(|path| totals(*value, last, path));
        }
        let steps = self.points.len() - count;
        self.points = (0..steps).map(|at| point(&paths, last, at)).collect();
        self.paths = paths;
    }

    /// Keeps it to what may be reported at all, and to what was: limits of the city's figures are not the country's.
    pub fn keep_within(&mut self, indicator: &Indicator, timeline: &Timeline) {
        let (least, most) = timeline.range();
        let low: f64 = indicator.minimum.parse().unwrap_or(f64::NEG_INFINITY);
        let high: f64 = indicator.maximum.parse().unwrap_or(f64::INFINITY);
        let (low, high) = (low.min(least), high.max(most));
        let mut beyond = self
            .paths
            .iter()
            .flatten()
            .filter(|value| !(low..=high).contains(*value));
        let Some(last) = self.points.first().map(|point| point.period.previous()) else {
            return;
        };
        if beyond.next().is_some() {
            for value in self.paths.iter_mut().flatten() {
                *value = value.clamp(low, high);
            }
            let steps = 0..self.points.len();
            self.points = steps.map(|at| point(&self.paths, last, at)).collect();
        }
    }

    /// Multiplies what is expected of all coming periods.
    pub fn scale(&mut self, factor: f64) {
        let shift: Vec<f64> = self
            .member
            .mean
            .iter()
            .map(|mean| mean * (factor - 1.0))
            .collect();
        self.shift(&shift);
    }

    /// Moves what is expected of the coming periods by so much each: as a factor where that leaves its sign, so that
    /// ranges keep their proportions.
    pub fn shift(&mut self, shift: &[f64]) {
        for (at, (shift, mean)) in shift.iter().zip(&self.member.mean).enumerate() {
            if *shift == 0.0 {
                continue;
            }
            let factor = (mean + shift) / mean;
            let is_factor = *mean > 0.0 && factor.is_finite() && factor > 0.0;
            let change = |x: &mut f64| *x = if is_factor { *x * factor } else { *x + shift };
            for path in &mut self.paths {
                path.get_mut(at).into_iter().for_each(change);
            }
            if let Some(point) = self.points.get_mut(at) {
                let (inner, outer) = (&mut point.interval80, &mut point.interval95);
                let bounds = [
                    &mut inner.low,
                    &mut inner.high,
                    &mut outer.low,
                    &mut outer.high,
                ];
                bounds.into_iter().chain([&mut point.mean]).for_each(change);
            }
        }
    }
}

/// What futures say of the step at a place, counted from 0 after the last figure.
fn point(paths: &[Vec<f64>], last: Period, at: usize) -> Point {
    let mut values: Vec<f64> = paths.iter().map(|path| path[at]).collect();
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let holding = |interval: Interval| Interval {
        low: interval.low.min(mean),
        high: interval.high.max(mean),
    };
    Point {
        period: last.plus(i32::try_from(at).unwrap_or(i32::MAX) + 1),
        mean,
        interval80: holding(within(&values, 0.1)),
        interval95: holding(within(&values, 0.025)),
    }
}

/// Mean and variance of the values of each step.
pub fn moments(paths: &[Vec<f64>], horizon: usize) -> (Vec<f64>, Vec<f64>) {
    let count = paths.len().max(1) as f64;
    let of = |at: usize| {
        let mean = paths.iter().map(|path| path[at]).sum::<f64>() / count;
        let squares = paths.iter().map(|path| (path[at] - mean).powi(2));
        (mean, squares.sum::<f64>() / count)
    };
    (0..horizon).map(of).unzip()
}

/// Turns a forecast of increments into one of running totals.
fn accumulate(total: f64, last: Period, forecast: &mut model::Forecast) {
    forecast
        .paths
        .iter_mut()
        .for_each(|path| totals(total, last, path));
    for step in 0..forecast.mean.len() {
        let point = point(&forecast.paths, last, step);
        forecast.mean[step] = point.mean;
        forecast.interval80[step] = point.interval80;
        forecast.interval95[step] = point.interval95;
    }
}

/// Turns what each period after the last adds into the running totals of their years.
fn totals(total: f64, last: Period, path: &mut [f64]) {
    let mut total = total;
    for (step, value) in (1..).zip(path) {
        total = if last.plus(step).number() == 1 {
            *value
        } else {
            total + *value
        };
        *value = total;
    }
}

/// Turns running totals after the last period into what each adds.
fn increments(total: f64, last: Period, path: &mut [f64]) {
    let mut before = total;
    for (step, value) in (1..).zip(path) {
        let total = *value;
        if last.plus(step).number() != 1 {
            *value -= before;
        }
        before = total;
    }
}

/// Leaves off this share of sorted values at both ends.
fn within(sorted: &[f64], share: f64) -> Interval {
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and the length")]
    #[expect(clippy::cast_sign_loss, reason = "between 0 and the length")]
    let off = (sorted.len() as f64 * share) as usize;
    let off = off.min(sorted.len().saturating_sub(1) / 2);
    Interval {
        low: sorted.get(off).copied().unwrap_or_default(),
        high: sorted
            .get(sorted.len() - 1 - off)
            .copied()
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proto::indicators::v1::YearRule;

    use super::*;
    use crate::timeline::tests::{history, totals};

    #[test]
    fn limits_cut_what_was_never_beyond_them() {
        let values: Vec<Option<f64>> = (0..36).map(|at| Some(90.0 + f64::from(at % 5))).collect();
        let timeline = Timeline::new(&history("2023-01", &values)).unwrap();
        let highest = |maximum: &str| {
            let indicator = Indicator {
                maximum: maximum.to_owned(),
                ..Default::default()
            };
            let mut outlook = Outlook::new(&timeline, None, &indicator, 1).unwrap();
            outlook.keep_within(&indicator, &timeline);
            let values = outlook.paths.iter().flatten();
            values.fold(f64::MIN, |most, value| most.max(*value))
        };
        assert!(highest("") > 95.0);
        assert!((highest("95") - 95.0).abs() < 1e-9);
        assert!((highest("60") - 94.0).abs() < 1e-9, "it was 94 already");
    }

    #[test]
    fn running_totals_go_on_and_start_over() {
        let timeline = Timeline::new(&history("2022-01", &totals())).unwrap();
        let indicator = Indicator {
            year_rule: YearRule::Last.into(),
            ..Default::default()
        };
        let outlook = Outlook::new(&timeline, None, &indicator, 1).unwrap();
        assert_eq!(outlook.points[0].period.to_string(), "2025-10");
        let december = &outlook.points[2];
        assert!((december.mean - 1236.0).abs() < 40.0, "{december:?}");
        assert!(december.interval80.low <= december.mean);
        assert!(outlook.points[3].mean < 200.0, "January starts over");
    }
}
