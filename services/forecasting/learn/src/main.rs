//! `learn forecast TRAIN OUT`: forecasts each series of a file.

mod table;

use std::{
    env,
    fs::File,
    io::{BufWriter, Error, Result, Write},
    path::Path,
};

use model::{MEMBER_NAMES, Outturn, study, Rule, Target, forecast, outturn, probability};
use table::{Question, lines, question};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["study", from, origins, to] => study_all(Path::new(from), origins.parse().map_err(Error::other)?, Path::new(to)),
        ["forecast", from, to] => forecast_all(Path::new(from), Path::new(to)),
        _ => Err(Error::other("usage: learn forecast TRAIN OUT")),
    }
}

fn forecast_all(from: &Path, to: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(to)?);
    writeln!(out, "series_id,h,mean,lo95,hi95,prob_meet_plan")?;
    for line in lines(from)? {
        answer(&question(&line?)?, &mut out)?;
    }
    out.flush()
}

/// Writes what the members say at the end of each history and at earlier origins.
fn study_all(from: &Path, origins: usize, to: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(to)?);
    writeln!(out, "series_id,origin,m,h,n,member,values")?;
    for line in lines(from)? {
        let question = question(&line?)?;
        let whole = question.values.len();
        for origin in 0..origins {
            let back = origin * question.horizon.div_ceil(2);
            let Some(length) = whole.checked_sub(back) else { break };
            let m = question.seasonality.periods();
            if origin > 0 && length < 2 * m + 5 {
                break;
            }
            let Some(series) = question.series(length) else { break };
            let found = study(&series, question.horizon);
            let rows = MEMBER_NAMES.iter().zip(&found.members).chain(std::iter::once((&"features", &found.features)));
            for (name, values) in rows {
                let (id, h) = (&question.id, question.horizon);
                write!(out, "{id},{origin},{m},{h},{length},{name},")?;
                for (at, x) in values.iter().enumerate() {
                    write!(out, "{}{x:.7e}", if at > 0 { " " } else { "" })?;
                }
                writeln!(out)?;
            }
        }
    }
    out.flush()
}

fn answer(question: &Question, out: &mut impl Write) -> Result<()> {
    let Some(series) = question.series(question.values.len()) else {
        return Ok(());
    };
    let forecast = forecast(&series, question.horizon, 1);
    let chance = question.plan.and_then(|(known, target)| {
        let observed = &question.values[question.values.len() - known..];
        let year = outturn(Rule::Sum, series.periods(), observed, &forecast.paths).ok()?;
        Some(meets(&year, target))
    });
    let chance = chance.map_or(String::new(), |chance| format!("{chance:.5}"));
    for (step, (mean, range)) in forecast.mean.iter().zip(&forecast.interval95).enumerate() {
        let (id, h) = (&question.id, step + 1);
        writeln!(out, "{id},{h},{mean:.8e},{:.8e},{:.8e},{chance}", range.low, range.high)?;
    }
    Ok(())
}

fn meets(year: &Outturn, target: f64) -> f64 {
    probability(year, Target::AtLeast(target))
}
