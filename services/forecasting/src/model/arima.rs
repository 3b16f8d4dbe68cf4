//! Seasonal ARIMA of the few orders that suit official series, by conditional sum of squares:
//! (1 - φB) w = (1 - θB)(1 - ΘBᵐ) e, where w is differenced once seasonally and, or not, once between neighbours.

use super::minimum::minimise;
use super::statistics::mean;

/// Runs over the history that a fit may take.
const BUDGET: usize = 70;

/// The order of differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Difference {
    /// Between years and between neighbours.
    Both,
    /// Between years only, with a drift.
    Seasonal,
}

/// Continues values without gaps by the fitted model; `None` with too few of them.
pub(super) fn path(
    values: &[f64],
    m: usize,
    difference: Difference,
    horizon: usize,
) -> Option<Vec<f64>> {
    if m < 2 || values.len() < 2 * m + 5 {
        return None;
    }
    let mut steps = differences(values, m);
    let drift = match difference {
        Difference::Both => {
            steps = differences(&steps, 1);
            0.0
        }
        Difference::Seasonal => mean(&steps),
    };
    steps.iter_mut().for_each(|x| *x -= drift);
    let mut errors = vec![0.0; steps.len() + horizon];
    let unpack = |at: &[f64; 3]| [1.9 * at[0] - 0.95, 1.9 * at[1] - 0.95, 0.95 * at[2]];
    let start = match difference {
        Difference::Both => [0.5, 0.75, 0.6],
        Difference::Seasonal => [0.9, 0.6, 0.6],
    };
    let (at, _) = minimise(start, BUDGET, |at| {
        filter(&steps, m, unpack(at), &mut errors)
    });
    let [ar, ma, seasonal] = unpack(&at);
    filter(&steps, m, [ar, ma, seasonal], &mut errors);
    let n = steps.len();
    for h in n..n + horizon {
        errors[h] = 0.0;
        let at = |back: usize| errors[h - back];
        steps.push(ar * steps[h - 1] - ma * at(1) - seasonal * at(m) + ma * seasonal * at(m + 1));
    }
    let mut path = values.to_vec();
    let mut change = values.last()? - values.get(values.len() - 1 - m)?;
    for step in &steps[n..] {
        change = match difference {
            Difference::Both => change + step,
            Difference::Seasonal => drift + step,
        };
        path.push(path[path.len() - m] + change);
    }
    path.drain(..values.len());
    path.iter().all(|x| x.is_finite()).then_some(path)
}

fn differences(values: &[f64], lag: usize) -> Vec<f64> {
    values
        .iter()
        .zip(&values[lag..])
        .map(|(before, x)| x - before)
        .collect()
}

/// The sum of squared errors, left in `errors`; those before the start are taken as zero.
fn filter(steps: &[f64], m: usize, [ar, ma, seasonal]: [f64; 3], errors: &mut [f64]) -> f64 {
    let mut squares = 0.0;
    let both = ma * seasonal;
    for t in 0..steps.len() {
        let before = if t > 0 {
            ma * errors[t - 1] - ar * steps[t - 1]
        } else {
            0.0
        };
        let year = if t >= m {
            seasonal * errors[t - m]
        } else {
            0.0
        };
        let cross = if t > m { both * errors[t - m - 1] } else { 0.0 };
        let error = steps[t] + before + year - cross;
        errors[t] = error;
        squares += error * error;
    }
    squares
}

#[cfg(test)]
mod tests {
    use super::{Difference, path};

    #[test]
    fn seasons_on_a_line_go_on() {
        let value = |t: usize| t as f64 + [3.0, -1.0, 0.0, -2.0][t % 4];
        let values: Vec<f64> = (0..40).map(value).collect();
        for difference in [Difference::Both, Difference::Seasonal] {
            let path = path(&values, 4, difference, 6).unwrap();
            for (step, x) in path.iter().enumerate() {
                assert!((x - value(40 + step)).abs() < 1e-6, "{path:?}");
            }
        }
    }

    #[test]
    fn a_short_history_is_refused() {
        assert_eq!(path(&[1.0; 12], 4, Difference::Both, 3), None);
    }
}
