//! Views of a seasonally adjusted series that overlook its detail: averages of several periods, and a course without
//! its outliers. What a single period adds to them is mostly noise.

use super::smooth::{self, Form, Trend};
use super::statistics::{mean, median_and_spread, quantile};
use super::theta;

/// Distance from the neighbours' median, in robust standard deviations, from which a value is drawn in.
const FAR: f64 = 2.5;

/// Periods on each side that count as neighbours.
const REACH: usize = 3;

/// Continues the averages of `block` periods, counted back from the end, by theta and by a damped trend.
pub(super) fn path(values: &[f64], block: usize, horizon: usize) -> Option<Vec<f64>> {
    let skip = values.len() % block;
    let averages: Vec<Option<f64>> = values[skip..]
        .chunks(block)
        .map(|part| Some(mean(part)))
        .collect();
    if averages.len() < 5 {
        return None;
    }
    let steps = horizon.div_ceil(block) + 1;
    let simple = theta::simple(&averages, steps);
    let theta = theta::classic(&averages, &simple);
    let damped = Form {
        trend: Trend::Damped,
        season: 1,
    };
    let trend = smooth::fit_values(&averages, 1, damped, steps).unwrap_or_else(|| theta.clone());
    let last = averages.last().copied().flatten()?;
    let coming: Vec<f64> = std::iter::once(last)
        .chain(theta.iter().zip(&trend).map(|(a, b)| (a + b) / 2.0))
        .collect();
    // Each average stands in the middle of its block.
    let between = |step: usize| {
        let place = (step as f64 + 0.5) / block as f64 + 0.5;
        let index = (step + block.div_ceil(2)) / block;
        let index = index.min(coming.len() - 2);
        coming[index] + (coming[index + 1] - coming[index]) * (place - index as f64).clamp(0.0, 1.0)
    };
    Some((0..horizon).map(between).collect())
}

/// The values with those far from their neighbours drawn in.
pub(super) fn calmed(values: &[f64]) -> Vec<f64> {
    let around = |t: usize| {
        let low = t.saturating_sub(REACH);
        let mut near = values[low..(t + REACH + 1).min(values.len())].to_vec();
        quantile(&mut near, 0.5)
    };
    let centres: Vec<f64> = (0..values.len()).map(around).collect();
    let off: Vec<f64> = values
        .iter()
        .zip(&centres)
        .map(|(x, centre)| x - centre)
        .collect();
    let limit = FAR * median_and_spread(&off).1;
    // Beyond what can be counted nothing is told apart.
    if !limit.is_finite() {
        return values.to_vec();
    }
    centres
        .iter()
        .zip(&off)
        .map(|(centre, off)| centre + off.clamp(-limit, limit))
        .collect()
}
