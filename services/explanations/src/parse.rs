//! From the wire into types that cannot be wrong, and back.

use chassis::Refusal;
use chrono::{DateTime, NaiveDate, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

/// Characters of a text at most.
const TEXT_LENGTH: usize = 4000;
/// Characters of a file's name at most.
const NAME_LENGTH: usize = 200;

/// An id.
pub fn id(field: &str, text: &str) -> Result<Uuid, Refusal> {
    Uuid::parse_str(text).map_err(|_| Refusal::invalid(field, "phải là một UUID", "must be a UUID"))
}

/// An id that may be absent.
pub fn optional_id(field: &str, text: &str) -> Result<Option<Uuid>, Refusal> {
    (!text.is_empty()).then(|| id(field, text)).transpose()
}

/// A text that must say something.
pub fn text(field: &str, text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid(
            field,
            "không được để trống",
            "must not be empty",
        ));
    }
    remark(field, text)
}

/// A text that may be empty.
pub fn remark(field: &str, text: &str) -> Result<String, Refusal> {
    if text.chars().count() > TEXT_LENGTH {
        return Err(Refusal::invalid(
            field,
            format!("dài nhất {TEXT_LENGTH} ký tự"),
            format!("must be at most {TEXT_LENGTH} characters long"),
        ));
    }
    // Postgres cannot store it, and nobody means it.
    Ok(text.replace('\0', "").trim().to_owned())
}

/// A time that may be absent.
pub fn optional_time(
    field: &str,
    time: Option<Timestamp>,
) -> Result<Option<DateTime<Utc>>, Refusal> {
    time.map(|time| {
        u32::try_from(time.nanos)
            .ok()
            .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
            .ok_or_else(|| {
                Refusal::invalid(field, "không phải thời điểm hợp lệ", "is not a valid time")
            })
    })
    .transpose()
}

/// A time.
pub fn time(field: &str, time: Option<Timestamp>) -> Result<DateTime<Utc>, Refusal> {
    optional_time(field, time)?
        .ok_or_else(|| Refusal::invalid(field, "không được để trống", "must be given"))
}

/// A date such as "2026-12-15".
pub fn date(field: &str, text: &str) -> Result<NaiveDate, Refusal> {
    text.parse().map_err(|_| {
        Refusal::invalid(
            field,
            "phải là ngày dạng 2026-12-15",
            "must be a date such as 2026-12-15",
        )
    })
}

/// The name of a file, without folders.
pub fn file_name(field: &str, name: &str) -> Result<String, Refusal> {
    let is_good = !name.trim().is_empty()
        && name.chars().count() <= NAME_LENGTH
        && !name
            .chars()
            .any(|c| c.is_control() || c == '/' || c == '\\');
    if is_good {
        return Ok(name.trim().to_owned());
    }
    Err(Refusal::invalid(
        field,
        format!("phải là tên tệp từ 1 đến {NAME_LENGTH} ký tự, không kèm thư mục"),
        format!("must be a file name of 1 to {NAME_LENGTH} characters, without folders"),
    ))
}

/// The version that an etag states.
pub fn etag(text: &str) -> Result<i32, Refusal> {
    text.parse().map_err(|_| {
        Refusal::invalid(
            "etag",
            "phải là etag của yêu cầu như lần đọc gần nhất",
            "must be the request's etag as last read",
        )
    })
}

/// A time for the wire.
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}
