//! The combination of the members into one forecast with calibrated ranges and sample paths.

use super::calendar::HolidayEffect;
use super::chance::Chance;
use super::features::{FEATURES, Scales, features};
use super::learned::{self, Learned};
use super::marginal::{self, Marginal};
use super::member::{self, MEMBERS};
use super::season::Adjusted;
use super::series::Series;
use super::{rare, statistics};

/// Deviates at 80 and 95 %.
const WITHIN_80: f64 = 1.281_551_6;
const WITHIN_95: f64 = 1.959_964;

/// Fewer values than these say nothing of trend or spread.
const SIMPLE: usize = 4;

/// The change between periods that is assumed where the history is too short to tell, as a share of the level.
const UNKNOWN_CHANGE: f64 = 0.15;

/// How much wider ranges are when none of the last year was reported.
const GAP: f64 = 0.25;

/// The largest range is this many times what the history ranged over.
const LARGEST_RANGE: f64 = 2.0;

/// A range that holds the value with a stated probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// What a forecast rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The learned combination of all members.
    Combined,
    /// The combination without seasons: there are less than two years, and no seasons were given.
    Short,
    /// Fewer than four values: the last one goes on, within a wide range.
    Naive,
    /// Mostly zeros: how often and how much.
    Rare,
    /// The same value every time.
    Constant,
}

/// What is expected of the coming periods.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The central forecast of each period.
    pub mean: Vec<f64>,
    /// Holds each period's value with probability 0.8.
    pub interval80: Vec<Interval>,
    /// Holds each period's value with probability 0.95.
    pub interval95: Vec<Interval>,
    /// Equally likely futures, each of `horizon` values, from which sums and closing values get their spread.
    pub paths: Vec<Vec<f64>>,
    /// What it rests on.
    pub basis: Basis,
}

/// Forecasts the next `horizon` periods; the same arguments always give the same forecast.
pub fn forecast(series: &Series, horizon: usize, seed: u64) -> Forecast {
    let mut chance = Chance::new(seed);
    // Models see values of at most 1, so that no square overflows.
    let unit = series.largest();
    let unit = if unit > 0.0 { unit } else { 1.0 };
    let scaled = series.map(|x| x / unit);
    let mut forecast = if let Some(bounds) = scaled.bounds() {
        let inner = scaled.map(|x| bounds.open(x));
        let mut forecast = combined(&inner.without_bounds(), horizon, &mut chance);
        forecast.transform(|x| bounds.close(x));
        forecast
    } else if rare::is_rare(&scaled) {
        rare::forecast(series, horizon, &mut chance).divided(unit)
    } else {
        combined(&scaled, horizon, &mut chance)
    };
    let floor = if series.all(|x| x >= 0.0) { 0.0 } else { f64::MIN };
    forecast.transform(|x| (x.max(floor) * unit).clamp(f64::MIN, f64::MAX));
    forecast
}

impl Forecast {
    /// Passes every value through a change that keeps their order.
    fn transform(&mut self, change: impl Fn(f64) -> f64) {
        let ranges = self.interval80.iter_mut().chain(&mut self.interval95);
        let bounds = ranges.flat_map(|range| [&mut range.low, &mut range.high]);
        let values = self.mean.iter_mut().chain(self.paths.iter_mut().flatten());
        bounds.chain(values).for_each(|x| *x = change(*x));
    }

    fn divided(mut self, unit: f64) -> Forecast {
        self.transform(|x| x / unit);
        self
    }
}

/// The central course of a series and how far it may be left.
pub(super) struct Course {
    pub(super) mean: Vec<f64>,
    /// The spread of the members around it.
    pub(super) disagreement: Vec<f64>,
    pub(super) members: Vec<Vec<f64>>,
    pub(super) features: [f64; FEATURES],
    pub(super) scales: Scales,
}

/// The course of a series whose largest value is about 1.
pub(super) fn course(series: &Series, horizon: usize) -> Course {
    let n = series.values().len();
    let series = &series.lifted();
    let holiday = HolidayEffect::estimate(series, horizon);
    let calm = holiday.as_ref().map(|effect| effect.remove(series));
    let calm = calm.as_ref().unwrap_or(series).levelled();
    let adjusted = Adjusted::new(&calm);
    let (features, scales) = features(&calm, &adjusted);
    let mut members = member::paths(&calm, &adjusted, horizon);
    if let Some(effect) = holiday {
        for path in &mut members {
            path.iter_mut().enumerate().for_each(|(step, x)| *x = effect.restore(n + step, *x));
        }
    }
    let learned = learned::of(series.periods());
    let (mut mean, mut disagreement) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
    for step in 0..horizon {
        let weights = weights(learned, &features, reach(series.periods(), step));
        let of_members = || weights.iter().zip(&members);
        let centre: f64 = of_members().map(|(weight, path)| weight * path[step]).sum();
        let squares: f64 = of_members().map(|(weight, path)| weight * (path[step] - centre).powi(2)).sum();
        mean.push(centre);
        disagreement.push(squares.sqrt());
    }
    Course { mean, disagreement, members, features, scales }
}

/// How far ahead a step is, as the learned table takes it.
fn reach(periods: usize, step: usize) -> f64 {
    ((step + 1) as f64 / (periods as f64 / 2.0 + 1.0)).ln() / 2.0
}

/// The members' weights, which add up to one.
fn weights(learned: &Learned, features: &[f64; FEATURES], reach: f64) -> [f64; MEMBERS] {
    let mut weights: [f64; MEMBERS] = std::array::from_fn(|member| {
        let row = &learned.gate[member];
        let by_feature: f64 = row[1..=FEATURES].iter().zip(features).map(|(a, x)| a * x).sum();
        row[0] + by_feature + row[FEATURES + 1] * reach
    });
    let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    weights.iter_mut().for_each(|x| *x = (*x - most).exp());
    let total: f64 = weights.iter().sum();
    weights.map(|x| x / total)
}

fn combined(series: &Series, horizon: usize, chance: &mut Chance) -> Forecast {
    let known: Vec<f64> = series.values().iter().flatten().copied().collect();
    let (basis, marginals) = if known.len() < SIMPLE {
        (Basis::Naive, naive(series, &known, horizon))
    } else {
        let is_constant = known.iter().all(|&x| x == known[0]);
        let is_short = series.periods() > 1 && !series.has_seasons();
        let basis = match (is_constant, is_short) {
            (true, _) => Basis::Constant,
            (false, true) => Basis::Short,
            (false, false) => Basis::Combined,
        };
        (basis, calibrated(series, &course(series, horizon)))
    };
    let learned = learned::of(series.periods());
    let paths = marginal::draw(&marginals, learned, chance);
    Forecast {
        mean: marginals.iter().map(Marginal::centre).collect(),
        interval80: marginals.iter().map(|step| step.interval(WITHIN_80)).collect(),
        interval95: marginals.iter().map(|step| step.interval(WITHIN_95)).collect(),
        paths,
        basis,
    }
}

/// The distribution around each point of the course.
fn calibrated(series: &Series, course: &Course) -> Vec<Marginal> {
    let learned = learned::of(series.periods());
    let scales = &course.scales;
    let widening = 1.0 + GAP * series.recent_gaps();
    let steps = course.mean.iter().zip(&course.disagreement).enumerate();
    steps
        .map(|(step, (&centre, &apart))| {
            let reach = reach(series.periods(), step);
            let is_factor = scales.is_log && centre > 0.0;
            let apart = if is_factor { apart / centre } else { apart };
            let apart = (apart / scales.change + 0.05).ln();
            let row = &learned.scale;
            let mut log = row[0] + row[1] * reach + row[2] * reach * reach + (row[3] + row[4] * reach) * apart;
            for (at, x) in course.features.iter().enumerate() {
                log += x * (row[5 + at] + row[5 + FEATURES + at] * reach);
            }
            let scale = scales.change * log.clamp(-6.0, 6.0).exp() * widening;
            let usual = LARGEST_RANGE * scales.range.max(2.0 * scales.change);
            Marginal::new(learned, step, centre, if is_factor { 0.0 } else { 1.0 }, scale.min(usual))
        })
        .collect()
}

/// The last value goes on, and nobody knows how far it is left.
fn naive(series: &Series, known: &[f64], horizon: usize) -> Vec<Marginal> {
    let last = known.last().copied().unwrap_or(0.0);
    let level = statistics::mean(&known.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let step = known.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    let change = step.max(UNKNOWN_CHANGE * level);
    let learned = learned::of(series.periods());
    (0..horizon)
        .map(|h| Marginal::new(learned, h, last, 1.0, change * ((h + 1) as f64).sqrt()))
        .collect()
}
