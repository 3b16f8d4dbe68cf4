use anyhow::Context;
use chassis::events::{Consumer, Event};
use proto::feedback::v1::{FeedbackChanged, FeedbackStepKind};
use sqlx::PgConnection;

use super::{id, unit_name, when};
use crate::{
    audience,
    notification::{Media, News, Topic},
    text::same,
};

/// Tells a unit's case officers what feedback was routed to it.
pub struct FeedbackItems(pub Media);

impl Consumer for FeedbackItems {
    const NAME: &'static str = "feedback";

    fn source(&self) -> &str {
        "feedback"
    }

    fn types(&self) -> &[&str] {
        &["civicmesh.feedback.v1.FeedbackChanged"]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        let changed: FeedbackChanged = event.decode()?;
        let feedback = changed.feedback.context("no feedback")?;
        let step = changed.step.context("no step")?;
        // What was made up for a demonstration waits for nobody.
        if step.kind() != FeedbackStepKind::Routed || feedback.illustrative {
            return Ok(());
        }
        let unit = id(&feedback.unit_id)?;
        let field = Some(feedback.field_code.as_str()).filter(|code| !code.is_empty());
        // What the citizen wrote stays in the platform.
        let news = News {
            topic: Topic::FeedbackRouted,
            text: "feedback_routed",
            values: [
                ("code", same(&feedback.code)),
                ("category", (feedback.category_vi, feedback.category_en)),
                ("unit", unit_name(&self.0.directory, &feedback.unit_id)),
                ("deadline", when(feedback.answer_deadline)),
            ]
            .into(),
            path: format!("/feedback/{}", feedback.id),
            people: audience::of_unit(&self.0.directory, "feedback.answer", unit, field),
            to_actor: false,
        };
        self.0.tell(tx, event, &news).await
    }
}
