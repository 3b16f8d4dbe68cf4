use proto::indicators::v1::{self as pb, SubmissionState};
use sqlx::PgPool;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::{Setting, because, by, invalid, new_id, period, refused};

pub fn entry(indicator: &str, unit: Uuid, value: &str) -> pb::CreateSubmissionRequest {
    pb::CreateSubmissionRequest {
        request_id: new_id(),
        indicator_id: indicator.to_owned(),
        unit_id: unit.to_string(),
        period: period("2026-10"),
        value: value.to_owned(),
        ..Default::default()
    }
}

pub type Answer = Result<Response<pb::Submission>, Status>;

pub async fn create(setting: &Setting, person: &str, entry: pb::CreateSubmissionRequest) -> Answer {
    setting
        .submissions()
        .create_submission(by(person, entry))
        .await
}

pub async fn approve(setting: &Setting, person: &str, submission: &pb::Submission) -> Answer {
    let request = pb::ApproveSubmissionRequest {
        request_id: new_id(),
        id: submission.id.clone(),
        etag: submission.etag.clone(),
    };
    setting
        .submissions()
        .approve_submission(by(person, request))
        .await
}

async fn send_back(
    setting: &Setting,
    person: &str,
    submission: &pb::Submission,
    why: &str,
) -> Answer {
    let request = pb::ReturnSubmissionRequest {
        request_id: new_id(),
        id: submission.id.clone(),
        etag: submission.etag.clone(),
        reason: why.to_owned(),
    };
    setting
        .submissions()
        .return_submission(by(person, request))
        .await
}

async fn known(setting: &Setting) -> Vec<String> {
    let request = by(&setting.leader, pb::ListObservationsRequest::default());
    let page = setting
        .observations()
        .list_observations(request)
        .await
        .unwrap();
    page.into_inner()
        .observations
        .into_iter()
        .map(|figure| figure.value)
        .collect()
}

#[sqlx::test]
async fn an_approved_figure_counts(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let submission = create(
        &setting,
        &setting.finance_officer,
        entry(&finance, setting.city, "65.776,5"),
    )
    .await;
    let submission = submission.unwrap().into_inner();
    assert_eq!(submission.value, "65776.5");
    assert_eq!(submission.state(), SubmissionState::Submitted);
    assert_eq!(submission.vintage(), pb::Vintage::Estimate);
    assert_eq!(submission.submitter_id, setting.finance_officer);
    assert!(known(&setting).await.is_empty());

    let request = pb::ApproveSubmissionRequest {
        request_id: new_id(),
        id: submission.id.clone(),
        etag: submission.etag.clone(),
    };
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = by(&setting.finance_approver, request.clone());
        answers.push(
            setting
                .submissions()
                .approve_submission(request)
                .await
                .unwrap()
                .into_inner(),
        );
    }
    assert_eq!(answers[0], answers[1], "a repeated request_id");
    assert_eq!(answers[0].state(), SubmissionState::Approved);
    assert_eq!(answers[0].approver_id, setting.finance_approver);
    assert_eq!(known(&setting).await, ["65776.5"]);
    let facts = setting.facts().await;
    let count = |name: &str| facts.iter().filter(|fact| fact.ends_with(name)).count();
    assert_eq!(
        (count("SubmissionChanged"), count("ObservationRecorded")),
        (2, 1)
    );
    let again = approve(&setting, &setting.finance_approver, &answers[0]).await;
    assert_eq!(
        refused(again),
        because(Code::FailedPrecondition, "NOT_SUBMITTED")
    );
}

#[sqlx::test]
async fn units_enter_their_own_figures_only(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, health) = setting.two_indicators().await;
    let denied = [
        (&setting.finance_officer, &finance, setting.ward),
        (&setting.finance_officer, &health, setting.city),
        (&setting.ward_officer, &health, setting.city),
        (&setting.ward_officer, &health, setting.other_ward),
        (&setting.leader, &finance, setting.city),
    ];
    for (person, indicator, unit) in denied {
        let answer = create(&setting, person, entry(indicator, unit, "10")).await;
        assert_eq!(refused(answer).0, Code::PermissionDenied);
    }
    let own = create(
        &setting,
        &setting.ward_officer,
        entry(&health, setting.ward, "10"),
    )
    .await;
    let own = own.unwrap().into_inner();
    let answer = approve(&setting, &setting.other_officer, &own).await;
    assert_eq!(
        refused(answer),
        because(Code::PermissionDenied, "OUTSIDE_SCOPE")
    );
    approve(&setting, &setting.ward_approver, &own)
        .await
        .unwrap();
}

#[sqlx::test]
async fn whoever_enters_a_figure_never_approves_it(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let own = create(
        &setting,
        &setting.finance_approver,
        entry(&finance, setting.city, "10"),
    )
    .await;
    let own = own.unwrap().into_inner();
    let answer = approve(&setting, &setting.finance_approver, &own).await;
    assert_eq!(
        refused(answer),
        because(Code::PermissionDenied, "OWN_FIGURE")
    );
    let answer = send_back(&setting, &setting.finance_approver, &own, "sai").await;
    assert_eq!(
        refused(answer),
        because(Code::PermissionDenied, "OWN_FIGURE")
    );
}

#[sqlx::test]
async fn one_figure_of_a_period_waits_at_a_time(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let first = entry(&finance, setting.city, "10");
    let one = create(&setting, &setting.finance_officer, first.clone())
        .await
        .unwrap()
        .into_inner();
    let same = create(&setting, &setting.finance_officer, first.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(one, same, "a repeated request_id");
    let mut other = first;
    other.value = "11".to_owned();
    let answer = create(&setting, &setting.finance_officer, other).await;
    assert_eq!(
        refused(answer),
        because(Code::AlreadyExists, "REQUEST_ID_REUSED")
    );
    let answer = create(
        &setting,
        &setting.finance_approver,
        entry(&finance, setting.city, "11"),
    )
    .await;
    assert_eq!(
        refused(answer),
        because(Code::FailedPrecondition, "ALREADY_SUBMITTED")
    );

    let wrong = pb::Submission {
        etag: "77".to_owned(),
        ..one.clone()
    };
    let answer = approve(&setting, &setting.finance_approver, &wrong).await;
    assert_eq!(refused(answer), because(Code::Aborted, "ETAG_MISMATCH"));
    let answer = send_back(&setting, &setting.finance_approver, &one, " ").await;
    assert_eq!(refused(answer), invalid("reason"));
    let back = send_back(&setting, &setting.finance_approver, &one, "thiếu tháng 9").await;
    let back = back.unwrap().into_inner();
    assert_eq!(back.state(), SubmissionState::Returned);
    assert_eq!(back.return_reason, "thiếu tháng 9");
    let next = create(
        &setting,
        &setting.finance_officer,
        entry(&finance, setting.city, "12"),
    )
    .await;
    approve(
        &setting,
        &setting.finance_approver,
        &next.unwrap().into_inner(),
    )
    .await
    .unwrap();
    assert_eq!(known(&setting).await, ["12"]);
    let missing = pb::Submission {
        id: new_id(),
        ..one
    };
    let answer = approve(&setting, &setting.finance_approver, &missing).await;
    assert_eq!(refused(answer), because(Code::NotFound, "NOT_FOUND"));
}

#[sqlx::test]
async fn submissions_are_listed_newest_first_within_the_scope(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, health) = setting.two_indicators().await;
    let one = create(
        &setting,
        &setting.finance_officer,
        entry(&finance, setting.city, "1"),
    )
    .await;
    let one = one.unwrap().into_inner();
    create(
        &setting,
        &setting.ward_officer,
        entry(&health, setting.ward, "2"),
    )
    .await
    .unwrap();
    create(
        &setting,
        &setting.other_officer,
        entry(&health, setting.other_ward, "3"),
    )
    .await
    .unwrap();
    approve(&setting, &setting.finance_approver, &one)
        .await
        .unwrap();
    for (person, state, sees) in [
        (
            &setting.leader,
            SubmissionState::Unspecified,
            vec!["3", "2", "1"],
        ),
        (&setting.leader, SubmissionState::Approved, vec!["1"]),
        (
            &setting.finance_officer,
            SubmissionState::Unspecified,
            vec!["1"],
        ),
        (
            &setting.health_head,
            SubmissionState::Unspecified,
            vec!["3", "2"],
        ),
        (&setting.ward_officer, SubmissionState::Submitted, vec!["2"]),
    ] {
        let mut request = pb::ListSubmissionsRequest {
            state: state.into(),
            page_size: 1,
            ..Default::default()
        };
        let mut values = Vec::new();
        loop {
            let page = by(person, request.clone());
            let page = setting
                .submissions()
                .list_submissions(page)
                .await
                .unwrap()
                .into_inner();
            values.extend(page.submissions.into_iter().map(|one| one.value));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(values, sees);
    }
    let unknown = pb::ListSubmissionsRequest {
        state: 77,
        ..Default::default()
    };
    let unknown = by(&setting.leader, unknown);
    let answer = setting.submissions().list_submissions(unknown).await;
    assert_eq!(refused(answer), invalid("state"));
    let get = by(
        &setting.ward_officer,
        pb::GetSubmissionRequest { id: one.id },
    );
    let answer = setting.submissions().get_submission(get).await;
    assert_eq!(refused(answer), because(Code::NotFound, "NOT_FOUND"));
}
