//! Series that are mostly zero: how often something happens, and how much then (Teunter, Syntetos and Babai, 2011).

use super::chance::Chance;
use super::pool::{Basis, Forecast, Interval};
use super::series::Series;
use super::statistics::quantile;

/// The share of zeros from which a series counts as rare.
const ZEROS: f64 = 0.4;

/// How many values must be known to tell.
const LEAST: usize = 4;

/// Gains of the frequency and of the size.
const OFTEN: f64 = 0.1;
const MUCH: f64 = 0.1;

/// How many futures are drawn.
const PATHS: usize = 2000;

/// Whether most of a series is zero and nothing is negative.
pub(super) fn is_rare(series: &Series) -> bool {
    let count = series.values().iter().flatten().count();
    let zeros = series
        .values()
        .iter()
        .flatten()
        .filter(|&&x| x == 0.0)
        .count();
    count >= LEAST
        && zeros < count
        && zeros as f64 >= ZEROS * count as f64
        && series.all(|x| x >= 0.0)
}

/// Whether what is left of a rare series, when the zeros before its beginning are taken away, can be forecast as others are.
pub(super) fn has_begun(begun: &Series) -> bool {
    begun.values().iter().flatten().count() >= LEAST && !is_rare(begun)
}

/// Draws futures in which each period brings something as often, and as much, as lately.
pub(super) fn forecast(series: &Series, horizon: usize, chance: &mut Chance) -> Forecast {
    let known: Vec<f64> = series.values().iter().flatten().copied().collect();
    let sizes: Vec<f64> = known.iter().copied().filter(|&x| x > 0.0).collect();
    let mut often = sizes.len() as f64 / known.len() as f64;
    let average: f64 = sizes.iter().map(|x| x / sizes.len() as f64).sum();
    // Rounding may carry the mean of the largest numbers that there are beyond them.
    let average = average.min(f64::MAX);
    let mut much = average;
    for &x in &known {
        if x > 0.0 {
            much += MUCH * (x - much);
        }
        often += OFTEN * (f64::from(u8::from(x > 0.0)) - often);
    }
    let is_whole = known.iter().all(|x| x.fract() == 0.0);
    // The mean of the smallest numbers that there are may be zero.
    let factor = if average > 0.0 { much / average } else { 1.0 };
    let value = |chance: &mut Chance| {
        if chance.uniform() >= often {
            return 0.0;
        }
        let x = (chance.pick(&sizes) * factor).min(f64::MAX);
        if is_whole { x.round() } else { x }
    };
    let paths: Vec<Vec<f64>> = (0..PATHS)
        .map(|_| {
            // So that a farther horizon leaves nearer steps as they are.
            let mut chance = chance.branch();
            (0..horizon).map(|_| value(&mut chance)).collect()
        })
        .collect();
    let mean = often * much;
    let ranges = |low: f64, high: f64| -> Vec<Interval> {
        (0..horizon)
            .map(|step| {
                let mut values: Vec<f64> = paths.iter().map(|path| path[step]).collect();
                Interval {
                    low: quantile(&mut values, low).min(mean),
                    high: quantile(&mut values, high).max(mean),
                }
            })
            .collect()
    };
    Forecast {
        mean: vec![mean; horizon],
        interval80: ranges(0.1, 0.9),
        interval95: ranges(0.025, 0.975),
        paths,
        basis: Basis::Rare,
    }
}
