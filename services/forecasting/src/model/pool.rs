//! The combination of the members into one forecast with calibrated ranges and sample paths.

use super::calendar::HolidayEffect;
use super::chance::Chance;
use super::features::{FEATURES, Scales, features};
use super::learned::{self, CIRCUMSTANCES, Learned, PAIRS, SHARE};
use super::marginal::{self, Marginal};
use super::member::{self, CORE, MEMBERS};
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

/// The largest logarithm of a distance over the typical change: beyond it, what was learned says nothing.
const FARTHEST_APART: f64 = 4.0;

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
    /// The forecasts of what it is calculated from.
    Calculated,
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
    if let Some(limits) = series.limits() {
        let mut forecast = forecast(&series.opened(limits), horizon, seed);
        forecast.transform(|x| limits.close(x));
        return forecast;
    }
    let mut chance = Chance::new(seed);
    if rare::is_rare(series) {
        let begun = series.begun();
        return match rare::has_begun(&begun) {
            true => forecast(&begun, horizon, seed),
            false => rare::forecast(series, horizon, &mut chance),
        };
    }
    // Models see values of at most 1, so that no square overflows.
    let unit = series.largest();
    let unit = if unit > 0.0 { unit } else { 1.0 };
    let mut forecast = combined(&series.in_unit(unit), horizon, &mut chance);
    let floor = if series.all(|x| x >= 0.0) {
        0.0
    } else {
        f64::MIN
    };
    forecast.transform(|x| (x.max(floor) * unit).clamp(f64::MIN, f64::MAX));
    forecast
}

impl Forecast {
    /// Passes every value through a change that keeps or reverses their order.
    fn transform(&mut self, change: impl Fn(f64) -> f64) {
        for range in self.interval80.iter_mut().chain(&mut self.interval95) {
            let [one, other] = [change(range.low), change(range.high)];
            *range = Interval {
                low: one.min(other),
                high: one.max(other),
            };
        }
        let values = self.mean.iter_mut().chain(self.paths.iter_mut().flatten());
        values.for_each(|x| *x = change(*x));
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
            path.iter_mut()
                .enumerate()
                .for_each(|(step, x)| *x = effect.restore(n + step, *x));
        }
    }
    let learned = learned::of(series.periods(), series.values().len());
    let (mut mean, mut disagreement) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
    for step in 0..horizon {
        let weights = weights(learned, &features, reach(series.periods(), step));
        let of_members = || weights.iter().zip(&members);
        let centre: f64 = of_members().map(|(weight, path)| weight * path[step]).sum();
        let squares: f64 = of_members()
            .map(|(weight, path)| weight * (path[step] - centre).powi(2))
            .sum();
        mean.push(centre);
        disagreement.push(squares.sqrt());
    }
    Course {
        mean,
        disagreement,
        members,
        features,
        scales,
    }
}

/// How far ahead a step is, as the learned table takes it.
fn reach(periods: usize, step: usize) -> f64 {
    ((step + 1) as f64 / (periods as f64 / 2.0 + 1.0)).ln() / 2.0
}

/// The members' weights, which add up to one: by the gate, and a share for the core, which guards against a gate that
/// never saw such a series.
fn weights(learned: &Learned, features: &[f64; FEATURES], reach: f64) -> [f64; MEMBERS] {
    let mut weights: [f64; MEMBERS] = std::array::from_fn(|member| {
        let row = &learned.gate[member];
        let by_feature: f64 = row[1..=FEATURES]
            .iter()
            .zip(features)
            .map(|(a, x)| a * x)
            .sum();
        row[0] + by_feature + row[FEATURES + 1] * reach
    });
    let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    weights.iter_mut().for_each(|x| *x = (*x - most).exp());
    let total: f64 = weights.iter().sum();
    let mut weights = weights.map(|x| (1.0 - SHARE) * x / total);
    for &member in &CORE {
        weights[member] += SHARE / CORE.len() as f64;
    }
    weights
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
    let learned = learned::of(series.periods(), series.values().len());
    let paths = marginal::draw(&marginals, learned, chance);
    Forecast {
        mean: marginals.iter().map(Marginal::centre).collect(),
        interval80: marginals
            .iter()
            .map(|step| step.interval(WITHIN_80))
            .collect(),
        interval95: marginals
            .iter()
            .map(|step| step.interval(WITHIN_95))
            .collect(),
        paths,
        basis,
    }
}

/// What is forecast at least of values that were never zero, as a share of the smallest.
const FADED: f64 = 0.25;

/// The distribution around each point of the course.
fn calibrated(series: &Series, course: &Course) -> Vec<Marginal> {
    let learned = learned::of(series.periods(), series.values().len());
    let scales = &course.scales;
    let widening = 1.0 + GAP * series.recent_gaps();
    // What was never zero does not become so: a scale of factors tells nothing of differences.
    let lifted = series.lifted();
    let values = lifted.values().iter().flatten();
    let least = FADED * values.copied().fold(f64::INFINITY, f64::min);
    let floor = if scales.is_log { least } else { f64::MIN };
    let steps = course.mean.iter().zip(&course.disagreement).enumerate();
    steps
        .map(|(step, (&centre, &apart))| {
            let centre = centre.max(floor);
            let reach = reach(series.periods(), step);
            let is_factor = scales.is_log && centre > 0.0;
            let circumstances = circumstances(course, reach, apart, is_factor.then_some(centre));
            let log = quadratic(&learned.scale, &circumstances);
            let scale = scales.change * log.clamp(-6.0, 6.0).exp() * widening;
            let usual = LARGEST_RANGE * scales.range.max(2.0 * scales.change);
            Marginal::new(learned, step, centre, is_factor, scale.min(usual))
        })
        .collect()
}

/// What the logarithm of the scale depends on: a constant, how far ahead a step is, how far the members are apart there,
/// how far values a year apart are, how often a value repeats, and the features. Factors relate to their centre.
fn circumstances(
    course: &Course,
    reach: f64,
    apart: f64,
    centre: Option<f64>,
) -> [f64; CIRCUMSTANCES] {
    let scales = &course.scales;
    let relative = |size: f64| {
        let changes = size / centre.unwrap_or(1.0) / scales.change;
        (changes + 0.05).ln().min(FARTHEST_APART)
    };
    let yearly = scales.yearly.map_or(0.0, relative);
    let mut all = [0.0; CIRCUMSTANCES];
    all[..CIRCUMSTANCES - FEATURES].copy_from_slice(&[
        1.0,
        reach,
        relative(apart),
        yearly,
        scales.flat,
    ]);
    all[CIRCUMSTANCES - FEATURES..].copy_from_slice(&course.features);
    all
}

/// The sum over all pairs of `x`, each with itself and with those after it, of their product times its coefficient.
fn quadratic(coefficients: &[f64; PAIRS], x: &[f64; CIRCUMSTANCES]) -> f64 {
    let mut coefficients = coefficients.iter();
    let mut total = 0.0;
    for (at, a) in x.iter().enumerate() {
        for (b, coefficient) in x[at..].iter().zip(coefficients.by_ref()) {
            total += coefficient * a * b;
        }
    }
    total
}

/// The last value goes on, and nobody knows how far it is left.
fn naive(series: &Series, known: &[f64], horizon: usize) -> Vec<Marginal> {
    let last = known.last().copied().unwrap_or(0.0);
    let level = statistics::mean(&known.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let step = known
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .fold(0.0, f64::max);
    let change = step.max(UNKNOWN_CHANGE * level);
    let learned = learned::of(series.periods(), series.values().len());
    (0..horizon)
        .map(|h| Marginal::new(learned, h, last, false, change * ((h + 1) as f64).sqrt()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_6;

    use super::super::chance::Chance;
    use super::super::{Rule, Seasonality, Series, Target, outturn, probability};
    use super::{Basis, Forecast, forecast};

    fn series(values: impl IntoIterator<Item = f64>, seasonality: Seasonality) -> Series {
        let values: Vec<Option<f64>> = values.into_iter().map(Some).collect();
        Series::new(&values, seasonality).unwrap()
    }

    fn monthly(value: impl Fn(usize) -> f64, count: usize) -> Series {
        series((0..count).map(value), Seasonality::Monthly)
    }

    fn usual(seed: u64, count: usize) -> Series {
        let mut chance = Chance::new(seed);
        let noise: Vec<f64> = (0..count).map(|_| chance.normal()).collect();
        monthly(
            |t| 100.0 + 0.5 * t as f64 + 10.0 * (t as f64 * FRAC_PI_6).sin() + 3.0 * noise[t],
            count,
        )
    }

    fn assert_sound(forecast: &Forecast, horizon: usize, what: &str) {
        assert_eq!(forecast.mean.len(), horizon);
        assert!(forecast.paths.iter().all(|path| path.len() == horizon));
        let mut values = forecast.paths.iter().flatten().chain(&forecast.mean);
        assert!(values.all(|x| x.is_finite()), "{what}");
        for (step, mean) in forecast.mean.iter().enumerate() {
            let (inner, outer) = (forecast.interval80[step], forecast.interval95[step]);
            let order = [outer.low, inner.low, *mean, inner.high, outer.high];
            assert!(order.is_sorted(), "{what}: {order:?}");
        }
    }

    /// Random walks, bursts, gaps, zeros, few distinct values, outliers and extreme sizes, of any length.
    fn nasty(chance: &mut Chance) -> Vec<Option<f64>> {
        let share = chance.uniform();
        let count = 1 + (0..70).filter(|_| chance.uniform() < share).count();
        let size = 10_f64.powf(chance.uniform() * 40.0 - 20.0)
            * if chance.uniform() < 0.02 { 1e280 } else { 1.0 };
        let kind = (chance.uniform() * 8.0).floor();
        let mut level = chance.normal();
        (0..count)
            .map(|_| {
                level += 0.3 * chance.normal();
                let value = match kind {
                    0.0 => level,
                    1.0 => level.exp(),
                    2.0 if chance.uniform() < 0.7 => 0.0,
                    3.0 => (level * 2.0).round(),
                    4.0 if chance.uniform() < 0.1 => level * 1e6,
                    5.0 => 1.0,
                    6.0 => 10_f64.powf(250.0 * chance.uniform() - 250.0),
                    _ => chance.normal().abs().powi(5),
                };
                (chance.uniform() > 0.15).then_some(value * size)
            })
            .collect()
    }

    #[test]
    fn nasty_series_are_sound() {
        let mut chance = Chance::new(1);
        let all = [
            Seasonality::Monthly,
            Seasonality::Quarterly,
            Seasonality::HalfYearly,
            Seasonality::Yearly,
        ];
        for round in 0..400 {
            let values = nasty(&mut chance);
            if let Ok(series) = Series::new(&values, all[round % 4]) {
                assert_sound(&forecast(&series, 3, 1), 3, &format!("{values:?}"));
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let series = usual(1, 60);
        assert_eq!(forecast(&series, 12, 5), forecast(&series, 12, 5));
        assert_ne!(
            forecast(&series, 12, 5).paths,
            forecast(&series, 12, 6).paths
        );
        assert_eq!(forecast(&series, 12, 5).mean, forecast(&series, 12, 6).mean);
    }

    #[test]
    fn another_unit_changes_nothing_else() {
        let small = usual(2, 60);
        let (a, b) = (
            forecast(&small, 6, 1),
            forecast(&small.map(|x| 1024.0 * x), 6, 1),
        );
        for step in 0..6 {
            assert!((1024.0 * a.mean[step] / b.mean[step] - 1.0).abs() < 1e-9);
            assert!(
                (1024.0 * a.interval95[step].high / b.interval95[step].high - 1.0).abs() < 1e-9
            );
        }
    }

    #[test]
    fn a_common_season_comes_back() {
        let plain = usual(3, 72);
        let season = |t: usize| if t.is_multiple_of(12) { 2.0 } else { 1.0 };
        let with = plain.map_each(|t, x| x * season(t));
        let (a, b) = (forecast(&plain, 12, 1), forecast(&with, 12, 1));
        for step in 0..12 {
            let ratio = b.mean[step] / a.mean[step] / season(72 + step);
            assert!((ratio - 1.0).abs() < 0.08, "{step}: {ratio}");
        }
    }

    #[test]
    fn the_chance_falls_as_the_target_rises() {
        let forecast = forecast(&usual(4, 60), 12, 1);
        let year = outturn(Rule::Sum, 12, &[], &forecast.paths).unwrap();
        let chances: Vec<f64> = (0..40)
            .map(|at| probability(&year, Target::AtLeast(1300.0 + 20.0 * f64::from(at))))
            .collect();
        assert!(chances.is_sorted_by(|a, b| a >= b), "{chances:?}");
        assert!(chances[0] > 0.9 && chances[39] < 0.1, "{chances:?}");
    }

    #[test]
    fn ranges_hold_their_share() {
        let (mut inside, mut all) = (0, 0);
        for seed in 0..40 {
            let whole = usual(seed, 72);
            let forecast = forecast(&whole.first(60), 12, 1);
            for (range, value) in forecast
                .interval95
                .iter()
                .zip(whole.values()[60..].iter().flatten())
            {
                inside += u32::from((range.low..=range.high).contains(value));
                all += 1;
            }
        }
        let share = f64::from(inside) / f64::from(all);
        assert!(share > 0.9, "{share}");
    }

    #[test]
    fn a_constant_stays_constant() {
        for value in [0.0, 100.0, -3.0] {
            let forecast = forecast(&monthly(|_| value, 20), 6, 1);
            assert!(
                forecast.mean.iter().all(|x| (x - value).abs() < 1e-6),
                "{:?}",
                forecast.mean
            );
            assert_eq!(forecast.basis, Basis::Constant);
            assert_sound(&forecast, 6, "constant");
        }
    }

    #[test]
    fn gaps_are_bridged() {
        let whole = usual(3, 72);
        let mut values = whole.values().to_vec();
        for gap in [20, 33, 34, 50, 70, 71] {
            values[gap] = None;
        }
        let gapped = forecast(&Series::new(&values, Seasonality::Monthly).unwrap(), 12, 1);
        let full = forecast(&whole, 12, 1);
        for (a, b) in gapped.mean.iter().zip(&full.mean) {
            assert!((a - b).abs() < 8.0, "{:?} {:?}", gapped.mean, full.mean);
        }
    }

    #[test]
    fn few_values_say_so() {
        let few = forecast(&monthly(|t| 100.0 + t as f64, 3), 3, 1);
        assert_eq!((few.basis, few.mean[2]), (Basis::Naive, 102.0));
        assert!(few.interval95[0].high > 115.0, "{:?}", few.interval95);
        assert_eq!(forecast(&usual(1, 15), 3, 1).basis, Basis::Short);
        assert_eq!(forecast(&usual(1, 60), 3, 1).basis, Basis::Combined);
    }

    #[test]
    fn given_seasons_serve_a_short_history() {
        let season = |t: usize| if t % 12 == 5 { 2.0 } else { 1.0 };
        let indices: Vec<f64> = (0..12).map(season).collect();
        let forecast = forecast(
            &monthly(|t| 100.0 * season(t), 16).with_seasons(&indices),
            3,
            1,
        );
        assert!(
            (forecast.mean[1] / forecast.mean[0] - 2.0).abs() < 0.1,
            "{:?}",
            forecast.mean
        );
    }

    #[test]
    fn limits_hold() {
        let rates = monthly(|t| 97.0 + 2.9 * (t as f64).sin(), 40).with_limits(0.0, 100.0);
        let forecast = forecast(&rates, 12, 1);
        assert!(
            forecast
                .paths
                .iter()
                .flatten()
                .all(|x| (0.0..=100.0).contains(x))
        );
        assert_sound(&forecast, 12, "limits");
    }

    #[test]
    fn rates_near_their_limit_are_as_sure_as_they_were() {
        let rates = monthly(|t| 100.0 - (t * 7 % 11) as f64 / 100.0, 34);
        let forecast = forecast(&rates.with_limits(0.0, 100.0), 12, 1);
        assert_sound(&forecast, 12, "near");
        for range in &forecast.interval95 {
            assert!(range.low > 99.75 && range.high <= 100.0, "{range:?}");
        }
        let last = outturn(Rule::Last, 12, &[], &forecast.paths).unwrap();
        assert!(probability(&last, Target::AtLeast(99.85)) > 0.9);
    }

    #[test]
    fn what_faded_stays_where_it_ended() {
        // An outbreak that is over, and a backlog that was worked off.
        let faded = |t: usize| (1400.0 * 0.75_f64.powf(t as f64)).round().max(1.0);
        let worked_off = |t: usize| (2000.0 - 45.0 * t as f64).max(0.0);
        for series in [monthly(faded, 32), monthly(worked_off, 47)] {
            let next = forecast(&series, 12, 1);
            let most = next.interval95.iter().map(|range| range.high);
            assert!(most.fold(0.0, f64::max) < 100.0, "{:?}", next.interval95);
        }
    }

    #[test]
    fn what_has_just_begun_is_not_rare() {
        let ramp = |t: usize| t.saturating_sub(35) as f64 / 2.0;
        let begun = monthly(ramp, 46);
        let next = forecast(&begun, 12, 1);
        assert_eq!(next.basis, Basis::Short);
        assert!((4.8..=6.0).contains(&next.mean[0]), "{:?}", next.mean);
        // Of three values nothing can be told yet.
        let begun = monthly(ramp, 39);
        assert_eq!(forecast(&begun, 12, 1).basis, Basis::Rare);
    }

    #[test]
    fn rare_counts_stay_whole_and_never_negative() {
        let forecast = forecast(&monthly(|t| if t % 5 == 0 { 3.0 } else { 0.0 }, 40), 12, 1);
        assert_eq!(forecast.basis, Basis::Rare);
        assert!(
            forecast
                .paths
                .iter()
                .flatten()
                .all(|&x| x >= 0.0 && (x - x.round()).abs() < 1e-9)
        );
        assert_sound(&forecast, 12, "rare");
    }

    #[test]
    fn nothing_is_asked_of_an_empty_horizon() {
        assert_sound(&forecast(&usual(1, 30), 0, 1), 0, "empty");
    }
}
