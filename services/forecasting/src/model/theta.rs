//! The theta method, plain and as the dynamic optimised model (Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler,
//! 2016): smoothing whose drift is the regression line of all that was seen so far. Both want seasonally adjusted values.

use super::minimum::minimise;
use super::statistics::line;

#[derive(Clone, Copy)]
struct Gains {
    level: f64,
    /// The weight of the line, 1 - 1/theta.
    line: f64,
}

/// The line through the `seen` values so far is `intercept + slope t`, t = 1, 2, …
#[derive(Clone, Copy)]
struct State {
    seen: f64,
    level: f64,
    mean: f64,
    intercept: f64,
    slope: f64,
    /// (1 - gain) to the power of the values seen.
    fade: f64,
}

impl State {
    fn expect(&self, gains: Gains) -> f64 {
        let weight = (1.0 - self.fade * (1.0 - gains.level)) / gains.level;
        self.level + gains.line * (self.fade * self.intercept + weight * self.slope)
    }

    fn advance(&mut self, gains: Gains, value: f64) {
        let t = self.seen;
        self.level += gains.level * (value - self.level);
        self.slope = ((t - 1.0) * self.slope + 6.0 * (value - self.mean) / (t + 1.0)) / (t + 2.0);
        self.mean = (t * self.mean + value) / (t + 1.0);
        self.intercept = self.mean - self.slope * (t + 2.0) / 2.0;
        self.fade *= 1.0 - gains.level;
        self.seen += 1.0;
    }

    fn first(value: f64, level: f64, gains: Gains) -> State {
        let level = level + gains.level * (value - level);
        State {
            seen: 1.0,
            level,
            mean: value,
            intercept: value,
            slope: 0.0,
            fade: 1.0 - gains.level,
        }
    }
}

fn run(history: &[Option<f64>], gains: Gains, start: f64, mut see: impl FnMut(f64)) -> State {
    let first = history.first().copied().flatten().unwrap_or(0.0);
    let mut state = State::first(first, start, gains);
    for value in &history[1..] {
        let expected = state.expect(gains);
        if let Some(x) = value {
            see(x - expected);
        }
        state.advance(gains, value.unwrap_or(expected));
    }
    state
}

/// The central path of the dynamic model, with the level's gain, theta and the first level fitted.
pub(super) fn dynamic(history: &[Option<f64>], horizon: usize) -> Vec<f64> {
    let known: Vec<f64> = history.iter().flatten().copied().collect();
    let size = known.iter().map(|x| x.abs()).sum::<f64>() / known.len() as f64;
    let first = known.first().copied().unwrap_or(0.0);
    let unpack = |at: &[f64; 3]| {
        let gains = Gains {
            level: 0.05 + 0.94 * at[0],
            line: 0.98 * at[1],
        };
        (gains, first + (at[2] - 0.5) * size)
    };
    let (at, _) = minimise([0.5, 0.5, 0.5], 100, |at| {
        let (gains, start) = unpack(at);
        let mut squares = 0.0;
        run(history, gains, start, |error| squares += error * error);
        squares
    });
    let (gains, start) = unpack(&at);
    continued(run(history, gains, start, |_| ()), gains, horizon)
}

/// How the series goes on without further errors.
fn continued(mut state: State, gains: Gains, horizon: usize) -> Vec<f64> {
    (0..horizon)
        .map(|_| {
            let value = state.expect(gains);
            state.advance(gains, value);
            value
        })
        .collect()
}

/// Simple exponential smoothing: the level after the last value, its gain fitted by least squares.
pub(super) fn simple(values: &[Option<f64>], horizon: usize) -> Vec<f64> {
    let start = values.iter().flatten().next().copied().unwrap_or(0.0);
    let (at, _) = minimise([0.5], 20, |[gain]| smoothed(values, *gain, start).1);
    vec![smoothed(values, at[0], start).0; horizon]
}

/// The level after the last value, and the sum of squared errors on the way there.
fn smoothed(values: &[Option<f64>], gain: f64, start: f64) -> (f64, f64) {
    let (mut level, mut squares) = (start, 0.0);
    for x in values.iter().flatten() {
        let error = x - level;
        squares += error * error;
        level += gain * error;
    }
    (level, squares)
}

/// The theta method (Assimakopoulos and Nikolopoulos, 2000): simple smoothing with half the drift of the line.
pub(super) fn classic(values: &[Option<f64>], simple: &[f64]) -> Vec<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (_, slope) = line(&known);
    simple
        .iter()
        .zip(1..)
        .map(|(x, h)| x + 0.5 * slope * f64::from(h))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::example::{AIR_PASSENGERS, FOUR_DIGITS, NILE, assert_near};
    use super::super::statistics::line;
    use super::{Gains, classic, continued, dynamic, run, simple, smoothed};

    fn history(values: impl IntoIterator<Item = f64>) -> Vec<Option<f64>> {
        values.into_iter().map(Some).collect()
    }

    #[test]
    fn a_line_drifts_on() {
        let path = dynamic(&history((1..=30).map(|t| 10.0 + 2.0 * f64::from(t))), 3);
        assert!(
            path[0] > 70.0 && path[2] > path[1] && path[1] > path[0] && path[2] < 78.0,
            "{path:?}"
        );
    }

    #[test]
    fn a_gap_hardly_changes_a_smooth_course() {
        let mut values = history((1..=30).map(|t| 10.0 + 2.0 * f64::from(t)));
        let whole = dynamic(&values, 3);
        values[20] = None;
        values[26] = None;
        let gapped = dynamic(&values, 3);
        assert!(
            whole.iter().zip(&gapped).all(|(a, b)| (a - b).abs() < 1.0),
            "{whole:?} {gapped:?}"
        );
    }

    #[test]
    fn theta_adds_half_the_drift_to_simple_smoothing() {
        let values = history([3.0, 5.0, 4.0, 6.0, 8.0, 7.0]);
        let level = simple(&values, 2);
        let theta = classic(&values, &level);
        // The line through these points rises by 31/35 each period.
        assert!(
            (theta[0] - level[0] - 15.5 / 35.0).abs() < 1e-9,
            "{theta:?}"
        );
        assert!(
            (theta[1] - level[1] - 31.0 / 35.0).abs() < 1e-9,
            "{theta:?}"
        );
    }

    /// `HoltWinters(Nile, beta = FALSE, gamma = FALSE)` of R, as often printed: gain 0.2465579, level 805.0389. Our fit
    /// stops before the fifth digit of the gain.
    #[test]
    fn simple_smoothing_of_the_nile_is_as_published() {
        let values = history(NILE);
        let (level, _) = smoothed(&values, 0.2465579, NILE[0]);
        assert_near(&[level], &[805.0389], FOUR_DIGITS);
        assert_near(&simple(&values, 1), &[805.0389], 3e-4);
    }

    /// statsmodels 0.15.0, `ThetaModel(nile, deseasonalize=False).fit()`: gain 0.246542, slope -2.714305. There smoothing
    /// lags behind the line, by half its slope over the gain; here it is left where it is.
    #[test]
    fn theta_of_the_nile_is_as_published_but_for_its_lag() {
        let values = history(NILE);
        let gain = 0.246542;
        let (level, _) = smoothed(&values, gain, NILE[0]);
        let lag = 0.5 * line(&NILE).1 * (1.0 / gain - 1.0);
        let path = classic(&values, &[level; 5]);
        let found: Vec<f64> = path.iter().map(|x| x + lag).collect();
        let known = [799.5394, 798.1823, 796.8251, 795.4680, 794.1108];
        assert_near(&found, &known, FOUR_DIGITS);
    }

    /// statsforecast 2.1.1, `thetamodel(y, 1, "DOTM", start, gain, theta, 3)` and `forecast_theta`.
    #[test]
    fn the_dynamic_model_continues_as_known() {
        let path = |values: &[f64], start, level, theta: f64| {
            let gains = Gains {
                level,
                line: 1.0 - 1.0 / theta,
            };
            let values = history(values.iter().copied());
            continued(run(&values, gains, start, |_| ()), gains, 5)
        };
        let known = [783.0115, 781.3838, 779.7575, 778.1329, 776.5103];
        assert_near(&path(&NILE, 900.0, 0.3, 2.5), &known, FOUR_DIGITS);
        let known = [200.6466, 202.1351, 203.5877, 205.0073, 206.3962];
        let found = path(&AIR_PASSENGERS[..60], 100.0, 0.7, 4.0);
        assert_near(&found, &known, FOUR_DIGITS);
    }

    /// The best within the same limits by scipy 1.17.1 (L-BFGS-B from 30 starts): start 1103.7, gain 0.24536, no line.
    #[test]
    fn the_dynamic_model_is_fitted_well() {
        assert_near(&dynamic(&history(NILE), 5), &[805.4381; 5], 2e-3);
    }

    /// Computed independently, by a search over a fine grid of gains.
    #[test]
    fn known_figures_are_met() {
        let values = history([
            10.0, 12.0, 11.0, 13.0, 12.0, 14.0, 13.0, 12.0, 15.0, 13.0, 14.0, 16.0, 15.0, 14.0,
            16.0, 15.0,
        ]);
        let level = simple(&values, 2);
        let theta = classic(&values, &level);
        let found = [level[0], theta[0], theta[1]];
        for (found, known) in found.iter().zip([15.1222, 15.2758, 15.4295]) {
            assert!((found - known).abs() < 2e-3, "{found} {known}");
        }
    }
}
