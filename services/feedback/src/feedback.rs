//! An item of feedback: its type, its life, its queries.

mod change;
mod list;

pub use change::{Filing, Step, Transition, file, rate, transition};
pub use list::{Filter, list};

use chassis::{directory::Scope, parse::timestamp};
use chrono::{DateTime, NaiveDate, Utc};
use proto::feedback::v1 as pb;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{error::Error, photo::Photo};

/// An item as the database holds it, with what is asked of the clock when it is read.
#[derive(Clone, Debug)]
pub struct Feedback {
    /// Its id.
    pub id: Uuid,
    /// Its number, shown as PA-number.
    pub number: i64,
    /// The citizen's key to it.
    pub tracking_code: String,
    /// Its category.
    pub category_code: String,
    /// The category's name in Vietnamese.
    pub category_vi: String,
    /// The category's name in English.
    pub category_en: String,
    /// Its field.
    pub field_code: String,
    /// A short title.
    pub title: String,
    /// What the citizen wrote.
    pub body: String,
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
    /// The place in words.
    pub address: String,
    /// The ward, commune or special zone it lies in.
    pub place_unit_id: Uuid,
    /// The unit in charge.
    pub unit_id: Option<Uuid>,
    /// Through what it came in.
    pub channel: String,
    /// Where it stands.
    pub state: String,
    /// When it came in.
    pub create_time: DateTime<Utc>,
    /// When it must be routed.
    pub route_deadline: DateTime<Utc>,
    /// When it was first routed.
    pub route_time: Option<DateTime<Utc>>,
    /// When it must be answered.
    pub answer_deadline: DateTime<Utc>,
    /// When it was answered or refused.
    pub answer_time: Option<DateTime<Utc>>,
    /// The citizen's rating; 0 if none.
    pub rating: i32,
    /// Who filed it.
    pub contact_name: String,
    /// Who filed it.
    pub contact_phone: String,
    /// Who filed it.
    pub contact_email: String,
    /// Made up for demonstration.
    pub illustrative: bool,
    /// Counts its changes.
    pub version: i32,
    /// Its place in lists.
    pub list_key: i64,
    /// "on_time", "due_soon" or "late" by the database's clock.
    pub timeliness: String,
    /// Was routed late, or still waits past the time for it.
    pub routed_late: bool,
}

impl Feedback {
    /// What people call it.
    #[must_use]
    pub fn code(&self) -> String {
        format!("PA-{}", self.number)
    }

    /// The units that an event about it concerns.
    #[must_use]
    pub fn unit_ids(&self) -> Vec<Uuid> {
        self.unit_id
            .into_iter()
            .filter(|unit| *unit != self.place_unit_id)
            .chain([self.place_unit_id])
            .collect()
    }

    /// Whether a scope covers it: by the unit in charge, the place or the field.
    #[must_use]
    pub fn is_within(&self, scope: &Scope) -> bool {
        scope.covers(self.place_unit_id, Some(&self.field_code))
            || self
                .unit_id
                .is_some_and(|unit| scope.covers(unit, Some(&self.field_code)))
    }

    /// Refuses to change an item that is answered or refused.
    pub fn demand_open(&self) -> Result<(), Error> {
        if self.answer_time.is_some() {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// Refuses when the item changed since it was read.
    pub fn demand_etag(&self, etag: &str) -> Result<(), Error> {
        if etag == self.version.to_string() {
            Ok(())
        } else {
            Err(Error::EtagMismatch)
        }
    }
}

/// An item that a scope covers; another is not found.
pub async fn get(db: impl PgExecutor<'_>, scope: &Scope, id: Uuid) -> Result<Feedback, Error> {
    read(db, Some(id), None)
        .await?
        .filter(|item| item.is_within(scope))
        .ok_or_else(|| Error::NotFound("feedback", id.to_string()))
}

/// The item of a tracking code.
pub async fn track(db: impl PgExecutor<'_>, tracking_code: &str) -> Result<Feedback, Error> {
    read(db, None, Some(tracking_code))
        .await?
        .ok_or_else(|| Error::NotFound("feedback", tracking_code.to_owned()))
}

async fn read(
    db: impl PgExecutor<'_>,
    id: Option<Uuid>,
    tracking_code: Option<&str>,
) -> Result<Option<Feedback>, Error> {
    Ok(sqlx::query_as!(
        Feedback,
        r#"SELECT f.id, f.number, f.tracking_code, f.category_code, c.name_vi AS category_vi, c.name_en AS category_en,
            f.field_code, f.title, f.body, f.longitude, f.latitude, f.address, f.place_unit_id, f.unit_id, f.channel,
            f.state, f.create_time, f.route_deadline, f.route_time, f.answer_deadline, f.answer_time, f.rating,
            f.contact_name, f.contact_phone, f.contact_email, f.illustrative, f.version, f.list_key,
            CASE WHEN COALESCE(f.answer_time, now()) > f.answer_deadline THEN 'late'
                WHEN f.answer_time IS NULL AND f.answer_deadline < now() + interval '1 day' THEN 'due_soon'
                ELSE 'on_time' END AS "timeliness!",
            COALESCE(f.route_time, now()) > f.route_deadline AS "routed_late!"
        FROM feedback f JOIN category c ON c.code = f.category_code
        WHERE f.id = $1 OR f.tracking_code = $2"#,
        id,
        tracking_code
    )
    .fetch_optional(db)
    .await?)
}

/// A step of an item's life, as the database holds it.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// What happened.
    pub kind: String,
    /// When.
    pub create_time: DateTime<Utc>,
    /// Who did it.
    pub actor_name: String,
    /// The unit concerned.
    pub unit_id: Option<Uuid>,
    /// What was said.
    pub text: String,
    /// The date promised.
    pub promise_date: Option<NaiveDate>,
}

/// The steps of an item, oldest first.
pub async fn steps(db: &mut PgConnection, id: Uuid) -> Result<Vec<StepRow>, Error> {
    Ok(sqlx::query_as!(
        StepRow,
        "SELECT kind, create_time, actor_name, unit_id, text, promise_date FROM feedback_step
        WHERE feedback_id = $1 ORDER BY create_time, id LIMIT 500",
        id
    )
    .fetch_all(db)
    .await?)
}

/// The time that rules are measured by: the transaction's, which is also written.
pub async fn now(db: impl PgExecutor<'_>) -> Result<DateTime<Utc>, Error> {
    Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(db)
        .await?)
}

/// A state on the wire.
#[must_use]
pub fn state(name: &str) -> pb::FeedbackState {
    match name {
        "received" => pb::FeedbackState::Received,
        "routed" => pb::FeedbackState::Routed,
        "in_progress" => pb::FeedbackState::InProgress,
        "answered" => pb::FeedbackState::Answered,
        "rejected" => pb::FeedbackState::Rejected,
        _ => pb::FeedbackState::Unspecified,
    }
}

/// A state in the database.
#[must_use]
pub fn state_name(state: pb::FeedbackState) -> Option<&'static str> {
    match state {
        pb::FeedbackState::Received => Some("received"),
        pb::FeedbackState::Routed => Some("routed"),
        pb::FeedbackState::InProgress => Some("in_progress"),
        pb::FeedbackState::Answered => Some("answered"),
        pb::FeedbackState::Rejected => Some("rejected"),
        pb::FeedbackState::Unspecified => None,
    }
}

impl From<StepRow> for pb::FeedbackStep {
    fn from(step: StepRow) -> Self {
        let kind = match step.kind.as_str() {
            "received" => pb::FeedbackStepKind::Received,
            "routed" => pb::FeedbackStepKind::Routed,
            "progress" => pb::FeedbackStepKind::Progress,
            "answered" => pb::FeedbackStepKind::Answered,
            "rejected" => pb::FeedbackStepKind::Rejected,
            _ => pb::FeedbackStepKind::Rated,
        };
        Self {
            kind: kind.into(),
            create_time: Some(timestamp(step.create_time)),
            actor_name: step.actor_name,
            unit_id: step.unit_id.map(|id| id.to_string()).unwrap_or_default(),
            text: step.text,
            promise_date: step
                .promise_date
                .map(|date| date.to_string())
                .unwrap_or_default(),
        }
    }
}

impl From<Photo> for pb::Photo {
    fn from(photo: Photo) -> Self {
        Self {
            id: photo.id.to_string(),
            content_type: photo.content_type,
            size: photo.size,
        }
    }
}

impl From<Feedback> for pb::Feedback {
    fn from(item: Feedback) -> Self {
        let timeliness = match item.timeliness.as_str() {
            "late" => pb::Timeliness::Late,
            "due_soon" => pb::Timeliness::DueSoon,
            _ => pb::Timeliness::OnTime,
        };
        let channel = match item.channel.as_str() {
            "hotline" => pb::Channel::Hotline,
            "app" => pb::Channel::App,
            _ => pb::Channel::Web,
        };
        Self {
            code: item.code(),
            state: state(&item.state).into(),
            timeliness: timeliness.into(),
            channel: channel.into(),
            id: item.id.to_string(),
            category_code: item.category_code,
            category_vi: item.category_vi,
            category_en: item.category_en,
            field_code: item.field_code,
            title: item.title,
            body: item.body,
            point: Some(pb::Point {
                longitude: item.longitude,
                latitude: item.latitude,
            }),
            address: item.address,
            place_unit_id: item.place_unit_id.to_string(),
            unit_id: item.unit_id.map(|id| id.to_string()).unwrap_or_default(),
            create_time: Some(timestamp(item.create_time)),
            route_deadline: Some(timestamp(item.route_deadline)),
            route_time: item.route_time.map(timestamp),
            answer_deadline: Some(timestamp(item.answer_deadline)),
            answer_time: item.answer_time.map(timestamp),
            rating: item.rating,
            illustrative: item.illustrative,
            etag: item.version.to_string(),
            routed_late: item.routed_late,
            // Photos, steps and who filed it are added by those who may show them.
            photos: Vec::new(),
            steps: Vec::new(),
            contact: None,
        }
    }
}
