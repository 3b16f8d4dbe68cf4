//! A leader asks: who must answer, what is known now, and the request itself.

use chassis::{Base, Caller, Claimed, Refusal, RequestKey, calendar::city_date, directory::Unit};
use chrono::{DateTime, Utc};
use proto::{explanations::v1 as pb, indicators::v1::Indicator};
use uuid::Uuid;

use crate::{
    error::Error,
    evidence,
    explanation::{self, New, Viewer},
    step,
    thread::{self, Entry, Kind},
};

/// The permission to ask.
pub const REQUEST: &str = "explanations.request";

/// What is asked of whom.
#[derive(Clone, Debug)]
pub struct Question {
    pub indicator_id: Uuid,
    pub subject_unit_id: Uuid,
    pub unit_id: Option<Uuid>,
    pub deadline: DateTime<Utc>,
    pub message: String,
}

/// Makes a request. A repeated one is answered before anything that may have changed since is looked at.
pub async fn ask(
    base: &Base,
    caller: &Caller,
    key: RequestKey,
    question: Question,
) -> Result<pb::Explanation, Error> {
    let actor = step::asker(caller, &base.directory)?;
    let mut tx = base.db.begin().await?;
    if let Claimed::Before(answer) = key.claim(&mut tx).await? {
        return Ok(answer);
    }
    // No transaction stays open while forecasting is asked.
    tx.rollback().await?;

    let now = explanation::now(&base.db).await?;
    step::check_deadline(question.deadline, now)?;
    let unknown = |id: Uuid| Refusal::not_found("unit", id.to_string());
    let subject = base
        .directory
        .unit(question.subject_unit_id)
        .ok_or_else(|| unknown(question.subject_unit_id))?;
    let allowed = caller.require(REQUEST, subject.id, None);
    if allowed.is_err() && caller.scope(REQUEST).fields.is_empty() {
        allowed.clone()?;
    }
    let read = evidence::read(&base.mesh, question.indicator_id, &subject, now).await;
    // Whether a figure exists is not told to those who may not ask about it.
    let (evidence, indicator) = match (read, allowed) {
        (Err(Error::Refused(_)), Err(refusal)) => return Err(refusal.into()),
        (read, _) => read?,
    };
    caller.require(REQUEST, subject.id, Some(&indicator.field_code))?;
    let unit_id = unit_asked(base, caller, &question, &subject, &indicator, now)?;
    let new = New {
        indicator_id: question.indicator_id,
        indicator_name_vi: indicator.name_vi,
        indicator_name_en: indicator.name_en,
        subject_unit_id: subject.id,
        unit_id,
        field_code: indicator.field_code,
        requester_id: actor.id,
        requester_name: actor.name.clone(),
        message: question.message,
        deadline: question.deadline,
        evidence,
    };

    let mut tx = base.db.begin().await?;
    if let Claimed::Before(answer) = key.claim(&mut tx).await? {
        return Ok(answer);
    }
    let id = explanation::insert(&mut tx, &new).await?;
    let entry = Entry {
        deadline: Some(new.deadline),
        ..Entry::plain(Kind::Request, new.message)
    };
    thread::insert(&mut tx, id, &actor, &entry).await?;
    let viewer = Viewer::new(caller, &[REQUEST]);
    let answer = step::told(&mut tx, &viewer, id).await?;
    key.keep(&mut tx, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Who must answer: the unit named, if it has to do with the figure or is below the caller; else the unit itself for
/// its own figures, and the indicator's owner for those of the city.
fn unit_asked(
    base: &Base,
    caller: &Caller,
    question: &Question,
    subject: &Unit,
    indicator: &Indicator,
    now: DateTime<Utc>,
) -> Result<Uuid, Error> {
    let owner = indicator.owner_unit_id.parse().ok();
    let usual = if evidence::is_local(subject) {
        Some(subject.id)
    } else {
        owner
    };
    let Some(id) = question.unit_id.or(usual) else {
        return Err(no_unit().into());
    };
    let unit = base
        .directory
        .unit(id)
        .ok_or_else(|| Refusal::not_found("unit", id.to_string()))?;
    if !unit.is_valid_on(city_date(now)) {
        return Err(no_unit().into());
    }
    if id != subject.id && Some(id) != owner {
        caller.require(REQUEST, id, Some(&indicator.field_code))?;
    }
    Ok(id)
}

fn no_unit() -> Refusal {
    Refusal::invalid(
        "unit_id",
        "đơn vị phụ trách không còn hoạt động, hãy chọn đơn vị khác",
        "the unit in charge no longer exists, name another one",
    )
}
