//! Instants and enums between the wire and the code.

use chrono::{DateTime, Datelike, Utc};
use prost_types::Timestamp;

use crate::Refusal;

/// The years that instants may lie in. Postgres, the city's calendar and sums of days reach well beyond them.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=9999;

/// The instant of a field that must be present.
pub fn instant(field: &str, time: Option<Timestamp>) -> Result<DateTime<Utc>, Refusal> {
    let time =
        time.ok_or_else(|| Refusal::invalid(field, "không được để trống", "must be given"))?;
    in_range(time).ok_or_else(|| {
        Refusal::invalid(
            field,
            "phải là một thời điểm từ năm 1900 đến năm 9999",
            "must be an instant from the year 1900 to the year 9999",
        )
    })
}

/// The instant of a field that may be absent.
pub fn optional_instant(
    field: &str,
    time: Option<Timestamp>,
) -> Result<Option<DateTime<Utc>>, Refusal> {
    time.map(|time| instant(field, Some(time))).transpose()
}

/// An instant as the contract writes it.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // Within a leap second chrono counts on, which the contract does not know.
        nanos: time.timestamp_subsec_nanos().min(999_999_999).cast_signed(),
    }
}

/// The value of an enum, which may be the unspecified one, but not a number that has no name.
pub fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E, Refusal> {
    E::try_from(number).map_err(|_| {
        Refusal::invalid(
            field,
            format!("phải là một giá trị mà API định nghĩa, không phải {number}"),
            format!("must be one of the values that the API defines, not {number}"),
        )
    })
}

fn in_range(time: Timestamp) -> Option<DateTime<Utc>> {
    let nanos = u32::try_from(time.nanos).ok()?;
    let instant = DateTime::from_timestamp(time.seconds, nanos)?;
    (nanos < 1_000_000_000 && YEARS.contains(&instant.year())).then_some(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos })
    }

    #[test]
    fn an_instant_is_of_years_that_everything_can_reckon_with() {
        let now = Utc::now();
        assert_eq!(instant("from", Some(timestamp(now))).unwrap(), now);
        assert!(instant("from", at(-2_208_988_800, 0)).is_ok());
        assert!(instant("from", at(253_402_300_799, 999_999_999)).is_ok());
        for time in [
            None,
            at(-2_208_988_801, 0),
            at(253_402_300_800, 0),
            at(8_210_266_876_799, 0),
            at(i64::MAX, 0),
            at(0, -1),
            at(0, 1_000_000_000),
        ] {
            assert!(instant("from", time).is_err(), "{time:?}");
        }
        assert_eq!(optional_instant("from", None).unwrap(), None);
        assert!(optional_instant("from", at(i64::MIN, 0)).is_err());
    }
}
