//! What a scope shows of targets, figures and submissions, as sets that the indices answer.

use chassis::directory::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::Error;

/// The rows within a scope: of these units, or answered for by the owner and of these indicators, or of those. Kept
/// apart from the indicators themselves: an `OR` across a join reads every row.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// All rows.
    pub all: bool,
    /// The units.
    pub units: Vec<Uuid>,
    /// Indicators that these units own.
    pub owned: Vec<Uuid>,
    /// Indicators of the fields.
    pub of_fields: Vec<Uuid>,
}

impl Reach {
    /// Finds out what a scope reaches.
    pub async fn of(db: impl PgExecutor<'_>, scope: Scope) -> Result<Self, Error> {
        let mut reach = Self {
            all: scope.all,
            units: scope.units,
            ..Self::default()
        };
        if reach.all {
            return Ok(reach);
        }
        let indicators = sqlx::query!(
            r#"SELECT id, owner_unit_id = ANY($1) AS "is_owned!", field_code = ANY($2) AS "is_of_field!" FROM indicator
            WHERE owner_unit_id = ANY($1) OR field_code = ANY($2)"#,
            &reach.units,
            &scope.fields
        );
        for indicator in indicators.fetch_all(db).await? {
            if indicator.is_owned {
                reach.owned.push(indicator.id);
            }
            if indicator.is_of_field {
                reach.of_fields.push(indicator.id);
            }
        }
        Ok(reach)
    }
}
