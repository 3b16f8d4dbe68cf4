//! The members of the combination: each continues the same history in its own way.

use super::arima::{self, Difference};
use super::season::Adjusted;
use super::series::Series;
use super::smooth::{self, Form, Smooth, Trend};
use super::statistics::{mean, quantile};
use super::{ces, coarse, ridge, theta};

/// How many members there are.
pub(super) const MEMBERS: usize = 28;

/// What they are called.
pub const MEMBER_NAMES: [&str; MEMBERS] = [
    "naive",
    "drift",
    "ses",
    "damped",
    "damped-log",
    "theta",
    "dotm",
    "ces",
    "ridge",
    "ridge-long",
    "ets",
    "ets-log",
    "airline",
    "sarma",
    "year-ago",
    "year-mean",
    "quarter",
    "year",
    "calm-theta",
    "calm-ridge",
    "calm-damped",
    "smooth",
    "linear",
    "ridge-raw",
    "quarter-raw",
    "calm-ridge-raw",
    "smooth-calm",
    "median",
];

/// How fast a smoothing form loses weight with Akaike's criterion; a fifth of the textbook's 0.5, because averaging over
/// forms that are nearly as good forecast better than the best of them.
const SHARPNESS: f64 = 0.1;

/// Forms below this weight, relative to the best, are left out.
const LEAST_WEIGHT: f64 = 1e-4;

const DAMPED: Form = Form {
    trend: Trend::Damped,
    season: 1,
};

/// The members that do well everywhere; the last member is their median.
pub(super) const CORE: [usize; 13] = [3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 21, 23, 26];

/// The ways in which members look at a history.
struct View<'a> {
    series: &'a Series,
    adjusted: &'a Adjusted,
    /// The adjusted values without gaps.
    filled: Vec<f64>,
    /// Their logarithms where all are positive, else themselves.
    working: Vec<f64>,
    /// The same of the values that were not adjusted.
    whole: Vec<f64>,
    whole_working: Vec<f64>,
    is_log: bool,
    is_whole_log: bool,
    horizon: usize,
}

impl View<'_> {
    fn new<'a>(series: &'a Series, adjusted: &'a Adjusted, horizon: usize) -> View<'a> {
        let (filled, whole) = (adjusted.filled(), series.filled());
        let (is_log, working) = logs(&filled);
        let (is_whole_log, whole_working) = logs(&whole);
        View {
            series,
            adjusted,
            filled,
            working,
            whole,
            whole_working,
            is_log,
            is_whole_log,
            horizon,
        }
    }

    /// Puts the seasons back on a path of adjusted values.
    fn back(&self, path: Vec<f64>) -> Vec<f64> {
        let steps = path.into_iter().enumerate();
        steps
            .map(|(step, x)| self.adjusted.restore(step, x))
            .collect()
    }

    /// The same from the working scale.
    fn back_from_working(&self, path: Vec<f64>) -> Vec<f64> {
        self.back(from_logs(path, &self.working, self.is_log))
    }

    /// Methods without seasons, on the adjusted values.
    fn without_seasons(&self) -> [Option<Vec<f64>>; 9] {
        let (calm, m, horizon) = (&self.adjusted.values, self.series.periods(), self.horizon);
        let last = self.filled.last().copied().unwrap_or(0.0);
        let recent = mean(&self.filled[self.filled.len().saturating_sub(m.max(3))..]);
        let lags = lags(m);
        let ses = theta::simple(calm, horizon);
        let theta = theta::classic(calm, &ses);
        [
            Some(self.back(vec![last; horizon])),
            Some(self.back_from_working(drift(&self.working, horizon))),
            Some(self.back(ses)),
            Some(self.back(theta)),
            Some(self.back(theta::dynamic(calm, horizon))),
            ces::path(calm, horizon).map(|path| self.back(path)),
            ridge::path(&self.working, lags, horizon).map(|path| self.back_from_working(path)),
            ridge::path(&self.working, 2 * m + 1, horizon).map(|path| self.back_from_working(path)),
            Some(self.back(vec![recent; horizon])),
        ]
    }

    /// Exponential smoothing in several forms, on the adjusted values and on the values themselves.
    fn smoothing(&self) -> [Option<Vec<f64>>; 7] {
        let (series, m, horizon) = (self.series, self.series.periods(), self.horizon);
        let is_long = m > 1 && self.whole.len() >= 2 * m + 5;
        let calm = smooth::fit_all(&Series::from_parts(&self.adjusted.values, m), &[1]);
        let own = if is_long {
            smooth::fit_all(series, &[1, m])
        } else {
            Vec::new()
        };
        let one = |trend, is_log| {
            let fit = calm.iter().find(|fit| fit.is(trend, 1, is_log));
            fit.map(|fit| self.back(fit.path(horizon)))
        };
        let seasonal = |is_log| {
            let found = |trend| own.iter().find(move |fit| fit.is(trend, m, is_log));
            average(
                [Trend::None, Trend::Damped].into_iter().filter_map(found),
                horizon,
            )
        };
        let all_calm = average(calm.iter(), horizon).map(|path| self.back(path));
        let all = if is_long {
            average(own.iter(), horizon)
        } else {
            all_calm.clone()
        };
        [
            one(Trend::Damped, false),
            one(Trend::Damped, true),
            one(Trend::Linear, false),
            seasonal(false),
            seasonal(true),
            all,
            all_calm,
        ]
    }

    /// Methods that overlook detail.
    fn coarse(&self) -> [Option<Vec<f64>>; 8] {
        let (m, horizon) = (self.series.periods(), self.horizon);
        let lags = lags(m);
        let still = coarse::calmed(&self.working);
        let known: Vec<Option<f64>> = still.iter().copied().map(Some).collect();
        let theta = theta::classic(&known, &theta::simple(&known, horizon));
        let working = |path| self.back_from_working(path);
        let raw = |path| self.back(path);
        [
            coarse::path(&self.working, 3.min(m), horizon).map(working),
            coarse::path(&self.working, m, horizon).map(working),
            Some(working(theta)),
            ridge::path(&still, lags, horizon).map(working),
            smooth::fit_values(&known, m, DAMPED, horizon).map(working),
            ridge::path(&self.filled, lags, horizon).map(raw),
            coarse::path(&self.filled, 3.min(m), horizon).map(raw),
            ridge::path(&coarse::calmed(&self.filled), lags, horizon).map(raw),
        ]
    }

    /// Methods with seasons of their own, on the values themselves.
    fn with_seasons(&self) -> [Option<Vec<f64>>; 3] {
        let (m, horizon, n) = (self.series.periods(), self.horizon, self.whole.len());
        let arima = |difference| {
            arima::path(&self.whole_working, m, difference, horizon)
                .map(|path| from_logs(path, &self.whole_working, self.is_whole_log))
        };
        let year_ago = || (0..horizon).map(|h| self.whole[n - m + h % m]).collect();
        [
            arima(Difference::Both),
            arima(Difference::Seasonal),
            (m > 1 && n >= m).then(year_ago),
        ]
    }
}

/// The central paths of all members; one that cannot be fitted follows `theta`.
pub(super) fn paths(series: &Series, adjusted: &Adjusted, horizon: usize) -> Vec<Vec<f64>> {
    let view = View::new(series, adjusted, horizon);
    let [
        damped,
        damped_log,
        linear,
        ets,
        ets_log,
        smooth,
        smooth_calm,
    ] = view.smoothing();
    let [
        naive,
        drift,
        ses,
        theta,
        dotm,
        ces,
        ridge,
        ridge_long,
        year_mean,
    ] = view.without_seasons();
    let [airline, sarma, year_ago] = view.with_seasons();
    let [
        quarter,
        year,
        calm_theta,
        calm_ridge,
        calm_damped,
        ridge_raw,
        quarter_raw,
        calm_ridge_raw,
    ] = view.coarse();
    let spare = theta.clone().unwrap_or_default();
    // In the order of their names.
    let candidates: [Option<Vec<f64>>; MEMBERS - 1] = [
        naive,
        drift,
        ses,
        damped,
        damped_log,
        theta,
        dotm,
        ces,
        ridge,
        ridge_long,
        ets,
        ets_log,
        airline,
        sarma,
        year_ago,
        year_mean,
        quarter,
        year,
        calm_theta,
        calm_ridge,
        calm_damped,
        smooth,
        linear,
        ridge_raw,
        quarter_raw,
        calm_ridge_raw,
        smooth_calm,
    ];
    let fitted = candidates.into_iter();
    let mut paths: Vec<Vec<f64>> = fitted
        .map(|path| path.unwrap_or_else(|| spare.clone()))
        .collect();
    let middle = |step: usize| {
        let mut values: Vec<f64> = CORE.iter().map(|&member| paths[member][step]).collect();
        quantile(&mut values, 0.5)
    };
    let median = (0..horizon).map(middle).collect();
    paths.push(median);
    paths
}

/// How many changes back an autoregression looks.
fn lags(m: usize) -> usize {
    match m {
        12 => 6,
        4 => 4,
        _ => 2,
    }
}

/// Logarithms where all values are positive, else the values themselves.
fn logs(values: &[f64]) -> (bool, Vec<f64>) {
    let is_log = values.iter().all(|&x| x > 0.0);
    let working = |x: &f64| if is_log { x.ln() } else { *x };
    (is_log, values.iter().map(working).collect())
}

/// Back from logarithms, which may leave the range seen by a factor of twenty.
fn from_logs(path: Vec<f64>, seen: &[f64], is_log: bool) -> Vec<f64> {
    if !is_log {
        return path;
    }
    let low = seen.iter().copied().fold(f64::INFINITY, f64::min) - 3.0;
    let high = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 3.0;
    path.into_iter().map(|x| x.clamp(low, high).exp()).collect()
}

/// The straight line from the first to the last value goes on.
fn drift(values: &[f64], horizon: usize) -> Vec<f64> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return vec![0.0; horizon];
    };
    let slope = (last - first) / (values.len() - 1).max(1) as f64;
    (1..=horizon).map(|h| last + slope * h as f64).collect()
}

/// Forms of smoothing averaged by Akaike's criterion.
fn average<'a>(fits: impl Iterator<Item = &'a Smooth> + Clone, horizon: usize) -> Option<Vec<f64>> {
    let best = fits
        .clone()
        .map(Smooth::criterion)
        .fold(f64::INFINITY, f64::min);
    let mut all = vec![0.0; horizon];
    let mut total = 0.0;
    for fit in fits {
        let weight = (SHARPNESS * (best - fit.criterion())).exp();
        if weight < LEAST_WEIGHT {
            continue;
        }
        total += weight;
        all.iter_mut()
            .zip(fit.path(horizon))
            .for_each(|(sum, x)| *sum += weight * x);
    }
    (total > 0.0).then(|| all.iter().map(|x| x / total).collect())
}
