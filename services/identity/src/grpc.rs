//! The RPCs: parse, check, call, convert.

mod accounts;
mod directory;
mod tokens;

use chassis::{Claimed, RequestKey};
use prost::Message;
use sqlx::PgConnection;

use crate::{
    error::{Error, Result},
    state::Identity,
};

/// Does a write once for its request id: the answer of the first time, or what `work` does now, in one transaction.
/// Afterwards the own directory knows of it.
async fn once<A, W>(identity: &Identity, key: RequestKey, work: W) -> Result<A>
where
    A: Message + Default,
    W: AsyncFnOnce(&mut PgConnection) -> Result<A>,
{
    let mut tx = identity.db.begin().await?;
    if let Claimed::Before(answer) = key.claim::<A>(&mut tx).await? {
        return Ok(answer);
    }
    let answer = work(&mut tx).await?;
    key.keep(&mut tx, &answer).await.map_err(Error::from)?;
    tx.commit().await?;
    identity.reload().await?;
    Ok(answer)
}
