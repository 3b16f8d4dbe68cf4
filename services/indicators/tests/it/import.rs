use std::time::{Duration, Instant};

use prost_types::Timestamp;
use proto::{calendar::v1::Frequency, indicators::v1 as pb, period::Period};
use sqlx::PgPool;
use tonic::{Code, Response, Status};

use crate::{Setting, because, by, figure, invalid, new_id, period, refused};

async fn import(
    setting: &Setting,
    observations: Vec<pb::Observation>,
) -> Result<Response<pb::ImportObservationsResponse>, Status> {
    let request = pb::ImportObservationsRequest {
        request_id: new_id(),
        observations,
    };
    setting
        .observations()
        .import_observations(by(&setting.statistician, request))
        .await
}

async fn added(setting: &Setting, observations: Vec<pb::Observation>) -> i32 {
    import(setting, observations)
        .await
        .unwrap()
        .into_inner()
        .added
}

#[sqlx::test]
async fn what_is_recorded_already_adds_nothing(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    let dated = pb::Observation {
        known_time: Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        ..figure(&id, setting.city, "2023-09", "5")
    };
    let undated = figure(&id, setting.city, "2023-10", "6");
    assert_eq!(
        added(
            &setting,
            vec![dated.clone(), undated.clone(), dated.clone()]
        )
        .await,
        2
    );
    assert_eq!(
        added(&setting, vec![dated.clone(), undated.clone()]).await,
        0
    );
    let corrected = pb::Observation {
        value: "5.5".to_owned(),
        ..dated
    };
    assert_eq!(added(&setting, vec![corrected]).await, 1);
    let recorded = setting.facts().await;
    let recorded = recorded
        .iter()
        .filter(|fact| fact.ends_with("ObservationRecorded"));
    assert_eq!(recorded.count(), 3);
}

#[sqlx::test]
async fn a_repeated_request_gets_the_first_answer(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    let request = pb::ImportObservationsRequest {
        request_id: new_id(),
        observations: vec![figure(&id, setting.city, "2023-10", "6")],
    };
    for _ in 0..2 {
        let request = by(&setting.statistician, request.clone());
        let answer = setting
            .observations()
            .import_observations(request)
            .await
            .unwrap();
        assert_eq!(answer.into_inner().added, 1);
    }
    let mut other = request;
    other.observations[0].value = "7".to_owned();
    let answer = setting
        .observations()
        .import_observations(by(&setting.statistician, other))
        .await;
    assert_eq!(
        refused(answer),
        because(Code::AlreadyExists, "REQUEST_ID_REUSED")
    );
}

#[sqlx::test]
async fn the_entry_that_is_wrong_is_named_and_nothing_is_recorded(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    type Change = fn(&mut pb::Observation);
    let wrong: [(&str, Change); 9] = [
        ("value", |one| one.value = "8,03".to_owned()),
        ("period", |one| one.period = period("2026-13")),
        ("vintage", |one| one.vintage = 0),
        ("value", |one| one.value = "400001".to_owned()),
        ("value", |one| one.value = "-1".to_owned()),
        ("period", |one| one.period = period("2099-01")),
        ("unit_id", |one| one.unit_id = new_id()),
        ("indicator_id", |one| one.indicator_id = new_id()),
        ("known_time", |one| {
            one.known_time = Some(Timestamp {
                seconds: 32_503_680_000,
                nanos: 0,
            });
        }),
    ];
    for (field, change) in wrong {
        let mut second = figure(&id, setting.city, "2023-11", "7");
        change(&mut second);
        let answer = import(
            &setting,
            vec![figure(&id, setting.city, "2023-10", "6"), second],
        )
        .await;
        assert_eq!(
            refused(answer),
            invalid(&format!("observations[1].{field}"))
        );
    }
    // What is plausible is said of the city, and of the indicator's own periods.
    let country = figure(&id, setting.country, "2023-10", "500000");
    let year = figure(&id, setting.city, "2023", "500000");
    assert_eq!(added(&setting, vec![country, year]).await, 2);
    assert_eq!(
        refused(import(&setting, Vec::new()).await),
        invalid("observations")
    );
    assert_eq!(
        added(&setting, vec![figure(&id, setting.city, "2023-10", "6")]).await,
        1
    );
    let request = pb::ImportObservationsRequest {
        request_id: new_id(),
        observations: vec![figure(&id, setting.ward, "2023-10", "6")],
    };
    let answer = setting
        .observations()
        .import_observations(by(&setting.ward_officer, request))
        .await;
    assert_eq!(refused(answer).0, Code::PermissionDenied);
}

#[sqlx::test]
async fn five_thousand_figures_are_recorded_at_once(db: PgPool) {
    let setting = Setting::new(db).await;
    let indicators =
        (0..50).map(|n| setting.indicator(&format!("A.{n:02}"), "T04", setting.finance));
    let ids = setting.define(indicators.collect()).await;
    let first = Period::new(Frequency::Month, 2018, 1).unwrap();
    let figures = |ids: &[String]| -> Vec<pb::Observation> {
        let of = |id: &String| {
            let id = id.clone();
            (0..100).map(move |month| {
                figure(
                    &id,
                    setting.city,
                    &first.plus(month).to_string(),
                    &month.to_string(),
                )
            })
        };
        ids.iter().flat_map(of).collect()
    };
    let start = Instant::now();
    assert_eq!(added(&setting, figures(&ids)).await, 5000);
    let duration = start.elapsed();
    eprintln!("import of 5,000 figures: {duration:?}");
    // Generous: debug build, other work on the machine.
    assert!(duration < Duration::from_secs(5), "{duration:?}");
    let mut too_many = figures(&ids);
    too_many.push(figure(&ids[0], setting.city, "2026-09", "1"));
    assert_eq!(
        refused(import(&setting, too_many).await),
        invalid("observations")
    );
}
