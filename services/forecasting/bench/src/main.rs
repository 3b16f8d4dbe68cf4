//! The engine beside its peers, as ratios from one run on one thread. `scripts/bench forecasting` runs it:
//! `forecasting-bench PYTHON SCUM.PY [TABLE]`. It starts itself as `one` and `many` to measure processes.

#[cfg(feature = "augurs")]
mod mstl;
mod sample;
mod scum;

use std::{
    env,
    hint::black_box,
    io::{Error, Result},
    path::Path,
    process::Command,
    time::Instant,
};

use cpu_time::ProcessTime;
use model::{Series, forecast, study};
use sample::Sample;

/// Periods ahead.
const HORIZON: usize = 18;
/// The slow peer forecasts only so many of the series.
const FEW: usize = 60;
/// How many are made where no table is given.
const MADE: usize = 300;
/// The series of which memory is measured.
const MANY: usize = 1000;
/// Each is measured so often; the fastest counts, as whatever else runs here only slows.
const ROUNDS: usize = 3;
/// Processes that are started to time one.
const STARTS: usize = 21;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["one"] => forecast_made(1),
        ["many"] => {
            forecast_made(MANY)?;
            println!("{}", peak_memory()?);
            Ok(())
        }
        [python, scum] => compare(&sample::made(MADE), python, scum),
        [python, scum, table] => compare(&sample::read(Path::new(table))?, python, scum),
        _ => Err(Error::other(
            "usage: forecasting-bench PYTHON SCUM.PY [TABLE]",
        )),
    }
}

fn forecast_made(count: usize) -> Result<()> {
    for sample in sample::made(count) {
        forecast(&sample.series()?, HORIZON, 1);
    }
    Ok(())
}

fn compare(all: &[Sample], python: &str, scum: &str) -> Result<()> {
    let few = sample::some(all, FEW);
    let lengths = || all.iter().map(|sample| sample.values.len());
    let (Some(shortest), Some(longest)) = (lengths().min(), lengths().max()) else {
        return Err(Error::other("no series without gaps"));
    };
    println!(
        "{} series of {shortest} to {longest} values, {HORIZON} periods ahead: CPU time of one, on one thread; the last \
         column is how many times faster we are\n",
        all.len(),
    );
    // Everything: ranges and 2,000 futures. The core: what all members and their median say.
    let everything = |series: &Series| drop(black_box(forecast(series, HORIZON, 1)));
    let core = |series: &Series| drop(black_box(study(series, HORIZON)));
    let own = parse(&few)?;
    let peer = scum::time(python, scum, &few, HORIZON)?;
    let name = format!("SCUM, {} of the series", few.len());
    row("everything", measure(&own, everything), &name, peer);
    row("core", measure(&own, core), &name, peer);
    #[cfg(feature = "augurs")]
    {
        let own = parse(all)?;
        let peer = measure(all, |sample| mstl::forecast(sample, HORIZON));
        let name = "augurs, MSTL and AutoETS";
        row("everything", measure(&own, everything), name, peer);
        row("core", measure(&own, core), name, peer);
    }
    println!(
        "\none series by a process of its own: {:.1} ms from start to end",
        start()?
    );
    let memory = Command::new(env::current_exe()?).arg("many").output()?;
    let memory = String::from_utf8_lossy(&memory.stdout);
    match memory.trim().parse::<f64>() {
        Ok(peak) => println!("{MANY} series by one process: {peak:.1} MB at most"),
        Err(_) => println!("{MANY} series by one process: only Linux tells the memory"),
    }
    Ok(())
}

fn parse(samples: &[Sample]) -> Result<Vec<Series>> {
    samples.iter().map(Sample::series).collect()
}

fn row(what: &str, own: f64, peer_name: &str, peer: f64) {
    println!(
        "{what:<12}{own:>8.3} ms   {peer_name:<26}{peer:>9.3} ms   {:>7.2} ×",
        peer / own
    );
}

/// The milliseconds of CPU time that one of these takes.
fn measure<T>(items: &[T], work: impl Fn(&T)) -> f64 {
    let round = || {
        let begun = ProcessTime::now();
        items.iter().for_each(&work);
        begun.elapsed().as_secs_f64() * 1e3 / items.len() as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// The milliseconds from starting a process that forecasts one series to its end, as the median of many.
fn start() -> Result<f64> {
    let program = env::current_exe()?;
    let start = || {
        let begun = Instant::now();
        let status = Command::new(&program).arg("one").status()?;
        let length = begun.elapsed().as_secs_f64() * 1e3;
        status
            .success()
            .then_some(length)
            .ok_or_else(|| Error::other(format!("it failed: {status}")))
    };
    let mut lengths: Vec<f64> = (0..STARTS).map(|_| start()).collect::<Result<_>>()?;
    lengths.sort_by(f64::total_cmp);
    Ok(lengths[STARTS / 2])
}

/// The most memory that this process ever held, in megabytes.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes
        .map(|size| size / 1024.0)
        .ok_or_else(|| Error::other("no VmHWM"))
}
