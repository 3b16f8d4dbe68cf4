//! Units added or corrected in bulk: everything checked in memory first, then a few statements.

use std::collections::{HashMap, HashSet};

use chassis::{
    Refusal,
    events::{self, Fact},
};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use proto::identity::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{KINDS, change, word};
use crate::{
    error::Result,
    grant,
    parse::{date, fold},
};

/// What is stored of a unit.
struct Known {
    id: Uuid,
    parent: String,
    has_end: bool,
}

/// The columns of the rows to write.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    keys: Vec<String>,
    codes: Vec<String>,
    kinds: Vec<String>,
    names_vi: Vec<String>,
    names_en: Vec<String>,
    searches: Vec<String>,
    parents: Vec<Option<Uuid>>,
    valid_from: Vec<NaiveDate>,
    valid_to: Vec<Option<NaiveDate>>,
    fields: Vec<String>,
    longitudes: Vec<f64>,
    latitudes: Vec<f64>,
}

pub async fn import(
    tx: &mut PgConnection,
    request: &pb::ImportUnitsRequest,
    actor: &str,
) -> Result<pb::ImportUnitsResponse> {
    if request.parent_keys.len() != request.units.len() {
        return Err(Refusal::invalid(
            "parent_keys",
            "phải có đúng một mục cho mỗi đơn vị",
            "must have one entry for each unit",
        )
        .into());
    }
    // Two imports at once could both add a key.
    sqlx::query!("LOCK TABLE unit IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await?;
    let known: HashMap<String, Known> = sqlx::query!(
        r#"SELECT u.key, u.id, u.valid_to, coalesce(p.key, '') AS "parent!"
         FROM unit u LEFT JOIN unit p ON p.id = u.parent_id"#
    )
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .map(|row| {
        let known = Known {
            id: row.id,
            parent: row.parent,
            has_end: row.valid_to.is_some(),
        };
        (row.key, known)
    })
    .collect();
    let columns = columns(request, &known)?;
    check_rings(request, &known)?;
    let keys: HashSet<&str> = known
        .keys()
        .map(String::as_str)
        .chain(columns.keys.iter().map(String::as_str))
        .collect();
    let (written, added) = write_units(tx, &columns).await?;
    let ends = columns
        .keys
        .iter()
        .cloned()
        .zip(columns.valid_to.iter().copied());
    let has_or_had = |(key, end): &(String, Option<NaiveDate>)| {
        end.is_some() || known.get(key).is_some_and(|known| known.has_end)
    };
    let (ended, ends): (Vec<_>, Vec<_>) = ends.filter(has_or_had).unzip();
    let mut succeeding = change::follow(tx, &ended, &ends).await?;
    succeeding.extend(change::write(tx, &request.changes, &keys).await?);
    change::check_existence(tx, request).await?;
    // Who came from others is news, too.
    let facts: Vec<pb::UnitChanged> = super::some(&mut *tx, &written, &succeeding)
        .await?
        .into_iter()
        .map(|unit| pb::UnitChanged {
            unit: Some(unit.into()),
        })
        .collect();
    events::publish_all(
        &mut *tx,
        facts.iter().map(|message| Fact {
            subject: message
                .unit
                .as_ref()
                .map(|unit| unit.id.clone())
                .unwrap_or_default(),
            unit_ids: Vec::new(),
            field_code: None,
            actor: actor.to_owned(),
            message,
        }),
    )
    .await?;
    grant::end_with_units(tx, actor).await?;
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    Ok(pb::ImportUnitsResponse {
        added: count(added),
        corrected: count(written.len() - added),
    })
}

fn columns(request: &pb::ImportUnitsRequest, known: &HashMap<String, Known>) -> Result<Columns> {
    let mut ids: HashMap<&str, Uuid> = known
        .iter()
        .map(|(key, known)| (key.as_str(), known.id))
        .collect();
    let mut seen = HashSet::new();
    for (index, unit) in request.units.iter().enumerate() {
        let field = |name: &str| format!("units[{index}].{name}");
        if unit.key.is_empty() || unit.key.len() > 64 || !seen.insert(unit.key.as_str()) {
            return Err(Refusal::invalid(
                field("key"),
                "phải có và không được lặp lại",
                "must be given and not twice",
            )
            .into());
        }
        ids.entry(&unit.key).or_insert_with(Uuid::now_v7);
    }
    let mut columns = Columns::default();
    for (index, (unit, parent)) in request.units.iter().zip(&request.parent_keys).enumerate() {
        let field = |name: &str| format!("units[{index}].{name}");
        let kind = word(&KINDS, unit.kind()).ok_or_else(|| {
            Refusal::invalid(field("kind"), "chưa cho biết loại", "must be given")
        })?;
        if unit.code.is_empty() || unit.name_vi.trim().is_empty() {
            return Err(Refusal::invalid(
                field("name_vi"),
                "phải có mã và tên",
                "code and name must be given",
            )
            .into());
        }
        let parent = match parent.as_str() {
            "" => None,
            key => Some(*ids.get(key).ok_or_else(|| {
                Refusal::invalid(
                    format!("parent_keys[{index}]"),
                    format!("không có đơn vị {key}"),
                    format!("there is no unit {key}"),
                )
            })?),
        };
        let (from, to) = validity(index, unit)?;
        let english = if unit.name_en.is_empty() {
            &unit.name_vi
        } else {
            &unit.name_en
        };
        columns.ids.push(ids[unit.key.as_str()]);
        columns.keys.push(unit.key.clone());
        columns.codes.push(unit.code.clone());
        columns.kinds.push(kind.to_owned());
        columns
            .searches
            .push(fold(&format!("{} {english} {}", unit.name_vi, unit.code)));
        columns.names_vi.push(unit.name_vi.clone());
        columns.names_en.push(english.clone());
        columns.parents.push(parent);
        columns.valid_from.push(from);
        columns.valid_to.push(to);
        columns.fields.push(unit.field_codes.join("|"));
        columns.longitudes.push(unit.longitude);
        columns.latitudes.push(unit.latitude);
    }
    Ok(columns)
}

fn validity(index: usize, unit: &pb::Unit) -> Result<(NaiveDate, Option<NaiveDate>)> {
    let from = date(&format!("units[{index}].valid_from"), &unit.valid_from)?;
    let field = format!("units[{index}].valid_to");
    if unit.valid_to.is_empty() {
        return Ok((from, None));
    }
    let to = date(&field, &unit.valid_to)?;
    if to < from {
        return Err(Refusal::invalid(
            field,
            "không được trước ngày bắt đầu",
            "must not be before the first day",
        )
        .into());
    }
    Ok((from, Some(to)))
}

/// A unit must not be above itself.
fn check_rings(request: &pb::ImportUnitsRequest, known: &HashMap<String, Known>) -> Result<()> {
    let mut above: HashMap<&str, &str> = known
        .iter()
        .map(|(key, known)| (key.as_str(), known.parent.as_str()))
        .collect();
    for (unit, parent) in request.units.iter().zip(&request.parent_keys) {
        above.insert(&unit.key, parent);
    }
    for (index, unit) in request.units.iter().enumerate() {
        let mut key = unit.key.as_str();
        for _ in 0..=16 {
            key = above.get(key).copied().unwrap_or_default();
            if key.is_empty() {
                break;
            }
        }
        if !key.is_empty() {
            return Err(Refusal::invalid(
                format!("parent_keys[{index}]"),
                "cây đơn vị bị vòng hoặc sâu quá 16 cấp",
                "the tree has a ring or is deeper than 16 levels",
            )
            .into());
        }
    }
    Ok(())
}

async fn write_units(tx: &mut PgConnection, columns: &Columns) -> Result<(Vec<Uuid>, usize)> {
    let rows = sqlx::query!(
        r#"INSERT INTO unit AS u (id, key, code, kind, name_vi, name_en, search, parent_id, valid_from, valid_to,
            field_codes, longitude, latitude)
         SELECT n.id, n.key, n.code, n.kind, n.name_vi, n.name_en, n.search, n.parent_id, n.valid_from, n.valid_to,
            string_to_array(n.fields, '|'), n.longitude, n.latitude
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[],
            $9::date[], $10::date[], $11::text[], $12::float8[], $13::float8[])
            AS n (id, key, code, kind, name_vi, name_en, search, parent_id, valid_from, valid_to, fields, longitude, latitude)
         ON CONFLICT (key) DO UPDATE SET code = excluded.code, kind = excluded.kind, name_vi = excluded.name_vi,
            name_en = excluded.name_en, search = excluded.search, parent_id = excluded.parent_id,
            valid_from = excluded.valid_from, valid_to = excluded.valid_to, field_codes = excluded.field_codes,
            longitude = excluded.longitude, latitude = excluded.latitude
         WHERE (u.code, u.kind, u.name_vi, u.name_en, u.parent_id, u.valid_from, u.valid_to, u.field_codes, u.longitude,
                u.latitude)
            IS DISTINCT FROM (excluded.code, excluded.kind, excluded.name_vi, excluded.name_en, excluded.parent_id,
                excluded.valid_from, excluded.valid_to, excluded.field_codes, excluded.longitude, excluded.latitude)
         RETURNING id, (xmax = 0) AS "added!""#,
        &columns.ids,
        &columns.keys,
        &columns.codes,
        &columns.kinds,
        &columns.names_vi,
        &columns.names_en,
        &columns.searches,
        &columns.parents as &[Option<Uuid>],
        &columns.valid_from,
        &columns.valid_to as &[Option<NaiveDate>],
        &columns.fields,
        &columns.longitudes,
        &columns.latitudes
    )
    .fetch_all(tx)
    .await?;
    let added = rows.iter().filter(|row| row.added).count();
    Ok((rows.into_iter().map(|row| row.id).collect(), added))
}

/// The instant at which a unit's last day is over in the city.
pub fn end_of(last: NaiveDate) -> DateTime<Utc> {
    last.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(24 - 7)
}
