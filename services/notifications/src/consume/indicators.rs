use anyhow::Context;
use chassis::events::{Consumer, Event};
use proto::{
    identity::v1::UnitKind,
    indicators::v1::{Indicator, IndicatorChanged, Submission, SubmissionChanged, SubmissionState},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{id, unit_name};
use crate::{
    audience,
    notification::{Media, News, Topic},
    text::same,
};

/// Tells approvers what waits for them, and whoever entered a figure that it was returned.
pub struct Indicators(pub Media);

/// What messages need of an indicator.
struct Known {
    name_vi: String,
    name_en: String,
    field_code: String,
    owner_unit_id: Option<Uuid>,
}

/// Keeps what messages need of an indicator.
async fn remember(tx: &mut PgConnection, indicator: &Indicator) -> anyhow::Result<()> {
    sqlx::query!(
        "INSERT INTO indicator (id, name_vi, name_en, field_code, owner_unit_id) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET name_vi = $2, name_en = $3, field_code = $4, owner_unit_id = $5",
        id(&indicator.id)?,
        indicator.name_vi,
        indicator.name_en,
        indicator.field_code,
        indicator.owner_unit_id.parse::<Uuid>().ok()
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn recall(tx: &mut PgConnection, id: Uuid) -> anyhow::Result<Option<Known>> {
    Ok(sqlx::query_as!(
        Known,
        "SELECT name_vi, name_en, field_code, owner_unit_id FROM indicator WHERE id = $1",
        id
    )
    .fetch_optional(tx)
    .await?)
}

impl Indicators {
    /// Who approves: people of the unit itself for its own figures, of the indicator's owner for those of the city.
    fn approvers(&self, unit: Uuid, known: Option<&Known>) -> Vec<Uuid> {
        let is_of_city = self
            .0
            .directory
            .unit(unit)
            .is_some_and(|unit| matches!(unit.kind, UnitKind::City | UnitKind::Country));
        let owner = known.and_then(|known| known.owner_unit_id);
        let responsible = if is_of_city { owner } else { Some(unit) };
        let Some(responsible) = responsible else {
            return Vec::new();
        };
        audience::of_unit(
            &self.0.directory,
            "indicators.approve",
            responsible,
            known.map(|known| known.field_code.as_str()),
        )
    }

    async fn news(
        &self,
        tx: &mut PgConnection,
        submission: Submission,
    ) -> anyhow::Result<Option<News>> {
        let known = recall(tx, id(&submission.indicator_id)?).await?;
        let submitter = submission.submitter_id.parse().ok();
        let (text, people) = match submission.state() {
            SubmissionState::Submitted => {
                let mut people = self.approvers(id(&submission.unit_id)?, known.as_ref());
                people.retain(|person| Some(*person) != submitter);
                ("submission_waiting", people)
            }
            SubmissionState::Returned => ("submission_returned", Vec::from_iter(submitter)),
            _ => return Ok(None),
        };
        let names = known.map_or_else(
            || ("một chỉ tiêu".to_owned(), "an indicator".to_owned()),
            |known| (known.name_vi, known.name_en),
        );
        let period = submission.period.unwrap_or_default().code;
        Ok(Some(News {
            topic: Topic::Submission,
            text,
            values: [
                ("indicator", names),
                ("unit", unit_name(&self.0.directory, &submission.unit_id)),
                ("period", same(period)),
            ]
            .into(),
            path: "/reporting".to_owned(),
            people,
            to_actor: false,
        }))
    }
}

impl Consumer for Indicators {
    const NAME: &'static str = "indicators";

    fn source(&self) -> &str {
        "indicators"
    }

    fn types(&self) -> &[&str] {
        &[
            "civicmesh.indicators.v1.IndicatorChanged",
            "civicmesh.indicators.v1.SubmissionChanged",
        ]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        if event.is::<IndicatorChanged>() {
            let changed: IndicatorChanged = event.decode()?;
            return remember(tx, &changed.indicator.context("no indicator")?).await;
        }
        let changed: SubmissionChanged = event.decode()?;
        let submission = changed.submission.context("no submission")?;
        match self.news(tx, submission).await? {
            Some(news) => self.0.tell(tx, event, &news).await,
            None => Ok(()),
        }
    }
}
