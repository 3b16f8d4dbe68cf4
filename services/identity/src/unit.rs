//! Units and their lineage.

mod change;
mod import;

use chassis::Refusal;
use chrono::NaiveDate;
use proto::identity::v1::{self as pb, UnitChangeKind, UnitKind};
use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::{error::Result, parse::fold};
pub use import::{end_of, import};

const KINDS: [(UnitKind, &str); 7] = [
    (UnitKind::Country, "country"),
    (UnitKind::City, "city"),
    (UnitKind::Department, "department"),
    (UnitKind::District, "district"),
    (UnitKind::Ward, "ward"),
    (UnitKind::Commune, "commune"),
    (UnitKind::SpecialZone, "special_zone"),
];

const CHANGE_KINDS: [(UnitChangeKind, &str); 4] = [
    (UnitChangeKind::Merge, "merge"),
    (UnitChangeKind::Split, "split"),
    (UnitChangeKind::Rename, "rename"),
    (UnitChangeKind::Abolish, "abolish"),
];

/// The word that a kind is stored as; none for one not given.
pub fn word<K: PartialEq + Copy>(kinds: &[(K, &'static str)], kind: K) -> Option<&'static str> {
    kinds
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, word)| *word)
}

fn kind<K: Copy + Default>(kinds: &[(K, &'static str)], word: &str) -> K {
    kinds
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(kind, _)| *kind)
        .unwrap_or_default()
}

/// A unit as stored.
pub struct Unit {
    pub id: Uuid,
    pub key: String,
    pub code: String,
    pub kind: String,
    pub name_vi: String,
    pub name_en: String,
    pub parent_id: Option<Uuid>,
    pub valid_from: NaiveDate,
    pub valid_to: Option<NaiveDate>,
    pub field_codes: Vec<String>,
    pub longitude: f64,
    pub latitude: f64,
    pub predecessors: Json<Vec<Predecessor>>,
}

/// A unit that another one came from, and the share of it that went there.
#[derive(Debug, Deserialize)]
pub struct Predecessor {
    id: Uuid,
    weight: Decimal,
}

impl From<Unit> for pb::Unit {
    fn from(unit: Unit) -> Self {
        Self {
            id: unit.id.to_string(),
            key: unit.key,
            code: unit.code,
            kind: kind(&KINDS, &unit.kind).into(),
            name_vi: unit.name_vi,
            name_en: unit.name_en,
            parent_id: unit.parent_id.map(|id| id.to_string()).unwrap_or_default(),
            valid_from: unit.valid_from.to_string(),
            valid_to: unit
                .valid_to
                .map(|date| date.to_string())
                .unwrap_or_default(),
            field_codes: unit.field_codes,
            longitude: unit.longitude,
            latitude: unit.latitude,
            predecessors: (unit.predecessors.0.into_iter())
                .map(|one| pb::Predecessor {
                    unit_id: one.id.to_string(),
                    weight: one.weight.normalize().to_string(),
                })
                .collect(),
        }
    }
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> Result<Unit> {
    let unit = sqlx::query_as!(
        Unit,
        r#"SELECT id, key, code, kind, name_vi, name_en, parent_id, valid_from, valid_to, field_codes, longitude, latitude,
            coalesce((SELECT jsonb_agg(jsonb_build_object('id', f.id, 'weight', c.weight::text) ORDER BY f.key)
                FROM unit_change c JOIN unit f ON f.key = c.from_key
                WHERE c.to_key = unit.key AND c.weight > 0), '[]') AS "predecessors!: _"
         FROM unit WHERE id = $1"#,
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(unit.ok_or_else(|| Refusal::not_found("unit", id))?)
}

/// Which units are listed.
pub struct Filter {
    pub kinds: Vec<UnitKind>,
    /// The day they exist on; none for all that ever were.
    pub valid_on: Option<NaiveDate>,
    pub query: String,
    /// The last of the previous page: kind, code, id.
    pub after: Option<(String, String, Uuid)>,
    pub limit: i64,
}

pub async fn list(db: impl PgExecutor<'_>, filter: Filter) -> Result<Vec<Unit>> {
    let kinds: Vec<String> = filter
        .kinds
        .iter()
        .filter_map(|kind| word(&KINDS, *kind))
        .map(str::to_owned)
        .collect();
    let pattern = format!("%{}%", like(&fold(&filter.query)));
    let (kind, code, id) = filter.after.unwrap_or_default();
    let units = sqlx::query_as!(
        Unit,
        r#"SELECT id, key, code, kind, name_vi, name_en, parent_id, valid_from, valid_to, field_codes, longitude, latitude,
            coalesce((SELECT jsonb_agg(jsonb_build_object('id', f.id, 'weight', c.weight::text) ORDER BY f.key)
                FROM unit_change c JOIN unit f ON f.key = c.from_key
                WHERE c.to_key = unit.key AND c.weight > 0), '[]') AS "predecessors!: _"
         FROM unit
         WHERE (kind, code, id) > ($1, $2, $3)
            AND (cardinality($4::text[]) = 0 OR kind = ANY($4))
            AND ($5::date IS NULL OR (valid_from <= $5 AND (valid_to IS NULL OR valid_to >= $5)))
            AND search LIKE $6
         ORDER BY kind, code, id LIMIT $7"#,
        kind,
        code,
        id,
        &kinds,
        filter.valid_on,
        pattern,
        filter.limit
    )
    .fetch_all(db)
    .await?;
    Ok(units)
}

/// Takes the special meaning from the signs of LIKE.
pub fn like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

/// All units, for the directory.
pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Unit>> {
    sqlx::query_as!(
        Unit,
        r#"SELECT id, key, code, kind, name_vi, name_en, parent_id, valid_from, valid_to, field_codes, longitude, latitude,
            coalesce((SELECT jsonb_agg(jsonb_build_object('id', f.id, 'weight', c.weight::text) ORDER BY f.key)
                FROM unit_change c JOIN unit f ON f.key = c.from_key
                WHERE c.to_key = unit.key AND c.weight > 0), '[]') AS "predecessors!: _"
         FROM unit"#
    )
    .fetch_all(db)
    .await
}

/// Those with one of these ids or keys.
pub async fn some(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    keys: &[String],
) -> sqlx::Result<Vec<Unit>> {
    sqlx::query_as!(
        Unit,
        r#"SELECT id, key, code, kind, name_vi, name_en, parent_id, valid_from, valid_to, field_codes, longitude, latitude,
            coalesce((SELECT jsonb_agg(jsonb_build_object('id', f.id, 'weight', c.weight::text) ORDER BY f.key)
                FROM unit_change c JOIN unit f ON f.key = c.from_key
                WHERE c.to_key = unit.key AND c.weight > 0), '[]') AS "predecessors!: _"
         FROM unit WHERE id = ANY($1) OR key = ANY($2) ORDER BY key"#,
        ids,
        keys
    )
    .fetch_all(db)
    .await
}

/// The changes that a unit is on either side of, oldest first.
pub async fn changes(db: impl PgExecutor<'_>, id: Uuid) -> Result<Vec<pb::UnitChange>> {
    let rows = sqlx::query!(
        r#"SELECT c.date AS "date?", c.kind AS "kind?", c.from_key AS "from_key?", c.to_key AS "to_key?",
            c.weight AS "weight?", c.basis AS "basis?", c.quality AS "quality?"
         FROM unit u LEFT JOIN unit_change c ON c.from_key = u.key OR c.to_key = u.key
         WHERE u.id = $1 ORDER BY c.date, c.from_key, c.to_key"#,
        id
    )
    .fetch_all(db)
    .await?;
    if rows.is_empty() {
        return Err(Refusal::not_found("unit", id).into());
    }
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(pb::UnitChange {
                date: row.date?.to_string(),
                kind: kind(&CHANGE_KINDS, &row.kind?).into(),
                from_key: row.from_key?,
                to_key: row.to_key?,
                weight: row.weight?.normalize().to_string(),
                basis: row.basis?,
                quality: row.quality?,
            })
        })
        .collect())
}
