//! The forecast model: pure functions of a history and a seed, without I/O, clock or global state.
//!
//! - [`Series`] is a history that can be forecast: finite values, gaps, enough of them.
//! - [`forecast`] fits exponential smoothing in several forms and the theta model, and pools them into sample paths. The
//!   pool holds anything that is a `Model`: one more kind is one more member.
//! - [`outturn`] turns the year so far and the paths into the year-end figure, [`probability`] that into the chance of
//!   meeting a target, [`required_pace`] says what the rest of the year must bring, [`status`] gives the colour.
//! - [`anomaly`] judges a new value before it is accepted.
//!
//! Numbers are `f64` here: these are statistics, not amounts.

mod anomaly;
mod arima;
mod calendar;
mod ces;
mod chance;
mod coarse;
mod features;
mod learned;
mod lunar;
mod marginal;
mod minimum;
mod member;
mod outturn;
mod pool;
mod rare;
mod ridge;
mod season;
mod series;
mod smooth;
mod statistics;
mod status;
mod study;
mod theta;

pub use anomaly::{Anomaly, SUSPICIOUS, Suspicion, anomaly};
pub use calendar::holiday_shares;
pub use study::{Study, study};
pub use member::MEMBER_NAMES;
pub use lunar::lunar_new_years;
pub use outturn::{
    Bounds, NoPace, Outturn, Pace, Rule, Target, Unknowable, outturn, probability, required_pace,
};
pub use pool::{Basis, Forecast, Interval, forecast};
pub use series::{Seasonality, Series, Unforecastable};
pub use status::{Evidence, Status, Thresholds, status};

/// What the pool needs of a fitted model.
trait Model {
    /// The one-step errors of the fit, in the model's own scale.
    fn errors(&self) -> &[f64];

    /// How many numbers were fitted.
    fn parameters(&self) -> usize;

    /// Continues the series under these shocks, of the same scale as the errors; zeros give the central path.
    fn path(&self, shocks: &[f64], path: &mut [f64]);
}
