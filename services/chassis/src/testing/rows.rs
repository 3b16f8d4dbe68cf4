//! What a page costs, counted by Postgres itself.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, PgPool};

/// How many rows and index entries are read while `call` runs, by whatever plan: nobody else may use the database.
pub async fn rows_read<T>(db: &PgPool, call: impl Future<Output = T>) -> (i64, T) {
    let before = total(db).await;
    let answer = call.await;
    (total(db).await - before, answer)
}

/// All that was read since the database was made, told by every idle connection.
async fn total(db: &PgPool) -> i64 {
    // Connections go back to the pool a moment after their last use.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut idle = Vec::new();
    while let Some(connection) = db.try_acquire() {
        idle.push(connection);
    }
    for connection in &mut idle {
        let flush = "SELECT pg_stat_force_next_flush()";
        connection.execute(flush).await.unwrap();
    }
    let mut apart = PgConnection::connect_with(&db.connect_options())
        .await
        .unwrap();
    sqlx::query_scalar(
        "SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables)
            + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes))::bigint",
    )
    .fetch_one(&mut apart)
    .await
    .unwrap()
}
