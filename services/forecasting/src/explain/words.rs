//! How numbers and chances are written.

use chassis::language::Language::{self, En, Vi};

/// A decimal as people write it: "−1.234,5" in Vietnamese, "−1,234.5" in English.
#[must_use]
pub fn written(language: Language, decimal: &str) -> String {
    let (separator, point) = match language {
        Vi => ('.', ','),
        En => (',', '.'),
    };
    let (sign, digits) = match decimal.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", decimal),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = sign.to_owned();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        out.push(point);
        out.push_str(fraction);
    }
    out
}

/// "enterprise" for "enterprises": the noun as its code has it.
pub fn singular(measure: &str, code: &str) -> String {
    let noun = |text: &str| text.find([' ', '/']).unwrap_or(text.len());
    let has_noun = code.starts_with(|letter: char| letter.is_ascii_lowercase());
    match has_noun {
        true => format!("{}{}", &code[..noun(code)], &measure[noun(measure)..]),
        false => measure.to_owned(),
    }
}

/// Never 0 or 100.
pub fn percent(probability: f64) -> String {
    if probability < 0.01 {
        "< 1%".to_owned()
    } else if probability > 0.99 {
        "> 99%".to_owned()
    } else {
        format!("{:.0}%", probability * 100.0)
    }
}

pub fn words(language: Language, probability: f64) -> &'static str {
    let (vi, en) = match probability {
        p if p < 0.1 => ("rất khó đạt", "very unlikely"),
        p if p < 0.35 => ("khó đạt", "unlikely"),
        p if p < 0.65 => ("chưa chắc chắn", "uncertain"),
        p if p < 0.9 => ("có khả năng đạt", "likely"),
        _ => ("gần như chắc đạt", "almost certain"),
    };
    match language {
        Vi => vi,
        En => en,
    }
}

pub fn uncapital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(written(Vi, "-1234567.50"), "\u{2212}1.234.567,5");
        assert_eq!(written(En, "1234567.00"), "1,234,567");
        assert_eq!(written(En, "999"), "999");
        assert_eq!(written(Vi, ""), "");
    }

    #[test]
    fn one_is_not_several() {
        assert_eq!(
            singular("beds per 10,000 people", "bed/1e4 person"),
            "bed per 10,000 people"
        );
        assert_eq!(singular("million USD", "1e6 USD"), "million USD");
    }
}
