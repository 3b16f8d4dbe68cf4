use anyhow::Context;
use chassis::events::{Consumer, Event};
use proto::explanations::v1::{Explanation, ExplanationChanged, ThreadEntryKind};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{id, unit_name, when};
use crate::{
    audience,
    notification::{Media, News, Topic},
    text::same,
};

/// Tells the unit asked and the requester about each other's steps.
pub struct Explanations(pub Media);

/// Who hears of a step.
#[derive(PartialEq, Eq)]
enum Side {
    Asked,
    Requester,
}

impl Explanations {
    fn people(&self, explanation: &Explanation, side: &Side) -> anyhow::Result<Vec<Uuid>> {
        match side {
            Side::Requester => Ok(vec![id(&explanation.requester_id)?]),
            // Those who may answer. Rights for the field do not count: the unit itself was asked.
            Side::Asked => Ok(audience::of_unit(
                &self.0.directory,
                "explanations.answer",
                id(&explanation.unit_id)?,
                None,
            )),
        }
    }
}

/// What is told of a step, and to whom; nothing of being read.
fn told(kind: ThreadEntryKind) -> Option<(Topic, &'static str, Side)> {
    match kind {
        ThreadEntryKind::Request => Some((
            Topic::ExplanationRequested,
            "explanation_requested",
            Side::Asked,
        )),
        ThreadEntryKind::Answer => Some((
            Topic::ExplanationAnswered,
            "explanation_answered",
            Side::Requester,
        )),
        ThreadEntryKind::Return => Some((
            Topic::ExplanationReturned,
            "explanation_returned",
            Side::Asked,
        )),
        ThreadEntryKind::Accept => Some((
            Topic::ExplanationAccepted,
            "explanation_accepted",
            Side::Asked,
        )),
        ThreadEntryKind::Withdraw => Some((
            Topic::ExplanationWithdrawn,
            "explanation_withdrawn",
            Side::Asked,
        )),
        ThreadEntryKind::ExtensionRequest => Some((
            Topic::ExplanationExtension,
            "extension_requested",
            Side::Requester,
        )),
        ThreadEntryKind::ExtensionGrant => Some((
            Topic::ExplanationExtension,
            "extension_granted",
            Side::Asked,
        )),
        ThreadEntryKind::ExtensionRefusal => Some((
            Topic::ExplanationExtension,
            "extension_refused",
            Side::Asked,
        )),
        ThreadEntryKind::Seen | ThreadEntryKind::Unspecified => None,
    }
}

impl Consumer for Explanations {
    const NAME: &'static str = "explanations";

    fn source(&self) -> &str {
        "explanations"
    }

    fn types(&self) -> &[&str] {
        &["civicmesh.explanations.v1.ExplanationChanged"]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        let changed: ExplanationChanged = event.decode()?;
        let explanation = changed.explanation.context("no explanation")?;
        let entry = changed.entry.context("no step")?;
        let Some((topic, mut text, side)) = told(entry.kind()) else {
            return Ok(());
        };
        let mut people = self.people(&explanation, &side)?;
        // Whoever waits for an answer is told if it waits with nobody.
        let is_lost = side == Side::Asked
            && matches!(
                entry.kind(),
                ThreadEntryKind::Request | ThreadEntryKind::Return
            )
            && people.iter().all(|id| id.to_string() == event.actor);
        if is_lost {
            tracing::warn!(
                explanation.id = explanation.id,
                unit.id = explanation.unit_id,
                "nobody in the unit can answer"
            );
            text = "explanation_unreachable";
            people = self.people(&explanation, &Side::Requester)?;
        }
        let news = News {
            topic,
            text,
            values: [
                ("code", same(&explanation.code)),
                (
                    "indicator",
                    (changed.indicator_name_vi, changed.indicator_name_en),
                ),
                ("unit", unit_name(&self.0.directory, &explanation.unit_id)),
                ("actor", same(entry.actor_name)),
                ("deadline", when(explanation.deadline)),
                ("wanted", when(explanation.extension_deadline)),
            ]
            .into(),
            path: format!("/explanations/{}", explanation.id),
            people,
            to_actor: is_lost,
        };
        self.0.tell(tx, event, &news).await
    }
}
