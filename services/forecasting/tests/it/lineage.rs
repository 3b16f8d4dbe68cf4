use chassis::calendar::city_date;
use chrono::Utc;
use proto::{
    forecasting::v1::NoForecastReason,
    identity::v1::{Predecessor, UnitKind, export_directory_response::Entry},
    indicators::v1::{Aggregation, Indicator, Observation, Vintage},
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Setting, figure, indicator, target, this_month, until};

/// Figures of the months from so many ago to so many ago.
fn figures(of: &Indicator, unit: Uuid, level: i32, from: i32, to: i32) -> Vec<Observation> {
    (to..=from)
        .rev()
        .map(|back| {
            let value = level + back * 7 % 11;
            figure(of, unit, this_month().plus(-back), &value.to_string())
        })
        .collect()
}

async fn history(setting: &Setting, of: &Indicator) -> Vec<Observation> {
    let outlook = setting.outlook(&setting.leader, of, setting.commune).await;
    outlook.forecast.unwrap().history
}

#[sqlx::test]
async fn a_merged_unit_goes_back_as_the_shares_of_its_predecessors(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let own = figures(&flow, setting.commune, 150, 6, 1);
    let plan = target(&flow, setting.commune, "1800");
    setting.feed(&flow, &[plan], &own).await;
    setting.assessed(&flow, setting.commune).await;
    setting.is_settled().await;
    assert_eq!(history(&setting, &flow).await.len(), 6);

    // Of the second district one month is missing.
    let [first, second] = setting.former;
    let mut old = figures(&flow, first, 100, 36, 7);
    old.extend(figures(&flow, second, 100, 36, 7).into_iter().skip(1));
    setting.feed(&flow, &[], &old).await;
    let whole = until(async || {
        let found = history(&setting, &flow).await;
        (found.len() == 35).then_some(found)
    })
    .await;
    let code = |figure: &Observation| figure.period.as_ref().unwrap().code.clone();
    assert_eq!(code(&whole[0]), this_month().plus(-35).to_string());
    let expected = f64::from(100 + 35 * 7 % 11) * 1.5;
    assert!((whole[0].value.parse::<f64>().unwrap() - expected).abs() <= 0.5);
    assert!(whole[..29].iter().all(|figure| figure.id.is_empty()));
    assert!(whole[29..].iter().all(|figure| !figure.id.is_empty()));
    assert!(whole.iter().map(code).is_sorted());
    setting.is_settled().await;
    let outlook = setting
        .outlook(&setting.leader, &flow, setting.commune)
        .await;
    let forecast = outlook.forecast.unwrap();
    assert_eq!(forecast.method, "combined");
    assert_eq!(forecast.observation_count, 35);

    // What is corrected there is corrected here.
    let mut correction = figure(&flow, first, this_month().plus(-7), "500");
    correction.set_vintage(Vintage::Official);
    setting.feed(&flow, &[], &[correction]).await;
    until(async || {
        let found = history(&setting, &flow).await;
        (found[28].value.parse::<f64>().unwrap() > 500.0).then_some(())
    })
    .await;
}

#[sqlx::test]
async fn a_unit_leaves_the_board_when_it_ends_and_goes_on_under_another_name(db: PgPool) {
    let setting = Setting::new(db).await;
    let rate = indicator("RATE", "T04", setting.finance);
    let figures = figures(&rate, setting.ward, 100, 36, 1);
    setting
        .feed(&rate, &[target(&rate, setting.ward, "1")], &figures)
        .await;
    setting.assessed(&rate, setting.ward).await;
    setting.is_settled().await;
    assert_eq!(setting.counted(&setting.leader).await, 1);

    let before = setting.facts().await;

    // It ends yesterday, and another one has all of it since then.
    let today = city_date(Utc::now());
    let new = Uuid::now_v7();
    let mut old = setting.unit(setting.ward, "26740", UnitKind::Ward);
    old.valid_to = today.pred_opt().unwrap().to_string();
    let mut renamed = setting.unit(new, "26741", UnitKind::Ward);
    renamed.valid_from = today.to_string();
    renamed.predecessors = vec![Predecessor {
        unit_id: setting.ward.to_string(),
        weight: "1".to_owned(),
    }];
    setting.directory.apply([old, renamed].map(Entry::Unit));
    let line = setting.assessed(&rate, new).await;
    assert_eq!(line.recent_values.last(), Some(&figures[35].value));
    let plan = line.assessment.unwrap().target.unwrap();
    assert_eq!((plan.value.as_str(), plan.unit_id), ("1", new.to_string()));
    setting.is_settled().await;
    assert_eq!(setting.counted(&setting.leader).await, 1);
    assert_eq!(setting.facts().await, before + 2, "one left, one came");

    // Of the old one there is its history, and why nothing comes.
    let outlook = setting.outlook(&setting.leader, &rate, setting.ward).await;
    let forecast = outlook.forecast.unwrap();
    assert_eq!((forecast.history.len(), forecast.points.len()), (36, 0));
    assert_eq!(forecast.no_forecast_reason(), NoForecastReason::UnitEnded);
    let text = outlook.explanation.unwrap().text_en;
    assert!(
        text.starts_with("The unit no longer exists. The latest figure is"),
        "{text}"
    );

    // It was a mistake.
    let old = setting.unit(setting.ward, "26740", UnitKind::Ward);
    setting.directory.apply([Entry::Unit(old)]);
    let line = setting.assessed(&rate, setting.ward).await;
    assert!(line.assessment.unwrap().probability.is_some());
}

#[sqlx::test]
async fn what_does_not_add_up_is_not_inherited(db: PgPool) {
    let setting = Setting::new(db).await;
    let rate = indicator("RATE", "T04", setting.finance);
    let mut all = figures(&rate, setting.commune, 150, 6, 1);
    for unit in setting.former {
        all.extend(figures(&rate, unit, 100, 36, 7));
    }
    setting.feed(&rate, &[], &all).await;
    setting.assessed(&rate, setting.commune).await;
    setting.is_settled().await;
    assert_eq!(history(&setting, &rate).await.len(), 6);
}
