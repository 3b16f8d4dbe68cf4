//! Augurs: seasons by loess, the rest by exponential smoothing.

use std::hint::black_box;

use augurs::{Fit, Predict, ets::AutoETS, mstl::MSTLModel};

use crate::sample::Sample;

/// Forecasts a series; a yearly one has no seasons to find.
pub fn forecast(sample: &Sample, horizon: usize) {
    let smoothing = AutoETS::non_seasonal();
    let forecast = if sample.periods > 1 {
        let model = MSTLModel::new(vec![sample.periods], smoothing.into_trend_model());
        model
            .fit(&sample.values)
            .and_then(|fit| fit.predict(horizon, None))
            .ok()
    } else {
        smoothing
            .fit(&sample.values)
            .and_then(|fit| fit.predict(horizon, None))
            .ok()
    };
    black_box(forecast);
}
