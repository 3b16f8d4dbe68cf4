//! What holds of every forecast, tried on many series.

use std::thread;

use super::arima::{self, Difference};
use super::chance::Chance;
use super::example::{SEASONALITIES, below};
use super::smooth::fit_all;
use super::{
    Forecast, Interval, Outturn, Rule, Seasonality, Series, Target, forecast, outturn, probability,
    ridge, theta,
};

const HORIZON: usize = 6;

/// A series as offices report them: a course that wanders, seasons, noise; at times gaps. Positive, or of both signs.
struct Usual {
    values: Vec<Option<f64>>,
    seasonality: Seasonality,
}

impl Usual {
    fn new(chance: &mut Chance, is_positive: bool) -> Usual {
        let seasonality = SEASONALITIES[below(chance, 4)];
        let m = seasonality.periods();
        let swing = 0.3 * chance.uniform();
        let seasons: Vec<f64> = (0..m).map(|_| swing * chance.normal()).collect();
        let (growth, noise) = (0.01 * chance.normal(), 0.1 * chance.uniform());
        let gaps = if chance.uniform() < 0.3 { 0.1 } else { 0.0 };
        let mut level = 0.0;
        let value = |t: usize| {
            level += growth + noise * chance.normal();
            let x = level + seasons[t % m] + noise * chance.normal();
            let x = if is_positive {
                500.0 * x.exp()
            } else {
                500.0 * x
            };
            (chance.uniform() >= gaps || t == 0).then_some(x)
        };
        let length = 5 * m + 5;
        Usual {
            values: (0..length).map(value).collect(),
            seasonality,
        }
    }

    fn series(&self, change: impl Fn(usize, f64) -> f64) -> Series {
        let values = self.values.iter().enumerate();
        let values: Vec<_> = values.map(|(t, x)| x.map(|x| change(t, x))).collect();
        Series::new(&values, self.seasonality).unwrap()
    }
}

/// So many series of both kinds.
fn usual(seed: u64, count: usize) -> Vec<Usual> {
    let mut chance = Chance::new(seed);
    (0..count)
        .map(|at| Usual::new(&mut chance, at % 3 > 0))
        .collect()
}

/// Every figure of a forecast.
fn figures(forecast: &Forecast) -> Vec<f64> {
    let ranges = forecast.interval80.iter().chain(&forecast.interval95);
    let bounds = ranges.flat_map(|Interval { low, high }| [low, high]);
    let futures = forecast.paths.iter().flatten();
    let all = forecast.mean.iter().chain(bounds).chain(futures);
    all.copied().collect()
}

/// The largest difference, as a share of the largest figure.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = a.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let apart = a
        .iter()
        .zip(b)
        .fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()));
    apart / size
}

/// Multiplying by a power of two loses no digit, so that not one bit may differ.
#[test]
fn a_power_of_two_scales_every_figure_exactly() {
    for usual in usual(1, 60) {
        let found = figures(&forecast(&usual.series(|_, x| x), HORIZON, 1));
        for factor in [2.0, 0.25, 2_f64.powi(60), 2_f64.powi(-300)] {
            let scaled = usual.series(|_, x| x * factor);
            let scaled = figures(&forecast(&scaled, HORIZON, 1));
            let back: Vec<f64> = scaled.iter().map(|x| x / factor).collect();
            assert_eq!(found, back, "{factor}");
        }
    }
}

/// Other factors round each value, and the searches for parameters, which end early, then may end elsewhere.
#[test]
fn another_unit_scales_every_figure() {
    let mut exact = 0;
    for (at, usual) in usual(2, 100).iter().enumerate() {
        let found = figures(&forecast(&usual.series(|_, x| x), HORIZON, 1));
        for factor in [1000.0, 0.0254, 1e-7 / 3.0] {
            let scaled = usual.series(|_, x| x * factor);
            let scaled = figures(&forecast(&scaled, HORIZON, 1));
            let back: Vec<f64> = scaled.iter().map(|x| x / factor).collect();
            let apart = distance(&found, &back);
            assert!(apart < 0.03, "{at} {factor}: {apart}");
            exact += usize::from(apart < 1e-9);
        }
    }
    assert!(exact > 200, "{exact} of 300");
}

/// Members that know no zero do not mind where it is, but for where their searches end. The whole forecast does: it takes
/// logarithms of positive values, and how large changes are beside the values is a feature.
#[test]
fn a_shift_shifts_the_members_on_values() {
    const SHIFT: f64 = 4096.0;
    let (mut exact, mut all) = (0, 0);
    for usual in usual(3, 60) {
        let m = usual.seasonality.periods();
        // Far below zero, so that no logarithms are taken.
        let paths = |shift: f64| {
            let series = usual.series(|_, x| x + shift - 1e5);
            let (values, filled) = (series.values(), series.filled());
            let simple = theta::simple(values, HORIZON);
            let mut paths = vec![theta::classic(values, &simple), simple];
            paths.extend(ridge::path(&filled, 3, HORIZON));
            paths.extend(arima::path(&filled, m, Difference::Both, HORIZON));
            paths.extend(arima::path(&filled, m, Difference::Seasonal, HORIZON));
            let fits = fit_all(&series, &[1, m]);
            paths.extend(fits.iter().map(|fit| fit.path(HORIZON)));
            paths
        };
        let (here, there) = (paths(0.0), paths(SHIFT));
        assert_eq!(here.len(), there.len());
        for (a, b) in here.iter().zip(&there) {
            let apart = a.iter().zip(b).map(|(a, b)| (a + SHIFT - b).abs());
            let apart = apart.fold(0.0, f64::max);
            // The values differ by hundreds.
            assert!(apart < 10.0, "{a:?} {b:?}");
            exact += usize::from(apart < 1e-6);
            all += 1;
        }
    }
    assert!(exact > all * 9 / 10, "{exact} of {all}");
}

/// The seasons that are found grow by a season that is added, where no gap is bridged across it.
#[test]
fn a_constant_season_is_added_to_the_seasons_found() {
    let mut count = 0;
    for usual in usual(4, 100) {
        let m = usual.seasonality.periods();
        if usual.values.iter().any(Option::is_none) {
            continue;
        }
        let season = |t: usize| 100.0 * (t % m) as f64 - 50.0 * (m - 1) as f64;
        let indices = |share: f64| {
            let series = usual.series(|t, x| x + share * season(t));
            series.seasonal_indices(false).map(|(indices, _)| indices)
        };
        let Some((without, with)) = indices(0.0).zip(indices(1.0)) else {
            continue;
        };
        for t in 0..m {
            let apart = with[t] - without[t] - season(t);
            assert!(apart.abs() < 1e-6, "{m}: {apart}");
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_chance_never_rises_with_the_target() {
    for usual in usual(5, 40) {
        let found = forecast(&usual.series(|_, x| x), 12, 1);
        for rule in [Rule::Sum, Rule::Last] {
            let year = outturn(rule, 12, &[], &found.paths).unwrap();
            let Outturn::Expected(mut figures) = year.clone() else {
                panic!("the year is not over");
            };
            figures.sort_by(f64::total_cmp);
            let (mut before, mut last) = (1.0, 0.0);
            // At, between and beyond the figures.
            for pair in figures.windows(2).step_by(7) {
                for target in [pair[0], (pair[0] + pair[1]) / 2.0, pair[1]] {
                    let least = probability(&year, Target::AtLeast(target));
                    let most = probability(&year, Target::AtMost(target));
                    assert!(least > 0.0 && least < 1.0 && least <= before, "{target}");
                    assert!(most > 0.0 && most < 1.0 && most >= last, "{target}");
                    (before, last) = (least, most);
                }
            }
        }
    }
}

/// Nothing is kept between series: neither their order, nor how often, nor which thread forecasts them matters.
/// So that a plan for next year changes nothing of this year's.
#[test]
fn a_farther_horizon_leaves_nearer_periods_as_they_are() {
    let rare = |t: usize| if t % 5 == 3 { 2.0 } else { 0.0 };
    let rare: Vec<Option<f64>> = (0..40).map(|t| Some(rare(t))).collect();
    let rare = Series::new(&rare, Seasonality::Monthly).unwrap();
    let others = usual(9, 24).into_iter();
    for series in others.map(|one| one.series(|_, x| x)).chain([rare]) {
        let (near, far) = (forecast(&series, HORIZON, 3), forecast(&series, 24, 3));
        assert_eq!(near.mean, far.mean[..HORIZON]);
        assert_eq!(near.interval80, far.interval80[..HORIZON]);
        assert_eq!(near.interval95, far.interval95[..HORIZON]);
        let mut paths = near.paths.iter().zip(&far.paths);
        assert!(paths.all(|(near, far)| *near == far[..HORIZON]));
    }
}

#[test]
fn a_forecast_depends_on_its_own_series_only() {
    let series: Vec<Series> = usual(6, 24)
        .iter()
        .map(|usual| usual.series(|_, x| x))
        .collect();
    let alone: Vec<Forecast> = series
        .iter()
        .map(|series| forecast(series, HORIZON, 1))
        .collect();
    thread::scope(|scope| {
        for start in 0..4 {
            let (series, alone) = (&series, &alone);
            scope.spawn(move || {
                for turn in 0..24 {
                    // Each thread in its own order: 5 and 24 have no common divisor.
                    let at = (start * 7 + turn * 5) % 24;
                    assert!(forecast(&series[at], HORIZON, 1) == alone[at], "{at}");
                }
            });
        }
    });
}
