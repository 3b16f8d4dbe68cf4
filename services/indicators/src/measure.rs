//! Units of measure in words.

/// Powers of ten before a unit.
const SCALES: [(&str, &str); 3] = [
    ("1e9 ", "billion "),
    ("1e6 ", "million "),
    ("1e3 ", "thousand "),
];

/// The code of a unit of measure spelled out in English: "1e3 person" is "thousand people".
pub fn english(code: &str) -> String {
    let scale = SCALES.iter().find(|(prefix, _)| code.starts_with(prefix));
    let (prefix, word) = scale.copied().unwrap_or_default();
    let unit = &code[prefix.len()..];
    let (unit, per) = match unit.strip_suffix("/1e4 person") {
        Some(unit) => (unit, " per 10,000 people"),
        None => (unit, ""),
    };
    let unit = match unit {
        "ug/m3" => "µg/m³".to_owned(),
        _ => plural(unit),
    };
    format!("{word}{unit}{per}")
}

/// The plural where a unit begins with a plain word, as in "child/woman" but not in "USD/person".
fn plural(unit: &str) -> String {
    let end = unit.find([' ', '/']).unwrap_or(unit.len());
    let (noun, rest) = unit.split_at(end);
    let noun = match noun {
        "person" => "people".to_owned(),
        "child" => "children".to_owned(),
        "min" => "minutes".to_owned(),
        word if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            format!("{word}s")
        }
        other => other.to_owned(),
    };
    noun + rest
}

#[cfg(test)]
mod tests {
    use super::english;

    #[test]
    fn codes_are_spelled_out() {
        for (code, words) in [
            ("1e9 VND", "billion VND"),
            ("1e3 person", "thousand people"),
            ("bed/1e4 person", "beds per 10,000 people"),
            ("child/woman", "children/woman"),
            ("USD/person", "USD/person"),
            ("enterprise", "enterprises"),
            ("min", "minutes"),
            ("ug/m3", "µg/m³"),
            ("%", "%"),
            ("", ""),
        ] {
            assert_eq!(english(code), words);
        }
    }
}
