use prost_types::Timestamp;
use proto::indicators::v1 as pb;
use sqlx::PgPool;

use crate::{Setting, by, figure, invalid, new_id, period, refused};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

async fn list(
    setting: &Setting,
    person: &str,
    request: pb::ListObservationsRequest,
) -> Vec<String> {
    let mut request = pb::ListObservationsRequest {
        page_size: 2,
        ..request
    };
    let mut values = Vec::new();
    loop {
        let page = by(person, request.clone());
        let page = setting
            .observations()
            .list_observations(page)
            .await
            .unwrap()
            .into_inner();
        values.extend(page.observations.into_iter().map(|figure| figure.value));
        if page.next_page_token.is_empty() {
            return values;
        }
        request.page_token = page.next_page_token;
    }
}

/// One quarter's three rounds and a correction, as they became known.
async fn rounds(setting: &Setting) -> String {
    let (id, _) = setting.two_indicators().await;
    let round = |vintage: pb::Vintage, value: &str, seconds| pb::Observation {
        vintage: vintage.into(),
        known_time: at(seconds),
        ..figure(&id, setting.city, "2025-09", value)
    };
    let request = pb::ImportObservationsRequest {
        request_id: new_id(),
        observations: vec![
            round(pb::Vintage::Official, "7.07", 3000),
            round(pb::Vintage::Estimate, "7.29", 1000),
            round(pb::Vintage::Preliminary, "7.14", 2000),
            round(pb::Vintage::Estimate, "9.99", 4000),
            round(pb::Vintage::Official, "7.08", 5000),
            figure(&id, setting.city, "2025-10", "8"),
        ],
    };
    let request = by(&setting.statistician, request);
    setting
        .observations()
        .import_observations(request)
        .await
        .unwrap();
    id
}

#[sqlx::test]
async fn the_best_known_figure_is_the_most_final_then_the_newest(db: PgPool) {
    let setting = Setting::new(db).await;
    rounds(&setting).await;
    assert_eq!(
        list(&setting, &setting.leader, Default::default()).await,
        ["7.08", "8"]
    );
}

#[sqlx::test]
async fn a_read_can_be_taken_as_it_was_known(db: PgPool) {
    let setting = Setting::new(db).await;
    rounds(&setting).await;
    for (seconds, known) in [
        (999, vec![]),
        (1000, vec!["7.29"]),
        (2500, vec!["7.14"]),
        (3000, vec!["7.07"]),
        (4500, vec!["7.07"]),
        (5000, vec!["7.08"]),
    ] {
        let request = pb::ListObservationsRequest {
            as_known_at: at(seconds),
            ..Default::default()
        };
        assert_eq!(
            list(&setting, &setting.leader, request).await,
            known,
            "{seconds}"
        );
    }
}

#[sqlx::test]
async fn a_time_beyond_the_calendar_is_refused(db: PgPool) {
    let setting = Setting::new(db).await;
    for seconds in [-300_000_000_000, i64::MIN, i64::MAX] {
        let request = pb::ListObservationsRequest {
            as_known_at: at(seconds),
            ..Default::default()
        };
        let request = by(&setting.leader, request);
        let answer = setting.observations().list_observations(request).await;
        assert_eq!(refused(answer), invalid("as_known_at"));
    }
}

#[sqlx::test]
async fn every_version_can_be_listed(db: PgPool) {
    let setting = Setting::new(db).await;
    rounds(&setting).await;
    let request = pb::ListObservationsRequest {
        every_version: true,
        ..Default::default()
    };
    let all = list(&setting, &setting.leader, request).await;
    assert_eq!(all, ["7.29", "7.14", "7.07", "9.99", "7.08", "8"]);
}

#[sqlx::test]
async fn figures_are_filtered_by_indicator_unit_and_period(db: PgPool) {
    let setting = Setting::new(db).await;
    let id = rounds(&setting).await;
    let from = pb::ListObservationsRequest {
        indicator_id: id,
        from: period("2025-10"),
        ..Default::default()
    };
    assert_eq!(list(&setting, &setting.leader, from).await, ["8"]);
    let other_frequency = pb::ListObservationsRequest {
        from: period("2025"),
        ..Default::default()
    };
    assert!(
        list(&setting, &setting.leader, other_frequency)
            .await
            .is_empty()
    );
    let unit = pb::ListObservationsRequest {
        unit_id: setting.ward.to_string(),
        ..Default::default()
    };
    assert!(list(&setting, &setting.leader, unit).await.is_empty());
}

#[sqlx::test]
async fn figures_are_cut_to_the_scope(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, health) = setting.two_indicators().await;
    setting
        .publish(&finance, setting.city, &[("2026-01", "1")])
        .await;
    setting
        .publish(&health, setting.city, &[("2026-01", "2")])
        .await;
    setting
        .publish(&health, setting.ward, &[("2026-01", "3")])
        .await;
    setting
        .publish(&finance, setting.ward, &[("2026-01", "4")])
        .await;
    for every_version in [false, true] {
        for (person, sees) in [
            (&setting.leader, vec!["1", "2", "3", "4"]),
            (&setting.finance_officer, vec!["1", "4"]),
            (&setting.health_head, vec!["2", "3"]),
            (&setting.ward_officer, vec!["3", "4"]),
            (&setting.other_officer, vec![]),
        ] {
            let request = pb::ListObservationsRequest {
                every_version,
                ..Default::default()
            };
            let mut values = list(&setting, person, request).await;
            values.sort();
            assert_eq!(values, sees);
        }
    }
}
