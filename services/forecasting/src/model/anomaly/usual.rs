//! How likely a value is as the next one of a series: near what is expected, as round as others, or one of those that
//! come again and again.

use super::super::series::Series;
use super::super::statistics::quantile;

/// Chances are counted as if this many more values had been unlike all others.
const UNSEEN: f64 = 10.0;

/// Farther from what is expected, in spreads, all values are alike; it also keeps squares finite.
const FAR: f64 = 1e6;

/// The constant of the density of Student's t with three degrees of freedom.
const PEAK: f64 = 0.367_552_6;

/// What is usual in a series: its one-step predictive distribution, in logarithms where all values are positive, on the
/// grid of the finest decimal place that was reported.
pub(super) struct Usual {
    is_log: bool,
    centre: f64,
    spread: f64,
    finest: i32,
    /// What one step of the grid is of the spread.
    step: f64,
    values: Vec<f64>,
    places: Vec<i32>,
}

impl Usual {
    pub(super) fn new(history: &Series, draws: impl Iterator<Item = f64>) -> Usual {
        let is_log = history.all(|x| x > 0.0);
        let mut draws: Vec<f64> = draws
            .filter(|&x| !is_log || x > 0.0)
            .map(|x| if is_log { x.ln() } else { x })
            .collect();
        if draws.is_empty() {
            draws.push(0.0);
        }
        let centre = quantile(&mut draws, 0.5);
        let mut at = |level: f64| quantile(&mut draws, level);
        let usual = (at(0.9) - at(0.1)) / 2.563;
        // Where most draws are zero, only the far ones say how large the others are.
        let far = (at(0.975) - centre).max(centre - at(0.025)) / 1.96;
        let (least, typical) = if is_log {
            (1e-3, centre.exp().max(f64::MIN_POSITIVE))
        } else {
            (1e-3 * centre.abs().max(1e-9), 1.0)
        };
        let spread = usual.max(far).max(least);
        let values: Vec<f64> = history
            .values()
            .iter()
            .flatten()
            .map(|&x| tidy(x))
            .collect();
        let places: Vec<i32> = values.iter().filter_map(|&x| last_place(x)).collect();
        let finest = places.iter().copied().min().unwrap_or(0);
        Usual {
            is_log,
            centre,
            spread,
            finest,
            step: (10_f64.powi(finest) / typical / spread).clamp(1e-15, 1e15),
            values,
            places,
        }
    }

    pub(super) fn typical(&self) -> f64 {
        if self.is_log {
            self.centre.exp()
        } else {
            self.centre
        }
    }

    /// How much more room a multiple of a value has, which logarithms make no difference to.
    pub(super) fn room(&self, factor: f64) -> f64 {
        if self.is_log {
            1.0
        } else {
            factor.max(1.0 / factor)
        }
    }

    /// The chance of this very value.
    pub(super) fn chance(&self, value: f64) -> f64 {
        (self.near(value, 1.0) + self.again(value)).min(1.0)
    }

    /// The chance of this very value if it was meant, but not reported: it should have no more decimal places than others.
    pub(super) fn chance_meant(&self, value: f64) -> f64 {
        let is_finer = last_place(value).is_some_and(|place| place < self.finest);
        self.chance(value) / if is_finer { UNSEEN } else { 1.0 }
    }

    /// The chance of this very value by Student's t with three degrees of freedom, `width` times as wide as expected.
    pub(super) fn near(&self, value: f64, width: f64) -> f64 {
        let seen = match self.is_log {
            // As good as half of the smallest value that can be reported.
            true if value == 0.0 => (10_f64.powi(self.finest) / 2.0).ln(),
            true if value < 0.0 => f64::NEG_INFINITY,
            true => value.ln(),
            false => value,
        };
        let far = ((seen - self.centre) / self.spread).abs();
        // Also where it is no number, as differences may overflow.
        let z = far.min(FAR) / width;
        let density = PEAK * (1.0 + z * z / 3.0).powi(-2) / width;
        (density * self.step * self.roundness(value)).min(1.0)
    }

    /// How many steps of the finest grid a value stands for, as others are on coarser grids on which it is, too.
    fn roundness(&self, value: f64) -> f64 {
        let Some(place) = last_place(value) else {
            return 1.0;
        };
        let coarser = self.places.iter().filter(|&&x| x <= place);
        let steps: f64 = coarser.map(|x| 10_f64.powi(x - self.finest)).sum();
        (steps / (self.values.len() as f64 + UNSEEN)).clamp(1.0, 1e9)
    }

    /// The chance that one of the values that occurred more than once occurs again.
    fn again(&self, value: f64) -> f64 {
        let times = self.values.iter().filter(|&&x| x == value).count();
        times.saturating_sub(1) as f64 / (self.values.len() as f64 + UNSEEN)
    }
}

/// Without the noise of decimal arithmetic in binary.
pub(super) fn tidy(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// The power of ten of the last digit that is not zero.
fn last_place(value: f64) -> Option<i32> {
    let text = format!("{value:.11e}");
    let (digits, exponent) = text.split_once('e')?;
    let (_, decimals) = digits.split_once('.')?;
    let decimals = i32::try_from(decimals.trim_end_matches('0').len()).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    (value != 0.0).then_some(exponent - decimals)
}

#[cfg(test)]
mod tests {
    use super::super::super::{Seasonality, Series};
    use super::{Usual, last_place, tidy};

    fn usual(values: &[f64]) -> Usual {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        let history = Series::new(&values, Seasonality::Monthly).unwrap();
        Usual::new(&history, (0..100).map(|draw| 950.0 + f64::from(draw)))
    }

    #[test]
    fn the_last_digit_is_found() {
        assert_eq!(last_place(1200.0), Some(2));
        assert_eq!(last_place(-0.07), Some(-2));
        assert_eq!(last_place(0.1 + 0.2), Some(-1));
        assert_eq!(last_place(0.0), None);
        assert_eq!(tidy(7.169 / 0.001), 7169.0);
    }

    #[test]
    fn round_values_are_likelier_where_others_are_round() {
        let round = usual(&[900.0, 1100.0, 1017.0, 800.0, 1200.0]);
        assert!(round.chance(1000.0) > 3.0 * round.chance(1003.0));
        let plain = usual(&[917.0, 1103.0, 1017.0, 811.0, 1219.0]);
        assert!(plain.chance(1000.0) < 1.1 * plain.chance(1003.0));
    }

    #[test]
    fn values_that_came_again_are_likelier() {
        let history = usual(&[1013.0, 955.0, 1013.0, 1040.0, 1013.0]);
        assert!(history.chance(1013.0) > 5.0 * history.chance(1014.0));
        assert!(history.chance(955.0) < 1.2 * history.chance(956.0));
    }

    #[test]
    fn more_decimals_than_ever_were_hardly_meant() {
        let history = usual(&[1013.0, 955.0, 1040.0]);
        assert!(history.chance_meant(1000.5) < 0.2 * history.chance_meant(1001.0));
    }
}
