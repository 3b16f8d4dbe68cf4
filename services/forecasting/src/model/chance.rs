//! A small deterministic generator: the same seed gives the same forecast on every machine.

use std::f64::consts::TAU;

/// SplitMix64, with normal deviates by Box and Muller.
pub(super) struct Chance {
    state: u64,
    spare: Option<f64>,
    /// Bits not used yet, ten at a time.
    rest: (u64, u32),
}

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance {
            state: seed,
            spare: None,
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

    /// Uniform on (0, 1): never 0, so that its logarithm is finite.
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(super) fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// A number below 1024.
    pub(super) fn ten_bits(&mut self) -> usize {
        if self.rest.1 == 0 {
            self.rest = (self.bits(), 6);
        }
        let (bits, left) = self.rest;
        self.rest = (bits >> 10, left - 1);
        usize::from((bits & 1023) as u16)
    }

    /// One of the values, all equally likely.
    pub(super) fn pick(&mut self, values: &[f64]) -> f64 {
        let length = values.len() as u128;
        // The product's high word is below `length`, so it is an index.
        let index = usize::try_from((u128::from(self.bits()) * length) >> 64).unwrap_or(0);
        values.get(index).copied().unwrap_or(0.0)
    }
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
