//! Complex exponential smoothing without seasons (Svetunkov, Kourentzes and Ord, 2022): a level and what it leaves out
//! move together, so that one model covers both stationary and trending courses.

use super::minimum::minimise;

/// Runs over the history that a fit may take.
const BUDGET: usize = 50;

#[derive(Clone, Copy)]
struct State {
    level: f64,
    rest: f64,
}

impl State {
    fn advance(&mut self, [real, imaginary]: [f64; 2], error: f64) {
        let State { level, rest } = *self;
        self.level = level - (1.0 - imaginary) * rest + (real - imaginary) * error;
        self.rest = level + (1.0 - real) * rest + (real + imaginary) * error;
    }
}

/// Whether the filter forgets (equation 26 of the paper).
fn is_stable([real, imaginary]: [f64; 2]) -> bool {
    let around = |x: f64, y: f64| (real - x).powi(2) + (imaginary - y).powi(2);
    around(2.5, 0.0) > 1.25 && around(0.5, 1.0) > 0.25 && around(1.5, 0.5) < 1.5
}

fn run(history: &[Option<f64>], start: f64, gains: [f64; 2], mut see: impl FnMut(f64)) -> State {
    // Where level and rest stand still without errors.
    let mut state = State {
        level: start,
        rest: start / gains[0].max(0.5),
    };
    for value in history {
        let error = value.map_or(0.0, |x| x - state.level);
        see(error);
        state.advance(gains, error);
    }
    state
}

/// Continues a seasonally adjusted series; `None` when it runs away.
pub(super) fn path(history: &[Option<f64>], horizon: usize) -> Option<Vec<f64>> {
    let early: Vec<f64> = history.iter().flatten().take(3).copied().collect();
    let start = early.iter().sum::<f64>() / early.len().max(1) as f64;
    let unpack = |at: &[f64; 2]| [0.6 + 1.8 * at[0], 0.4 + 1.2 * at[1]];
    let (at, _) = minimise([0.4, 0.5], BUDGET, |at| {
        let gains = unpack(at);
        if !is_stable(gains) {
            return f64::INFINITY;
        }
        let mut squares = 0.0;
        run(history, start, gains, |error| squares += error * error);
        squares
    });
    let gains = unpack(&at);
    let path = continued(run(history, start, gains, |_| ()), gains, horizon);
    path.iter().all(|x| x.is_finite()).then_some(path)
}

/// How the series goes on without further errors.
fn continued(mut state: State, gains: [f64; 2], horizon: usize) -> Vec<f64> {
    (0..horizon)
        .map(|_| {
            let expected = state.level;
            state.advance(gains, 0.0);
            expected
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::example::{FOUR_DIGITS, NILE, assert_near, history};
    use super::{continued, path, run};

    #[test]
    fn a_constant_goes_on() {
        let path = path(&[Some(5.0); 30], 4).unwrap();
        assert!(path.iter().all(|x| (x - 5.0).abs() < 1e-6), "{path:?}");
    }

    #[test]
    fn a_line_goes_on_for_a_while() {
        let values: Vec<Option<f64>> = (0..40).map(|t| Some(50.0 + f64::from(t))).collect();
        let path = path(&values, 4).unwrap();
        assert!((path[0] - 90.0).abs() < 1.0, "{path:?}");
    }

    /// statsforecast 2.1.1, `pegelsresid_ces` and `cesforecast` without seasons, from a level of 1000 and the rest that goes
    /// with it. The first pair of gains is simple smoothing by 0.3.
    #[test]
    fn the_nile_goes_on_as_known() {
        let path = |gains| continued(run(&history(&NILE), 1000.0, gains, |_| ()), gains, 5);
        assert_near(&path([1.3, 1.0]), &[788.4401; 5], FOUR_DIGITS);
        let known = [797.9572, 818.3589, 848.0559, 874.1254, 903.4934];
        assert_near(&path([1.5, 1.05]), &known, FOUR_DIGITS);
    }
}
