//! A notice to one person: its type and its queries.

use chassis::{
    Directory,
    directory::Principal,
    events::{self, Event, Fact},
};
use chrono::{DateTime, TimeDelta, Utc};
use proto::notifications::v1 as pb;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{
    delivery,
    error::Error,
    text::{self, Values},
};

/// Older facts are told in the console only: whoever starts from an old cursor must not mail last week's news.
const FRESH: TimeDelta = TimeDelta::days(3);

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Topic {
    ExplanationRequested,
    ExplanationAnswered,
    ExplanationReturned,
    ExplanationAccepted,
    ExplanationWithdrawn,
    ExplanationExtension,
    FeedbackRouted,
    Submission,
}

impl From<Topic> for pb::Topic {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::ExplanationRequested => Self::ExplanationRequested,
            Topic::ExplanationAnswered => Self::ExplanationAnswered,
            Topic::ExplanationReturned => Self::ExplanationReturned,
            Topic::ExplanationAccepted => Self::ExplanationAccepted,
            Topic::ExplanationWithdrawn => Self::ExplanationWithdrawn,
            Topic::ExplanationExtension => Self::ExplanationExtension,
            Topic::FeedbackRouted => Self::FeedbackRouted,
            Topic::Submission => Self::Submission,
        }
    }
}

/// What is to be told.
#[derive(Clone, Debug)]
pub struct News {
    pub topic: Topic,
    /// The key of its text.
    pub text: &'static str,
    pub values: Values,
    pub path: String,
    pub people: Vec<Uuid>,
    /// Told even to whoever did it.
    pub to_actor: bool,
}

/// How news reaches people besides the console.
#[derive(Clone, Debug)]
pub struct Media {
    pub directory: Directory,
    pub mail: bool,
}

impl Media {
    /// Writes the notices of an event and what is to be sent of them, once however often the event comes.
    pub async fn tell(
        &self,
        tx: &mut PgConnection,
        event: &Event,
        news: &News,
    ) -> anyhow::Result<()> {
        if news.people.is_empty() {
            tracing::warn!(event.id = %event.id, text = news.text, "there is nobody to tell");
        }
        let mut told = Vec::new();
        for person in &news.people {
            let id = person.to_string();
            let Some(principal) = self.directory.principal(&id) else {
                continue;
            };
            // Nobody is told what he or she did, but perhaps what came of it.
            if principal.disabled || (id == event.actor && !news.to_actor) {
                continue;
            }
            if self
                .tell_one(tx, event, news, (*person, &principal))
                .await?
            {
                told.push(pb::NotificationChanged { person_id: id });
            }
        }
        let facts = told.iter().map(|changed| fact(changed, &event.actor));
        events::publish_all(tx, facts).await?;
        Ok(())
    }

    async fn tell_one(
        &self,
        tx: &mut PgConnection,
        event: &Event,
        news: &News,
        (person, principal): (Uuid, &Principal),
    ) -> anyhow::Result<bool> {
        let text = text::notice(news.text, &news.values, principal.language)?;
        let id = Uuid::now_v7();
        let inserted = sqlx::query!(
            "INSERT INTO notification (id, event_id, person_id, topic, language, title, body, path)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT ON CONSTRAINT notification_once_key DO NOTHING",
            id,
            event.id,
            person,
            news.topic as Topic,
            principal.language.code(),
            text.title,
            text.body,
            news.path
        )
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        if self.mail && event.time + FRESH > Utc::now() {
            delivery::insert(tx, id, event, principal.home_unit).await?;
        }
        Ok(true)
    }
}

/// That a person's notices changed. It concerns no unit, so of people only those with rights in the whole city may
/// follow it; the gateway passes it on to the person.
fn fact<'a>(
    changed: &'a pb::NotificationChanged,
    actor: &str,
) -> Fact<'a, pb::NotificationChanged> {
    Fact {
        subject: changed.person_id.clone(),
        unit_ids: Vec::new(),
        field_code: None,
        actor: actor.to_owned(),
        message: changed,
    }
}

/// A notice as it is kept.
#[derive(Clone, Debug)]
pub struct Notification {
    pub id: Uuid,
    pub topic: Topic,
    pub title: String,
    pub body: String,
    pub path: String,
    pub create_time: DateTime<Utc>,
    pub read_time: Option<DateTime<Utc>>,
}

/// The key of a row in lists.
pub type Key = (DateTime<Utc>, Uuid);

/// A person's notices, newest first; at most `limit` after the key.
pub async fn list(
    db: impl PgExecutor<'_>,
    person: Uuid,
    unread_only: bool,
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<Notification>, Error> {
    Ok(sqlx::query_as!(
        Notification,
        r#"SELECT id, topic AS "topic: Topic", title, body, path, create_time, read_time FROM notification
        WHERE person_id = $1 AND (NOT $2 OR read_time IS NULL)
            AND ($3::timestamptz IS NULL OR (create_time, id) < ($3, $4::uuid))
        ORDER BY create_time DESC, id DESC LIMIT $5"#,
        person,
        unread_only,
        after.map(|key| key.0),
        after.map(|key| key.1),
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(db)
    .await?)
}

/// Unread notices of a person, counted to 100 at most.
pub async fn unread(db: impl PgExecutor<'_>, person: Uuid) -> Result<i32, Error> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*)::integer AS "count!"
        FROM (SELECT 1 FROM notification WHERE person_id = $1 AND read_time IS NULL LIMIT 100) AS n"#,
        person
    )
    .fetch_one(db)
    .await?)
}

/// Marks a person's notices as read, up to and with this one; false if it is not the person's.
pub async fn mark_read(tx: &mut PgConnection, person: Uuid, id: Uuid) -> Result<bool, Error> {
    let newest = sqlx::query_scalar!(
        "SELECT create_time FROM notification WHERE id = $1 AND person_id = $2",
        id,
        person
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(newest) = newest else {
        return Ok(false);
    };
    let marked = sqlx::query!(
        "UPDATE notification SET read_time = now()
        WHERE person_id = $1 AND read_time IS NULL AND (create_time, id) <= ($2, $3::uuid)",
        person,
        newest,
        id
    )
    .execute(&mut *tx)
    .await?;
    if marked.rows_affected() > 0 {
        let changed = pb::NotificationChanged {
            person_id: person.to_string(),
        };
        events::publish(tx, fact(&changed, &person.to_string())).await?;
    }
    Ok(true)
}

impl From<Notification> for pb::Notification {
    fn from(notification: Notification) -> Self {
        Self {
            id: notification.id.to_string(),
            topic: pb::Topic::from(notification.topic).into(),
            title: notification.title,
            body: notification.body,
            path: notification.path,
            create_time: Some(crate::timestamp(notification.create_time)),
            read_time: notification.read_time.map(crate::timestamp),
        }
    }
}
