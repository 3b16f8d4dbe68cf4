//! The series that are forecast: from a table, or made here.

use std::{
    fs::File,
    io::{BufRead, BufReader, Error, Read, Result},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use model::{Seasonality, Series};

/// A series without gaps, which not every peer can take.
#[derive(Clone)]
pub struct Sample {
    /// Periods in a year.
    pub periods: usize,
    pub values: Vec<f64>,
}

impl Sample {
    pub fn series(&self) -> Result<Series> {
        let values: Vec<Option<f64>> = self.values.iter().copied().map(Some).collect();
        let seasonality = match self.periods {
            12 => Seasonality::Monthly,
            4 => Seasonality::Quarterly,
            2 => Seasonality::HalfYearly,
            _ => Seasonality::Yearly,
        };
        Series::new(&values, seasonality).map_err(|error| Error::other(error.to_string()))
    }
}

/// Of a table for `civicmesh forecast`, the series of more than two years without gaps.
pub fn read(path: &Path) -> Result<Vec<Sample>> {
    let file = File::open(path)?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut lines = BufReader::new(reader).lines();
    let header = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let column = |name: &str| {
        let place = header.split(',').position(|column| column == name);
        place.ok_or_else(|| Error::other(format!("no column {name}")))
    };
    let (periods, values) = (column("m")?, column("values")?);
    let mut samples = Vec::new();
    for line in lines {
        let line = line?;
        let field = |column| line.split(',').nth(column).unwrap_or_default();
        let wrong = |_| Error::other(format!("no m in {line:.80}"));
        let periods = field(periods).parse().map_err(wrong)?;
        let numbers = field(values).split_ascii_whitespace().map(str::parse);
        // A gap is no number.
        let Ok(values) = numbers.collect::<std::result::Result<Vec<f64>, _>>() else {
            continue;
        };
        if values.len() > 2 * periods {
            samples.push(Sample { periods, values });
        }
    }
    Ok(samples)
}

/// Monthly series of three to ten years, always the same: a trend, seasons, and noise of which some stays.
pub fn made(count: usize) -> Vec<Sample> {
    let mut state = 1_u64;
    // Knuth's linear generator: its upper half is random enough for noise.
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as f64 / (1_u64 << 32) as f64
    };
    let mut sample = |at: usize| {
        let (swing, noise) = (0.4 * uniform(), 0.1 * uniform());
        let growth = 0.02 * uniform() - 0.01;
        let seasons: Vec<f64> = (0..12).map(|_| swing * (uniform() - 0.5)).collect();
        let mut level = 5.0;
        let value = |t: usize| {
            level += growth + noise * (uniform() - 0.5);
            (level + seasons[t % 12] + noise * (uniform() - 0.5)).exp()
        };
        Sample {
            periods: 12,
            values: (0..36 + at * 7 % 85).map(value).collect(),
        }
    };
    (0..count).map(&mut sample).collect()
}

/// About so many of them, always the same ones.
pub fn some(samples: &[Sample], count: usize) -> Vec<Sample> {
    let step = samples.len().div_ceil(count).max(1);
    samples.iter().step_by(step).cloned().collect()
}
