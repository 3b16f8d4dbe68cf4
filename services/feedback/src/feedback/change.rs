//! What happens to an item: each change is the item, its step and the fact for others, in one transaction.

use chassis::events::{self, Fact};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proto::feedback::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Feedback, StepRow, now, read};
use crate::{category::Category, error::Error, text};

/// How long after an answer it may be rated.
const RATING_PERIOD: TimeDelta = TimeDelta::days(30);

/// Who does something, as records show it.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// What happens.
    pub kind: &'a str,
    /// `Caller::id`, or "citizen".
    pub actor_id: String,
    /// The name that the history shows; empty for citizens and rules.
    pub actor_name: String,
    /// What is said.
    pub text: String,
    /// The unit concerned.
    pub unit_id: Option<Uuid>,
    /// The date promised.
    pub promise_date: Option<NaiveDate>,
}

impl Step<'_> {
    /// A step of the citizen.
    #[must_use]
    pub fn of_citizen(kind: &str, text: String) -> Step<'_> {
        Step {
            kind,
            actor_id: "citizen".to_owned(),
            actor_name: String::new(),
            text,
            unit_id: None,
            promise_date: None,
        }
    }
}

/// What a step changes in the item itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Gives it to a unit.
    Route(Uuid),
    /// Says that work goes on.
    Progress,
    /// Ends it with a result.
    Answer,
    /// Ends it without.
    Reject,
}

/// A citizen's new item, parsed.
#[derive(Clone, Debug)]
pub struct Filing {
    /// A short title.
    pub title: String,
    /// What is wrong.
    pub body: String,
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
    /// The place in words.
    pub address: String,
    /// The ward, commune or special zone.
    pub place_unit_id: Uuid,
    /// Who files it.
    pub contact: pb::Contact,
    /// When it must be answered.
    pub answer_deadline: DateTime<Utc>,
}

/// Files an item and, unless its category is screened, routes it by category and place at once.
pub async fn file(
    db: &mut PgConnection,
    category: &Category,
    filing: Filing,
) -> Result<Feedback, Error> {
    let id = Uuid::now_v7();
    let unit = category.route_unit_id.unwrap_or(filing.place_unit_id);
    let routed = (!category.screened).then_some(unit);
    let folded = text::fold(&filing.title);
    sqlx::query!(
        "INSERT INTO feedback (id, tracking_code, category_code, field_code, title, body, folded, longitude, latitude,
            address, place_unit_id, unit_id, channel, state, create_time, route_deadline, route_time, answer_deadline,
            contact_name, contact_phone, contact_email, list_key)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'web',
            CASE WHEN $12::uuid IS NULL THEN 'received' ELSE 'routed' END, now(),
            now() + make_interval(mins => $13), CASE WHEN $12::uuid IS NULL THEN NULL ELSE now() END, $14, $15, $16,
            $17, extract(epoch FROM $14::timestamptz)::bigint",
        id,
        text::tracking_code(),
        category.code,
        category.field_code,
        filing.title,
        filing.body,
        folded,
        filing.longitude,
        filing.latitude,
        filing.address,
        filing.place_unit_id,
        routed,
        category.route_minutes,
        filing.answer_deadline,
        filing.contact.name,
        filing.contact.phone,
        filing.contact.email
    )
    .execute(&mut *db)
    .await?;
    // The number is given by the insert; search finds it too.
    sqlx::query!(
        "UPDATE feedback SET folded = folded || ' pa-' || number || ' ' || number WHERE id = $1",
        id
    )
    .execute(&mut *db)
    .await?;
    let mut step = add_step(db, id, &Step::of_citizen("received", String::new())).await?;
    if let Some(unit) = routed {
        let by_rule = Step {
            unit_id: Some(unit),
            ..Step::of_citizen("routed", String::new())
        };
        step = add_step(db, id, &by_rule).await?;
    }
    tell(db, id, step, "citizen").await
}

/// Changes an open item. The caller's right and the item's state are checked; the etag guards against races.
pub async fn transition(
    db: &mut PgConnection,
    item: &Feedback,
    transition: Transition,
    step: Step<'_>,
) -> Result<Feedback, Error> {
    item.demand_open()?;
    if item.unit_id.is_none() && matches!(transition, Transition::Progress | Transition::Answer) {
        return Err(Error::NotRouted);
    }
    let (state, unit) = match transition {
        Transition::Route(unit) => ("routed", Some(unit)),
        Transition::Progress => ("in_progress", item.unit_id),
        Transition::Answer => ("answered", item.unit_id),
        Transition::Reject => ("rejected", item.unit_id),
    };
    let ends = matches!(transition, Transition::Answer | Transition::Reject);
    // Closed items come after all open ones, newest first.
    let changed = sqlx::query!(
        "UPDATE feedback SET state = $3, unit_id = $4, version = version + 1,
            route_time = COALESCE(route_time, CASE WHEN $4::uuid IS NULL THEN NULL ELSE now() END),
            answer_time = CASE WHEN $5 THEN now() END,
            list_key = CASE WHEN $5 THEN 20000000000 - extract(epoch FROM now())::bigint ELSE list_key END
        WHERE id = $1 AND version = $2",
        item.id,
        item.version,
        state,
        unit,
        ends
    )
    .execute(&mut *db)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Error::EtagMismatch);
    }
    let actor = step.actor_id.clone();
    let step = add_step(db, item.id, &step).await?;
    tell(db, item.id, step, &actor).await
}

/// Keeps the citizen's rating of an answer, which may be corrected for some time: one step, however often.
pub async fn rate(
    db: &mut PgConnection,
    item: &Feedback,
    rating: i32,
    comment: String,
) -> Result<Feedback, Error> {
    let answered = item.answer_time.ok_or(Error::NotAnswered)?;
    if answered + RATING_PERIOD < now(&mut *db).await? {
        return Err(Error::RatingClosed);
    }
    let is_said = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM feedback_step WHERE feedback_id = $1 AND kind = 'rated' AND text = $2) AS "is!""#,
        item.id,
        comment
    )
    .fetch_one(&mut *db)
    .await?;
    if is_said && item.rating == rating {
        return Ok(item.clone());
    }
    sqlx::query!(
        "UPDATE feedback SET rating = $2, version = version + 1 WHERE id = $1",
        item.id,
        rating
    )
    .execute(&mut *db)
    .await?;
    let step = add_step(db, item.id, &Step::of_citizen("rated", comment)).await?;
    tell(db, item.id, step, "citizen").await
}

/// Adds a step; a rating takes the place of the one before.
async fn add_step(
    db: &mut PgConnection,
    feedback_id: Uuid,
    step: &Step<'_>,
) -> Result<StepRow, Error> {
    Ok(sqlx::query_as!(
        StepRow,
        "INSERT INTO feedback_step (id, feedback_id, kind, create_time, actor_id, actor_name, unit_id, text, promise_date)
        VALUES ($1, $2, $3, clock_timestamp(), $4, $5, $6, $7, $8)
        ON CONFLICT (feedback_id) WHERE kind = 'rated'
            DO UPDATE SET create_time = EXCLUDED.create_time, text = EXCLUDED.text
        RETURNING kind, create_time, actor_name, unit_id, text, promise_date",
        Uuid::now_v7(),
        feedback_id,
        step.kind,
        step.actor_id,
        step.actor_name,
        step.unit_id,
        step.text,
        step.promise_date
    )
    .fetch_one(db)
    .await?)
}

async fn tell(
    db: &mut PgConnection,
    id: Uuid,
    step: StepRow,
    actor: &str,
) -> Result<Feedback, Error> {
    let item = read(&mut *db, Some(id), None)
        .await?
        .ok_or_else(|| Error::NotFound("feedback", id.to_string()))?;
    let fact = pb::FeedbackChanged {
        feedback: Some(item.clone().into()),
        step: Some(step.into()),
    };
    events::publish(
        db,
        Fact {
            subject: id.to_string(),
            unit_ids: item.unit_ids(),
            field_code: Some(item.field_code.clone()),
            actor: actor.to_owned(),
            message: &fact,
        },
    )
    .await?;
    Ok(item)
}
