use chassis::calendar::city_date;
use chrono::{Days, Utc};
use proto::{calendar::v1::Frequency, indicators::v1 as pb, period::Period};
use sqlx::PgPool;

use crate::{Setting, by, new_id};

async fn due(setting: &Setting, person: &str) -> Vec<pb::DueReport> {
    let mut request = pb::ListDueReportsRequest {
        page_size: 1,
        ..Default::default()
    };
    let mut reports = Vec::new();
    loop {
        let page = by(person, request.clone());
        let page = setting
            .submissions()
            .list_due_reports(page)
            .await
            .unwrap()
            .into_inner();
        reports.extend(page.due_reports);
        if page.next_page_token.is_empty() {
            return reports;
        }
        request.page_token = page.next_page_token;
    }
}

fn last_month() -> Period {
    Period::containing(Frequency::Month, city_date(Utc::now())).previous()
}

fn of(report: &pb::DueReport) -> &str {
    &report.period.as_ref().unwrap().code
}

#[sqlx::test]
async fn the_oldest_period_without_a_figure_is_due(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, health) = setting.two_indicators().await;
    assert!(
        due(&setting, &setting.finance_officer).await.is_empty(),
        "nothing has ended yet"
    );
    let month = last_month();
    let three = [month.plus(-3), month.plus(-2)].map(|period| period.to_string());
    setting
        .publish(
            &finance,
            setting.city,
            &[(&three[0], "1"), (&three[1], "2")],
        )
        .await;
    setting
        .publish(
            &health,
            setting.ward,
            &[(&month.previous().to_string(), "3")],
        )
        .await;

    let reports = due(&setting, &setting.finance_officer).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(of(&reports[0]), month.previous().to_string());
    let day = month.previous().last_day() + Days::new(5);
    assert_eq!(reports[0].due_date, day.to_string());
    assert!(reports[0].overdue);
    assert_eq!(reports[0].indicator.as_ref().unwrap().code, "HCM.04.03");
    let reports = due(&setting, &setting.ward_officer).await;
    assert_eq!(of(&reports[0]), month.to_string());
    assert_eq!(due(&setting, &setting.statistician).await.len(), 2);
    assert!(due(&setting, &setting.other_officer).await.is_empty());
}

#[sqlx::test]
async fn a_period_left_out_is_due_unless_it_is_of_an_earlier_year(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let month = last_month();
    let year = Period::containing(Frequency::Year, city_date(Utc::now()));
    let (january, _) = year.split(Frequency::Month).unwrap();
    let skipped = month.previous();
    let first = skipped.previous().min(january);
    let mut periods: Vec<String> = (first.index()..=month.index())
        .map(|index| Period::from_index(Frequency::Month, index))
        .filter(|period| *period != skipped)
        .map(|period| period.to_string())
        .collect();
    periods.push(first.plus(-40).to_string());
    // A year's total is no month of the series.
    periods.push(month.year().to_string());
    let figures: Vec<_> = periods.iter().map(|of| (of.as_str(), "1")).collect();
    setting.publish(&finance, setting.city, &figures).await;
    let reports = due(&setting, &setting.finance_officer).await;
    if skipped < january {
        assert!(reports.is_empty());
    } else {
        assert_eq!(of(&reports[0]), skipped.to_string());
    }
}

#[sqlx::test]
async fn a_unit_that_has_a_target_and_never_reported_is_asked_for_all_of_it(db: PgPool) {
    let setting = Setting::new(db).await;
    let (_, health) = setting.two_indicators().await;
    let today = city_date(Utc::now());
    let year = Period::containing(Frequency::Year, today);
    let target = pb::Target {
        indicator_id: health,
        unit_id: setting.ward.to_string(),
        period: Some(year.into()),
        author: pb::TargetAuthor::City.into(),
        kind: pb::TargetKind::Base.into(),
        comparator: pb::Comparator::AtLeast.into(),
        value: "90".to_owned(),
        ..Default::default()
    };
    let request = pb::ImportTargetsRequest {
        request_id: new_id(),
        targets: vec![target],
    };
    let request = by(&setting.statistician, request);
    setting.targets().import_targets(request).await.unwrap();
    let reports = due(&setting, &setting.ward_officer).await;
    let (january, _) = year.split(Frequency::Month).unwrap();
    if january.last_day() < today {
        assert_eq!(of(&reports[0]), january.to_string());
    } else {
        assert!(reports.is_empty(), "nothing has ended yet");
    }
}

#[sqlx::test]
async fn an_indicator_says_when_it_is_due(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let month = last_month();
    let before = month.previous().to_string();
    setting
        .publish(&finance, setting.city, &[(&before, "1")])
        .await;
    for (given, days) in [(20, 20), (0, 5)] {
        let mut indicator = setting.indicator("HCM.04.03", "T04", setting.finance);
        indicator.report_days = given;
        setting.define(vec![indicator]).await;
        let report = due(&setting, &setting.finance_officer).await.remove(0);
        let day = month.last_day() + Days::new(days);
        assert_eq!(report.due_date, day.to_string());
        let told = report.indicator.unwrap().report_days;
        assert_eq!(u64::try_from(told).unwrap(), days);
    }
}

#[sqlx::test]
async fn a_waiting_figure_is_shown_and_an_approved_one_moves_on(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let month = last_month();
    setting
        .publish(
            &finance,
            setting.city,
            &[(&month.previous().to_string(), "1")],
        )
        .await;
    let request = pb::CreateSubmissionRequest {
        request_id: new_id(),
        indicator_id: finance,
        unit_id: setting.city.to_string(),
        period: Some(month.into()),
        value: "5".to_owned(),
        ..Default::default()
    };
    let request = by(&setting.finance_officer, request);
    let made = setting
        .submissions()
        .create_submission(request)
        .await
        .unwrap()
        .into_inner();
    let reports = due(&setting, &setting.finance_officer).await;
    assert_eq!(reports[0].submission.as_ref().unwrap().id, made.id);
    let request = pb::ApproveSubmissionRequest {
        request_id: new_id(),
        id: made.id,
        etag: made.etag,
    };
    let request = by(&setting.finance_approver, request);
    setting
        .submissions()
        .approve_submission(request)
        .await
        .unwrap();
    assert!(due(&setting, &setting.finance_officer).await.is_empty());
}
