//! A simple combination of univariate models (Petropoulos and Svetunkov, 2020), by statsforecast in Python.

use std::{
    io::{Error, Result, Write},
    process::{Command, Stdio},
};

use crate::sample::Sample;

/// The milliseconds of CPU time that one of these series takes.
pub fn time(python: &str, script: &str, samples: &[Sample], horizon: usize) -> Result<f64> {
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
