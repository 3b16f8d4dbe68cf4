use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{Assessment, NoForecastReason, NoPaceReason, RiskItem, RiskStatus},
    indicators::v1::{Comparator, Direction, TargetKind, Vintage, YearRule},
    period::Period,
};
use sqlx::PgPool;

use crate::{Setting, about_hundred, figure, indicator, status, target, this_month};

#[sqlx::test]
async fn the_colour_follows_the_probability(db: PgPool) {
    let setting = Setting::new(db).await;
    for (value, colour) in [("900", RiskStatus::Green), ("1500", RiskStatus::Red)] {
        let up = indicator("UP", "T04", setting.finance);
        let figures = about_hundred(&up, setting.city, 36, 0);
        setting
            .feed(&up, &[target(&up, setting.city, value)], &figures)
            .await;
        let item = setting.assessed(&up, setting.city).await;
        assert_eq!(status(&item), colour);
        let assessment = item.assessment.unwrap();
        let probability = assessment.probability.unwrap();
        assert_eq!(
            probability > 0.75,
            colour == RiskStatus::Green,
            "{probability}"
        );
        assert!(probability > 0.0 && probability < 1.0);
        let outturn: f64 = assessment.outturn.parse().unwrap();
        assert!((1100.0..1300.0).contains(&outturn), "{outturn}");
        assert_eq!(item.recent_values.len(), 24);
        assert_eq!(
            item.recent_end.unwrap().code,
            this_month().previous().to_string()
        );
        assert_eq!(
            item.last_observation.unwrap().id,
            figures.last().unwrap().id
        );
    }
    let down = indicator("DOWN", "T04", setting.finance);
    let mut most = target(&down, setting.city, "900");
    most.comparator = Comparator::AtMost.into();
    setting
        .feed(&down, &[most], &about_hundred(&down, setting.city, 36, 0))
        .await;
    assert_eq!(
        status(&setting.assessed(&down, setting.city).await),
        RiskStatus::Red
    );
}

#[sqlx::test]
async fn what_cannot_be_assessed_is_grey_and_says_why(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut context = indicator("CONTEXT", "T04", setting.finance);
    context.direction = Direction::Context.into();
    let without = indicator("NO TARGET", "T04", setting.finance);
    let short = indicator("SHORT", "T04", setting.finance);
    for (indicator, months, targets, reason) in [
        (&context, 36, 1, NoForecastReason::Context),
        (&without, 36, 0, NoForecastReason::NoTarget),
        (&short, 3, 1, NoForecastReason::TooShort),
    ] {
        // Of this year a short series lacks months that are due.
        let mut plan = target(indicator, setting.city, "900");
        plan.period = Some(next_year().into());
        let targets = vec![plan; targets];
        let figures = about_hundred(indicator, setting.city, months, 0);
        setting.feed(indicator, &targets, &figures).await;
        let item = setting.assessed(indicator, setting.city).await;
        assert_eq!(status(&item), RiskStatus::Grey);
        let assessment = item.assessment.unwrap();
        assert_eq!(assessment.no_forecast_reason(), reason);
        assert_eq!(assessment.probability, None);
    }
}

/// A year that has all its months before it, whatever day it is.
fn next_year() -> Period {
    Period::new(Frequency::Year, this_month().year() + 1, 1).unwrap()
}

/// The assessment of a monthly sum of about 100 against a target.
async fn against(
    setting: &Setting,
    year_rule: YearRule,
    comparator: Comparator,
    (value, upper): (&str, &str),
) -> Assessment {
    let mut one = indicator("PACE", "T04", setting.finance);
    one.year_rule = year_rule.into();
    let mut plan = target(&one, setting.city, value);
    plan.comparator = comparator.into();
    upper.clone_into(&mut plan.upper_value);
    plan.period = Some(next_year().into());
    let figures = about_hundred(&one, setting.city, 36, 0);
    setting.feed(&one, &[plan], &figures).await;
    setting
        .assessed(&one, setting.city)
        .await
        .assessment
        .unwrap()
}

#[sqlx::test]
async fn the_pace_says_what_is_needed_or_why_there_is_none(db: PgPool) {
    let setting = Setting::new(db).await;
    let pace = |one: &Assessment| (one.required_pace.clone(), one.required_pace_upper.clone());
    let (sum, most, within) = (YearRule::Sum, Comparator::AtMost, Comparator::Within);
    let range = against(&setting, sum, within, ("1200", "1320")).await;
    assert_eq!(pace(&range), ("100".to_owned(), "110".to_owned()));
    assert_eq!(range.no_pace_reason(), NoPaceReason::Unspecified);
    let ceiling = against(&setting, sum, most, ("1320", "")).await;
    assert_eq!(pace(&ceiling), ("110".to_owned(), String::new()));
    let impossible = against(&setting, sum, most, ("-1", "")).await;
    assert_eq!(pace(&impossible), (String::new(), String::new()));
    assert_eq!(impossible.no_pace_reason(), NoPaceReason::Impossible);
    let met = against(&setting, sum, Comparator::AtLeast, ("0", "")).await;
    assert_eq!(met.no_pace_reason(), NoPaceReason::AlreadyMet);
    let growth = against(
        &setting,
        YearRule::Published,
        Comparator::AtLeast,
        ("8", ""),
    )
    .await;
    assert_eq!(
        (
            pace(&growth).0.as_str(),
            growth.required_growth_percent.as_str()
        ),
        ("8", "")
    );
}

#[sqlx::test]
async fn a_late_figure_is_never_green_and_never_hides_a_red(db: PgPool) {
    let setting = Setting::new(db).await;
    for (value, late, colour) in [
        ("900", 3, RiskStatus::Overdue),
        ("2000", 3, RiskStatus::Red),
        ("900", 20, RiskStatus::Overdue),
    ] {
        let late_one = indicator("LATE", "T04", setting.finance);
        let figures = about_hundred(&late_one, setting.city, 36, late);
        setting
            .feed(
                &late_one,
                &[target(&late_one, setting.city, value)],
                &figures,
            )
            .await;
        let item = setting.assessed(&late_one, setting.city).await;
        assert_eq!(status(&item), colour, "{value} {late}");
        assert!(item.assessment.unwrap().overdue_period.is_some());
    }
}

/// The year of the last month whose figure is due, which may be over, and that month.
fn due() -> (Period, Period) {
    let due = this_month().plus(-2);
    (Period::new(Frequency::Year, due.year(), 1).unwrap(), due)
}

/// The period whose figure an assessment says is overdue.
fn overdue(item: &RiskItem) -> Option<String> {
    let assessment = item.assessment.as_ref().unwrap();
    assessment.overdue_period.clone().map(|period| period.code)
}

#[sqlx::test]
async fn a_ward_that_has_a_plan_and_never_reported_is_overdue(db: PgPool) {
    let setting = Setting::new(db).await;
    let silent = indicator("SILENT", "T04", setting.finance);
    let mut plan = target(&silent, setting.ward, "900");
    plan.period = Some(due().0.into());
    setting.feed(&silent, &[plan], &[]).await;
    let item = setting.assessed(&silent, setting.ward).await;
    assert_eq!(status(&item), RiskStatus::Overdue);
    let january = Period::new(Frequency::Month, due().0.year(), 1).unwrap();
    assert_eq!(overdue(&item), Some(january.to_string()));
}

#[sqlx::test]
async fn a_month_left_out_of_the_plans_year_is_overdue(db: PgPool) {
    let setting = Setting::new(db).await;
    let (year, skipped) = due();
    for (left_out, colour) in [
        (skipped, RiskStatus::Overdue),
        (
            Period::new(Frequency::Month, year.year() - 1, 6).unwrap(),
            RiskStatus::Green,
        ),
    ] {
        let gappy = indicator("GAPPY", "T04", setting.finance);
        let mut plan = target(&gappy, setting.ward, "900");
        plan.period = Some(year.into());
        let mut figures = about_hundred(&gappy, setting.ward, 36, 0);
        figures.retain(|figure| figure.period != Some(left_out.into()));
        setting.feed(&gappy, &[plan.clone()], &figures).await;
        let is_over = year.last_day() < this_month().first_day();
        let colour = match colour {
            RiskStatus::Green if is_over => RiskStatus::Met,
            colour => colour,
        };
        let item = setting.assessed(&gappy, setting.ward).await;
        assert_eq!(status(&item), colour, "{left_out}");
        let named = (colour == RiskStatus::Overdue).then(|| left_out.to_string());
        assert_eq!(overdue(&item), named);
    }
}

#[sqlx::test]
async fn a_quarter_that_is_over_and_lacks_a_month_is_not_judged(db: PgPool) {
    let setting = Setting::new(db).await;
    let left_out = this_month().plus(-6);
    let quarter = Period::containing(Frequency::Quarter, left_out.first_day());
    let gappy = indicator("GAPPY", "T04", setting.finance);
    let mut plan = target(&gappy, setting.ward, "250");
    plan.period = Some(quarter.into());
    let mut figures = about_hundred(&gappy, setting.ward, 36, 0);
    figures.retain(|figure| figure.period != Some(left_out.into()));
    setting.feed(&gappy, &[plan], &figures).await;
    let item = setting.assessed(&gappy, setting.ward).await;
    assert_eq!(overdue(&item), Some(left_out.to_string()));
    let assessment = item.assessment.unwrap();
    assert_eq!(assessment.status(), RiskStatus::Overdue);
    assert_eq!(
        assessment.no_forecast_reason(),
        NoForecastReason::Incomplete
    );
}

#[sqlx::test]
async fn a_yearly_figure_waits_for_the_official_one(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut yearly = indicator("YEARLY", "T04", setting.finance);
    yearly.frequency = Frequency::Year.into();
    let year = Period::new(Frequency::Year, this_month().year(), 1).unwrap();
    let before = [figure(&yearly, setting.city, year.previous(), "90")];
    setting
        .feed(&yearly, &[target(&yearly, setting.city, "100")], &before)
        .await;
    let item = setting.assessed(&yearly, setting.city).await;
    assert_eq!(status(&item), RiskStatus::Grey);
    assert_eq!(
        item.assessment.unwrap().no_forecast_reason(),
        NoForecastReason::Annual
    );

    let mut estimate = figure(&yearly, setting.city, year, "101");
    estimate.vintage = Vintage::Estimate.into();
    let estimate_id = estimate.id.clone();
    setting.feed(&yearly, &[], &[estimate]).await;
    let seen = |item: &RiskItem| {
        item.last_observation
            .as_ref()
            .is_some_and(|figure| figure.id == estimate_id)
    };
    assert_eq!(
        status(&setting.line(&yearly, setting.city, seen).await),
        RiskStatus::Grey
    );

    let official = figure(&yearly, setting.city, year, "102");
    setting.feed(&yearly, &[], &[official]).await;
    setting
        .line(&yearly, setting.city, |item| {
            status(item) == RiskStatus::Met
        })
        .await;
    let corrected = figure(&yearly, setting.city, year, "99");
    setting.feed(&yearly, &[], &[corrected]).await;
    setting
        .line(&yearly, setting.city, |item| {
            status(item) == RiskStatus::Missed
        })
        .await;
}

#[sqlx::test]
async fn the_line_shows_the_most_endangered_base_target(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let easy = target(&up, setting.city, "900");
    let hard = target(&up, setting.city, "1225");
    let mut stretch = target(&up, setting.city, "9000");
    stretch.kind = TargetKind::Stretch.into();
    let targets = [easy, hard.clone(), stretch.clone()];
    setting
        .feed(&up, &targets, &about_hundred(&up, setting.city, 36, 0))
        .await;
    let item = setting.assessed(&up, setting.city).await;
    assert_eq!(item.assessment.unwrap().target.unwrap().id, hard.id);
}

#[sqlx::test]
async fn news_is_stated_only_when_something_changed(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    let mut target = target(&up, setting.city, "900");
    setting
        .feed(&up, std::slice::from_ref(&target), &figures)
        .await;
    setting.assessed(&up, setting.city).await;
    setting.queue_is_empty().await;
    assert_eq!(setting.facts().await, 1);
    setting.feed(&up, &[], &figures).await;
    setting.queue_is_empty().await;
    assert_eq!(setting.facts().await, 1, "the same again");
    target.value = "1500".to_owned();
    target.version = 2;
    setting.feed(&up, &[target], &[]).await;
    setting
        .line(&up, setting.city, |item| status(item) == RiskStatus::Red)
        .await;
    assert_eq!(setting.facts().await, 2);
}
