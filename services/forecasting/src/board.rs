//! The risk board and the forecasts behind it, read as they were assessed.

use std::collections::{BTreeMap, HashMap};

use chassis::directory::Scope;
use chrono::{DateTime, Utc};
use prost::Message;
use proto::{
    forecasting::v1::{self as pb, RiskStatus},
    indicators::v1::Observation,
    period::Period,
};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::{error::Error, judge, load};

/// Which lines are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only with these statuses.
    pub statuses: Option<Vec<RiskStatus>>,
    /// Only of these units.
    pub units: Option<Vec<Uuid>>,
    /// Only of this field.
    pub field_code: Option<String>,
    /// Only of this indicator.
    pub indicator_id: Option<Uuid>,
    /// Leaves out figures of wards, communes and special zones.
    pub city_level_only: bool,
    /// Only of this set of indicators.
    pub group: Option<String>,
    /// Judged by targets of this author.
    pub target_author: Option<i16>,
    /// Judged by targets of this period.
    pub target_period: Option<String>,
    /// Only those whose next figure decides.
    pub decisive_only: bool,
}

impl Filter {
    /// The ranks of the statuses that are asked for, and the first and the last of them: between these the board is read.
    fn ranks(&self) -> (Option<Vec<i16>>, i16, i16) {
        let ranks = self.statuses.as_ref().map(|statuses| {
            let ranks = statuses.iter().map(|status| judge::status_rank(*status));
            ranks.collect::<Vec<i16>>()
        });
        let among = ranks.iter().flatten().copied();
        let (first, last) = (among.clone().min(), among.max());
        (ranks, first.unwrap_or(0), last.unwrap_or(i16::MAX))
    }

    /// Whether certain targets are asked for, so that other lines than those that stand without asking may be meant.
    fn is_of_targets(&self) -> bool {
        self.target_author.is_some() || self.target_period.is_some()
    }
}

/// The place of a line: ranks of status, probability and gap, then the indicator and the unit.
pub type Place = (i16, i32, i64, Uuid, Uuid);

/// A line and its place.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its place.
    pub place: Place,
    /// The line.
    pub item: pb::RiskItem,
}

/// Lines within a scope in the board's order, after one of them.
pub async fn list(
    db: &PgPool,
    scope: &Scope,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Line>, Error> {
    let (ranks, first, last) = filter.ranks();
    let rows = sqlx::query!(
        r#"SELECT status_rank, probability_rank, gap_rank, indicator_id, unit_id, item AS "item!" FROM assessment
        WHERE item IS NOT NULL
            AND ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))
            AND ($4::smallint[] IS NULL OR status_rank = ANY($4)) AND status_rank BETWEEN $19 AND $20
            AND ($5::uuid[] IS NULL OR unit_id = ANY($5) OR responsible_unit_id = ANY($5))
            AND ($6::text IS NULL OR field_code = $6)
            AND ($7::uuid IS NULL OR indicator_id = $7)
            AND NOT ($8 AND is_local)
            AND ($15::text IS NULL OR groups <> '{}' AND groups @> ARRAY[$15])
            AND ($16::smallint IS NULL OR target_author = $16)
            AND ($17::text IS NULL OR target_period = $17)
            AND (is_decisive OR NOT $18)
            AND ($9::smallint IS NULL OR (status_rank, probability_rank, gap_rank, indicator_id, unit_id)
                > ($9, $10, $11, $12, $13))
        ORDER BY status_rank, probability_rank, gap_rank, indicator_id, unit_id LIMIT $14"#,
        scope.all,
        &scope.units,
        &scope.fields,
        ranks.as_deref(),
        filter.units.as_deref(),
        filter.field_code,
        filter.indicator_id,
        filter.city_level_only,
        after.map(|place| place.0),
        after.map(|place| place.1),
        after.map(|place| place.2),
        after.map(|place| place.3),
        after.map(|place| place.4),
        limit,
        filter.group,
        filter.target_author,
        filter.target_period,
        filter.decisive_only,
        first,
        last
    )
    .fetch_all(db)
    .await?;
    let lines = rows.into_iter().map(|row| {
        Ok(Line {
            place: (
                row.status_rank,
                row.probability_rank,
                row.gap_rank,
                row.indicator_id,
                row.unit_id,
            ),
            item: pb::RiskItem::decode(row.item.as_slice())?,
        })
    });
    let mut lines: Vec<Line> = lines.collect::<Result<_, Error>>()?;
    if filter.is_of_targets() {
        lines.extend(list_others(db, scope, filter, after, limit).await?);
        lines.sort_by_key(|line| line.place);
        lines.truncate(usize::try_from(limit).unwrap_or_default());
    }
    Ok(lines)
}

/// Lines of series that are judged by other targets where none are asked for.
async fn list_others(
    db: &PgPool,
    scope: &Scope,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Line>, Error> {
    let (ranks, first, last) = filter.ranks();
    let rows = sqlx::query!(
        r#"SELECT o.status_rank, o.probability_rank, o.gap_rank, o.indicator_id, o.unit_id, o.assessment,
            a.item AS "item!"
        FROM other_line o JOIN assessment a ON a.indicator_id = o.indicator_id AND a.unit_id = o.unit_id
        WHERE o.target_author = $15 AND o.target_period = $16 AND a.item IS NOT NULL
            AND ($1 OR a.unit_id = ANY($2) OR a.responsible_unit_id = ANY($2) OR a.field_code = ANY($3))
            AND ($4::smallint[] IS NULL OR o.status_rank = ANY($4)) AND o.status_rank BETWEEN $19 AND $20
            AND ($5::uuid[] IS NULL OR a.unit_id = ANY($5) OR a.responsible_unit_id = ANY($5))
            AND ($6::text IS NULL OR a.field_code = $6)
            AND ($7::uuid IS NULL OR a.indicator_id = $7)
            AND NOT ($8 AND a.is_local)
            AND ($17::text IS NULL OR $17 = ANY(a.groups))
            AND (o.is_decisive OR NOT $18)
            AND ($9::smallint IS NULL
                OR (o.status_rank, o.probability_rank, o.gap_rank, o.indicator_id, o.unit_id) > ($9, $10, $11, $12, $13))
        ORDER BY o.status_rank, o.probability_rank, o.gap_rank, o.indicator_id, o.unit_id LIMIT $14"#,
        scope.all,
        &scope.units,
        &scope.fields,
        ranks.as_deref(),
        filter.units.as_deref(),
        filter.field_code,
        filter.indicator_id,
        filter.city_level_only,
        after.map(|place| place.0),
        after.map(|place| place.1),
        after.map(|place| place.2),
        after.map(|place| place.3),
        after.map(|place| place.4),
        limit,
        filter.target_author.unwrap_or_default(),
        filter.target_period.as_deref().unwrap_or_default(),
        filter.group,
        filter.decisive_only,
        first,
        last
    );
    let lines = rows.fetch_all(db).await?.into_iter().map(|row| {
        let mut item = pb::RiskItem::decode(row.item.as_slice())?;
        let assessment = pb::Assessment::decode(row.assessment.as_slice())?;
        item.set_status(assessment.status());
        item.assessment = Some(assessment);
        Ok(Line {
            place: (
                row.status_rank,
                row.probability_rank,
                row.gap_rank,
                row.indicator_id,
                row.unit_id,
            ),
            item,
        })
    });
    lines.collect()
}

/// How many lines have each status, within a scope; and when the newest was assessed.
pub async fn count(
    db: &PgPool,
    scope: &Scope,
    filter: &Filter,
) -> Result<(Vec<pb::StatusCount>, Option<DateTime<Utc>>), Error> {
    let rows = sqlx::query!(
        r#"SELECT status_rank, status, count(*) AS "count!", max(update_time) AS "update_time!" FROM assessment
        WHERE item IS NOT NULL
            AND ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))
            AND ($4::uuid[] IS NULL OR unit_id = ANY($4) OR responsible_unit_id = ANY($4))
            AND ($5::text IS NULL OR field_code = $5)
            AND NOT ($6 AND is_local)
            AND ($7::text IS NULL OR groups <> '{}' AND groups @> ARRAY[$7])
            AND ($8::smallint IS NULL OR target_author = $8)
            AND ($9::text IS NULL OR target_period = $9)
            AND (is_decisive OR NOT $10)
        GROUP BY status_rank, status ORDER BY status_rank"#,
        scope.all,
        &scope.units,
        &scope.fields,
        filter.units.as_deref(),
        filter.field_code,
        filter.city_level_only,
        filter.group,
        filter.target_author,
        filter.target_period,
        filter.decisive_only
    )
    .fetch_all(db)
    .await?;
    let update_time = rows.iter().map(|row| row.update_time).max();
    let mut counts: BTreeMap<i16, (i16, i64)> = BTreeMap::new();
    counts.extend(
        rows.into_iter()
            .map(|row| (row.status_rank, (row.status, row.count))),
    );
    if filter.is_of_targets() {
        for (rank, status, count) in count_others(db, scope, filter).await? {
            counts.entry(rank).or_insert((status, 0)).1 += count;
        }
    }
    let counts = counts.into_values().map(|(status, count)| pb::StatusCount {
        status: status.into(),
        count: i32::try_from(count).unwrap_or(i32::MAX),
    });
    Ok((counts.collect(), update_time))
}

/// How many of the lines of `list_others` have each status, with its rank.
async fn count_others(
    db: &PgPool,
    scope: &Scope,
    filter: &Filter,
) -> Result<Vec<(i16, i16, i64)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT o.status_rank, o.status, count(*) AS "count!"
        FROM other_line o JOIN assessment a ON a.indicator_id = o.indicator_id AND a.unit_id = o.unit_id
        WHERE o.target_author = $4 AND o.target_period = $5 AND a.item IS NOT NULL
            AND ($1 OR a.unit_id = ANY($2) OR a.responsible_unit_id = ANY($2) OR a.field_code = ANY($3))
            AND ($6::uuid[] IS NULL OR a.unit_id = ANY($6) OR a.responsible_unit_id = ANY($6))
            AND ($7::text IS NULL OR a.field_code = $7)
            AND NOT ($8 AND a.is_local)
            AND ($9::text IS NULL OR $9 = ANY(a.groups))
            AND (o.is_decisive OR NOT $10)
        GROUP BY o.status_rank, o.status"#,
        scope.all,
        &scope.units,
        &scope.fields,
        filter.target_author.unwrap_or_default(),
        filter.target_period.as_deref().unwrap_or_default(),
        filter.units.as_deref(),
        filter.field_code,
        filter.city_level_only,
        filter.group,
        filter.decisive_only
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    Ok(rows
        .map(|row| (row.status_rank, row.status, row.count))
        .collect())
}

/// Lines of units beside at most.
const BESIDE: i64 = 200;
/// Lines of units below at most.
const PARTS: i64 = 200;

/// The lines of the units below a series whose figures add up to it, within a scope.
pub async fn parts(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    indicator_id: Uuid,
    unit_id: Uuid,
) -> Result<Vec<pb::RiskItem>, Error> {
    let items = sqlx::query_scalar!(
        r#"SELECT item AS "item!" FROM assessment
        WHERE indicator_id = $4 AND parent_unit_id = $5 AND origin IS NOT NULL AND item IS NOT NULL
            AND EXISTS (SELECT FROM excess e WHERE e.indicator_id = $4 AND e.unit_id = $5)
            AND ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))
        ORDER BY unit_id LIMIT $6"#,
        scope.all,
        &scope.units,
        &scope.fields,
        indicator_id,
        unit_id,
        PARTS
    );
    items_of(&items.fetch_all(db).await?)
}

/// The lines of what a series is calculated from, by indicator, within a scope.
pub async fn drivers(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    indicator_id: Uuid,
    unit_id: Uuid,
) -> Result<HashMap<String, pb::RiskItem>, Error> {
    let items = sqlx::query_scalar!(
        r#"SELECT a.item AS "item!" FROM part p
        JOIN assessment a ON a.indicator_id = p.part_id AND a.unit_id = $5 AND a.item IS NOT NULL
        WHERE p.indicator_id = $4
            AND ($1 OR a.unit_id = ANY($2) OR a.responsible_unit_id = ANY($2) OR a.field_code = ANY($3))"#,
        scope.all,
        &scope.units,
        &scope.fields,
        indicator_id,
        unit_id
    );
    let items = items_of(&items.fetch_all(db).await?)?.into_iter();
    let by_indicator = items.map(|item| {
        let indicator = item.indicator.as_ref();
        (
            indicator.map(|one| one.id.clone()).unwrap_or_default(),
            item,
        )
    });
    Ok(by_indicator.collect())
}

/// The lines of the same indicator in these units, the most endangered first, within a scope.
pub async fn beside(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    indicator_id: Uuid,
    units: &[Uuid],
) -> Result<Vec<pb::RiskItem>, Error> {
    let items = sqlx::query_scalar!(
        r#"SELECT item AS "item!" FROM assessment
        WHERE indicator_id = $4 AND unit_id = ANY($5) AND item IS NOT NULL
            AND ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))
        ORDER BY status_rank, probability_rank, gap_rank, unit_id LIMIT $6"#,
        scope.all,
        &scope.units,
        &scope.fields,
        indicator_id,
        units,
        BESIDE
    );
    items_of(&items.fetch_all(db).await?)
}

/// The forecasts of those of these units whose figures add up to a series, within a scope.
pub async fn forecasts_of_parts(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    (indicator_id, unit_id): (Uuid, Uuid),
    units: &[Uuid],
) -> Result<HashMap<Uuid, pb::Forecast>, Error> {
    let rows = sqlx::query!(
        "SELECT unit_id, forecast FROM assessment
        WHERE indicator_id = $4 AND parent_unit_id = $5 AND unit_id = ANY($6) AND origin IS NOT NULL
            AND EXISTS (SELECT FROM excess e WHERE e.indicator_id = $4 AND e.unit_id = $5)
            AND ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))",
        scope.all,
        &scope.units,
        &scope.fields,
        indicator_id,
        unit_id,
        units
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    let forecast =
        rows.map(|row| Ok((row.unit_id, pb::Forecast::decode(row.forecast.as_slice())?)));
    forecast.collect()
}

fn items_of(items: &[Vec<u8>]) -> Result<Vec<pb::RiskItem>, Error> {
    let items = items
        .iter()
        .map(|item| pb::RiskItem::decode(item.as_slice()));
    Ok(items.collect::<Result<_, _>>()?)
}

/// The newest forecast of a series within a scope.
pub async fn forecast(
    db: &PgPool,
    scope: &Scope,
    indicator_id: Uuid,
    unit_id: Uuid,
) -> Result<pb::Forecast, Error> {
    let (forecast, _) = whole(db, scope, indicator_id, unit_id).await?;
    Ok(forecast)
}

/// The newest forecast of a series within a scope, and its line of the board, empty for what is not on it.
pub async fn whole(
    db: &PgPool,
    scope: &Scope,
    indicator_id: Uuid,
    unit_id: Uuid,
) -> Result<(pb::Forecast, pb::RiskItem), Error> {
    let row = sqlx::query!(
        "SELECT forecast, item FROM assessment
        WHERE indicator_id = $4 AND unit_id = $5
            AND ($1 OR unit_id = ANY($2) OR responsible_unit_id = ANY($2) OR field_code = ANY($3))",
        scope.all,
        &scope.units,
        &scope.fields,
        indicator_id,
        unit_id
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound(indicator_id, unit_id))?;
    let mut forecast = pb::Forecast::decode(row.forecast.as_slice())?;
    let item = pb::RiskItem::decode(row.item.unwrap_or_default().as_slice())?;
    if forecast.history.iter().any(|figure| !figure.id.is_empty()) {
        return Ok((forecast, item));
    }
    let reported = load::history(db, &[indicator_id], &[unit_id]).await?;
    let own = |figure: &Observation| {
        let indicator = forecast.indicator.as_ref();
        indicator.is_none_or(|indicator| load::is_of(indicator, figure))
    };
    // A figure that has just come is not what it was made from.
    let count = usize::try_from(forecast.observation_count).unwrap_or_default();
    let count = count.saturating_sub(forecast.history.len());
    let reported: Vec<Observation> = reported
        .into_values()
        .flatten()
        .filter(own)
        .take(count)
        .collect();
    forecast.history.extend(reported);
    let period = |figure: &Observation| Period::try_from(&figure.period).map(Period::index).ok();
    forecast.history.sort_by_key(period);
    Ok((forecast, item))
}
