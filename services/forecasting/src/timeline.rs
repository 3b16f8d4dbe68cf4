//! The best known figures of a series, laid out by period, and the question they put to the model.

use proto::{
    calendar::v1::Frequency,
    forecasting::v1 as pb,
    indicators::v1::{Indicator, Observation, SeriesBreak, Vintage, YearRule},
    period::{Period, per_year},
};

use crate::model::{self, Seasonality, Series};

/// Days off work at the Lunar New Year.
const NEW_YEAR_DAYS: usize = 7;
/// Figures from which something can be said of a trend.
const FEWEST: usize = 4;
/// How many years ahead is forecast at most.
pub const YEARS_AHEAD: i32 = 2;

/// The best known figures of a series, period by period.
#[derive(Clone, Debug)]
pub struct Timeline {
    first: Period,
    values: Vec<Option<f64>>,
    official: Vec<bool>,
    /// The most decimal places that a figure has.
    places: i32,
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
            places: history
                .iter()
                .map(|figure| model::places(&figure.value))
                .max()?,
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
    #[must_use]
    pub fn recent(&self, most: usize) -> Vec<Option<f64>> {
        self.values[self.values.len().saturating_sub(most)..].to_vec()
    }

    fn at(&self, period: Period) -> Option<usize> {
        let at = usize::try_from(period.index() - self.first.index()).ok()?;
        (period.frequency() == self.first.frequency() && at < self.values.len()).then_some(at)
    }

    /// The most decimal places that a figure has.
    #[must_use]
    pub fn places(&self) -> i32 {
        self.places
    }

    /// The least and the greatest figure.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        let figures = self.values.iter().flatten();
        figures.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), figure| {
            (low.min(*figure), high.max(*figure))
        })
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

#[cfg(test)]
pub mod tests {
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

    pub fn totals() -> Vec<Option<f64>> {
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
}
