//! A holiday that moves between periods from year to year, as the Lunar New Year does between January and February.

use chrono::{Datelike, NaiveDate};

use super::series::Series;
use super::statistics::mean;

/// The share of each year's holiday that falls into each of `months` months from that of `first` on, where work rests
/// for `days` days from each of the `starts`. A month that no holiday reaches has 0.
pub fn holiday_shares(
    starts: &[NaiveDate],
    days: usize,
    first: NaiveDate,
    months: usize,
) -> Vec<f64> {
    let mut shares = vec![0.0; months];
    for day in starts.iter().flat_map(|start| start.iter_days().take(days)) {
        let place = i64::from(day.year() - first.year()) * 12 + i64::from(day.month())
            - i64::from(first.month());
        if let Some(share) = usize::try_from(place)
            .ok()
            .and_then(|place| shares.get_mut(place))
        {
            *share += 1.0 / days as f64;
        }
    }
    shares
}

/// What a holiday usually does to a month, as a logarithm: the median over Vietnamese series of trade.
const USUAL: f64 = -0.25;

/// How much that differs between series, as a standard deviation.
const SPREAD: f64 = 0.08;

/// The largest effect believed, as a logarithm: a holiday changes a month some sevenfold at most.
const LARGEST_FACTOR: f64 = 2.0;

/// The estimated effect of the holiday on each period, to be taken off the history and put back on the forecast.
pub(super) struct HolidayEffect {
    /// One of each period of the history, then of the horizon.
    effects: Vec<f64>,
    is_factor: bool,
}

impl HolidayEffect {
    /// Regresses what trend and seasons leave on the holiday's shift from its usual place; `None` without holiday, with
    /// two years or less, or where it hardly moved.
    pub(super) fn estimate(series: &Series, horizon: usize) -> Option<HolidayEffect> {
        let (n, m) = (series.values().len(), series.periods());
        let shares = series.holiday();
        if n < 2 * m + 1 || shares.len() < n + horizon {
            return None;
        }
        let of_season = |season| shares[..n].iter().skip(season).step_by(m).copied();
        let usual: Vec<f64> = (0..m)
            .map(|season| mean(&of_season(season).collect::<Vec<_>>()))
            .collect();
        let shift: Vec<f64> = shares
            .iter()
            .enumerate()
            .map(|(t, share)| share - usual[t % m])
            .collect();
        let is_factor = series.all(|x| x > 0.0);
        let scale = if is_factor {
            series.map(f64::ln)
        } else {
            series.clone()
        };
        let rests = scale.remainder()?;
        let pairs = || {
            shift
                .iter()
                .zip(&rests)
                .filter_map(|(x, rest)| rest.map(|y| (*x, y)))
        };
        let power: f64 = pairs().map(|(x, _)| x * x).sum();
        if power < 0.1 {
            return None;
        }
        let raw = pairs().map(|(x, y)| x * y).sum::<f64>() / power;
        let moved = || pairs().filter(|(x, _)| x.abs() > 0.05);
        let mean_square = |squares: f64, count: f64| squares / count.max(1.0);
        let near = moved().map(|(x, y)| (y - raw * x).powi(2)).sum();
        let all = pairs().map(|(x, y)| (y - raw * x).powi(2)).sum();
        let noise = mean_square(near, moved().count() as f64 - 1.0)
            .max(mean_square(all, pairs().count() as f64));
        let variance = noise / power;
        let effect = if is_factor {
            // Drawn to the usual effect by how uncertain it is.
            let trust = SPREAD * SPREAD / (SPREAD * SPREAD + variance);
            USUAL + trust * (raw - USUAL)
        } else {
            // Stein's shrinkage: an effect no larger than its standard error is dropped.
            raw * (1.0 - variance / (raw * raw)).max(0.0)
        };
        let most = if is_factor { LARGEST_FACTOR } else { f64::MAX };
        let effect = effect.clamp(-most, most);
        (effect.is_finite() && effect != 0.0).then(|| HolidayEffect {
            effects: shift.iter().map(|x| x * effect).collect(),
            is_factor,
        })
    }

    /// The history as it would be with the holiday in its usual place.
    pub(super) fn remove(&self, series: &Series) -> Series {
        series.map_each(|t, x| self.apply(x, -self.effects[t]))
    }

    /// Puts the effect of the period `at`, counted from the start of the history, back.
    pub(super) fn restore(&self, at: usize, value: f64) -> f64 {
        self.apply(value, self.effects[at])
    }

    fn apply(&self, value: f64, effect: f64) -> f64 {
        if self.is_factor {
            value * effect.exp()
        } else {
            value + effect
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Seasonality, Series};
    use super::{HolidayEffect, NaiveDate, holiday_shares};

    fn date(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn a_holiday_is_shared_by_the_days_in_each_month() {
        let shares = holiday_shares(
            &[date(2024, 1, 29), date(2025, 12, 31)],
            10,
            date(2024, 1, 1),
            24,
        );
        let expected: Vec<(usize, f64)> = vec![(0, 0.3), (1, 0.7), (23, 0.1)];
        for (month, share) in shares.iter().enumerate() {
            let known = expected
                .iter()
                .find(|(at, _)| *at == month)
                .map_or(0.0, |(_, share)| *share);
            assert!((share - known).abs() < 1e-12, "{month}: {share}");
        }
    }

    /// Eight years of which every other has its holiday in February, which halves a month.
    fn moving() -> (Vec<Option<f64>>, Vec<f64>) {
        let in_month = |t: usize| t % 12 == (t / 12) % 2;
        let shares: Vec<f64> = (0..108).map(|t| f64::from(u8::from(in_month(t)))).collect();
        let values = (0..96)
            .map(|t| Some(if in_month(t) { 50.0 } else { 100.0 }))
            .collect();
        (values, shares)
    }

    #[test]
    fn a_moving_holiday_is_taken_off_and_put_back() {
        let (values, shares) = moving();
        let series = Series::new(&values, Seasonality::Monthly)
            .unwrap()
            .with_holiday(&shares);
        let effect = HolidayEffect::estimate(&series, 12).unwrap();
        let removed = effect.remove(&series);
        let ratio = removed.values()[1].unwrap() / removed.values()[13].unwrap();
        assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
        let back = effect.restore(13, removed.values()[13].unwrap());
        assert!((back - 50.0).abs() < 1e-9);
        let forecast = super::super::forecast(&series, 2, 1);
        assert!(
            forecast.mean[0] < 65.0 && forecast.mean[1] > 85.0,
            "{:?}",
            forecast.mean
        );
    }

    #[test]
    fn without_shares_for_the_whole_horizon_there_is_no_effect() {
        let (values, shares) = moving();
        let series = Series::new(&values, Seasonality::Monthly).unwrap();
        assert!(HolidayEffect::estimate(&series, 12).is_none());
        assert!(HolidayEffect::estimate(&series.with_holiday(&shares), 13).is_none());
    }
}
