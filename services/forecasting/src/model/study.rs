//! What learning across series needs to see of one.

use super::calendar::HolidayEffect;
use super::features::features;
use super::member;
use super::season::Adjusted;
use super::series::Series;

/// What the members say of one series.
pub struct Study {
    /// The central path of each member.
    pub members: Vec<Vec<f64>>,
    /// What is known of the series.
    pub features: Vec<f64>,
}

/// Lets every member forecast the series.
pub fn study(series: &Series, horizon: usize) -> Study {
    let largest = series.values().iter().flatten().fold(0.0, |most: f64, x| most.max(x.abs()));
    let unit = if largest > 0.0 { largest } else { 1.0 };
    let scaled = series.map(|x| x / unit);
    let holiday = HolidayEffect::estimate(&scaled, horizon);
    let calm = holiday.as_ref().map_or_else(|| scaled.clone(), |effect| effect.remove(&scaled));
    let adjusted = Adjusted::new(&calm);
    let n = series.values().len();
    let mut members = member::paths(&calm, &adjusted, horizon);
    for path in &mut members {
        for (step, x) in path.iter_mut().enumerate() {
            *x = holiday.as_ref().map_or(*x, |effect| effect.restore(n + step, *x)) * unit;
        }
    }
    let (features, scales) = features(&calm, &adjusted);
    let mut all = features.to_vec();
    all.extend([scales.change, scales.robust, scales.off_line, scales.recent, scales.drift, f64::from(u8::from(scales.is_log))]);
    Study { members, features: all }
}
