//! Texts: their limits, tracking codes, and folding for search.

use rand::Rng;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::error::Error;

/// Takes a line of `least` to `most` characters, trimmed and composed (NFC).
pub fn line(
    field: impl Into<String>,
    text: &str,
    least: usize,
    most: usize,
) -> Result<String, Error> {
    take(field, text, least, most, &[])
}

/// Takes a text of `least` to `most` characters, which may have several lines, trimmed and composed (NFC).
pub fn passage(
    field: impl Into<String>,
    text: &str,
    least: usize,
    most: usize,
) -> Result<String, Error> {
    take(
        field,
        &text.replace("\r\n", "\n"),
        least,
        most,
        &['\n', '\t'],
    )
}

fn take(
    field: impl Into<String>,
    text: &str,
    least: usize,
    most: usize,
    allowed: &[char],
) -> Result<String, Error> {
    let text: String = text.trim().nfc().collect();
    // Postgres cannot store NUL, and nobody types the others.
    if text
        .chars()
        .any(|letter| letter.is_control() && !allowed.contains(&letter))
    {
        return Err(Error::invalid(
            field,
            "không được chứa ký tự điều khiển",
            "must not contain control characters",
        ));
    }
    let length = text.chars().count();
    if (least..=most).contains(&length) {
        return Ok(text);
    }
    Err(Error::invalid(
        field,
        format!("phải từ {least} đến {most} ký tự, đang có {length}"),
        format!("must be {least} to {most} characters, has {length}"),
    ))
}

/// Without marks and case, so that "phan anh" finds "Phản ánh".
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfd()
        .filter(|letter| !is_combining_mark(*letter))
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'đ' { 'd' } else { letter })
        .collect()
}

/// A new tracking code: 60 random bits in letters and digits that are not mistaken for each other.
#[must_use]
pub fn tracking_code() -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bytes = [0_u8; 12];
    rand::rng().fill_bytes(&mut bytes);
    let code: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    code.chunks(4)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join("-")
}

/// A tracking code as people type it: any case, with or without dashes, O for 0, I and L for 1.
#[must_use]
pub fn read_tracking_code(typed: &str) -> String {
    let plain: Vec<char> = typed
        .to_ascii_uppercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| match letter {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    plain
        .chunks(4)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_case_fold() {
        assert_eq!(fold("Đường NGẬP nước"), "duong ngap nuoc");
        // Composed and decomposed letters are the same.
        assert_eq!(fold("e\u{302}\u{301}"), fold("ế"));
    }

    #[test]
    fn a_code_is_read_as_it_is_typed() {
        let code = tracking_code();
        assert_eq!(code.len(), 14);
        assert_eq!(
            read_tracking_code(&code.to_lowercase().replace('-', " ")),
            code
        );
        assert_eq!(read_tracking_code("o1il-2345-6789"), "0111-2345-6789");
    }

    #[test]
    fn length_counts_characters() {
        assert_eq!(line("title", "  ngập nước  ", 5, 9).unwrap(), "ngập nước");
        assert!(line("title", "ngập", 5, 9).is_err());
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(passage("body", "a\r\n\tb\n", 0, 9).unwrap(), "a\n\tb");
        for text in ["a\0b", "a\rb", "a\u{1b}b", "a\u{85}b"] {
            assert!(passage("body", text, 0, 9).is_err(), "{text:?}");
        }
        for text in ["a\0b", "a\nb", "a\tb"] {
            assert!(line("title", text, 0, 9).is_err(), "{text:?}");
        }
    }
}
