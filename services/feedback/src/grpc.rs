//! The service's doors: parse, call, convert.

mod public;
mod staff;

use std::sync::Arc;

use chassis::{Base, Caller, objects::Objects, parse::timestamp};
use proto::feedback::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::Error,
    feedback::{self, Feedback},
    photo,
    place::Places,
    text,
};

/// Serves both of the package's services.
#[derive(Clone)]
pub struct Grpc {
    pub(crate) base: Base,
    pub(crate) objects: Objects,
    pub(crate) places: Places,
}

impl Grpc {
    /// An item with photos and history as a member of staff sees it.
    async fn whole(
        &self,
        db: &mut PgConnection,
        item: Feedback,
        caller: &Caller,
    ) -> Result<pb::Feedback, Error> {
        let (id, unit, field) = (
            item.id,
            item.unit_id.unwrap_or(item.place_unit_id),
            item.field_code.clone(),
        );
        let contact = pb::Contact {
            name: item.contact_name.clone(),
            phone: item.contact_phone.clone(),
            email: item.contact_email.clone(),
        };
        let mut whole: pb::Feedback = item.into();
        whole.photos = photo::of(&mut *db, id)
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        whole.steps = feedback::steps(&mut *db, id)
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        let known = contact != pb::Contact::default();
        if known
            && caller
                .require("feedback.read_contacts", unit, Some(&field))
                .is_ok()
        {
            whole.contact = Some(contact);
        }
        Ok(whole)
    }

    /// An item as the citizen sees it: officials and what they tell each other are left out.
    async fn tracked(
        &self,
        db: &mut PgConnection,
        item: Feedback,
    ) -> Result<pb::TrackedFeedback, Error> {
        let name = |id: Uuid| {
            self.base
                .directory
                .unit(id)
                .map(|unit| unit.name().to_owned())
                .unwrap_or_default()
        };
        let mut steps: Vec<pb::FeedbackStep> = feedback::steps(db, item.id)
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        for step in &mut steps {
            step.actor_name.clear();
            // Why an item goes to another unit is said among officials; the other texts are written for the citizen.
            if step.kind() == pb::FeedbackStepKind::Routed {
                step.text.clear();
            }
        }
        Ok(pb::TrackedFeedback {
            code: item.code(),
            state: feedback::state(&item.state).into(),
            place_name: name(item.place_unit_id),
            unit_name: item.unit_id.map(name).unwrap_or_default(),
            create_time: Some(timestamp(item.create_time)),
            answer_deadline: Some(timestamp(item.answer_deadline)),
            title: item.title,
            category_vi: item.category_vi,
            category_en: item.category_en,
            steps,
            rating: item.rating,
        })
    }
}

fn parse_id(field: &'static str, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::invalid(field, "phải là một UUID", "must be a UUID"))
}

fn parse_optional_id(field: &'static str, text: &str) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        Ok(None)
    } else {
        parse_id(field, text).map(Some)
    }
}

/// A line that is looked for; none if it is empty.
fn some(field: &'static str, text: &str) -> Result<Option<String>, Error> {
    let text = text::line(field, text, 0, 200)?;
    Ok((!text.is_empty()).then_some(text))
}

/// The name under which a caller's steps are recorded.
fn actor_name(base: &Base, caller: &Caller) -> String {
    let principal: Option<Arc<_>> = base.directory.principal(&caller.id());
    principal
        .map(|principal| principal.display_name.clone())
        .unwrap_or_default()
}
