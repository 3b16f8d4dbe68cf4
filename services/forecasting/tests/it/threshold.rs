use proto::{
    forecasting::v1::{self as pb, RiskStatus},
    indicators::v1::Observation,
    period::Period,
};
use sqlx::PgPool;
use tonic::Code;

use crate::{
    Setting, about_hundred, because, by, indicator, invalid, new_id, refused, status, target,
    this_month, until,
};

fn set(red_below: f64, green_above: f64, version: i32) -> pb::SetThresholdsRequest {
    pb::SetThresholdsRequest {
        request_id: new_id(),
        red_below,
        green_above,
        version,
        margin: 0.0,
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
        (
            before.red_below,
            before.green_above,
            before.margin,
            before.version
        ),
        (0.35, 0.75, 0.02, 1)
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
    for margin in [-0.01, 0.3, f64::NAN] {
        let request = pb::SetThresholdsRequest {
            margin,
            ..set(0.3, 0.7, 1)
        };
        let answer = setting
            .client()
            .set_thresholds(by(&setting.admin, request))
            .await;
        assert_eq!(refused(answer), invalid("margin"), "{margin}");
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

#[sqlx::test]
async fn a_colour_stays_until_the_margin_is_passed(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    // What is expected is the plan, so that it is about even.
    let this_year = |figure: &&Observation| {
        Period::try_from(&figure.period).unwrap().year() == this_month().year()
    };
    let so_far: i32 = figures
        .iter()
        .filter(this_year)
        .map(|figure| figure.value.parse::<i32>().unwrap())
        .sum();
    let plan = so_far + 100 * (13 - this_month().number());
    setting
        .feed(
            &up,
            &[target(&up, setting.city, &plan.to_string())],
            &figures,
        )
        .await;
    let item = setting.assessed(&up, setting.city).await;
    let chance = item.assessment.unwrap().probability.unwrap();
    assert!((0.05..0.95).contains(&chance), "{chance}");
    let colour = async |red_below: f64, version| {
        let new = version + 1;
        let request = pb::SetThresholdsRequest {
            margin: 0.04,
            ..set(red_below, 0.955, version)
        };
        setting
            .client()
            .set_thresholds(by(&setting.admin, request))
            .await
            .unwrap();
        until(async || {
            let version: i32 = sqlx::query_scalar("SELECT thresholds_version FROM assessment")
                .fetch_one(&setting.db)
                .await
                .unwrap();
            (version == new).then_some(())
        })
        .await;
        status(&setting.assessed(&up, setting.city).await)
    };
    // New thresholds colour anew.
    assert_eq!(colour(chance + 0.001, 1).await, RiskStatus::Red);
    // By the same ones, a probability a little beyond keeps the colour that it had.
    sqlx::query("UPDATE threshold SET red_below = $1")
        .bind(chance - 0.02)
        .execute(&setting.db)
        .await
        .unwrap();
    sqlx::query("INSERT INTO recompute (indicator_id, unit_id) SELECT indicator_id, unit_id FROM assessment")
        .execute(&setting.db)
        .await
        .unwrap();
    sqlx::query("SELECT pg_notify('recompute', '')")
        .execute(&setting.db)
        .await
        .unwrap();
    setting.queue_is_empty().await;
    assert_eq!(
        status(&setting.assessed(&up, setting.city).await),
        RiskStatus::Red
    );
    assert_eq!(colour(chance - 0.02, 2).await, RiskStatus::Orange);
}
