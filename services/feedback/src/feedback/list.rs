//! Pages of items, cut to a scope.

use chassis::{directory::Scope, page};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::Feedback;
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

/// A page of items and the token of the next.
pub async fn list(
    db: &PgPool,
    scope: &Scope,
    filter: &Filter,
    size: usize,
    token: &str,
) -> Result<(Vec<Feedback>, String), Error> {
    let (key, id): (i64, Uuid) = page::after(token)?.unwrap_or((0, Uuid::nil()));
    let mut items = sqlx::query_as!(
        Feedback,
        r#"SELECT f.id, f.number, f.tracking_code, f.category_code, c.name_vi AS category_vi, c.name_en AS category_en,
            f.field_code, f.title, f.body, f.longitude, f.latitude, f.address, f.place_unit_id, f.unit_id, f.channel,
            f.state, f.create_time, f.route_deadline, f.route_time, f.answer_deadline, f.answer_time, f.rating,
            f.contact_name, f.contact_phone, f.contact_email, f.illustrative, f.version, f.list_key,
            t.timeliness AS "timeliness!",
            COALESCE(f.route_time, now()) > f.route_deadline AS "routed_late!"
        FROM feedback f JOIN category c ON c.code = f.category_code
        CROSS JOIN LATERAL (SELECT CASE WHEN COALESCE(f.answer_time, now()) > f.answer_deadline THEN 'late'
            WHEN f.answer_time IS NULL AND f.answer_deadline < now() + interval '1 day' THEN 'due_soon'
            ELSE 'on_time' END AS timeliness) t
        WHERE (f.list_key, f.id) > ($1, $2)
            AND ($3 OR f.unit_id = ANY($4) OR f.place_unit_id = ANY($4) OR f.field_code = ANY($5))
            AND ($6::uuid[] IS NULL OR f.unit_id = ANY($6))
            AND ($7::text IS NULL OR f.field_code = $7)
            AND ($8::text[] IS NULL OR f.state = ANY($8))
            AND ($9::text IS NULL OR t.timeliness = $9)
            AND ($10::timestamptz IS NULL OR f.create_time >= $10)
            AND ($11::text IS NULL OR to_tsvector('simple', f.folded) @@ websearch_to_tsquery('simple', $11))
            AND ($12::uuid IS NULL OR f.place_unit_id = $12)
        ORDER BY f.list_key, f.id
        LIMIT $13"#,
        key,
        id,
        scope.all,
        &scope.units,
        &scope.fields,
        filter.units.as_deref(),
        filter.field_code,
        filter.states.as_deref(),
        filter.timeliness,
        filter.from,
        filter.query,
        filter.place_unit_id,
        i64::try_from(size).unwrap_or(i64::MAX - 1) + 1
    )
    .fetch_all(db)
    .await?;
    let next = page::cut(&mut items, size, |item| (item.list_key, item.id));
    Ok((items, next))
}
