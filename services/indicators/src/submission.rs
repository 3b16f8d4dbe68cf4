//! Figures on their way: entered by one person, approved or returned by another.

use chassis::{directory::Scope, language::Language, parse::known};
use chrono::{DateTime, Utc};
use proto::{indicators::v1 as pb, period::Period};
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{
    entry::Entry,
    error::Error,
    indicator::Indicator,
    observation, parse,
    reach::Reach,
    remark::{Known, Remark, remarks},
};

/// A submission, with what its indicator says of who may read it.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its id.
    pub id: Uuid,
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit.
    pub unit_id: Uuid,
    /// The indicator's owner answers for the figure.
    pub by_owner: bool,
    /// The indicator's owner.
    pub owner_unit_id: Uuid,
    /// The indicator's field.
    pub field_code: String,
    /// The period it is about.
    pub period: String,
    /// The period's index.
    pub period_index: i32,
    /// How final, as the number of the contract's enum.
    pub vintage: i16,
    /// The value.
    pub value: Decimal,
    /// A remark.
    pub note: String,
    /// Where it stands, as the name of the contract's enum.
    pub state: String,
    /// Who entered it.
    pub submitter_id: String,
    /// Who approved or returned it.
    pub approver_id: Option<String>,
    /// Why it was returned.
    pub return_reason: Option<String>,
    /// What is remarkable, in Vietnamese.
    pub warnings_vi: Vec<String>,
    /// What is remarkable, in English.
    pub warnings_en: Vec<String>,
    /// Its version, the etag.
    pub version: i32,
    /// When it was entered.
    pub create_time: DateTime<Utc>,
    /// When it was decided.
    pub decide_time: Option<DateTime<Utc>>,
}

impl Submission {
    /// The unit that answers for the figure.
    #[must_use]
    pub fn responsible(&self) -> Uuid {
        if self.by_owner {
            self.owner_unit_id
        } else {
            self.unit_id
        }
    }

    /// Whether a scope covers it.
    #[must_use]
    pub fn is_within(&self, scope: &Scope) -> bool {
        scope.covers(self.unit_id, Some(&self.field_code)) || scope.covers(self.responsible(), None)
    }

    /// The message of the contract, its warnings in one language.
    #[must_use]
    pub fn message(&self, language: Language) -> pb::Submission {
        let state = pb::SubmissionState::from_str_name(&self.state).unwrap_or_default();
        pb::Submission {
            id: self.id.to_string(),
            indicator_id: self.indicator_id.to_string(),
            unit_id: self.unit_id.to_string(),
            period: Some(proto::calendar::v1::Period {
                code: self.period.clone(),
            }),
            vintage: self.vintage.into(),
            value: self.value.to_string(),
            note: self.note.clone(),
            state: state.into(),
            submitter_id: self.submitter_id.clone(),
            approver_id: self.approver_id.clone().unwrap_or_default(),
            return_reason: self.return_reason.clone().unwrap_or_default(),
            create_time: Some(chassis::parse::timestamp(self.create_time)),
            decide_time: self.decide_time.map(chassis::parse::timestamp),
            etag: self.version.to_string(),
            warnings: language.pick(&self.warnings_vi, &self.warnings_en).clone(),
        }
    }
}

/// What is remarkable about an entry, given the figures around it and what its history says, if that was asked.
pub async fn warn(
    db: impl PgExecutor<'_>,
    indicator: &Indicator,
    entry: &Entry,
    opinion: Option<Vec<Remark>>,
) -> Result<Vec<Remark>, Error> {
    let (period, before, year) = (
        entry.period,
        entry.period.previous(),
        entry.period.year_before(),
    );
    let indexes = [period.index(), before.index(), year.index()];
    let values = observation::values(db, indicator.id, entry.unit_id, &indexes).await?;
    let of = |period: Period| {
        let found = values.iter().find(|(index, _)| *index == period.index());
        found.map(|(_, value)| *value)
    };
    Ok(remarks(
        entry.value,
        Known {
            previous: of(before),
            year_before: of(year),
            same: of(period),
        },
        opinion,
    ))
}

/// Keeps an entry; the draft of the same period, if it is still as it was read, becomes what is entered now.
pub async fn create(
    tx: &mut PgConnection,
    indicator: &Indicator,
    entry: &Entry,
    warnings: &[Remark],
    submitter: &str,
) -> Result<Submission, Error> {
    let state = if entry.is_draft {
        pb::SubmissionState::Draft
    } else {
        pb::SubmissionState::Submitted
    };
    let warnings_vi: Vec<String> = warnings.iter().map(|remark| remark.0.clone()).collect();
    let warnings_en: Vec<String> = warnings.iter().map(|remark| remark.1.clone()).collect();
    let draft = lock_draft(tx, indicator.id, entry).await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO submission AS s (id, indicator_id, unit_id, by_owner, period, period_index, vintage, value, note,
            state, submitter_id, warnings_vi, warnings_en)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (id) DO UPDATE SET vintage = excluded.vintage, value = excluded.value, note = excluded.note,
            state = excluded.state, submitter_id = excluded.submitter_id, warnings_vi = excluded.warnings_vi,
            warnings_en = excluded.warnings_en, version = s.version + 1, create_time = now()
        RETURNING id",
        draft.unwrap_or_else(Uuid::now_v7),
        indicator.id,
        entry.unit_id,
        entry.by_owner,
        entry.period.to_string(),
        entry.period.index(),
        entry.vintage,
        entry.value,
        entry.note,
        state.as_str_name(),
        submitter,
        &warnings_vi,
        &warnings_en
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(already_submitted)?;
    get(tx, id).await
}

/// The draft that an entry replaces; refused unless it is the one that was read.
async fn lock_draft(
    tx: &mut PgConnection,
    indicator_id: Uuid,
    entry: &Entry,
) -> Result<Option<Uuid>, Error> {
    let draft = sqlx::query!(
        "SELECT id, version FROM submission
        WHERE indicator_id = $1 AND unit_id = $2 AND period_index = $3 AND state = 'SUBMISSION_STATE_DRAFT'
        FOR UPDATE",
        indicator_id,
        entry.unit_id,
        entry.period.index()
    )
    .fetch_optional(tx)
    .await?;
    let etag = draft.as_ref().map(|draft| draft.version.to_string());
    if etag.unwrap_or_default() != entry.etag {
        return Err(Error::EtagMismatch);
    }
    Ok(draft.map(|draft| draft.id))
}

fn already_submitted(error: sqlx::Error) -> Error {
    let constraint = error
        .as_database_error()
        .and_then(|error| error.constraint());
    match constraint {
        Some("submission_waiting_key") => Error::AlreadySubmitted,
        // Two drafts of the same period at the same moment.
        Some("submission_draft_key") => Error::EtagMismatch,
        _ => Error::Database(error),
    }
}

/// One submission.
pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> Result<Submission, Error> {
    let found = get_all(db, &[id]).await?.pop();
    found.ok_or_else(|| Error::NotFound("submission", id.to_string()))
}

/// Those of these submissions that there are.
pub async fn get_all(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Submission>, Error> {
    let submissions = sqlx::query_as!(
        Submission,
        "SELECT s.id, s.indicator_id, s.unit_id, s.by_owner, i.owner_unit_id, i.field_code, s.period, s.period_index,
            s.vintage, s.value, s.note, s.state, s.submitter_id, s.approver_id, s.return_reason, s.warnings_vi,
            s.warnings_en, s.version, s.create_time, s.decide_time
        FROM submission s JOIN indicator i ON i.id = s.indicator_id
        WHERE s.id = ANY($1)",
        ids
    );
    Ok(submissions.fetch_all(db).await?)
}

/// Submissions within reach, newest first, before one of them.
pub async fn list(
    db: impl PgExecutor<'_>,
    reach: &Reach,
    request: &pb::ListSubmissionsRequest,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Submission>, Error> {
    let state: pb::SubmissionState = known("state", request.state)?;
    let is_any = state == pb::SubmissionState::Unspecified;
    let state = (!is_any).then(|| state.as_str_name());
    let submissions = sqlx::query_as!(
        Submission,
        "SELECT s.id, s.indicator_id, s.unit_id, s.by_owner, i.owner_unit_id, i.field_code, s.period, s.period_index,
            s.vintage, s.value, s.note, s.state, s.submitter_id, s.approver_id, s.return_reason, s.warnings_vi,
            s.warnings_en, s.version, s.create_time, s.decide_time
        FROM submission s JOIN indicator i ON i.id = s.indicator_id
        WHERE ($1 OR s.unit_id = ANY($2) OR s.indicator_id = ANY($3) OR (s.by_owner AND s.indicator_id = ANY($10)))
            AND ($4::text IS NULL OR s.state = $4)
            AND ($5::uuid IS NULL OR s.unit_id = $5)
            AND ($6::uuid IS NULL OR s.indicator_id = $6)
            AND ($7::timestamptz IS NULL OR (s.create_time, s.id) < ($7, $8))
        ORDER BY s.create_time DESC, s.id DESC LIMIT $9",
        reach.all,
        &reach.units,
        &reach.of_fields,
        state,
        parse::optional_id("unit_id", &request.unit_id)?,
        parse::optional_id("indicator_id", &request.indicator_id)?,
        before.map(|key| key.0),
        before.map(|key| key.1),
        limit,
        &reach.owned
    );
    Ok(submissions.fetch_all(db).await?)
}

/// What is decided on a submitted figure.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// It counts.
    Approve,
    /// It goes back, for this reason.
    Return(&'a str),
}

/// Decides on a submitted figure that was read in this version.
pub async fn decide(
    tx: &mut PgConnection,
    id: Uuid,
    etag: &str,
    decision: Decision<'_>,
    approver: &str,
) -> Result<Submission, Error> {
    let before = sqlx::query!(
        "SELECT state, submitter_id, version FROM submission WHERE id = $1 FOR UPDATE",
        id
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| Error::NotFound("submission", id.to_string()))?;
    if before.submitter_id == approver {
        return Err(Error::OwnFigure);
    }
    if before.state != pb::SubmissionState::Submitted.as_str_name() {
        return Err(Error::NotSubmitted);
    }
    if before.version.to_string() != etag {
        return Err(Error::EtagMismatch);
    }
    let (state, reason) = match decision {
        Decision::Approve => (pb::SubmissionState::Approved, None),
        Decision::Return(reason) => (pb::SubmissionState::Returned, Some(reason)),
    };
    sqlx::query!(
        "UPDATE submission SET state = $2, return_reason = $3, approver_id = $4, decide_time = now(),
            version = version + 1
        WHERE id = $1",
        id,
        state.as_str_name(),
        reason,
        approver
    )
    .execute(&mut *tx)
    .await?;
    get(tx, id).await
}
