//! How far each coming value may lie from its central forecast: a learned scale, and learned quantiles of that scale.

use super::chance::Chance;
use super::learned::{LEVELS, Learned, STEPS};
use super::pool::Interval;

/// Futures come in pairs that mirror each other, so that they agree with the central forecast.
const PAIRS: usize = 1000;

/// The quantile function is kept on a grid of normal deviates from -`REACH` to `REACH`.
const REACH: f64 = 4.0;
const GRID: usize = 65;

/// The largest root of the factor between a value and its central forecast.
const LARGEST_ROOT: f64 = 3.5;

/// The distribution of one coming value.
pub(super) struct Marginal {
    centre: f64,
    /// Whether deviations are factors, whose roots are linear: less skewed than an exponential, and never negative.
    is_factor: bool,
    scale: f64,
    quantiles: [f64; LEVELS.len()],
}

impl Marginal {
    /// The distribution of the value `step` periods after the first forecast one.
    pub(super) fn new(
        learned: &Learned,
        step: usize,
        centre: f64,
        is_factor: bool,
        scale: f64,
    ) -> Marginal {
        let row = STEPS
            .iter()
            .take_while(|&&first| step + 1 >= first)
            .count()
            .max(1)
            - 1;
        Marginal {
            centre,
            is_factor,
            scale,
            quantiles: learned.quantiles[row],
        }
    }

    pub(super) fn centre(&self) -> f64 {
        self.centre
    }

    /// The value at a normal deviate: 0 is the median.
    pub(super) fn at(&self, deviate: f64) -> f64 {
        let place = LEVELS
            .iter()
            .position(|&level| deviate < level)
            .unwrap_or(LEVELS.len());
        let right = place.clamp(1, LEVELS.len() - 1);
        let share = (deviate - LEVELS[right - 1]) / (LEVELS[right] - LEVELS[right - 1]);
        let quantile =
            self.quantiles[right - 1] + share * (self.quantiles[right] - self.quantiles[right - 1]);
        let off = self.scale * quantile;
        if self.is_factor {
            self.centre * (1.0 + off / 2.0).clamp(0.01, LARGEST_ROOT).powi(2)
        } else {
            self.centre + off
        }
    }

    /// The range between two opposite deviates; it always holds the central forecast.
    pub(super) fn interval(&self, deviate: f64) -> Interval {
        Interval {
            low: self.at(-deviate).min(self.centre),
            high: self.at(deviate).max(self.centre),
        }
    }

    fn grid(&self) -> [f64; GRID] {
        std::array::from_fn(|at| self.at(at as f64 * 2.0 * REACH / (GRID - 1) as f64 - REACH))
    }
}

/// Equally likely futures with these marginal distributions. Deviations of neighbouring steps go together: a part that
/// all steps share, a part that walks at random, and a part of each step alone.
pub(super) fn draw(
    marginals: &[Marginal],
    learned: &Learned,
    chance: &mut Chance,
) -> Vec<Vec<f64>> {
    let grids: Vec<[f64; GRID]> = marginals.iter().map(Marginal::grid).collect();
    let (shared, walking) = (learned.shared.sqrt(), learned.walking.sqrt());
    let own = (1.0 - learned.shared - learned.walking).max(0.0).sqrt();
    let walks: Vec<f64> = (1..=marginals.len())
        .map(|h| walking / (h as f64).sqrt())
        .collect();
    let mut paths = Vec::with_capacity(2 * PAIRS);
    for _ in 0..PAIRS {
        // So that a farther horizon leaves nearer steps as they are.
        let mut chance = chance.branch();
        let common = shared * chance.normal();
        let mut walk = 0.0;
        let (mut path, mut mirrored) = (
            Vec::with_capacity(grids.len()),
            Vec::with_capacity(grids.len()),
        );
        for (grid, weight) in grids.iter().zip(&walks) {
            walk += chance.normal();
            let deviate = common + weight * walk + own * chance.normal();
            path.push(interpolate(grid, deviate));
            mirrored.push(interpolate(grid, -deviate));
        }
        paths.push(path);
        paths.push(mirrored);
    }
    paths
}

fn interpolate(grid: &[f64; GRID], deviate: f64) -> f64 {
    let place = (deviate.clamp(-REACH, REACH) + REACH) * ((GRID - 1) as f64 / (2.0 * REACH));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between 0 and the size of the grid"
    )]
    let index = (place as usize).min(GRID - 2);
    grid[index] + (place - index as f64) * (grid[index + 1] - grid[index])
}

#[cfg(test)]
mod tests {
    use super::super::chance::Chance;
    use super::super::learned;
    use super::super::statistics::quantile;
    use super::{Marginal, draw};

    fn marginals() -> Vec<Marginal> {
        (0..12)
            .map(|step| Marginal::new(learned::of(12, 60), step, 100.0, true, 0.1))
            .collect()
    }

    #[test]
    fn paths_agree_with_the_ranges() {
        let marginals = marginals();
        let draws =
            (1..=8).map(|seed| draw(&marginals, learned::of(12, 60), &mut Chance::new(seed)));
        let paths: Vec<Vec<f64>> = draws.flatten().collect();
        for (step, marginal) in marginals.iter().enumerate() {
            let mut values: Vec<f64> = paths.iter().map(|path| path[step]).collect();
            for (deviate, share) in [
                (-1.96, 0.025),
                (-1.2816, 0.1),
                (0.0, 0.5),
                (1.2816, 0.9),
                (1.96, 0.975),
            ] {
                let (found, wanted) = (quantile(&mut values, share), marginal.at(deviate));
                assert!(
                    (found - wanted).abs() < 4.0,
                    "{step} {share}: {found} {wanted}"
                );
            }
        }
    }

    #[test]
    fn neighbours_deviate_together() {
        let paths = draw(&marginals(), learned::of(12, 60), &mut Chance::new(7));
        let count = |a: usize, b: usize| {
            paths
                .iter()
                .filter(|path| (path[a] > 100.0) == (path[b] > 100.0))
                .count()
        };
        assert!(count(10, 11) > 1100, "{}", count(10, 11));
    }

    #[test]
    fn quantiles_rise() {
        for marginal in marginals() {
            let values: Vec<f64> = (-50..=50)
                .map(|at| marginal.at(f64::from(at) / 10.0))
                .collect();
            assert!(values.is_sorted(), "{values:?}");
        }
    }
}
