//! A database of its own for each test.

use std::str::FromStr;

use chassis::{Config, postgres, testing::config};
use chrono::{TimeDelta, Utc};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::{ContextV7, Timestamp, Uuid};

/// The migrations of a service that has none.
pub static NO_MIGRATIONS: Migrator = Migrator::DEFAULT;

/// A database on the server that DATABASE_URL names. It is left for a look; runs ten minutes later sweep it away.
#[derive(Debug)]
pub struct Database {
    /// Settings under which a service uses it.
    pub config: Config,
    name: String,
}

impl Database {
    /// An empty database.
    pub async fn empty() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one setting of tests, the same that sqlx's macros read"
        )]
        let server = std::env::var("DATABASE_URL")
            .expect("DATABASE_URL names a server for tests: run under scripts/postgres");
        let mut connection = PgConnection::connect(&server).await.unwrap();
        sweep(&mut connection).await;
        let name = format!("chassis_{}", Uuid::now_v7().simple());
        execute(&mut connection, format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        connection.close().await.unwrap();
        let (start, _) = server.rsplit_once('/').unwrap();
        Self {
            config: config(&[
                "--allow-unsafe-database",
                &format!("--database-url={start}/{name}"),
            ]),
            name,
        }
    }

    /// A database with the chassis's schema and the service's, and the service's pool of it.
    pub async fn migrated(migrations: &'static Migrator) -> (Self, PgPool) {
        let database = Self::empty().await;
        let pool = postgres::connect(&database.config, migrations)
            .await
            .unwrap();
        (database, pool)
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.config.database_url.expose()
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A pool without migrations.
    pub async fn pool(&self) -> PgPool {
        let options = PgConnectOptions::from_str(self.url()).unwrap();
        PgPoolOptions::new().connect_with(options).await.unwrap()
    }
}

/// Drops what earlier runs left. Not at the end of a test: its half-open connections would be waited for.
async fn sweep(connection: &mut PgConnection) {
    let then = (Utc::now() - TimeDelta::minutes(10)).timestamp();
    let then = Timestamp::from_unix(ContextV7::new(), then.unsigned_abs(), 0);
    let oldest = format!("chassis_{}", Uuid::new_v7(then).simple());
    let left: Vec<String> = sqlx::query_scalar(
        r"SELECT datname FROM pg_database WHERE datname LIKE 'chassis\_%' AND datname < $1 LIMIT 10",
    )
    .bind(oldest)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for name in left {
        // Another test may be at it.
        let _ = execute(connection, format!("DROP DATABASE IF EXISTS {name}")).await;
    }
}

async fn execute(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}
