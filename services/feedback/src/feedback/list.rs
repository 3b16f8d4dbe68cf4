//! Pages of items, cut to a scope.

use std::slice;

use chassis::{directory::Scope, page};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Feedback, now};
use crate::error::Error;

/// What is wanted; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Units in charge.
    pub units: Option<Vec<Uuid>>,
    /// The field.
    pub field_code: Option<String>,
    /// States.
    pub states: Option<Vec<String>>,
    /// "on_time", "due_soon" or "late".
    pub timeliness: Option<String>,
    /// Received at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Words of the title or code, folded.
    pub query: Option<String>,
    /// The ward, commune or special zone it lies in.
    pub place_unit_id: Option<Uuid>,
}

/// Open items' list keys are below, closed ones' above.
const CLOSED: i64 = 10_000_000_000;
/// A closed item's list key and the time it was closed add up to this.
const SUM: i64 = 2 * CLOSED;

/// By which index a page is read; what else is wanted is then asked row by row.
#[derive(Default)]
struct Way<'a> {
    all: bool,
    units: &'a [Uuid],
    places: &'a [Uuid],
    fields: &'a [String],
    query: Option<&'a str>,
}

impl Filter {
    /// The narrowest way to what is wanted within a scope.
    fn way<'a>(&'a self, scope: &'a Scope) -> Way<'a> {
        let mut way = Way::default();
        if let Some(query) = &self.query {
            way.query = Some(query);
        } else if let Some(place) = &self.place_unit_id {
            way.places = slice::from_ref(place);
        } else if let Some(units) = &self.units {
            way.units = units;
        } else if !scope.all {
            (way.units, way.places) = (&scope.units, &scope.units);
            way.fields = &scope.fields;
        } else if let Some(field) = &self.field_code {
            way.fields = slice::from_ref(field);
        } else {
            way.all = true;
        }
        way
    }

    /// Between which list keys all lies that is wanted, and perhaps more.
    fn span(&self, now: DateTime<Utc>) -> (i64, i64) {
        let (mut low, mut high) = (i64::MIN, i64::MAX);
        if let Some(states) = &self.states {
            let is_open = |state: &String| !matches!(state.as_str(), "answered" | "rejected");
            if states.iter().all(is_open) {
                high = CLOSED;
            } else if !states.iter().any(is_open) {
                low = CLOSED;
            }
        }
        // Keys are whole seconds.
        let second = TimeDelta::seconds(1);
        match self.timeliness.as_deref() {
            Some("on_time") => low = low.max((now - second).timestamp()),
            Some("due_soon") => {
                low = low.max((now - second).timestamp());
                high = high.min((now + TimeDelta::days(1) + second).timestamp());
            }
            _ => {}
        }
        if let Some(from) = self.from {
            let from = (from - second).timestamp();
            low = low.max(from);
            high = high.min(SUM - from);
        }
        (low, high)
    }
}

/// The page's items by each way, bounded, then the page. `$9` and further are asked of every row.
macro_rules! page {
    ($wanted:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Feedback,
            r#"WITH page AS (
                SELECT list_key, id FROM (
                    (SELECT f.list_key, f.id FROM feedback f WHERE $4 AND "# + $wanted + r#"
                        ORDER BY f.list_key, f.id LIMIT $18)
                    UNION
                    SELECT way.list_key, way.id FROM unnest($5::uuid[]) AS own (id) CROSS JOIN LATERAL (
                        SELECT f.list_key, f.id FROM feedback f WHERE f.unit_id = own.id AND "# + $wanted + r#"
                        ORDER BY f.list_key, f.id LIMIT $18) way
                    UNION
                    SELECT way.list_key, way.id FROM unnest($6::uuid[]) AS own (id) CROSS JOIN LATERAL (
                        SELECT f.list_key, f.id FROM feedback f WHERE f.place_unit_id = own.id AND "# + $wanted + r#"
                        ORDER BY f.list_key, f.id LIMIT $18) way
                    UNION
                    SELECT way.list_key, way.id FROM unnest($7::text[]) AS own (code) CROSS JOIN LATERAL (
                        SELECT f.list_key, f.id FROM feedback f WHERE f.field_code = own.code AND "# + $wanted + r#"
                        ORDER BY f.list_key, f.id LIMIT $18) way
                    UNION
                    SELECT f.list_key, f.id FROM feedback f
                    WHERE to_tsvector('simple', f.folded) @@ websearch_to_tsquery('simple', $8) AND "# + $wanted + r#"
                ) AS ways ORDER BY list_key, id LIMIT $18)
            SELECT f.id, f.number, f.tracking_code, f.category_code, c.name_vi AS category_vi,
                c.name_en AS category_en, f.field_code, f.title, f.body, f.longitude, f.latitude, f.address,
                f.place_unit_id, f.unit_id, f.channel, f.state, f.create_time, f.route_deadline, f.route_time,
                f.answer_deadline, f.answer_time, f.rating, f.contact_name, f.contact_phone, f.contact_email,
                f.illustrative, f.version, f.list_key,
                CASE WHEN COALESCE(f.answer_time, now()) > f.answer_deadline THEN 'late'
                    WHEN f.answer_time IS NULL AND f.answer_deadline < now() + interval '1 day' THEN 'due_soon'
                    ELSE 'on_time' END AS "timeliness!",
                COALESCE(f.route_time, now()) > f.route_deadline AS "routed_late!"
            FROM page JOIN feedback f ON f.id = page.id JOIN category c ON c.code = f.category_code
            ORDER BY f.list_key, f.id"#
            $(, $argument)*
        )
    };
}

/// A page of items and the token of the next.
pub async fn list(
    db: &PgPool,
    scope: &Scope,
    filter: &Filter,
    size: usize,
    token: &str,
) -> Result<(Vec<Feedback>, String), Error> {
    let after: Option<(i64, Uuid)> = page::after(token)?;
    let mut tx = db.begin().await?;
    // One plan for all ways and scopes would read everything.
    sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan")
        .execute(&mut *tx)
        .await?;
    let (low, high) = filter.span(now(&mut *tx).await?);
    let start = (low, Uuid::nil());
    let (key, id) = after.map_or(start, |after| after.max(start));
    let way = filter.way(scope);
    let mut items = page!(
        "(f.list_key, f.id) > ($1, $2) AND f.list_key <= $3
            AND ($9 OR f.unit_id = ANY($10) OR f.place_unit_id = ANY($10) OR f.field_code = ANY($11))
            AND ($12::uuid[] IS NULL OR f.unit_id = ANY($12))
            AND ($13::text IS NULL OR f.field_code = $13)
            AND ($14::text[] IS NULL OR f.state = ANY($14))
            AND ($15::text IS NULL OR $15 =
                CASE WHEN COALESCE(f.answer_time, now()) > f.answer_deadline THEN 'late'
                    WHEN f.answer_time IS NULL AND f.answer_deadline < now() + interval '1 day' THEN 'due_soon'
                    ELSE 'on_time' END)
            AND ($16::timestamptz IS NULL OR f.create_time >= $16)
            AND ($17::uuid IS NULL OR f.place_unit_id = $17)",
        key,
        id,
        high,
        way.all,
        way.units,
        way.places,
        way.fields,
        way.query,
        scope.all,
        &scope.units,
        &scope.fields,
        filter.units.as_deref(),
        filter.field_code,
        filter.states.as_deref(),
        filter.timeliness,
        filter.from,
        filter.place_unit_id,
        i64::try_from(size).unwrap_or(i64::MAX - 1) + 1,
    )
    .fetch_all(&mut *tx)
    .await?;
    let next = page::cut(&mut items, size, |item| (item.list_key, item.id));
    Ok((items, next))
}
