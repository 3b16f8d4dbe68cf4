//! Counts that maps and tables read: kept by following our own feed, so that a write never waits for them and they can be
//! made again from the facts. What an item added before is remembered and taken out exactly.

use anyhow::Context;
use chassis::{
    calendar::city_date,
    directory::Scope,
    events::{Consumer, Event},
    parse::{instant, optional_instant, timestamp},
};
use chrono::{NaiveDate, Utc};
use h3o::{LatLng, Resolution};
use prost::Name;
use proto::feedback::v1 as pb;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::error::Error;

/// Cells are kept at these resolutions.
pub const RESOLUTIONS: [Resolution; 3] = [Resolution::Seven, Resolution::Eight, Resolution::Nine];

/// Keeps the counts.
pub struct Rollup;

const TYPES: [&str; 1] = ["civicmesh.feedback.v1.FeedbackChanged"];

impl Consumer for Rollup {
    const NAME: &'static str = "rollup";

    fn source(&self) -> &'static str {
        "feedback"
    }

    fn types(&self) -> &[&str] {
        debug_assert_eq!(TYPES[0], pb::FeedbackChanged::full_name());
        &TYPES
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        let item = event
            .decode::<pb::FeedbackChanged>()?
            .feedback
            .context("a fact without its item")?;
        count(tx, &item).await
    }
}

/// Puts an item into the counts as it is now, and what it added before out of them.
pub async fn count(tx: &mut PgConnection, item: &pb::Feedback) -> anyhow::Result<()> {
    let id = Uuid::parse_str(&item.id)?;
    let created = instant("create_time", item.create_time)?;
    let answered = optional_instant("answer_time", item.answer_time)?;
    let deadline = instant("answer_deadline", item.answer_deadline)?;
    let point = item.point.as_ref().context("point")?;
    let place = LatLng::new(point.latitude, point.longitude)?;
    let cells: Vec<i64> = RESOLUTIONS
        .iter()
        .map(|step| u64::from(place.to_cell(*step)).cast_signed())
        .collect();
    let unit = if item.unit_id.is_empty() {
        Uuid::nil()
    } else {
        Uuid::parse_str(&item.unit_id)?
    };
    apply(tx, id, -1).await?;
    sqlx::query!(
        "INSERT INTO counted (feedback_id, day, unit_id, place_unit_id, field_code, category_code, cells, closed, late)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (feedback_id) DO UPDATE SET unit_id = EXCLUDED.unit_id, closed = EXCLUDED.closed,
            late = EXCLUDED.late",
        id,
        city_date(created),
        unit,
        Uuid::parse_str(&item.place_unit_id)?,
        item.field_code,
        item.category_code,
        &cells,
        answered.is_some(),
        answered.is_some_and(|answered| answered > deadline)
    )
    .execute(&mut *tx)
    .await?;
    apply(tx, id, 1).await
}

/// Adds (1) or takes out (-1) what `counted` remembers of an item.
async fn apply(tx: &mut PgConnection, id: Uuid, sign: i64) -> anyhow::Result<()> {
    sqlx::query!(
        "WITH item AS (
            SELECT day, unit_id, place_unit_id, field_code, category_code, cells, closed::int * $2::bigint AS closed,
                late::int * $2::bigint AS late
            FROM counted WHERE feedback_id = $1),
        cell AS (
            INSERT INTO cell_rollup AS r (resolution, day, category_code, cell, unit_id, place_unit_id, field_code,
                received, closed_late)
            SELECT 6 + c.n, i.day, i.category_code, c.cell, i.unit_id, i.place_unit_id, i.field_code, $2, i.late
            FROM item i, unnest(i.cells) WITH ORDINALITY AS c (cell, n)
            ON CONFLICT (resolution, day, category_code, cell, unit_id, place_unit_id, field_code) DO UPDATE
            SET received = r.received + EXCLUDED.received, closed_late = r.closed_late + EXCLUDED.closed_late)
        INSERT INTO rollup AS r (day, unit_id, place_unit_id, field_code, received, closed, closed_late)
        SELECT day, unit_id, place_unit_id, field_code, $2, closed, late FROM item
        ON CONFLICT (day, unit_id, place_unit_id, field_code) DO UPDATE
        SET received = r.received + EXCLUDED.received, closed = r.closed + EXCLUDED.closed,
            closed_late = r.closed_late + EXCLUDED.closed_late",
        id,
        sign
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Counts of one key: a unit, a place or a field.
struct Row {
    unit_id: Uuid,
    place_unit_id: Uuid,
    field_code: String,
    received: i64,
    open: i64,
    late: i64,
}

/// Counts within a scope, by unit in charge, place and field.
pub async fn statistics(
    db: &PgPool,
    scope: &Scope,
    from: NaiveDate,
    units: Option<&[Uuid]>,
    field_code: Option<&str>,
) -> Result<pb::FeedbackStatistics, Error> {
    // What is closed comes from the rollup; what is open changes with the clock alone and is few.
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT unit_id AS "unit_id!", place_unit_id AS "place_unit_id!", field_code AS "field_code!",
            sum(received)::bigint AS "received!", sum(open)::bigint AS "open!", sum(late)::bigint AS "late!"
        FROM (
            SELECT unit_id, place_unit_id, field_code, received, received - closed AS open, closed_late AS late
            FROM rollup WHERE day >= $1
            UNION ALL
            SELECT COALESCE(unit_id, '00000000-0000-0000-0000-000000000000'), place_unit_id, field_code, 0, 0, 1
            FROM feedback WHERE answer_time IS NULL AND answer_deadline < now()
                AND create_time >= $1::date - interval '7 hours') AS part
        WHERE ($2 OR unit_id = ANY($3) OR place_unit_id = ANY($3) OR field_code = ANY($4))
            AND ($5::uuid[] IS NULL OR unit_id = ANY($5))
            AND ($6::text IS NULL OR field_code = $6)
        GROUP BY unit_id, place_unit_id, field_code"#,
        from,
        scope.all,
        &scope.units,
        &scope.fields,
        units,
        field_code
    )
    .fetch_all(db)
    .await?;
    let by_unit = group(&rows, |row| {
        if row.unit_id.is_nil() {
            String::new()
        } else {
            row.unit_id.to_string()
        }
    });
    Ok(pb::FeedbackStatistics {
        total: group(&rows, |_| String::new()).into_iter().next(),
        by_unit: by_unit.into_iter().take(500).collect(),
        by_field: group(&rows, |row| row.field_code.clone()),
        by_place: group(&rows, |row| row.place_unit_id.to_string()),
        update_time: Some(timestamp(Utc::now())),
    })
}

/// Adds rows up by a key, most late first.
fn group(rows: &[Row], key: impl Fn(&Row) -> String) -> Vec<pb::FeedbackCount> {
    let mut counts = std::collections::BTreeMap::<String, pb::FeedbackCount>::new();
    for row in rows.iter().filter(|row| row.received > 0 || row.late > 0) {
        let key = key(row);
        let count = counts
            .entry(key.clone())
            .or_insert_with(|| pb::FeedbackCount {
                key,
                ..Default::default()
            });
        count.received += row.received;
        count.open += row.open;
        count.late += row.late;
        count.on_time += row.received - row.late;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by(|a, b| {
        b.late
            .cmp(&a.late)
            .then_with(|| b.received.cmp(&a.received))
    });
    counts
}

/// Cells with items, most first, within a scope.
pub async fn heat_map(
    db: &PgPool,
    scope: &Scope,
    from: NaiveDate,
    resolution: Resolution,
    category_code: Option<&str>,
) -> Result<pb::FeedbackHeatMap, Error> {
    let rows = sqlx::query!(
        r#"SELECT cell, sum(received)::bigint AS "count!", sum(closed_late)::bigint AS "late!"
        FROM cell_rollup
        WHERE resolution = $1 AND day >= $2
            AND ($3 OR unit_id = ANY($4) OR place_unit_id = ANY($4) OR field_code = ANY($5))
            AND ($6::text IS NULL OR category_code = $6)
        GROUP BY cell HAVING sum(received) > 0
        ORDER BY 2 DESC, cell LIMIT 5000"#,
        i16::from(u8::from(resolution)),
        from,
        scope.all,
        &scope.units,
        &scope.fields,
        category_code
    )
    .fetch_all(db)
    .await?;
    let cells = rows.into_iter().filter_map(|row| {
        let cell = h3o::CellIndex::try_from(row.cell.cast_unsigned()).ok()?;
        let centre = LatLng::from(cell);
        Some(pb::HeatCell {
            h3: cell.to_string(),
            centre: Some(pb::Point {
                longitude: centre.lng(),
                latitude: centre.lat(),
            }),
            count: row.count,
            late: row.late,
        })
    });
    Ok(pb::FeedbackHeatMap {
        cells: cells.collect(),
    })
}
