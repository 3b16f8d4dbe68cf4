//! A ridge autoregression on the changes of a seasonally adjusted series, with a drift that fades.

use super::statistics::mean;

/// How strongly the coefficients are drawn to zero, in values' worth of evidence.
const PENALTY: f64 = 8.0;

/// How fast the drift fades with each step.
const FADE: f64 = 0.97;

/// Continues the values by `lags` lagged changes; `None` with too few of them.
pub(super) fn path(values: &[f64], lags: usize, horizon: usize) -> Option<Vec<f64>> {
    let changes: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = changes.len();
    let lags = lags.min(count / 4);
    if lags == 0 {
        return None;
    }
    // The mean change, drawn to none by how uncertain it is.
    let raw = mean(&changes);
    let power = changes.iter().map(|x| (x - raw).powi(2)).sum::<f64>() / count as f64;
    if power <= 0.0 {
        return Some(
            (1..=horizon)
                .map(|h| values[count] + raw * h as f64)
                .collect(),
        );
    }
    let keep = raw * raw / (raw * raw + power / count as f64);
    let drift = raw * keep;
    let mut around: Vec<f64> = changes.iter().map(|x| x - drift).collect();
    let coefficients = solve(&around, lags, PENALTY * power)?;
    let mut level = *values.last()?;
    let mut fade = 1.0;
    let mut path = Vec::with_capacity(horizon);
    for _ in 0..horizon {
        let recent = around.iter().rev();
        let next: f64 = coefficients.iter().zip(recent).map(|(b, x)| b * x).sum();
        around.push(next);
        fade *= FADE;
        level += next + drift * fade;
        path.push(level);
    }
    path.iter().all(|x| x.is_finite()).then_some(path)
}

/// Ridge coefficients of each value on those before it, by Cholesky's decomposition.
fn solve(x: &[f64], lags: usize, penalty: f64) -> Option<Vec<f64>> {
    let product = |a: usize, b: usize| -> f64 {
        x[lags - a..x.len() - a]
            .iter()
            .zip(&x[lags - b..x.len() - b])
            .map(|(p, q)| p * q)
            .sum()
    };
    let mut lower = vec![0.0; lags * lags];
    let mut right = vec![0.0; lags];
    for i in 0..lags {
        for j in 0..=i {
            let mut sum = product(i + 1, j + 1);
            if i == j {
                // Distant lags matter less.
                sum += penalty * (1.0 + 0.3 * i as f64);
            }
            for k in 0..j {
                sum -= lower[i * lags + k] * lower[j * lags + k];
            }
            lower[i * lags + j] = if i == j {
                (sum > 0.0).then(|| sum.sqrt())?
            } else {
                sum / lower[j * lags + j]
            };
        }
        let sum: f64 = (0..i).map(|k| lower[i * lags + k] * right[k]).sum();
        right[i] = (product(i + 1, 0) - sum) / lower[i * lags + i];
    }
    for i in (0..lags).rev() {
        let sum: f64 = (i + 1..lags).map(|k| lower[k * lags + i] * right[k]).sum();
        right[i] = (right[i] - sum) / lower[i * lags + i];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::{path, solve};

    #[test]
    fn a_steady_change_goes_on_and_fades() {
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let path = path(&values, 3, 3).unwrap();
        assert!(
            (path[0] - 40.0).abs() < 0.1 && path[2] > path[1],
            "{path:?}"
        );
    }

    #[test]
    fn normal_equations_are_solved() {
        let x = [1.0, 2.0, -1.0, 0.5, 3.0, -2.0, 1.0];
        let b = solve(&x, 2, 0.7).unwrap();
        for lag in 1..3 {
            let gradient: f64 = (2..7)
                .map(|t| (x[t] - b[0] * x[t - 1] - b[1] * x[t - 2]) * x[t - lag])
                .sum();
            let penalty = 0.7 * (1.0 + 0.3 * (lag - 1) as f64) * b[lag - 1];
            assert!((gradient - penalty).abs() < 1e-9);
        }
    }
}
