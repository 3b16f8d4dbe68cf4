//! The few summary statistics that several models share.

/// The arithmetic mean; 0 of nothing.
pub(super) fn mean(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let sum = values.iter().sum::<f64>();
    if sum.is_finite() {
        sum / count
    } else {
        // The sum of the largest numbers that there are is beyond them.
        values.iter().map(|x| x / count).sum()
    }
}

/// The value below which the share `level` of the values lies, interpolated; reorders `values`, which must not be empty.
pub(super) fn quantile(values: &mut [f64], level: f64) -> f64 {
    let place = level.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let share = place.fract();
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and the length")]
    let index = place as usize;
    let (_, &mut low, above) = values.select_nth_unstable_by(index, f64::total_cmp);
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low + share * (high - low)
}

/// The median, and the median distance from it scaled to a normal's standard deviation; (0, 0) of nothing.
pub(super) fn median_and_spread(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mut work = values.to_vec();
    let centre = quantile(&mut work, 0.5);
    work.iter_mut().for_each(|x| *x = (*x - centre).abs());
    (centre, 1.4826 * quantile(&mut work, 0.5))
}

/// The straight line through points at 0, 1, 2, …: (value at 0, slope).
pub(super) fn line(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let (middle, centre) = ((n - 1.0) / 2.0, mean(values));
    let mut sums = (0.0, 0.0);
    for (t, x) in values.iter().enumerate() {
        let d = t as f64 - middle;
        sums = (sums.0 + d * (x - centre), sums.1 + d * d);
    }
    let slope = if sums.1 > 0.0 { sums.0 / sums.1 } else { 0.0 };
    (centre - slope * middle, slope)
}

#[cfg(test)]
mod tests {
    use super::{line, mean, median_and_spread, quantile};

    #[test]
    fn quantiles_are_interpolated() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&mut values, 0.0), 1.0);
        assert_eq!(quantile(&mut values, 0.5), 2.5);
        assert_eq!(quantile(&mut values, 1.0), 4.0);
        assert_eq!(quantile(&mut [7.0], 0.3), 7.0);
    }

    #[test]
    fn one_outlier_does_not_move_the_median_and_spread() {
        let (centre, spread) = median_and_spread(&[1.0, 2.0, 3.0, 4.0, 1e9]);
        assert_eq!(centre, 3.0);
        assert!((spread - 1.4826).abs() < 1e-9);
        assert_eq!(median_and_spread(&[]), (0.0, 0.0));
    }

    #[test]
    fn a_line_is_found_exactly() {
        let (start, slope) = line(&[1.0, 3.0, 5.0, 7.0]);
        assert!((start - 1.0).abs() < 1e-12 && (slope - 2.0).abs() < 1e-12);
        assert_eq!(line(&[4.0]), (4.0, 0.0));
        assert_eq!(mean(&[]), 0.0);
    }
}
