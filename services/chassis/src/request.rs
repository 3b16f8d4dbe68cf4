//! Writes that may be repeated: the client's `request_id`, kept in the same transaction as the effect.

use std::time::Duration;

use prost::Message;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    Refusal, internal,
    postgres::{Fault, fault},
};

/// How often old keys are looked for.
const PRUNE_PERIOD: Duration = Duration::from_secs(600);
/// Keys deleted by one statement at most.
const PRUNE_BATCH: i64 = 1000;

/// What makes two calls the same write: who calls, the method, the client's id; and the body they must agree on.
#[derive(Clone, Debug)]
pub struct RequestKey {
    principal: String,
    method: &'static str,
    request_id: Uuid,
    hash: Vec<u8>,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed<T> {
    /// This call is the first: do the work, then `keep` the answer in the same transaction.
    Now,
    /// The work was done before, with this answer.
    Before(T),
}

impl RequestKey {
    /// The key of a call: the caller's id, the method's name, the request's id and the request itself.
    pub fn new(
        principal: &str,
        method: &'static str,
        request_id: &str,
        message: &impl Message,
    ) -> Result<Self, Refusal> {
        let request_id = Uuid::parse_str(request_id).map_err(|_| {
            Refusal::invalid(
                "request_id",
                "phải là một UUID do phía gọi tạo ra cho mỗi thao tác ghi",
                "must be a UUID that the client makes for each write",
            )
        })?;
        Ok(Self {
            principal: principal.to_owned(),
            method,
            request_id,
            hash: Sha256::digest(message.encode_to_vec()).to_vec(),
        })
    }

    /// Claims the key within the transaction. A concurrent call with the same key waits here for the first to end.
    /// Errors: `ALREADY_EXISTS` with reason `REQUEST_ID_REUSED` when the id came before with another body.
    pub async fn claim<T: Message + Default>(
        &self,
        tx: &mut PgConnection,
    ) -> Result<Claimed<T>, Status> {
        let inserted = sqlx::query!(
            "INSERT INTO chassis.request (principal, method, request_id, hash) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING",
            self.principal,
            self.method,
            self.request_id,
            self.hash
        )
        .execute(&mut *tx)
        .await
        .map_err(waiting)?;
        if inserted.rows_affected() == 1 {
            return Ok(Claimed::Now);
        }
        let before = sqlx::query!(
            "SELECT hash, answer FROM chassis.request WHERE principal = $1 AND method = $2 AND request_id = $3",
            self.principal,
            self.method,
            self.request_id
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(internal)?;
        if before.hash != self.hash {
            return Err(Refusal::new(
                Code::AlreadyExists,
                "REQUEST_ID_REUSED",
                "request_id này đã được dùng cho một yêu cầu có nội dung khác",
                "this request_id was used before for a request with another body",
            )
            .into());
        }
        let answer = before.answer.ok_or_else(|| {
            internal(anyhow::anyhow!(
                "{} committed a claimed request without its answer",
                self.method
            ))
        })?;
        let answer = T::decode(answer.as_slice()).map_err(internal)?;
        Ok(Claimed::Before(answer))
    }

    /// Keeps the answer for repeated calls, in the transaction that claimed the key.
    pub async fn keep(&self, tx: &mut PgConnection, answer: &impl Message) -> Result<(), Status> {
        sqlx::query!(
            "UPDATE chassis.request SET answer = $4 WHERE principal = $1 AND method = $2 AND request_id = $3",
            self.principal,
            self.method,
            self.request_id,
            answer.encode_to_vec()
        )
        .execute(tx)
        .await
        .map_err(internal)?;
        Ok(())
    }
}

/// The first call with the same key is still under way after the lock timeout.
fn waiting(error: sqlx::Error) -> Status {
    let error = error.into();
    if fault(&error) != Some(Fault::Contention) {
        return internal(error);
    }
    Refusal::new(
        Code::Aborted,
        "REQUEST_UNDER_WAY",
        "yêu cầu này đang được xử lý, hãy thử lại sau giây lát",
        "this request is being worked on, try again in a moment",
    )
    .into()
}

/// Deletes keys older than seven days, in small batches, until told to stop.
pub async fn prune(db: PgPool, shutdown: CancellationToken) {
    loop {
        match prune_batch(&db).await {
            Ok(deleted) if deleted == PRUNE_BATCH.unsigned_abs() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "old request keys could not be deleted");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PRUNE_PERIOD) => {}
        }
    }
}

/// Deletes one batch of keys older than seven days; answers how many.
pub async fn prune_batch(db: &PgPool) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM chassis.request WHERE (principal, method, request_id) IN (
            SELECT principal, method, request_id FROM chassis.request
            WHERE create_time < now() - interval '7 days'
            ORDER BY create_time LIMIT $1 FOR UPDATE SKIP LOCKED)",
        PRUNE_BATCH
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
