use proto::forecasting::v1 as pb;
use sqlx::PgPool;
use tonic::Code;

use crate::{
    Setting, about_hundred, because, by, indicator, invalid, new_id, refused, target, this_month,
};

#[sqlx::test]
async fn a_forecast_holds_history_points_and_each_target(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let targets = [
        target(&up, setting.city, "900"),
        target(&up, setting.city, "1300"),
    ];
    setting
        .feed(&up, &targets, &about_hundred(&up, setting.city, 36, 0))
        .await;
    setting.assessed(&up, setting.city).await;
    let request = pb::GetForecastRequest {
        indicator_id: up.id.clone(),
        unit_id: setting.city.to_string(),
    };
    let answer = setting
        .client()
        .get_forecast(by(&setting.finance_head, request.clone()))
        .await;
    let forecast = answer.unwrap().into_inner();
    assert_eq!(
        (forecast.history.len(), forecast.observation_count),
        (36, 36)
    );
    assert!(forecast.points.len() >= 12);
    assert_eq!(
        forecast.points[0].period.as_ref().unwrap().code,
        this_month().to_string()
    );
    let point = &forecast.points[0];
    let bounds = [
        &point.low95,
        &point.low80,
        &point.mean,
        &point.high80,
        &point.high95,
    ];
    assert!(
        bounds.map(|text| text.parse::<f64>().unwrap()).is_sorted(),
        "{point:?}"
    );
    assert_eq!(forecast.assessments.len(), 2);
    let first = &forecast.assessments[0];
    assert_eq!(
        first.target.as_ref().unwrap().value,
        "1300",
        "the most endangered first"
    );
    assert_eq!(first.remaining_periods, 13 - this_month().number());
    assert!(!first.required_pace.is_empty() && !first.required_growth_percent.is_empty());
    assert_eq!(forecast.method, "combined");

    let explain = pb::ExplainStatusRequest {
        indicator_id: request.indicator_id.clone(),
        unit_id: request.unit_id.clone(),
    };
    let told = setting
        .client()
        .explain_status(by(&setting.leader, explain.clone()))
        .await;
    let told = told.unwrap().into_inner();
    assert!(told.text_vi.contains("ít nhất 1.300"), "{}", told.text_vi);
    assert!(told.text_en.contains("at least 1,300"), "{}", told.text_en);
    let hidden = setting
        .client()
        .explain_status(by(&setting.ward_head, explain))
        .await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
    let hidden = setting
        .client()
        .get_forecast(by(&setting.ward_head, request))
        .await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
    let none = pb::GetForecastRequest {
        indicator_id: new_id(),
        unit_id: setting.city.to_string(),
    };
    let none = setting
        .client()
        .get_forecast(by(&setting.leader, none))
        .await;
    assert_eq!(refused(none), because(Code::NotFound, "NOT_FOUND"));
    let wrong = pb::GetForecastRequest::default();
    let wrong = setting
        .client()
        .get_forecast(by(&setting.leader, wrong))
        .await;
    assert_eq!(refused(wrong), invalid("indicator_id"));
}
