//! Series as CSV, plain or compressed: `series_id,m,h,start,category,plan_k,plan_target,values`.

use std::{
    fs::File,
    io::{BufRead, BufReader, Error, ErrorKind, Read, Result},
    ops::Range,
    path::Path,
};

use chrono::{Months, NaiveDate};
use flate2::read::MultiGzDecoder;
use model::{Seasonality, Series, holiday_shares, lunar_new_years};

/// Days off work at the Lunar New Year.
const NEW_YEAR_DAYS: usize = 7;

/// What is asked about one series.
pub struct Question {
    pub id: String,
    pub horizon: usize,
    pub seasonality: Seasonality,
    /// The first month, where it is known; then the lunar new year is taken into account.
    pub start: Option<NaiveDate>,
    /// How many of the last values belong to the year of the plan, and its target.
    pub plan: Option<(usize, f64)>,
    pub values: Vec<Option<f64>>,
}

/// The lines of a file after its header; `.gz` is decompressed on the way.
pub fn lines(path: &Path) -> Result<impl Iterator<Item = Result<String>>> {
    let file = File::open(path)?;
    let is_compressed = path.extension().is_some_and(|end| end == "gz");
    let reader: Box<dyn Read> = if is_compressed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    Ok(BufReader::new(reader).lines().skip(1))
}

/// Reads one line.
pub fn question(line: &str) -> Result<Question> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidData, format!("{what} in {line:.80}"));
    let fields: Vec<&str> = line.trim_end().split(',').collect();
    let [id, m, horizon, start, _, plan_k, plan_target, values] = fields[..] else {
        return Err(wrong("not eight fields"));
    };
    let seasonality = match m {
        "12" => Seasonality::Monthly,
        "4" => Seasonality::Quarterly,
        "2" => Seasonality::HalfYearly,
        "1" => Seasonality::Yearly,
        _ => return Err(wrong("unknown m")),
    };
    let plan = plan_k.parse().ok().zip(plan_target.parse().ok());
    Ok(Question {
        id: id.to_owned(),
        horizon: horizon.parse().map_err(|_| wrong("no horizon"))?,
        seasonality,
        start: format!("{start}-01").parse().ok(),
        plan,
        values: values
            .split_ascii_whitespace()
            .map(|text| match text {
                "NA" => Ok(None),
                _ => text.parse().map(Some).map_err(|_| wrong("not a number")),
            })
            .collect::<Result<_>>()?,
    })
}

/// Reads one line of new values to judge.
pub fn report(line: &str) -> Result<(Question, f64)> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidData, format!("{what} in {line:.80}"));
    let fields: Vec<&str> = line.trim_end().split(',').collect();
    let [id, m, start, history, reported] = fields[..] else {
        return Err(wrong("not five fields"));
    };
    let reported = reported.parse().map_err(|_| wrong("not a number"))?;
    let question = question(&format!("{id},{m},1,{start},,,,{history}"))?;
    Ok((question, reported))
}

impl Question {
    /// The series that the model takes, of a part of the values.
    pub fn series(&self, part: Range<usize>) -> Option<Series> {
        let values = self.values.get(part.clone())?;
        let series = Series::new(values, self.seasonality).ok()?;
        let start = self.start.and_then(|start| {
            start.checked_add_months(Months::new(u32::try_from(part.start).ok()?))
        });
        let Some(start) = start else {
            return Some(series);
        };
        let months = values.len() + self.horizon;
        let shares = holiday_shares(&lunar_new_years(), NEW_YEAR_DAYS, start, months);
        Some(series.with_holiday(&shares))
    }
}
