//! How unusual a value would be as the next one of a series.

use chassis::language::Language::{self, En, Vi};
use proto::{forecasting::v1 as pb, period::Period};

use crate::{
    explain::written,
    judge::decimal,
    model::{self, Suspicion},
    outlook::Timeline,
};

/// Holds a value for a period against what was reported before it. Without enough history nothing is unusual.
#[must_use]
pub fn check(forecast: &pb::Forecast, period: Period, value: f64) -> pb::CheckValueResponse {
    let indicator = forecast.indicator.clone().unwrap_or_default();
    let decimals = indicator.decimals;
    let timeline = Timeline::new(&forecast.history)
        .and_then(|timeline| timeline.before(period))
        .map(|timeline| timeline.with_breaks(&indicator, &forecast.unit_id));
    let series = timeline.and_then(|timeline| timeline.series_until(period).ok());
    let Some(series) = series else {
        return pb::CheckValueResponse::default();
    };
    // The seed is as good as any: the answer to the same question is always the same.
    let anomaly = model::anomaly(&series, value, 1);
    let write = |language, value| written(language, &decimal(value, decimals));
    let reason = |language| {
        let expected = [anomaly.interval95.low, anomaly.interval95.high];
        let [low, high] = expected.map(|value| write(language, value));
        let mut text = reason(language, anomaly.suspicion?, &low, &high);
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

/// What seems wrong, in words.
fn reason(language: Language, suspicion: Suspicion, low: &str, high: &str) -> String {
    let (vi, en) = match suspicion {
        Suspicion::Factor(factor) if factor > 1.0 => (
            format!("lớn gấp {factor:.0} lần mức thường, có thể sai đơn vị tính"),
            format!("{factor:.0} times what is usual, perhaps in another unit of measure"),
        ),
        Suspicion::Factor(factor) => (
            format!(
                "chỉ bằng 1/{:.0} mức thường, có thể sai đơn vị tính",
                1.0 / factor
            ),
            format!(
                "a {:.0}th of what is usual, perhaps in another unit of measure",
                1.0 / factor
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
        Suspicion::SwappedDigits => (
            "có thể đảo hai chữ số".to_owned(),
            "perhaps with two digits swapped".to_owned(),
        ),
        Suspicion::Shift => (
            format!("khác xa mức dự kiến {low} đến {high}"),
            format!("far from the {low} to {high} that were expected"),
        ),
    };
    language.pick(vi, en)
}
