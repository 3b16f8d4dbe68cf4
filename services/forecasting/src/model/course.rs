//! The expected course of a year, moved as a whole so that the year ends elsewhere.

use super::outturn::Rule;

/// The course of the periods that remain with which the year's figure is `outturn`: the expected one, of sums all values
/// by one factor, otherwise by a difference that grows from period to period. `done` is the sum of what is reported.
/// Nothing where no period remains.
pub fn course(rule: Rule, done: f64, expected: &[f64], outturn: f64) -> Option<Vec<f64>> {
    let last = *expected.last()?;
    let count = expected.len() as f64;
    if rule != Rule::Sum {
        let step = (outturn - last) / count;
        let moved = (1..).zip(expected).map(|(at, x)| x + step * f64::from(at));
        return Some(moved.collect());
    }
    let (rest, sum) = (outturn - done, expected.iter().sum::<f64>());
    let is_share = expected.iter().all(|&x| x >= 0.0) && sum > 0.0 && rest >= 0.0;
    let moved = |x: &f64| {
        if is_share {
            x / sum * rest
        } else {
            x + (rest - sum) / count
        }
    };
    Some(expected.iter().map(moved).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_the_seasons() {
        let moved = course(Rule::Sum, 60.0, &[10.0, 30.0], 120.0).unwrap();
        assert_eq!(moved, [15.0, 45.0]);
        let back = course(Rule::Sum, 60.0, &[-10.0, 30.0], 90.0).unwrap();
        assert_eq!(back, [-5.0, 35.0]);
        assert_eq!(course(Rule::Sum, 60.0, &[], 90.0), None);
    }

    #[test]
    fn a_level_gets_there_step_by_step() {
        let moved = course(Rule::Last, 0.0, &[10.0, 12.0, 14.0], 20.0).unwrap();
        assert_eq!(moved, [12.0, 16.0, 20.0]);
    }
}
