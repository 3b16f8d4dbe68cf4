//! Numbers as people type them, in Vietnamese and in English style. What can be read in two ways is refused.

use rust_decimal::Decimal;

/// Longer texts are not numbers that anybody reports.
const LONGEST: usize = 40;

/// Why a text is not taken as a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is no number.
    NotANumber,
    /// It has more digits than can be kept.
    TooLong,
    /// It is one number with thousands and another with decimals.
    Ambiguous {
        /// The reading with a thousands separator.
        thousands: Decimal,
        /// The reading with a decimal separator.
        decimals: Decimal,
    },
}

/// Reads "415.000", "8,03", "8.03", "1 234,5", "1.234.567,8", "-3", and "12%" where the measure is per cent.
///
/// One separator before exactly three digits is ambiguous ("1.234"), unless they are "000", which nobody types as
/// decimals, or what stands before is no group of thousands ("0,125", "1234.567").
pub fn parse(text: &str, is_percent: bool) -> Result<Decimal, Problem> {
    let text = text.trim();
    if text.chars().count() > LONGEST {
        return Err(Problem::TooLong);
    }
    let text = match text.strip_suffix('%') {
        Some(rest) if is_percent => rest.trim_end(),
        Some(_) => return Err(Problem::NotANumber),
        None => text,
    };
    let (negative, text) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let sign = |value: Decimal| if negative { -value } else { value };
    match unsigned(text) {
        Ok(value) => Ok(sign(value)),
        Err(Problem::Ambiguous {
            thousands,
            decimals,
        }) => Err(Problem::Ambiguous {
            thousands: sign(thousands),
            decimals: sign(decimals),
        }),
        Err(problem) => Err(problem),
    }
}

fn unsigned(text: &str) -> Result<Decimal, Problem> {
    // Every kind of blank that Excel and word processors put between groups.
    let blanks = |c| matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}');
    let text = text.replace(blanks, " ");
    let separators: Vec<char> = text.chars().filter(|c| !c.is_ascii_digit()).collect();
    let Some(&last) = separators.last() else {
        return number(&text, "");
    };
    if !separators.iter().all(|c| matches!(c, '.' | ',' | ' ')) {
        return Err(Problem::NotANumber);
    }
    let is_only = separators.iter().filter(|c| **c == last).count() == 1;
    if last == ' ' || !is_only {
        return number(&ungroup(&text, last)?, "");
    }
    let (whole, fraction) = text.rsplit_once(last).ok_or(Problem::NotANumber)?;
    if fraction.is_empty() || whole.is_empty() {
        return Err(Problem::NotANumber);
    }
    if let Some(&group) = separators.first().filter(|first| **first != last) {
        return number(&ungroup(whole, group)?, fraction);
    }
    match ungroup(&text, last) {
        Ok(joined) if fraction == "000" => number(&joined, ""),
        Ok(joined) => Err(Problem::Ambiguous {
            thousands: number(&joined, "")?,
            decimals: number(whole, fraction)?,
        }),
        Err(_) => number(whole, fraction),
    }
}

/// Joins groups of thousands: one to three digits without a leading zero, then exactly three each.
fn ungroup(text: &str, separator: char) -> Result<String, Problem> {
    let mut groups = text.split(separator);
    let first = groups.next().unwrap_or_default();
    let is_grouped = (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3)
        && text.chars().all(|c| c == separator || c.is_ascii_digit());
    is_grouped
        .then(|| text.replace(separator, ""))
        .ok_or(Problem::NotANumber)
}

fn number(whole: &str, fraction: &str) -> Result<Decimal, Problem> {
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(Problem::NotANumber);
    }
    Decimal::from_str_exact(&format!("{whole}.{fraction}0")).map_err(|_| Problem::TooLong)?;
    let text = if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    };
    Decimal::from_str_exact(&text).map_err(|_| Problem::TooLong)
}

/// Writes a number as Vietnamese readers expect it: "1.234.567,8".
#[must_use]
pub fn vietnamese(value: Decimal) -> String {
    written(value, '.', ',')
}

/// Writes a number as English readers expect it: "1,234,567.8".
#[must_use]
pub fn english(value: Decimal) -> String {
    written(value, ',', '.')
}

fn written(value: Decimal, group: char, point: char) -> String {
    let text = value.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value.is_sign_negative() && !value.is_zero() {
        out.push('-');
    }
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(group);
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push(point);
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn both_styles_are_read() {
        for (text, value) in [
            ("415.000", "415000"),
            ("415,000", "415000"),
            ("8,03", "8.03"),
            ("8.03", "8.03"),
            ("1234", "1234"),
            ("1 234,5", "1234.5"),
            ("1 234", "1234"),
            ("1\u{a0}234\u{202f}567,89", "1234567.89"),
            ("1.234.567,8", "1234567.8"),
            ("1,234,567.8", "1234567.8"),
            ("1.234,567", "1234.567"),
            ("1,234.567", "1234.567"),
            ("1.234.567", "1234567"),
            ("-3", "-3"),
            ("\u{2212}3,5", "-3.5"),
            ("+7", "7"),
            ("  42\n", "42"),
            ("0,125", "0.125"),
            ("0.125", "0.125"),
            ("1234.567", "1234.567"),
            ("1.2345", "1.2345"),
            ("007", "7"),
            ("0", "0"),
        ] {
            assert_eq!(parse(text, false), Ok(decimal(value)), "{text:?}");
        }
    }

    #[test]
    fn per_cent_is_read_where_that_is_the_measure() {
        assert_eq!(parse("12%", true), Ok(decimal("12")));
        assert_eq!(parse("8,03 %", true), Ok(decimal("8.03")));
        assert_eq!(parse("12%", false), Err(Problem::NotANumber));
    }

    #[test]
    fn text_is_refused() {
        for text in [
            "",
            " ",
            "-",
            "abc",
            "12a",
            "1e5",
            "1.2.3",
            "1,23,456",
            "12.34.567",
            "1.234,5,6",
            ".5",
            "5.",
            "1..2",
            "--1",
            "1-",
            "1 23",
            "0.123.456",
            "1.234.56",
            "½",
            "١٢",
            "%",
            "1,234 567",
            "NaN",
            "12 %%",
            "1.234.5678,1",
            "1 234.567,8",
        ] {
            assert_eq!(parse(text, true), Err(Problem::NotANumber), "{text:?}");
        }
        assert_eq!(parse(&"9".repeat(35), false), Err(Problem::TooLong));
        assert_eq!(parse(&"9".repeat(99), false), Err(Problem::TooLong));
    }

    #[test]
    fn two_readings_are_both_named() {
        for text in ["1.234", "1,234"] {
            assert_eq!(
                parse(text, false),
                Err(Problem::Ambiguous {
                    thousands: decimal("1234"),
                    decimals: decimal("1.234"),
                })
            );
        }
        let Err(Problem::Ambiguous {
            thousands,
            decimals,
        }) = parse("-12.345", false)
        else {
            panic!("not ambiguous");
        };
        assert_eq!(
            (thousands, decimals),
            (decimal("-12345"), decimal("-12.345"))
        );
    }

    #[test]
    fn whatever_is_written_is_read_back_or_ambiguous() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..50_000 {
            let bound = 10_i64.pow(random.random_range(1..=18));
            let scale = random.random_range(0..=6);
            let value = Decimal::new(random.random_range(-bound..bound), scale);
            for text in [
                value.to_string(),
                value.to_string().replace('.', ","),
                vietnamese(value),
                english(value),
                vietnamese(value).replace('.', " "),
            ] {
                match parse(&text, false) {
                    Ok(read) => {
                        let zeros = value.fract().is_zero() && value.scale() == 3;
                        assert!(read == value || zeros, "{text}: {read}");
                    }
                    Err(Problem::Ambiguous {
                        thousands,
                        decimals,
                    }) => {
                        assert!(thousands == value || decimals == value, "{text}");
                        assert_ne!(thousands, decimals);
                    }
                    Err(problem) => panic!("{text}: {problem:?}"),
                }
            }
        }
    }

    #[test]
    fn no_text_panics() {
        let mut random = StdRng::seed_from_u64(2);
        let alphabet: Vec<char> = "0123456789.,- %+\u{a0}\u{2212}aế".chars().collect();
        for _ in 0..100_000 {
            let length = random.random_range(0..12);
            let text: String = (0..length)
                .map(|_| alphabet[random.random_range(0..alphabet.len())])
                .collect();
            let _ = parse(&text, random.random());
        }
    }
}
