use proto::forecasting::v1::{self as pb, RiskStatus};
use sqlx::PgPool;
use tonic::Code;

use crate::{
    Setting, about_hundred, because, by, indicator, invalid, new_id, refused, status, target,
};

fn set(red_below: f64, green_above: f64, version: i32) -> pb::SetThresholdsRequest {
    pb::SetThresholdsRequest {
        request_id: new_id(),
        red_below,
        green_above,
        version,
    }
}

#[sqlx::test]
async fn new_thresholds_colour_everything_anew(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    setting
        .feed(&up, &[target(&up, setting.city, "1500")], &figures)
        .await;
    assert_eq!(
        status(&setting.assessed(&up, setting.city).await),
        RiskStatus::Red
    );

    let mut client = setting.client();
    let before = client
        .get_thresholds(by(&setting.ward_head, pb::GetThresholdsRequest {}))
        .await;
    let before = before.unwrap().into_inner();
    assert_eq!(
        (before.red_below, before.green_above, before.version),
        (0.35, 0.75, 1)
    );
    let request = set(1e-9, 0.999_999, 1);
    let after = client
        .set_thresholds(by(&setting.admin, request.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(after.version, 2);
    setting
        .line(&up, setting.city, |item| status(item) == RiskStatus::Orange)
        .await;
    let again = client
        .set_thresholds(by(&setting.admin, request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, after, "a repeated request_id");
    let late = client
        .set_thresholds(by(&setting.admin, set(0.3, 0.7, 1)))
        .await;
    assert_eq!(refused(late), because(Code::Aborted, "ETAG_MISMATCH"));
}

#[sqlx::test]
async fn thresholds_are_probabilities_in_order(db: PgPool) {
    let setting = Setting::new(db).await;
    for (red, green, field) in [
        (0.0, 0.5, "red_below"),
        (1.5, 1.7, "red_below"),
        (0.6, 0.5, "green_above"),
        (0.5, 1.0, "green_above"),
        (f64::NAN, 0.5, "red_below"),
    ] {
        let answer = setting
            .client()
            .set_thresholds(by(&setting.admin, set(red, green, 1)))
            .await;
        assert_eq!(refused(answer), invalid(field), "{red} {green}");
    }
    for (person, reason) in [
        (&setting.leader, "PERMISSION_MISSING"),
        (&setting.ward_admin, "OUTSIDE_SCOPE"),
    ] {
        let answer = setting
            .client()
            .set_thresholds(by(person, set(0.3, 0.7, 1)))
            .await;
        assert_eq!(refused(answer), because(Code::PermissionDenied, reason));
    }
}
