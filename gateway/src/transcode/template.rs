//! Path templates of `google.api.http`: `/v1/units/{id}`, `/v1/forecasts/{indicator_id}/{unit_id}:check`.

use anyhow::{Context, bail};
use percent_encoding::percent_decode_str;

/// One part of a template between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text.
    Literal(String),
    /// One part of the path, for this field.
    Field(String),
    /// All that is left of the path, for this field.
    Rest(String),
}

/// A path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its parts.
    pub segments: Vec<Segment>,
    /// The verb after the last colon.
    pub verb: Option<String>,
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let path = text.strip_prefix('/').context("a path begins with /")?;
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) if !verb.contains(['/', '}']) => (path, Some(verb.to_owned())),
            _ => (path, None),
        };
        let segments = path
            .split('/')
            .map(segment)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let rest = segments
            .iter()
            .position(|segment| matches!(segment, Segment::Rest(_)));
        if rest.is_some_and(|index| index + 1 != segments.len()) {
            bail!("** must come last");
        }
        Ok(Self { segments, verb })
    }

    /// Matches a path; answers what its fields are, percent-decoded.
    #[must_use]
    pub fn matches<'a>(&'a self, path: &str) -> Option<Vec<(&'a str, String)>> {
        let mut path = path.strip_prefix('/')?;
        if let Some(verb) = &self.verb {
            path = path.strip_suffix(verb.as_str())?.strip_suffix(':')?;
        }
        let mut fields = Vec::new();
        let mut rest = Some(path);
        for segment in &self.segments {
            let whole = rest?;
            let (part, after) = match whole.split_once('/') {
                Some((part, after)) => (part, Some(after)),
                None => (whole, None),
            };
            match segment {
                Segment::Literal(text) if text == part => rest = after,
                Segment::Literal(_) => return None,
                Segment::Field(_) if part.is_empty() => return None,
                Segment::Field(field) => {
                    fields.push((field.as_str(), decode(part)?));
                    rest = after;
                }
                Segment::Rest(field) => {
                    fields.push((field.as_str(), decode(whole)?));
                    rest = None;
                }
            }
        }
        rest.is_none().then_some(fields)
    }

    /// The fields it fills.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Field(field) | Segment::Rest(field) => Some(field.as_str()),
        })
    }

    /// The more of it is fixed, the earlier it is tried.
    #[must_use]
    pub fn precedence(&self) -> (bool, usize) {
        let literals = self.segments.iter();
        let literals = literals.filter(|segment| matches!(segment, Segment::Literal(_)));
        (self.verb.is_some(), literals.count())
    }

    /// The path without the names of its fields: two templates of one shape match the same paths.
    #[must_use]
    pub fn shape(&self) -> String {
        let anonymous = self.segments.iter().map(|segment| match segment {
            Segment::Field(_) => Segment::Field(String::new()),
            Segment::Rest(_) => Segment::Rest(String::new()),
            literal @ Segment::Literal(_) => literal.clone(),
        });
        let anonymous = Self {
            segments: anonymous.collect(),
            verb: self.verb.clone(),
        };
        anonymous.display()
    }

    /// The path as OpenAPI writes it.
    #[must_use]
    pub fn display(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => text.push_str(&format!("/{literal}")),
                Segment::Field(field) | Segment::Rest(field) => {
                    text.push_str(&format!("/{{{field}}}"));
                }
            }
        }
        if let Some(verb) = &self.verb {
            text.push_str(&format!(":{verb}"));
        }
        text
    }
}

fn segment(text: &str) -> anyhow::Result<Segment> {
    let Some(inner) = text.strip_prefix('{') else {
        if text.is_empty() || text.contains(['{', '}', '*']) {
            bail!("{text:?} is no part of a path");
        }
        return Ok(Segment::Literal(text.to_owned()));
    };
    let inner = inner.strip_suffix('}').context("a { without }")?;
    match inner.split_once('=') {
        None | Some((_, "*")) => {
            let field = inner.split('=').next().unwrap_or_default();
            Ok(Segment::Field(field.to_owned()))
        }
        Some((field, "**")) => Ok(Segment::Rest(field.to_owned())),
        Some(_) => bail!("{text:?}: only {{field}}, {{field=*}} and {{field=**}} are known"),
    }
}

fn decode(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(template: &str, path: &str) -> Option<Vec<String>> {
        let template = Template::parse(template).unwrap();
        let fields = template.matches(path)?;
        Some(
            fields
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        )
    }

    #[test]
    fn paths_are_matched() {
        assert_eq!(fields("/v1/units/{id}", "/v1/units/7").unwrap(), ["id=7"]);
        assert_eq!(
            fields("/v1/f/{a}/{b.c}:check", "/v1/f/x/y:check").unwrap(),
            ["a=x", "b.c=y"]
        );
        assert!(
            fields("/v1/units:import", "/v1/units:import")
                .unwrap()
                .is_empty()
        );
        assert_eq!(fields("/v1/{name=**}", "/v1/a/b").unwrap(), ["name=a/b"]);
    }

    #[test]
    fn parts_are_decoded_after_they_are_split() {
        assert_eq!(
            fields("/v1/u/{id}", "/v1/u/a%2Fb%20%C4%91").unwrap(),
            ["id=a/b đ"]
        );
        assert_eq!(fields("/v1/u/{id}", "/v1/u/%FF"), None);
    }

    #[test]
    fn what_differs_does_not_match() {
        for path in [
            "/v1/units",
            "/v1/units/",
            "/v1/units/7/x",
            "/v1/unit/7",
            "v1/units/7",
        ] {
            assert_eq!(fields("/v1/units/{id}", path), None, "{path}");
        }
        assert_eq!(fields("/v1/x/{id}:close", "/v1/x/7:open"), None);
        assert_eq!(fields("/v1/x/{id}:close", "/v1/x/:close"), None);
    }

    #[test]
    fn malformed_templates_are_refused() {
        for text in [
            "v1",
            "/v1/{id",
            "/v1//x",
            "/v1/{a=**}/x",
            "/v1/{a=b/*}",
            "/v1/*",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
