use std::f64::consts::TAU;

use proto::{
    forecasting::v1::{self as pb},
    indicators::v1::{Aggregation, Indicator, Observation, SeriesBreak},
};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::{
    Setting, because, by, figure, indicator, invalid, new_id, refused, target, this_month, until,
};

/// Whole numbers of the last months, the oldest first, that differ from unit to unit.
fn values(seed: i32, level: i32, months: i32) -> Vec<i32> {
    (0..months)
        .map(|at| level + (at * (7 + seed) * 13 % 23) * level / 60 + at)
        .collect()
}

fn figures(indicator: &Indicator, unit: Uuid, values: &[i32]) -> Vec<Observation> {
    let months = i32::try_from(values.len()).unwrap();
    (0..)
        .zip(values)
        .map(|(at, value)| {
            let period = this_month().plus(at - months);
            figure(indicator, unit, period, &value.to_string())
        })
        .collect()
}

/// An indicator of which the figures of three units are those of the city.
async fn added(setting: &Setting) -> Indicator {
    let mut sum = indicator("SUM", "T04", setting.finance);
    sum.set_aggregation(Aggregation::Sum);
    let parts = [
        (setting.finance, values(1, 100, 36)),
        (setting.health, values(2, 300, 36)),
        (setting.ward, values(3, 50, 36)),
    ];
    let whole: Vec<i32> = (0..36)
        .map(|at| parts.iter().map(|(_, values)| values[at]).sum())
        .collect();
    let mut all = figures(&sum, setting.city, &whole);
    let mut targets = vec![target(&sum, setting.city, "6200")];
    for (unit, values) in &parts {
        all.extend(figures(&sum, *unit, values));
        targets.push(target(&sum, *unit, "1000"));
    }
    setting.feed(&sum, &targets, &all).await;
    setting.is_settled().await;
    sum
}

async fn outturn(setting: &Setting, indicator: &Indicator, unit: Uuid) -> f64 {
    let item = setting.assessed(indicator, unit).await;
    item.assessment.unwrap().outturn.parse().unwrap()
}

/// How far the city's outturn is from the sum of its units'.
async fn difference(setting: &Setting, indicator: &Indicator) -> f64 {
    let mut left = outturn(setting, indicator, setting.city).await;
    for unit in [setting.finance, setting.health, setting.ward] {
        left -= outturn(setting, indicator, unit).await;
    }
    left.abs()
}

#[sqlx::test]
async fn units_add_up_to_the_city_on_the_board(db: PgPool) {
    let setting = Setting::new(db).await;
    let sum = added(&setting).await;
    let excess: Vec<f64> = sqlx::query_scalar("SELECT excess FROM excess")
        .fetch_one(&setting.db)
        .await
        .unwrap();
    // Each for itself would say otherwise.
    assert!(excess.iter().any(|excess| excess.abs() > 5.0), "{excess:?}");
    // Four figures, rounded.
    assert!(difference(&setting, &sum).await <= 2.0);

    // A figure of one unit alone moves all of them.
    let before = outturn(&setting, &sum, setting.city).await;
    let surprise = figure(&sum, setting.ward, this_month(), "400");
    setting.feed(&sum, &[], &[surprise]).await;
    until(async || {
        setting.is_settled().await;
        let now = outturn(&setting, &sum, setting.city).await;
        ((now - before).abs() > 5.0).then_some(())
    })
    .await;
    assert!(difference(&setting, &sum).await <= 2.0);
}

#[sqlx::test]
async fn what_does_not_add_up_is_left_alone(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut sum = indicator("SUM", "T04", setting.finance);
    sum.set_aggregation(Aggregation::Sum);
    let mut all = figures(&sum, setting.city, &values(1, 1000, 36));
    all.extend(figures(&sum, setting.health, &values(2, 300, 36)));
    all.extend(figures(&sum, setting.ward, &values(3, 50, 36)));
    setting
        .feed(&sum, &[target(&sum, setting.city, "1")], &all)
        .await;
    setting.assessed(&sum, setting.ward).await;
    setting.is_settled().await;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM excess")
        .fetch_one(&setting.db)
        .await
        .unwrap();
    assert_eq!(count, 0);
    let outlook = setting.outlook(&setting.leader, &sum, setting.city).await;
    assert!(outlook.contributions.is_empty());
}

#[sqlx::test]
async fn a_leader_sees_what_each_unit_contributes_and_a_unit_its_own(db: PgPool) {
    let setting = Setting::new(db).await;
    let sum = added(&setting).await;
    let outlook = setting.outlook(&setting.leader, &sum, setting.city).await;
    let units: Vec<&str> = outlook
        .contributions
        .iter()
        .map(|one| one.unit_id.as_str())
        .collect();
    let largest_first =
        [setting.health, setting.finance, setting.ward].map(|unit| unit.to_string());
    assert_eq!(units, largest_first);
    let shares: f64 = outlook
        .contributions
        .iter()
        .filter_map(|one| one.share_percent)
        .sum();
    assert!((shares - 100.0).abs() < 0.1, "{shares}");
    assert!(outlook.explanation.unwrap().text_en.contains("plan"));

    // The department that answers for the city's figure sees that, and of the units only itself.
    let outlook = setting
        .outlook(&setting.finance_head, &sum, setting.city)
        .await;
    assert_eq!(outlook.contributions.len(), 1);
    assert_eq!(
        outlook.contributions[0].unit_id,
        setting.finance.to_string()
    );
    // Beside it is a department that it may not see.
    let own = setting
        .outlook(&setting.finance_head, &sum, setting.finance)
        .await;
    assert!(own.comparables.is_empty());
    let all = setting
        .outlook(&setting.leader, &sum, setting.finance)
        .await;
    assert_eq!(all.comparables.len(), 1);
    assert_eq!(all.comparables[0].unit_id, setting.health.to_string());
    let request = pb::GetOutlookRequest {
        indicator_id: sum.id.clone(),
        unit_id: setting.city.to_string(),
    };
    let hidden = setting
        .client()
        .get_outlook(by(&setting.ward_head, request))
        .await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
}

#[sqlx::test]
async fn a_units_outturn_can_be_moved(db: PgPool) {
    let setting = Setting::new(db).await;
    let sum = added(&setting).await;
    let suppose = |unit: Uuid, percent: f64| pb::TryScenarioRequest {
        indicator_id: sum.id.clone(),
        unit_id: setting.city.to_string(),
        moved_unit_ids: vec![unit.to_string()],
        moved_percents: vec![percent],
        ..Default::default()
    };
    let outturn_if = async |percent| {
        let answer = setting
            .client()
            .try_scenario(by(&setting.leader, suppose(setting.health, percent)))
            .await;
        let assessment = answer.unwrap().into_inner().assessments.remove(0);
        assessment.outturn.parse::<f64>().unwrap()
    };
    let (as_is, more) = (outturn_if(0.0).await, outturn_if(50.0).await);
    assert_eq!(as_is, outturn(&setting, &sum, setting.city).await);
    let own = setting.outlook(&setting.leader, &sum, setting.health).await;
    let left = 12 - this_month().number() + 1;
    let ahead: f64 = own
        .forecast
        .unwrap()
        .points
        .iter()
        .take(usize::try_from(left).unwrap())
        .map(|point| point.mean.parse::<f64>().unwrap())
        .sum();
    assert!(
        (more - as_is - ahead / 2.0).abs() <= 2.0,
        "{more} {as_is} {ahead}"
    );

    let mut twice = suppose(setting.health, 1.0);
    twice.moved_unit_ids.push(setting.health.to_string());
    twice.moved_percents.push(2.0);
    for (request, field) in [
        (twice, "moved_unit_ids"),
        (suppose(setting.city, 1.0), "moved_unit_ids"),
        (suppose(setting.health, -101.0), "moved_percents"),
        (suppose(setting.health, f64::NAN), "moved_percents"),
    ] {
        let answer = setting
            .client()
            .try_scenario(by(&setting.leader, request))
            .await;
        assert_eq!(refused(answer), invalid(field));
    }
    // Who may not see the unit cannot learn its figures by moving it.
    let peek = setting
        .client()
        .try_scenario(by(&setting.finance_head, suppose(setting.health, 1.0)))
        .await;
    assert_eq!(refused(peek), invalid("moved_unit_ids"));
}

/// What is forecast of a ward with nine months of figures, given that another unit has sixty, with seasons.
async fn beginner(setting: &Setting, lender: Uuid) -> pb::Forecast {
    let seasonal = indicator(&new_id(), "T04", setting.finance);
    let value = |level: f64, back: i32| {
        let period = this_month().plus(-back);
        let season = 1.0 + 0.5 * (TAU * f64::from(period.number()) / 12.0).sin();
        let wobble = 1.0 + 0.02 * f64::from(back * 7 % 5);
        (period, format!("{:.1}", level * season * wobble))
    };
    let series = |unit, level, months| {
        (1..=months)
            .rev()
            .map(|back| {
                let (period, value) = value(level, back);
                figure(&seasonal, unit, period, &value)
            })
            .collect::<Vec<_>>()
    };
    let long = series(lender, 5000.0, 60);
    setting.feed(&seasonal, &[], &long).await;
    setting.assessed(&seasonal, lender).await;
    let short = series(setting.ward, 100.0, 9);
    setting.feed(&seasonal, &[], &short).await;
    setting.assessed(&seasonal, setting.ward).await;
    let outlook = setting.outlook(&setting.leader, &seasonal, setting.ward);
    outlook.await.forecast.unwrap()
}

#[sqlx::test]
async fn a_new_unit_borrows_the_seasons_of_its_city_or_of_a_unit_beside_it(db: PgPool) {
    let setting = Setting::new(db).await;
    for lender in [setting.city, setting.health] {
        let forecast = beginner(&setting, lender).await;
        assert_eq!(forecast.method, "combined");
        // March is the lender's best month, September its worst.
        let month = |number: i32| {
            let point = forecast.points.iter().find(|point| {
                let code = &point.period.as_ref().unwrap().code;
                code.ends_with(&format!("-{number:02}"))
            });
            point.unwrap().mean.parse::<f64>().unwrap()
        };
        assert!(month(3) > 2.0 * month(9), "{} {}", month(3), month(9));
    }
}

#[sqlx::test]
async fn a_marked_break_is_no_surprise(db: PgPool) {
    let setting = Setting::new(db).await;
    let range = async |breaks: Vec<SeriesBreak>| {
        let mut broken = indicator(&new_id(), "T04", setting.finance);
        broken.breaks = breaks;
        let values: Vec<i32> = values(1, 100, 48)
            .into_iter()
            .enumerate()
            .map(|(at, value)| if at < 30 { value } else { value * 10 })
            .collect();
        let all = figures(&broken, setting.city, &values);
        setting.feed(&broken, &[], &all).await;
        setting.assessed(&broken, setting.city).await;
        let outlook = setting
            .outlook(&setting.leader, &broken, setting.city)
            .await;
        let point = outlook.forecast.unwrap().points.remove(0);
        let read = |text: String| text.parse::<f64>().unwrap();
        read(point.high95) - read(point.low95)
    };
    let mark = |unit_id: String| SeriesBreak {
        period: Some(this_month().plus(-18).into()),
        unit_id,
        reason_vi: "Gốc so sánh mới".to_owned(),
        reason_en: "New base year".to_owned(),
    };
    let (unmarked, marked) = (
        range(Vec::new()).await,
        range(vec![mark(String::new())]).await,
    );
    assert!(marked < 0.7 * unmarked, "{marked} {unmarked}");
    let other = range(vec![mark(setting.ward.to_string())]).await;
    assert!(
        other > 0.9 * unmarked,
        "of another unit: {other} {unmarked}"
    );
}
