use chassis::{
    Caller, Claimed, RequestKey,
    events::{self, Fact},
    page,
};
use proto::indicators::v1::{self as pb, indicator_service_server::IndicatorService};
use tonic::{Request, Response, Status};

use super::Grpc;
use crate::{error::Error, indicator, parse};

#[tonic::async_trait]
impl IndicatorService for Grpc {
    async fn get_indicator(
        &self,
        request: Request<pb::GetIndicatorRequest>,
    ) -> Result<Response<pb::Indicator>, Status> {
        let indicator = indicator::get(&self.base.db, &request.get_ref().id).await?;
        Ok(Response::new(indicator.into()))
    }

    async fn list_indicators(
        &self,
        request: Request<pb::ListIndicatorsRequest>,
    ) -> Result<Response<pb::ListIndicatorsResponse>, Status> {
        let request = request.get_ref();
        let size = page::size(request.page_size, 50, 200)?;
        let after = page::after(&request.page_token)?;
        let mut indicators =
            indicator::list(&self.base.db, request, after, size as i64 + 1).await?;
        let next_page_token = page::cut(&mut indicators, size, |last| last.code.clone());
        Ok(Response::new(pb::ListIndicatorsResponse {
            indicators: indicators.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn import_indicators(
        &self,
        request: Request<pb::ImportIndicatorsRequest>,
    ) -> Result<Response<pb::ImportIndicatorsResponse>, Status> {
        let caller = Caller::of(&request)?;
        caller.require_everywhere("indicators.define")?;
        let actor = caller.id();
        let request = request.get_ref();
        let owners = request
            .indicators
            .iter()
            .map(|one| one.owner_unit_id.as_str());
        parse::await_units(&self.base.directory, owners).await;
        let mut entries = indicator::read_all(&self.base.directory, &request.indicators)?;

        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(&actor, "ImportIndicators", &request.request_id, request)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let changed =
            indicator::import(&mut tx, &self.base.directory, &mut entries, &actor).await?;
        let added = changed
            .iter()
            .filter(|indicator| indicator.version == 1)
            .count();
        let answer = pb::ImportIndicatorsResponse {
            added: i32::try_from(added).unwrap_or(i32::MAX),
            corrected: i32::try_from(changed.len() - added).unwrap_or(i32::MAX),
        };
        let facts: Vec<pb::IndicatorChanged> = changed
            .into_iter()
            .map(|indicator| pb::IndicatorChanged {
                indicator: Some(indicator.into()),
            })
            .collect();
        // Definitions are open to everybody: the facts name no unit.
        let facts = facts.iter().filter_map(|message| {
            let indicator = message.indicator.as_ref()?;
            Some(Fact {
                subject: format!("indicator/{}", indicator.id),
                unit_ids: Vec::new(),
                field_code: Some(indicator.field_code.clone()),
                actor: actor.clone(),
                message,
            })
        });
        events::publish_all(&mut tx, facts)
            .await
            .map_err(Error::from)?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }
}
