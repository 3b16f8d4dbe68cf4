//! What ended units went into, told with an import of units and checked as a whole.

use std::collections::{HashMap, HashSet};

use chassis::Refusal;
use chrono::NaiveDate;
use proto::identity::v1 as pb;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tonic::Code;

use super::{CHANGE_KINDS, word};
use crate::{error::Result, parse::date};

/// Shares are measured to six places.
const TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// How a unit ends: on which day, and how much of it is accounted for, up to which entry.
struct End {
    day: NaiveDate,
    sum: Decimal,
    index: usize,
}

/// Keeps changes instead of those told before of the same old units; answers the keys of the units of which something else
/// is said now.
pub async fn write(
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

/// What was told of units that have or had an end moves with it, and goes when they have none any more; answers the keys of
/// the units that they went into.
pub async fn follow(
    tx: &mut PgConnection,
    ended: &[String],
    ends: &[Option<NaiveDate>],
) -> Result<Vec<String>> {
    let rows = sqlx::query_scalar!(
        r#"WITH n AS (SELECT * FROM unnest($1::text[], $2::date[]) AS n (key, last)),
            gone AS (DELETE FROM unit_change u USING n WHERE u.from_key = n.key AND n.last IS NULL RETURNING u.to_key),
            moved AS (UPDATE unit_change u SET date = n.last + 1 FROM n
                WHERE u.from_key = n.key AND u.date <> n.last + 1 RETURNING u.to_key)
         SELECT to_key AS "to_key!" FROM gone UNION SELECT to_key FROM moved"#,
        ended,
        ends as &[Option<NaiveDate>]
    );
    Ok(rows.fetch_all(tx).await?)
}

/// What units went into must exist on that day.
pub async fn check_existence(
    tx: &mut PgConnection,
    request: &pb::ImportUnitsRequest,
) -> Result<()> {
    let told = request.changes.iter().map(|change| &change.from_key);
    let keys: Vec<String> = request
        .units
        .iter()
        .map(|unit| &unit.key)
        .chain(told)
        .cloned()
        .collect();
    let wrong = sqlx::query!(
        r#"SELECT c.date, c.from_key, c.to_key, c.date < u.valid_from AS "is_early!"
         FROM unit_change c JOIN unit u ON u.key = c.to_key
         WHERE (c.from_key = ANY($1) OR c.to_key = ANY($1))
            AND (c.date < u.valid_from OR c.date > u.valid_to)
         ORDER BY c.from_key, c.to_key LIMIT 1"#,
        &keys
    );
    let Some(wrong) = wrong.fetch_optional(tx).await? else {
        return Ok(());
    };
    let mut changes = request.changes.iter();
    let told = changes
        .position(|change| (&change.from_key, &change.to_key) == (&wrong.from_key, &wrong.to_key));
    let unit = |key: &String| request.units.iter().position(|unit| unit.key == *key);
    let field = match (told, unit(&wrong.to_key), unit(&wrong.from_key)) {
        (Some(index), _, _) => format!("changes[{index}].to_key"),
        (_, Some(index), _) if wrong.is_early => format!("units[{index}].valid_from"),
        (_, Some(index), _) | (_, None, Some(index)) => format!("units[{index}].valid_to"),
        (None, None, None) => "units".to_owned(),
    };
    let (from, to, day) = (wrong.from_key, wrong.to_key, wrong.date);
    Err(Refusal::invalid(
        field,
        format!("{from} nhập vào {to} ngày {day}, nhưng ngày đó không có đơn vị {to}"),
        format!("{from} goes into {to} on {day}, but there is no {to} on that day"),
    )
    .into())
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
        .filter(|weight| Decimal::ZERO < *weight && *weight <= Decimal::ONE)
        .ok_or_else(|| {
            Refusal::invalid(
                field("weight"),
                "phải là số thập phân lớn hơn 0, không quá 1",
                "must be a decimal above 0 and at most 1",
            )
        })?;
    if kind == "rename" && weight != Decimal::ONE {
        return Err(Refusal::invalid(
            field("weight"),
            "phải là 1: đổi tên là đổi cả đơn vị",
            "must be 1: a rename is of the whole unit",
        )
        .into());
    }
    Ok((day, kind, weight))
}
