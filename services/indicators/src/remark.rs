//! What is remarkable about a value that somebody enters. It may still be right: these are warnings, never refusals.

use rust_decimal::Decimal;

use crate::number::{english, vietnamese};

/// What is known around the value that is entered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The value of the period before.
    pub previous: Option<Decimal>,
    /// The value of the same period of the year before.
    pub year_before: Option<Decimal>,
    /// The value of this very period, if one was recorded already.
    pub same: Option<Decimal>,
}

/// A warning in Vietnamese and in English.
pub type Remark = (String, String);

/// Values that differ by this factor were probably entered in another unit of measure.
const UNIT_FACTOR: Decimal = Decimal::TEN;
/// A change beyond this share is worth a second look.
const LARGE_CHANGE: Decimal = Decimal::from_parts(5, 0, 0, false, 1);

/// Compares a value with what is known around it; what its history says of it, if that was asked, says more than its
/// neighbours.
#[must_use]
pub fn remarks(value: Decimal, known: Known, opinion: Option<Vec<Remark>>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let Some(same) = known.same {
        remarks.push((
            format!("kỳ này đã có số liệu {}", vietnamese(same)),
            format!("this period already has the figure {}", english(same)),
        ));
    }
    if let Some(opinion) = opinion {
        remarks.extend(opinion);
        return remarks;
    }
    // Against last year's period where there is one: it has the same season, and running totals the same months.
    let base = known
        .year_before
        .map(|base| (base, "cùng kỳ năm trước", "the same period last year"))
        .or(known
            .previous
            .map(|base| (base, "kỳ trước", "the previous period")));
    if let Some((base, vi, en)) = base {
        remarks.extend(compared(value, base, vi, en));
    }
    if known.previous == Some(value) && !value.is_zero() {
        remarks.push((
            "bằng đúng số liệu kỳ trước".to_owned(),
            "is exactly the figure of the previous period".to_owned(),
        ));
    }
    remarks
}

fn compared(value: Decimal, base: Decimal, vi: &str, en: &str) -> Option<Remark> {
    if base.is_zero() || value.is_zero() {
        return None;
    }
    let (base_vi, base_en) = (vietnamese(base), english(base));
    if value.is_sign_negative() != base.is_sign_negative() {
        return Some((
            format!("trái dấu với {vi} ({base_vi})"),
            format!("has the opposite sign of {en} ({base_en})"),
        ));
    }
    let ratio = value.checked_div(base)?;
    if ratio >= UNIT_FACTOR || ratio <= Decimal::ONE / UNIT_FACTOR {
        return Some((
            format!("gấp hoặc kém trên 10 lần {vi} ({base_vi}), hãy kiểm tra đơn vị tính"),
            format!("differs tenfold or more from {en} ({base_en}), check the unit of measure"),
        ));
    }
    let change = ratio - Decimal::ONE;
    (change.abs() > LARGE_CHANGE).then(|| {
        let percent = (change * Decimal::ONE_HUNDRED).round();
        (
            format!("thay đổi {percent}% so với {vi} ({base_vi})"),
            format!("changes by {percent}% against {en} ({base_en})"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english_remarks(value: i64, known: Known) -> Vec<String> {
        let remarks = remarks(Decimal::from(value), known, None);
        remarks.into_iter().map(|remark| remark.1).collect()
    }

    fn previous(value: i64) -> Known {
        Known {
            previous: Some(Decimal::from(value)),
            ..Known::default()
        }
    }

    #[test]
    fn a_usual_value_gets_no_remark() {
        assert!(english_remarks(105, previous(100)).is_empty());
        assert!(english_remarks(105, Known::default()).is_empty());
        assert!(english_remarks(0, previous(100)).is_empty());
    }

    #[test]
    fn the_unusual_is_named() {
        assert!(english_remarks(1_000, previous(100))[0].contains("tenfold"));
        assert!(english_remarks(10, previous(100))[0].contains("tenfold"));
        assert!(english_remarks(-100, previous(100))[0].contains("sign"));
        assert!(english_remarks(151, previous(100))[0].contains("51%"));
        assert!(english_remarks(100, previous(100))[0].contains("exactly"));
    }

    #[test]
    fn the_history_says_more_than_the_neighbours() {
        let same = Known {
            same: Some(Decimal::ONE),
            ..previous(100)
        };
        let usual = remarks(Decimal::from(1_000), same, Some(Vec::new()));
        assert_eq!(usual.len(), 1, "only that the period has a figure");
        let opinion = vec![("lạ".to_owned(), "odd".to_owned())];
        let odd = remarks(Decimal::from(101), previous(100), Some(opinion.clone()));
        assert_eq!(odd, opinion);
    }

    #[test]
    fn the_same_season_is_preferred() {
        let known = Known {
            previous: Some(Decimal::from(1000)),
            year_before: Some(Decimal::from(95)),
            same: None,
        };
        assert!(english_remarks(100, known).is_empty());
    }

    #[test]
    fn a_figure_that_is_there_is_told() {
        let known = Known {
            same: Some(Decimal::from(7)),
            ..Known::default()
        };
        assert_eq!(
            english_remarks(8, known),
            ["this period already has the figure 7"]
        );
    }
}
