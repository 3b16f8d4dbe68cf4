//! The one row that says which replica of a consumer acts, and how far it has read.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::postgres::{Fault, fault};

#[derive(Debug)]
pub(super) struct Lease {
    db: PgPool,
    name: String,
    source: String,
    holder: Uuid,
}

// The five seconds of the lease are the database's, and longer than three ticks of its holder.
impl Lease {
    pub fn new(db: PgPool, name: String, source: String) -> Self {
        Self {
            db,
            name,
            source,
            holder: Uuid::now_v7(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Takes the lease if it is free, ours or run out, and no transaction of its holder is under way. Answers the
    /// cursor, None within for a consumer that never began.
    pub async fn acquire(&self) -> anyhow::Result<Option<Option<String>>> {
        let taken = sqlx::query_scalar!(
            "INSERT INTO chassis.consumer (name, source, holder, lease_end_time)
            VALUES ($1, $2, $3, clock_timestamp() + interval '5 seconds')
            ON CONFLICT (name, source) DO UPDATE
            SET holder = excluded.holder, lease_end_time = excluded.lease_end_time
            WHERE consumer.holder IS NULL OR consumer.holder = excluded.holder
                OR consumer.lease_end_time < clock_timestamp()
            RETURNING cursor",
            self.name,
            self.source,
            self.holder
        )
        .fetch_optional(&self.db)
        .await
        .map_err(anyhow::Error::from);
        match taken {
            Err(error) if fault(&error) == Some(Fault::Contention) => Ok(None),
            taken => taken,
        }
    }

    /// Moves the cursor and renews the lease within a transaction; false when another replica has taken it. Holds the
    /// row until commit, so that nobody takes the lease meanwhile.
    pub async fn advance(&self, tx: &mut PgConnection, cursor: &str) -> sqlx::Result<bool> {
        let moved = sqlx::query!(
            "UPDATE chassis.consumer SET cursor = $4, lease_end_time = clock_timestamp() + interval '5 seconds'
            WHERE name = $1 AND source = $2 AND holder = $3",
            self.name,
            self.source,
            self.holder,
            cursor
        )
        .execute(tx)
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Renews the lease outside of a transaction, and keeps a cursor that moved without events.
    pub async fn renew(&self, cursor: Option<&str>) -> sqlx::Result<bool> {
        let renewed = sqlx::query!(
            "UPDATE chassis.consumer
            SET cursor = COALESCE($4, cursor), lease_end_time = clock_timestamp() + interval '5 seconds'
            WHERE name = $1 AND source = $2 AND holder = $3",
            self.name,
            self.source,
            self.holder,
            cursor
        )
        .execute(&self.db)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Gives the lease back, so that another replica need not wait for its end.
    pub async fn release(&self) -> sqlx::Result<()> {
        sqlx::query!(
            "UPDATE chassis.consumer SET holder = NULL WHERE name = $1 AND source = $2 AND holder = $3",
            self.name,
            self.source,
            self.holder
        )
        .execute(&self.db)
        .await?;
        Ok(())
    }
}
