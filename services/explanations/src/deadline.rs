//! Deadlines: working days of the city's offices, and how far ahead a deadline may lie. Pure.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday,
};

/// Working days that are proposed.
pub const PROPOSED: [u32; 4] = [1, 3, 5, 10];
/// A deadline lies at most this far ahead.
pub const FURTHEST: TimeDelta = TimeDelta::days(60);
/// The end of office hours.
const CLOSING_HOUR: u32 = 17;
/// Vietnam has been at UTC+7 without daylight saving since 1975.
const CITY_OFFSET: i32 = 7 * 3600;

fn city() -> FixedOffset {
    FixedOffset::east_opt(CITY_OFFSET).expect("seven hours are less than a day")
}

fn is_working_day(date: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> bool {
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !holidays.contains(&date)
}

/// The end of office hours after so many working days, today not counted.
pub fn after_working_days(
    now: DateTime<Utc>,
    days: u32,
    holidays: &BTreeSet<NaiveDate>,
) -> DateTime<Utc> {
    let mut date = now.with_timezone(&city()).date_naive();
    let mut left = days;
    while left > 0 {
        date = date + Days::new(1);
        if is_working_day(date, holidays) {
            left -= 1;
        }
    }
    let closing = NaiveTime::from_hms_opt(CLOSING_HOUR, 0, 0).expect("a time of day");
    date.and_time(closing)
        .and_local_timezone(city())
        .single()
        .expect("a fixed offset has no gaps")
        .to_utc()
}

/// Whether a deadline lies in the future, and not too far.
pub fn is_within_reach(deadline: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < deadline && deadline <= now + FURTHEST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn days(dates: &[&str]) -> BTreeSet<NaiveDate> {
        dates.iter().map(|date| date.parse().unwrap()).collect()
    }

    #[test]
    fn weekends_and_holidays_do_not_count() {
        let none = BTreeSet::new();
        // Friday morning; Monday evening.
        let friday = instant("2026-11-20T03:00:00Z");
        assert_eq!(
            after_working_days(friday, 1, &none),
            instant("2026-11-23T10:00:00Z")
        );
        assert_eq!(
            after_working_days(friday, 5, &none),
            instant("2026-11-27T10:00:00Z")
        );

        // Over Tet 2026: 16 to 20 February are off.
        let tet = days(&[
            "2026-02-16",
            "2026-02-17",
            "2026-02-18",
            "2026-02-19",
            "2026-02-20",
        ]);
        let before = instant("2026-02-13T03:00:00Z");
        assert_eq!(
            after_working_days(before, 1, &tet),
            instant("2026-02-23T10:00:00Z")
        );
    }

    #[test]
    fn the_day_is_the_citys() {
        // Thursday 22:00 in the city is still Thursday in UTC; Friday 00:30 is not.
        let none = BTreeSet::new();
        let thursday = instant("2026-11-19T15:00:00Z");
        assert_eq!(
            after_working_days(thursday, 1, &none),
            instant("2026-11-20T10:00:00Z")
        );
        let friday = instant("2026-11-19T17:30:00Z");
        assert_eq!(
            after_working_days(friday, 1, &none),
            instant("2026-11-23T10:00:00Z")
        );
    }

    #[test]
    fn deadlines_are_ahead_but_not_too_far() {
        let now = instant("2026-11-20T03:00:00Z");
        assert!(is_within_reach(now + TimeDelta::days(60), now));
        assert!(!is_within_reach(now + TimeDelta::days(61), now));
        assert!(!is_within_reach(now, now));
    }
}
