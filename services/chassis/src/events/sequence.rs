//! Gives committed events their positions. An identity column alone would not do: a transaction that takes a lower
//! number may commit later, and readers that were past it would never see its events.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long a lost wake-up delays an event at most.
const POLL: Duration = Duration::from_secs(1);
/// Positions given in one transaction at most.
const BATCH: i64 = 5000;

/// Gives positions until told to stop, and tells `head` the newest one. Any number of replicas may run it.
pub(super) async fn run(db: &PgPool, head: &watch::Sender<i64>, shutdown: &CancellationToken) {
    let wake = Notify::new();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = listen(db, &wake, head) => {}
        () = give(db, &wake, head) => {}
    }
}

async fn give(db: &PgPool, wake: &Notify, head: &watch::Sender<i64>) {
    loop {
        if let Err(error) = give_all(db, head).await {
            tracing::warn!(%error, "positions could not be given to events");
            tokio::time::sleep(POLL).await;
            continue;
        }
        // Wake-ups that come meanwhile are kept as one.
        let _ = tokio::time::timeout(POLL, wake.notified()).await;
    }
}

async fn give_all(db: &PgPool, head: &watch::Sender<i64>) -> sqlx::Result<()> {
    loop {
        let feed = sqlx::query!(
            r#"SELECT position, EXISTS (SELECT FROM chassis.outbox WHERE position IS NULL) AS "is_behind!"
            FROM chassis.feed"#
        )
        .fetch_one(db)
        .await?;
        raise(head, feed.position);
        if !feed.is_behind {
            return Ok(());
        }
        if let Some(position) = give_batch(db).await? {
            raise(head, position);
        }
    }
}

/// Gives positions to what is committed and has none, in the order of `seq`; answers the newest.
async fn give_batch(db: &PgPool) -> sqlx::Result<Option<i64>> {
    let mut tx = db.begin().await?;
    // One at a time, and only once the lock is held does the next statement take its snapshot: so positions become
    // visible in their order.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('chassis.feed'))")
        .execute(&mut *tx)
        .await?;
    // After a large import the planner knows nothing of it yet, and would read all of it again for each of its rows.
    sqlx::query!("SET LOCAL enable_nestloop = off")
        .execute(&mut *tx)
        .await?;
    let position = sqlx::query_scalar!(
        r#"WITH fresh AS (
            SELECT seq, (SELECT position FROM chassis.feed) + row_number() OVER (ORDER BY seq) AS position
            FROM (SELECT seq FROM chassis.outbox WHERE position IS NULL ORDER BY seq LIMIT $1) AS u
        ), given AS (
            -- That they have none leads to them by the index of those, however many others there are.
            UPDATE chassis.outbox AS o SET position = fresh.position FROM fresh
            WHERE o.seq = fresh.seq AND o.position IS NULL
            RETURNING o.position
        ), moved AS (
            UPDATE chassis.feed SET position = (SELECT max(position) FROM given)
            WHERE EXISTS (SELECT FROM given)
            RETURNING position
        )
        SELECT position AS "position!" FROM moved WHERE pg_notify('chassis_feed', position::text) IS NOT NULL"#,
        BATCH
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(position)
}

async fn listen(db: &PgPool, wake: &Notify, head: &watch::Sender<i64>) {
    loop {
        if let Err(error) = heed(db, wake, head).await {
            tracing::warn!(%error, "not listening for new events, polling instead");
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn heed(db: &PgPool, wake: &Notify, head: &watch::Sender<i64>) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(db).await?;
    listener
        .listen_all(["chassis_outbox", "chassis_feed"])
        .await?;
    wake.notify_one();
    loop {
        let mut next = listener.try_recv().await?;
        // None: the connection was lost, and perhaps notifications with it.
        let mut is_behind = next.is_none();
        while let Some(notification) = next {
            match notification.payload().parse() {
                Ok(position) => raise(head, position),
                Err(_) => is_behind = true,
            }
            next = listener.next_buffered();
        }
        if is_behind {
            wake.notify_one();
        }
    }
}

fn raise(head: &watch::Sender<i64>, position: i64) {
    head.send_if_modified(|head| {
        let is_newer = position > *head;
        *head = position.max(*head);
        is_newer
    });
}
