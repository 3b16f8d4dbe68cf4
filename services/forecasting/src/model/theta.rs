//! The dynamic optimised theta model (Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, 2016): smoothing whose
//! drift is the regression line of all that was seen so far, on the seasonally adjusted series.

use super::Model;
use super::minimum::minimise;
use super::season::Adjusted;
use super::statistics::line;

/// A fitted theta model.
pub(super) struct Theta {
    gains: Gains,
    state: State,
    errors: Vec<f64>,
    adjusted: Adjusted,
}

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

/// Fits the level's gain, theta and the first level.
pub(super) fn fit(adjusted: Adjusted) -> Theta {
    let history = &adjusted.values;
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
    let (at, _) = minimise([0.5, 0.5, 0.5], 150, |at| {
        let (gains, start) = unpack(at);
        let mut squares = 0.0;
        run(history, gains, start, |error| squares += error * error);
        squares
    });
    let (gains, start) = unpack(&at);
    let mut errors = Vec::with_capacity(known.len());
    let state = run(history, gains, start, |error| errors.push(error));
    Theta {
        gains,
        state,
        errors,
        adjusted,
    }
}

impl Model for Theta {
    fn errors(&self) -> &[f64] {
        &self.errors
    }

    fn parameters(&self) -> usize {
        3 + self.adjusted.parameters()
    }

    fn path(&self, shocks: &[f64], path: &mut [f64]) {
        let mut state = self.state;
        for (step, (out, &shock)) in path.iter_mut().zip(shocks).enumerate() {
            let value = state.expect(self.gains) + shock;
            *out = self.adjusted.restore(step, value);
            state.advance(self.gains, value);
        }
    }
}

/// The central path of the fitted dynamic model on values without seasons.
pub(super) fn dynamic(values: &[Option<f64>], horizon: usize) -> Vec<f64> {
    let model = fit(Adjusted::plain(values));
    let mut path = vec![0.0; horizon];
    model.path(&vec![0.0; horizon], &mut path);
    path
}

/// Simple exponential smoothing: the level after the last value, its gain fitted by least squares.
pub(super) fn simple(values: &[Option<f64>], horizon: usize) -> Vec<f64> {
    let run = |gain: f64, start: f64| {
        let (mut level, mut squares) = (start, 0.0);
        for x in values.iter().flatten() {
            let error = x - level;
            squares += error * error;
            level += gain * error;
        }
        (level, squares)
    };
    let start = values.iter().flatten().next().copied().unwrap_or(0.0);
    let (at, _) = minimise([0.5], 20, |[gain]| run(*gain, start).1);
    vec![run(at[0], start).0; horizon]
}

/// The theta method (Assimakopoulos and Nikolopoulos, 2000): simple smoothing with half the drift of the line.
pub(super) fn classic(values: &[Option<f64>], simple: &[f64]) -> Vec<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (_, slope) = line(&known);
    simple.iter().zip(1..).map(|(x, h)| x + 0.5 * slope * f64::from(h)).collect()
}

#[cfg(test)]
mod tests {
    use super::fit;
    use super::super::season::Adjusted;
    use super::super::{Model, Seasonality, Series};

    fn path(values: &[Option<f64>]) -> Vec<f64> {
        let series = Series::new(values, Seasonality::Yearly).unwrap();
        let mut path = vec![0.0; 3];
        fit(Adjusted::new(&series)).path(&[0.0; 3], &mut path);
        path
    }

    #[test]
    fn a_line_drifts_on() {
        let values: Vec<Option<f64>> = (1..=30).map(|t| Some(10.0 + 2.0 * f64::from(t))).collect();
        let path = path(&values);
        assert!(
            path[0] > 70.0 && path[2] > path[1] && path[1] > path[0] && path[2] < 78.0,
            "{path:?}"
        );
    }

    #[test]
    fn a_gap_hardly_changes_a_smooth_course() {
        let mut values: Vec<Option<f64>> =
            (1..=30).map(|t| Some(10.0 + 2.0 * f64::from(t))).collect();
        let whole = path(&values);
        values[20] = None;
        values[26] = None;
        let gapped = path(&values);
        assert!(
            whole.iter().zip(&gapped).all(|(a, b)| (a - b).abs() < 1.0),
            "{whole:?} {gapped:?}"
        );
    }
}
