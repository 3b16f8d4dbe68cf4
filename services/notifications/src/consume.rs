//! The feeds this service follows: what happened, turned into news for people.

mod explanations;
mod feedback;
mod indicators;

pub use explanations::Explanations;
pub use feedback::FeedbackItems;
pub use indicators::Indicators;

use anyhow::Context;
use chassis::Directory;
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use crate::text::{same, time};

fn id(text: &str) -> anyhow::Result<Uuid> {
    text.parse()
        .with_context(|| format!("{text:?} is not an id"))
}

/// A unit's name in both languages; empty if it is not known.
fn unit_name(directory: &Directory, id: &str) -> (String, String) {
    id.parse()
        .ok()
        .and_then(|id| directory.unit(id))
        .map(|unit| (unit.name_vi.clone(), unit.name_en.clone()))
        .unwrap_or_default()
}

/// A time in both languages; empty if there is none.
fn when(at: Option<Timestamp>) -> (String, String) {
    at.and_then(|at| DateTime::<Utc>::from_timestamp(at.seconds, 0))
        .map_or_else(|| same(""), time)
}
