//! The steps of a request, as its record keeps them.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use proto::explanations::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{attachment, error::Error, parse::timestamp};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    Request,
    Seen,
    Answer,
    Return,
    Accept,
    Withdraw,
    ExtensionRequest,
    ExtensionGrant,
    ExtensionRefusal,
}

impl From<Kind> for pb::ThreadEntryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Request => Self::Request,
            Kind::Seen => Self::Seen,
            Kind::Answer => Self::Answer,
            Kind::Return => Self::Return,
            Kind::Accept => Self::Accept,
            Kind::Withdraw => Self::Withdraw,
            Kind::ExtensionRequest => Self::ExtensionRequest,
            Kind::ExtensionGrant => Self::ExtensionGrant,
            Kind::ExtensionRefusal => Self::ExtensionRefusal,
        }
    }
}

/// Who takes a step, and for which unit.
#[derive(Clone, Debug)]
pub struct Actor {
    pub id: Uuid,
    pub name: String,
    /// None for the city's leaders.
    pub unit_id: Option<Uuid>,
}

/// A step to be recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Kind,
    pub text: String,
    pub deadline: Option<DateTime<Utc>>,
    pub answer: Option<Answer>,
}

/// What a unit answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub cause: String,
    pub action: String,
    pub remedy_date: NaiveDate,
}

impl Entry {
    /// A step with a text and nothing else.
    pub fn plain(kind: Kind, text: String) -> Self {
        Self {
            kind,
            text,
            deadline: None,
            answer: None,
        }
    }
}

/// Records a step; answers its id.
pub async fn insert(
    tx: &mut PgConnection,
    explanation_id: Uuid,
    actor: &Actor,
    entry: &Entry,
) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    let answer = entry.answer.as_ref();
    sqlx::query!(
        "INSERT INTO thread_entry (id, explanation_id, kind, actor_id, actor_name, unit_id, text, deadline, cause,
            action, remedy_date)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        id,
        explanation_id,
        entry.kind as Kind,
        actor.id,
        actor.name,
        actor.unit_id,
        entry.text,
        entry.deadline,
        answer.map(|answer| answer.cause.as_str()),
        answer.map(|answer| answer.action.as_str()),
        answer.map(|answer| answer.remedy_date)
    )
    .execute(tx)
    .await?;
    Ok(id)
}

/// The steps of a request, oldest first, with the documents of its answers.
pub async fn list(
    connection: &mut PgConnection,
    explanation_id: Uuid,
) -> Result<Vec<pb::ThreadEntry>, Error> {
    let mut documents: HashMap<Uuid, Vec<pb::Attachment>> = HashMap::new();
    for (entry_id, document) in attachment::of_answers(&mut *connection, explanation_id).await? {
        documents.entry(entry_id).or_default().push(document);
    }
    let rows = sqlx::query!(
        r#"SELECT id, kind AS "kind: Kind", actor_id, actor_name, unit_id, create_time, text, deadline, cause, action,
            remedy_date
        FROM thread_entry WHERE explanation_id = $1 ORDER BY seq"#,
        explanation_id
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let answer = row.remedy_date.map(|remedy_date| pb::Answer {
                cause: row.cause.unwrap_or_default(),
                action: row.action.unwrap_or_default(),
                remedy_date: remedy_date.to_string(),
                attachments: documents.remove(&row.id).unwrap_or_default(),
            });
            pb::ThreadEntry {
                id: row.id.to_string(),
                kind: pb::ThreadEntryKind::from(row.kind).into(),
                actor_id: row.actor_id.to_string(),
                actor_name: row.actor_name,
                unit_id: row.unit_id.map(|id| id.to_string()).unwrap_or_default(),
                create_time: Some(timestamp(row.create_time)),
                text: row.text,
                answer,
                deadline: row.deadline.map(timestamp),
            }
        })
        .collect())
}
