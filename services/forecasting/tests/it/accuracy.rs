use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb},
    indicators::v1::{Indicator, Target},
    period::Period,
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    Setting, about_hundred, by, figure, indicator, invalid, new_id, refused, target, this_month,
    until,
};

async fn read(
    setting: &Setting,
    person: &str,
    request: &pb::GetAccuracyRequest,
) -> pb::ForecastAccuracy {
    let answer = setting
        .client()
        .get_accuracy(by(person, request.clone()))
        .await;
    answer.unwrap().into_inner()
}

/// The accuracy of one series, once its past was forecast.
async fn hindcast(setting: &Setting, indicator: &Indicator) -> pb::ForecastAccuracy {
    let request = pb::GetAccuracyRequest {
        indicator_id: indicator.id.clone(),
        ..Default::default()
    };
    until(async || {
        let accuracy = read(setting, &setting.leader, &request).await;
        (accuracy.hindcast_count > 0).then_some(accuracy)
    })
    .await
}

fn last_year(indicator: &Indicator, unit: Uuid, value: &str) -> Target {
    let year = this_month().year() - 1;
    Target {
        period: Period::new(Frequency::Year, year, 1).map(Into::into),
        ..target(indicator, unit, value)
    }
}

#[sqlx::test]
async fn the_past_is_forecast_as_if_at_the_time(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 60, 0);
    let targets = [
        last_year(&up, setting.city, "600"),
        last_year(&up, setting.city, "1800"),
    ];
    setting.feed(&up, &targets, &figures).await;
    let accuracy = hindcast(&setting, &up).await;
    assert_eq!((accuracy.series_count, accuracy.hindcast_count), (1, 24));
    // And the forecast of now.
    assert_eq!(accuracy.forecast_count, 25);
    let first = &accuracy.steps[0];
    assert_eq!((first.step, first.count), (1, 24));
    assert_eq!(accuracy.steps.len(), 12);
    assert_eq!(accuracy.steps[11].count, 13);
    assert!(first.coverage80 <= first.coverage95 && first.coverage95 > 0.7);
    assert!(first.relative_error.unwrap() < 2.0);
    // Half of about 1200 was sure to be met, half as much again sure to be missed.
    let (low, high) = (
        accuracy.bins.first().unwrap(),
        accuracy.bins.last().unwrap(),
    );
    assert_eq!((low.low, low.met_share), (0.0, 0.0));
    assert_eq!((high.high, high.met_share), (1.0, 1.0));
    assert!(accuracy.brier.unwrap() < 0.01);
}

#[sqlx::test]
async fn an_import_of_the_past_is_hindcast_too(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 60, 0);
    let (past, recent) = figures.split_at(50);
    setting.feed(&up, &[], recent).await;
    assert!(hindcast(&setting, &up).await.hindcast_count < 10);
    setting.feed(&up, &[], past).await;
    until(async || {
        let accuracy = hindcast(&setting, &up).await;
        (accuracy.hindcast_count == 24).then_some(())
    })
    .await;
}

#[sqlx::test]
async fn what_was_said_stays_said(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    setting
        .feed(&up, &[target(&up, setting.city, "1200")], &figures)
        .await;
    let before = hindcast(&setting, &up).await;
    let said = async || {
        let said: Vec<(String, bool, Vec<f64>)> =
            sqlx::query_as("SELECT origin, is_hindcast, mean FROM prediction ORDER BY origin")
                .fetch_all(&setting.db)
                .await
                .unwrap();
        said
    };
    let first = said().await;
    assert_eq!(
        first
            .iter()
            .filter(|(_, is_hindcast, _)| !is_hindcast)
            .count(),
        1
    );

    // The last figure is revised, and then this month's comes.
    let revised = figure(&up, setting.city, this_month().previous(), "250");
    setting.feed(&up, &[], std::slice::from_ref(&revised)).await;
    let is_seen = |id: &str, item: &pb::RiskItem| {
        item.last_observation
            .as_ref()
            .is_some_and(|figure| figure.id == id)
    };
    setting
        .line(&up, setting.city, |item| is_seen(&revised.id, item))
        .await;
    assert_eq!(said().await, first);
    let new = figure(&up, setting.city, this_month(), "140");
    setting.feed(&up, &[], std::slice::from_ref(&new)).await;
    setting
        .line(&up, setting.city, |item| is_seen(&new.id, item))
        .await;
    let after = said().await;
    assert_eq!(after.len(), first.len() + 1);
    assert_eq!(after[..first.len()], first);
    let request = pb::GetAccuracyRequest::default();
    let accuracy = read(&setting, &setting.leader, &request).await;
    assert_eq!(accuracy.forecast_count, before.forecast_count + 1);
    assert_eq!(accuracy.steps[0].count, before.steps[0].count + 1);
}

#[sqlx::test]
async fn accuracy_is_cut_to_the_scope(db: PgPool) {
    let setting = Setting::new(db).await;
    let (up, local) = (
        indicator("UP", "T04", setting.finance),
        indicator("LOCAL", "T16", setting.finance),
    );
    for (indicator, unit) in [(&up, setting.city), (&local, setting.ward)] {
        let figures = about_hundred(indicator, unit, 30, 0);
        setting.feed(indicator, &[], &figures).await;
        hindcast(&setting, indicator).await;
    }
    let counts = async |person: &str, request: pb::GetAccuracyRequest| {
        read(&setting, person, &request).await.series_count
    };
    let all = pb::GetAccuracyRequest::default;
    let of_ward = || pb::GetAccuracyRequest {
        unit_id: setting.ward.to_string(),
        ..all()
    };
    let of_local = || pb::GetAccuracyRequest {
        indicator_id: local.id.clone(),
        ..all()
    };
    let of_field = |field: &str| pb::GetAccuracyRequest {
        field_code: field.to_owned(),
        unit_id: setting.ward.to_string(),
        ..all()
    };
    for (person, whole, ward, indicator, field) in [
        (&setting.leader, 1, 1, 1, 1),
        // In charge of the city's figure.
        (&setting.finance_head, 1, 0, 0, 0),
        (&setting.ward_head, 1, 1, 1, 1),
        (&setting.health_head, 0, 1, 1, 1),
    ] {
        assert_eq!(counts(person, all()).await, whole, "{person}");
        assert_eq!(counts(person, of_ward()).await, ward, "{person}");
        assert_eq!(counts(person, of_local()).await, indicator, "{person}");
        assert_eq!(counts(person, of_field("T16")).await, field, "{person}");
        assert_eq!(counts(person, of_field("T04")).await, 0, "{person}");
    }
    let unknown = pb::GetAccuracyRequest {
        unit_id: new_id(),
        ..all()
    };
    let nothing = read(&setting, &setting.leader, &unknown).await;
    assert_eq!(nothing, pb::ForecastAccuracy::default());
    for (field, request) in [
        (
            "indicator_id",
            pb::GetAccuracyRequest {
                indicator_id: "x".to_owned(),
                ..all()
            },
        ),
        (
            "field_code",
            pb::GetAccuracyRequest {
                field_code: "\0".to_owned(),
                ..all()
            },
        ),
    ] {
        let answer = setting
            .client()
            .get_accuracy(by(&setting.leader, request))
            .await;
        assert_eq!(refused(answer), invalid(field));
    }
}

#[sqlx::test]
async fn what_stands_is_kept_as_made_at_the_time(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    setting.feed(&up, &[], &figures).await;
    hindcast(&setting, &up).await;
    // As a release left it that kept no predictions yet.
    for statement in [
        "DELETE FROM prediction",
        "UPDATE assessment SET is_hindcast = false, update_time = now() - interval '1 minute'",
    ] {
        sqlx::query(statement).execute(&setting.db).await.unwrap();
    }
    until(async || {
        let made: Vec<(String, bool)> = sqlx::query_as(
            "SELECT origin, is_hindcast FROM prediction ORDER BY origin DESC LIMIT 2",
        )
        .fetch_all(&setting.db)
        .await
        .unwrap();
        let month = |back: i32| this_month().plus(-back).to_string();
        (made == [(month(1), false), (month(2), true)]).then_some(())
    })
    .await;
}

#[sqlx::test]
async fn what_an_earlier_model_made_is_made_anew(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    setting.feed(&up, &[], &figures).await;
    setting.assessed(&up, setting.city).await;
    setting.queue_is_empty().await;
    sqlx::query("UPDATE assessment SET model_version = 0, forecast = ''")
        .execute(&setting.db)
        .await
        .unwrap();
    until(async || {
        let made: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM assessment WHERE model_version > 0 AND forecast <> ''",
        )
        .fetch_one(&setting.db)
        .await
        .unwrap();
        (made == 1).then_some(())
    })
    .await;
}
