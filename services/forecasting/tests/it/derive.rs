use proto::{
    forecasting::v1 as pb,
    indicators::v1::{Formula, FormulaTerm, Indicator, Observation, YearRule},
};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::{
    Setting, because, by, figure, indicator, invalid, new_id, refused, target, this_month, until,
};

fn term(of: &Indicator, weight: &str) -> FormulaTerm {
    FormulaTerm {
        indicator_code: of.code.clone(),
        weight: weight.to_owned(),
        indicator_id: of.id.clone(),
    }
}

/// Three years of about this level up to the last full month.
fn flows(of: &Indicator, unit: Uuid, level: i32, seed: i32) -> Vec<Observation> {
    (1..=36)
        .rev()
        .map(|back| {
            let value = level + (36 - back) * (7 + seed) % 13 * level / 100;
            figure(of, unit, this_month().plus(-back), &value.to_string())
        })
        .collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

fn outturn(item: &pb::RiskItem) -> f64 {
    number(&item.assessment.as_ref().unwrap().outturn)
}

/// Revenue of two kinds, and how many per cent of both the first is, which nobody reports.
struct Share {
    own: Indicator,
    other: Indicator,
    share: Indicator,
}

async fn share(setting: &Setting) -> Share {
    let own = indicator("OWN", "T06", setting.finance);
    let other = indicator("OTHER", "T16", setting.health);
    let mut share = indicator("SHARE", "T06", setting.finance);
    share.set_year_rule(YearRule::Ratio);
    share.decimals = 2;
    share.formula = Some(Formula {
        numerator: vec![term(&own, "1")],
        denominator: vec![term(&own, "1"), term(&other, "1")],
        factor: "100".to_owned(),
    });
    for (part, level, seed) in [(&own, 300, 1), (&other, 100, 4)] {
        let figures = flows(part, setting.city, level, seed);
        let plan = target(part, setting.city, &(level * 12).to_string());
        setting.feed(part, &[plan], &figures).await;
    }
    let plan = target(&share, setting.city, "74");
    setting.feed(&share, &[plan], &[]).await;
    setting.is_settled().await;
    Share { own, other, share }
}

#[sqlx::test]
async fn a_ratio_follows_from_what_its_parts_came_to_in_the_year(db: PgPool) {
    let setting = Setting::new(db).await;
    let Share { own, other, share } = share(&setting).await;
    let item = setting.assessed(&share, setting.city).await;
    let [of_own, of_other] = [&own, &other].map(|part| setting.assessed(part, setting.city));
    let (of_own, of_other) = (of_own.await, of_other.await);
    let ratio = |one: f64, other: f64| 100.0 * one / (one + other);

    // In January last year's total stands.
    let (one, rest) = (number(&of_own.year_to_date), number(&of_other.year_to_date));
    let last = item.last_observation.clone().unwrap();
    assert_eq!(last.value, format!("{:.2}", ratio(one, rest)));
    assert_eq!(last.id, "", "nobody reported it");
    assert_eq!(
        last.period.unwrap().code,
        this_month().previous().to_string()
    );
    let expected = ratio(outturn(&of_own), outturn(&of_other));
    assert!(
        (outturn(&item) - expected).abs() < 0.1,
        "{} {expected}",
        outturn(&item)
    );
    let line = item.assessment.unwrap();
    assert!(line.probability.is_some_and(|p| (0.0..=1.0).contains(&p)));
    assert!(number(&line.outturn_low) < expected && expected < number(&line.outturn_high));

    let forecast = setting
        .outlook(&setting.leader, &share, setting.city)
        .await
        .forecast
        .unwrap();
    assert_eq!(forecast.method, "calculated");
    // Of the year in which its parts begin nothing is known.
    let first = &forecast.history[0].period.as_ref().unwrap().code;
    assert!(first.ends_with("-01"), "{first}");
    assert!(forecast.history.len() >= 25, "{}", forecast.history.len());
    for point in &forecast.points {
        let all = [
            &point.low95,
            &point.low80,
            &point.mean,
            &point.high80,
            &point.high95,
        ];
        assert!(all.map(|text| number(text)).is_sorted(), "{point:?}");
    }

    // A figure of a part alone makes it anew.
    let surprise = figure(&other, setting.city, this_month(), "900");
    setting.feed(&other, &[], &[surprise]).await;
    let lower = |item: &pb::RiskItem| outturn(item) < expected - 2.0;
    setting.line(&share, setting.city, lower).await;

    // Its past is forecast, too, from what was known of the parts.
    until(async || {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM prediction WHERE indicator_id = $1 AND is_hindcast",
        )
        .bind(Uuid::parse_str(&share.id).unwrap())
        .fetch_one(&setting.db)
        .await
        .unwrap();
        (count >= 12).then_some(())
    })
    .await;
}

#[sqlx::test]
async fn a_reported_figure_takes_the_place_of_the_calculated_one(db: PgPool) {
    let setting = Setting::new(db).await;
    let Share { share, .. } = share(&setting).await;
    let last = this_month().previous();
    let reported = figure(&share, setting.city, last, "71.5");
    setting.feed(&share, &[], &[reported]).await;
    let has = |item: &pb::RiskItem| item.last_observation.as_ref().unwrap().value == "71.5";
    let item = setting.line(&share, setting.city, has).await;
    assert_ne!(item.last_observation.unwrap().id, "");
}

#[sqlx::test]
async fn a_difference_of_flows_is_a_flow(db: PgPool) {
    let setting = Setting::new(db).await;
    let (exports, imports) = (
        indicator("EXPORTS", "T10", setting.finance),
        indicator("IMPORTS", "T10", setting.finance),
    );
    for (part, level, seed) in [(&exports, 500, 1), (&imports, 450, 2)] {
        let figures = flows(part, setting.city, level, seed);
        setting
            .feed(part, &[target(part, setting.city, "1")], &figures)
            .await;
    }
    let mut balance = indicator("BALANCE", "T10", setting.finance);
    balance.formula = Some(Formula {
        numerator: vec![term(&exports, "1"), term(&imports, "-1")],
        ..Default::default()
    });
    // No figure of it and no plan: its parts are enough.
    setting.feed(&balance, &[], &[]).await;
    let item = setting.assessed(&balance, setting.city).await;
    let [of_exports, of_imports] =
        [&exports, &imports].map(|part| setting.assessed(part, setting.city));
    let (of_exports, of_imports) = (of_exports.await, of_imports.await);
    let so_far = number(&of_exports.year_to_date) - number(&of_imports.year_to_date);
    assert_eq!(number(&item.year_to_date), so_far);
    let difference = outturn(&item) - (outturn(&of_exports) - outturn(&of_imports));
    assert!(difference.abs() <= 2.0, "{difference}");

    // Without its formula nothing is known of it.
    balance.formula = None;
    balance.version = 2;
    setting.feed(&balance, &[], &[]).await;
    until(async || {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM assessment WHERE indicator_id = $1")
                .bind(Uuid::parse_str(&balance.id).unwrap())
                .fetch_one(&setting.db)
                .await
                .unwrap();
        (count == 0).then_some(())
    })
    .await;
}

#[sqlx::test]
async fn what_is_a_part_twice_goes_with_itself(db: PgPool) {
    let setting = Setting::new(db).await;
    let own = indicator("OWN", "T06", setting.finance);
    let figures = flows(&own, setting.city, 300, 1);
    setting.feed(&own, &[], &figures).await;
    let mut whole = indicator("WHOLE", "T06", setting.finance);
    whole.set_year_rule(YearRule::Ratio);
    whole.formula = Some(Formula {
        numerator: vec![term(&own, "1")],
        denominator: vec![term(&own, "2")],
        factor: "100".to_owned(),
    });
    let plan = target(&whole, setting.city, "40");
    setting.feed(&whole, &[plan], &[]).await;
    let line = setting.assessed(&whole, setting.city).await.assessment;
    let line = line.unwrap();
    assert_eq!(
        [&line.outturn, &line.outturn_low, &line.outturn_high],
        ["50"; 3]
    );
}

#[sqlx::test]
async fn what_is_calculated_may_be_a_part(db: PgPool) {
    let setting = Setting::new(db).await;
    let Share { own, other, share } = share(&setting).await;
    let mut index = indicator("INDEX", "T06", setting.finance);
    index.set_year_rule(YearRule::Ratio);
    index.decimals = 2;
    index.formula = Some(Formula {
        numerator: vec![term(&share, "0.5")],
        ..Default::default()
    });
    let plan = target(&index, setting.city, "37");
    setting.feed(&index, &[plan], &[]).await;
    let half = async || {
        setting.is_settled().await;
        let [whole, part] = [&index, &share].map(|one| setting.assessed(one, setting.city));
        let (whole, part) = (outturn(&whole.await), outturn(&part.await));
        assert!((whole - part / 2.0).abs() < 0.02, "{whole} {part}");
        whole
    };
    let before = half().await;
    // News of a part of its part reaches it.
    let surprise = figure(&other, setting.city, this_month(), "900");
    setting.feed(&other, &[], &[surprise]).await;
    setting
        .line(&index, setting.city, |item| outturn(item) < before - 1.0)
        .await;
    half().await;
    let outlook = setting.outlook(&setting.leader, &index, setting.city).await;
    let driver = outlook.drivers[0].item.as_ref().unwrap();
    assert_eq!(driver.indicator.as_ref().unwrap().code, "SHARE");

    // While formulas change places news of one may come before that of the other: nothing goes round.
    let mut circle = own.clone();
    circle.version = own.version + 1;
    circle.formula = Some(Formula {
        numerator: vec![term(&index, "1")],
        ..Default::default()
    });
    setting.feed(&circle, &[], &[]).await;
    setting.is_settled().await;
    let mut plain = index.clone();
    plain.version = index.version + 1;
    plain.formula = None;
    let reported = flows(&index, setting.city, 50, 2);
    setting.feed(&plain, &[], &reported).await;
    setting.is_settled().await;
    let item = setting.assessed(&plain, setting.city).await;
    assert_ne!(item.last_observation.unwrap().id, "", "it is reported now");
}

#[sqlx::test]
async fn a_unit_without_one_of_the_parts_has_no_figure(db: PgPool) {
    let setting = Setting::new(db).await;
    let Share { own, share, .. } = share(&setting).await;
    let figures = flows(&own, setting.ward, 50, 3);
    setting.feed(&own, &[], &figures).await;
    setting.assessed(&own, setting.ward).await;
    setting.is_settled().await;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM assessment WHERE indicator_id = $1")
        .bind(Uuid::parse_str(&share.id).unwrap())
        .fetch_one(&setting.db)
        .await
        .unwrap();
    assert_eq!(count, 1, "only the city's");
}

#[sqlx::test]
async fn a_driver_can_be_moved_by_who_may_read_it(db: PgPool) {
    let setting = Setting::new(db).await;
    let Share { own, other, share } = share(&setting).await;
    let outlook = setting.outlook(&setting.leader, &share, setting.city).await;
    let drivers: Vec<&str> = outlook
        .drivers
        .iter()
        .map(|driver| driver.item.as_ref().unwrap())
        .map(|item| item.indicator.as_ref().unwrap().code.as_str())
        .collect();
    assert_eq!(drivers, ["OWN", "OTHER"]);

    let suppose = |part: &Indicator, percent: f64| pb::TryScenarioRequest {
        indicator_id: share.id.clone(),
        unit_id: setting.city.to_string(),
        moved_indicator_ids: vec![part.id.clone()],
        moved_indicator_percents: vec![percent],
        ..Default::default()
    };
    let try_as = async |person: &str, request| {
        let answer = setting.client().try_scenario(by(person, request)).await;
        answer.map(tonic::Response::into_inner)
    };
    let outturn_if = async |part, percent| {
        let tried = try_as(&setting.leader, suppose(part, percent)).await;
        number(&tried.unwrap().assessments[0].outturn)
    };
    let as_is = outturn_if(&own, 0.0).await;
    assert_eq!(
        as_is,
        outturn(&setting.assessed(&share, setting.city).await)
    );
    let (more, less) = (outturn_if(&own, 50.0).await, outturn_if(&other, 50.0).await);
    assert!(more > as_is && as_is > less, "{less} {as_is} {more}");
    // Per cent of the whole year's, of which a part is over: no less than what moving the rest of it does.
    let effect = number(&outlook.drivers[0].effect_of_percent);
    assert!(
        effect > 0.0 && (more - as_is) / 50.0 <= effect * 1.05,
        "{effect}"
    );
    assert!(number(&outlook.drivers[1].effect_of_percent) < 0.0);

    let figures = pb::TryScenarioRequest {
        periods: vec![this_month().to_string()],
        values: vec!["80".to_owned()],
        ..suppose(&own, 1.0)
    };
    let uneven = pb::TryScenarioRequest {
        moved_indicator_percents: vec![1.0, 2.0],
        ..suppose(&own, 1.0)
    };
    for (request, field) in [
        (suppose(&share, 1.0), "moved_indicator_ids"),
        (suppose(&own, -101.0), "moved_indicator_percents"),
        (suppose(&own, f64::NAN), "moved_indicator_percents"),
        (uneven, "moved_indicator_percents"),
        (figures, "periods"),
    ] {
        let answer = try_as(&setting.leader, request).await;
        assert_eq!(refused(answer), invalid(field));
    }

    // Who may not read a part does not see it, and cannot learn it by moving it.
    let outlook = setting
        .outlook(&setting.finance_head, &share, setting.city)
        .await;
    assert_eq!(outlook.drivers.len(), 1);
    let peek = try_as(&setting.finance_head, suppose(&other, 1.0)).await;
    assert_eq!(refused(peek), invalid("moved_indicator_ids"));
    let hidden = try_as(&setting.health_head, suppose(&other, 1.0)).await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));

    // It can be kept.
    let save = pb::SaveScenarioRequest {
        request_id: new_id(),
        indicator_id: share.id.clone(),
        unit_id: setting.city.to_string(),
        name: "More of our own".to_owned(),
        moved_indicator_ids: vec![own.id.clone()],
        moved_indicator_percents: vec![50.0],
        ..Default::default()
    };
    let saved = setting
        .client()
        .save_scenario(by(&setting.leader, save))
        .await
        .unwrap()
        .into_inner();
    let list = pb::ListScenariosRequest {
        indicator_id: share.id.clone(),
        unit_id: setting.city.to_string(),
    };
    let listed = setting
        .client()
        .list_scenarios(by(&setting.leader, list))
        .await
        .unwrap()
        .into_inner()
        .scenarios;
    assert_eq!(listed, [saved]);
    assert_eq!(listed[0].moved_indicator_ids, [own.id]);
    assert_eq!(
        number(&listed[0].assessment.as_ref().unwrap().outturn),
        more
    );
}
