//! What would be if the coming figures were as supposed.

use std::collections::{HashMap, HashSet};

use chassis::{Base, Directory, directory::Scope};
use chrono::{DateTime, Utc};
use proto::{
    forecasting::v1 as pb,
    indicators::v1::{Observation, Vintage},
    period::Period,
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{
    assess::{Assessed, Basis, Terms, assess},
    board,
    error::Error,
    judge::decimal,
    load::{self, Key},
    model::places,
};

/// Figures that can be supposed.
const MOST: usize = 24;
/// Units that can be supposed to do otherwise.
const MOST_UNITS: usize = 50;
/// Indicators that can be supposed to do otherwise.
const MOST_DRIVERS: usize = 24;
/// Scenarios that a person keeps of a series at most.
const KEPT: i64 = 20;
/// Scenarios of a series that are listed at most.
const LISTED: i64 = 50;

/// What is supposed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// Coming figures in their order.
    figures: Vec<(Period, String)>,
    /// By how many per cent units below do better than expected.
    moves: Vec<(Uuid, f64)>,
    /// By how many per cent indicators that it is calculated from do better than expected.
    drivers: Vec<(Uuid, f64)>,
}

/// What is supposed, as the contract writes it.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// The periods.
    pub periods: &'a [String],
    /// A value for each.
    pub values: &'a [String],
    /// The units.
    pub moved_unit_ids: &'a [String],
    /// A percentage for each.
    pub moved_percents: &'a [f64],
    /// The indicators.
    pub moved_indicator_ids: &'a [String],
    /// A percentage for each.
    pub moved_indicator_percents: &'a [f64],
}

/// Lends a message's texts.
macro_rules! texts {
    ($message:expr) => {
        $crate::scenario::Texts {
            periods: &$message.periods,
            values: &$message.values,
            moved_unit_ids: &$message.moved_unit_ids,
            moved_percents: &$message.moved_percents,
            moved_indicator_ids: &$message.moved_indicator_ids,
            moved_indicator_percents: &$message.moved_indicator_percents,
        }
    };
}
pub(crate) use texts;

fn invalid(field: &'static str, vi: &'static str, en: &'static str) -> Error {
    Error::Invalid { field, vi, en }
}

/// Reads what is moved by how many per cent.
fn moves(
    (id_field, ids): (&'static str, &[String]),
    (percent_field, percents): (&'static str, &[f64]),
) -> Result<Vec<(Uuid, f64)>, Error> {
    let mut seen = HashSet::new();
    let moves = ids.iter().zip(percents).map(|(id, percent)| {
        if !(-100.0..=1000.0).contains(percent) {
            return Err(invalid(
                percent_field,
                "phải từ -100 đến 1000",
                "must be from -100 to 1,000",
            ));
        }
        let id = Uuid::parse_str(id)
            .map_err(|_| invalid(id_field, "phải là các mã UUID", "must be UUIDs"))?;
        if !seen.insert(id) {
            return Err(invalid(
                id_field,
                "không được lặp lại",
                "must not be repeated",
            ));
        }
        Ok((id, *percent))
    });
    moves.collect()
}

impl Scenario {
    /// Reads what is supposed; `read_value` checks a decimal.
    pub fn read(
        texts: Texts<'_>,
        read_value: impl Fn(&str) -> Result<f64, Error>,
    ) -> Result<Self, Error> {
        let Texts {
            periods,
            values,
            moved_unit_ids,
            moved_percents,
            moved_indicator_ids,
            moved_indicator_percents,
        } = texts;
        if periods.len() > MOST || periods.len() != values.len() {
            return Err(invalid(
                "values",
                "phải có tối đa 24 kỳ, mỗi kỳ một giá trị",
                "must be at most 24, one for each of the periods",
            ));
        }
        if moved_unit_ids.len() > MOST_UNITS || moved_unit_ids.len() != moved_percents.len() {
            return Err(invalid(
                "moved_percents",
                "phải có tối đa 50 đơn vị, mỗi đơn vị một tỷ lệ",
                "must be at most 50, one for each of the units",
            ));
        }
        if moved_indicator_ids.len() > MOST_DRIVERS
            || moved_indicator_ids.len() != moved_indicator_percents.len()
        {
            return Err(invalid(
                "moved_indicator_percents",
                "phải có tối đa 24 chỉ tiêu, mỗi chỉ tiêu một tỷ lệ",
                "must be at most 24, one for each of the indicators",
            ));
        }
        if periods.is_empty() && moved_unit_ids.is_empty() && moved_indicator_ids.is_empty() {
            return Err(invalid(
                "values",
                "phải giả định ít nhất một giá trị, một đơn vị hoặc một chỉ tiêu",
                "must suppose a value, a unit or an indicator at least",
            ));
        }
        let figures = periods.iter().zip(values).map(|(period, value)| {
            let period = period.parse().map_err(|_| {
                invalid(
                    "periods",
                    "phải là các kỳ như 2026-11",
                    "must be periods such as 2026-11",
                )
            })?;
            read_value(value).map_err(|_| {
                invalid(
                    "values",
                    "phải là các số thập phân như 8.03",
                    "must be decimals such as 8.03",
                )
            })?;
            Ok((period, value.clone()))
        });
        let moves = self::moves(
            ("moved_unit_ids", moved_unit_ids),
            ("moved_percents", moved_percents),
        )?;
        let drivers = self::moves(
            ("moved_indicator_ids", moved_indicator_ids),
            ("moved_indicator_percents", moved_indicator_percents),
        )?;
        Ok(Self {
            figures: figures.collect::<Result<_, Error>>()?,
            moves,
            drivers,
        })
    }

    /// Leaves out what is supposed for periods that have been reported since; nothing if that is all.
    fn remaining(mut self, basis: &Basis) -> Option<Self> {
        let last = last(basis);
        self.figures
            .retain(|(period, _)| last.is_none_or(|last| *period > last));
        let is_nothing =
            self.figures.is_empty() && self.moves.is_empty() && self.drivers.is_empty();
        (!is_nothing).then_some(self)
    }

    /// Adds what is supposed to a basis, as if it had been reported; `parts` are the forecasts of the units moved,
    /// `drivers` the indicators that may be moved.
    fn suppose(
        &self,
        basis: &mut Basis,
        parts: &HashMap<Uuid, pb::Forecast>,
        drivers: &HashSet<String>,
    ) -> Result<(), Error> {
        if !basis.parts.is_empty() && !self.figures.is_empty() {
            return Err(invalid(
                "periods",
                "phải để trống vì chỉ tiêu này được tính từ các chỉ tiêu khác, hãy giả định các chỉ tiêu đó",
                "must be empty as this is calculated from other indicators, suppose something of those",
            ));
        }
        for (id, percent) in &self.drivers {
            let id = id.to_string();
            if !drivers.contains(&id) {
                return Err(invalid(
                    "moved_indicator_ids",
                    "phải là các chỉ tiêu mà chỉ tiêu này được tính từ đó",
                    "must be indicators that this one is calculated from",
                ));
            }
            let moved = (basis.parts.iter_mut()).filter(|part| part.basis.indicator.id == id);
            moved.for_each(|part| part.percent = *percent);
        }
        let known = last(basis);
        // It would be reported with no more.
        let seen = basis.history.iter().map(|figure| places(&figure.value));
        let places = seen.max().unwrap_or(0).max(basis.indicator.decimals);
        for (period, value) in &self.figures {
            if last(basis).map(Period::next) != Some(*period) {
                return Err(invalid(
                    "periods",
                    "phải nối tiếp kỳ số liệu cuối cùng, không bỏ kỳ nào",
                    "must follow the last figure one by one",
                ));
            }
            let number: Option<f64> = value.parse().ok();
            let limit = |text: &String| text.parse::<f64>().ok();
            let (low, high) = (
                limit(&basis.indicator.minimum),
                limit(&basis.indicator.maximum),
            );
            if number < low || high.is_some_and(|high| number > Some(high)) {
                return Err(invalid(
                    "values",
                    "phải nằm giữa mức thấp nhất và cao nhất của chỉ tiêu",
                    "must lie between the least and the greatest value of the indicator",
                ));
            }
            let mut figure = Observation {
                period: Some((*period).into()),
                value: number.map_or_else(|| value.clone(), |number| decimal(number, places)),
                ..Default::default()
            };
            figure.set_vintage(Vintage::Estimate);
            basis.history.push(figure);
            basis.supposed += 1;
        }
        let Some(last) = known else {
            return Ok(());
        };
        for (unit, percent) in &self.moves {
            let part = parts.get(unit).ok_or_else(|| {
                invalid(
                    "moved_unit_ids",
                    "phải là các đơn vị có số liệu cộng lại thành chuỗi này",
                    "must be units whose figures add up to this series",
                )
            })?;
            for point in &part.points {
                let ahead = Period::try_from(&point.period).map(|p| p.index() - last.index() - 1);
                let ahead = ahead.ok().and_then(|ahead| usize::try_from(ahead).ok());
                let (Some(ahead), Ok(mean)) = (ahead, point.mean.parse::<f64>()) else {
                    continue;
                };
                if basis.moved.len() <= ahead {
                    basis.moved.resize(ahead + 1, 0.0);
                }
                basis.moved[ahead] += mean * percent / 100.0;
            }
        }
        Ok(())
    }
}

fn last(basis: &Basis) -> Option<Period> {
    let last = basis.history.last()?;
    Period::try_from(&last.period).ok()
}

/// A series within a scope, ready for suppositions.
pub struct Stage {
    basis: Basis,
    terms: Terms,
    parts: HashMap<Uuid, pb::Forecast>,
    /// What it is calculated from, as far as the caller may read it.
    drivers: HashSet<String>,
}

impl Stage {
    /// Loads a series, and the forecasts of the units below it that are moved.
    pub async fn load(
        base: &Base,
        scope: &Scope,
        series: Key,
        scenarios: &[&Scenario],
    ) -> Result<Self, Error> {
        // Known within the scope?
        board::forecast(&base.db, scope, series.0, series.1).await?;
        let found = load::basis(base, series).await;
        let (basis, terms) = found
            .map_err(chassis::internal)?
            .ok_or(Error::NotFound(series.0, series.1))?;
        let units = scenarios
            .iter()
            .flat_map(|one| one.moves.iter().map(|(unit, _)| *unit));
        let units: Vec<Uuid> = units.collect();
        let parts = match units.is_empty() {
            true => HashMap::new(),
            false => board::forecasts_of_parts(&base.db, scope, series, &units).await?,
        };
        let drivers = match basis.parts.is_empty() {
            true => HashSet::new(),
            false => board::drivers(&base.db, scope, series.0, series.1)
                .await?
                .into_keys()
                .collect(),
        };
        Ok(Self {
            basis,
            terms,
            parts,
            drivers,
        })
    }

    /// Assesses the series as if things were as supposed.
    pub fn play(&self, scenario: &Scenario) -> Result<Assessed, Error> {
        let mut basis = self.basis.clone();
        scenario.suppose(&mut basis, &self.parts, &self.drivers)?;
        Ok(assess(&basis, &self.terms))
    }
}

/// A scenario as it is kept.
struct Row {
    id: Uuid,
    name: String,
    principal_id: String,
    create_time: DateTime<Utc>,
    periods: Vec<String>,
    values: Vec<String>,
    moved_unit_ids: Vec<Uuid>,
    moved_percents: Vec<f64>,
    moved_indicator_ids: Vec<Uuid>,
    moved_indicator_percents: Vec<f64>,
}

impl Row {
    fn scenario(&self) -> Scenario {
        let period =
            |(period, value): (&String, &String)| Some((period.parse().ok()?, value.clone()));
        Scenario {
            figures: self
                .periods
                .iter()
                .zip(&self.values)
                .filter_map(period)
                .collect(),
            moves: (self.moved_unit_ids.iter().copied())
                .zip(self.moved_percents.iter().copied())
                .collect(),
            drivers: (self.moved_indicator_ids.iter().copied())
                .zip(self.moved_indicator_percents.iter().copied())
                .collect(),
        }
    }

    /// As it is answered, with what would come of it.
    fn told(self, directory: &Directory, assessment: Option<pb::Assessment>) -> pb::Scenario {
        let keeper = directory.principal(&self.principal_id);
        let texts = |ids: Vec<Uuid>| ids.iter().map(Uuid::to_string).collect();
        pb::Scenario {
            id: self.id.to_string(),
            name: self.name,
            principal_id: self.principal_id,
            principal_name: keeper.map_or_else(String::new, |keeper| keeper.display_name.clone()),
            create_time: Some(chassis::parse::timestamp(self.create_time)),
            periods: self.periods,
            values: self.values,
            moved_unit_ids: texts(self.moved_unit_ids),
            moved_percents: self.moved_percents,
            moved_indicator_ids: texts(self.moved_indicator_ids),
            moved_indicator_percents: self.moved_indicator_percents,
            assessment,
        }
    }
}

/// A scenario's name.
pub fn name(text: &str) -> Result<String, Error> {
    let name = text.trim();
    let is_fit = (1..=100).contains(&name.chars().count()) && !name.contains(char::is_control);
    is_fit.then(|| name.to_owned()).ok_or_else(|| {
        invalid(
            "name",
            "phải có 1 đến 100 ký tự, không có ký tự điều khiển",
            "must have 1 to 100 characters, no control characters",
        )
    })
}

/// Keeps a scenario, and what comes of it now, under a name.
pub async fn keep(
    tx: &mut PgConnection,
    directory: &Directory,
    series: Key,
    principal: &str,
    name: &str,
    (texts, assessment): (Texts<'_>, Option<pb::Assessment>),
) -> Result<pb::Scenario, Error> {
    let read =
        |ids: &[String]| -> Vec<Uuid> { ids.iter().filter_map(|id| id.parse().ok()).collect() };
    let (units, indicators) = (read(texts.moved_unit_ids), read(texts.moved_indicator_ids));
    let row = sqlx::query_as!(
        Row,
        r#"INSERT INTO scenario (id, indicator_id, unit_id, principal_id, name, periods, "values", moved_unit_ids,
            moved_percents, moved_indicator_ids, moved_indicator_percents)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $11, $12 WHERE $10 > (
            SELECT count(*) FROM scenario
            WHERE indicator_id = $2 AND unit_id = $3 AND principal_id = $4 AND name <> $5)
        ON CONFLICT (indicator_id, unit_id, principal_id, name) DO UPDATE SET periods = excluded.periods,
            "values" = excluded."values", moved_unit_ids = excluded.moved_unit_ids,
            moved_percents = excluded.moved_percents, moved_indicator_ids = excluded.moved_indicator_ids,
            moved_indicator_percents = excluded.moved_indicator_percents, create_time = now()
        RETURNING id, name, principal_id, create_time, periods, "values", moved_unit_ids, moved_percents,
            moved_indicator_ids, moved_indicator_percents"#,
        Uuid::now_v7(),
        series.0,
        series.1,
        principal,
        name,
        texts.periods,
        texts.values,
        &units,
        texts.moved_percents,
        KEPT,
        &indicators,
        texts.moved_indicator_percents
    );
    let row = row.fetch_optional(tx).await?;
    let row = row.ok_or(Error::TooManyScenarios)?;
    Ok(row.told(directory, assessment))
}

/// The scenarios of a series, newest first, each with what would come of it.
pub async fn list(base: &Base, scope: &Scope, series: Key) -> Result<Vec<pb::Scenario>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, name, principal_id, create_time, periods, "values", moved_unit_ids, moved_percents,
            moved_indicator_ids, moved_indicator_percents
        FROM scenario
        WHERE indicator_id = $1 AND unit_id = $2 ORDER BY create_time DESC, id DESC LIMIT $3"#,
        series.0,
        series.1,
        LISTED
    );
    let rows = rows.fetch_all(&base.db).await?;
    let scenarios: Vec<Scenario> = rows.iter().map(Row::scenario).collect();
    let stage = Stage::load(base, scope, series, &scenarios.iter().collect::<Vec<_>>()).await?;
    let played = tokio::task::spawn_blocking(move || {
        let play = |scenario: Scenario| {
            let scenario = scenario.remaining(&stage.basis)?;
            stage.play(&scenario).ok()?.item.assessment
        };
        scenarios.into_iter().map(play).collect::<Vec<_>>()
    });
    let played = played.await.map_err(chassis::internal)?;
    let kept = rows.into_iter().zip(played);
    let kept = kept.map(|(row, assessment)| row.told(&base.directory, assessment));
    Ok(kept.collect())
}

/// Deletes a scenario of a person, if it is there; not what others keep.
pub async fn delete(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    id: Uuid,
    principal: &str,
) -> Result<(), Error> {
    let is_of_others = sqlx::query_scalar!(
        r#"WITH gone AS (DELETE FROM scenario WHERE id = $1 AND principal_id = $2)
        SELECT EXISTS (
            SELECT FROM scenario s
            JOIN assessment a ON a.indicator_id = s.indicator_id AND a.unit_id = s.unit_id
            WHERE s.id = $1 AND s.principal_id <> $2
                AND ($3 OR a.unit_id = ANY($4) OR a.responsible_unit_id = ANY($4) OR a.field_code = ANY($5))
        ) AS "is_of_others!""#,
        id,
        principal,
        scope.all,
        &scope.units,
        &scope.fields
    );
    match is_of_others.fetch_one(db).await? {
        true => Err(Error::OthersScenario),
        false => Ok(()),
    }
}
