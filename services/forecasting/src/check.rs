//! How unusual a value would be as the next one of a series.

use chrono::NaiveDate;
use proto::{forecasting::v1 as pb, period::Period};

use crate::{
    judge::decimal,
    model::{self, Suspicion},
    outlook::Timeline,
};

/// Holds a value for a period against what was reported before it. Without enough history nothing is unusual.
#[must_use]
pub fn check(
    forecast: &pb::Forecast,
    period: Period,
    value: f64,
    new_years: &[NaiveDate],
) -> pb::CheckValueResponse {
    let decimals = forecast
        .indicator
        .as_ref()
        .map_or(2, |indicator| indicator.decimals);
    let timeline = Timeline::new(&forecast.history).and_then(|timeline| timeline.before(period));
    let series = timeline.and_then(|timeline| timeline.series_until(period, new_years).ok());
    let Some(series) = series else {
        return pb::CheckValueResponse::default();
    };
    // The seed is as good as any: the answer to the same question is always the same.
    let anomaly = model::anomaly(&series, value, 1);
    pb::CheckValueResponse {
        unusual: anomaly.suspicion.is_some(),
        suspicion: anomaly.suspicion.map(name).unwrap_or_default(),
        expected_low: decimal(anomaly.interval95.low, decimals),
        expected_high: decimal(anomaly.interval95.high, decimals),
    }
}

fn name(suspicion: Suspicion) -> String {
    match suspicion {
        Suspicion::Factor(factor) => {
            let factor = if factor < 1.0 { 1.0 / factor } else { factor };
            format!("FACTOR_OF_{factor:.0}")
        }
        Suspicion::Sign => "SIGN".to_owned(),
        Suspicion::RepeatsLastPeriod => "REPEATED".to_owned(),
        Suspicion::RepeatsLastYear => "REPEATED_LAST_YEAR".to_owned(),
        Suspicion::Cumulative => "CUMULATIVE".to_owned(),
        Suspicion::SwappedDigits => "SWAPPED_DIGITS".to_owned(),
        Suspicion::Shift => "SHIFT".to_owned(),
    }
}
