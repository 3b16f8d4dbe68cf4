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

/// The members that do well everywhere; the last member is their median.
pub(super) const CORE: [usize; 13] = [3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 21, 23, 26];

/// The central paths of all members; one that cannot be fitted follows `theta`.
pub(super) fn paths(series: &Series, adjusted: &Adjusted, horizon: usize) -> Vec<Vec<f64>> {
    let m = series.periods();
    let calm = &adjusted.values;
    let filled = adjusted.filled();
    let is_positive = series.all(|x| x > 0.0);
    let back = |path: Vec<f64>| -> Vec<f64> {
        path.into_iter()
            .enumerate()
            .map(|(step, x)| adjusted.restore(step, x))
            .collect()
    };
    let last = filled.last().copied().unwrap_or(0.0);
    let logs: Option<Vec<f64>> = filled
        .iter()
        .all(|&x| x > 0.0)
        .then(|| filled.iter().map(|x| x.ln()).collect());
    let log_calm: Option<Vec<Option<f64>>> = logs
        .as_ref()
        .map(|_| calm.iter().map(|value| value.map(f64::ln)).collect());
    let (low, high) = range(logs.as_deref().unwrap_or(&filled));
    let exp = |path: Vec<f64>| -> Vec<f64> {
        if logs.is_some() {
            path.into_iter()
                .map(|x| x.clamp(low - 3.0, high + 3.0).exp())
                .collect()
        } else {
            path
        }
    };
    let working = logs.as_ref().unwrap_or(&filled);
    let damped = Form {
        trend: Trend::Damped,
        season: 1,
    };
    let plain = |form| smooth::fit_values(calm, m, form, horizon);
    let ses = theta::simple(calm, horizon);
    let lags = match m {
        12 => 6,
        4 => 4,
        _ => 2,
    };
    let (ets, ets_log) = seasonal_ets(series, horizon);
    let whole: Vec<f64> = series.filled();
    let whole_logs: Vec<f64> = if is_positive {
        whole.iter().map(|x| x.ln()).collect()
    } else {
        whole.clone()
    };
    let (whole_low, whole_high) = range(&whole_logs);
    let whole_exp = |path: Vec<f64>| -> Vec<f64> {
        if is_positive {
            path.into_iter()
                .map(|x| x.clamp(whole_low - 3.0, whole_high + 3.0).exp())
                .collect()
        } else {
            path
        }
    };
    let n = filled.len();
    let still_values = coarse::calmed(working);
    let still: Vec<Option<f64>> = still_values.iter().copied().map(Some).collect();
    let smooth_calm = average(&smooth::fit_all(&Series::from_parts(calm, 1)), horizon).map(back);
    let candidates: [Option<Vec<f64>>; MEMBERS - 1] = [
        Some(back(vec![last; horizon])),
        Some(back(exp(drift(working, horizon)))),
        Some(back(ses.clone())),
        plain(damped).map(back),
        log_calm
            .and_then(|logs| smooth::fit_values(&logs, m, damped, horizon))
            .map(|path| back(exp(path))),
        Some(back(theta::classic(calm, &ses))),
        Some(back(theta::dynamic(calm, horizon))),
        ces::path(calm, horizon).map(back),
        ridge::path(working, lags, horizon).map(|path| back(exp(path))),
        ridge::path(working, 2 * m + 1, horizon).map(|path| back(exp(path))),
        ets,
        ets_log,
        arima::path(&whole_logs, m, Difference::Both, horizon).map(whole_exp),
        arima::path(&whole_logs, m, Difference::Seasonal, horizon).map(whole_exp),
        (n >= m && m > 1).then(|| (0..horizon).map(|h| whole[n - m + h % m]).collect()),
        Some(back(vec![
            mean(&filled[n.saturating_sub(m.max(3))..]);
            horizon
        ])),
        coarse::path(working, 3.min(m), horizon).map(|path| back(exp(path))),
        coarse::path(working, m, horizon).map(|path| back(exp(path))),
        Some(back(exp(theta::classic(
            &still,
            &theta::simple(&still, horizon),
        )))),
        ridge::path(&still_values, lags, horizon).map(|path| back(exp(path))),
        smooth::fit_values(&still, m, damped, horizon).map(|path| back(exp(path))),
        if m > 1 && n < 2 * m + 5 {
            smooth_calm.clone()
        } else {
            average(&smooth::fit_all(series), horizon)
        },
        smooth::fit_values(
            calm,
            m,
            Form {
                trend: Trend::Linear,
                season: 1,
            },
            horizon,
        )
        .map(back),
        ridge::path(&filled, lags, horizon).map(back),
        coarse::path(&filled, 3.min(m), horizon).map(back),
        ridge::path(&coarse::calmed(&filled), lags, horizon).map(back),
        smooth_calm,
    ];
    let spare = candidates[5].clone().unwrap_or_default();
    let mut paths: Vec<Vec<f64>> = candidates
        .into_iter()
        .map(|path| path.unwrap_or_else(|| spare.clone()))
        .collect();
    let middle = |step: usize| {
        let mut values: Vec<f64> = CORE.iter().map(|&member| paths[member][step]).collect();
        quantile(&mut values, 0.5)
    };
    paths.push((0..horizon).map(middle).collect());
    paths
}

fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    (
        low,
        values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    )
}

/// The straight line from the first to the last value goes on.
fn drift(values: &[f64], horizon: usize) -> Vec<f64> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return vec![0.0; horizon];
    };
    let slope = (last - first) / (values.len() - 1).max(1) as f64;
    (1..=horizon).map(|h| last + slope * h as f64).collect()
}

/// Forms of seasonal smoothing averaged by Akaike's criterion, on values and on logarithms.
fn seasonal_ets(series: &Series, horizon: usize) -> (Option<Vec<f64>>, Option<Vec<f64>>) {
    let m = series.periods();
    if m < 2 || series.values().len() < 2 * m + 5 {
        return (None, None);
    }
    let fits = |series: &Series, is_log: bool| {
        let fits: Vec<Smooth> = [Trend::None, Trend::Damped]
            .into_iter()
            .filter_map(|trend| smooth::fit(series, Form { trend, season: m }, is_log))
            .collect();
        average(&fits, horizon)
    };
    let logs = series.all(|x| x > 0.0).then(|| series.map(f64::ln));
    (fits(series, false), logs.and_then(|logs| fits(&logs, true)))
}

fn average(fits: &[Smooth], horizon: usize) -> Option<Vec<f64>> {
    let best = fits
        .iter()
        .map(Smooth::criterion)
        .fold(f64::INFINITY, f64::min);
    let mut all = vec![0.0; horizon];
    let mut total = 0.0;
    for fit in fits {
        let weight = (0.1 * (best - fit.criterion())).exp();
        total += weight;
        let path = fit.path(horizon);
        all.iter_mut()
            .zip(path)
            .for_each(|(sum, x)| *sum += weight * x);
    }
    (total > 0.0).then(|| all.iter().map(|x| x / total).collect())
}
