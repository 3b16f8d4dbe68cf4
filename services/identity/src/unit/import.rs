//! Units added or corrected in bulk: everything checked in memory first, then a few statements.

use std::collections::{HashMap, HashSet};

use chassis::{
    Refusal,
    events::{self, Fact},
};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use proto::identity::v1 as pb;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tonic::Code;
use uuid::Uuid;

use super::{CHANGE_KINDS, KINDS, word};
use crate::{
    error::Result,
    grant,
    parse::{date, fold},
};

/// Shares are measured to six places.
const TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

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
    let known: HashMap<String, (Uuid, String)> = sqlx::query!(
        r#"SELECT u.key, u.id, coalesce(p.key, '') AS "parent!" FROM unit u LEFT JOIN unit p ON p.id = u.parent_id"#
    )
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .map(|row| (row.key, (row.id, row.parent)))
    .collect();
    let columns = columns(request, &known)?;
    check_rings(request, &known)?;
    let keys: HashSet<&str> = known
        .keys()
        .map(String::as_str)
        .chain(columns.keys.iter().map(String::as_str))
        .collect();
    let (written, added) = write_units(tx, &columns).await?;
    let succeeding = write_changes(tx, &request.changes, &keys).await?;
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

fn columns(
    request: &pb::ImportUnitsRequest,
    known: &HashMap<String, (Uuid, String)>,
) -> Result<Columns> {
    let mut ids: HashMap<&str, Uuid> = known
        .iter()
        .map(|(key, (id, _))| (key.as_str(), *id))
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
fn check_rings(
    request: &pb::ImportUnitsRequest,
    known: &HashMap<String, (Uuid, String)>,
) -> Result<()> {
    let mut above: HashMap<&str, &str> = known
        .iter()
        .map(|(key, (_, parent))| (key.as_str(), parent.as_str()))
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

/// How a unit ends: on which day, and how much of it is accounted for, up to which entry.
struct End {
    day: NaiveDate,
    sum: Decimal,
    index: usize,
}

/// Keeps changes instead of those told before of the same old units; answers the keys of the units of which something else
/// is said now.
async fn write_changes(
    tx: &mut PgConnection,
    changes: &[pb::UnitChange],
    keys: &HashSet<&str>,
) -> Result<Vec<String>> {
    let (mut dates, mut kinds, mut from, mut to) = (vec![], vec![], vec![], vec![]);
    let (mut weights, mut bases, mut qualities) = (vec![], vec![], vec![]);
    let mut ends: HashMap<&str, End> = HashMap::new();
    let mut seen = HashSet::new();
    for (index, change) in changes.iter().enumerate() {
        let (day, kind, weight) = check_change(index, change, keys)?;
        if !seen.insert((&change.from_key, &change.to_key)) {
            let field = format!("changes[{index}].to_key");
            return Err(Refusal::invalid(field, "bị lặp lại", "is given twice").into());
        }
        let end = ends.entry(&change.from_key).or_insert(End {
            day,
            sum: Decimal::ZERO,
            index,
        });
        if end.day != day {
            return Err(Refusal::invalid(
                format!("changes[{index}].date"),
                format!("{} chỉ kết thúc một lần, ngày {}", change.from_key, end.day),
                format!("{} ends only once, on {}", change.from_key, end.day),
            )
            .into());
        }
        end.sum += weight;
        end.index = index;
        dates.push(day);
        kinds.push(kind.to_owned());
        from.push(change.from_key.clone());
        to.push(change.to_key.clone());
        weights.push(weight);
        bases.push(change.basis.clone());
        qualities.push(change.quality.clone());
    }
    check_sums(&ends)?;
    let gone = sqlx::query_scalar!(
        "DELETE FROM unit_change u WHERE from_key = ANY($2) AND NOT EXISTS (
            SELECT FROM unnest($1::date[], $2::text[], $3::text[]) AS n (date, from_key, to_key)
            WHERE (n.date, n.from_key, n.to_key) = (u.date, u.from_key, u.to_key))
         RETURNING to_key",
        &dates,
        &from,
        &to
    );
    let mut otherwise = gone.fetch_all(&mut *tx).await?;
    let changed = sqlx::query_scalar!(
        "INSERT INTO unit_change AS u (date, kind, from_key, to_key, weight, basis, quality)
         SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::text[], $7::text[])
         ON CONFLICT (from_key, date, to_key) DO UPDATE SET kind = excluded.kind, weight = excluded.weight,
            basis = excluded.basis, quality = excluded.quality
         WHERE (u.kind, u.weight, u.basis, u.quality)
            IS DISTINCT FROM (excluded.kind, excluded.weight, excluded.basis, excluded.quality)
         RETURNING to_key",
        &dates,
        &kinds,
        &from,
        &to,
        &weights,
        &bases,
        &qualities
    );
    otherwise.extend(changed.fetch_all(&mut *tx).await?);
    check_days(tx, changes).await?;
    check_circles(tx, changes).await?;
    Ok(otherwise)
}

/// A unit goes into others on the day after its last one, if that is known.
async fn check_days(tx: &mut PgConnection, changes: &[pb::UnitChange]) -> Result<()> {
    let keys: Vec<String> = changes
        .iter()
        .map(|change| change.from_key.clone())
        .collect();
    let ends = sqlx::query!(
        r#"SELECT key, valid_to AS "valid_to!" FROM unit WHERE key = ANY($1) AND valid_to IS NOT NULL"#,
        &keys
    );
    let ends = ends.fetch_all(tx).await?.into_iter();
    let ends: HashMap<String, NaiveDate> = ends.map(|row| (row.key, row.valid_to)).collect();
    for (index, change) in changes.iter().enumerate() {
        let field = format!("changes[{index}].date");
        let day = date(&field, &change.date)?;
        let next = ends.get(&change.from_key).and_then(|last| last.succ_opt());
        if let Some(next) = next.filter(|next| *next != day) {
            let key = &change.from_key;
            return Err(Refusal::invalid(
                field,
                format!("phải là {next}, ngày sau ngày cuối của {key}"),
                format!("must be {next}, the day after the last one of {key}"),
            )
            .into());
        }
    }
    Ok(())
}

/// All of a unit must be accounted for.
fn check_sums(ends: &HashMap<&str, End>) -> Result<()> {
    if let Some((key, End { sum, index, .. })) = ends
        .iter()
        .find(|(_, end)| (end.sum - Decimal::ONE).abs() > TOLERANCE)
    {
        return Err(Refusal::new(
            Code::InvalidArgument,
            "WEIGHTS_DO_NOT_ADD_UP",
            format!("các phần của {key} cộng lại là {sum}, phải là 1"),
            format!("the shares of {key} add up to {sum}, must be 1"),
        )
        .field(
            format!("changes[{index}].weight"),
            "các phần phải cộng lại là 1",
            "the shares must add up to 1",
        )
        .into());
    }
    Ok(())
}

/// What units went into, as it is stored now, must not lead back to them.
async fn check_circles(tx: &mut PgConnection, changes: &[pb::UnitChange]) -> Result<()> {
    let steps = sqlx::query!("SELECT from_key, to_key FROM unit_change WHERE to_key <> ''");
    let steps = steps.fetch_all(tx).await?;
    let mut into: HashMap<&str, Vec<&str>> = HashMap::new();
    for step in &steps {
        into.entry(&step.from_key).or_default().push(&step.to_key);
    }
    for (index, change) in changes.iter().enumerate() {
        let mut reached = HashSet::new();
        let mut open = vec![change.to_key.as_str()];
        while let Some(key) = open.pop() {
            if key == change.from_key {
                return Err(Refusal::invalid(
                    format!("changes[{index}].to_key"),
                    "đơn vị không thể nhập vào chính nó, kể cả qua đơn vị khác",
                    "a unit cannot go into itself, not through others either",
                )
                .into());
            }
            if reached.insert(key) {
                open.extend(into.get(key).into_iter().flatten());
            }
        }
    }
    Ok(())
}

fn check_change(
    index: usize,
    change: &pb::UnitChange,
    keys: &HashSet<&str>,
) -> Result<(NaiveDate, &'static str, Decimal)> {
    let field = |name: &str| format!("changes[{index}].{name}");
    let day = date(&field("date"), &change.date)?;
    let kind = word(&CHANGE_KINDS, change.kind())
        .ok_or_else(|| Refusal::invalid(field("kind"), "chưa cho biết loại", "must be given"))?;
    let abolished = kind == "abolish";
    for (name, key, known) in [
        (
            "from_key",
            &change.from_key,
            keys.contains(change.from_key.as_str()),
        ),
        (
            "to_key",
            &change.to_key,
            keys.contains(change.to_key.as_str()) || (abolished && change.to_key.is_empty()),
        ),
    ] {
        if !known {
            return Err(Refusal::invalid(
                field(name),
                format!("không có đơn vị {key}"),
                format!("there is no unit {key}"),
            )
            .into());
        }
    }
    let weight = change
        .weight
        .parse::<Decimal>()
        .ok()
        .filter(|weight| (Decimal::ZERO..=Decimal::ONE).contains(weight))
        .ok_or_else(|| {
            Refusal::invalid(
                field("weight"),
                "phải là số thập phân từ 0 đến 1",
                "must be a decimal from 0 to 1",
            )
        })?;
    Ok((day, kind, weight))
}

/// The instant at which a unit's last day is over in the city.
pub fn end_of(last: NaiveDate) -> DateTime<Utc> {
    last.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(24 - 7)
}
