//! The contract's services: what is asked is read and permitted here, and done by the nouns.

mod indicator;
mod observation;
mod submission;
mod target;

use chassis::Base;
use uuid::Uuid;

/// Answers the calls of all four services.
#[derive(Clone)]
pub struct Grpc {
    base: Base,
}

impl Grpc {
    /// Answers calls with what a running service has.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Self { base }
    }
}

/// The subject of facts about one indicator of one unit.
fn series(indicator_id: Uuid, unit_id: Uuid) -> String {
    format!("series/{indicator_id}/{unit_id}")
}

/// The units that a fact concerns: the figure's own and the one that answers for it.
fn units(unit_id: Uuid, responsible: Uuid) -> Vec<Uuid> {
    if responsible == unit_id {
        vec![unit_id]
    } else {
        vec![unit_id, responsible]
    }
}
