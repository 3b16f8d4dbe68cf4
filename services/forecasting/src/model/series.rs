//! A series of calendar periods, with gaps, and what can be said of its seasons.

mod limits;

use std::fmt;

use super::statistics::mean;
use limits::Limits;

/// Why a history cannot be forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unforecastable {
    /// No value was reported.
    Empty,
    /// A value is infinite or not a number.
    NotFinite {
        /// Its place in the history.
        index: usize,
    },
}

impl fmt::Display for Unforecastable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unforecastable::Empty => f.write_str("no value was reported"),
            Unforecastable::NotFinite { index } => {
                write!(f, "the value at place {} is not a finite number", index + 1)
            }
        }
    }
}

/// How many periods make a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seasonality {
    /// Twelve periods.
    Monthly,
    /// Four periods.
    Quarterly,
    /// Two periods.
    HalfYearly,
    /// One period: nothing seasonal to see.
    Yearly,
}

impl Seasonality {
    /// Periods in a year: 12, 4, 2 or 1.
    pub fn periods(self) -> usize {
        match self {
            Seasonality::Monthly => 12,
            Seasonality::Quarterly => 4,
            Seasonality::HalfYearly => 2,
            Seasonality::Yearly => 1,
        }
    }
}

/// Values of consecutive periods, oldest first; `None` where nothing was reported. Every value is finite, the first is
/// present, and there are enough of them to forecast from.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    values: Vec<Option<f64>>,
    seasonality: Seasonality,
    /// Leading gaps that were dropped.
    dropped: usize,
    holiday: Vec<f64>,
    /// Seasonal indices known from elsewhere, the first for the first value.
    seasons: Vec<f64>,
    limits: Option<Limits>,
    /// Where the level broke.
    breaks: Vec<usize>,
}

impl Series {
    /// Accepts a history that can be forecast, or says why it cannot. Trailing gaps count as periods that have passed.
    pub fn new(values: &[Option<f64>], seasonality: Seasonality) -> Result<Series, Unforecastable> {
        if let Some(index) = values
            .iter()
            .position(|value| value.is_some_and(|x| !x.is_finite()))
        {
            return Err(Unforecastable::NotFinite { index });
        }
        if values.iter().flatten().next().is_none() {
            return Err(Unforecastable::Empty);
        }
        let first = values.iter().position(Option::is_some).unwrap_or(0);
        Ok(Series {
            values: values[first..].to_vec(),
            seasonality,
            dropped: first,
            holiday: Vec::new(),
            seasons: Vec::new(),
            limits: None,
            breaks: Vec::new(),
        })
    }

    /// Adds seasonal indices known from a sibling or parent, one of each period of a year, the first for the first of
    /// the values that were given: factors where all values are positive, else differences. They serve where the history
    /// is too short for its own.
    pub fn with_seasons(mut self, indices: &[f64]) -> Series {
        if indices.len() == self.periods() && indices.iter().all(|x| x.is_finite()) {
            self.seasons = indices.to_vec();
            self.seasons.rotate_left(self.dropped % indices.len());
        }
        self
    }

    /// Marks the places, from the first of the values that were given, where the level broke, as by a new definition.
    pub fn with_breaks(mut self, places: &[usize]) -> Series {
        let within = places
            .iter()
            .filter_map(|place| place.checked_sub(self.dropped));
        self.breaks = within
            .filter(|&place| place > 0 && place < self.values.len())
            .collect();
        self.breaks.sort_unstable();
        self
    }

    /// From its first value that is not zero on: what did not exist before says nothing of how it goes on.
    pub(super) fn begun(&self) -> Series {
        let is_something = |value: &Option<f64>| value.is_some_and(|x| x != 0.0);
        let first = self.values.iter().position(is_something).unwrap_or(0);
        let mut seasons = self.seasons.clone();
        let turn = first % seasons.len().max(1);
        seasons.rotate_left(turn);
        let after = |place: &usize| place.checked_sub(first).filter(|&place| place > 0);
        Series {
            values: self.values[first..].to_vec(),
            dropped: self.dropped + first,
            holiday: self.holiday.get(first..).unwrap_or_default().to_vec(),
            seasons,
            breaks: self.breaks.iter().filter_map(after).collect(),
            ..*self
        }
    }

    /// Up to its last value, and how many periods have passed since.
    pub(super) fn without_trailing_gaps(&self) -> (Series, usize) {
        let mut series = self.clone();
        let last = self.values.iter().rposition(Option::is_some);
        series.values.truncate(last.map_or(0, |last| last + 1));
        let count = series.values.len();
        series.breaks.retain(|&place| place < count);
        (series, self.values.len() - count)
    }

    /// Where only a few values are zero and none is negative, zeros as half the smallest other value: then the rest can
    /// be told apart by factors.
    pub(super) fn lifted(&self) -> Series {
        let least = self
            .values
            .iter()
            .flatten()
            .copied()
            .filter(|&x| x > 0.0)
            .fold(f64::INFINITY, f64::min);
        let is_fit = least.is_finite() && self.all(|x| x >= 0.0);
        self.map(|x| if is_fit && x == 0.0 { least / 2.0 } else { x })
    }

    /// The same series counted in another unit, with its given seasons where those are differences.
    pub(super) fn in_unit(&self, unit: f64) -> Series {
        let mut series = self.map(|x| x / unit);
        if !self.all(|x| x > 0.0) {
            series.seasons.iter_mut().for_each(|x| *x /= unit);
        }
        series
    }

    /// The largest distance of a value from zero.
    pub(super) fn largest(&self) -> f64 {
        self.values
            .iter()
            .flatten()
            .fold(0.0, |most: f64, x| most.max(x.abs()))
    }

    /// Whether its own or given seasons are known.
    pub(super) fn has_seasons(&self) -> bool {
        !self.seasons.is_empty() || self.values.len() >= 2 * self.periods()
    }

    pub(super) fn given_seasons(&self) -> &[f64] {
        &self.seasons
    }

    /// The share of the last year that was not reported.
    pub(super) fn recent_gaps(&self) -> f64 {
        let year = &self.values[self.values.len().saturating_sub(self.periods().max(2))..];
        year.iter().filter(|value| value.is_none()).count() as f64 / year.len() as f64
    }

    /// The history as it would be without its breaks: what lies before one is moved to the level after it, by up to a
    /// year on both sides.
    pub(super) fn levelled(&self) -> Series {
        let is_factor = self.all(|x| x > 0.0);
        let mut values = self.values.clone();
        for &place in &self.breaks {
            let reach = self.periods().max(3);
            let level = |part: &[Option<f64>]| {
                let known: Vec<f64> = part.iter().flatten().copied().collect();
                (!known.is_empty()).then(|| mean(&known))
            };
            let before = level(&values[place.saturating_sub(reach)..place]);
            let after = level(&values[place..(place + reach).min(values.len())]);
            let Some((before, after)) = before.zip(after) else {
                continue;
            };
            for x in values[..place].iter_mut().flatten() {
                *x = if is_factor {
                    *x * after / before
                } else {
                    *x + after - before
                };
            }
        }
        self.with_values(values)
    }

    /// Adds the share of a moving holiday that falls into each period, from the first of the values that were given to
    /// the end of any horizon to be asked for; without it the holiday's moves are taken for chance.
    pub fn with_holiday(mut self, shares: &[f64]) -> Series {
        self.holiday = shares.get(self.dropped..).unwrap_or_default().to_vec();
        self
    }

    pub(super) fn holiday(&self) -> &[f64] {
        &self.holiday
    }

    /// The fewest reported values to forecast well from: a year and one period, since with less the seasons cannot be
    /// told from the trend, and never fewer than four. [`Series::new`] accepts fewer; the forecast then says so.
    pub fn shortest(seasonality: Seasonality) -> usize {
        (seasonality.periods() + 1).max(4)
    }

    /// The values, oldest first.
    pub fn values(&self) -> &[Option<f64>] {
        &self.values
    }

    /// Periods in a year.
    pub fn periods(&self) -> usize {
        self.seasonality.periods()
    }

    pub(super) fn all(&self, test: impl Fn(f64) -> bool) -> bool {
        self.values.iter().flatten().all(|&x| test(x))
    }

    /// The same series with each value passed through `change`, which must keep it finite.
    pub(super) fn map(&self, change: impl Fn(f64) -> f64) -> Series {
        self.map_each(|_, x| change(x))
    }

    /// The same, told the place of each value.
    pub(super) fn map_each(&self, change: impl Fn(usize, f64) -> f64) -> Series {
        let changed = |(t, value): (usize, &Option<f64>)| value.map(|x| change(t, x));
        self.with_values(self.values.iter().enumerate().map(changed).collect())
    }

    /// A series of values derived from another.
    pub(super) fn from_parts(values: &[Option<f64>], m: usize) -> Series {
        Series {
            values: values.to_vec(),
            seasonality: match m {
                12 => Seasonality::Monthly,
                4 => Seasonality::Quarterly,
                2 => Seasonality::HalfYearly,
                _ => Seasonality::Yearly,
            },
            dropped: 0,
            holiday: Vec::new(),
            seasons: Vec::new(),
            limits: None,
            breaks: Vec::new(),
        }
    }

    fn with_values(&self, values: Vec<Option<f64>>) -> Series {
        Series {
            values,
            holiday: self.holiday.clone(),
            seasons: self.seasons.clone(),
            breaks: self.breaks.clone(),
            ..*self
        }
    }

    /// The first `periods` periods.
    pub(super) fn first(&self, periods: usize) -> Series {
        let end = self.values.len().min(periods);
        self.with_values(self.values[..end].to_vec())
    }

    /// Gaps filled on the straight line between their neighbours (the last value held at the end).
    pub(super) fn filled(&self) -> Vec<f64> {
        let known: Vec<(usize, f64)> = self
            .values
            .iter()
            .enumerate()
            .filter_map(|(t, value)| value.map(|x| (t, x)))
            .collect();
        let mut out = Vec::with_capacity(self.values.len());
        for pair in known.windows(2) {
            let ((from, a), (to, b)) = (pair[0], pair[1]);
            out.extend((from..to).map(|t| a + (b - a) * (t - from) as f64 / (to - from) as f64));
        }
        out.resize(self.values.len(), known.last().map_or(0.0, |&(_, x)| x));
        out
    }

    /// Additive seasonal indices by classical decomposition (they sum to zero, the first belongs to the first value), or
    /// `None` with less than two years. `shrink` draws them towards zero by how noisy they are.
    pub(super) fn seasonal_indices(&self, shrink: bool) -> Option<(Vec<f64>, f64)> {
        let (n, m) = (self.values.len(), self.periods());
        if m < 2 || n < 2 * m {
            return None;
        }
        let trend = centred_average(&self.filled(), m);
        let mut around: Vec<Vec<f64>> = vec![Vec::new(); m];
        for (t, (value, level)) in self.values.iter().zip(&trend).enumerate() {
            if let (Some(x), Some(level)) = (value, level) {
                around[t % m].push(x - level);
            }
        }
        if around.iter().any(Vec::is_empty) {
            return None;
        }
        let mut indices: Vec<f64> = around.iter().map(|season| mean(season)).collect();
        let centre = mean(&indices);
        indices.iter_mut().for_each(|index| *index -= centre);
        let keep = kept_share(&around, &indices);
        if shrink {
            indices.iter_mut().for_each(|index| *index *= keep);
        }
        Some((indices, keep))
    }

    /// What trend and seasons leave of each value, where both are known.
    pub(super) fn remainder(&self) -> Option<Vec<Option<f64>>> {
        let m = self.periods();
        let (seasons, _) = self.seasonal_indices(false)?;
        let trend = centred_average(&self.filled(), m);
        let parts = self.values.iter().zip(trend).enumerate();
        Some(
            parts
                .map(|(t, (value, level))| Some((*value)? - level? - seasons[t % m]))
                .collect(),
        )
    }
}

/// The moving average over one year, centred; `None` at both ends.
fn centred_average(values: &[f64], m: usize) -> Vec<Option<f64>> {
    let half = m / 2;
    (0..values.len())
        .map(|t| {
            let window = values.get(t.checked_sub(half)?..=t + half)?;
            let total: f64 = window.iter().sum();
            Some(if m.is_multiple_of(2) {
                (total - 0.5 * (window[0] + window[m])) / m as f64
            } else {
                total / m as f64
            })
        })
        .collect()
}

/// Indices are drawn to neutral this much more than James and Stein would: those of a few years err together, and what
/// they get wrong costs more than what they miss. Tuned on the M1, M3, M4 and Vietnamese series.
const CAUTION: f64 = 2.0;

/// James and Stein's share of the indices' spread that is more than noise, between 0 and 1.
fn kept_share(around: &[Vec<f64>], indices: &[f64]) -> f64 {
    let m = indices.len() as f64;
    let spread: f64 = indices.iter().map(|index| index * index).sum();
    // One variance for all seasons: a few years each tell too little.
    let (mut squares, mut freedom, mut inverse) = (0.0, 0.0, 0.0);
    for season in around {
        let centre = mean(season);
        squares += season.iter().map(|x| (x - centre).powi(2)).sum::<f64>();
        freedom += season.len() as f64 - 1.0;
        inverse += 1.0 / season.len() as f64;
    }
    if freedom < 1.0 {
        return 0.5;
    }
    let noise = CAUTION * squares / freedom * inverse;
    if m <= 3.0 || spread <= 0.0 {
        return 1.0;
    }
    (1.0 - noise * (m - 3.0) / m / spread).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::example::{AIR_PASSENGERS, assert_near};
    use super::{Seasonality, Series, Unforecastable};

    fn series(values: &[f64], seasonality: Seasonality) -> Series {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        Series::new(&values, seasonality).unwrap()
    }

    #[test]
    fn one_value_is_enough_and_none_is_not() {
        assert_eq!(
            Series::new(&[None, None], Seasonality::Monthly),
            Err(Unforecastable::Empty)
        );
        assert!(Series::new(&[None, Some(1.0)], Seasonality::Monthly).is_ok());
    }

    #[test]
    fn a_marked_break_is_levelled() {
        let values: Vec<f64> = (0..24).map(|t| if t < 12 { 50.0 } else { 100.0 }).collect();
        let levelled = series(&values, Seasonality::Monthly)
            .with_breaks(&[12])
            .levelled();
        assert!(levelled.all(|x| (x - 100.0).abs() < 1e-9));
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        for wrong in [f64::NAN, f64::INFINITY] {
            let values = [Some(1.0), None, Some(wrong), Some(1.0), Some(1.0)];
            assert_eq!(
                Series::new(&values, Seasonality::Yearly),
                Err(Unforecastable::NotFinite { index: 2 })
            );
        }
    }

    #[test]
    fn leading_gaps_are_dropped_from_values_and_holiday_alike() {
        let values = [None, None, Some(1.0), Some(2.0), Some(3.0), Some(4.0)];
        let series = Series::new(&values, Seasonality::Yearly)
            .unwrap()
            .with_holiday(&[0.0, 1.0, 2.0, 3.0]);
        assert_eq!(series.values().len(), 4);
        assert_eq!(series.holiday(), [2.0, 3.0]);
    }

    #[test]
    fn gaps_are_filled_on_the_line_and_held_at_the_end() {
        let values = [Some(1.0), None, Some(3.0), Some(5.0), Some(4.0), None];
        let series = Series::new(&values, Seasonality::Yearly).unwrap();
        assert_eq!(series.filled(), [1.0, 2.0, 3.0, 5.0, 4.0, 4.0]);
    }

    #[test]
    fn seasons_on_a_line_are_found() {
        let values: Vec<f64> = (0..24)
            .map(|t| f64::from(t) + [3.0, -1.0, 0.0, -2.0][t as usize % 4])
            .collect();
        let series = series(&values, Seasonality::Quarterly);
        let (indices, _) = series.seasonal_indices(false).unwrap();
        for (found, true_index) in indices.iter().zip([3.0, -1.0, 0.0, -2.0]) {
            assert!((found - true_index).abs() < 0.01, "{indices:?}");
        }
        assert!(series.seasonal_indices(true).unwrap().0[0] > 2.9);
    }

    /// `decompose(log(AirPassengers))$figure` of R, often printed.
    #[test]
    fn seasons_of_air_passengers_are_as_published() {
        let logs = series(&AIR_PASSENGERS, Seasonality::Monthly).map(f64::ln);
        let (found, _) = logs.seasonal_indices(false).unwrap();
        let known = [
            -0.085815019,
            -0.114412848,
            0.018113355,
            -0.013045611,
            -0.008966106,
            0.115392997,
            0.210816435,
            0.204512399,
            0.064836351,
            -0.075271265,
            -0.215845612,
            -0.100315075,
        ];
        assert_near(&found, &known, 1e-6);
    }

    #[test]
    fn given_differences_keep_the_unit_of_the_values() {
        let values = [50.0, -40.0, 60.0, -50.0, 45.0, -45.0, 55.0];
        let short = series(&values, Seasonality::Monthly);
        let swing = |size: f64| {
            let seasons: Vec<f64> = (0..12)
                .map(|t| if t % 2 == 0 { size } else { -size })
                .collect();
            let forecast = super::super::forecast(&short.clone().with_seasons(&seasons), 2, 1);
            forecast.mean[1] - forecast.mean[0]
        };
        // An odd month follows: down, then up again.
        assert!((60.0..140.0).contains(&swing(50.0)), "{}", swing(50.0));
    }
}
