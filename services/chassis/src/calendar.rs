//! The city's calendar: its local time, and the working days of its offices.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday,
};
use sqlx::PgExecutor;

/// Vietnam has been at UTC+7 without daylight saving since 1975.
const OFFSET: FixedOffset = FixedOffset::east_opt(7 * 3600).expect("seven hours are no day");
/// The end of office hours.
const CLOSING: NaiveTime = NaiveTime::from_hms_opt(17, 0, 0).expect("a time of day");

/// An instant as the city's clocks show it.
#[must_use]
pub fn city_time(instant: DateTime<Utc>) -> DateTime<FixedOffset> {
    // The last hours of the calendar have no local time: chrono panics when it is asked for.
    let last = DateTime::<Utc>::MAX_UTC - TimeDelta::days(1);
    instant.min(last).with_timezone(&OFFSET)
}

/// The calendar date in the city at an instant.
#[must_use]
pub fn city_date(instant: DateTime<Utc>) -> NaiveDate {
    city_time(instant).date_naive()
}

/// The days on which the city's offices are closed besides Saturdays and Sundays.
pub struct Holidays(BTreeSet<NaiveDate>);

impl Holidays {
    /// Reads them from a service's own database.
    pub async fn read(db: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        let dates = sqlx::query_scalar!("SELECT date FROM chassis.holiday")
            .fetch_all(db)
            .await?;
        Ok(Self(dates.into_iter().collect()))
    }

    /// The end of office hours of the `days`-th working day after the day of `from`.
    ///
    /// # Panics
    /// Never: the calendar reaches 260,000 years ahead.
    #[must_use]
    pub fn after_working_days(&self, from: DateTime<Utc>, days: u32) -> DateTime<Utc> {
        let mut date = city_date(from);
        for _ in 0..days {
            date = date + Days::new(1);
            while !self.is_working_day(date) {
                date = date + Days::new(1);
            }
        }
        let closing = OFFSET.from_local_datetime(&date.and_time(CLOSING));
        closing
            .single()
            .expect("a fixed offset has no gaps")
            .to_utc()
    }

    fn is_working_day(&self, date: NaiveDate) -> bool {
        !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !self.0.contains(&date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn none() -> Holidays {
        Holidays(BTreeSet::new())
    }

    #[test]
    fn weekends_and_holidays_do_not_count() {
        // Friday morning; Monday evening, and Friday's.
        let friday = instant("2026-11-20T03:00:00Z");
        let monday = instant("2026-11-23T10:00:00Z");
        assert_eq!(none().after_working_days(friday, 1), monday);
        let next = instant("2026-11-27T10:00:00Z");
        assert_eq!(none().after_working_days(friday, 5), next);

        // Over Tết 2026: 16 to 20 February are off.
        let days = (16..=20).map(|day| NaiveDate::from_ymd_opt(2026, 2, day).unwrap());
        let due = Holidays(days.collect()).after_working_days(instant("2026-02-13T03:00:00Z"), 1);
        assert_eq!(due, instant("2026-02-23T10:00:00Z"));
    }

    #[test]
    fn the_day_is_the_citys() {
        // Thursday 22:00 in the city is still Thursday; Friday 00:30 is Thursday in UTC.
        let thursday = instant("2026-11-19T15:00:00Z");
        let friday = instant("2026-11-20T10:00:00Z");
        assert_eq!(none().after_working_days(thursday, 1), friday);
        let early = instant("2026-11-19T17:30:00Z");
        let monday = instant("2026-11-23T10:00:00Z");
        assert_eq!(none().after_working_days(early, 1), monday);
        assert_eq!(city_date(early).to_string(), "2026-11-20");
    }

    #[test]
    fn every_instant_has_a_day() {
        assert!(city_date(DateTime::<Utc>::MAX_UTC) > city_date(DateTime::<Utc>::MIN_UTC));
    }
}
