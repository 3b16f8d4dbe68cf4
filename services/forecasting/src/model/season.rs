//! Seasonal adjustment, for the models that have no seasons of their own.

use super::series::Series;

/// The largest seasonal factor, as a logarithm: beyond it, values overflow rather than mean anything.
const LARGEST_FACTOR: f64 = 10.0;

/// The seasonal factors of a series, the first for its first value, to be lent to a shorter one; nothing with less than
/// two years, or where a value is not positive.
pub fn seasonal_factors(series: &Series) -> Option<Vec<f64>> {
    if !series.all(|x| x > 0.0) {
        return None;
    }
    let (indices, _) = series.map(f64::ln).seasonal_indices(true)?;
    let factor = |index: &f64| index.clamp(-LARGEST_FACTOR, LARGEST_FACTOR).exp();
    Some(indices.iter().map(factor).collect())
}

/// A seasonally adjusted series and how to undo it.
#[derive(Clone)]
pub(super) struct Adjusted {
    pub(super) values: Vec<Option<f64>>,
    /// The first belongs to the period after the history.
    indices: Vec<f64>,
    is_factor: bool,
    strength: f64,
}

impl Adjusted {
    /// Values that need no adjustment.
    pub(super) fn plain(values: &[Option<f64>]) -> Adjusted {
        Adjusted {
            values: values.to_vec(),
            indices: vec![0.0],
            is_factor: false,
            strength: 0.0,
        }
    }

    /// The share of the seasons' spread that is more than noise; 0 without seasons.
    pub(super) fn strength(&self) -> f64 {
        self.strength
    }

    /// The adjusted values with gaps filled.
    pub(super) fn filled(&self) -> Vec<f64> {
        Series::from_parts(&self.values, 1).filled()
    }

    /// Adjusts by factors where all values are positive, else by differences, where the seasons stand out.
    pub(super) fn new(series: &Series) -> Adjusted {
        let as_is = || Adjusted::plain(series.values());
        let is_factor = series.all(|x| x > 0.0);
        let scale = if is_factor {
            series.map(f64::ln)
        } else {
            series.clone()
        };
        let given = || {
            let scale = |&x: &f64| if is_factor { x.max(1e-6).ln() } else { x };
            let given = series.given_seasons();
            (!given.is_empty()).then(|| (given.iter().map(scale).collect(), 1.0))
        };
        let Some((mut indices, strength)) = scale.seasonal_indices(true).or_else(given) else {
            return as_is();
        };
        if is_factor {
            indices
                .iter_mut()
                .for_each(|index| *index = index.clamp(-LARGEST_FACTOR, LARGEST_FACTOR));
        }
        let m = indices.len();
        let values = scale
            .values()
            .iter()
            .enumerate()
            .map(|(t, value)| {
                value
                    .map(|x| x - indices[t % m])
                    .map(|x| if is_factor { x.exp() } else { x })
            })
            .collect();
        let n = series.values().len();
        Adjusted {
            values,
            indices: (0..m).map(|h| indices[(n + h) % m]).collect(),
            is_factor,
            strength,
        }
    }

    /// Puts the season of the period `step` after the history back.
    pub(super) fn restore(&self, step: usize, value: f64) -> f64 {
        let index = self.indices[step % self.indices.len()];
        if self.is_factor {
            value * index.exp()
        } else {
            value + index
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Seasonality, Series};
    use super::Adjusted;

    #[test]
    fn factors_are_removed_and_restored() {
        let factors = [0.5, 1.0, 2.0, 1.0];
        let values: Vec<Option<f64>> = (0..25).map(|t| Some(100.0 * factors[t % 4])).collect();
        let adjusted = Adjusted::new(&Series::new(&values, Seasonality::Quarterly).unwrap());
        assert!(
            adjusted
                .values
                .iter()
                .flatten()
                .all(|x| (x - 100.0).abs() < 1.0),
            "{:?}",
            adjusted.values
        );
        // The history ends with the first season, so that the second follows.
        for (step, factor) in [1.0, 2.0, 1.0, 0.5, 1.0].into_iter().enumerate() {
            assert!((adjusted.restore(step, 100.0) - 100.0 * factor).abs() < 1.0);
        }
    }

    #[test]
    fn without_seasons_nothing_changes() {
        let values: Vec<Option<f64>> = (0..30).map(|t| Some(f64::from(t))).collect();
        let adjusted = Adjusted::new(&Series::new(&values, Seasonality::Yearly).unwrap());
        assert_eq!(adjusted.values, values);
        assert_eq!(adjusted.restore(3, 7.0), 7.0);
    }
}
