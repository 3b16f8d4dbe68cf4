use proto::forecasting::v1::{self as pb, RiskStatus};
use sqlx::PgPool;
use tonic::Code;

use crate::{Setting, about_hundred, because, by, indicator, invalid, refused, target, this_month};

#[sqlx::test]
async fn supposed_figures_move_the_probability_and_are_not_kept(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    setting
        .feed(&up, &[target(&up, setting.city, "1500")], &figures)
        .await;
    setting.assessed(&up, setting.city).await;
    let suppose = |value: &str| pb::TryScenarioRequest {
        indicator_id: up.id.clone(),
        unit_id: setting.city.to_string(),
        periods: vec![this_month().to_string()],
        values: vec![value.to_owned()],
        ..Default::default()
    };
    let status = async |value: &str| {
        let tried = setting
            .client()
            .try_scenario(by(&setting.leader, suppose(value)))
            .await;
        let tried = tried.unwrap().into_inner();
        assert!(tried.history.is_empty());
        if let Some(point) = tried.points.first() {
            let code = &point.period.as_ref().unwrap().code;
            assert_eq!(*code, this_month().next().to_string());
        }
        tried.assessments[0].status()
    };
    assert_eq!(status("100").await, RiskStatus::Red);
    assert_eq!(status("1500").await, RiskStatus::Green);
    let item = setting.assessed(&up, setting.city).await;
    assert_eq!(item.status(), RiskStatus::Red);
    let last = item.last_observation.unwrap();
    assert_eq!(
        last.period.unwrap().code,
        this_month().previous().to_string()
    );

    let wrong = async |request: pb::TryScenarioRequest| {
        let answer = setting
            .client()
            .try_scenario(by(&setting.leader, request))
            .await;
        refused(answer)
    };
    let spoilt = |periods: &[&str], values: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        pb::TryScenarioRequest {
            periods: owned(periods),
            values: owned(values),
            ..suppose("1")
        }
    };
    let (now, next) = (this_month().to_string(), this_month().next().to_string());
    let (now, next) = (now.as_str(), next.as_str());
    for (periods, values, field) in [
        (&[][..], &[][..], "values"),
        (&[now], &["1", "2"], "values"),
        (&[now], &["1,5"], "values"),
        (&["soon"], &["1"], "periods"),
        (&[next], &["1"], "periods"),
        (&[now, now], &["1", "2"], "periods"),
        (&[now; 25], &["1"; 25], "values"),
    ] {
        let answer = wrong(spoilt(periods, values)).await;
        assert_eq!(answer, invalid(field), "{values:?}");
    }
    let hidden = setting
        .client()
        .try_scenario(by(&setting.ward_head, suppose("100")))
        .await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
}
