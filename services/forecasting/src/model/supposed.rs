//! Futures, given how their first steps are supposed to come out.
//!
//! What is supposed is no news to learn from: later steps move as far as they go together with it in the futures
//! themselves, as the conditional distribution of a normal copula says. So more is never taken for less. What is supposed
//! beyond all futures carries on as far as the steps go together.

/// The steps after those supposed, of each path. Each step keeps within the values that it had, unless what is supposed does
/// not.
pub fn supposed(paths: &[Vec<f64>], known: &[f64]) -> Vec<Vec<f64>> {
    let steps = paths.iter().map(Vec::len).min().unwrap_or(0);
    let first = known.len().min(steps);
    let grid = deviates(paths.len());
    let sorted: Vec<Vec<f64>> = (0..steps)
        .map(|step| {
            let mut values: Vec<f64> = paths.iter().map(|path| path[step]).collect();
            values.sort_by(f64::total_cmp);
            values
        })
        .collect();
    let scores: Vec<Vec<f64>> = (0..steps)
        .map(|step| {
            paths
                .iter()
                .map(|path| score(&grid, &sorted[step], path[step]))
                .collect()
        })
        .collect();
    let together = |one: usize, other: usize| {
        let product =
            |one: &[f64], other: &[f64]| -> f64 { one.iter().zip(other).map(|(a, b)| a * b).sum() };
        let (one, other) = (&scores[one], &scores[other]);
        let size = (product(one, one) * product(other, other)).sqrt();
        // What seems to go against each other does so by chance.
        if size > 0.0 {
            (product(one, other) / size).max(0.0)
        } else {
            // What cannot be otherwise tells nothing of what would follow if it were: it goes on.
            1.0
        }
    };
    let pair = |one: usize, other: usize| match one == other {
        true => 1.0 + 1e-6,
        false => together(one, other),
    };
    let among: Vec<Vec<f64>> = (0..first)
        .map(|one| (0..first).map(|other| pair(one, other)).collect())
        .collect();
    // By how much each later step follows each of those supposed.
    let follows: Vec<Vec<f64>> = (first..steps)
        .map(|step| {
            solve(
                among.clone(),
                (0..first).map(|at| together(step, at)).collect(),
            )
        })
        .collect();
    let goals: Vec<f64> = (0..first)
        .map(|at| score(&grid, &sorted[at], known[at]))
        .collect();
    let is_amount = paths.iter().flatten().all(|x| *x > 0.0) && known.iter().all(|x| *x >= 0.0);
    let beyond = (0..first).map(|at| beyond(&sorted[at], known[at], is_amount));
    let beyond: Vec<f64> = beyond.collect();
    let carried: Vec<f64> = follows
        .iter()
        .map(|follows| follows.iter().zip(&beyond).map(|(a, b)| a * b).sum())
        .collect();
    let path = |at: usize| {
        let later = (first..steps).zip(follows.iter().zip(&carried));
        let later = later.map(|(step, (follows, carried))| {
            let off = goals
                .iter()
                .zip(&scores)
                .zip(follows)
                .map(|((goal, scores), weight)| weight * (goal - scores[at]));
            let value = value(&grid, &sorted[step], scores[step][at] + off.sum::<f64>());
            if is_amount {
                value * (1.0 + carried).max(0.0)
            } else {
                value + carried
            }
        });
        later.collect()
    };
    (0..paths.len()).map(path).collect()
}

/// How far a value lies beyond sorted ones, as a share of the nearest if they are amounts.
fn beyond(sorted: &[f64], value: f64, is_amount: bool) -> f64 {
    let nearest = value.clamp(sorted[0], sorted[sorted.len() - 1]);
    let beyond = value - nearest;
    if is_amount { beyond / nearest } else { beyond }
}

/// The normal deviates of so many values in order.
fn deviates(count: usize) -> Vec<f64> {
    (0..count)
        .map(|at| normal_quantile((at as f64 + 0.5) / count as f64))
        .collect()
}

/// The deviate of a value among sorted ones; that of the middle of equal ones, and of the last one beyond all.
fn score(grid: &[f64], sorted: &[f64], value: f64) -> f64 {
    let below = sorted.partition_point(|one| *one < value);
    let up_to = sorted.partition_point(|one| *one <= value);
    if below < up_to {
        return (grid[below] + grid[up_to - 1]) / 2.0;
    }
    if below == 0 || below == sorted.len() {
        return grid
            .get(below.min(grid.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default();
    }
    let share = (value - sorted[below - 1]) / (sorted[below] - sorted[below - 1]);
    grid[below - 1] + share * (grid[below] - grid[below - 1])
}

/// The value at a deviate.
fn value(grid: &[f64], sorted: &[f64], deviate: f64) -> f64 {
    let at = grid.partition_point(|one| *one < deviate);
    if at == 0 || at == grid.len() {
        return sorted[at.min(sorted.len() - 1)];
    }
    let share = (deviate - grid[at - 1]) / (grid[at] - grid[at - 1]);
    sorted[at - 1] + share * (sorted[at] - sorted[at - 1])
}

/// Solves a small symmetric system by elimination.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for at in 0..size {
        let pivot = matrix[at].clone();
        for below in at + 1..size {
            let factor = matrix[below][at] / pivot[at];
            let row = matrix[below].iter_mut().zip(&pivot);
            row.for_each(|(value, pivot)| *value -= factor * pivot);
            right[below] -= factor * right[at];
        }
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size)
            .map(|column| matrix[at][column] * right[column])
            .sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}

/// The inverse of the normal distribution, to nine digits (Acklam's rational approximation).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.357751867269,
        -30.66479806614716,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -54.47609879822406,
        161.5858368580409,
        -155.6989798598866,
        66.80131188771972,
        -13.28068155288572,
        1.0,
    ];
    const C: [f64; 6] = [
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [
        0.007784695709041462,
        0.3224671290700398,
        2.445134137142996,
        3.754408661907416,
        1.0,
    ];
    const TAIL: f64 = 0.02425;
    let sum = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    if p > 1.0 - TAIL {
        return -normal_quantile(1.0 - p);
    }
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        return sum(&C, q) / sum(&D, q);
    }
    let q = p - 0.5;
    q * sum(&A, q * q) / sum(&B, q * q)
}

#[cfg(test)]
mod tests {
    use super::super::chance::Chance;
    use super::*;

    /// Steps that share a part, and walk.
    fn futures() -> Vec<Vec<f64>> {
        let mut chance = Chance::new(7);
        let path = |_| {
            let (common, mut walk) = (chance.normal(), 0.0);
            let step = |_| {
                walk += 0.5 * chance.normal();
                100.0 + 10.0 * (0.5 * common + walk + 0.5 * chance.normal())
            };
            (0..6).map(step).collect()
        };
        (0..2000).map(path).collect()
    }

    fn mean(paths: &[Vec<f64>], step: usize) -> f64 {
        paths.iter().map(|path| path[step]).sum::<f64>() / paths.len() as f64
    }

    #[test]
    fn deviates_are_normal() {
        for (p, deviate) in [
            (0.5, 0.0),
            (0.975, 1.959964),
            (0.9, 1.281552),
            (0.001, -3.090232),
        ] {
            assert!((normal_quantile(p) - deviate).abs() < 1e-6, "{p}");
        }
    }

    #[test]
    fn the_more_is_supposed_the_more_is_to_come() {
        let paths = futures();
        let mut before = f64::NEG_INFINITY;
        for known in [-1e9, 60.0, 80.0, 90.0, 100.0, 110.0, 120.0, 1e9] {
            let later = supposed(&paths, &[known]);
            assert_eq!((later.len(), later[0].len()), (2000, 5));
            let total: f64 = (0..5).map(|step| mean(&later, step)).sum();
            assert!(total >= before, "{known}: {total} after {before}");
            before = total;
        }
    }

    #[test]
    fn later_steps_move_as_the_normal_distribution_says() {
        let paths = futures();
        // Covariances of the first three steps: shared .25, walked .25 a step, own .25.
        let covariance = |one: usize, other: usize| {
            let walked = 0.25 * (one.min(other) + 1) as f64;
            0.25 + walked + if one == other { 0.25 } else { 0.0 }
        };
        let one = supposed(&paths, &[110.0]);
        let expected = 100.0 + 10.0 * covariance(0, 1) / covariance(0, 0);
        assert!(
            (mean(&one, 0) - expected).abs() < 0.5,
            "{} {expected}",
            mean(&one, 0)
        );
        let spread = one
            .iter()
            .map(|path| (path[0] - mean(&one, 0)).powi(2))
            .sum::<f64>()
            / 2000.0;
        let rest = 100.0 * (covariance(1, 1) - covariance(0, 1).powi(2) / covariance(0, 0));
        assert!((spread / rest - 1.0).abs() < 0.15, "{spread} {rest}");

        let two = supposed(&paths, &[110.0, 90.0]);
        let (a, b, c) = (covariance(0, 0), covariance(0, 1), covariance(1, 1));
        let (x, y) = (covariance(2, 0), covariance(2, 1));
        let size = a * c - b * b;
        let expected = 100.0 + 10.0 * (x * c - y * b) / size - 10.0 * (y * a - x * b) / size;
        assert!(
            (mean(&two, 0) - expected).abs() < 0.7,
            "{} {expected}",
            mean(&two, 0)
        );
    }

    #[test]
    fn what_no_future_had_goes_on() {
        let constant = vec![vec![3.0; 4]; 10];
        let level = |known: &[f64]| supposed(&constant, known)[9][0];
        assert!((level(&[9.0]) - 9.0).abs() < 1e-4);
        assert!((level(&[9.0, 6.0]) - 7.5).abs() < 1e-4);
        assert!(level(&[0.0]).abs() < 1e-4);
        assert!((level(&[-1.0]) + 1.0).abs() < 1e-4);
        let paths = futures();
        let least = |step: usize| paths.iter().map(|path| path[step]).fold(f64::MAX, f64::min);
        let later = supposed(&paths, &[least(0) - 100.0]);
        let fall = least(1) - mean(&later, 0);
        assert!(fall > 30.0 && fall < 100.0, "{fall}");
    }

    #[test]
    fn nothing_supposed_changes_nothing_and_equal_values_stay() {
        let paths = futures();
        assert_eq!(supposed(&paths, &[]), paths);
        let constant = vec![vec![3.0; 4]; 10];
        assert_eq!(supposed(&constant, &[3.0]), vec![vec![3.0; 3]; 10]);
        assert!(supposed(&[], &[1.0]).is_empty());
        assert_eq!(supposed(&constant, &[3.0; 9]), vec![Vec::<f64>::new(); 10]);
    }
}
