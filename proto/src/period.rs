//! Calendar periods of the city: reading, writing and arithmetic.

use std::{fmt, str::FromStr};

use chrono::{Datelike, NaiveDate};

use crate::calendar::v1 as pb;
pub use crate::calendar::v1::Frequency;

/// A year, half, quarter or month. Periods of one frequency are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    frequency: Frequency,
    index: i32,
}

/// The text is not a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a period is written 2025, 2025-H1, 2025-Q3 or 2025-09")
    }
}

impl std::error::Error for Malformed {}

/// The earliest and the latest year that is read.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2199;

/// How many periods a year has; 0 when not given.
#[must_use]
pub fn per_year(frequency: Frequency) -> i32 {
    match frequency {
        Frequency::Month => 12,
        Frequency::Quarter => 4,
        Frequency::Half => 2,
        Frequency::Year => 1,
        Frequency::Unspecified => 0,
    }
}

impl Period {
    /// The period of a year, `number` from 1; nothing when there is no such period.
    #[must_use]
    pub fn new(frequency: Frequency, year: i32, number: i32) -> Option<Self> {
        let known = YEARS.contains(&year) && (1..=per_year(frequency)).contains(&number);
        known.then(|| Self::from_index(frequency, year * per_year(frequency) + number - 1))
    }

    /// The period with this `index`.
    #[must_use]
    pub fn from_index(frequency: Frequency, index: i32) -> Self {
        Self { frequency, index }
    }

    /// The period that a day falls in.
    #[must_use]
    pub fn containing(frequency: Frequency, day: NaiveDate) -> Self {
        let months = 12 / per_year(frequency).max(1);
        let number = day.month0().cast_signed() / months;
        Self::from_index(frequency, day.year() * per_year(frequency) + number)
    }

    /// How long it is.
    #[must_use]
    pub fn frequency(self) -> Frequency {
        self.frequency
    }

    /// Counts periods of its frequency: neighbours differ by 1.
    #[must_use]
    pub fn index(self) -> i32 {
        self.index
    }

    /// Its year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.index.div_euclid(per_year(self.frequency).max(1))
    }

    /// Its number within the year, from 1.
    #[must_use]
    pub fn number(self) -> i32 {
        self.index.rem_euclid(per_year(self.frequency).max(1)) + 1
    }

    /// The period that many later, or earlier when negative.
    #[must_use]
    pub fn plus(self, periods: i32) -> Self {
        Self::from_index(self.frequency, self.index + periods)
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus(1)
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        self.plus(-1)
    }

    /// The same period of the year before.
    #[must_use]
    pub fn year_before(self) -> Self {
        self.plus(-per_year(self.frequency))
    }

    /// Whether the year ends with it.
    #[must_use]
    pub fn ends_year(self) -> bool {
        self.number() == per_year(self.frequency)
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> NaiveDate {
        let month = (self.number() - 1) * (12 / per_year(self.frequency).max(1)) + 1;
        NaiveDate::from_ymd_opt(self.year(), month.unsigned_abs(), 1).unwrap_or_default()
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> NaiveDate {
        self.next().first_day().pred_opt().unwrap_or_default()
    }

    /// The periods of this frequency that lie in it, first and last; nothing when this frequency is longer.
    #[must_use]
    pub fn split(self, frequency: Frequency) -> Option<(Self, Self)> {
        let first = Self::containing(frequency, self.first_day());
        let last = Self::containing(frequency, self.last_day());
        let fits = first.first_day() == self.first_day() && last.last_day() == self.last_day();
        (frequency != Frequency::Unspecified && fits).then_some((first, last))
    }
}

impl FromStr for Period {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = |part: &str| {
            let all = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            all.then(|| part.parse::<i32>().ok()).flatten()
        };
        let (year, rest) = text.split_at_checked(4).ok_or(Malformed)?;
        let year = digits(year).ok_or(Malformed)?;
        let (frequency, number) = match rest.as_bytes() {
            [] => (Frequency::Year, Some(1)),
            [b'-', b'H', _] => (Frequency::Half, digits(&rest[2..])),
            [b'-', b'Q', _] => (Frequency::Quarter, digits(&rest[2..])),
            [b'-', b'0'..=b'9', _] => (Frequency::Month, digits(&rest[1..])),
            _ => return Err(Malformed),
        };
        number
            .and_then(|number| Self::new(frequency, year, number))
            .ok_or(Malformed)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, number) = (self.year(), self.number());
        match self.frequency {
            Frequency::Month => write!(f, "{year:04}-{number:02}"),
            Frequency::Quarter => write!(f, "{year:04}-Q{number}"),
            Frequency::Half => write!(f, "{year:04}-H{number}"),
            Frequency::Year | Frequency::Unspecified => write!(f, "{year:04}"),
        }
    }
}

impl From<Period> for pb::Period {
    fn from(period: Period) -> Self {
        Self {
            code: period.to_string(),
        }
    }
}

impl TryFrom<&pb::Period> for Period {
    type Error = Malformed;

    fn try_from(period: &pb::Period) -> Result<Self, Malformed> {
        period.code.parse()
    }
}

impl TryFrom<&Option<pb::Period>> for Period {
    type Error = Malformed;

    fn try_from(period: &Option<pb::Period>) -> Result<Self, Malformed> {
        period.as_ref().ok_or(Malformed)?.code.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for year in YEARS {
            for (frequency, count) in [
                (Frequency::Month, 12),
                (Frequency::Quarter, 4),
                (Frequency::Half, 2),
                (Frequency::Year, 1),
            ] {
                for number in 1..=count {
                    let made = Period::new(frequency, year, number).unwrap();
                    assert_eq!(period(&made.to_string()), made);
                    assert_eq!((made.year(), made.number()), (year, number));
                    assert_eq!(made.next().previous(), made);
                    assert_eq!(made.next().first_day(), made.last_day().succ_opt().unwrap());
                    assert_eq!(Period::containing(frequency, made.first_day()), made);
                    assert_eq!(Period::containing(frequency, made.last_day()), made);
                }
            }
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in [
            "",
            "25",
            "2025-",
            "2025-1",
            "2025-00",
            "2025-13",
            "2025-Q0",
            "2025-Q5",
            "2025-H3",
            "2025-q1",
            "2025-Q11",
            "+025",
            "1899",
            "2200",
            "2025-09-01",
            "2025 ",
            "2025-+1",
            "năm",
        ] {
            assert_eq!(text.parse::<Period>(), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn days_and_neighbours() {
        assert_eq!(
            period("2024-02").last_day(),
            NaiveDate::from_ymd_opt(2024, 2, 29).unwrap()
        );
        assert_eq!(period("2025-Q4").next(), period("2026-Q1"));
        assert_eq!(
            period("2025-H1").last_day(),
            NaiveDate::from_ymd_opt(2025, 6, 30).unwrap()
        );
        assert_eq!(period("2025-03").year_before(), period("2024-03"));
        assert!(period("2025-Q4").ends_year() && period("2025").ends_year());
        assert!(!period("2025-11").ends_year());
        assert!(period("2025-09") < period("2025-10"));
    }

    #[test]
    fn a_period_splits_into_shorter_ones() {
        assert_eq!(
            period("2025").split(Frequency::Month),
            Some((period("2025-01"), period("2025-12")))
        );
        assert_eq!(
            period("2025-H2").split(Frequency::Quarter),
            Some((period("2025-Q3"), period("2025-Q4")))
        );
        assert_eq!(
            period("2025-Q2").split(Frequency::Quarter),
            Some((period("2025-Q2"), period("2025-Q2")))
        );
        assert_eq!(period("2025-05").split(Frequency::Year), None);
    }
}
