//! What is known of a series besides its values: the numbers by which learned weights and scales differ.

use super::season::Adjusted;
use super::series::Series;
use super::statistics::{line, mean, median_and_spread};

/// How many features there are.
pub(super) const FEATURES: usize = 10;

/// The features, each roughly between -2 and 2, and the typical size of a change, by which errors scale.
pub(super) fn features(series: &Series, adjusted: &Adjusted) -> ([f64; FEATURES], Scales) {
    let m = series.periods() as f64;
    let filled = adjusted.filled();
    let is_log = series.all(|x| x > 0.0);
    let x: Vec<f64> = if is_log {
        filled.iter().map(|x| x.max(1e-300).ln()).collect()
    } else {
        filled
    };
    let n = x.len() as f64;
    let changes: Vec<f64> = x.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let drift = mean(&changes);
    let around: Vec<f64> = changes.iter().map(|c| c - drift).collect();
    let change = square_root_mean(&around).max(1e-9);
    let robust = median_and_spread(&changes).1.max(0.05 * change);
    let (start, slope) = line(&x);
    let rest: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(t, x)| x - start - slope * t as f64)
        .collect();
    let middle = mean(&x);
    let spread = square_root_mean(&x.iter().map(|x| x - middle).collect::<Vec<_>>()).max(1e-9);
    let off_line = square_root_mean(&rest).max(1e-9);
    let recent = square_root_mean(&around[around.len() - around.len().min(around.len() / 3 + 2)..])
        .max(0.02 * change);
    let last = changes.last().map_or(0.0, |c| (c - drift).abs() / change);
    let range =
        x.iter().copied().fold(f64::MIN, f64::max) - x.iter().copied().fold(f64::MAX, f64::min);
    let size = x.iter().fold(1e-9, |most: f64, x| most.max(x.abs()));
    let still = changes.iter().filter(|c| c.abs() <= 1e-9 * size).count();
    let flat = 2.0 * still as f64 / changes.len().max(1) as f64;
    let features = [
        ((n / m).ln() - 1.5).clamp(-2.0, 2.0),
        2.0 * adjusted.strength() - 1.0,
        (change.ln() + 2.5).clamp(-4.0, 3.0) / 2.0,
        2.0 * correlation(&around, 1),
        2.0 * (1.0 - (off_line / spread).powi(2)) - 1.0,
        (drift.abs() / change * n.sqrt()).min(6.0) / 2.0 - 1.0,
        (recent / change).ln().clamp(-2.0, 2.0),
        (robust / change).ln().clamp(-2.0, 1.0) + 0.5,
        (last - 1.0).clamp(-1.0, 3.0),
        ((off_line / change).ln() - 0.5).clamp(-2.0, 2.0),
    ];
    (
        features,
        Scales {
            change,
            robust,
            off_line,
            recent,
            drift,
            range,
            flat,
            yearly: yearly_change(series),
            is_log,
        },
    )
}

/// The mean distance of values a year apart, by which errors are judged, too.
fn yearly_change(series: &Series) -> Option<f64> {
    let values = series.values();
    let pairs = values.iter().zip(values.iter().skip(series.periods()));
    let apart: Vec<f64> = pairs
        .filter_map(|(before, after)| Some((after.as_ref()? - before.as_ref()?).abs()))
        .collect();
    (!apart.is_empty()).then(|| mean(&apart))
}

/// Sizes in the working scale: logarithms where all values are positive.
pub(super) struct Scales {
    pub(super) change: f64,
    pub(super) robust: f64,
    pub(super) off_line: f64,
    pub(super) recent: f64,
    pub(super) drift: f64,
    pub(super) range: f64,
    /// Twice the share of periods that repeat the one before.
    pub(super) flat: f64,
    /// The mean distance of values a year apart, in the units of the values.
    pub(super) yearly: Option<f64>,
    pub(super) is_log: bool,
}

fn square_root_mean(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// The autocorrelation of values around zero, drawn to none by how few they are.
fn correlation(values: &[f64], lag: usize) -> f64 {
    let power: f64 = values.iter().map(|x| x * x).sum();
    if power <= 0.0 || values.len() <= lag {
        return 0.0;
    }
    let product: f64 = values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum();
    product / power * values.len() as f64 / (values.len() as f64 + 4.0)
}

#[cfg(test)]
mod tests {
    use super::super::{Seasonality, Series};
    use super::yearly_change;

    #[test]
    fn years_are_compared_where_both_values_are_known() {
        let values = [1.0, 2.0, 3.0, 4.0, 3.0, 7.0].map(Some);
        let change = |values: &[Option<f64>]| {
            yearly_change(&Series::new(values, Seasonality::Quarterly).unwrap())
        };
        assert_eq!(change(&values), Some(3.5));
        let mut gap = values;
        gap[5] = None;
        assert_eq!(change(&gap), Some(2.0));
        assert_eq!(change(&values[..4]), None);
    }
}
