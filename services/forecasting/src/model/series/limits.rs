//! Rates that keep within limits.

use super::super::{rare::is_rare, statistics::mean};
use super::Series;

/// How a rate keeps within its limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limits {
    /// In logits, which the limits are infinitely far away from.
    Between { low: f64, high: f64 },
    /// As its distance from the upper one, which it touches and never leaves far.
    Below { low: f64, high: f64 },
}

impl Limits {
    /// How close to a limit logits tell values apart, as a share of the room between them.
    const EDGE: f64 = 1e-3;
    /// How far from the upper limit values are at most on the average, as a share of the room, for their distance to be
    /// what is forecast: measured on made series of five kinds, farther away the rates themselves are forecast better.
    const NEAR: f64 = 0.01;

    /// What keeps these values within limits, if anything does: those that leave them, or that come near them at times
    /// only, are forecast as they are, and cut by who knows the limits.
    fn of(series: &Series, low: f64, high: f64) -> Option<Limits> {
        let room = high - low;
        let edge = Limits::EDGE * room;
        let known: Vec<f64> = series.values.iter().flatten().copied().collect();
        let lie_within = |edge| {
            let within = low + edge..=high - edge;
            known.iter().all(|x| within.contains(x))
        };
        if !(room > 0.0 && room.is_finite() && lie_within(0.0)) {
            None
        } else if lie_within(edge) {
            Some(Limits::Between { low, high })
        } else {
            // What is mostly at it would be forecast as rare, without a trend.
            let limits = Limits::Below { low, high };
            let is_near = high - mean(&known) <= Limits::NEAR * room;
            let is_rare = is_rare(&series.map(|x| limits.open(x)));
            (is_near && !is_rare).then_some(limits)
        }
    }

    /// From between the limits to where none are.
    fn open(self, value: f64) -> f64 {
        match self {
            Limits::Between { low, high } => {
                let share = (value - low) / (high - low);
                // Rounding must not carry it beyond.
                let share = share.clamp(Limits::EDGE, 1.0 - Limits::EDGE);
                (share / (1.0 - share)).ln()
            }
            Limits::Below { high, .. } => high - value,
        }
    }

    /// Back between the limits, which rounding must not leave either.
    pub fn close(self, value: f64) -> f64 {
        match self {
            Limits::Between { low, high } => {
                let value = low + (high - low) / (1.0 + (-value).exp());
                value.clamp(low, high)
            }
            Limits::Below { low, high } => (high - value).clamp(low, high),
        }
    }
}

impl Series {
    /// Says that values cannot leave these limits, as a rate between 0 and 100 cannot. Without effect where they do.
    pub fn with_limits(mut self, low: f64, high: f64) -> Series {
        self.limits = Limits::of(&self, low, high);
        self
    }

    pub(in super::super) fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// The same without its limits, and with given seasons that do the same about its mean.
    pub(in super::super) fn opened(&self, limits: Limits) -> Series {
        let mut inner = self.map(|x| limits.open(x));
        inner.limits = None;
        let is_factor = |series: &Series| series.lifted().all(|x| x > 0.0);
        let (from_factors, to_factors) = (is_factor(self), is_factor(&inner));
        let known: Vec<f64> = self.values.iter().flatten().copied().collect();
        let level = mean(&known);
        for index in &mut inner.seasons {
            let value = if from_factors {
                level * *index
            } else {
                level + *index
            };
            *index = if to_factors {
                limits.open(value) / limits.open(level)
            } else {
                limits.open(value) - limits.open(level)
            };
        }
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::super::Seasonality;
    use super::*;

    fn monthly(values: &[f64]) -> Series {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        Series::new(&values, Seasonality::Monthly).unwrap()
    }

    #[test]
    fn limits_open_and_close() {
        let (low, high) = (0.0, 100.0);
        for limits in [Limits::Between { low, high }, Limits::Below { low, high }] {
            for value in [1.0, 50.0, 99.0] {
                assert!((limits.close(limits.open(value)) - value).abs() < 1e-9);
            }
            assert!(limits.open(0.0).is_finite() && limits.open(100.0).is_finite());
        }
        let of = |values: &[f64]| monthly(values).with_limits(low, high).limits();
        assert_eq!(of(&[95.0, 99.9]), Some(Limits::Between { low, high }));
        assert_eq!(of(&[99.0, 99.95]), Some(Limits::Below { low, high }));
        assert_eq!(of(&[95.0, 99.95]), None);
        assert_eq!(of(&[99.9, 100.1]), None);
        assert_eq!(of(&[100.0, 100.0, 100.0, 99.4, 98.8]), None);
    }

    #[test]
    fn given_seasons_do_the_same_within_limits() {
        let factors: Vec<f64> = (0..12).map(|t| if t == 0 { 1.1 } else { 0.99 }).collect();
        let short = monthly(&[80.0; 6]).with_seasons(&factors);
        let limited = short.with_limits(0.0, 100.0);
        let limits = limited.limits().unwrap();
        let inner = limited.opened(limits);
        let high = limits.close(limits.open(80.0) * inner.given_seasons()[0]);
        assert!((high - 88.0).abs() < 1e-9, "{high}");
    }
}
