//! Indicators of the catalogue, each with its versions.

use std::collections::HashSet;

use chassis::Directory;
use proto::{
    calendar::v1::Frequency,
    identity::v1::UnitKind,
    indicators::v1 as pb,
    period::{Period, per_year},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use crate::{
    duty,
    error::Error,
    formula::{self, Formula},
    measure,
    number::{english, vietnamese},
    parse::{self, name},
};

/// An indicator as it is now. Enums are the names of the contract.
#[derive(Clone, Debug, Serialize)]
pub struct Indicator {
    /// Its id.
    pub id: Uuid,
    /// Its unique code.
    pub code: String,
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// The field it belongs to.
    pub field_code: String,
    /// The field's name in Vietnamese.
    pub field_vi: String,
    /// The field's name in English.
    pub field_en: String,
    /// Unit of measure in Vietnamese.
    pub measure_vi: String,
    /// Unit of measure as a code.
    pub measure_code: String,
    /// How often it is reported.
    pub frequency: String,
    /// Which way is better.
    pub direction: String,
    /// How units add up.
    pub aggregation: String,
    /// What weights a weighted mean.
    pub weight: String,
    /// What the year's figure is.
    pub year_rule: String,
    /// What it measures.
    pub kind: String,
    /// The sets it belongs to.
    pub groups: Vec<String>,
    /// The unit in charge.
    pub owner_unit_id: Uuid,
    /// Decimals shown.
    pub decimals: i16,
    /// The least plausible value.
    pub minimum: Option<Decimal>,
    /// The greatest plausible value.
    pub maximum: Option<Decimal>,
    /// Where its definition comes from.
    pub source: String,
    /// How many days after a period's end its figure is due; 0 in an import for what is usual.
    pub report_days: i16,
    /// Where its figures stop being comparable with those before, in order of time.
    pub breaks: Json<Vec<Break>>,
    /// How it is calculated from others; none where it is only reported.
    pub formula: Option<Json<Formula>>,
    /// Number of this version.
    pub version: i32,
}

/// A break in comparability.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Break {
    /// The first period of the new kind.
    period: String,
    /// Only in this unit.
    unit_id: Option<Uuid>,
    /// Why, in Vietnamese.
    reason_vi: String,
    /// Why, in English.
    reason_en: String,
}

impl Break {
    fn read(
        directory: &Directory,
        frequency: i32,
        message: &pb::SeriesBreak,
    ) -> Result<Self, Error> {
        let period = Period::try_from(&message.period).ok();
        let period = period.filter(|period| i32::from(period.frequency()) == frequency);
        let period = period.ok_or_else(|| {
            Error::invalid(
                "period",
                "phải là một kỳ báo cáo của chỉ tiêu",
                "must be a period of the indicator's frequency",
            )
        })?;
        let unit = Some(&message.unit_id).filter(|id| !id.is_empty());
        let unit = unit
            .map(|id| parse::unit(directory, "unit_id", id))
            .transpose()?;
        Ok(Self {
            period: period.to_string(),
            unit_id: unit.map(|unit| unit.0),
            reason_vi: parse::text("reason_vi", &message.reason_vi, 1, 500)?.to_owned(),
            reason_en: parse::text("reason_en", &message.reason_en, 1, 500)?.to_owned(),
        })
    }

    /// Reads all of an indicator, in order of time.
    fn read_all(directory: &Directory, message: &pb::Indicator) -> Result<Vec<Self>, Error> {
        if message.breaks.len() > 50 {
            return Err(Error::invalid("breaks", "tối đa 50", "must be at most 50"));
        }
        let breaks = message.breaks.iter().enumerate().map(|(at, one)| {
            Self::read(directory, message.frequency, one)
                .map_err(|error| error.of_entry("breaks", at))
        });
        let mut breaks = breaks.collect::<Result<Vec<_>, _>>()?;
        breaks.sort_by(|one, other| one.period.cmp(&other.period));
        Ok(breaks)
    }
}

impl From<Break> for pb::SeriesBreak {
    fn from(one: Break) -> Self {
        let period = one.period.parse::<Period>().ok();
        Self {
            period: period.map(Into::into),
            unit_id: one.unit_id.map(|id| id.to_string()).unwrap_or_default(),
            reason_vi: one.reason_vi,
            reason_en: one.reason_en,
        }
    }
}

impl Indicator {
    /// How often it is reported.
    #[must_use]
    pub fn frequency(&self) -> Frequency {
        Frequency::from_str_name(&self.frequency).unwrap_or_default()
    }

    /// The unit that answers for its figure of a unit.
    #[must_use]
    pub fn responsible(&self, unit: Uuid, by_owner: bool) -> Uuid {
        if by_owner { self.owner_unit_id } else { unit }
    }

    /// Refuses a period of another frequency.
    pub fn demand_frequency(&self, field: &str, period: Period) -> Result<(), Error> {
        if period.frequency() == self.frequency() {
            return Ok(());
        }
        Err(self.refuse_frequency(field))
    }

    /// Refuses a period finer than the indicator's; a quarter or year of a monthly one is printed by itself too.
    pub fn demand_no_finer(&self, field: &str, period: Period) -> Result<(), Error> {
        if per_year(period.frequency()) <= per_year(self.frequency()) {
            return Ok(());
        }
        Err(self.refuse_frequency(field))
    }

    /// Refuses a value of one of its periods that nobody would report.
    pub fn demand_plausible(&self, field: &str, value: Decimal) -> Result<(), Error> {
        match (self.minimum, self.maximum) {
            (Some(least), _) if value < least => Err(Error::invalid(
                field,
                format!("thấp hơn mức thấp nhất hợp lý {}", vietnamese(least)),
                format!("is below the least plausible value {}", english(least)),
            )),
            (_, Some(most)) if value > most => Err(Error::invalid(
                field,
                format!("cao hơn mức cao nhất hợp lý {}", vietnamese(most)),
                format!("is above the greatest plausible value {}", english(most)),
            )),
            _ => Ok(()),
        }
    }

    fn refuse_frequency(&self, field: &str) -> Error {
        let example = Period::new(self.frequency(), 2025, 1).map(|period| period.to_string());
        let example = example.unwrap_or_default();
        Error::invalid(
            field,
            format!("chỉ tiêu này báo cáo theo kỳ dạng {example}"),
            format!("this indicator is reported by periods such as {example}"),
        )
    }

    /// Reads a definition; id and version are given by us.
    fn read(directory: &Directory, message: &pb::Indicator) -> Result<Self, Error> {
        let text = |field: &str, value: &str, least, most| {
            parse::text(field, value, least, most).map(str::to_owned)
        };
        let groups = message.groups.iter();
        let groups = groups.map(|group| text("groups", group, 1, 40));
        let owner = parse::unit(directory, "owner_unit_id", &message.owner_unit_id)?.0;
        let indicator = Self {
            id: Uuid::now_v7(),
            code: text("code", &message.code, 1, 40)?,
            name_vi: text("name_vi", &message.name_vi, 1, 500)?,
            name_en: text("name_en", &message.name_en, 1, 500)?,
            field_code: text("field_code", &message.field_code, 1, 20)?,
            field_vi: text("field_vi", &message.field_vi, 1, 200)?,
            field_en: text("field_en", &message.field_en, 1, 200)?,
            measure_vi: text("measure_vi", &message.measure_vi, 1, 100)?,
            measure_code: text("measure_code", &message.measure_code, 1, 100)?,
            frequency: name("frequency", message.frequency, Frequency::as_str_name)?,
            direction: name("direction", message.direction, pb::Direction::as_str_name)?,
            aggregation: name(
                "aggregation",
                message.aggregation,
                pb::Aggregation::as_str_name,
            )?,
            weight: text("weight", &message.weight, 0, 200)?,
            year_rule: name("year_rule", message.year_rule, pb::YearRule::as_str_name)?,
            kind: name("kind", message.kind, pb::IndicatorKind::as_str_name)?,
            groups: groups.collect::<Result<_, _>>()?,
            owner_unit_id: owner,
            decimals: i16::try_from(message.decimals)
                .ok()
                .filter(|decimals| (0..=9).contains(decimals))
                .ok_or_else(|| Error::invalid("decimals", "phải từ 0 đến 9", "must be 0 to 9"))?,
            minimum: parse::optional_decimal("minimum", &message.minimum)?,
            maximum: parse::optional_decimal("maximum", &message.maximum)?,
            source: text("source", &message.source, 0, 1000)?,
            report_days: i16::try_from(message.report_days)
                .ok()
                .filter(|days| (0..=366).contains(days))
                .ok_or_else(|| {
                    Error::invalid("report_days", "phải từ 1 đến 366", "must be 1 to 366")
                })?,
            breaks: Json(Break::read_all(directory, message)?),
            formula: message
                .formula
                .as_ref()
                .map(Formula::read)
                .transpose()?
                .map(Json),
            version: 1,
        };
        if let (Some(minimum), Some(maximum)) = (indicator.minimum, indicator.maximum)
            && minimum > maximum
        {
            return Err(Error::invalid(
                "maximum",
                "phải không nhỏ hơn minimum",
                "must not be below minimum",
            ));
        }
        Ok(indicator)
    }
}

impl From<Indicator> for pb::Indicator {
    fn from(indicator: Indicator) -> Self {
        let direction = pb::Direction::from_str_name(&indicator.direction);
        let aggregation = pb::Aggregation::from_str_name(&indicator.aggregation);
        let year_rule = pb::YearRule::from_str_name(&indicator.year_rule);
        let kind = pb::IndicatorKind::from_str_name(&indicator.kind);
        let limit = |limit: Option<Decimal>| limit.map(|limit| limit.to_string());
        Self {
            id: indicator.id.to_string(),
            frequency: indicator.frequency().into(),
            direction: direction.unwrap_or_default().into(),
            aggregation: aggregation.unwrap_or_default().into(),
            year_rule: year_rule.unwrap_or_default().into(),
            kind: kind.unwrap_or_default().into(),
            minimum: limit(indicator.minimum).unwrap_or_default(),
            maximum: limit(indicator.maximum).unwrap_or_default(),
            owner_unit_id: indicator.owner_unit_id.to_string(),
            decimals: indicator.decimals.into(),
            report_days: indicator.report_days.into(),
            code: indicator.code,
            name_vi: indicator.name_vi,
            name_en: indicator.name_en,
            field_code: indicator.field_code,
            field_vi: indicator.field_vi,
            field_en: indicator.field_en,
            measure_en: measure::english(&indicator.measure_code),
            measure_vi: indicator.measure_vi,
            measure_code: indicator.measure_code,
            weight: indicator.weight,
            groups: indicator.groups,
            source: indicator.source,
            breaks: indicator.breaks.0.into_iter().map(Into::into).collect(),
            formula: indicator.formula.map(|formula| formula.0.into()),
            version: indicator.version,
        }
    }
}

/// One indicator, by id or code.
pub async fn get(db: impl PgExecutor<'_>, id_or_code: &str) -> Result<Indicator, Error> {
    let id_or_code = parse::text("id", id_or_code, 0, 100)?;
    let id = Uuid::parse_str(id_or_code).ok();
    sqlx::query_as!(
        Indicator,
        r#"SELECT id, code, name_vi, name_en, field_code, field_vi, field_en, measure_vi, measure_code, frequency,
            direction, aggregation, weight, year_rule, kind, groups, owner_unit_id, decimals, minimum, maximum,
            source, report_days, breaks AS "breaks: _", formula AS "formula: _", version
        FROM indicator WHERE id = $1 OR code = $2"#,
        id,
        id_or_code
    )
    .fetch_optional(db)
    .await?
    .ok_or_else(|| Error::NotFound("indicator", id_or_code.to_owned()))
}

/// Those of these ids that there are.
pub async fn get_all(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Indicator>, Error> {
    let indicators = sqlx::query_as!(
        Indicator,
        r#"SELECT id, code, name_vi, name_en, field_code, field_vi, field_en, measure_vi, measure_code, frequency,
            direction, aggregation, weight, year_rule, kind, groups, owner_unit_id, decimals, minimum, maximum,
            source, report_days, breaks AS "breaks: _", formula AS "formula: _", version
        FROM indicator WHERE id = ANY($1)"#,
        ids
    );
    Ok(indicators.fetch_all(db).await?)
}

/// Indicators by code after one of them, `limit` at most.
pub async fn list(
    db: impl PgExecutor<'_>,
    request: &pb::ListIndicatorsRequest,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<Indicator>, Error> {
    let given = |field: &str, text| {
        let text = parse::text(field, text, 0, 200)?;
        Ok::<_, Error>((!text.is_empty()).then(|| text.to_owned()))
    };
    let indicators = sqlx::query_as!(
        Indicator,
        r#"SELECT id, code, name_vi, name_en, field_code, field_vi, field_en, measure_vi, measure_code, frequency,
            direction, aggregation, weight, year_rule, kind, groups, owner_unit_id, decimals, minimum, maximum,
            source, report_days, breaks AS "breaks: _", formula AS "formula: _", version
        FROM indicator
        WHERE ($1::text IS NULL OR field_code = $1)
            AND ($2::text IS NULL OR $2 = ANY(groups))
            AND ($3::text IS NULL OR position(fold($3) IN fold(concat_ws(' ', code, name_vi, name_en))) > 0)
            AND ($4::text IS NULL OR code > $4)
        ORDER BY code LIMIT $5"#,
        given("field_code", &request.field_code)?,
        given("group", &request.group)?,
        given("query", &request.query)?,
        after,
        limit
    );
    Ok(indicators.fetch_all(db).await?)
}

/// Reads all entries of an import; the first problem is told with its entry.
pub fn read_all(
    directory: &Directory,
    messages: &[pb::Indicator],
) -> Result<Vec<Indicator>, Error> {
    if messages.is_empty() || messages.len() > 1000 {
        return Err(Error::invalid(
            "indicators",
            "phải có từ 1 đến 1.000 chỉ tiêu",
            "must be 1 to 1,000 indicators",
        ));
    }
    let mut codes = HashSet::new();
    let mut indicators = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        let indicator = Indicator::read(directory, message)
            .map_err(|error| error.of_entry("indicators", at))?;
        if !codes.insert(indicator.code.clone()) {
            let repeated = Error::invalid("code", "bị lặp lại", "is repeated");
            return Err(repeated.of_entry("indicators", at));
        }
        indicators.push(indicator);
    }
    Ok(indicators)
}

/// Adds or corrects indicators, matched by code; answers those that changed.
pub async fn import(
    tx: &mut PgConnection,
    directory: &Directory,
    indicators: &mut [Indicator],
    actor: &str,
) -> Result<Vec<Indicator>, Error> {
    demand_kept_frequencies(tx, indicators).await?;
    formula::resolve(tx, indicators).await?;
    let changed = sqlx::query_as!(
        Indicator,
        r#"INSERT INTO indicator AS i (id, code, name_vi, name_en, field_code, field_vi, field_en, measure_vi,
            measure_code, frequency, direction, aggregation, weight, year_rule, kind, groups, owner_unit_id, decimals,
            minimum, maximum, source, report_days, breaks, formula)
        SELECT id, code, name_vi, name_en, field_code, field_vi, field_en, measure_vi, measure_code, frequency,
            direction, aggregation, weight, year_rule, kind, groups, owner_unit_id, decimals, minimum, maximum, source,
            coalesce(nullif(report_days, 0), (SELECT r.report_days FROM report_rule r WHERE r.frequency = d.frequency)),
            breaks, formula
        FROM jsonb_to_recordset($1) AS d (id uuid, code text, name_vi text, name_en text, field_code text,
            field_vi text, field_en text, measure_vi text, measure_code text, frequency text, direction text,
            aggregation text, weight text, year_rule text, kind text, groups text[], owner_unit_id uuid,
            decimals smallint, minimum numeric, maximum numeric, source text, report_days smallint,
            breaks jsonb, formula jsonb)
        ON CONFLICT (code) DO UPDATE SET name_vi = excluded.name_vi, name_en = excluded.name_en,
            field_code = excluded.field_code, field_vi = excluded.field_vi, field_en = excluded.field_en,
            measure_vi = excluded.measure_vi, measure_code = excluded.measure_code, frequency = excluded.frequency,
            direction = excluded.direction, aggregation = excluded.aggregation, weight = excluded.weight,
            year_rule = excluded.year_rule, kind = excluded.kind, groups = excluded.groups,
            owner_unit_id = excluded.owner_unit_id, decimals = excluded.decimals, minimum = excluded.minimum,
            maximum = excluded.maximum, source = excluded.source, report_days = excluded.report_days,
            breaks = excluded.breaks, formula = excluded.formula, version = i.version + 1
        WHERE (i.name_vi, i.name_en, i.field_code, i.field_vi, i.field_en, i.measure_vi, i.measure_code, i.frequency,
                i.direction, i.aggregation, i.weight, i.year_rule, i.kind, i.groups, i.owner_unit_id, i.decimals,
                i.minimum, i.maximum, i.source, i.report_days, i.breaks, i.formula)
            IS DISTINCT FROM (excluded.name_vi, excluded.name_en, excluded.field_code, excluded.field_vi,
                excluded.field_en, excluded.measure_vi, excluded.measure_code, excluded.frequency, excluded.direction,
                excluded.aggregation, excluded.weight, excluded.year_rule, excluded.kind, excluded.groups,
                excluded.owner_unit_id, excluded.decimals, excluded.minimum, excluded.maximum, excluded.source,
                excluded.report_days, excluded.breaks, excluded.formula)
        RETURNING id, code, name_vi, name_en, field_code, field_vi, field_en, measure_vi, measure_code, frequency,
            direction, aggregation, weight, year_rule, kind, groups, owner_unit_id, decimals, minimum, maximum,
            source, report_days, breaks AS "breaks: _", formula AS "formula: _", version"#,
        Json(&*indicators) as _
    )
    .fetch_all(&mut *tx)
    .await?;
    formula::demand_sound(tx, indicators).await?;

    let ids: Vec<Uuid> = changed.iter().map(|indicator| indicator.id).collect();
    sqlx::query!(
        "INSERT INTO indicator_version (indicator_id, version, definition, actor)
        SELECT id, version, to_jsonb(indicator), $2 FROM indicator WHERE id = ANY($1)",
        &ids,
        actor
    )
    .execute(&mut *tx)
    .await?;
    duty::set_due(tx, &ids).await?;
    duty::end_calculated(tx, &ids).await?;
    duty::begin(tx, directory, &duties(directory, &changed)).await?;
    Ok(changed)
}

/// A new indicator is reported for the city from the current period on.
fn duties(directory: &Directory, changed: &[Indicator]) -> Vec<duty::Start> {
    let today = chassis::calendar::city_date(chrono::Utc::now());
    let added = changed.iter().filter(|indicator| indicator.version == 1);
    added
        .filter_map(|indicator| {
            let mut above = directory.ancestors(indicator.owner_unit_id);
            above.push(indicator.owner_unit_id);
            let city = above.into_iter().find(|id| {
                let unit = directory.unit(*id);
                unit.is_some_and(|unit| unit.kind == UnitKind::City)
            })?;
            Some(duty::Start {
                indicator_id: indicator.id,
                unit_id: city,
                by_owner: true,
                index: Period::containing(indicator.frequency(), today).index(),
            })
        })
        .collect()
}

/// Figures keep their meaning: once reported, an indicator keeps its frequency.
async fn demand_kept_frequencies(
    tx: &mut PgConnection,
    indicators: &[Indicator],
) -> Result<(), Error> {
    let codes: Vec<String> = indicators.iter().map(|one| one.code.clone()).collect();
    let frequencies: Vec<String> = indicators.iter().map(|one| one.frequency.clone()).collect();
    let other = sqlx::query_scalar!(
        "SELECT d.n - 1 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS d (code, frequency, n)
        JOIN indicator i ON i.code = d.code AND i.frequency <> d.frequency
        WHERE EXISTS (SELECT FROM observation o WHERE o.indicator_id = i.id)
            OR EXISTS (SELECT FROM submission s WHERE s.indicator_id = i.id)
        ORDER BY d.n LIMIT 1",
        &codes,
        &frequencies
    )
    .fetch_optional(tx)
    .await?
    .flatten();
    match other {
        None => Ok(()),
        Some(at) => Err(Error::invalid(
            format!("indicators[{at}].frequency"),
            "không đổi được vì chỉ tiêu đã có số liệu, hãy tạo chỉ tiêu mới",
            "cannot change once there are figures, add another indicator",
        )),
    }
}
