//! What `postgres::connect` demands and leaves behind.

use crate::database::{Database, NO_MIGRATIONS};
use chassis::{postgres, testing::config};
use sqlx::{AssertSqlSafe, migrate::Migrator};

static THINGS: Migrator = sqlx::migrate!("tests/it/migrations");

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let database = Database::empty().await;
    let starts = (0..4).map(|_| postgres::connect(&database.config, &THINGS));
    for pool in futures::future::join_all(starts).await {
        let applied: (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM chassis.migration), (SELECT count(*) FROM _sqlx_migrations)",
        )
        .fetch_one(&pool.unwrap())
        .await
        .unwrap();
        assert!(applied.0 >= 2);
        assert_eq!(applied.1, 1);
    }
}

#[tokio::test]
async fn newer_migrations_do_not_stop_an_older_process() {
    let (database, pool) = Database::migrated(&THINGS).await;
    for table in ["chassis.migration", "_sqlx_migrations"] {
        let newer = format!(
            "INSERT INTO {table} (version, description, success, checksum, execution_time)
            VALUES (29990101000000, 'from the future', true, 'x', 0)"
        );
        sqlx::query(AssertSqlSafe(newer))
            .execute(&pool)
            .await
            .unwrap();
    }
    postgres::connect(&database.config, &THINGS).await.unwrap();
}

#[tokio::test]
async fn a_server_that_may_lose_commits_is_refused() {
    let database = Database::empty().await;
    let pool = database.pool().await;
    let setting = format!(
        "ALTER DATABASE {} SET synchronous_commit = off",
        database.name()
    );
    sqlx::query(AssertSqlSafe(setting))
        .execute(&pool)
        .await
        .unwrap();
    let strict = config(&[&format!("--database-url={}", database.url())]);
    let error = postgres::connect(&strict, &NO_MIGRATIONS)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("synchronous_commit"), "{error}");
    postgres::connect(&database.config, &NO_MIGRATIONS)
        .await
        .unwrap();
}

#[tokio::test]
async fn statements_are_bounded() {
    let (_database, pool) = Database::migrated(&NO_MIGRATIONS).await;
    for setting in [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_ne!(value, "0", "{setting}");
    }
}
