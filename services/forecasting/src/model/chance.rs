//! A small deterministic generator: the same seed gives the same forecast on every run and any number of threads.

use std::sync::LazyLock;

/// SplitMix64.
pub(super) struct Chance {
    state: u64,
    /// Bits not used yet, and how many tens of them.
    rest: (u64, u32),
}

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance {
            state: seed,
            rest: (0, 0),
        }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A generator of its own: however much is drawn from it, this one goes on alike.
    pub(super) fn branch(&mut self) -> Chance {
        Chance::new(self.bits())
    }

    /// Uniform on (0, 1): never 0, so that its logarithm is finite.
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// A normal deviate, of 1024 equally likely ones: drawing from them is fast, and fine enough.
    pub(super) fn normal(&mut self) -> f64 {
        NORMAL[self.ten_bits()]
    }

    /// A number below 1024.
    fn ten_bits(&mut self) -> usize {
        if self.rest.1 == 0 {
            self.rest = (self.bits(), 6);
        }
        let (bits, left) = self.rest;
        self.rest = (bits >> 10, left - 1);
        usize::try_from(bits & 1023).unwrap_or(0)
    }

    /// One of the values, all equally likely.
    pub(super) fn pick(&mut self, values: &[f64]) -> f64 {
        let length = values.len() as u128;
        // The product's high word is below `length`, so it is an index.
        let index = usize::try_from((u128::from(self.bits()) * length) >> 64).unwrap_or(0);
        values.get(index).copied().unwrap_or(0.0)
    }
}

/// Normal quantiles at the middles of 1024 equal shares.
static NORMAL: LazyLock<[f64; 1024]> =
    LazyLock::new(|| std::array::from_fn(|at| normal_quantile((at as f64 + 0.5) / 1024.0)));

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

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn normal_deviates_have_mean_zero_and_variance_one() {
        let mut chance = Chance::new(1);
        let draws: Vec<f64> = (0..100_000).map(|_| chance.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn every_value_is_picked() {
        let mut chance = Chance::new(2);
        let mut seen = [0; 3];
        for _ in 0..300 {
            match chance.pick(&[0.0, 1.0, 2.0]) {
                0.0 => seen[0] += 1,
                1.0 => seen[1] += 1,
                _ => seen[2] += 1,
            }
        }
        assert!(seen.iter().all(|&n| n > 60), "{seen:?}");
    }
}
