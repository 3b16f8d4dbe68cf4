//! The indicators that one request speaks of, read at once.

use std::collections::HashMap;

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{
    error::Error,
    indicator::{self, Indicator},
    parse,
};

/// Indicators by id.
#[derive(Debug)]
pub struct Catalogue(HashMap<Uuid, Indicator>);

impl Catalogue {
    /// Reads those of these ids that there are; what is no id is found missing later, with its entry.
    pub async fn read(
        db: impl PgExecutor<'_>,
        ids: impl Iterator<Item = &str>,
    ) -> Result<Self, Error> {
        let mut ids: Vec<Uuid> = ids.filter_map(|id| Uuid::parse_str(id).ok()).collect();
        ids.sort_unstable();
        ids.dedup();
        let indicators = indicator::get_all(db, &ids).await?;
        let by_id = indicators
            .into_iter()
            .map(|indicator| (indicator.id, indicator));
        Ok(Self(by_id.collect()))
    }

    /// The indicator that a field names.
    pub fn get(&self, field: &str, id: &str) -> Result<&Indicator, Error> {
        let id = parse::id(field, id)?;
        self.0
            .get(&id)
            .ok_or_else(|| Error::NotFound("indicator", id.to_string()))
    }

    /// An indicator.
    #[must_use]
    pub fn of(&self, id: Uuid) -> Option<&Indicator> {
        self.0.get(&id)
    }
}
