//! What units explained of their series, as the explanations service states it.

use std::str::FromStr;

use anyhow::Context;
use chassis::{
    directory::Scope,
    events::{Consumer, Event},
};
use prost::Message;
use proto::{
    explanations::v1::{self as explanations, ExplanationState},
    forecasting::v1 as pb,
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{copy, error::Error};

/// Notes that an outlook tells at most.
const MOST: i64 = 10;

/// Keeps the last answer to each request.
pub struct Notes;

impl Consumer for Notes {
    const NAME: &'static str = "explanations";

    fn source(&self) -> &str {
        "explanations"
    }

    fn types(&self) -> &[&str] {
        &["civicmesh.explanations.v1.ExplanationChanged"]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        note(tx, &event.decode()?).await
    }
}

/// Keeps what a step of a request says: an answer, or that it was accepted, returned or withdrawn.
pub async fn note(
    tx: &mut PgConnection,
    changed: &explanations::ExplanationChanged,
) -> anyhow::Result<()> {
    let about = changed.explanation.as_ref().context("no request")?;
    let id = Uuid::from_str(&about.id)?;
    if about.state() == ExplanationState::Withdrawn {
        sqlx::query!("DELETE FROM note WHERE explanation_id = $1", id)
            .execute(tx)
            .await?;
        return Ok(());
    }
    let kept = sqlx::query_scalar!("SELECT payload FROM note WHERE explanation_id = $1", id);
    let kept = kept.fetch_optional(&mut *tx).await?;
    let entry = changed.entry.as_ref();
    let mut note = match entry.and_then(|entry| Some((entry, entry.answer.as_ref()?))) {
        Some((entry, answer)) => pb::Note {
            explanation_id: about.id.clone(),
            code: about.code.clone(),
            unit_id: about.unit_id.clone(),
            cause: answer.cause.clone(),
            action: answer.action.clone(),
            remedy_date: answer.remedy_date.clone(),
            time: entry.create_time,
            ..Default::default()
        },
        None => match kept {
            Some(kept) => pb::Note::decode(kept.as_slice())?,
            None => return Ok(()),
        },
    };
    note.accepted = about.state() == ExplanationState::Accepted;
    sqlx::query!(
        "INSERT INTO note (explanation_id, indicator_id, unit_id, answering_unit_id, field_code, time, payload)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (explanation_id) DO UPDATE SET time = excluded.time, payload = excluded.payload",
        id,
        Uuid::from_str(&about.indicator_id)?,
        Uuid::from_str(&about.subject_unit_id)?,
        Uuid::from_str(&about.unit_id)?,
        about.field_code,
        copy::time(note.time)?,
        note.encode_to_vec()
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What was explained of a series, newest first, as far as the caller may read explanations.
pub async fn list(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    indicator_id: Uuid,
    unit_id: Uuid,
) -> Result<Vec<pb::Note>, Error> {
    let payloads = sqlx::query_scalar!(
        "SELECT payload FROM note WHERE indicator_id = $4 AND unit_id = $5
            AND ($1 OR unit_id = ANY($2) OR answering_unit_id = ANY($2) OR field_code = ANY($3))
        ORDER BY time DESC LIMIT $6",
        scope.all,
        &scope.units,
        &scope.fields,
        indicator_id,
        unit_id,
        MOST
    );
    let payloads = payloads.fetch_all(db).await?;
    let notes = payloads
        .iter()
        .map(|payload| pb::Note::decode(payload.as_slice()));
    Ok(notes.collect::<Result<_, _>>()?)
}
