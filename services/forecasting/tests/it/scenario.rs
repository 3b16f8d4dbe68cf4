use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb, RiskStatus},
    indicators::v1::{Indicator, YearRule},
    period::Period,
};
use sqlx::PgPool;
use tonic::Code;

use crate::{
    Setting, about_hundred, because, by, figure, indicator, invalid, refused, target, this_month,
};

#[sqlx::test]
async fn a_supposed_figure_of_the_year_is_held_against_its_plan(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut yearly = indicator("YEARLY", "T04", setting.finance);
    yearly.frequency = Frequency::Year.into();
    let year = Period::new(Frequency::Year, this_month().year(), 1).unwrap();
    let figures = (1..=6)
        .rev()
        .map(|back| figure(&yearly, setting.city, year.plus(-back), "90"));
    let figures: Vec<_> = figures.collect();
    let plan = target(&yearly, setting.city, "100");
    setting.feed(&yearly, &[plan], &figures).await;
    let line = setting.assessed(&yearly, setting.city).await;
    assert_eq!(line.status(), RiskStatus::Grey);
    for (value, expected) in [("99", RiskStatus::Red), ("101", RiskStatus::Green)] {
        let request = pb::TryScenarioRequest {
            indicator_id: yearly.id.clone(),
            unit_id: setting.city.to_string(),
            periods: vec![year.to_string()],
            values: vec![value.to_owned()],
            ..Default::default()
        };
        let request = by(&setting.leader, request);
        let tried = setting.client().try_scenario(request).await.unwrap();
        let found = tried.into_inner().assessments[0].clone();
        assert_eq!((found.status(), &*found.outturn), (expected, value));
    }
}

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

#[sqlx::test]
async fn the_better_a_supposed_figure_the_better_the_outlook(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut total = indicator("TOTAL", "T04", setting.finance);
    total.set_year_rule(YearRule::Last);
    (total.minimum, total.maximum) = ("0".to_owned(), "5000".to_owned());
    // Amounts added up from January on, for five years; about a hundred a month.
    let mut sum = 0;
    let figures = (1..=60).rev().map(|back| {
        let period = this_month().plus(-back);
        let added = 80 + (back * 7) % 40;
        sum = if period.number() == 1 {
            added
        } else {
            sum + added
        };
        figure(&total, setting.city, period, &sum.to_string())
    });
    let figures: Vec<_> = figures.collect();
    let plan = target(&total, setting.city, "1200");
    setting.feed(&total, &[plan], &figures).await;
    let line = setting
        .assessed(&total, setting.city)
        .await
        .assessment
        .unwrap();
    // A December ahead is a point of the fan and the figure of the year: one number.
    let outlook = setting.outlook(&setting.leader, &total, setting.city).await;
    let december = format!("{}-12", this_month().year());
    let points = outlook.forecast.unwrap().points;
    let is_december = |point: &&pb::ForecastPoint| point.period.as_ref().unwrap().code == december;
    assert_eq!(points.iter().find(is_december).unwrap().mean, line.outturn);

    // A stock, too: what is supposed of a month reaches December only as far as they go together.
    let mut stock = indicator("STOCK", "T04", setting.finance);
    stock.set_year_rule(YearRule::Last);
    let mut level = 1000;
    let figures = (1..=60).rev().map(|back| {
        level += (back * 37) % 23 - 11;
        let period = this_month().plus(-back);
        figure(&stock, setting.city, period, &level.to_string())
    });
    let figures: Vec<_> = figures.collect();
    let plan = target(&stock, setting.city, "1010");
    setting.feed(&stock, &[plan], &figures).await;
    setting.assessed(&stock, setting.city).await;

    let before = if this_month().number() == 1 { 0 } else { sum };
    let suppose = |one: &Indicator, value: i32| pb::TryScenarioRequest {
        indicator_id: one.id.clone(),
        unit_id: setting.city.to_string(),
        periods: vec![this_month().to_string()],
        values: vec![value.to_string()],
        ..Default::default()
    };
    let totals = [0, 20, 60, 90, 110, 150, 300, 900].map(|added| before + added);
    let levels = [-60, -30, -10, 0, 10, 20, 40, 80].map(|more| level + more);
    for (one, values) in [(&total, totals), (&stock, levels)] {
        let mut last = (0.0, 0.0);
        for value in values {
            let request = by(&setting.leader, suppose(one, value));
            let tried = setting.client().try_scenario(request).await.unwrap();
            let line = &tried.into_inner().assessments[0];
            let found = (
                line.probability.unwrap(),
                line.outturn.parse::<f64>().unwrap(),
            );
            assert!(
                found.0 >= last.0 && found.1 >= last.1,
                "{} {value}: {found:?} after {last:?}",
                one.code
            );
            assert!(
                one.code == "STOCK" || found.1 >= f64::from(value),
                "{found:?}"
            );
            last = found;
        }
        assert!(last.0 > 0.5, "{} {last:?}", one.code);
    }
    for beyond in [-1, 5001] {
        let answer = setting
            .client()
            .try_scenario(by(&setting.leader, suppose(&total, beyond)))
            .await;
        assert_eq!(refused(answer), invalid("values"));
    }
}
