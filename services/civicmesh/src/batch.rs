//! `forecast` and `screen`: the forecasting engine on tables of series, without database and mesh. One line is read,
//! answered and written at a time.

use std::{
    collections::HashSet,
    fmt,
    fs::{self, File, Permissions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use chrono::NaiveDate;
use clap::Args;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use forecasting::model::{self, Rule, Seasonality, Series, Target};
use serde::{Deserialize, de::DeserializeOwned};
use tempfile::NamedTempFile;

/// Days off work at the Lunar New Year.
const NEW_YEAR_DAYS: usize = 7;
/// Periods ahead that can be asked for.
const FARTHEST: usize = 120;
/// The same for every series and run, so that the same table gives the same answers.
const SEED: u64 = 1;

/// Which tables.
#[derive(Args, Debug)]
pub struct Tables {
    /// The CSV file to read, plain or gzip
    #[arg(long)]
    input: PathBuf,
    /// The CSV file to write once all is answered; gzip if its name ends in .gz
    #[arg(long)]
    output: PathBuf,
}

/// A series to be forecast, as a line of the table.
#[derive(Deserialize)]
struct Question {
    series_id: String,
    /// Periods in a year.
    m: usize,
    /// Periods to forecast.
    h: usize,
    /// The first month, "2020-08", where it is known.
    start: Option<String>,
    /// How many of the last values belong to the year of the plan.
    plan_k: Option<usize>,
    /// What that year's sum must reach.
    plan_target: Option<f64>,
    /// Oldest first, "NA" where nothing was reported.
    values: String,
}

/// A newly reported value to be screened.
#[derive(Deserialize)]
struct Report {
    series_id: String,
    m: usize,
    start: Option<String>,
    history: String,
    reported: f64,
}

/// Forecasts each series: `series_id,m,h,start,plan_k,plan_target,values` in, `series_id,h,mean,lo95,hi95,
/// prob_meet_plan` out.
pub fn forecast(tables: &Tables) -> anyhow::Result<()> {
    let header = "series_id,h,mean,lo95,hi95,prob_meet_plan";
    let columns = ["series_id", "m", "h", "values"];
    let mut known = HashSet::new();
    each(tables, &columns, header, |question: Question, out| {
        let id = &question.series_id;
        ensure!(!id.trim().is_empty(), "series_id: must not be empty");
        ensure!(known.insert(id.clone()), "series_id: {id} is there before");
        let values = values(&question.values)?;
        ensure!(
            (1..=FARTHEST).contains(&question.h),
            "h: must be 1 to {FARTHEST}"
        );
        // The plan's year may end beyond what is asked for.
        let rest = question
            .m
            .saturating_sub(question.plan_k.unwrap_or(question.m));
        let horizon = question.h.max(rest);
        let series = series(&values, question.m, question.start.as_deref(), horizon)?;
        let forecast = model::forecast(&series, horizon, SEED);
        let chance = match (question.plan_k, question.plan_target) {
            (Some(known), Some(target)) => {
                ensure!(
                    known <= values.len().min(question.m),
                    "plan_k: must be at most m and the number of values"
                );
                ensure!(target.is_finite(), "plan_target: must be a number");
                let observed = &values[values.len() - known..];
                let year = model::outturn(Rule::Sum, question.m, observed, &forecast.paths).ok();
                let words = question.values.split_ascii_whitespace();
                let places = words.map(model::places).max().unwrap_or_default();
                year.map(|year| model::probability(&year.rounded(places), Target::AtLeast(target)))
            }
            _ => None,
        };
        let chance = chance.map_or_else(String::new, |chance| format!("{chance:.5}"));
        let points = (1..=question.h).zip(forecast.mean.iter().zip(&forecast.interval95));
        for (step, (mean, range)) in points {
            let fields = [
                &question.series_id,
                &format!("{step}"),
                &format!("{mean:.8e}"),
                &format!("{:.8e}", range.low),
                &format!("{:.8e}", range.high),
                &chance,
            ];
            out.write_record(fields)?;
        }
        Ok(())
    })
}

/// Screens each newly reported value: `series_id,m,start,history,reported` in, `series_id,score,flag,suspicion,expected,
/// suggested` out.
pub fn screen(tables: &Tables) -> anyhow::Result<()> {
    let header = "series_id,score,flag,suspicion,expected,suggested";
    let columns = ["series_id", "m", "history", "reported"];
    each(tables, &columns, header, |report: Report, out| {
        let id = &report.series_id;
        ensure!(!id.trim().is_empty(), "series_id: must not be empty");
        ensure!(report.reported.is_finite(), "reported: must be a number");
        let history = values(&report.history)?;
        let series = series(&history, report.m, report.start.as_deref(), 1)?;
        let found = model::anomaly(&series, report.reported, SEED);
        let fields = [
            &report.series_id,
            &format!("{:.6}", found.score),
            &u8::from(found.suspicion.is_some()).to_string(),
            &found
                .suspicion
                .map(|suspicion| suspicion.to_string())
                .unwrap_or_default(),
            &format!("{:.8e}", found.expected),
            &found
                .suggested
                .map(|meant| meant.to_string())
                .unwrap_or_default(),
        ];
        out.write_record(fields)?;
        Ok(())
    })
}

type Writer = csv::Writer<Sink>;

/// A file as answers are written to it.
enum Sink {
    Plain(File),
    Packed(GzEncoder<File>),
}

impl Sink {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Packed(packed) => packed.finish().map(drop),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Packed(packed) => packed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Packed(packed) => packed.flush(),
        }
    }
}

/// Answers the lines of a table one by one. What is wrong is told with its line and column, and nothing is written then.
fn each<T: DeserializeOwned>(
    tables: &Tables,
    columns: &[&str],
    header: &str,
    mut answer: impl FnMut(T, &mut Writer) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let input = tables.input.display();
    let mut reader = csv::Reader::from_reader(open(&tables.input)?);
    let found = reader.headers().with_context(|| input.to_string())?.clone();
    for column in columns {
        let all = columns.join(",");
        ensure!(
            found.iter().any(|one| one == *column),
            "{input}, line 1: the column {column} is missing; the first line must name {all}, with commas between"
        );
    }
    let output = Output::new(tables)?;
    let mut out = csv::Writer::from_writer(output.sink()?);
    out.write_record(header.split(','))?;
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        if !reader
            .read_record(&mut record)
            .with_context(|| input.to_string())?
        {
            break;
        }
        let place = || format!("{input}, line {line}");
        let row = record.deserialize(Some(&found));
        let row = row
            .map_err(|error| in_words(&error, &found))
            .with_context(place)?;
        answer(row, &mut out).with_context(place)?;
    }
    let sink = out.into_inner().map_err(|error| error.into_error());
    let finished = sink.and_then(Sink::finish);
    finished.with_context(|| output.to_string())?;
    output.keep()
}

/// What is wrong with a line, by the name of its column.
fn in_words(error: &csv::Error, columns: &csv::StringRecord) -> anyhow::Error {
    if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
        let column = err
            .field()
            .and_then(|at| columns.get(usize::try_from(at).ok()?));
        return anyhow::anyhow!("{}: {}", column.unwrap_or("the line"), err.kind());
    }
    anyhow::anyhow!("{error}")
}

/// Where answers go: a file that takes its place when it is whole, or a pipe or device as it is.
struct Output {
    path: PathBuf,
    /// With the place it takes.
    whole: Option<(NamedTempFile, PathBuf)>,
}

impl Output {
    fn new(tables: &Tables) -> anyhow::Result<Self> {
        let path = tables.output.clone();
        let known = path.canonicalize().ok();
        ensure!(
            known.is_none() || known != tables.input.canonicalize().ok(),
            "--output {}: must be another file than --input",
            path.display()
        );
        // Asked of what a link leads to: also of a pipe, which has no path.
        let is_file = fs::metadata(&path).map_or(true, |known| known.is_file());
        let whole = is_file.then(|| {
            let place = known.unwrap_or_else(|| path.clone());
            let folder = place.parent().filter(|one| !one.as_os_str().is_empty());
            // As readable as any new file, not as private as a temporary one.
            let file = tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(folder.unwrap_or(Path::new(".")))?;
            io::Result::Ok((file, place))
        });
        let whole = whole.transpose();
        Ok(Self {
            whole: whole.with_context(|| format!("--output {}", path.display()))?,
            path,
        })
    }

    fn sink(&self) -> anyhow::Result<Sink> {
        let file = match &self.whole {
            Some((whole, _)) => whole.reopen(),
            None => File::create(&self.path),
        };
        let file = file.with_context(|| self.to_string())?;
        Ok(match self.path.extension() {
            Some(extension) if extension == "gz" => {
                Sink::Packed(GzEncoder::new(file, Compression::default()))
            }
            _ => Sink::Plain(file),
        })
    }

    fn keep(self) -> anyhow::Result<()> {
        let told = self.to_string();
        if let Some((whole, place)) = self.whole {
            whole.persist(place).context(told)?;
        }
        Ok(())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--output {}", self.path.display())
    }
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let place = || format!("--input {}", path.display());
    let mut file = BufReader::new(File::open(path).with_context(place)?);
    let is_packed = file
        .fill_buf()
        .with_context(place)?
        .starts_with(&[0x1f, 0x8b]);
    Ok(match is_packed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    })
}

fn values(text: &str) -> anyhow::Result<Vec<Option<f64>>> {
    let read = |word: &str| match word {
        "NA" => Ok(None),
        word => {
            let value: f64 = word
                .parse()
                .with_context(|| format!("{word:?} is neither a number such as 12.5 nor NA"))?;
            ensure!(
                value.is_finite(),
                "{word:?} is no number; write NA for what was not reported"
            );
            Ok(Some(value))
        }
    };
    text.split_ascii_whitespace().map(read).collect()
}

fn series(
    values: &[Option<f64>],
    m: usize,
    start: Option<&str>,
    horizon: usize,
) -> anyhow::Result<Series> {
    let seasonality = match m {
        12 => Seasonality::Monthly,
        4 => Seasonality::Quarterly,
        2 => Seasonality::HalfYearly,
        1 => Seasonality::Yearly,
        _ => bail!("m: must be 12, 4, 2 or 1"),
    };
    let series =
        Series::new(values, seasonality).map_err(|error| anyhow::anyhow!("values: {error}"))?;
    let Some(start) = start.filter(|_| m == 12) else {
        return Ok(series);
    };
    let first = NaiveDate::parse_from_str(&format!("{start}-01"), "%Y-%m-%d")
        .with_context(|| format!("start: {start:?} is no month such as 2020-08"))?;
    let months = values.len() + horizon;
    let shares = model::holiday_shares(&model::lunar_new_years(), NEW_YEAR_DAYS, first, months);
    Ok(series.with_holiday(&shares))
}

#[cfg(test)]
mod tests {
    use std::os::{fd::AsRawFd, unix::fs::symlink};

    use super::*;

    fn run(
        work: fn(&Tables) -> anyhow::Result<()>,
        name: &str,
        input: &str,
    ) -> anyhow::Result<String> {
        let folder = tempfile::tempdir()?;
        let tables = Tables {
            input: folder.path().join(name),
            output: folder.path().join("out.csv"),
        };
        let content = if name.ends_with(".gz") {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(input.as_bytes())?;
            packed.finish()?
        } else {
            input.as_bytes().to_vec()
        };
        std::fs::write(&tables.input, content)?;
        work(&tables)?;
        Ok(std::fs::read_to_string(&tables.output)?)
    }

    #[test]
    fn each_series_is_answered_from_plain_and_compressed_tables() {
        let months: Vec<String> = (0..40).map(|at| (100 + at % 12).to_string()).collect();
        let input = format!(
            "series_id,m,h,start,category,plan_k,plan_target,values\n\
             a,12,3,2020-08,CPI,6,1200,{0}\n\"b,2\",4,2,,,,,1 NA 3 4 2 5 6 5\n",
            months.join(" ")
        );
        let answer = run(forecast, "in.csv", &input).unwrap();
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!(lines[0], "series_id,h,mean,lo95,hi95,prob_meet_plan");
        assert_eq!(lines.len(), 1 + 3 + 2);
        assert!(lines[1].starts_with("a,1,") && lines[5].starts_with("\"b,2\",2,"));
        let chance: f64 = lines[1].rsplit(',').next().unwrap().parse().unwrap();
        assert!(chance > 0.9, "{chance}");
        assert!(lines[4].ends_with(','), "no plan, no probability");
        assert_eq!(run(forecast, "in.csv.gz", &input).unwrap(), answer);
    }

    #[test]
    fn plans_are_held_against_what_will_be_reported() {
        let sevens = ["7"; 36].join(" ");
        let dimes = ["0.1"; 36].join(" ");
        let head = "series_id,m,h,plan_k,plan_target,values";
        let input =
            format!("{head}\na,12,1,6,84,{sevens}\nb,12,1,6,84.1,{sevens}\nc,12,1,6,1.2,{dimes}\n");
        let answer = run(forecast, "in.csv", &input).unwrap();
        let chance = |line: &str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
        let chances: Vec<f64> = answer.lines().skip(1).map(chance).collect();
        assert!(
            chances[0] > 0.99 && chances[1] < 0.01 && chances[2] > 0.99,
            "{chances:?}"
        );
    }

    #[test]
    fn a_value_in_another_unit_is_flagged() {
        let history: Vec<String> = (0..48).map(|at| (100 + at * 7 % 11).to_string()).collect();
        let history = history.join(" ");
        let input = format!(
            "series_id,m,start,history,reported\nx,12,,{history},104\ny,12,,{history},104000\n"
        );
        let answer = run(screen, "in.csv", &input).unwrap();
        let lines: Vec<Vec<&str>> = answer
            .lines()
            .map(|line| line.split(',').collect())
            .collect();
        assert_eq!(lines[1][2..4], ["0", ""]);
        assert_eq!(lines[2][2..4], ["1", "FACTOR_OF_1000"]);
        assert_eq!(lines[2][5], "104");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let head = "series_id,m,h,start,category,plan_k,plan_target,values\n";
        for (line, told) in [
            (
                "a,12,3,,,,,1 2 x",
                "\"x\" is neither a number such as 12.5 nor NA",
            ),
            ("a,12,3,,,,,1 2 NaN", "write NA for what was not reported"),
            ("a,5,3,,,,,1 2 3", "m: must be 12, 4, 2 or 1"),
            ("a,12,0,,,,,1 2 3", "h: must be 1 to 120"),
            ("a,12,3,2020-13,,,,1 2 3", "is no month"),
            ("a,12,3,,,9,5,1 2 3", "plan_k: must be at most"),
            ("a,12,3,,,2,inf,1 2 3", "plan_target: must be a number"),
            ("a,many,3,,,,,1 2 3", "m: invalid digit"),
            (",12,3,,,,,1 2 3", "series_id: must not be empty"),
            ("ok,12,3,,,,,1 2 3", "series_id: ok is there before"),
            ("a,12", "found record with 2 fields"),
        ] {
            let good = "ok,1,1,,,,,1 2 3 4 5\n";
            let error = run(forecast, "in.csv", &format!("{head}{good}{line}\n")).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(told), "{error}");
            assert!(error.contains("line 3") || line == "a,12", "{error}");
        }
    }

    #[test]
    fn nothing_half_done_is_left_and_no_input_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let good = "series_id,m,h,values\na,12,2,1 2 3 4 5 6\n";
        let tables = |input: &str, output: &str| Tables {
            input: path(input),
            output: path(output),
        };
        let told = |tables: Tables| format!("{:#}", forecast(&tables).unwrap_err());
        std::fs::write(path("good.csv"), good).unwrap();
        std::fs::write(path("bad.csv"), format!("{good}b,12,2,NA\n")).unwrap();
        std::fs::write(path("empty.csv"), "").unwrap();
        std::fs::write(path("semicolons.csv"), good.replace(',', ";")).unwrap();
        std::fs::write(path("out.csv"), "as before").unwrap();

        assert!(told(tables("good.csv", "good.csv")).contains("another file"));
        assert_eq!(std::fs::read_to_string(path("good.csv")).unwrap(), good);
        assert!(told(tables("bad.csv", "out.csv")).contains("line 3"));
        for wrong in ["empty.csv", "semicolons.csv"] {
            let told = told(tables(wrong, "out.csv"));
            assert!(told.contains("the column series_id is missing"), "{told}");
        }
        assert_eq!(
            std::fs::read_to_string(path("out.csv")).unwrap(),
            "as before"
        );
        let count = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count, 5, "no temporary file is left");

        forecast(&tables("good.csv", "out.csv.gz")).unwrap();
        std::fs::rename(path("out.csv.gz"), path("packed")).unwrap();
        let mut text = String::new();
        open(&path("packed"))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text.lines().count(), 3);
        let device = Tables {
            input: path("good.csv"),
            output: "/dev/null".into(),
        };
        forecast(&device).unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn links_stay_and_lead_to_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("in.csv"), "series_id,m,h,values\na,12,2,1 2 3 4 5 6\n").unwrap();
        let answer = |output: &str| {
            forecast(&Tables {
                input: path("in.csv"),
                output: path(output),
            })
            .unwrap();
            assert!(path(output).is_symlink());
        };
        fs::write(path("out.csv"), "as before").unwrap();
        symlink("out.csv", path("file")).unwrap();
        answer("file");
        let text = fs::read_to_string(path("out.csv")).unwrap();
        assert_eq!(text.lines().count(), 3);

        let (mut reader, writer) = io::pipe().unwrap();
        let place = format!("/proc/self/fd/{}", writer.as_raw_fd());
        symlink(place, path("pipe")).unwrap();
        answer("pipe");
        drop(writer);
        let mut piped = String::new();
        reader.read_to_string(&mut piped).unwrap();
        assert_eq!(piped, text);
    }
}
