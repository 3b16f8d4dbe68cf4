//! How unusual a value would be as the next one of a series.

use proto::{forecasting::v1 as pb, period::Period};

use crate::{judge::decimal, model, outlook::Timeline};

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
    }
}
