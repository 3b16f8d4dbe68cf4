//! `learn forecast TRAIN OUT` forecasts each series of a file; `learn screen REPORTS OUT` judges new values; `learn study TRAIN ORIGINS OUT` writes what `learn.py`
//! learns from.

mod table;

use std::{
    env,
    fs::File,
    io::{BufWriter, Error, Result, Write},
    ops::Range,
    path::Path,
};

use model::{MEMBER_NAMES, Outturn, Rule, Target, anomaly, forecast, outturn, probability, study};
use table::{Question, lines, question, report};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["study", from, origins, to] => study_all(
            Path::new(from),
            origins.parse().map_err(Error::other)?,
            Path::new(to),
        ),
        ["screen", from, to] => screen_all(Path::new(from), Path::new(to)),
        ["forecast", from, to] => forecast_all(Path::new(from), Path::new(to)),
        _ => Err(Error::other(
            "usage: learn forecast TRAIN OUT | screen REPORTS OUT | study TRAIN ORIGINS OUT",
        )),
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

/// Judges whether newly reported values are errors: `series_id,m,start,history,reported`.
fn screen_all(from: &Path, to: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(to)?);
    writeln!(out, "series_id,score,flag")?;
    for line in lines(from)? {
        let (question, reported) = report(&line?)?;
        let Some(series) = question.series(0..question.values.len()) else {
            continue;
        };
        let found = anomaly(&series, reported, 1);
        let flag = u8::from(found.suspicion.is_some());
        writeln!(out, "{},{:.5},{flag}", question.id, found.score)?;
    }
    out.flush()
}

/// Lengths to which histories are cut, so that short ones are learned from, too.
const SHORT: [usize; 8] = [5, 7, 9, 13, 17, 21, 26, 31];

/// Writes what the members say at the end of each history, at earlier origins, and of a short rest of it.
fn study_all(from: &Path, origins: usize, to: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(to)?);
    writeln!(out, "series_id,origin,m,h,n,cut,member,values")?;
    for (index, line) in lines(from)?.enumerate() {
        let question = question(&line?)?;
        let m = question.seasonality.periods();
        for origin in 0..origins {
            let back = origin * question.horizon.div_ceil(2);
            let whole = question.values.len();
            let Some(length) = whole
                .checked_sub(back)
                .filter(|&n| origin == 0 || n >= 2 * m + 5)
            else {
                break;
            };
            study_part(&question, 0..length, origin, &mut out)?;
        }
        if origins > 1 {
            let short = SHORT[index % SHORT.len()];
            let start = question.values.len().saturating_sub(short);
            study_part(&question, start..question.values.len(), 9, &mut out)?;
        }
    }
    out.flush()
}

fn study_part(
    question: &Question,
    part: Range<usize>,
    origin: usize,
    out: &mut impl Write,
) -> Result<()> {
    let Some(series) = question.series(part.clone()) else {
        return Ok(());
    };
    let found = study(&series, question.horizon);
    let rows = MEMBER_NAMES.iter().zip(&found.members);
    for (name, values) in rows.chain(std::iter::once((&"features", &found.features))) {
        let (id, h, m) = (&question.id, question.horizon, series.periods());
        write!(
            out,
            "{id},{origin},{m},{h},{},{},{name},",
            part.end, part.start
        )?;
        for (at, x) in values.iter().enumerate() {
            write!(out, "{}{x:.7e}", if at > 0 { " " } else { "" })?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn answer(question: &Question, out: &mut impl Write) -> Result<()> {
    let Some(series) = question.series(0..question.values.len()) else {
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
        writeln!(
            out,
            "{id},{h},{mean:.8e},{:.8e},{:.8e},{chance}",
            range.low, range.high
        )?;
    }
    Ok(())
}

fn meets(year: &Outturn, target: f64) -> f64 {
    probability(year, Target::AtLeast(target))
}
