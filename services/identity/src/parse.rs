//! What requests hold, parsed into types that cannot be wrong.

use chassis::Refusal;
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

pub fn id(field: &str, text: &str) -> Result<Uuid, Refusal> {
    text.parse()
        .map_err(|_| Refusal::invalid(field, "phải là một UUID", "must be a UUID"))
}

pub fn optional_id(field: &str, text: &str) -> Result<Option<Uuid>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    id(field, text).map(Some)
}

pub fn date(field: &str, text: &str) -> Result<NaiveDate, Refusal> {
    let date = text.parse().ok();
    let date = date.filter(|date: &NaiveDate| (1900..=9999).contains(&date.year()));
    date.ok_or_else(|| {
        Refusal::invalid(
            field,
            "phải là ngày dạng 2025-07-01, từ năm 1900 đến 9999",
            "must be a date like 2025-07-01, of a year from 1900 to 9999",
        )
    })
}

pub fn instant(field: &str, time: Timestamp) -> Result<DateTime<Utc>, Refusal> {
    u32::try_from(time.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
        .ok_or_else(|| Refusal::invalid(field, "thời điểm không hợp lệ", "time out of range"))
}

pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().cast_signed(),
    }
}

/// Lower case without Vietnamese marks, so that "quan 1" finds "Quận 1".
pub fn fold(text: &str) -> String {
    const LETTERS: [(char, &str); 7] = [
        ('a', "àáảãạăằắẳẵặâầấẩẫậ"),
        ('e', "èéẻẽẹêềếểễệ"),
        ('i', "ìíỉĩị"),
        ('o', "òóỏõọôồốổỗộơờớởỡợ"),
        ('u', "ùúủũụưừứửữự"),
        ('y', "ỳýỷỹỵ"),
        ('d', "đ"),
    ];
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|letter| !('\u{300}'..='\u{36f}').contains(letter))
        .map(|letter| {
            LETTERS
                .iter()
                .find(|(_, marked)| marked.contains(letter))
                .map_or(letter, |(plain, _)| *plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_case_are_folded() {
        assert_eq!(fold("Thành phố THỦ ĐỨC"), "thanh pho thu duc");
        // the same letters decomposed
        assert_eq!(fold("Qua\u{323}\u{302}n 1"), "quan 1");
    }
}
