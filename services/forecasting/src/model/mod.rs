//! The forecast model: pure functions of a history and a seed, without I/O, clock or global state.
//!
//! - [`Series`] is a history that can be forecast: finite values, gaps, enough of them.
//! - [`forecast`] lets some thirty simple methods continue the series (`member`), weighs them by what was learned across
//!   thousands of other series (`learned`), and draws sample paths from calibrated ranges (`marginal`).
//! - [`outturn`] turns the year so far and the paths into the year-end figure, [`probability`] that into the chance of
//!   meeting a target, [`required_pace`] says what the rest of the year must bring, [`status`] gives the colour.
//! - [`course`] is how the year could still end elsewhere, [`Excess`] makes units and their whole add up,
//!   [`together`] joins the futures of what an indicator is calculated from.
//! - [`anomaly`] judges a new value before it is accepted.
//!
//! Numbers are `f64` here: these are statistics, not amounts.

mod anomaly;
mod arima;
mod calendar;
mod ces;
mod chance;
mod coarse;
mod course;
#[cfg(test)]
mod example;
mod features;
mod hierarchy;
#[cfg(test)]
mod hostile;
mod learned;
mod lunar;
mod marginal;
mod member;
mod minimum;
mod outturn;
mod pool;
#[cfg(test)]
mod property;
mod rare;
mod ridge;
mod season;
mod series;
mod smooth;
mod statistics;
mod status;
mod study;
mod supposed;
mod theta;
mod together;

pub use anomaly::{Anomaly, SUSPICIOUS, Suspicion, anomaly};
pub use calendar::holiday_shares;
pub use course::course;
pub use hierarchy::{Excess, Member};
pub use lunar::lunar_new_years;
pub use member::MEMBER_NAMES;
pub use outturn::{
    Bounds, NoPace, Outturn, Pace, Rule, Target, Unknowable, outturn, places, probability,
    required_pace,
};
pub use pool::{Basis, Forecast, Interval, forecast};
pub use season::seasonal_factors;
pub use series::{Seasonality, Series, Unforecastable};
pub use status::{Evidence, Status, Thresholds, status};
pub use study::{Study, study};
pub use supposed::supposed;
pub use together::together;
