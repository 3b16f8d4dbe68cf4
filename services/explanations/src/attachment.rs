//! Documents of answers: a row here, the bytes an object under the row's id.

use std::time::Duration;

use chassis::{Refusal, objects::Objects};
use proto::explanations::v1 as pb;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{document, error::Error, parse};

/// The largest document.
const LARGEST: usize = 10 * 1024 * 1024;
/// How often unused documents are looked for.
const CLEANING_PERIOD: Duration = Duration::from_secs(600);

/// A document that was looked at.
#[derive(Clone, Debug)]
pub struct Document {
    pub id: Uuid,
    pub name: String,
    pub content_type: String,
    pub size: i64,
    pub sha256: Vec<u8>,
}

impl Document {
    /// Looks at what was sent. What the sender says of its type does not count.
    pub fn read(name: &str, content: &[u8]) -> Result<Self, Refusal> {
        let name = parse::file_name("name", name)?;
        if content.is_empty() || content.len() > LARGEST {
            return Err(Refusal::invalid(
                "content",
                "tệp phải có nội dung và không quá 10 MiB",
                "must have 1 byte to 10 MiB",
            ));
        }
        let content_type = document::media_type(content).ok_or_else(|| {
            Refusal::invalid(
                "content",
                "chỉ nhận PDF, PNG, JPEG, DOCX, XLSX (không có macro)",
                "must be a PDF, PNG, JPEG, DOCX or XLSX (without macros)",
            )
        })?;
        Ok(Self {
            id: Uuid::now_v7(),
            name,
            content_type: content_type.to_owned(),
            size: i64::try_from(content.len()).unwrap_or(i64::MAX),
            sha256: Sha256::digest(content).to_vec(),
        })
    }

    /// The key of its object.
    pub fn key(&self) -> String {
        self.id.to_string()
    }
}

impl From<Document> for pb::Attachment {
    fn from(document: Document) -> Self {
        Self {
            id: document.id.to_string(),
            name: document.name,
            content_type: document.content_type,
            size: document.size,
            sha256: document
                .sha256
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }
}

/// Announces a document before its object is stored.
pub async fn announce(
    db: impl PgExecutor<'_>,
    explanation_id: Uuid,
    uploader_id: Uuid,
    document: &Document,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO attachment (id, explanation_id, uploader_id, name, content_type, size, sha256)
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
        document.id,
        explanation_id,
        uploader_id,
        document.name,
        document.content_type,
        document.size,
        document.sha256
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that its object is stored.
pub async fn mark_stored(tx: &mut PgConnection, id: Uuid) -> Result<(), Error> {
    sqlx::query!("UPDATE attachment SET is_stored = true WHERE id = $1", id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Makes documents part of an answer; false unless each was uploaded for this request and is still kept. Those of an
/// earlier answer may be given again.
pub async fn attach(
    tx: &mut PgConnection,
    explanation_id: Uuid,
    entry_id: Uuid,
    ids: &[Uuid],
) -> Result<bool, Error> {
    let attached = sqlx::query!(
        "WITH used AS (
            UPDATE attachment SET is_used = true WHERE explanation_id = $1 AND id = ANY($3) AND is_stored RETURNING id
        )
        INSERT INTO entry_attachment (entry_id, attachment_id) SELECT $2, id FROM used",
        explanation_id,
        entry_id,
        ids
    )
    .execute(tx)
    .await?;
    Ok(attached.rows_affected() == ids.len() as u64)
}

/// The documents of a request's answers, with the steps they belong to.
pub async fn of_answers(
    db: impl PgExecutor<'_>,
    explanation_id: Uuid,
) -> Result<Vec<(Uuid, pb::Attachment)>, Error> {
    let rows = sqlx::query!(
        "SELECT entry_id, id, name, content_type, size, sha256
        FROM attachment JOIN entry_attachment ON attachment_id = id WHERE explanation_id = $1 ORDER BY id",
        explanation_id
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let document = Document {
                id: row.id,
                name: row.name,
                content_type: row.content_type,
                size: row.size,
                sha256: row.sha256,
            };
            (row.entry_id, document.into())
        })
        .collect())
}

/// A document of a request that may be downloaded: part of an answer, or the person's own upload.
pub async fn get(
    db: impl PgExecutor<'_>,
    explanation_id: Uuid,
    id: Uuid,
    person: Option<Uuid>,
) -> Result<Option<Document>, Error> {
    Ok(sqlx::query_as!(
        Document,
        "SELECT id, name, content_type, size, sha256 FROM attachment
        WHERE explanation_id = $1 AND id = $2 AND is_stored AND (is_used OR uploader_id = $3)",
        explanation_id,
        id,
        person
    )
    .fetch_optional(db)
    .await?)
}

/// Deletes documents that no answer used within a day, until cancelled.
pub async fn clean(db: PgPool, objects: Objects) -> anyhow::Result<()> {
    loop {
        match clean_one(&db, &objects).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "an unused document was not deleted"
            ),
        }
        tokio::time::sleep(CLEANING_PERIOD).await;
    }
}

/// Deletes one document that no answer used within a day; false if there is none. The row goes last, and stays locked
/// meanwhile, so that nothing is ever left behind and no answer takes a document that is going.
pub async fn clean_one(db: &PgPool, objects: &Objects) -> anyhow::Result<bool> {
    let mut tx = db.begin().await?;
    let id = sqlx::query_scalar!(
        "SELECT id FROM attachment WHERE NOT is_used AND create_time < now() - interval '1 day'
        ORDER BY create_time LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = id else {
        return Ok(false);
    };
    objects.delete(&id.to_string()).await?;
    sqlx::query!("DELETE FROM attachment WHERE id = $1", id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}
