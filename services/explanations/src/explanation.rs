//! An explanation request: its type, who may see it, its queries.

use std::slice;

use anyhow::Context;
use chassis::{Caller, directory::Scope};
use chrono::{DateTime, NaiveDate, Utc};
use prost::Message;
use proto::explanations::v1 as pb;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{
    error::{Error, already_open},
    life::State,
    parse::timestamp,
};

/// The name of the unique index that forbids a second open request.
const ALREADY_OPEN: &str = "explanation_already_open_key";

/// An explanation request.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub id: Uuid,
    pub number: i64,
    pub indicator_id: Uuid,
    pub indicator_name_vi: String,
    pub indicator_name_en: String,
    pub subject_unit_id: Uuid,
    pub unit_id: Uuid,
    pub field_code: String,
    pub state: State,
    pub requester_id: Uuid,
    pub requester_name: String,
    pub message: String,
    pub deadline: DateTime<Utc>,
    pub is_overdue: bool,
    pub commitment_date: Option<NaiveDate>,
    pub extension_deadline: Option<DateTime<Utc>>,
    /// Without its forecast.
    pub evidence: Vec<u8>,
    /// Not read for lists.
    pub forecast: Option<Vec<u8>>,
    pub version: i32,
    pub create_time: DateTime<Utc>,
    pub update_time: DateTime<Utc>,
}

/// Through whose eyes: requests outside of it are as if they did not exist.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub person: Option<Uuid>,
    pub scope: Scope,
}

impl Viewer {
    /// Sees where the caller may read or has one of the permissions, and what the caller asked for.
    pub fn new(caller: &Caller, permissions: &[&str]) -> Self {
        let mut scope = caller.scope("explanations.read");
        for permission in permissions {
            let more = caller.scope(permission);
            scope.all |= more.all;
            scope.units.extend(more.units);
            scope.fields.extend(more.fields);
        }
        Self {
            person: caller.person(),
            scope,
        }
    }
}

/// The columns, the forecast as given, and the caller's scope as the first condition; `$1` to `$4` are the viewer's.
macro_rules! select {
    ($forecast:literal, $more:literal, $viewer:expr $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Explanation,
            r#"SELECT id, number, indicator_id, indicator_name_vi, indicator_name_en, subject_unit_id, unit_id,
                field_code, state AS "state: State", requester_id, requester_name, message, deadline,
                (state IN ('SENT', 'SEEN', 'RETURNED') AND deadline < now()) AS "is_overdue!",
                commitment_date, extension_deadline, evidence, version, create_time, update_time, "# + $forecast + r#"
            FROM explanation
            WHERE ($1 OR requester_id = $2 OR unit_id = ANY($3) OR subject_unit_id = ANY($3)
                OR field_code = ANY($4)) "# + $more,
            $viewer.scope.all,
            $viewer.person,
            &$viewer.scope.units,
            &$viewer.scope.fields
            $(, $argument)*
        )
    };
}

/// A request, if the viewer may see it.
pub async fn get(
    db: impl PgExecutor<'_>,
    viewer: &Viewer,
    id: Uuid,
) -> Result<Option<Explanation>, Error> {
    Ok(
        select!(r#"forecast AS "forecast?""#, "AND id = $5", viewer, id)
            .fetch_optional(db)
            .await?,
    )
}

/// As `get`, and nobody else changes it until the transaction ends.
pub async fn lock(
    tx: &mut PgConnection,
    viewer: &Viewer,
    id: Uuid,
) -> Result<Option<Explanation>, Error> {
    Ok(select!(
        r#"forecast AS "forecast?""#,
        "AND id = $5 FOR UPDATE",
        viewer,
        id
    )
    .fetch_optional(tx)
    .await?)
}

/// The key of a row in lists: whether it is open, its deadline or the time it was closed, its id.
pub type Key = (bool, DateTime<Utc>, Uuid);

impl Explanation {
    /// Where it stands in lists.
    pub fn key(&self) -> Key {
        if self.state.is_open() {
            (true, self.deadline, self.id)
        } else {
            (false, self.update_time, self.id)
        }
    }
}

/// Which requests are listed.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub open_only: bool,
    pub unit_id: Option<Uuid>,
    pub indicator_id: Option<Uuid>,
}

/// By which index closed requests are read; what else is wanted is then asked row by row.
#[derive(Default)]
struct Way<'a> {
    all: bool,
    requester: Option<Uuid>,
    units: &'a [Uuid],
    subjects: &'a [Uuid],
    fields: &'a [String],
    indicator: Option<Uuid>,
}

impl Filter {
    /// The narrowest way to what is wanted.
    fn way<'a>(&'a self, viewer: &'a Viewer) -> Way<'a> {
        let mut way = Way::default();
        if let Some(unit) = &self.unit_id {
            way.units = slice::from_ref(unit);
        } else if self.indicator_id.is_some() {
            way.indicator = self.indicator_id;
        } else if viewer.scope.all {
            way.all = true;
        } else {
            way.requester = viewer.person;
            (way.units, way.subjects) = (&viewer.scope.units, &viewer.scope.units);
            way.fields = &viewer.scope.fields;
        }
        way
    }
}

/// The page's keys by each way, bounded, then of all; `$1` to `$4` are the viewer's.
macro_rules! closed {
    ($wanted:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_scalar!(
            r#"SELECT id AS "id!" FROM (
                (SELECT update_time, id FROM explanation WHERE $5 AND "# + $wanted + r#"
                    ORDER BY update_time DESC, id DESC LIMIT $15)
                UNION
                (SELECT update_time, id FROM explanation WHERE requester_id = $6 AND "# + $wanted + r#"
                    ORDER BY update_time DESC, id DESC LIMIT $15)
                UNION
                SELECT way.update_time, way.id FROM unnest($7::uuid[]) AS own (unit) CROSS JOIN LATERAL (
                    SELECT update_time, id FROM explanation WHERE unit_id = own.unit AND "# + $wanted + r#"
                    ORDER BY update_time DESC, id DESC LIMIT $15) AS way
                UNION
                SELECT way.update_time, way.id FROM unnest($8::uuid[]) AS own (unit) CROSS JOIN LATERAL (
                    SELECT update_time, id FROM explanation WHERE subject_unit_id = own.unit AND "# + $wanted + r#"
                    ORDER BY update_time DESC, id DESC LIMIT $15) AS way
                UNION
                SELECT way.update_time, way.id FROM unnest($9::text[]) AS own (code) CROSS JOIN LATERAL (
                    SELECT update_time, id FROM explanation WHERE field_code = own.code AND "# + $wanted + r#"
                    ORDER BY update_time DESC, id DESC LIMIT $15) AS way
                UNION
                (SELECT update_time, id FROM explanation WHERE indicator_id = $10 AND "# + $wanted + r#"
                    ORDER BY update_time DESC, id DESC LIMIT $15)
            ) AS ways ORDER BY update_time DESC, id DESC LIMIT $15"#
            $(, $argument)*
        )
    };
}

/// Open requests by deadline, then closed ones, newest first; at most `limit` after the key; without forecasts.
pub async fn list(
    db: &PgPool,
    viewer: &Viewer,
    filter: Filter,
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<Explanation>, Error> {
    let mut rows = Vec::new();
    let (open_after, closed_after) = match after {
        Some((true, time, id)) => (Some((time, id)), None),
        Some((false, time, id)) => (None, Some((time, id))),
        None => (None, None),
    };
    let mut tx = db.begin().await?;
    if closed_after.is_none() {
        rows = select!(
            "NULL::bytea AS forecast",
            "AND state IN ('SENT', 'SEEN', 'ANSWERED', 'RETURNED')
            AND ($5::uuid IS NULL OR unit_id = $5) AND ($6::uuid IS NULL OR indicator_id = $6)
            AND ($7::timestamptz IS NULL OR (deadline, id) > ($7, $8::uuid))
            ORDER BY deadline, id LIMIT $9",
            viewer,
            filter.unit_id,
            filter.indicator_id,
            open_after.map(|key| key.0),
            open_after.map(|key| key.1),
            i64::try_from(limit).unwrap_or(i64::MAX),
        )
        .fetch_all(&mut *tx)
        .await?;
    }
    if filter.open_only || rows.len() >= limit {
        return Ok(rows);
    }
    let ids = closed(&mut tx, viewer, filter, closed_after, limit - rows.len()).await?;
    let closed = select!(
        "NULL::bytea AS forecast",
        "AND id = ANY($5) ORDER BY update_time DESC, id DESC",
        viewer,
        &ids
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.extend(closed);
    Ok(rows)
}

/// The closed requests of a page.
async fn closed(
    tx: &mut PgConnection,
    viewer: &Viewer,
    filter: Filter,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: usize,
) -> Result<Vec<Uuid>, Error> {
    // One plan for all ways and scopes would read everything.
    sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan")
        .execute(&mut *tx)
        .await?;
    let way = filter.way(viewer);
    Ok(closed!(
        "state IN ('ACCEPTED', 'WITHDRAWN')
            AND ($1 OR requester_id = $2 OR unit_id = ANY($3) OR subject_unit_id = ANY($3) OR field_code = ANY($4))
            AND ($11::uuid IS NULL OR unit_id = $11) AND ($12::uuid IS NULL OR indicator_id = $12)
            AND ($13::timestamptz IS NULL OR (update_time, id) < ($13, $14::uuid))",
        viewer.scope.all,
        viewer.person,
        &viewer.scope.units,
        &viewer.scope.fields,
        way.all,
        way.requester,
        way.units,
        way.subjects,
        way.fields,
        way.indicator,
        filter.unit_id,
        filter.indicator_id,
        after.map(|key| key.0),
        after.map(|key| key.1),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(tx)
    .await?)
}

/// A request to be made.
#[derive(Clone, Debug)]
pub struct New {
    pub indicator_id: Uuid,
    pub indicator_name_vi: String,
    pub indicator_name_en: String,
    pub subject_unit_id: Uuid,
    pub unit_id: Uuid,
    pub field_code: String,
    pub requester_id: Uuid,
    pub requester_name: String,
    pub message: String,
    pub deadline: DateTime<Utc>,
    pub evidence: pb::Evidence,
}

/// Makes a request; answers its id.
pub async fn insert(tx: &mut PgConnection, new: &New) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    let mut evidence = new.evidence.clone();
    let forecast = evidence.forecast.take().unwrap_or_default();
    sqlx::query!(
        "INSERT INTO explanation (id, indicator_id, indicator_name_vi, indicator_name_en, subject_unit_id, unit_id,
            field_code, state, requester_id, requester_name, message, deadline, evidence,
            forecast)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'SENT', $8, $9, $10, $11, $12, $13)",
        id,
        new.indicator_id,
        new.indicator_name_vi,
        new.indicator_name_en,
        new.subject_unit_id,
        new.unit_id,
        new.field_code,
        new.requester_id,
        new.requester_name,
        new.message,
        new.deadline,
        evidence.encode_to_vec(),
        forecast.encode_to_vec()
    )
    .execute(tx)
    .await
    .map_err(|error| {
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        if constraint == Some(ALREADY_OPEN) {
            already_open().into()
        } else {
            Error::from(error)
        }
    })?;
    Ok(id)
}

/// Writes what a step changes, as a new version.
pub async fn update(tx: &mut PgConnection, changed: &Explanation) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE explanation SET state = $2, deadline = $3, commitment_date = $4, extension_deadline = $5,
            version = version + 1, update_time = clock_timestamp()
        WHERE id = $1",
        changed.id,
        changed.state as State,
        changed.deadline,
        changed.commitment_date,
        changed.extension_deadline
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes that the unit has read a request; false if it had before. The version stays: nothing was decided, and a
/// leader who has the request on screen must not be refused because of it.
pub async fn mark_seen(tx: &mut PgConnection, id: Uuid) -> Result<bool, Error> {
    let marked = sqlx::query!(
        "UPDATE explanation SET state = 'SEEN', update_time = clock_timestamp() WHERE id = $1 AND state = 'SENT'",
        id
    )
    .execute(tx)
    .await?;
    Ok(marked.rows_affected() == 1)
}

/// The time that rules are measured by.
pub async fn now(db: impl PgExecutor<'_>) -> Result<DateTime<Utc>, Error> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(db)
        .await?)
}

impl From<State> for pb::ExplanationState {
    fn from(state: State) -> Self {
        match state {
            State::Sent => Self::Sent,
            State::Seen => Self::Seen,
            State::Answered => Self::Answered,
            State::Returned => Self::Returned,
            State::Accepted => Self::Accepted,
            State::Withdrawn => Self::Withdrawn,
        }
    }
}

impl Explanation {
    /// The request without evidence and thread, as facts state it.
    pub fn to_fact(&self) -> pb::Explanation {
        pb::Explanation {
            id: self.id.to_string(),
            code: format!("YC-{:04}", self.number),
            indicator_id: self.indicator_id.to_string(),
            subject_unit_id: self.subject_unit_id.to_string(),
            unit_id: self.unit_id.to_string(),
            field_code: self.field_code.clone(),
            state: pb::ExplanationState::from(self.state).into(),
            requester_id: self.requester_id.to_string(),
            requester_name: self.requester_name.clone(),
            message: self.message.clone(),
            deadline: Some(timestamp(self.deadline)),
            overdue: self.is_overdue,
            create_time: Some(timestamp(self.create_time)),
            update_time: Some(timestamp(self.update_time)),
            evidence: None,
            thread: Vec::new(),
            commitment_date: self
                .commitment_date
                .map(|date| date.to_string())
                .unwrap_or_default(),
            extension_deadline: self.extension_deadline.map(timestamp),
            etag: self.version.to_string(),
        }
    }

    /// The request with its evidence, as far as that was read: for lists without the forecast, for a page of those would
    /// be larger than a message may be.
    pub fn to_whole(&self, thread: Vec<pb::ThreadEntry>) -> Result<pb::Explanation, Error> {
        Ok(pb::Explanation {
            evidence: Some(self.evidence()?),
            thread,
            ..self.to_fact()
        })
    }

    fn evidence(&self) -> Result<pb::Evidence, Error> {
        let of = || format!("evidence of {}", self.id);
        let mut evidence = pb::Evidence::decode(self.evidence.as_slice()).with_context(of)?;
        if let Some(forecast) = &self.forecast {
            evidence.forecast = Some(Message::decode(forecast.as_slice()).with_context(of)?);
        }
        Ok(evidence)
    }
}
