//! Exponential smoothing with additive errors: level, optional (damped) trend, optional seasons; on the values
//! themselves or on their logarithms, which makes trend and seasons multiplicative.

use super::minimum::minimise;
use super::series::Series;
use super::statistics::{line, mean, median_and_spread};

/// The most seasons that a state holds.
const YEAR: usize = 12;

/// Runs over the history that a fit may take; more sharpen the fit and not the forecast.
const BUDGET: usize = 60;

/// How far paths of logarithms may leave the range seen: about a thousandfold.
const LOG_SLACK: f64 = 7.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trend {
    None,
    Linear,
    Damped,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) trend: Trend,
    /// Periods in a year when seasonal, else 1.
    pub(super) season: usize,
}

#[derive(Clone, Copy, Debug)]
struct Gains {
    level: f64,
    slope: f64,
    season: f64,
    damping: f64,
    /// The largest error that may bend the trend.
    limit: f64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    level: f64,
    slope: f64,
    seasons: [f64; YEAR],
    /// The season of the next period.
    next: usize,
}

/// One fitted form of exponential smoothing.
pub(super) struct Smooth {
    form: Form,
    gains: Gains,
    state: State,
    /// For logarithms: the range that paths may not leave.
    log_range: Option<(f64, f64)>,
    /// Akaike's criterion, corrected for few values, comparable between both scales.
    criterion: f64,
}

impl Form {
    /// Maps the unit box to the gains that keep the filter stable.
    fn gains(self, at: &[f64; 4], limit: f64) -> Gains {
        let level = 0.001 + 0.998 * at[0];
        Gains {
            level,
            slope: if self.trend == Trend::None {
                0.0
            } else {
                level * at[1]
            },
            season: if self.season > 1 {
                (1.0 - level) * at[2]
            } else {
                0.0
            },
            damping: match self.trend {
                Trend::None => 0.0,
                Trend::Linear => 1.0,
                Trend::Damped => 0.8 + 0.18 * at[3],
            },
            limit,
        }
    }

    fn parameters(self) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Linear => 2,
            Trend::Damped => 3,
        };
        // Level and its gain, the seasons (which sum to zero) and theirs, and the variance.
        2 + trend + if self.season > 1 { self.season } else { 0 } + 1
    }
}

impl State {
    /// The state before the first value, from the first years.
    fn before(series: &Series, form: Form) -> Option<State> {
        let m = form.season;
        let mut seasons = [0.0; YEAR];
        if m > 1 {
            seasons[..m].copy_from_slice(&series.first(6 * m).seasonal_indices(false)?.0);
        }
        let reach = if m > 1 {
            2 * m
        } else {
            series.periods().max(8)
        };
        let start: Vec<f64> = series
            .filled()
            .iter()
            .take(reach)
            .enumerate()
            .map(|(t, x)| x - seasons[t % m])
            .collect();
        let (at_first, slope) = line(&start);
        Some(match form.trend {
            Trend::None => State {
                level: mean(&start[..start.len().min(m.max(4))]),
                slope: 0.0,
                seasons,
                next: 0,
            },
            Trend::Linear | Trend::Damped => State {
                level: at_first - slope,
                slope,
                seasons,
                next: 0,
            },
        })
    }

    /// What the next period is expected to be.
    fn expect(&self, gains: &Gains) -> f64 {
        self.level + gains.damping * self.slope + self.seasons[self.next]
    }

    /// Moves on by one period that differed from what was expected by `error`.
    fn advance(&mut self, gains: &Gains, form: Form, error: f64) {
        let slope = gains.damping * self.slope;
        self.level += slope + gains.level * error;
        self.slope = slope + gains.slope * error.clamp(-gains.limit, gains.limit);
        self.seasons[self.next] += gains.season * error;
        self.next += 1;
        if self.next == form.season {
            self.next = 0;
        }
    }
}

/// Runs over the history, where a gap teaches nothing; hands each error to `see`.
fn run(
    history: &[Option<f64>],
    form: Form,
    gains: &Gains,
    mut state: State,
    mut see: impl FnMut(f64),
) -> State {
    for value in history {
        let error = value.map_or(0.0, |x| x - state.expect(gains));
        if value.is_some() {
            see(error);
        }
        state.advance(gains, form, error);
    }
    state
}

/// Continues seasonally adjusted values of a series with `m` periods a year by a form without seasons.
pub(super) fn fit_values(
    values: &[Option<f64>],
    m: usize,
    form: Form,
    horizon: usize,
) -> Option<Vec<f64>> {
    let series = Series::from_parts(values, m);
    fit(&series, form, false).map(|fit| fit.path(horizon))
}

/// Fits every form with one of these numbers of seasons that the length allows, on values and on logarithms.
pub(super) fn fit_all(series: &Series, seasons: &[usize]) -> Vec<Smooth> {
    let logs = series.all(|x| x > 0.0).then(|| series.map(f64::ln));
    let mut fits = Vec::new();
    for &season in seasons {
        for trend in [Trend::None, Trend::Linear, Trend::Damped] {
            let form = Form { trend, season };
            fits.extend(fit(series, form, false));
            fits.extend(logs.as_ref().and_then(|logs| fit(logs, form, true)));
        }
    }
    fits
}

/// The largest error that may bend the trend: one jump is not a new course.
fn limit(series: &Series, form: Form) -> f64 {
    let m = form.season;
    let steps: Vec<f64> = series
        .filled()
        .windows(m + 1)
        .map(|year| year[m] - year[0])
        .collect();
    let spread = median_and_spread(&steps).1;
    // Between years a step is the trend itself, so that less of it passes for usual.
    let usual = if series.periods() > 1 { 2.0 } else { 1.0 };
    if spread > 0.0 {
        usual * spread
    } else {
        f64::INFINITY
    }
}

fn fit(series: &Series, form: Form, is_log: bool) -> Option<Smooth> {
    let history = series.values();
    let count = history.iter().flatten().count();
    let (n, k) = (count as f64, form.parameters() as f64);
    if n - k - 1.0 < 1.0 {
        return None;
    }
    let before = State::before(series, form)?;
    let limit = limit(series, form);
    let (at, squares) = minimise([0.3, 0.1, 0.1, 0.8], BUDGET, |at| {
        let mut squares = 0.0;
        run(history, form, &form.gains(at, limit), before, |error| {
            squares += error * error
        });
        squares
    });
    let gains = form.gains(&at, limit);
    let state = run(history, form, &gains, before, |_| ());
    let logs: f64 = if is_log {
        history.iter().flatten().sum()
    } else {
        0.0
    };
    // A perfect fit must not win by an infinite margin.
    let variance = (squares / n).max(1e-12);
    let criterion = n * variance.ln() + 2.0 * logs + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0);
    let known = || history.iter().flatten().copied();
    let (lowest, highest) = (
        known().fold(f64::INFINITY, f64::min),
        known().fold(f64::NEG_INFINITY, f64::max),
    );
    let log_range = is_log.then_some((lowest - LOG_SLACK, highest + LOG_SLACK));
    criterion.is_finite().then_some(Smooth {
        form,
        gains,
        state,
        log_range,
        criterion,
    })
}

impl Smooth {
    pub(super) fn criterion(&self) -> f64 {
        self.criterion
    }

    /// Whether it is of this form, on logarithms or not.
    pub(super) fn is(&self, trend: Trend, season: usize, is_log: bool) -> bool {
        let form = self.form;
        (form.trend, form.season, self.log_range.is_some()) == (trend, season, is_log)
    }

    /// How the series goes on without further errors.
    pub(super) fn path(&self, horizon: usize) -> Vec<f64> {
        let mut state = self.state;
        (0..horizon)
            .map(|_| {
                let value = state.expect(&self.gains);
                state.advance(&self.gains, self.form, 0.0);
                match self.log_range {
                    Some((low, high)) => value.clamp(low, high).exp(),
                    None => value,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{AIR_PASSENGERS, FOUR_DIGITS, NILE, assert_near, history};
    use super::super::{Seasonality, Series};
    use super::{Form, Gains, Smooth, State, Trend, YEAR, fit_all, run};

    fn best_path(values: impl Iterator<Item = f64>, seasonality: Seasonality) -> Vec<f64> {
        let values: Vec<Option<f64>> = values.map(Some).collect();
        let series = Series::new(&values, seasonality).unwrap();
        let fits = fit_all(&series, &[1, series.periods()]);
        let best = fits
            .iter()
            .min_by(|a, b| a.criterion().total_cmp(&b.criterion()))
            .unwrap();
        best.path(4)
    }

    #[test]
    fn a_line_goes_on() {
        let path = best_path((1..=20).map(|t| 3.0 * f64::from(t)), Seasonality::Yearly);
        for (found, expected) in path.iter().zip([63.0, 66.0, 69.0, 72.0]) {
            assert!((found - expected).abs() < 0.5, "{path:?}");
        }
    }

    #[test]
    fn growing_seasons_go_on() {
        let value =
            |t: i32| 1.02_f64.powi(t) * [0.8, 1.0, 1.5, 0.7][usize::try_from(t).unwrap() % 4];
        let path = best_path((0..40).map(value), Seasonality::Quarterly);
        for (found, t) in path.iter().zip(40..) {
            assert!((found / value(t) - 1.0).abs() < 0.02, "{path:?}");
        }
    }

    #[test]
    fn one_jump_does_not_become_a_trend() {
        let values = (0..40).map(|t| {
            if t < 38 {
                100.0 + 0.1 * f64::from(t % 3)
            } else {
                110.0
            }
        });
        let path = best_path(values, Seasonality::Monthly);
        assert!(path.iter().all(|x| (x - 110.0).abs() < 3.0), "{path:?}");
    }

    /// The next five values by these gains, from this state before the first value.
    fn path(values: &[f64], form: Form, gains: Gains, before: State) -> Vec<f64> {
        let fit = Smooth {
            form,
            gains,
            state: run(&history(values), form, &gains, before, |_| ()),
            log_range: None,
            criterion: 0.0,
        };
        fit.path(5)
    }

    const LEVEL: Form = Form {
        trend: Trend::None,
        season: 1,
    };

    const FLAT: Gains = Gains {
        level: 0.2,
        slope: 0.0,
        season: 0.0,
        damping: 0.0,
        limit: f64::INFINITY,
    };

    const START: State = State {
        level: 1120.0,
        slope: 0.0,
        seasons: [0.0; YEAR],
        next: 0,
    };

    /// statsmodels 0.15.0, `SimpleExpSmoothing(nile, initialization_method="known", initial_level=1120)`, gain fixed.
    #[test]
    fn simple_smoothing_is_as_known() {
        for (level, known) in [(0.2, 821.3170), (0.8, 736.3574)] {
            let found = path(&NILE, LEVEL, Gains { level, ..FLAT }, START);
            assert_near(&found, &[known; 5], FOUR_DIGITS);
        }
    }

    /// statsmodels 0.15.0, `Holt(nile[:30], initialization_method="known", initial_level=1100, initial_trend=5)` with
    /// `smoothing_level=.4, smoothing_trend=.1`, and the same with `damped_trend=True`, `damping_trend=.9`. Our slope's
    /// gain is the product of both.
    #[test]
    fn trends_are_as_known() {
        let trend = |trend, damping| {
            let form = Form { trend, season: 1 };
            let gains = Gains {
                level: 0.4,
                slope: 0.4 * 0.1,
                damping,
                ..FLAT
            };
            let before = State {
                level: 1100.0,
                slope: 5.0,
                ..START
            };
            path(&NILE[..30], form, gains, before)
        };
        let holt = [908.0517, 890.5801, 873.1085, 855.6369, 838.1653];
        assert_near(&trend(Trend::Linear, 1.0), &holt, FOUR_DIGITS);
        let damped = [905.1308, 889.9274, 876.2443, 863.9296, 852.8463];
        assert_near(&trend(Trend::Damped, 0.9), &damped, FOUR_DIGITS);
    }

    /// statsmodels 0.15.0, `ExponentialSmoothing(air_passengers[:60], trend="add", damped_trend=True, seasonal="add")` from
    /// these states with `smoothing_level=.3, smoothing_trend=.2, smoothing_seasonal=.25, damping_trend=.95`.
    #[test]
    fn a_damped_trend_with_seasons_is_as_known() {
        let form = Form {
            trend: Trend::Damped,
            season: 12,
        };
        let gains = Gains {
            level: 0.3,
            slope: 0.3 * 0.2,
            season: 0.25,
            damping: 0.95,
            limit: f64::INFINITY,
        };
        let before = State {
            level: 120.0,
            slope: 2.0,
            seasons: [
                -10.0, -10.0, 0.0, 0.0, 0.0, 10.0, 20.0, 20.0, 5.0, -10.0, -20.0, -5.0,
            ],
            next: 0,
        };
        let found = path(&AIR_PASSENGERS[..60], form, gains, before);
        let known = [214.2653, 216.5712, 235.9977, 225.4135, 220.0276];
        assert_near(&found, &known, FOUR_DIGITS);
    }
}
