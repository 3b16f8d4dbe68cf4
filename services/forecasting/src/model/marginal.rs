//! How far each coming value may lie from its central forecast: a learned scale, and learned quantiles of that scale.

use std::sync::LazyLock;

use super::chance::Chance;
use super::learned::{LEVELS, Learned, STEPS};
use super::pool::Interval;

/// Futures come in pairs that mirror each other, so that they agree with the central forecast.
const PAIRS: usize = 1000;

/// The quantile function is kept on a grid of normal deviates from -`REACH` to `REACH`.
const REACH: f64 = 4.0;
const GRID: usize = 65;

/// The largest factor between a value and its central forecast is e to this power.
const LARGEST_FACTOR: f64 = 2.5;

/// The distribution of one coming value.
pub(super) struct Marginal {
    centre: f64,
    /// What a deviation of one means: a factor e for 0, else this much.
    unit: f64,
    scale: f64,
    quantiles: [f64; LEVELS.len()],
}

impl Marginal {
    /// The distribution of the value `step` periods after the first forecast one.
    pub(super) fn new(learned: &Learned, step: usize, centre: f64, unit: f64, scale: f64) -> Marginal {
        let row = STEPS.iter().take_while(|&&first| step + 1 >= first).count().max(1) - 1;
        Marginal { centre, unit, scale, quantiles: learned.quantiles[row] }
    }

    pub(super) fn centre(&self) -> f64 {
        self.centre
    }

    /// The value at a normal deviate: 0 is the median.
    pub(super) fn at(&self, deviate: f64) -> f64 {
        let place = LEVELS.iter().position(|&level| deviate < level).unwrap_or(LEVELS.len());
        let right = place.clamp(1, LEVELS.len() - 1);
        let share = (deviate - LEVELS[right - 1]) / (LEVELS[right] - LEVELS[right - 1]);
        let quantile = self.quantiles[right - 1] + share * (self.quantiles[right] - self.quantiles[right - 1]);
        let off = self.scale * quantile;
        if self.unit == 0.0 {
            self.centre * off.clamp(-2.0 * LARGEST_FACTOR, LARGEST_FACTOR).exp()
        } else {
            self.centre + self.unit * off
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
pub(super) fn draw(marginals: &[Marginal], learned: &Learned, chance: &mut Chance) -> Vec<Vec<f64>> {
    let grids: Vec<[f64; GRID]> = marginals.iter().map(Marginal::grid).collect();
    let (shared, walking) = (learned.shared.sqrt(), learned.walking.sqrt());
    let own = (1.0 - learned.shared - learned.walking).max(0.0).sqrt();
    let walks: Vec<f64> = (1..=marginals.len()).map(|h| walking / (h as f64).sqrt()).collect();
    let mut paths = Vec::with_capacity(2 * PAIRS);
    for _ in 0..PAIRS {
        let common = shared * quick(chance);
        let mut walk = 0.0;
        let (mut path, mut mirrored) = (Vec::with_capacity(grids.len()), Vec::with_capacity(grids.len()));
        for (grid, weight) in grids.iter().zip(&walks) {
            walk += quick(chance);
            let deviate = common + weight * walk + own * quick(chance);
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
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and the size of the grid")]
    let index = (place as usize).min(GRID - 2);
    grid[index] + (place - index as f64) * (grid[index + 1] - grid[index])
}

/// Normal quantiles at the middles of 1024 equal shares: drawing from them is fast, and fine enough.
static NORMAL: LazyLock<[f64; 1024]> =
    LazyLock::new(|| std::array::from_fn(|at| normal_quantile((at as f64 + 0.5) / 1024.0)));

fn quick(chance: &mut Chance) -> f64 {
    NORMAL[chance.ten_bits()]
}

/// The normal quantile function, by bisection: it is asked a thousand times once.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_share(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The share of a normal distribution below a deviate, by its series (Marsaglia, 2004).
fn normal_share(deviate: f64) -> f64 {
    let (mut sum, mut term, mut at) = (deviate, deviate, 1.0);
    while sum + term != sum {
        at += 2.0;
        term *= deviate * deviate / at;
        sum += term;
    }
    0.5 + sum * (-0.5 * deviate * deviate - 0.918_938_533_204_672_8).exp()
}
