//! One step of a request, whoever takes it: checked, made, recorded and stated in one transaction.

use chassis::{
    Caller, Directory, Refusal,
    calendar::{Holidays, city_date},
    events::{self, Fact},
};
use chrono::{DateTime, NaiveDate, Utc};
use proto::explanations::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    attachment,
    deadline::{FOR_NEW_ANSWER, is_within_reach},
    error::{Error, etag_mismatch, extension_passed, not_a_person, not_requester, own_request},
    explanation::{self, Explanation, Viewer},
    life::{Side, State, Step},
    thread::{self, Actor, Answer, Entry, Kind},
};

/// The permission that makes its holder, city-wide, a leader who may decide what others asked.
const REVIEW: &str = "explanations.review";

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub enum Act {
    Answer {
        cause: String,
        action: String,
        remedy_date: NaiveDate,
        attachment_ids: Vec<Uuid>,
    },
    Return {
        reason: String,
        deadline: Option<DateTime<Utc>>,
    },
    Accept {
        note: String,
    },
    Withdraw {
        reason: String,
    },
    RequestExtension {
        deadline: DateTime<Utc>,
        reason: String,
    },
    DecideExtension {
        grant: bool,
        note: String,
    },
}

impl Act {
    fn step(&self) -> Step {
        match self {
            Self::Answer { .. } => Step::Answer,
            Self::Return { .. } => Step::Return,
            Self::Accept { .. } => Step::Accept,
            Self::Withdraw { .. } => Step::Withdraw,
            Self::RequestExtension { .. } => Step::RequestExtension,
            Self::DecideExtension { grant: true, .. } => Step::GrantExtension,
            Self::DecideExtension { grant: false, .. } => Step::RefuseExtension,
        }
    }

    /// Checks what depends on the time of the step.
    fn check(&self, explanation: &Explanation, now: DateTime<Utc>) -> Result<(), Refusal> {
        match self {
            Self::Answer { remedy_date, .. } if *remedy_date < city_date(now) => {
                Err(Refusal::invalid(
                    "remedy_date",
                    "phải từ hôm nay trở đi",
                    "must be today or later",
                ))
            }
            Self::Return {
                deadline: Some(deadline),
                ..
            } => check_deadline(*deadline, now),
            Self::RequestExtension { deadline, .. } if *deadline <= explanation.deadline => {
                Err(Refusal::invalid(
                    "deadline",
                    "phải sau thời hạn hiện tại",
                    "must be later than the present deadline",
                ))
            }
            Self::RequestExtension { deadline, .. } => check_deadline(*deadline, now),
            Self::DecideExtension { grant: true, .. }
                if explanation
                    .extension_deadline
                    .is_some_and(|wanted| wanted <= now) =>
            {
                Err(extension_passed())
            }
            _ => Ok(()),
        }
    }

    /// How the record tells it.
    fn entry(&self, before: &Explanation) -> Entry {
        match self.clone() {
            Self::Answer {
                cause,
                action,
                remedy_date,
                ..
            } => Entry {
                answer: Some(Answer {
                    cause,
                    action,
                    remedy_date,
                }),
                ..Entry::plain(Kind::Answer, String::new())
            },
            Self::Return { reason, deadline } => Entry {
                deadline,
                ..Entry::plain(Kind::Return, reason)
            },
            Self::Accept { note } => Entry::plain(Kind::Accept, note),
            Self::Withdraw { reason } => Entry::plain(Kind::Withdraw, reason),
            Self::RequestExtension { deadline, reason } => Entry {
                deadline: Some(deadline),
                ..Entry::plain(Kind::ExtensionRequest, reason)
            },
            Self::DecideExtension { grant: true, note } => Entry {
                deadline: before.extension_deadline,
                ..Entry::plain(Kind::ExtensionGrant, note)
            },
            Self::DecideExtension { grant: false, note } => {
                Entry::plain(Kind::ExtensionRefusal, note)
            }
        }
    }

    /// What it changes.
    fn apply(&self, before: &Explanation, state: State) -> Explanation {
        let mut after = before.clone();
        after.state = state;
        match self {
            Self::Answer { remedy_date, .. } => after.commitment_date = Some(*remedy_date),
            Self::Return {
                deadline: Some(deadline),
                ..
            } => after.deadline = *deadline,
            Self::DecideExtension { grant: true, .. } => {
                after.deadline = before.extension_deadline.unwrap_or(before.deadline);
            }
            _ => {}
        }
        after.extension_deadline = match self {
            Self::RequestExtension { deadline, .. } => Some(*deadline),
            _ if self.step().settles_extension() => None,
            _ => before.extension_deadline,
        };
        after
    }
}

/// A deadline that is set must lie ahead, but not too far.
pub fn check_deadline(deadline: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Refusal> {
    if is_within_reach(deadline, now) {
        return Ok(());
    }
    Err(Refusal::invalid(
        "deadline",
        "phải ở tương lai và trong vòng 60 ngày",
        "must be in the future and within 60 days",
    ))
}

/// Takes a step; the answer is the request afterwards.
pub async fn take(
    tx: &mut PgConnection,
    caller: &Caller,
    directory: &Directory,
    (id, version): (Uuid, i32),
    mut act: Act,
) -> Result<pb::Explanation, Error> {
    let step = act.step();
    let viewer = Viewer::new(caller, &[step.permission()]);
    let before = explanation::lock(&mut *tx, &viewer, id)
        .await?
        .ok_or_else(|| Refusal::not_found("explanation", id.to_string()))?;
    admit(caller, step, &before)?;
    let actor = actor(caller, directory, step.side(), &before)?;
    if before.version != version {
        return Err(etag_mismatch().into());
    }
    let state = step.from(before.state, before.extension_deadline.is_some())?;
    let now = explanation::now(&mut *tx).await?;
    act.check(&before, now)?;
    if let Act::Return { deadline, .. } = &mut act
        && deadline.is_none()
        && before.deadline <= now
    {
        // What is asked for now is not late from the first moment on.
        let holidays = Holidays::read(&mut *tx).await?;
        *deadline = Some(holidays.after_working_days(now, FOR_NEW_ANSWER));
    }

    explanation::update(&mut *tx, &act.apply(&before, state)).await?;
    let entry_id = thread::insert(&mut *tx, id, &actor, &act.entry(&before)).await?;
    if let Act::Answer { attachment_ids, .. } = &act
        && !attachment::attach(&mut *tx, id, entry_id, attachment_ids).await?
    {
        return Err(Refusal::invalid(
            "attachment_ids",
            "có tài liệu không thuộc yêu cầu này hoặc đã hết hạn lưu",
            "names a document that was not uploaded for this request or has expired",
        )
        .into());
    }
    told(tx, &viewer, id).await
}

/// Whether the caller may take this step at all.
fn admit(caller: &Caller, step: Step, explanation: &Explanation) -> Result<(), Error> {
    match step.side() {
        // The unit's own people answer, not everybody in charge of the field.
        Side::Asked => {
            caller.require(step.permission(), explanation.unit_id, None)?;
            if caller.person() == Some(explanation.requester_id) {
                return Err(own_request().into());
            }
        }
        Side::Asker => {
            let field = Some(explanation.field_code.as_str());
            caller.require(step.permission(), explanation.subject_unit_id, field)?;
            let is_requester = caller.person() == Some(explanation.requester_id);
            if !is_requester && !caller.scope(REVIEW).all {
                return Err(not_requester().into());
            }
        }
    }
    Ok(())
}

/// Who acts, as the record names them.
pub fn actor(
    caller: &Caller,
    directory: &Directory,
    side: Side,
    explanation: &Explanation,
) -> Result<Actor, Error> {
    let asker = asker(caller, directory)?;
    Ok(match side {
        Side::Asked => Actor {
            unit_id: Some(explanation.unit_id),
            ..asker
        },
        Side::Asker => asker,
    })
}

/// The caller as somebody who asks: for the own unit, or for the city as its leader.
pub fn asker(caller: &Caller, directory: &Directory) -> Result<Actor, Error> {
    let id = caller.person().ok_or_else(not_a_person)?;
    let person = directory.principal(&id.to_string());
    let is_leader = caller.scope(REVIEW).all;
    Ok(Actor {
        id,
        name: person
            .as_ref()
            .map(|person| person.display_name.clone())
            .unwrap_or_default(),
        unit_id: person
            .and_then(|person| person.home_unit)
            .filter(|_| !is_leader),
    })
}

/// States the newest step of a request; answers the whole of it.
pub async fn told(
    tx: &mut PgConnection,
    viewer: &Viewer,
    id: Uuid,
) -> Result<pb::Explanation, Error> {
    let after = explanation::get(&mut *tx, viewer, id)
        .await?
        .ok_or_else(|| anyhow::anyhow!("{id} left its viewer's sight by a step"))?;
    let thread = thread::list(&mut *tx, id).await?;
    let entry = thread.last().cloned();
    let mut unit_ids = vec![after.unit_id, after.subject_unit_id];
    unit_ids.dedup();
    let fact = pb::ExplanationChanged {
        explanation: Some(after.to_fact()),
        indicator_name_vi: after.indicator_name_vi.clone(),
        indicator_name_en: after.indicator_name_en.clone(),
        entry: entry.clone(),
    };
    events::publish(
        tx,
        Fact {
            subject: id.to_string(),
            unit_ids,
            field_code: Some(after.field_code.clone()),
            actor: entry.map(|entry| entry.actor_id).unwrap_or_default(),
            message: &fact,
        },
    )
    .await?;
    after.to_whole(thread)
}
