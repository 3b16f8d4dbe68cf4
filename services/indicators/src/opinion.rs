//! What forecasting thinks of a value before it is submitted.

use std::time::Duration;

use chassis::mesh::Mesh;
use proto::forecasting::v1::{CheckValueRequest, forecast_service_client::ForecastServiceClient};
use tonic::Code;

use crate::{entry::Entry, indicator::Indicator, remark::Remark};

/// Nobody waits longer for it: the value can be entered without.
const PATIENCE: Duration = Duration::from_millis(800);

/// What seems wrong with a value by the history of its series, perhaps nothing; none where nobody can say.
pub async fn ask(mesh: &Mesh, indicator: &Indicator, entry: &Entry) -> Option<Vec<Remark>> {
    let mut client = ForecastServiceClient::new(mesh.channel("forecasting"));
    let request = CheckValueRequest {
        indicator_id: indicator.id.to_string(),
        unit_id: entry.unit_id.to_string(),
        value: entry.value.to_string(),
        period: Some(entry.period.into()),
    };
    match tokio::time::timeout(PATIENCE, client.check_value(request)).await {
        Ok(Ok(answer)) => {
            let answer = answer.into_inner();
            let remark = answer
                .unusual
                .then_some((answer.reason_vi, answer.reason_en));
            Some(remark.into_iter().collect())
        }
        Ok(Err(status)) if status.code() == Code::NotFound => None,
        Ok(Err(status)) => {
            tracing::debug!(%status, "a value was not checked");
            None
        }
        Err(_) => None,
    }
}
