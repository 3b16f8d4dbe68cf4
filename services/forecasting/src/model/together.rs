//! Futures of several series, joined as their pasts went together.
//!
//! Each series has futures of its own, drawn without regard to the others. Which of them belong together is drawn from a
//! normal copula with the correlations of the changes over a year so far: each series keeps its futures as they are, only
//! their order differs (the idea of the Schaake shuffle, Clark et al. 2004).

use super::chance::Chance;

/// Common changes that count as much as the assumption that series have nothing in common.
const DOUBT: f64 = 12.0;

/// For each series the futures that belong together, in order: of each as many as of the one that has the most, those of
/// others repeated. `pasts` hold the values of the same periods, `season` periods a year. Futures are ordered by their
/// first year, so that a farther horizon leaves nearer periods as they are.
pub fn together(
    pasts: &[Vec<Option<f64>>],
    season: usize,
    futures: &[&[Vec<f64>]],
    seed: u64,
) -> Vec<Vec<usize>> {
    let most = futures.iter().map(|futures| futures.len()).max();
    let least = futures.iter().map(|futures| futures.len()).min();
    let count = most.filter(|_| least > Some(0)).unwrap_or(0);
    if futures.len() < 2 {
        return futures.iter().map(|_| (0..count).collect()).collect();
    }
    let root = root(&correlations(pasts, season));
    let mut chance = Chance::new(seed);
    let mut deviates = vec![Vec::with_capacity(count); futures.len()];
    for _ in 0..count {
        let own: Vec<f64> = futures.iter().map(|_| chance.normal()).collect();
        for (row, deviates) in root.iter().zip(&mut deviates) {
            deviates.push(row.iter().zip(&own).map(|(weight, x)| weight * x).sum());
        }
    }
    let order = |(futures, deviates): (&&[Vec<f64>], Vec<f64>)| {
        let sums = (0..count).map(|at| futures[at % futures.len()].iter().take(season).sum());
        let by_sum = sorted(&sums.collect::<Vec<f64>>());
        let mut order = vec![0; count];
        for (place, at) in by_sum.into_iter().zip(sorted(&deviates)) {
            order[at] = place % futures.len();
        }
        order
    };
    futures.iter().zip(deviates).map(order).collect()
}

/// The places of values, of the smallest first.
fn sorted(values: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    places
}

/// Rank correlations of the changes over a year, drawn towards none the fewer changes all have in common.
fn correlations(pasts: &[Vec<Option<f64>>], season: usize) -> Vec<Vec<f64>> {
    let length = pasts.iter().map(Vec::len).min().unwrap_or(0);
    let common = (season..length).filter_map(|at| {
        let changes = pasts
            .iter()
            .map(|past| Some(past[at]? - past[at - season]?));
        changes.collect::<Option<Vec<f64>>>()
    });
    let common: Vec<Vec<f64>> = common.collect();
    let count = common.len() as f64;
    let ranks: Vec<Vec<f64>> = (0..pasts.len())
        .map(|series| {
            let changes: Vec<f64> = common.iter().map(|changes| changes[series]).collect();
            let mut ranks = vec![0.0; changes.len()];
            for (rank, at) in sorted(&changes).into_iter().enumerate() {
                ranks[at] = rank as f64 - (count - 1.0) / 2.0;
            }
            ranks
        })
        .collect();
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum();
    let weight = count / (count + DOUBT);
    let correlation = |one: usize, other: usize| {
        let variance: f64 = product(&ranks[one], &ranks[one]);
        match one == other {
            true => 1.0,
            false if variance > 0.0 => weight * product(&ranks[one], &ranks[other]) / variance,
            false => 0.0,
        }
    };
    (0..pasts.len())
        .map(|one| {
            (0..pasts.len())
                .map(|other| correlation(one, other))
                .collect()
        })
        .collect()
}

/// The lower triangular root of a matrix of correlations (Cholesky).
fn root(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut root: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    for (at, row) in matrix.iter().enumerate() {
        let mut own: Vec<f64> = Vec::with_capacity(at + 1);
        for (other, above) in root.iter().enumerate() {
            let known: f64 = own.iter().zip(above).map(|(a, b)| a * b).sum();
            own.push((row[other] - known) / above[other]);
        }
        let rest = 1.0 - own.iter().map(|x| x * x).sum::<f64>();
        own.push(rest.max(1e-12).sqrt());
        root.push(own);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(sign: f64) -> Vec<Option<f64>> {
        let value = |at: i32| Some(sign * f64::from(at * at % 17) + f64::from(at % 4));
        (0..80).map(value).collect()
    }

    fn futures() -> Vec<Vec<f64>> {
        let mut chance = Chance::new(3);
        (0..400).map(|_| vec![chance.normal(); 2]).collect()
    }

    fn correlation(order: &[Vec<usize>], futures: &[Vec<f64>]) -> f64 {
        let product = |a: usize, b: usize| futures[a][0] * futures[b][0];
        let both = order[0].iter().zip(&order[1]);
        both.map(|(a, b)| product(*a, *b)).sum::<f64>() / 400.0
    }

    #[test]
    fn futures_go_together_as_the_pasts_did() {
        let own = futures();
        for (sign, low, high) in [(1.0, 0.75, 0.95), (-1.0, -0.95, -0.75)] {
            let order = together(&[past(1.0), past(sign)], 4, &[&own, &own], 1);
            let found = correlation(&order, &own);
            assert!((low..high).contains(&found), "{found}");
            for order in order {
                let mut all = order;
                all.sort_unstable();
                assert!(all.into_iter().eq(0..400), "each future once");
            }
        }
    }

    #[test]
    fn a_farther_horizon_changes_nothing_before() {
        let mut chance = Chance::new(4);
        let long: Vec<Vec<f64>> = (0..200)
            .map(|_| (0..8).map(|_| chance.normal()).collect())
            .collect();
        let short: Vec<Vec<f64>> = long.iter().map(|path| path[..4].to_vec()).collect();
        let order =
            |futures: &[Vec<f64>]| together(&[past(1.0), past(-1.0)], 4, &[futures, futures], 1);
        assert_eq!(order(&short), order(&long));
    }

    #[test]
    fn little_in_common_says_little() {
        let own = futures();
        let short = [past(1.0)[..6].to_vec(), past(1.0)[..6].to_vec()];
        let found = correlation(&together(&short, 4, &[&own, &own], 1), &own);
        assert!(found.abs() < 0.3, "{found}");
        let still = [vec![Some(1.0); 40], past(1.0)[..40].to_vec()];
        let found = correlation(&together(&still, 4, &[&own, &own], 1), &own);
        assert!(found.abs() < 0.15, "{found}");
    }

    #[test]
    fn one_series_keeps_its_order() {
        assert_eq!(
            together(&[past(1.0)], 4, &[&futures()[..3]], 1),
            [[0, 1, 2]]
        );
        assert!(together(&[], 4, &[], 1).is_empty());
    }
}
