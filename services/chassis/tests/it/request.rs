//! Writes that are repeated.

use std::sync::Arc;

use crate::database::{Database, NO_MIGRATIONS};
use chassis::{Claimed, RequestKey, request::prune_batch};
use proto::calendar::v1::Period;
use sqlx::PgPool;
use tokio::sync::Barrier;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

fn body(code: &str) -> Period {
    Period {
        code: code.to_owned(),
    }
}

fn key(id: &str, code: &str) -> RequestKey {
    RequestKey::new("someone", "CreatePeriod", id, &body(code)).unwrap()
}

async fn database() -> (Database, PgPool) {
    let (database, pool) = Database::migrated(&NO_MIGRATIONS).await;
    sqlx::query("CREATE TABLE effect (answer text)")
        .execute(&pool)
        .await
        .unwrap();
    (database, pool)
}

/// A write as a service does it; the answer says which call did the work.
async fn write(db: &PgPool, key: &RequestKey, answer: &str) -> Result<String, Status> {
    let mut tx = db.begin().await.unwrap();
    if let Claimed::Before(answer) = key.claim::<Period>(&mut tx).await? {
        return Ok(answer.code);
    }
    sqlx::query("INSERT INTO effect VALUES ($1)")
        .bind(answer)
        .execute(&mut *tx)
        .await
        .unwrap();
    key.keep(&mut tx, &body(answer)).await?;
    tx.commit().await.unwrap();
    Ok(answer.to_owned())
}

async fn effects(db: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effect")
        .fetch_one(db)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_repeated_write_gets_the_first_answer() {
    let (_database, db) = database().await;
    let id = Uuid::now_v7().to_string();
    assert_eq!(
        write(&db, &key(&id, "2025"), "first").await.unwrap(),
        "first"
    );
    assert_eq!(
        write(&db, &key(&id, "2025"), "second").await.unwrap(),
        "first"
    );
    assert_eq!(effects(&db).await, 1);
}

#[tokio::test]
async fn the_same_id_with_another_body_already_exists() {
    let (_database, db) = database().await;
    let id = Uuid::now_v7().to_string();
    write(&db, &key(&id, "2025"), "first").await.unwrap();
    let status = write(&db, &key(&id, "2026"), "second").await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "REQUEST_ID_REUSED"
    );
    assert_eq!(effects(&db).await, 1);
}

#[tokio::test]
async fn the_same_id_of_another_caller_is_another_write() {
    let (_database, db) = database().await;
    let id = Uuid::now_v7().to_string();
    write(&db, &key(&id, "2025"), "first").await.unwrap();
    let other = RequestKey::new("someone else", "CreatePeriod", &id, &body("2026")).unwrap();
    assert_eq!(write(&db, &other, "second").await.unwrap(), "second");
}

#[test]
fn a_missing_or_malformed_id_is_invalid() {
    for id in ["", "42", "not-a-uuid"] {
        let refusal = RequestKey::new("someone", "CreatePeriod", id, &body("2025")).unwrap_err();
        let status = refusal.into_status("test");
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "request_id");
    }
}

#[tokio::test]
async fn calls_at_the_same_time_do_the_work_once() {
    let (_database, db) = database().await;
    let id = Uuid::now_v7().to_string();
    let start = Arc::new(Barrier::new(8));
    let calls: Vec<_> = (0..8)
        .map(|n| {
            let (db, id, start) = (db.clone(), id.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                write(&db, &key(&id, "2025"), &format!("call {n}")).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(effects(&db).await, 1);
}

#[tokio::test]
async fn a_call_that_waited_for_one_that_failed_does_the_work() {
    let (_database, db) = database().await;
    let id = Uuid::now_v7().to_string();
    let mut failing = db.begin().await.unwrap();
    let claimed = key(&id, "2025").claim::<Period>(&mut failing).await;
    assert_eq!(claimed.unwrap(), Claimed::Now);
    let waiting = tokio::spawn({
        let (db, key) = (db.clone(), key(&id, "2025"));
        async move { write(&db, &key, "second").await }
    });
    crate::source::until("the second call waits", || async {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
            .fetch_one(&db)
            .await
            .unwrap()
    })
    .await;
    failing.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), "second");
}

#[tokio::test]
async fn keys_are_forgotten_after_seven_days() {
    let (_database, db) = database().await;
    let (old, young) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    write(&db, &key(&old, "2025"), "old").await.unwrap();
    write(&db, &key(&young, "2025"), "young").await.unwrap();
    sqlx::query("UPDATE chassis.request SET create_time = now() - interval '8 days' WHERE request_id = $1::uuid")
        .bind(&old)
        .execute(&db)
        .await
        .unwrap();
    assert_eq!(prune_batch(&db).await.unwrap(), 1);
    assert_eq!(
        write(&db, &key(&young, "2025"), "again").await.unwrap(),
        "young"
    );
    assert_eq!(
        write(&db, &key(&old, "2025"), "again").await.unwrap(),
        "again"
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_stored_is_the_callers_mistake() {
    let (_database, db) = database().await;
    let refused = sqlx::query("INSERT INTO effect VALUES ($1)")
        .bind("abc\0def")
        .execute(&db)
        .await;
    let status = chassis::internal(refused.unwrap_err());
    assert_eq!(status.code(), Code::InvalidArgument);
}
