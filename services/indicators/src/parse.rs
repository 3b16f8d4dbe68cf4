//! Fields of requests, read into types that cannot be wrong.

use std::{sync::Arc, time::Duration};

use chassis::directory::{Directory, Unit};
use chrono::{DateTime, NaiveDate, Utc};
use proto::{calendar::v1 as calendar, identity::v1::UnitKind, period::Period};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::error::Error;

/// How long news of a new unit is waited for.
const NEWS: Duration = Duration::from_secs(2);
/// How many units a refusal names at most.
const SUCCESSORS: usize = 5;

/// Reads an id.
pub fn id(field: &str, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text)
        .map_err(|_| Error::invalid(field, "phải là một mã UUID", "must be a UUID"))
}

/// Reads an id that may be absent.
pub fn optional_id(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    (!text.is_empty()).then(|| id(field, text)).transpose()
}

/// Reads a decimal as the contract writes it: "-8.03".
pub fn decimal(field: &str, text: &str) -> Result<Decimal, Error> {
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    let value = is_plain.then(|| Decimal::from_str_exact(text).ok());
    value.flatten().ok_or_else(|| {
        Error::invalid(
            field,
            "phải là một số thập phân như 8.03",
            "must be a decimal such as 8.03",
        )
    })
}

/// Reads a decimal that may be absent.
pub fn optional_decimal(field: &str, text: &str) -> Result<Option<Decimal>, Error> {
    (!text.is_empty()).then(|| decimal(field, text)).transpose()
}

/// Reads a period.
pub fn period(field: &str, period: &Option<calendar::Period>) -> Result<Period, Error> {
    Period::try_from(period).map_err(|_| {
        Error::invalid(
            field,
            "phải là một kỳ như 2025, 2025-H1, 2025-Q3 hoặc 2025-09",
            "must be a period such as 2025, 2025-H1, 2025-Q3 or 2025-09",
        )
    })
}

/// Refuses a period that nobody can have figures of yet.
pub fn demand_begun(field: &str, period: Period, today: NaiveDate) -> Result<(), Error> {
    if period.first_day() <= today {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        "kỳ này chưa bắt đầu",
        "this period has not begun",
    ))
}

/// Refuses a period that began after its unit had ended, and names the units whose figures it belongs to.
pub fn demand_lasting(
    field: &str,
    directory: &Directory,
    unit_id: Uuid,
    period: Period,
) -> Result<(), Error> {
    let ended = directory.unit(unit_id).and_then(|unit| unit.valid_to);
    let Some(last) = ended.filter(|last| *last < period.first_day()) else {
        return Ok(());
    };
    let came_from = |unit: &&Arc<Unit>| unit.predecessors.iter().any(|(id, _)| *id == unit_id);
    let units = directory.units();
    let names = |name: fn(&Unit) -> &str| -> String {
        let all = units.iter().filter(came_from);
        let names: Vec<&str> = all.map(|unit| name(unit)).take(SUCCESSORS).collect();
        names.join(", ")
    };
    let (vi, en) = (names(|unit| &unit.name_vi), names(|unit| &unit.name_en));
    let (mut text_vi, mut text_en) = (
        format!("đơn vị đã kết thúc ngày {}", last.format("%d/%m/%Y")),
        format!("the unit ended on {}", last.format("%-d %B %Y")),
    );
    if !vi.is_empty() {
        text_vi += &format!("; từ đó là số của {vi}");
        text_en += &format!("; since then it is a figure of {en}");
    }
    Err(Error::invalid(field, text_vi, text_en))
}

/// Reads a time that may be absent.
pub fn optional_time(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<DateTime<Utc>>, Error> {
    chassis::parse::optional_instant(field, time).map_err(|_| {
        Error::invalid(
            field,
            "phải là một thời điểm từ năm 1900 đến năm 9999",
            "must be an instant from the year 1900 to the year 9999",
        )
    })
}

/// Reads a text of limited length. Postgres cannot hold NUL, and nobody types the other control characters.
pub fn text<'a>(field: &str, text: &'a str, least: usize, most: usize) -> Result<&'a str, Error> {
    let text = text.trim();
    let is_typed = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t');
    if !text.chars().all(is_typed) {
        return Err(Error::invalid(
            field,
            "không được chứa ký tự điều khiển",
            "must not contain control characters",
        ));
    }
    if (least..=most).contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(Error::invalid(
        field,
        format!("phải dài từ {least} đến {most} ký tự"),
        format!("must have {least} to {most} characters"),
    ))
}

/// Reads an enum value, which must be given; answers its name.
pub fn name<E: TryFrom<i32>>(
    field: &str,
    value: i32,
    name: impl Fn(&E) -> &'static str,
) -> Result<String, Error> {
    let value = E::try_from(value).ok().filter(|_| value != 0);
    value
        .map(|value| name(&value).to_owned())
        .ok_or_else(|| Error::invalid(field, "phải được chọn", "must be given"))
}

/// The unit of a figure, and whether the indicator's owner answers for it instead of the unit itself.
pub fn unit(directory: &Directory, field: &str, text: &str) -> Result<(Uuid, bool), Error> {
    let id = id(field, text)?;
    let unit = directory
        .unit(id)
        .ok_or_else(|| Error::invalid(field, "không có đơn vị này", "there is no such unit"))?;
    Ok((id, answered_by_owner(&unit)))
}

/// Waits a little for units that are not known yet: news of one that was just made may still be on its way from
/// identity.
pub async fn await_units(directory: &Directory, units: impl Iterator<Item = &str> + Clone) {
    let is_unknown = |text: &str| {
        let id = Uuid::parse_str(text);
        id.is_ok_and(|id| directory.unit(id).is_none())
    };
    let waiting = async {
        while units.clone().any(is_unknown) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Whoever is not known by then is refused with the entry named.
    let _ = tokio::time::timeout(NEWS, waiting).await;
}

fn answered_by_owner(unit: &Unit) -> bool {
    matches!(unit.kind, UnitKind::City | UnitKind::Country)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimals_are_read() {
        assert_eq!(decimal("v", "-8.03").unwrap().to_string(), "-8.03");
        for text in [
            "", "8,03", "1e5", "1_000", "--1", "1.2.3", "+1", "NaN", " 1",
        ] {
            assert!(decimal("v", text).is_err(), "{text:?}");
        }
        assert!(decimal("v", &"9".repeat(40)).is_err());
    }
}
