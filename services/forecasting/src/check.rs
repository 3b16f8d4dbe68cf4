//! How unusual a value would be as the next one of a series.

use chassis::language::Language::{self, En, Vi};
use proto::{forecasting::v1 as pb, indicators::v1::YearRule, period::Period};

use crate::{
    explain::written,
    judge::decimal,
    model::{self, Anomaly, Series, Suspicion},
    timeline::Timeline,
};

/// As good as any: the answer to the same question is always the same.
const SEED: u64 = 1;
/// How many times too large or too small a figure in another unit of measure usually is.
const FACTORS: [f64; 8] = [10.0, 100.0, 1e3, 1e6, 0.1, 0.01, 1e-3, 1e-6];

/// Holds a value for a period against what was reported before it; without enough of that against the limits alone.
#[must_use]
pub fn check(forecast: &pb::Forecast, period: Period, value: f64) -> pb::CheckValueResponse {
    let indicator = forecast.indicator.clone().unwrap_or_default();
    let decimals = indicator.decimals;
    let timeline = Timeline::new(&forecast.history)
        .and_then(|timeline| timeline.before(period))
        .map(|timeline| timeline.with_breaks(&indicator, &forecast.unit_id));
    let known = timeline.and_then(|timeline| {
        let series = timeline.question(&indicator, period).ok()?;
        let is_total = timeline.is_total(&indicator) && period.number() > 1;
        let total = is_total.then(|| Total::before(&timeline, period));
        let year = Period::from_index(period.frequency(), period.index() + 1 - period.number());
        let so_far = timeline.observed(year, period.previous());
        let is_sum = indicator.year_rule() == YearRule::Sum && !so_far.is_empty();
        let so_far = is_sum.then(|| so_far.into_iter().sum::<Option<f64>>());
        Some((series, total, timeline.places().max(decimals), so_far))
    });
    let limit = |text: &str, open| text.parse().unwrap_or(open);
    let least: f64 = limit(&indicator.minimum, f64::NEG_INFINITY);
    let most: f64 = limit(&indicator.maximum, f64::INFINITY);
    let write = |language, value| written(language, &decimal(value, decimals));
    let beyond = |language| match value {
        _ if value < least => Some(below(language, &write(language, least))),
        _ if value > most => Some(above(language, &write(language, most))),
        _ => None,
    };
    let is_beyond = beyond(En).is_some();
    let Some((series, total, places, so_far)) = known else {
        let suspicion = is_beyond.then_some(Suspicion::Shift);
        return pb::CheckValueResponse {
            unusual: is_beyond,
            suspicion: suspicion.map(|one| one.to_string()).unwrap_or_default(),
            reason_vi: beyond(Vi).unwrap_or_default(),
            reason_en: beyond(En).unwrap_or_default(),
            ..Default::default()
        };
    };
    let can_be = |meant: &f64| {
        // In a coarser unit it has more digits than are reported; but something must be left.
        let written = decimal(*meant, places).parse();
        let is_near = |written: f64| (written - meant).abs() <= 0.01 * meant.abs();
        (least..=most).contains(meant) && written.is_ok_and(is_near)
    };
    let mut anomaly = match total {
        Some(total) => of_total(&series, total, value, can_be),
        None => of_period(&series, value, can_be, so_far),
    };
    if is_beyond {
        anomaly.suspicion = anomaly.suspicion.or(Some(Suspicion::Shift));
    }
    let range = &mut anomaly.interval95;
    (range.low, range.high) = (range.low.clamp(least, most), range.high.clamp(least, most));
    let reason = |language| {
        let expected = [anomaly.interval95.low, anomaly.interval95.high];
        let [low, high] = expected.map(|value| write(language, value));
        let mut text = match anomaly.suspicion? {
            Suspicion::Shift if is_beyond => beyond(language)?,
            suspicion => reason(language, suspicion, &low, &high),
        };
        if let Some(meant) = anomaly.suggested {
            text += language.pick(", có lẽ là ", ", probably meant: ");
            text += &write(language, meant);
        }
        Some(text)
    };
    pb::CheckValueResponse {
        unusual: anomaly.suspicion.is_some(),
        suspicion: anomaly
            .suspicion
            .map(|suspicion| suspicion.to_string())
            .unwrap_or_default(),
        expected_low: decimal(anomaly.interval95.low, decimals),
        expected_high: decimal(anomaly.interval95.high, decimals),
        suggested: anomaly
            .suggested
            .map(|meant| decimal(meant, decimals))
            .unwrap_or_default(),
        score: anomaly.score,
        reason_vi: reason(Vi).unwrap_or_default(),
        reason_en: reason(En).unwrap_or_default(),
    }
}

/// Holds a period's own value against those before it. What cannot be meant, or would be unusual itself, is no
/// explanation. `so_far` is what the year brought before it, none of what is not summed, unknown with a gap.
fn of_period(
    series: &Series,
    value: f64,
    can_be: impl Fn(&f64) -> bool,
    so_far: Option<Option<f64>>,
) -> Anomaly {
    let mut found = model::anomaly(series, value, SEED);
    if found.suspicion == Some(Suspicion::Cumulative) {
        found.suggested = so_far.flatten().map(|so_far| value - so_far);
    }
    let range = found.interval95;
    let is_near = |meant: &f64| (range.low..=range.high).contains(meant);
    let is_explained = match (found.suspicion, found.suggested) {
        (Some(Suspicion::Cumulative), None) => so_far.is_some(),
        (_, Some(meant)) => can_be(&meant) && is_near(&meant),
        _ => true,
    };
    if !is_explained {
        found.suspicion = Some(Suspicion::Shift);
    }
    // What would be asked about itself, as the last figure again, is not proposed.
    let is_usual = |meant: &f64| model::anomaly(series, *meant, SEED).suspicion.is_none();
    found.suggested = found
        .suggested
        .filter(|meant| is_explained && is_usual(meant));
    found
}

/// The last running total of the year before a period.
#[derive(Clone, Copy)]
struct Total {
    value: f64,
    /// How many periods before: more than one where totals in between are missing.
    back: f64,
}

impl Total {
    fn before(timeline: &Timeline, period: Period) -> Self {
        let known =
            (1..period.number()).find_map(|back| Some((timeline.value(period.plus(-back))?, back)));
        let (value, back) = known.unwrap_or((0.0, period.number()));
        Self {
            value,
            back: f64::from(back),
        }
    }
}

/// Holds a running total against the one before it: what it adds, on the average of the periods since, should be as usual.
fn of_total(series: &Series, total: Total, value: f64, can_be: impl Fn(&f64) -> bool) -> Anomaly {
    let judge = |value: f64| model::anomaly(series, (value - total.value) / total.back, SEED);
    let mut found = judge(value);
    let range = &mut found.interval95;
    for bound in [&mut range.low, &mut range.high] {
        *bound = total.value + total.back * *bound;
    }
    found.suggested = None;
    // That the same is added twice tells nothing of a total.
    if matches!(
        found.suspicion,
        Some(Suspicion::RepeatsLastPeriod | Suspicion::RepeatsLastYear)
    ) {
        found.suspicion = None;
    }
    if found.suspicion.is_none() {
        return found;
    }
    let factors = FACTORS.map(|factor| (Suspicion::Factor(factor), value / factor));
    // With totals missing in between, what all the periods since added is not told.
    let added = (total.back == 1.0).then_some((Suspicion::NotCumulative, total.value + value));
    let meant = added.into_iter().chain([(Suspicion::Sign, -value)]);
    let believed = factors.into_iter().chain(meant);
    let range = found.interval95;
    let is_usual =
        |meant: f64| (range.low..=range.high).contains(&meant) && judge(meant).suspicion.is_none();
    let mut believed = believed.filter(|(_, meant)| can_be(meant) && is_usual(*meant));
    let (suspicion, suggested) = match believed.next() {
        _ if value == total.value => (Suspicion::RepeatsLastPeriod, None),
        Some((suspicion, meant)) => (suspicion, Some(meant)),
        None => (Suspicion::Shift, None),
    };
    Anomaly {
        suspicion: Some(suspicion),
        suggested,
        ..found
    }
}

fn below(language: Language, least: &str) -> String {
    language.pick(
        format!("thấp hơn mức tối thiểu {least} của chỉ tiêu"),
        format!("less than the {least} that the indicator allows"),
    )
}

fn above(language: Language, most: &str) -> String {
    language.pick(
        format!("cao hơn mức tối đa {most} của chỉ tiêu"),
        format!("more than the {most} that the indicator allows"),
    )
}

/// What seems wrong, in words.
fn reason(language: Language, suspicion: Suspicion, low: &str, high: &str) -> String {
    let count = |language, count: f64| written(language, &decimal(count, 0));
    let (vi, en) = match suspicion {
        Suspicion::Factor(factor) if factor > 1.0 => (
            format!(
                "lớn gấp {} lần mức thường, có thể sai đơn vị tính",
                count(Vi, factor)
            ),
            format!(
                "{} times what is usual, perhaps in another unit of measure",
                count(En, factor)
            ),
        ),
        Suspicion::Factor(factor) => (
            format!(
                "chỉ bằng 1/{} mức thường, có thể sai đơn vị tính",
                count(Vi, 1.0 / factor)
            ),
            format!(
                "1/{} of what is usual, perhaps in another unit of measure",
                count(En, 1.0 / factor)
            ),
        ),
        Suspicion::Sign => (
            "trái dấu với mức thường".to_owned(),
            "of the opposite sign".to_owned(),
        ),
        Suspicion::RepeatsLastPeriod => (
            "bằng đúng số liệu kỳ trước".to_owned(),
            "exactly the figure of the period before".to_owned(),
        ),
        Suspicion::RepeatsLastYear => (
            "bằng đúng số liệu cùng kỳ năm trước".to_owned(),
            "exactly the figure of the same period last year".to_owned(),
        ),
        Suspicion::Cumulative => (
            "giống số lũy kế từ đầu năm hơn là số của riêng kỳ này".to_owned(),
            "looks like the total since the year began, not like that of the period".to_owned(),
        ),
        Suspicion::NotCumulative => (
            "giống số của riêng kỳ này hơn là số lũy kế từ đầu năm".to_owned(),
            "looks like the figure of the period alone, not like the total since the year began"
                .to_owned(),
        ),
        Suspicion::SwappedDigits => (
            "có thể đảo hai chữ số".to_owned(),
            "perhaps with two digits swapped".to_owned(),
        ),
        Suspicion::Shift if low == high => (
            format!("khác xa mức dự kiến {low}"),
            format!("far from the {low} that was expected"),
        ),
        Suspicion::Shift => (
            format!("khác xa mức dự kiến {low} đến {high}"),
            format!("far from the {low} to {high} that were expected"),
        ),
    };
    language.pick(vi, en)
}

#[cfg(test)]
mod tests {
    use proto::indicators::v1::{Indicator, Observation};

    use super::*;

    fn monthly(rule: YearRule, limits: [&str; 2], values: &[f64]) -> pb::Forecast {
        let mut indicator = Indicator {
            minimum: limits[0].to_owned(),
            maximum: limits[1].to_owned(),
            ..Default::default()
        };
        indicator.set_year_rule(rule);
        indicator.set_frequency(proto::calendar::v1::Frequency::Month);
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        pb::Forecast {
            indicator: Some(indicator),
            history: crate::timeline::tests::history("2024-01", &values),
            ..Default::default()
        }
    }

    #[test]
    fn what_cannot_be_meant_is_not_suggested() {
        let wave = |level: f64| -> Vec<f64> {
            let value = |at: usize| level + (at * 7 % 11) as f64 / 10.0 * level / 20.0;
            (0..34)
                .map(value)
                .map(|x| (x * 10.0).round() / 10.0)
                .collect()
        };
        let told = |forecast: &pb::Forecast, value| {
            let found = check(forecast, "2026-11".parse().unwrap(), value);
            (found.suspicion, found.suggested)
        };
        let shift = ("SHIFT".to_owned(), String::new());
        let rate = monthly(YearRule::Last, ["0", "70"], &wave(66.0));
        assert_eq!(
            told(&rate, 6.8),
            ("FACTOR_OF_10".to_owned(), "68".to_owned())
        );
        // Ten times as much is more than can be reported; and rates are not added up.
        assert_eq!(told(&rate, 7.2), shift);
        assert_eq!(told(&rate, 736.0), shift);
        // A thousandth of a case is none.
        let never = monthly(YearRule::Sum, ["0", ""], &[0.0; 34]);
        assert_eq!(told(&never, 3.0), shift);
        // What is beyond the limits is asked about, however far ranges reach.
        let full = monthly(YearRule::Last, ["0", "100"], &wave(95.0));
        assert_eq!(told(&full, 100.5), shift);
        let text = check(&full, "2026-11".parse().unwrap(), 100.5).reason_en;
        assert_eq!(text, "more than the 100 that the indicator allows");
        // They hold from the first figure on.
        let new = monthly(YearRule::Last, ["0", "100"], &[95.0]);
        assert_eq!(told(&new, 100.5), shift);
        assert_eq!(told(&new, 9.5), (String::new(), String::new()));
        // The last figure with another sign: what was meant would be asked about itself.
        let plain: Vec<f64> = (0..34).map(|at| f64::from(9000 + at * 37 % 61)).collect();
        let signed = monthly(YearRule::Sum, ["0", ""], &plain);
        assert_eq!(
            told(&signed, -plain[33]),
            ("SIGN".to_owned(), String::new())
        );
        // The total of the year so far with this month, and without it: last month's total once more.
        let so_far: f64 = plain[24..].iter().sum();
        let whole = ("CUMULATIVE".to_owned(), "9025".to_owned());
        assert_eq!(told(&signed, so_far + 9025.0), whole);
        assert_eq!(told(&signed, so_far), shift);
        // In millions instead of billions there are digits that are not reported.
        let large = monthly(YearRule::Sum, ["0", ""], &wave(70_000.0));
        let (suspicion, suggested) = told(&large, 71_234_567.0);
        assert_eq!(
            (suspicion.as_str(), suggested.as_str()),
            ("FACTOR_OF_1000", "71235")
        );
    }

    /// Amounts of about a hundred a month, added up from each January to October 2026.
    fn totals() -> pb::Forecast {
        let first: Period = "2022-01".parse().unwrap();
        let mut sum = 0;
        let figure = |step: i32| {
            let period = first.plus(step);
            let added = 80 + (step * 7) % 40;
            sum = if period.number() == 1 {
                added
            } else {
                sum + added
            };
            Observation {
                period: Some(period.into()),
                value: sum.to_string(),
                ..Default::default()
            }
        };
        let mut indicator = Indicator {
            minimum: "0".to_owned(),
            ..Default::default()
        };
        indicator.set_year_rule(YearRule::Last);
        pb::Forecast {
            indicator: Some(indicator),
            history: (0..58).map(figure).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_running_total_is_held_against_the_one_before() {
        let forecast = totals();
        let last: f64 = forecast.history[57].value.parse().unwrap();
        let check = |value| check(&forecast, "2026-11".parse().unwrap(), value);
        let usual = check(last + 100.0);
        assert!(!usual.unusual, "{usual:?}");
        let low: f64 = usual.expected_low.parse().unwrap();
        let high: f64 = usual.expected_high.parse().unwrap();
        assert!(
            last < low && low < last + 100.0 && last + 100.0 < high && high < last + 300.0,
            "{usual:?}"
        );
        for (value, suspicion, suggested) in [
            (104.0, "NOT_CUMULATIVE", last + 104.0),
            ((last + 100.0) * 10.0, "FACTOR_OF_10", last + 100.0),
            ((last + 100.0) / 1000.0, "FACTOR_OF_1000", last + 100.0),
            (-(last + 100.0), "SIGN", last + 100.0),
        ] {
            let found = check(value);
            assert_eq!(found.suspicion, suspicion, "{found:?}");
            assert_eq!(found.suggested, decimal(suggested, 0));
        }
        let again = check(last);
        assert_eq!(
            (again.suspicion.as_str(), again.suggested.as_str()),
            ("REPEATED", "")
        );
        for value in [last - 300.0, last + 900.0] {
            let found = check(value);
            assert_eq!(
                (found.suspicion.as_str(), found.suggested.as_str()),
                ("SHIFT", "")
            );
        }
        // After a month that is missing it adds what two do.
        let mut gapped = forecast.clone();
        gapped.history.remove(57);
        let before: f64 = gapped.history[56].value.parse().unwrap();
        let check = |value| self::check(&gapped, "2026-11".parse().unwrap(), value);
        let usual = check(before + 200.0);
        assert!(!usual.unusual, "{usual:?}");
        for value in [before - 100.0, before + 900.0, (before + 200.0) * 10.0] {
            assert!(check(value).unusual, "{value}");
        }
        // In January a total is what the month adds.
        let mut over = forecast.clone();
        over.history.truncate(48);
        let january = self::check(&over, "2026-01".parse().unwrap(), 100.0);
        assert!(!january.unusual, "{january:?}");
    }
}
