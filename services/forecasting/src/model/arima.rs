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
    let (steps, _) = stationary(values, m, difference);
    let mut errors = vec![0.0; steps.len()];
    let unpack = |at: &[f64; 3]| [1.9 * at[0] - 0.95, 1.9 * at[1] - 0.95, 0.95 * at[2]];
    let start = match difference {
        Difference::Both => [0.5, 0.75, 0.6],
        Difference::Seasonal => [0.9, 0.6, 0.6],
    };
    let (at, _) = minimise(start, BUDGET, |at| {
        filter(&steps, m, unpack(at), &mut errors)
    });
    let path = continued(values, m, difference, unpack(&at), horizon);
    path.iter().all(|x| x.is_finite()).then_some(path)
}

/// How the values go on by these coefficients, without further errors.
fn continued(
    values: &[f64],
    m: usize,
    difference: Difference,
    [ar, ma, seasonal]: [f64; 3],
    horizon: usize,
) -> Vec<f64> {
    let (mut steps, drift) = stationary(values, m, difference);
    let n = steps.len();
    let mut errors = vec![0.0; n + horizon];
    filter(&steps, m, [ar, ma, seasonal], &mut errors);
    for h in n..n + horizon {
        let at = |back: usize| errors[h - back];
        steps.push(ar * steps[h - 1] - ma * at(1) - seasonal * at(m) + ma * seasonal * at(m + 1));
    }
    let mut path = values.to_vec();
    let mut change = values[values.len() - 1] - values[values.len() - 1 - m];
    for step in &steps[n..] {
        change = match difference {
            Difference::Both => change + step,
            Difference::Seasonal => drift + step,
        };
        path.push(path[path.len() - m] + change);
    }
    path.split_off(values.len())
}

/// The differences that the model is of, and the drift that was taken off them.
fn stationary(values: &[f64], m: usize, difference: Difference) -> (Vec<f64>, f64) {
    let mut steps = differences(values, m);
    let drift = match difference {
        Difference::Both => {
            steps = differences(&steps, 1);
            0.0
        }
        Difference::Seasonal => mean(&steps),
    };
    steps.iter_mut().for_each(|x| *x -= drift);
    (steps, drift)
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
    use super::super::example::{AIR_PASSENGERS, FOUR_DIGITS, assert_near};
    use super::{Difference, continued, path};

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

    /// Of the logarithms, by these coefficients, as passengers.
    fn passengers(difference: Difference, by: [f64; 3]) -> Vec<f64> {
        let logs = AIR_PASSENGERS.map(f64::ln);
        let path = continued(&logs, 12, difference, by, 5);
        path.into_iter().map(f64::exp).collect()
    }

    /// The airline model: R's `arima(log(AirPassengers), c(0, 1, 1), c(0, 1, 1))`, by the coefficients that it prints,
    /// -0.4018 and -0.5569, and its forecasts, often printed too. It estimates the errors before the start that we take as
    /// zero: after eleven years that is forgotten but for the fifth digit.
    #[test]
    fn the_airline_model_continues_as_published() {
        let known = [450.4224, 425.7172, 479.0068, 492.4045, 509.0550];
        let found = passengers(Difference::Both, [0.0, 0.4018, 0.5569]);
        assert_near(&found, &known, 1e-4);
    }

    /// statsmodels 0.15.0, `SARIMAX(w, order=(1, 0, 1), seasonal_order=(0, 0, 1, 12)).smooth([.8, -.1, -.5, .001])`, where w
    /// are the differences to the year before less their mean.
    #[test]
    fn seasonal_differences_continue_as_known() {
        let known = [453.6783, 431.7499, 486.8778, 506.6415, 526.2968];
        let found = passengers(Difference::Seasonal, [0.8, 0.1, 0.5]);
        assert_near(&found, &known, FOUR_DIGITS);
    }
}
