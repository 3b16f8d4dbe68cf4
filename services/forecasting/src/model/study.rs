//! What learning across series needs to see of one.

use super::pool;
use super::series::Series;

/// What the members say of one series.
pub struct Study {
    /// The central path of each member.
    pub members: Vec<Vec<f64>>,
    /// What is known of the series: the features, then the scales.
    pub features: Vec<f64>,
}

/// Lets every member forecast the series.
pub fn study(series: &Series, horizon: usize) -> Study {
    let unit = series.largest();
    let unit = if unit > 0.0 { unit } else { 1.0 };
    let mut course = pool::course(&series.in_unit(unit), horizon);
    course.members.iter_mut().flatten().for_each(|x| *x *= unit);
    let mut features = course.features.to_vec();
    let scales = course.scales;
    let is_log = f64::from(u8::from(scales.is_log));
    features.extend([
        scales.change,
        scales.robust,
        scales.off_line,
        scales.recent,
        scales.drift,
        is_log,
        scales.range,
        scales.flat,
        scales.yearly.unwrap_or(f64::NAN),
    ]);
    Study {
        members: course.members,
        features,
    }
}
