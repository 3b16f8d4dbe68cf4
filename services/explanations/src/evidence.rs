//! What is frozen into a request: the forecast and the line of the risk board, as known now, asked of forecasting.

use chassis::{Refusal, directory::Unit, mesh::Mesh};
use chrono::{DateTime, Utc};
use proto::{
    explanations::v1::Evidence,
    forecasting::v1::{
        Forecast, GetForecastRequest, ListRiskItemsRequest, RiskItem,
        forecast_service_client::ForecastServiceClient,
    },
    identity::v1::UnitKind,
    indicators::v1::Indicator,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    error::{Error, forecasting_unavailable},
    parse::timestamp,
};

/// Lines of the board read at once.
const PAGE: i32 = 500;

/// Whether a unit answers for its own figures. Those of the city and the country are the indicator's owner's.
pub fn is_local(unit: &Unit) -> bool {
    !matches!(unit.kind, UnitKind::City | UnitKind::Country)
}

/// Reads what is known now; the indicator comes with it.
pub async fn read(
    mesh: &Mesh,
    indicator_id: Uuid,
    unit: &Unit,
    now: DateTime<Utc>,
) -> Result<(Evidence, Indicator), Error> {
    let (forecast, item) = tokio::try_join!(
        forecast(mesh, indicator_id, unit.id),
        item(mesh, indicator_id, unit)
    )?;
    let indicator = forecast
        .indicator
        .clone()
        .ok_or_else(|| anyhow::anyhow!("a forecast without indicator"))?;
    let evidence = Evidence {
        item,
        forecast: Some(forecast),
        freeze_time: Some(timestamp(now)),
    };
    Ok((evidence, indicator))
}

async fn forecast(mesh: &Mesh, indicator_id: Uuid, unit_id: Uuid) -> Result<Forecast, Error> {
    let mut client = ForecastServiceClient::new(mesh.channel("forecasting"));
    let request = GetForecastRequest {
        indicator_id: indicator_id.to_string(),
        unit_id: unit_id.to_string(),
    };
    match client.get_forecast(request).await {
        Ok(forecast) => Ok(forecast.into_inner()),
        Err(status) if status.code() == Code::NotFound => {
            Err(Refusal::not_found("forecast", format!("{indicator_id}/{unit_id}")).into())
        }
        Err(status) => Err(unavailable(&status)),
    }
}

/// The line of exactly this unit; the board is filtered by subtree.
async fn item(mesh: &Mesh, indicator_id: Uuid, unit: &Unit) -> Result<Option<RiskItem>, Error> {
    let mut client = ForecastServiceClient::new(mesh.channel("forecasting"));
    let mut request = ListRiskItemsRequest {
        indicator_id: indicator_id.to_string(),
        unit_id: unit.id.to_string(),
        city_level_only: !is_local(unit),
        page_size: PAGE,
        ..Default::default()
    };
    loop {
        let page = client
            .list_risk_items(request.clone())
            .await
            .map_err(|status| unavailable(&status))?
            .into_inner();
        let own = unit.id.to_string();
        if let Some(item) = page.items.into_iter().find(|item| item.unit_id == own) {
            return Ok(Some(item));
        }
        if page.next_page_token.is_empty() {
            return Ok(None);
        }
        request.page_token = page.next_page_token;
    }
}

fn unavailable(status: &Status) -> Error {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted => {
            tracing::warn!(code = ?status.code(), "forecasting did not answer");
            forecasting_unavailable().into()
        }
        code => anyhow::anyhow!("forecasting answered {code:?}: {}", status.message()).into(),
    }
}
