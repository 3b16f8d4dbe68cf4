//! What notices and mails say: templates in both languages, filled in. Pure.

use std::{collections::BTreeMap, sync::LazyLock};

use chassis::{calendar::city_time, language::Language};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The texts of notices, by what happened.
static TEXTS: LazyLock<BTreeMap<String, Texts>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../templates/texts.json"))
        .expect("the embedded texts are checked by a test")
});

const MAIL_TEXT: (&str, &str) = (
    include_str!("../templates/mail.vi.txt"),
    include_str!("../templates/mail.en.txt"),
);
const MAIL_HTML: (&str, &str) = (
    include_str!("../templates/mail.vi.html"),
    include_str!("../templates/mail.en.html"),
);

#[derive(Debug, Deserialize)]
struct Texts {
    vi: Text,
    en: Text,
}

/// A title and a body.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Text {
    pub title: String,
    pub body: String,
}

/// What is filled in, in Vietnamese and English.
pub type Values = BTreeMap<&'static str, (String, String)>;

/// The text of a notice.
pub fn notice(key: &str, values: &Values, language: Language) -> anyhow::Result<Text> {
    let texts = TEXTS
        .get(key)
        .ok_or_else(|| anyhow::anyhow!("no text for {key}"))?;
    let text = language.pick(&texts.vi, &texts.en);
    let value = |name: &str| {
        values
            .get(name)
            .map(|(vi, en)| language.pick(vi, en).clone())
    };
    Ok(Text {
        title: fill(&text.title, &value),
        body: fill(&text.body, &value),
    })
}

/// The plain and the HTML form of a mail.
pub fn mail(text: &Text, name: &str, link: &str, language: Language) -> (String, String) {
    let value = |key: &str| match key {
        "title" => Some(text.title.clone()),
        "body" => Some(text.body.clone()),
        "name" => Some(name.to_owned()),
        "link" => Some(link.to_owned()),
        _ => None,
    };
    let plain = fill(language.pick(MAIL_TEXT.0, MAIL_TEXT.1), &value);
    let html = fill(language.pick(MAIL_HTML.0, MAIL_HTML.1), &|key| {
        value(key).map(|value| escape(&value))
    });
    (plain, html)
}

/// Replaces each `{name}`. What is filled in is never looked at again; a name without value stays as it is.
fn fill(template: &str, value: &impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        text.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let found = after
            .find('}')
            .and_then(|end| value(&after[..end]).map(|value| (end, value)));
        match found {
            Some((end, value)) => {
                text.push_str(&value);
                rest = &after[end + 1..];
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A time as people of the city read it, in Vietnamese and English.
pub fn time(time: DateTime<Utc>) -> (String, String) {
    let local = city_time(time);
    (
        local.format("%H:%M ngày %d/%m/%Y").to_string(),
        local.format("%H:%M on %-d %B %Y").to_string(),
    )
}

/// A value that reads the same in both languages.
pub fn same(text: impl Into<String>) -> (String, String) {
    let text = text.into();
    (text.clone(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name that some consumer fills in.
    const NAMES: [&str; 8] = [
        "code",
        "indicator",
        "unit",
        "actor",
        "deadline",
        "wanted",
        "category",
        "period",
    ];

    #[test]
    fn every_text_is_filled_in_completely() {
        let values: Values = NAMES.iter().map(|name| (*name, same("x"))).collect();
        for key in TEXTS.keys() {
            for language in [Language::Vi, Language::En] {
                let text = notice(key, &values, language).unwrap();
                for text in [text.title, text.body] {
                    assert!(!text.is_empty() && !text.contains('{'), "{key}: {text}");
                }
            }
        }
        assert!(notice("unknown", &values, Language::Vi).is_err());
    }

    #[test]
    fn values_are_not_templates_and_not_markup() {
        let text = Text {
            title: "<b>{link}".to_owned(),
            body: "a & b".to_owned(),
        };
        let (plain, html) = mail(&text, "An", "https://x/y", Language::En);
        assert!(plain.starts_with("Dear An,\n\na & b\n"));
        assert!(html.contains("&lt;b&gt;{link}"));
        assert!(html.contains("href=\"https://x/y\""));
        assert!(html.contains("a &amp; b"));
        let (plain, html) = mail(&text, "An", "https://x/y", Language::Vi);
        assert!(plain.starts_with("Kính gửi An,"));
        assert!(html.contains("lang=\"vi\""));
    }

    #[test]
    fn times_are_the_citys() {
        let (vi, en) = time("2026-11-26T17:30:00Z".parse().unwrap());
        assert_eq!(vi, "00:30 ngày 27/11/2026");
        assert_eq!(en, "00:30 on 27 November 2026");
    }
}
