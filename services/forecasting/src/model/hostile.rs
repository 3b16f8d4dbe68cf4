//! Series that no office would report, for tests: whatever is asked of them, a forecast is sound.

use std::thread;

use super::chance::Chance;
use super::example::{SEASONALITIES, below};
use super::{
    Forecast, MEMBER_NAMES, Rule, Series, Target, anomaly, forecast, outturn, probability, study,
};

/// A series and how far ahead to forecast it.
struct Case {
    series: Series,
    horizon: usize,
    limits: Option<(f64, f64)>,
}

fn happens(chance: &mut Chance, share: f64) -> bool {
    chance.uniform() < share
}

/// From the smallest number that there is to the largest.
fn size(chance: &mut Chance) -> f64 {
    match below(chance, 8) {
        0 => f64::MAX,
        1 => 1e300,
        2 => 1e-300,
        3 => f64::from_bits(1),
        4 => f64::MIN_POSITIVE,
        5 => 10_f64.powf(40.0 * chance.uniform() - 20.0),
        _ => 1.0,
    }
}

/// One kind of course, within -1 and 1.
fn course(chance: &mut Chance, kind: usize, length: usize) -> Vec<f64> {
    let (slope, base) = (chance.normal(), chance.normal());
    let place = below(chance, length);
    let mut level = chance.normal();
    let either = |is_first: bool, first: f64, second: f64| if is_first { first } else { second };
    let value = |t: usize| {
        let noise = chance.normal();
        level += 0.2 * chance.normal();
        let value = match kind {
            0 => level,
            1 => level.exp(),
            2 => base,
            // Two or three constant stretches.
            3 => either(t > place, 1.0, 0.0) + either(t > 2 * place, base, 0.0),
            4 => either(t.is_multiple_of(2), base, -base),
            // Calm, or zero, but for one value.
            5 => either(t == place, 1.0, 1e-3 * noise),
            6 => either(t == place, 1.0, 0.0),
            7 => either(noise > 1.0, noise.round(), 0.0),
            8 => 10_f64.powf(60.0 * level),
            9 => slope * t as f64,
            10 => (slope * t as f64).exp(),
            // As regular, or as constant, as digits allow.
            11 => (base * t as f64).sin(),
            12 => 1.0 + 1e-15 * noise,
            13 => noise.signum() * 10_f64.powf(-30.0 * noise.abs()),
            14 => (t * t % 7) as f64 - base.round(),
            _ => noise.abs().powi(9),
        };
        value.min(1e100)
    };
    let mut values: Vec<f64> = (0..length).map(value).collect();
    let largest = values.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    values.iter_mut().for_each(|x| *x /= largest);
    values
}

/// How many kinds of courses there are.
const KINDS: usize = 16;

/// Some series; the shorter, the likelier.
fn case(chance: &mut Chance, longest: usize) -> Case {
    loop {
        let short = chance.uniform().powi(3) * (longest - 1) as f64;
        let length = 1 + (0..longest).take_while(|&at| (at as f64) < short).count();
        let kind = below(chance, KINDS);
        let (size, shift) = (size(chance), happens(chance, 0.3));
        let gaps = [0.0, 0.0, 0.1, 0.8][below(chance, 4)];
        let values: Vec<Option<f64>> = course(chance, kind, length)
            .into_iter()
            .map(|x| {
                if shift {
                    (1.0 + x) / 2.0 * size
                } else {
                    x * size
                }
            })
            .map(|x| (!happens(chance, gaps)).then_some(x))
            .collect();
        let seasonality = SEASONALITIES[below(chance, 4)];
        let horizon = 1 + below(chance, 36);
        if let Ok(series) = Series::new(&values, seasonality) {
            return dressed(chance, series, horizon, length, size);
        }
    }
}

/// With what else may be known of a series.
fn dressed(
    chance: &mut Chance,
    mut series: Series,
    horizon: usize,
    length: usize,
    size: f64,
) -> Case {
    if happens(chance, 0.3) {
        let shares: Vec<f64> = (0..length + horizon).map(|_| chance.uniform()).collect();
        series = series.with_holiday(&shares);
    }
    if happens(chance, 0.3) {
        let swing = if happens(chance, 0.5) {
            size.min(1e100)
        } else {
            1.0
        };
        let indices: Vec<f64> = (0..series.periods())
            .map(|_| swing * chance.normal())
            .collect();
        series = series.with_seasons(&indices);
    }
    if happens(chance, 0.3) {
        let places: Vec<usize> = (0..3).map(|_| below(chance, length + 3)).collect();
        series = series.with_breaks(&places);
    }
    let mut limits = None;
    if happens(chance, 0.3) {
        let (low, high) = (-size * chance.uniform(), size);
        series = series.with_limits(low, high);
        limits = series.limits().map(|_| (low, high));
    }
    Case {
        series,
        horizon,
        limits,
    }
}

/// Asserts that everything is finite, in order and within the limits.
fn assert_sound(forecast: &Forecast, case: &Case) {
    let (low, high) = case.limits.unwrap_or((f64::MIN, f64::MAX));
    let is_sound = |x: &f64| x.is_finite() && low <= *x && *x <= high;
    assert_eq!(forecast.mean.len(), case.horizon);
    assert_eq!(forecast.paths.len(), 2000);
    for path in &forecast.paths {
        assert_eq!(path.len(), case.horizon);
        assert!(path.iter().all(is_sound), "{path:?}");
    }
    for (step, mean) in forecast.mean.iter().enumerate() {
        let (inner, outer) = (forecast.interval80[step], forecast.interval95[step]);
        let order = [outer.low, inner.low, *mean, inner.high, outer.high];
        assert!(order.is_sorted() && order.iter().all(is_sound), "{order:?}");
    }
    if case.series.all(|x| x >= 0.0) && case.limits.is_none() {
        let mut lows = forecast.interval95.iter().map(|range| range.low);
        assert!(lows.all(|low| low >= 0.0), "it was never negative");
    }
}

/// Asserts that the year's end can be told from the futures.
fn assert_outturn(forecast: &Forecast, case: &Case) {
    for rule in [Rule::Sum, Rule::Last] {
        let year = outturn(rule, case.horizon, &[], &forecast.paths).unwrap();
        let chance = probability(&year, Target::AtLeast(forecast.mean[0]));
        assert!(chance > 0.0 && chance < 1.0, "{chance}");
        // Sums of the largest numbers are beyond them.
        if rule == Rule::Last {
            let range = year.interval(0.8);
            assert!(range.low.is_finite() && range.high.is_finite() && range.low <= range.high);
        }
    }
}

/// Asserts that any value can be judged.
fn assert_judged(case: &Case, value: f64) {
    let found = anomaly(&case.series, value.clamp(f64::MIN, f64::MAX), 1);
    assert!(found.score.is_finite() && found.expected.is_finite());
    assert!(found.suggested.is_none_or(f64::is_finite), "{found:?}");
}

/// Tells which series it was when a test fails.
struct Told<'a> {
    case: &'a Case,
    place: (u64, usize),
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Case {
                series, horizon, ..
            } = self.case;
            eprintln!("{:?}: {horizon} periods after {series:?}", self.place);
        }
    }
}

/// Forecasts so many series and asks all that can be asked of them.
fn endure(seed: u64, count: usize, longest: usize) {
    let mut chance = Chance::new(seed);
    for at in 0..count {
        let case = &case(&mut chance, longest);
        let place = (seed, at);
        let _told = Told { case, place };
        let found = forecast(&case.series, case.horizon, seed);
        assert_sound(&found, case);
        assert_outturn(&found, case);
        match at % 4 {
            0 => assert!(found == forecast(&case.series, case.horizon, seed)),
            1 => {
                let value = [0.0, 1.0, -found.mean[0], 1e3 * found.mean[0]][below(&mut chance, 4)];
                assert_judged(case, value);
            }
            2 => assert_eq!(
                study(&case.series, case.horizon).members.len(),
                MEMBER_NAMES.len()
            ),
            _ => (),
        }
    }
}

#[test]
fn hostile_series_are_forecast_soundly() {
    endure(1, 1500, 90);
    endure(2, 40, 500);
}

#[test]
#[ignore = "takes minutes: cargo test --release -- --ignored"]
fn many_more_hostile_series_are_forecast_soundly() {
    for seed in 100..130 {
        endure(seed, 2000, 120);
        endure(seed, 200, 500);
    }
}
