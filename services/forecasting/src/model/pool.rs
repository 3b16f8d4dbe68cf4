//! The combination of the fitted models into one forecast with sample paths.

use super::calendar::HolidayEffect;
use super::chance::Chance;
use super::season::Adjusted;
use super::series::Series;
use super::smooth::Smooth;
use super::statistics::{mean, quantile};
use super::{Model, smooth, theta};

/// How many futures are drawn.
const PATHS: usize = 2000;

/// How fast a smoothing form loses weight with Akaike's criterion; a tenth of the textbook's 0.5, because averaging over
/// forms that are nearly as good forecast better than the best of them, on the M1, M3, M4 and tourism series.
const SHARPNESS: f64 = 0.05;

/// Members below this weight cost more time than they add.
const LEAST_WEIGHT: f64 = 0.01;

/// Normal noise added to each drawn error, as a share of their spread, so that few errors still give a smooth range.
const NOISE: f64 = 0.3;

/// What those series taught about series with and without seasons.
struct Tuning {
    /// The weight of smoothing; theta has the rest.
    smoothing: f64,
    /// How much wider than the fit's errors the shocks are: the future is less regular than what a model was fitted to.
    widening: f64,
}

impl Tuning {
    fn of(series: &Series) -> Tuning {
        if series.periods() > 1 {
            Tuning {
                smoothing: 0.6,
                widening: 1.05,
            }
        } else {
            Tuning {
                smoothing: 0.35,
                widening: 1.2,
            }
        }
    }
}

/// A range that holds the value with a stated probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
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
}

struct Member {
    model: Box<dyn Model>,
    weight: f64,
}

/// Forecasts the next `horizon` periods; the same arguments always give the same forecast.
pub fn forecast(series: &Series, horizon: usize, seed: u64) -> Forecast {
    // Models see values of at most 1, so that no square overflows.
    let largest = series
        .values()
        .iter()
        .flatten()
        .fold(0.0, |most: f64, x| most.max(x.abs()));
    let unit = if largest > 0.0 { largest } else { 1.0 };
    let scaled = series.map(|x| x / unit);
    let holiday = HolidayEffect::estimate(&scaled, horizon);
    let members = members(
        &holiday
            .as_ref()
            .map_or_else(|| scaled.clone(), |effect| effect.remove(&scaled)),
    );

    let n = series.values().len();
    let floor = if series.all(|x| x >= 0.0) {
        0.0
    } else {
        f64::MIN
    };
    let finish = |(step, x): (usize, &mut f64)| {
        let value = holiday
            .as_ref()
            .map_or(*x, |effect| effect.restore(n + step, *x));
        *x = (value.max(floor) * unit).clamp(f64::MIN, f64::MAX);
    };
    let mut mean = centre(&members, horizon);
    mean.iter_mut().enumerate().for_each(finish);
    let mut paths = draw(
        &members,
        horizon,
        Tuning::of(series).widening,
        &mut Chance::new(seed),
    );
    paths
        .iter_mut()
        .for_each(|path| path.iter_mut().enumerate().for_each(finish));
    let (interval80, interval95) = intervals(&mean, &paths);
    Forecast {
        mean,
        interval80,
        interval95,
        paths,
    }
}

/// The fitted models with their weights, which add up to one.
fn members(series: &Series) -> Vec<Member> {
    let fits = smooth::fit_all(series);
    let best = fits
        .iter()
        .map(Smooth::criterion)
        .fold(f64::INFINITY, f64::min);
    let likelihood = |fit: &Smooth| (SHARPNESS * (best - fit.criterion())).exp();
    let total: f64 = fits.iter().map(likelihood).sum();
    let share = if fits.is_empty() {
        0.0
    } else {
        Tuning::of(series).smoothing
    };
    let mut members = vec![Member {
        weight: 1.0 - share,
        model: Box::new(theta::fit(Adjusted::new(series))),
    }];
    for fit in fits {
        let weight = share * likelihood(&fit) / total;
        if weight > LEAST_WEIGHT {
            members.push(Member {
                weight,
                model: Box::new(fit),
            });
        }
    }
    let total: f64 = members.iter().map(|member| member.weight).sum();
    members.iter_mut().for_each(|member| member.weight /= total);
    members
}

/// The weighted mean of the paths without shocks.
fn centre(members: &[Member], horizon: usize) -> Vec<f64> {
    let mut mean = vec![0.0; horizon];
    let (calm, mut path) = (vec![0.0; horizon], vec![0.0; horizon]);
    for member in members {
        member.model.path(&calm, &mut path);
        mean.iter_mut()
            .zip(&path)
            .for_each(|(all, own)| *all += member.weight * own);
    }
    mean
}

/// Draws futures from every member by its weight, so that their disagreement widens the spread.
fn draw(members: &[Member], horizon: usize, widening: f64, chance: &mut Chance) -> Vec<Vec<f64>> {
    let mut paths = Vec::with_capacity(PATHS);
    let mut shocks = vec![0.0; horizon];
    let mut done = 0.0;
    for member in members {
        done += member.weight;
        let errors = member.model.errors();
        let (n, middle) = (errors.len() as f64, mean(errors));
        let spread = (errors.iter().map(|e| (e - middle).powi(2)).sum::<f64>() / n.max(1.0)).sqrt();
        // Each fitted number hides some of the error.
        let freedom = (n - member.model.parameters() as f64)
            .max(0.25 * n)
            .max(1.0);
        let scale = widening * (n / freedom / (1.0 + NOISE * NOISE)).sqrt();
        while (paths.len() as f64) < (done * PATHS as f64).round() {
            for shock in &mut shocks {
                *shock = scale * (chance.pick(errors) - middle + NOISE * spread * chance.normal());
            }
            let mut path = vec![0.0; horizon];
            member.model.path(&shocks, &mut path);
            paths.push(path);
        }
    }
    paths
}

/// The ranges of each step at 80 and 95 %, which always hold the central forecast.
fn intervals(mean: &[f64], paths: &[Vec<f64>]) -> (Vec<Interval>, Vec<Interval>) {
    let mut step = Vec::with_capacity(paths.len());
    mean.iter()
        .enumerate()
        .map(|(h, &centre)| {
            step.clear();
            step.extend(paths.iter().map(|path| path[h]));
            let mut between = |low, high| Interval {
                low: quantile(&mut step, low).min(centre),
                high: quantile(&mut step, high).max(centre),
            };
            (between(0.1, 0.9), between(0.025, 0.975))
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_6;

    use super::super::chance::Chance;
    use super::{Forecast, forecast};
    use super::super::{Seasonality, Series};

    fn monthly(value: impl Fn(usize) -> f64, count: usize) -> Series {
        let values: Vec<Option<f64>> = (0..count).map(|t| Some(value(t))).collect();
        Series::new(&values, Seasonality::Monthly).unwrap()
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
        assert!(
            forecast
                .paths
                .iter()
                .flatten()
                .chain(&forecast.mean)
                .all(|x| x.is_finite()),
            "{what}"
        );
        for (step, mean) in forecast.mean.iter().enumerate() {
            let (inner, outer) = (forecast.interval80[step], forecast.interval95[step]);
            let order = [outer.low, inner.low, *mean, inner.high, outer.high];
            assert!(order.is_sorted(), "{what}: {order:?}");
        }
    }

    /// Random walks, bursts, gaps, zeros, few distinct values, outliers and extreme sizes.
    fn nasty(chance: &mut Chance, seasonality: Seasonality) -> Vec<Option<f64>> {
        let (need, share) = (Series::shortest(seasonality), chance.uniform());
        let count = need + (0..59).filter(|_| chance.uniform() < share).count();
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

    fn assert_sound_on_500_nasty_series(seasonality: Seasonality) {
        let mut chance = Chance::new(seasonality.periods() as u64);
        for _ in 0..500 {
            let values = nasty(&mut chance, seasonality);
            if let Ok(series) = Series::new(&values, seasonality) {
                assert_sound(&forecast(&series, 3, 1), 3, &format!("{values:?}"));
            }
        }
    }

    #[test]
    fn nasty_monthly_series_are_sound_or_refused() {
        assert_sound_on_500_nasty_series(Seasonality::Monthly);
    }

    #[test]
    fn nasty_quarterly_series_are_sound_or_refused() {
        assert_sound_on_500_nasty_series(Seasonality::Quarterly);
    }

    #[test]
    fn nasty_half_yearly_series_are_sound_or_refused() {
        assert_sound_on_500_nasty_series(Seasonality::HalfYearly);
    }

    #[test]
    fn nasty_yearly_series_are_sound_or_refused() {
        assert_sound_on_500_nasty_series(Seasonality::Yearly);
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
    fn ranges_mostly_widen() {
        for seed in 0..10 {
            let forecast = forecast(&usual(seed, 80), 12, 1);
            let widths: Vec<f64> = forecast
                .interval95
                .iter()
                .map(|range| range.high - range.low)
                .collect();
            assert!(widths[11] > 0.95 * widths[0], "{widths:?}");
        }
    }

    #[test]
    fn ranges_hold_their_share() {
        let (mut inside, mut all) = (0, 0);
        for seed in 0..60 {
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
        assert!((0.9..0.995).contains(&share), "{share}");
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
            assert_sound(&forecast, 6, "constant");
        }
    }

    #[test]
    fn gaps_are_bridged_and_move_the_horizon() {
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
    fn what_was_never_negative_stays_so() {
        let forecast = forecast(&monthly(|t| if t % 5 == 0 { 9.0 } else { 0.0 }, 40), 12, 1);
        assert!(forecast.paths.iter().flatten().all(|&x| x >= 0.0));
    }

    #[test]
    fn nothing_is_asked_of_an_empty_horizon() {
        assert_sound(&forecast(&usual(1, 30), 0, 1), 0, "empty");
    }
}
