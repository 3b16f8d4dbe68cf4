//! A history of figures by period, and how it may go on.

use proto::{
    calendar::v1::Frequency,
    forecasting::v1 as pb,
    indicators::v1::{Indicator, Observation, SeriesBreak, Vintage, YearRule},
    period::{Period, per_year},
};

use crate::model::{self, Basis, Interval, Member, Seasonality, Series};

/// Days off work at the Lunar New Year.
const NEW_YEAR_DAYS: usize = 7;
/// Figures from which something can be said of a trend.
const FEWEST: usize = 4;
/// How many last figures tell whether units add up.
const RECENT: usize = 12;
/// How many years ahead is forecast at most.
const YEARS_AHEAD: i32 = 2;

/// The best known figures of a series, period by period.
#[derive(Clone, Debug)]
pub struct Timeline {
    first: Period,
    values: Vec<Option<f64>>,
    official: Vec<bool>,
    /// Where figures stop being comparable with those before.
    breaks: Vec<usize>,
    /// Seasonal factors of a longer series, the first for the first period of a year.
    seasons: Vec<f64>,
}

impl Timeline {
    /// Lays figures out by period; nothing without figures. They come oldest first, one of each period.
    #[must_use]
    pub fn new(history: &[Observation]) -> Option<Self> {
        let figures: Vec<(Period, f64, bool)> = history
            .iter()
            .filter_map(|figure| {
                let period = Period::try_from(&figure.period).ok()?;
                let value = figure.value.parse().ok()?;
                Some((period, value, figure.vintage() == Vintage::Official))
            })
            .collect();
        let (first, last) = (figures.first()?.0, figures.last()?.0);
        let length = usize::try_from(last.index() - first.index() + 1).ok()?;
        let mut timeline = Self {
            first,
            values: vec![None; length],
            official: vec![false; length],
            breaks: Vec::new(),
            seasons: Vec::new(),
        };
        for (period, value, official) in figures {
            if let Some(at) = timeline.at(period) {
                timeline.values[at] = Some(value);
                timeline.official[at] = official;
            }
        }
        Some(timeline)
    }

    /// Marks where this unit's figures stop being comparable with those before.
    #[must_use]
    pub fn with_breaks(mut self, indicator: &Indicator, unit_id: &str) -> Self {
        let own = |one: &&SeriesBreak| one.unit_id.is_empty() || one.unit_id == unit_id;
        let period = |one: &SeriesBreak| Period::try_from(&one.period).ok();
        let breaks = indicator.breaks.iter().filter(own).filter_map(period);
        self.breaks = breaks.filter_map(|period| self.at(period)).collect();
        self
    }

    /// Lends it seasonal factors, the first for the first period of a year, should it be too short for its own.
    #[must_use]
    pub fn with_seasons(mut self, seasons: &[f64]) -> Self {
        self.seasons = seasons.to_vec();
        self
    }

    /// Its seasonal factors, the first for the first period of a year; nothing with less than two years.
    #[must_use]
    pub fn seasonal_factors(&self) -> Option<Vec<f64>> {
        let series = self.series_of(&self.values).ok()?;
        let mut factors = model::seasonal_factors(&series)?;
        let start = self.season_of(self.first) % factors.len();
        factors.rotate_right(start);
        Some(factors)
    }

    /// The place of a period within its year, from 0.
    fn season_of(&self, period: Period) -> usize {
        usize::try_from(period.number())
            .unwrap_or(1)
            .saturating_sub(1)
    }

    /// Its last figures, that of the last period at the end.
    fn recent(&self, most: usize) -> Vec<Option<f64>> {
        self.values[self.values.len().saturating_sub(most)..].to_vec()
    }

    fn at(&self, period: Period) -> Option<usize> {
        let at = usize::try_from(period.index() - self.first.index()).ok()?;
        (period.frequency() == self.first.frequency() && at < self.values.len()).then_some(at)
    }

    /// The period of the first figure.
    #[must_use]
    pub fn first(&self) -> Period {
        self.first
    }

    /// The period of the last figure.
    #[must_use]
    pub fn last(&self) -> Period {
        self.first
            .plus(i32::try_from(self.values.len()).unwrap_or(i32::MAX) - 1)
    }

    /// The figure of a period.
    #[must_use]
    pub fn value(&self, period: Period) -> Option<f64> {
        self.values[self.at(period)?]
    }

    /// Whether the figure of a period is official.
    #[must_use]
    pub fn is_official(&self, period: Period) -> bool {
        self.at(period).is_some_and(|at| self.official[at])
    }

    /// The figures of these periods as far as they are reported, gaps within them as such.
    #[must_use]
    pub fn observed(&self, first: Period, last: Period) -> Vec<Option<f64>> {
        let end = last.index().min(self.last().index());
        (first.index()..=end)
            .map(|index| self.value(Period::from_index(first.frequency(), index)))
            .collect()
    }

    /// The part before a period; nothing when there is none.
    #[must_use]
    pub fn before(&self, period: Period) -> Option<Self> {
        let keep = usize::try_from(period.index() - self.first.index()).ok()?;
        let mut part = self.clone();
        part.values.truncate(keep);
        while part.values.last().is_some_and(Option::is_none) {
            part.values.pop();
        }
        part.official.truncate(part.values.len());
        (!part.values.is_empty()).then_some(part)
    }

    /// The series that the model takes, up to just before a period, which lies after the last figure: what each period
    /// adds where figures are running totals.
    pub fn question(
        &self,
        indicator: &Indicator,
        until: Period,
    ) -> Result<Series, pb::NoForecastReason> {
        let is_total = self.is_total(indicator);
        let mut values = if is_total {
            self.increments()
        } else {
            self.values.clone()
        };
        let length = usize::try_from(until.index() - self.first.index()).unwrap_or_default();
        values.resize(length.max(values.len()), None);
        let series = self.series_of(&values)?;
        Ok(match limits(indicator).filter(|_| !is_total) {
            Some((low, high)) => series.with_limits(low, high),
            None => series,
        })
    }

    fn series_of(&self, values: &[Option<f64>]) -> Result<Series, pb::NoForecastReason> {
        if values.iter().flatten().count() < FEWEST {
            return Err(pb::NoForecastReason::TooShort);
        }
        let seasonality = match self.first.frequency() {
            Frequency::Month => Seasonality::Monthly,
            Frequency::Quarter => Seasonality::Quarterly,
            Frequency::Half => Seasonality::HalfYearly,
            Frequency::Year | Frequency::Unspecified => Seasonality::Yearly,
        };
        let series =
            Series::new(values, seasonality).map_err(|_| pb::NoForecastReason::TooShort)?;
        let mut series = series.with_breaks(&self.breaks);
        // They are factors, and only of what is positive.
        if !self.seasons.is_empty() && values.iter().flatten().all(|value| *value > 0.0) {
            let mut seasons = self.seasons.clone();
            seasons.rotate_left(self.season_of(self.first) % self.seasons.len());
            series = series.with_seasons(&seasons);
        }
        if seasonality != Seasonality::Monthly {
            return Ok(series);
        }
        let months = values.len() + 12 * usize::try_from(YEARS_AHEAD).unwrap_or_default();
        let first = self.first.first_day();
        let shares = model::holiday_shares(&model::lunar_new_years(), NEW_YEAR_DAYS, first, months);
        Ok(series.with_holiday(&shares))
    }

    /// Whether figures are running totals of their years, so that what each period adds is forecast.
    #[must_use]
    pub fn is_total(&self, indicator: &Indicator) -> bool {
        matches!(indicator.year_rule(), YearRule::Last | YearRule::Ratio)
            && per_year(self.first.frequency()) > 1
            && self.is_running_total()
    }

    /// Whether figures run up within each year and start over with the next.
    fn is_running_total(&self) -> bool {
        let mut starts = 0;
        for (at, pair) in self.values.windows(2).enumerate() {
            let [Some(before), Some(after)] = *pair else {
                continue;
            };
            let starts_year = self.period(at + 1).number() == 1;
            if starts_year != (after < before) {
                return false;
            }
            starts += usize::from(starts_year);
        }
        starts >= 2
    }

    fn period(&self, at: usize) -> Period {
        self.first.plus(i32::try_from(at).unwrap_or(i32::MAX))
    }

    /// What each period adds to the running total of its year.
    fn increments(&self) -> Vec<Option<f64>> {
        let added = |at: usize| {
            let value = self.values[at]?;
            if self.period(at).number() == 1 {
                return Some(value);
            }
            let before = self.values.get(at.checked_sub(1)?)?.as_ref()?;
            Some(value - before)
        };
        (0..self.values.len()).map(added).collect()
    }
}

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
        if indicator.year_rule() != YearRule::Sum {
            // The year's figure is a period's own: expected alike.
            for (point, mean) in points.iter_mut().zip(&mean) {
                point.mean = mean.clamp(point.interval80.low, point.interval80.high);
            }
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

    /// Keeps it to what may be reported at all.
    pub fn keep_within(&mut self, indicator: &Indicator) {
        let low = indicator.minimum.parse().unwrap_or(f64::NEG_INFINITY);
        let high = indicator.maximum.parse().unwrap_or(f64::INFINITY);
        if low > high {
            return;
        }
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

/// What a rate comes near but cannot pass, so that it moves in logits.
#[must_use]
pub fn limits(indicator: &Indicator) -> Option<(f64, f64)> {
    let limits = (
        indicator.minimum.parse().ok()?,
        indicator.maximum.parse().ok()?,
    );
    // Other limits only say what is taken for a figure.
    (indicator.measure_code.starts_with('%') && limits == (0.0, 100.0)).then_some(limits)
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
    use super::*;

    pub fn history(first: &str, values: &[Option<f64>]) -> Vec<Observation> {
        let first: Period = first.parse().unwrap();
        let figure = |(step, value): (i32, &Option<f64>)| {
            Some(Observation {
                period: Some(first.plus(step).into()),
                value: (*value)?.to_string(),
                vintage: Vintage::Official.into(),
                ..Default::default()
            })
        };
        (0..).zip(values).filter_map(figure).collect()
    }

    fn totals() -> Vec<Option<f64>> {
        let month = |at: usize| Some(((at % 12 + 1) * (100 + at / 12)) as f64);
        (0..45).map(month).collect()
    }

    #[test]
    fn gaps_stay_gaps() {
        let timeline = Timeline::new(&history("2025-01", &[Some(1.0), None, Some(3.0)])).unwrap();
        assert_eq!(timeline.last().to_string(), "2025-03");
        let (first, last) = ("2025-01".parse().unwrap(), "2025-12".parse().unwrap());
        assert_eq!(timeline.observed(first, last), [Some(1.0), None, Some(3.0)]);
        let before = timeline.before("2025-03".parse().unwrap()).unwrap();
        assert_eq!(before.last().to_string(), "2025-01");
        assert!(timeline.before("2024-03".parse().unwrap()).is_none());
        assert!(Timeline::new(&[]).is_none());
    }

    #[test]
    fn running_totals_are_told_from_stocks() {
        let timeline = Timeline::new(&history("2022-01", &totals())).unwrap();
        assert!(timeline.is_running_total());
        let growing: Vec<_> = (0..45).map(|at| Some(f64::from(at))).collect();
        assert!(
            !Timeline::new(&history("2022-01", &growing))
                .unwrap()
                .is_running_total()
        );
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
