//! Is a newly reported value an error? Each usual mistake is a hypothesis about what was meant; it is believed as far
//! as what was meant would have been expected, and what was reported would not.

use super::pool::{Interval, forecast};
use super::series::Series;
use super::statistics::quantile;

/// What a suspicious value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Suspicion {
    /// In another unit: this many times too large.
    Factor(f64),
    /// With the opposite sign.
    Sign,
    /// The last period's value again.
    RepeatsLastPeriod,
    /// The value of the same period last year again.
    RepeatsLastYear,
    /// A running total where the period's own value is due.
    Cumulative,
    /// Two leading digits swapped.
    SwappedDigits,
    /// Far from what was expected, for no known reason.
    Shift,
}

/// The judgement of a new value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// The logarithm of the odds that it is an error; higher is more suspicious, and always finite.
    pub score: f64,
    /// The likeliest mistake, when the score is high enough to ask the reporter.
    pub suspicion: Option<Suspicion>,
    /// What was expected.
    pub expected: f64,
    /// Where 95 % of the values were expected.
    pub interval95: Interval,
}

/// From this score on the reporter is asked: about one correct value in fifty is.
pub const SUSPICIOUS: f64 = -2.0;

/// Prior odds of each mistake against a correct value.
const PRIOR: f64 = 0.01;

/// How much wider than usual an unexplained shift is.
const SHIFT_WIDTH: f64 = 6.0;

/// Judges the value of the period after the history.
pub fn anomaly(history: &Series, value: f64, seed: u64) -> Anomaly {
    let forecast = forecast(history, 1, seed);
    let expected = forecast.mean.first().copied().unwrap_or(0.0);
    let interval95 = forecast.interval95.first().copied().unwrap_or(Interval {
        low: expected,
        high: expected,
    });
    let view = View::new(history, forecast.paths.iter().flatten().copied());
    let mut total = 0.0;
    let mut likeliest = (0.0, Suspicion::Shift);
    for (suspicion, odds) in hypotheses(history, &view, value) {
        total += odds;
        if odds > likeliest.0 {
            likeliest = (odds, suspicion);
        }
    }
    let score = total.clamp(1e-100, 1e100).ln();
    let suspicion = (score > SUSPICIOUS).then_some(likeliest.1);
    Anomaly {
        score,
        suspicion,
        expected,
        interval95,
    }
}

/// The one-step predictive density, in logarithms where all values are positive.
struct View {
    is_log: bool,
    centre: f64,
    spread: f64,
}

impl View {
    fn new(history: &Series, draws: impl Iterator<Item = f64>) -> View {
        let is_log = history.all(|x| x > 0.0);
        let mut draws: Vec<f64> = draws
            .filter(|&x| !is_log || x > 0.0)
            .map(|x| if is_log { x.ln() } else { x })
            .collect();
        if draws.is_empty() {
            draws.push(0.0);
        }
        let centre = quantile(&mut draws, 0.5);
        let wide = (quantile(&mut draws, 0.9) - quantile(&mut draws, 0.1)) / 2.563;
        let least = if is_log {
            1e-3
        } else {
            1e-3 * centre.abs().max(1e-9)
        };
        View {
            is_log,
            centre,
            spread: wide.max(least),
        }
    }

    /// Log density, by Student's t with three degrees of freedom, `width` times as wide as expected.
    fn density(&self, value: f64, width: f64) -> f64 {
        if self.is_log && value <= 0.0 {
            return -60.0;
        }
        let seen = if self.is_log { value.ln() } else { value };
        let z = (seen - self.centre) / (self.spread * width);
        -2.0 * (1.0 + z * z / 3.0).ln() - width.ln()
    }

    fn typical(&self) -> f64 {
        if self.is_log {
            self.centre.exp()
        } else {
            self.centre
        }
    }
}

fn hypotheses(history: &Series, view: &View, value: f64) -> Vec<(Suspicion, f64)> {
    let clean = view.density(value, 1.0);
    let against = |meant: f64| PRIOR * (view.density(meant, 1.0) - clean).exp();
    let mut out = vec![(
        Suspicion::Shift,
        PRIOR * (view.density(value, SHIFT_WIDTH) - clean).exp(),
    )];
    for factor in [10.0, 100.0, 1000.0, 1e6, 0.1, 0.01, 1e-3, 1e-6] {
        // In values, not logarithms, the density of a multiple is spread over as much more room.
        let room = if view.is_log { 1.0_f64 } else { factor };
        out.push((Suspicion::Factor(factor), against(value / factor) / room));
    }
    if value != 0.0 {
        out.push((Suspicion::Sign, against(-value)));
        if let Some(meant) = swap_digits(value) {
            out.push((Suspicion::SwappedDigits, against(meant) / 9.0));
        }
    }
    let (values, m) = (history.values(), history.periods());
    let mut running = 0.0;
    for back in 1..m.min(values.len() + 1) {
        running += values[values.len() - back].unwrap_or(view.typical());
        out.push((
            Suspicion::Cumulative,
            against(value - running) / (m - 1) as f64,
        ));
    }
    out.push((Suspicion::RepeatsLastPeriod, repeat_odds(values, 1, value)));
    if m > 1 {
        out.push((Suspicion::RepeatsLastYear, repeat_odds(values, m, value)));
    }
    out
}

/// The odds that a value equal to that `lag` periods ago was copied, given how often such values occur honestly.
fn repeat_odds(values: &[Option<f64>], lag: usize, value: f64) -> f64 {
    let Some(start) = values.len().checked_sub(lag) else {
        return 0.0;
    };
    if values[start] != Some(value) {
        return 0.0;
    }
    let pairs = values
        .iter()
        .zip(&values[lag.min(values.len())..])
        .filter(|(a, b)| a.is_some() && b.is_some());
    let (equal, all) = pairs.fold((0.5, 1.0), |(equal, all), (a, b)| {
        (equal + f64::from(u8::from(a == b)), all + 1.0)
    });
    PRIOR * all / equal
}

/// The value with its two leading digits swapped, unless they are equal.
fn swap_digits(value: f64) -> Option<f64> {
    let unit = 10_f64.powf(value.abs().log10().floor() - 1.0);
    let lead = (value.abs() / unit + 1e-9).floor();
    let (tens, ones) = ((lead / 10.0).floor(), lead % 10.0);
    let swapped = value + value.signum() * unit * (9.0 * (ones - tens));
    (tens != ones && swapped.is_finite()).then_some(swapped)
}

#[cfg(test)]
mod tests {
    use super::super::{Seasonality, Series};
    use super::{Anomaly, Suspicion, anomaly, swap_digits};

    fn history() -> Series {
        let value = |t: usize| {
            1000.0 + 5.0 * t as f64 + [90.0, -150.0, 70.0, 10.0][t % 4] + 13.0 * (t * 7 % 11) as f64
        };
        let values: Vec<Option<f64>> = (0..60).map(|t| Some(value(t))).collect();
        Series::new(&values, Seasonality::Monthly).unwrap()
    }

    fn judge(value: f64) -> Anomaly {
        anomaly(&history(), value, 1)
    }

    #[test]
    fn an_expected_value_passes() {
        let expected = judge(0.0).expected;
        for change in [0.97, 1.0, 1.03] {
            assert_eq!(judge(expected * change).suspicion, None);
        }
    }

    #[test]
    fn usual_mistakes_are_named() {
        let expected = judge(0.0).expected;
        for factor in [10.0, 1000.0, 0.1, 0.001] {
            assert_eq!(
                judge(expected * factor).suspicion,
                Some(Suspicion::Factor(factor))
            );
        }
        assert_eq!(judge(-expected).suspicion, Some(Suspicion::Sign));
        let last = history().values()[59].unwrap();
        assert_eq!(judge(last).suspicion, Some(Suspicion::RepeatsLastPeriod));
        let year_to_date: f64 = history().values()[54..].iter().flatten().sum();
        assert_eq!(
            judge(year_to_date + expected).suspicion,
            Some(Suspicion::Cumulative)
        );
    }

    #[test]
    fn a_constant_series_may_repeat() {
        let series = Series::new(&[Some(100.0); 30], Seasonality::Monthly).unwrap();
        assert_eq!(anomaly(&series, 100.0, 1).suspicion, None);
        assert!(anomaly(&series, 130.0, 1).suspicion.is_some());
    }

    #[test]
    fn scores_are_finite_for_any_value() {
        for value in [0.0, -0.0, 1e308, -1e308, 1e-308, f64::MIN_POSITIVE / 2.0] {
            assert!(judge(value).score.is_finite(), "{value}");
        }
    }

    #[test]
    fn leading_digits_are_swapped() {
        assert_eq!(swap_digits(123.0), Some(213.0));
        assert_eq!(swap_digits(-73.0), Some(-37.0));
        assert_eq!(swap_digits(113.0), None);
    }
}
