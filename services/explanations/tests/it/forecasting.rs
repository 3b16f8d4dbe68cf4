//! Forecasting as this service needs it: a server of the contract that knows one indicator.

use proto::{
    forecasting::v1::{self as pb, forecast_service_server},
    indicators::v1::Indicator,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use uuid::Uuid;

pub struct Board {
    pub indicator: Uuid,
    pub owner: Uuid,
    pub units: Vec<Uuid>,
}

/// Serves on loopback; answers the address.
pub async fn serve(board: Board) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = forecast_service_server::ForecastServiceServer::new(board);
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

impl Board {
    fn indicator(&self) -> Indicator {
        Indicator {
            id: self.indicator.to_string(),
            code: "HCM.04.03".to_owned(),
            name_vi: "Giải ngân đầu tư công".to_owned(),
            name_en: "Public investment disbursed".to_owned(),
            field_code: "T06".to_owned(),
            owner_unit_id: self.owner.to_string(),
            ..Default::default()
        }
    }
}

#[tonic::async_trait]
impl forecast_service_server::ForecastService for Board {
    async fn get_forecast(
        &self,
        request: Request<pb::GetForecastRequest>,
    ) -> Result<Response<pb::Forecast>, Status> {
        let request = request.into_inner();
        let is_known = request.indicator_id == self.indicator.to_string()
            && self
                .units
                .iter()
                .any(|unit| unit.to_string() == request.unit_id);
        if !is_known {
            return Err(Status::not_found("no such series"));
        }
        Ok(Response::new(pb::Forecast {
            indicator: Some(self.indicator()),
            unit_id: request.unit_id,
            method: "ets".to_owned(),
            status: pb::RiskStatus::Red.into(),
            ..Default::default()
        }))
    }

    /// As the real board: the unit's subtree, in pages of one.
    async fn list_risk_items(
        &self,
        request: Request<pb::ListRiskItemsRequest>,
    ) -> Result<Response<pb::ListRiskItemsResponse>, Status> {
        let page: usize = request.get_ref().page_token.parse().unwrap_or(0);
        let item = self.units.get(page).map(|unit| pb::RiskItem {
            indicator: Some(self.indicator()),
            unit_id: unit.to_string(),
            status: pb::RiskStatus::Red.into(),
            year_to_date: "30.7".to_owned(),
            ..Default::default()
        });
        let is_last = page + 1 >= self.units.len();
        Ok(Response::new(pb::ListRiskItemsResponse {
            items: item.into_iter().collect(),
            next_page_token: if is_last {
                String::new()
            } else {
                (page + 1).to_string()
            },
        }))
    }

    async fn get_risk_summary(
        &self,
        _: Request<pb::GetRiskSummaryRequest>,
    ) -> Result<Response<pb::RiskSummary>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn explain_status(
        &self,
        _: Request<pb::ExplainStatusRequest>,
    ) -> Result<Response<pb::StatusExplanation>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    type WatchRiskStream = tokio_stream::Empty<Result<pb::WatchRiskResponse, Status>>;

    async fn watch_risk(
        &self,
        _: Request<pb::WatchRiskRequest>,
    ) -> Result<Response<Self::WatchRiskStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_outlook(
        &self,
        _: Request<pb::GetOutlookRequest>,
    ) -> Result<Response<pb::Outlook>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn save_scenario(
        &self,
        _: Request<pb::SaveScenarioRequest>,
    ) -> Result<Response<pb::Scenario>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn list_scenarios(
        &self,
        _: Request<pb::ListScenariosRequest>,
    ) -> Result<Response<pb::ListScenariosResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn delete_scenario(
        &self,
        _: Request<pb::DeleteScenarioRequest>,
    ) -> Result<Response<pb::DeleteScenarioResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn try_scenario(
        &self,
        _: Request<pb::TryScenarioRequest>,
    ) -> Result<Response<pb::Forecast>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_accuracy(
        &self,
        _: Request<pb::GetAccuracyRequest>,
    ) -> Result<Response<pb::ForecastAccuracy>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn check_value(
        &self,
        _: Request<pb::CheckValueRequest>,
    ) -> Result<Response<pb::CheckValueResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_thresholds(
        &self,
        _: Request<pb::GetThresholdsRequest>,
    ) -> Result<Response<pb::Thresholds>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn set_thresholds(
        &self,
        _: Request<pb::SetThresholdsRequest>,
    ) -> Result<Response<pb::Thresholds>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}
