//! Deletes events that are old and that every registered consumer has read.

use std::time::Duration;

use sqlx::{PgPool, postgres::types::PgInterval};
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(60);
/// Events looked at by one statement at most.
const BATCH: i64 = 1000;

pub(super) async fn run(db: &PgPool, retention: Duration, shutdown: &CancellationToken) {
    loop {
        if let Err(error) = pass(db, retention).await {
            tracing::warn!(%error, "old events could not be deleted");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Deletes what may be deleted; answers how many events.
pub(super) async fn pass(db: &PgPool, retention: Duration) -> sqlx::Result<i64> {
    forget_the_lost(db).await?;
    let mut deleted = 0;
    loop {
        let batch = delete_batch(db, retention).await?;
        deleted += batch;
        if batch < BATCH {
            return Ok(deleted);
        }
    }
}

/// A consumer that has not been seen for 30 days must not fill the disk for ever.
async fn forget_the_lost(db: &PgPool) -> sqlx::Result<()> {
    let lost = sqlx::query!(
        "DELETE FROM chassis.feed_consumer WHERE seen_time < now() - interval '30 days' RETURNING name, position"
    )
    .fetch_all(db)
    .await?;
    for consumer in lost {
        tracing::warn!(
            consumer = consumer.name,
            position = consumer.position,
            "a consumer unseen for 30 days no longer keeps events from being deleted"
        );
    }
    Ok(())
}

/// Deletes from the oldest on, never past one that is young or unread.
async fn delete_batch(db: &PgPool, retention: Duration) -> sqlx::Result<i64> {
    let retention = PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(retention.as_micros()).unwrap_or(i64::MAX),
    };
    sqlx::query_scalar!(
        r#"WITH candidate AS (
            SELECT oldest.position, bool_and(oldest.time < now() - $1::interval AND oldest.position <= unread.position)
                OVER (ORDER BY oldest.position) AS is_due
            FROM (
                SELECT position, time FROM chassis.outbox
                WHERE position > (SELECT deleted_position FROM chassis.feed) ORDER BY position LIMIT $2
            ) AS oldest
            CROSS JOIN (
                SELECT COALESCE(min(position), 9223372036854775807) AS position FROM chassis.feed_consumer
            ) AS unread
        ), gone AS (
            DELETE FROM chassis.outbox AS o USING candidate AS c WHERE o.position = c.position AND c.is_due
            RETURNING o.position, o.id
        ), noted AS (
            UPDATE chassis.feed SET deleted_position = last.position, deleted_id = last.id
            FROM (SELECT position, id FROM gone ORDER BY position DESC LIMIT 1) AS last
        )
        SELECT count(*) AS "count!" FROM gone"#,
        retention,
        BATCH
    )
    .fetch_one(db)
    .await
}
