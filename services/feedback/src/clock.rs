//! The two clocks: minutes to route, working days to answer. Days are the city's.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};

/// The city keeps UTC+7 all year.
const CITY_OFFSET: TimeDelta = TimeDelta::hours(7);
/// Office hours end at 17:00.
const CLOSING: NaiveTime = NaiveTime::from_hms_opt(17, 0, 0).expect("a time of the day");

/// The end of office hours of the `days`-th working day after the day of `from`.
#[must_use]
pub fn after_working_days(
    from: DateTime<Utc>,
    days: i32,
    holidays: &BTreeSet<NaiveDate>,
) -> DateTime<Utc> {
    let mut date = (from + CITY_OFFSET).date_naive();
    let mut left = days;
    while left > 0 {
        date = date
            .checked_add_days(Days::new(1))
            .unwrap_or(NaiveDate::MAX);
        if is_working_day(date, holidays) {
            left -= 1;
        }
    }
    date.and_time(CLOSING).and_utc() - CITY_OFFSET
}

fn is_working_day(date: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> bool {
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !holidays.contains(&date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn weekends_do_not_count() {
        // Friday 20 November 2026, 10:00 in the city.
        let due = after_working_days(time("2026-11-20T03:00:00Z"), 5, &BTreeSet::new());
        assert_eq!(due, time("2026-11-27T10:00:00Z"));
    }

    #[test]
    fn the_day_is_the_citys() {
        // 23:30 UTC on Sunday is Monday morning in the city.
        let due = after_working_days(time("2026-11-22T23:30:00Z"), 1, &BTreeSet::new());
        assert_eq!(due, time("2026-11-24T10:00:00Z"));
    }

    #[test]
    fn holidays_do_not_count() {
        let tet: BTreeSet<NaiveDate> = (15..=20)
            .map(|day| NaiveDate::from_ymd_opt(2026, 2, day).unwrap())
            .collect();
        let due = after_working_days(time("2026-02-13T03:00:00Z"), 1, &tet);
        assert_eq!(due, time("2026-02-23T10:00:00Z"));
    }
}
