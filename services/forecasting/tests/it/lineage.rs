use chassis::calendar::city_date;
use chrono::Utc;
use proto::{
    forecasting::v1::{Forecast, NoForecastReason},
    identity::v1::{Predecessor, UnitKind, export_directory_response::Entry},
    indicators::v1::{Aggregation, Indicator, Observation, Vintage, YearRule},
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
    setting.feed(&flow, &[], &own).await;
    setting.assessed(&flow, setting.commune).await;
    setting.is_settled().await;
    assert_eq!(history(&setting, &flow).await.len(), 6);

    // Of the second district one month is missing.
    let [first, second] = setting.former;
    let mut old = figures(&flow, first, 100, 36, 7);
    old.extend(figures(&flow, second, 100, 36, 7).into_iter().skip(1));
    let plans = [(first, "1200"), (second, "1202")];
    let plans = plans.map(|(unit, value)| target(&flow, unit, value));
    setting.feed(&flow, &plans, &old).await;
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
    // So are plans, until it has its own.
    let planned = |forecast: &Forecast| {
        let target = forecast.assessments[0].target.clone().unwrap();
        (target.value, target.unit_id)
    };
    let unit = setting.commune.to_string();
    assert_eq!(planned(&forecast), ("1801".to_owned(), unit.clone()));
    setting
        .feed(&flow, &[target(&flow, setting.commune, "1700")], &[])
        .await;
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &flow, setting.commune);
    let forecast = outlook.await.forecast.unwrap();
    assert_eq!(planned(&forecast), ("1700".to_owned(), unit));
    assert_eq!(forecast.assessments.len(), 1);

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
async fn shares_of_shares_are_a_whole_again(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let day = |back: i32| this_month().plus(-back).first_day();
    let mut units = Vec::new();
    let mut unit = |code: &str, (from, to): (i32, i32), origins: &[(Uuid, &str)]| {
        let id = Uuid::now_v7();
        let mut unit = setting.unit(id, code, UnitKind::Ward);
        unit.valid_from = day(from).to_string();
        if to > 0 {
            unit.valid_to = day(to).pred_opt().unwrap().to_string();
        }
        let origin = |(id, weight): &(Uuid, &str)| Predecessor {
            unit_id: id.to_string(),
            weight: (*weight).to_owned(),
        };
        unit.predecessors = origins.iter().map(origin).collect();
        units.push(Entry::Unit(unit));
        id
    };
    let first = unit("F", (600, 20), &[]);
    let thirds = ["0.333333", "0.333333", "0.333334"];
    let parts = thirds.map(|share| (unit(share, (20, 6), &[(first, share)]), "1"));
    let last = unit("L", (6, 0), &parts);
    setting.directory.apply(units);
    let old = figures(&flow, first, 7, 36, 21);
    let mut all = old.clone();
    for (part, _) in parts {
        all.extend(figures(&flow, part, 2, 20, 7));
    }
    let plan = target(&flow, first, "100");
    setting.feed(&flow, &[plan], &all).await;
    setting.assessed(&flow, last).await;
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &flow, last).await;
    let forecast = outlook.forecast.unwrap();
    let values = forecast.history.iter().map(|figure| &figure.value);
    let expected: Vec<&String> = old.iter().map(|figure| &figure.value).collect();
    assert_eq!(values.take(16).collect::<Vec<_>>(), expected);
    let plan = forecast.assessments[0].target.as_ref().unwrap();
    assert_eq!(plan.value, "100");
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
async fn nothing_is_forecast_beyond_a_units_last_day(db: PgPool) {
    let setting = Setting::new(db).await;
    let rate = indicator("RATE", "T04", setting.finance);
    let figures = figures(&rate, setting.ward, 100, 36, 1);
    setting.feed(&rate, &[], &figures).await;
    setting.assessed(&rate, setting.ward).await;
    setting.is_settled().await;
    let months = async || {
        let outlook = setting.outlook(&setting.leader, &rate, setting.ward).await;
        let points = outlook.forecast.unwrap().points.into_iter();
        points
            .map(|point| point.period.unwrap().code)
            .collect::<Vec<_>>()
    };
    assert!(months().await.len() >= 12);
    let last = this_month().plus(2);
    let mut ending = setting.unit(setting.ward, "26740", UnitKind::Ward);
    let known = setting.directory.unit(setting.ward).unwrap();
    ending.valid_from = known.valid_from.to_string();
    ending.valid_to = last.last_day().to_string();
    setting.directory.apply([Entry::Unit(ending)]);
    let left = until(async || Some(months().await).filter(|months| months.len() < 12)).await;
    assert_eq!((left.len(), &left[2]), (3, &last.to_string()));
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

#[sqlx::test]
async fn what_a_unit_takes_in_is_added_until_then(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let joined = Uuid::now_v7();
    let unit = setting.unit(joined, "26743", UnitKind::Ward);
    setting.directory.apply([Entry::Unit(unit)]);
    let mut all = figures(&flow, setting.ward, 100, 36, 1);
    // Of the other one a month is missing, and one came after its end.
    let others = figures(&flow, joined, 50, 36, 3);
    all.extend(others.into_iter().filter(|figure| {
        let code = &figure.period.as_ref().unwrap().code;
        *code != this_month().plus(-10).to_string()
    }));
    let plans = [(setting.ward, "1200"), (joined, "600")];
    let plans = plans.map(|(unit, value)| target(&flow, unit, value));
    setting.feed(&flow, &plans, &all).await;
    setting.assessed(&flow, setting.ward).await;
    setting.is_settled().await;
    assert_eq!(setting.counted(&setting.leader).await, 2);

    let mut ended = setting.unit(joined, "26743", UnitKind::Ward);
    ended.valid_to = this_month().plus(-4).last_day().to_string();
    let mut larger = setting.unit(setting.ward, "26740", UnitKind::Ward);
    larger.predecessors = vec![Predecessor {
        unit_id: joined.to_string(),
        weight: "0.5".to_owned(),
    }];
    // That it ends may be known before who has it then.
    setting.directory.apply([Entry::Unit(ended)]);
    until(async || (setting.counted(&setting.leader).await == 1).then_some(())).await;
    setting.is_settled().await;
    setting.directory.apply([Entry::Unit(larger)]);
    let forecast = until(async || {
        let outlook = setting.outlook(&setting.leader, &flow, setting.ward);
        let forecast = outlook.await.forecast.unwrap();
        (forecast.history[0].id.is_empty()).then_some(forecast)
    })
    .await;
    let values: Vec<f64> = forecast
        .history
        .iter()
        .map(|figure| figure.value.parse().unwrap())
        .collect();
    let own = |back: i32| f64::from(100 + back * 7 % 11);
    let with = |back: i32| (own(back) + f64::from(50 + back * 7 % 11) / 2.0).round_ties_even();
    // The month that is missing is as large beside the own one as the others.
    let known = (4..=36).filter(|back| *back != 10);
    let taken: f64 = known.clone().map(|back| with(back) - own(back)).sum();
    let size = taken / known.map(own).sum::<f64>();
    let mut expected: Vec<f64> = (4..=36).rev().map(with).collect();
    expected[26] = (own(10) * (1.0 + size)).round();
    expected.extend((1..=3).rev().map(own));
    assert_eq!(values, expected);
    assert_eq!(forecast.history[26].vintage(), Vintage::Estimate);
    assert_ne!(forecast.history[25].vintage(), Vintage::Estimate);
    assert_ne!(forecast.history[35].id, "");
    let plan = forecast.assessments[0].target.clone().unwrap();
    assert_eq!(
        (plan.value.as_str(), plan.unit_id),
        ("1500", setting.ward.to_string())
    );

    // A plan that was made since is of the larger unit.
    let mut anew = plans[0].clone();
    anew.value = "1400".to_owned();
    anew.version = 2;
    anew.create_time = Some(chassis::parse::timestamp(Utc::now()));
    setting.feed(&flow, &[anew], &[]).await;
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &flow, setting.ward).await;
    let forecast = outlook.forecast.unwrap();
    let planned = forecast
        .assessments
        .iter()
        .map(|one| &*one.target.as_ref().unwrap().value);
    assert_eq!(planned.collect::<Vec<_>>(), ["1400"]);
}

#[sqlx::test]
async fn a_period_within_which_a_unit_began_is_what_both_reported(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let new = Uuid::now_v7();
    let began = this_month().plus(-3).first_day() + chrono::TimeDelta::days(14);
    let mut old = setting.unit(setting.ward, "26740", UnitKind::Ward);
    old.valid_to = began.pred_opt().unwrap().to_string();
    let mut unit = setting.unit(new, "26741", UnitKind::Ward);
    unit.valid_from = began.to_string();
    unit.predecessors = vec![Predecessor {
        unit_id: setting.ward.to_string(),
        weight: "1".to_owned(),
    }];
    setting.directory.apply([old, unit].map(Entry::Unit));

    // Alone the part of a month that the old one reported says nothing.
    let mut all = figures(&flow, setting.ward, 100, 36, 3);
    all.extend(figures(&flow, new, 100, 2, 1));
    setting.feed(&flow, &[], &all).await;
    setting.assessed(&flow, new).await;
    setting.is_settled().await;
    let months = async || {
        let outlook = setting.outlook(&setting.leader, &flow, new).await;
        let history = outlook.forecast.unwrap().history.into_iter();
        let month = |figure: Observation| (figure.period.unwrap().code, figure.value);
        history.map(month).collect::<Vec<_>>()
    };
    let known = months().await;
    assert_eq!(known.len(), 35);
    let month = |back: i32| this_month().plus(-back).to_string();
    assert!(known.iter().all(|(code, _)| *code != month(3)));

    // A figure that was worked out for earlier, instead of the old one's, hides no other.
    let own = [(20, "1999"), (3, "60")];
    let own = own.map(|(back, value)| figure(&flow, new, this_month().plus(-back), value));
    setting.feed(&flow, &[], &own).await;
    setting.is_settled().await;
    let known = months().await;
    assert_eq!(known.len(), 36);
    assert_eq!(known[16], (month(20), "1999".to_owned()));
    let part = 100 + 3 * 7 % 11;
    assert_eq!(known[33], (month(3), (part + 60).to_string()));
    assert_eq!(known[32].1, all[32].value);

    // Of a stock each reports the whole.
    let mut stock = indicator("STOCK", "T04", setting.finance);
    stock.set_aggregation(Aggregation::Sum);
    stock.set_year_rule(YearRule::Last);
    let mut all = figures(&stock, setting.ward, 100, 36, 3);
    all.extend(figures(&stock, new, 100, 3, 1));
    setting.feed(&stock, &[], &all).await;
    setting.assessed(&stock, new).await;
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &stock, new).await;
    let history = outlook.forecast.unwrap().history;
    assert_eq!((history.len(), &history[33].value), (36, &all[33].value));
}

#[sqlx::test]
async fn a_period_within_which_a_unit_began_needs_all_its_parts_unless_the_unit_restates_its_past(
    db: PgPool,
) {
    let setting = Setting::new(db).await;
    let [first, second] = setting.former;
    let new = Uuid::now_v7();
    let began = this_month().plus(-3).first_day() + chrono::TimeDelta::days(14);
    let ended = [(first, "760"), (second, "761")].map(|(id, code)| {
        let mut old = setting.unit(id, code, UnitKind::District);
        old.valid_to = began.pred_opt().unwrap().to_string();
        old
    });
    let mut unit = setting.unit(new, "26741", UnitKind::Ward);
    unit.valid_from = began.to_string();
    unit.predecessors = setting
        .former
        .map(|id| Predecessor {
            unit_id: id.to_string(),
            weight: "1".to_owned(),
        })
        .to_vec();
    let [one, other] = ended;
    setting.directory.apply([one, other, unit].map(Entry::Unit));
    // Of the month in which it began the second told nothing; it told of so many months itself.
    for (months, expected) in [(3, None), (4, Some(100 + 3 * 7 % 11))] {
        let mut flow = indicator("FLOW", "T04", setting.finance);
        flow.set_aggregation(Aggregation::Sum);
        let mut all = figures(&flow, first, 100, 36, 3);
        all.extend(figures(&flow, second, 100, 36, 4));
        all.extend(figures(&flow, new, 100, months, 1));
        setting.feed(&flow, &[], &all).await;
        setting.assessed(&flow, new).await;
        setting.is_settled().await;
        let outlook = setting.outlook(&setting.leader, &flow, new).await;
        let history = outlook.forecast.unwrap().history;
        let code = this_month().plus(-3).to_string();
        let found = history
            .iter()
            .find(|figure| figure.period.as_ref().unwrap().code == code);
        let found = found.map(|figure| figure.value.parse().unwrap());
        assert_eq!(found, expected, "{months}");
        assert_eq!(history.len(), 35 + usize::from(expected.is_some()));
    }
}

#[sqlx::test]
async fn what_cannot_be_compared_with_what_a_unit_takes_in_stays(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let joined = Uuid::now_v7();
    let mut ended = setting.unit(joined, "26743", UnitKind::Ward);
    ended.valid_to = this_month().plus(-4).last_day().to_string();
    let mut larger = setting.unit(setting.ward, "26740", UnitKind::Ward);
    larger.predecessors = vec![Predecessor {
        unit_id: joined.to_string(),
        weight: "1".to_owned(),
    }];
    setting.directory.apply([ended, larger].map(Entry::Unit));
    // Nobody knows both of one month.
    let mut all = figures(&flow, setting.ward, 100, 36, 1);
    let own: Vec<String> = all.iter().map(|figure| figure.value.clone()).collect();
    all.extend(figures(&flow, joined, 50, 39, 37));
    setting.feed(&flow, &[], &all).await;
    setting.assessed(&flow, setting.ward).await;
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &flow, setting.ward).await;
    let history = outlook.forecast.unwrap().history.into_iter();
    assert_eq!(history.map(|figure| figure.value).collect::<Vec<_>>(), own);
}

#[sqlx::test]
async fn a_part_of_a_period_tells_nothing_of_others(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let joined = Uuid::now_v7();
    let mut ended = setting.unit(joined, "26743", UnitKind::Ward);
    let last = this_month().plus(-2).first_day() + chrono::TimeDelta::days(9);
    ended.valid_to = last.to_string();
    let mut larger = setting.unit(setting.ward, "26740", UnitKind::Ward);
    larger.predecessors = vec![Predecessor {
        unit_id: joined.to_string(),
        weight: "1".to_owned(),
    }];
    setting.directory.apply([ended, larger].map(Entry::Unit));
    let mut all = figures(&flow, setting.ward, 100, 36, 1);
    all.extend(figures(&flow, joined, 50, 2, 2));
    setting.feed(&flow, &[], &all).await;
    setting.assessed(&flow, setting.ward).await;
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &flow, setting.ward);
    let history = outlook.await.forecast.unwrap().history;
    let own = |back: i32| 100 + back * 7 % 11;
    let expected = (1..=36).rev().map(|back| match back {
        2 => own(back) + 50 + back * 7 % 11,
        _ => own(back),
    });
    let values = history.iter().map(|figure| figure.value.parse().unwrap());
    assert_eq!(values.collect::<Vec<i32>>(), expected.collect::<Vec<_>>());
}

#[sqlx::test]
async fn units_that_are_said_to_have_come_from_each_other_are_forecast_as_they_are(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut flow = indicator("FLOW", "T04", setting.finance);
    flow.set_aggregation(Aggregation::Sum);
    let [one, other] = [Uuid::now_v7(), Uuid::now_v7()];
    let yesterday = city_date(Utc::now()).pred_opt().unwrap();
    let from = |id: Uuid, all: &[Uuid]| {
        let mut unit = setting.unit(id, &id.to_string(), UnitKind::Ward);
        unit.valid_to = yesterday.to_string();
        let predecessor = |id: &Uuid| Predecessor {
            unit_id: id.to_string(),
            weight: "1".to_owned(),
        };
        unit.predecessors = all.iter().map(predecessor).collect();
        Entry::Unit(unit)
    };
    setting
        .directory
        .apply([from(one, &[one, other]), from(other, &[one])]);
    for unit in [one, other] {
        let own = figures(&flow, unit, 100, 36, 1);
        setting.feed(&flow, &[], &own).await;
    }
    setting.is_settled().await;
    let outlook = setting.outlook(&setting.leader, &flow, one).await;
    assert_eq!(outlook.forecast.unwrap().history.len(), 36);
}
