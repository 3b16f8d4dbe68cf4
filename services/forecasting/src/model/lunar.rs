//! Vietnamese lunar new years, by which the holiday of Tet moves between January and February.

use chrono::NaiveDate;

/// The first year of the table.
const FIRST: i32 = 2000;

/// Month and day of the first day of each lunar year, from `python3 learn/lunar.py 2000 2050`: at 105 E, which is not
/// always the Chinese date (2007 and 2030 differ).
#[rustfmt::skip]
const NEW_YEARS: [(u32, u32); 51] = [
    (2, 5), (1, 24), (2, 12), (2, 1), (1, 22), (2, 9), (1, 29), (2, 17), (2, 7), (1, 26), (2, 14), (2,
    3), (1, 23), (2, 10), (1, 31), (2, 19), (2, 8), (1, 28), (2, 16), (2, 5), (1, 25), (2, 12), (2, 1),
    (1, 22), (2, 10), (1, 29), (2, 17), (2, 6), (1, 26), (2, 13), (2, 2), (1, 23), (2, 11), (1, 31),
    (2, 19), (2, 8), (1, 28), (2, 15), (2, 4), (1, 24), (2, 12), (2, 1), (1, 22), (2, 10), (1, 30), (2,
    17), (2, 6), (1, 26), (2, 14), (2, 2), (1, 23),
];

/// The first days of the Vietnamese lunar years 2000 to 2050.
pub fn lunar_new_years() -> Vec<NaiveDate> {
    (FIRST..)
        .zip(NEW_YEARS)
        .filter_map(|(year, (month, day))| NaiveDate::from_ymd_opt(year, month, day))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lunar_new_years;

    #[test]
    fn known_dates_are_in_the_table() {
        let dates = lunar_new_years();
        assert_eq!(dates.len(), 51);
        for known in [
            "2007-02-17",
            "2023-01-22",
            "2024-02-10",
            "2025-01-29",
            "2026-02-17",
            "2030-02-02",
        ] {
            assert!(dates.contains(&known.parse().unwrap()), "{known}");
        }
    }
}
