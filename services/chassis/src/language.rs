//! The caller's language: taken from `accept-language` by the server, read wherever a text is made.

tokio::task_local! {
    static CURRENT: Language;
}

/// A language that texts are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Vietnamese, the default.
    #[default]
    Vi,
    /// English.
    En,
}

impl Language {
    /// Reads the first language of an `accept-language` header, or a plain code such as "en".
    #[must_use]
    pub fn parse(header: &str) -> Self {
        if header.trim_start().to_ascii_lowercase().starts_with("en") {
            Self::En
        } else {
            Self::Vi
        }
    }

    /// The language that a request asks for.
    #[must_use]
    pub fn of(headers: &http::HeaderMap) -> Self {
        headers
            .get(http::header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .map(Self::parse)
            .unwrap_or_default()
    }

    /// Its code, "vi" or "en".
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// Picks the text of this language.
    pub fn pick<T>(self, vi: T, en: T) -> T {
        match self {
            Self::Vi => vi,
            Self::En => en,
        }
    }

    /// Runs a future in which `current` answers this language.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Runs a closure (the poll of a stream) in which `current` answers this language.
    pub fn enter<T>(self, run: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, run)
    }
}

/// The language of the request being served; Vietnamese outside of one.
#[must_use]
pub fn current() -> Language {
    CURRENT.try_with(|language| *language).unwrap_or_default()
}

/// Picks the text in the language of the request being served.
pub fn say<T>(vi: T, en: T) -> T {
    current().pick(vi, en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_text_follows_the_header() {
        assert_eq!(say("vâng", "yes"), "vâng");
        let english = Language::parse("en-GB,vi;q=0.5");
        assert_eq!(english.scope(async { say("vâng", "yes") }).await, "yes");
        assert_eq!(Language::parse("fr"), Language::Vi);
    }
}
