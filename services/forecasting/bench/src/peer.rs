//! What others make of the same series.

use std::{
    hint::black_box,
    io::{Error, Result, Write},
    process::{Command, Stdio},
};

use augurs::{Fit, Predict, ets::AutoETS, mstl::MSTLModel};

use crate::sample::Sample;

/// In Rust: seasons by loess, the rest by exponential smoothing. Yearly series have no seasons to find.
pub fn augurs(sample: &Sample, horizon: usize) {
    let smoothing = AutoETS::non_seasonal();
    let forecast = if sample.periods > 1 {
        let model = MSTLModel::new(vec![sample.periods], smoothing.into_trend_model());
        model
            .fit(&sample.values)
            .and_then(|fit| fit.predict(horizon, None))
            .ok()
    } else {
        smoothing
            .fit(&sample.values)
            .and_then(|fit| fit.predict(horizon, None))
            .ok()
    };
    black_box(forecast);
}

/// In Python: the median of four univariate models. The milliseconds of CPU time that one series takes.
pub fn scum(python: &str, script: &str, samples: &[Sample], horizon: usize) -> Result<f64> {
    let mut child = Command::new(python)
        .args([script, &horizon.to_string()])
        // One thread, as for the others.
        .env("OMP_NUM_THREADS", "1")
        .env("OPENBLAS_NUM_THREADS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or_else(|| Error::other("no input"))?;
    for sample in samples {
        write!(input, "{}", sample.periods)?;
        for value in &sample.values {
            write!(input, " {value}")?;
        }
        writeln!(input)?;
    }
    drop(input);
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| Error::other(format!("{script}: {} {text}", output.status)))
}
