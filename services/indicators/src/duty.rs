//! What units have to report: for each indicator and unit the oldest period without a figure, and when it is due.

use chassis::{
    calendar::city_date,
    directory::{Directory, Scope},
};
use chrono::{Datelike, NaiveDate};
use proto::identity::v1::UnitKind;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::error::Error;

/// From which period on a unit reports an indicator, at the latest.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit.
    pub unit_id: Uuid,
    /// The indicator's owner answers for it.
    pub by_owner: bool,
    /// The index of the period.
    pub index: i32,
}

/// A figure to be reported.
#[derive(Clone, Debug)]
pub struct Duty {
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit.
    pub unit_id: Uuid,
    /// The index of the period.
    pub next_index: i32,
    /// The last day to report.
    pub due_date: NaiveDate,
    /// A figure that is a draft, waits for approval or was returned.
    pub submission_id: Option<Uuid>,
}

/// The city's date by the database's clock, which all replicas share.
pub async fn today(db: impl PgExecutor<'_>) -> Result<NaiveDate, Error> {
    let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#);
    Ok(city_date(now.fetch_one(db).await?))
}

/// Begins duties, or moves them on after figures were recorded. Figures of the whole country are nobody's here, and
/// nobody is asked for what is calculated.
///
/// A duty begins in the current year at the earliest, and not before the unit: what was printed of earlier years has
/// gaps that nobody fills. Of those years only what follows the latest figure is asked for.
pub async fn begin(
    tx: &mut PgConnection,
    directory: &Directory,
    starts: &[Start],
) -> Result<(), Error> {
    let today = today(&mut *tx).await?;
    let year = today.with_ordinal(1).unwrap_or(today);
    let ours = starts.iter().filter_map(|start| {
        let unit = directory.unit(start.unit_id)?;
        (unit.kind != UnitKind::Country).then_some((start, unit.valid_from.max(year)))
    });
    let (starts, since): (Vec<&Start>, Vec<NaiveDate>) = ours.unzip();
    let indicators: Vec<Uuid> = starts.iter().map(|start| start.indicator_id).collect();
    let units: Vec<Uuid> = starts.iter().map(|start| start.unit_id).collect();
    let by_owner: Vec<bool> = starts.iter().map(|start| start.by_owner).collect();
    let indexes: Vec<i32> = starts.iter().map(|start| start.index).collect();
    sqlx::query!(
        "WITH start AS (
            SELECT s.indicator_id, s.unit_id, bool_or(s.by_owner) AS by_owner, per_year(min(i.frequency)) AS per_year,
                min(i.report_days) AS report_days, least(min(d.first_index),
                    greatest(min(s.index), period_index(min(s.since), per_year(min(i.frequency))))) AS first_index
            FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::integer[], $5::date[])
                AS s (indicator_id, unit_id, by_owner, index, since)
            JOIN indicator i ON i.id = s.indicator_id AND i.formula IS NULL
            LEFT JOIN duty d ON (d.indicator_id, d.unit_id) = (s.indicator_id, s.unit_id)
            GROUP BY s.indicator_id, s.unit_id
        ), latest AS (
            -- Periods of other frequencies have smaller indexes than any of the series itself.
            SELECT start.*, (SELECT max(o.period_index) + 1 FROM observation o
                WHERE o.indicator_id = start.indicator_id AND o.unit_id = start.unit_id
                    AND o.period_index >= 1900 * start.per_year) AS after_latest
            FROM start
        ), open AS (
            SELECT latest.*, (SELECT min(n.index)
                FROM generate_series(least(first_index, after_latest), greatest(first_index, after_latest)) AS n (index)
                WHERE NOT EXISTS (SELECT FROM observation o
                    WHERE o.indicator_id = latest.indicator_id AND o.unit_id = latest.unit_id
                        AND o.period_index = n.index)) AS next_index
            FROM latest
        )
        INSERT INTO duty AS d (indicator_id, unit_id, by_owner, first_index, next_index, end_date, due_date)
        SELECT indicator_id, unit_id, by_owner, first_index, next_index, last_day(next_index, per_year),
            last_day(next_index, per_year) + report_days
        FROM open
        ON CONFLICT (indicator_id, unit_id) DO UPDATE SET first_index = excluded.first_index,
            next_index = excluded.next_index, end_date = excluded.end_date, due_date = excluded.due_date",
        &indicators,
        &units,
        &by_owner,
        &indexes,
        &since
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the duty to report what is calculated.
pub async fn end_calculated(tx: &mut PgConnection, indicators: &[Uuid]) -> Result<(), Error> {
    sqlx::query!(
        "DELETE FROM duty d USING indicator i
        WHERE i.id = d.indicator_id AND i.id = ANY($1) AND i.formula IS NOT NULL",
        indicators
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Sets when figures of these indicators are due, after their definitions changed.
pub async fn set_due(tx: &mut PgConnection, indicators: &[Uuid]) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE duty d SET due_date = d.end_date + i.report_days
        FROM indicator i WHERE i.id = d.indicator_id AND i.id = ANY($1)",
        indicators
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Duties of periods that have ended, the longest due first, after one of them.
pub async fn list(
    db: impl PgExecutor<'_>,
    directory: &Directory,
    scope: &Scope,
    unit_id: Option<Uuid>,
    today: NaiveDate,
    after: Option<(NaiveDate, Uuid, Uuid)>,
    limit: i64,
) -> Result<Vec<Duty>, Error> {
    let (date, indicator, unit) = after.map_or((None, None, None), |(date, indicator, unit)| {
        (Some(date), Some(indicator), Some(unit))
    });
    let ended = directory
        .units()
        .into_iter()
        .filter(|unit| !unit.is_valid_on(today));
    let ended: Vec<Uuid> = ended.map(|unit| unit.id).collect();
    let duties = sqlx::query_as!(
        Duty,
        r#"SELECT d.indicator_id, d.unit_id, d.next_index, d.due_date, s.id AS "submission_id?"
        FROM duty d JOIN indicator i ON i.id = d.indicator_id
        LEFT JOIN LATERAL (SELECT s.id FROM submission s
            WHERE s.indicator_id = d.indicator_id AND s.unit_id = d.unit_id AND s.period_index = d.next_index
                AND s.state IN ('SUBMISSION_STATE_DRAFT', 'SUBMISSION_STATE_SUBMITTED', 'SUBMISSION_STATE_RETURNED')
            ORDER BY s.create_time DESC LIMIT 1) s ON true
        WHERE d.end_date < $1
            AND ($2 OR CASE WHEN d.by_owner THEN i.owner_unit_id ELSE d.unit_id END = ANY($3))
            AND ($4::uuid IS NULL OR $4 IN (d.unit_id, CASE WHEN d.by_owner THEN i.owner_unit_id END))
            AND NOT d.unit_id = ANY($5)
            AND ($6::date IS NULL OR (d.due_date, d.indicator_id, d.unit_id) > ($6, $7, $8))
        ORDER BY d.due_date, d.indicator_id, d.unit_id LIMIT $9"#,
        today,
        scope.all,
        &scope.units,
        unit_id,
        &ended,
        date,
        indicator,
        unit,
        limit
    );
    Ok(duties.fetch_all(db).await?)
}
