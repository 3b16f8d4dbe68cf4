//! The service's own database: the pool, what is demanded of the server, the migrations.

use std::{borrow::Cow, str::FromStr, time::Duration};

use anyhow::{Context, bail};
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::Config;

/// How long a starting process waits for a database that is not there yet.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(5);

static CHASSIS: Migrator = sqlx::migrate!();

/// Opens the pool of the service's database and brings its schema up to date.
///
/// Refuses a server that may lose committed facts, unless the settings allow it.
pub async fn connect(config: &Config, migrations: &'static Migrator) -> anyhow::Result<PgPool> {
    let url = config.database_url.expose();
    if url.is_empty() {
        bail!("--database-url (CIVICMESH_DATABASE_URL) is missing");
    }
    let options = PgConnectOptions::from_str(url).context("--database-url is malformed")?;
    migrate(config, options.clone(), migrations).await?;

    let options = options.options([
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("timezone", "UTC"),
    ]);
    PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await
        .context("the database does not accept connections")
}

/// Runs the chassis's migrations, then the service's. Each has its own bookkeeping and ignores newer ones that it does
/// not know, so that a rolled-back process still starts.
async fn migrate(
    config: &Config,
    options: PgConnectOptions,
    service: &'static Migrator,
) -> anyhow::Result<()> {
    // A pool of its own: a migration may take longer than a statement of the service may, and the lock that a failed
    // one leaves behind goes with the connection.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await
        .context("the database does not answer")?;
    if !config.allow_unsafe_database {
        demand_durability(&pool).await?;
    }
    migrate_chassis(&pool).await?;
    migrator(service, &service.table_name, &[])
        .run(&pool)
        .await
        .context("a migration of the service failed")?;
    pool.close().await;
    Ok(())
}

/// Brings the chassis's own tables up to date.
pub(crate) async fn migrate_chassis(pool: &PgPool) -> anyhow::Result<()> {
    migrator(&CHASSIS, "chassis.migration", &["chassis"])
        .run(pool)
        .await
        .context("a migration of the chassis failed")
}

fn migrator(
    of: &'static Migrator,
    table_name: &'static str,
    create_schemas: &[&'static str],
) -> Migrator {
    Migrator {
        migrations: Cow::Borrowed(&of.migrations),
        ignore_missing: true,
        locking: true,
        no_tx: of.no_tx,
        table_name: Cow::Borrowed(table_name),
        create_schemas: create_schemas
            .iter()
            .map(|schema| Cow::Borrowed(*schema))
            .collect(),
    }
}

async fn demand_durability(pool: &PgPool) -> anyhow::Result<()> {
    let unsafe_settings = sqlx::query_scalar!(
        r#"SELECT name AS "name!" FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name"#
    )
    .fetch_all(pool)
    .await?;
    if !unsafe_settings.is_empty() {
        bail!(
            "the database may lose what was committed: {} off; turn on, or pass --allow-unsafe-database where nothing \
             would be missed",
            unsafe_settings.join(", ")
        );
    }
    Ok(())
}

/// Whose fault a failed statement is, and with it whether the same statement may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database is away, full, stopping, or no longer the primary.
    Away,
    /// It lost against another transaction.
    Contention,
    /// It was given a value that Postgres cannot hold, such as a NUL in a text or a date far away.
    Value,
    /// Anything else.
    Statement,
}

/// Finds the failed statement in an error's chain of causes and says whose fault it is; nothing if there is none.
pub(crate) fn fault(error: &anyhow::Error) -> Option<Fault> {
    let error = error.chain().find_map(|cause| cause.downcast_ref())?;
    Some(match error {
        sqlx::Error::Database(error) => fault_of(error.code().as_deref().unwrap_or_default()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Away,
        _ => Fault::Statement,
    })
}

fn fault_of(code: &str) -> Fault {
    match code {
        // serialization failure, deadlock, lock timeout
        "40001" | "40P01" | "55P03" => Fault::Contention,
        // invalid or untranslatable character; datetime overflow or format
        "22021" | "22P05" | "22007" | "22008" => Fault::Value,
        // read-only, as the old primary is after a failover
        "25006" => Fault::Away,
        // connection lost, out of resources, shutting down
        _ if ["08", "53", "57P"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Fault::Away
        }
        _ => Fault::Statement,
    }
}

/// Arrays of arrays must be rectangular in Postgres; sets of units are not, so each travels as text.
#[must_use]
pub fn array_literal(ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_known_by_its_code() {
        for (code, fault) in [
            ("57P01", Fault::Away),
            ("08006", Fault::Away),
            ("53300", Fault::Away),
            ("25006", Fault::Away),
            ("40P01", Fault::Contention),
            ("22021", Fault::Value),
            ("23505", Fault::Statement),
            ("57014", Fault::Statement),
            ("", Fault::Statement),
        ] {
            assert_eq!(fault_of(code), fault, "{code}");
        }
        let error = anyhow::Error::new(sqlx::Error::PoolTimedOut).context("while reading");
        assert_eq!(fault(&error), Some(Fault::Away));
        assert_eq!(fault(&anyhow::anyhow!("no statement")), None);
    }
}
