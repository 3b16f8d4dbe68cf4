//! Where a reader of a feed stands: opaque to it, verifiable by the feed.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sqlx::PgExecutor;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{Refusal, internal};

/// The last event read: its position, and its id to notice when the feed was restored to before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub position: i64,
    pub id: Uuid,
}

impl Cursor {
    pub fn encode(self) -> String {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.position.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn decode(text: &str) -> Result<Self, Refusal> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let (Some((position, _)), Some((_, id)), 24) = (
            bytes.split_first_chunk::<8>(),
            bytes.split_last_chunk::<16>(),
            bytes.len(),
        ) else {
            return Err(Refusal::invalid(
                "cursor",
                "không phải là con trỏ của luồng sự kiện",
                "is not a cursor of an event feed",
            ));
        };
        Ok(Self {
            position: i64::from_be_bytes(*position),
            id: Uuid::from_bytes(*id),
        })
    }

    /// The place before the oldest event kept.
    pub async fn oldest(db: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            "SELECT deleted_position AS position, deleted_id AS id FROM chassis.feed"
        )
        .fetch_one(db)
        .await
    }

    /// The place after the newest event.
    pub async fn newest(db: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"SELECT f.position, COALESCE(o.id, f.deleted_id) AS "id!"
            FROM chassis.feed AS f LEFT JOIN chassis.outbox AS o ON o.position = f.position"#
        )
        .fetch_one(db)
        .await
    }

    /// Whether this feed can go on from here.
    pub async fn verify(self, db: impl PgExecutor<'_>) -> Result<Standing, Status> {
        let feed = sqlx::query!(
            r#"SELECT f.deleted_position, f.deleted_id, o.id AS "kept_id?"
            FROM chassis.feed AS f LEFT JOIN chassis.outbox AS o ON o.position = $1"#,
            self.position
        )
        .fetch_one(db)
        .await
        .map_err(internal)?;
        Ok(if self.position < feed.deleted_position {
            Standing::Expired
        } else if feed.kept_id == Some(self.id)
            || (self.position == feed.deleted_position && self.id == feed.deleted_id)
        {
            Standing::Good
        } else {
            Standing::Forked
        })
    }
}

/// What a feed says of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// Events after it are already deleted.
    Expired,
    /// The feed never gave it, or was restored to before it.
    Forked,
}

impl Standing {
    pub fn demand_good(self) -> Result<(), Refusal> {
        match self {
            Self::Good => Ok(()),
            Self::Expired => Err(Refusal::new(
                Code::OutOfRange,
                "CURSOR_EXPIRED",
                "các sự kiện sau con trỏ này đã bị xóa; hãy đọc bản xuất dữ liệu rồi theo con trỏ mà nó cho",
                "events after this cursor are deleted already; read the export, then follow from the cursor it gives",
            )),
            Self::Forked => Err(Refusal::new(
                Code::OutOfRange,
                "CURSOR_FORKED",
                "luồng sự kiện đã được khôi phục về trước con trỏ này; hãy đọc bản xuất dữ liệu rồi theo con trỏ mà nó cho",
                "the feed was restored to before this cursor; read the export, then follow from the cursor it gives",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            position: 42,
            id: Uuid::now_v7(),
        };
        assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        assert!(Cursor::decode("").is_err());
        assert!(Cursor::decode(&cursor.encode()[1..]).is_err());
        assert!(Cursor::decode("không").is_err());
    }
}
