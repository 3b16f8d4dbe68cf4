use proto::{
    identity::v1::{Unit, export_directory_response::Entry},
    indicators::v1::{self as pb, SubmissionState},
};
use sqlx::PgPool;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    Setting, because, by, figure, invalid, new_id, period, refused,
    submission::{approve, create, entry},
    target::{set, target},
};

#[sqlx::test]
async fn numbers_are_read_in_both_styles_and_the_doubtful_refused(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let make = async |etag: i32, value: &str| {
        let draft = pb::CreateSubmissionRequest {
            draft: true,
            etag: if etag == 0 {
                String::new()
            } else {
                etag.to_string()
            },
            ..entry(&finance, setting.city, value)
        };
        create(&setting, &setting.finance_officer, draft).await
    };
    for (etag, (typed, value)) in (0..).zip([
        ("315.000", "315000"),
        ("8,03", "8.03"),
        ("8.03", "8.03"),
        ("1 234,5", "1234.5"),
        ("1234", "1234"),
    ]) {
        assert_eq!(make(etag, typed).await.unwrap().into_inner().value, value);
    }
    for typed in ["1.234", "1,234", "abc", "", "12%", "-3", "415.000"] {
        assert_eq!(refused(make(5, typed).await), invalid("value"), "{typed}");
    }
    let message = make(5, "1.234").await.unwrap_err().message().to_owned();
    assert!(
        message.contains("1234") && message.contains("1.234"),
        "{message}"
    );
}

#[sqlx::test]
async fn an_entry_that_is_wrong_is_refused_with_its_field(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    type Change = fn(&mut pb::CreateSubmissionRequest);
    let wrong: [(&str, Change); 7] = [
        ("note", |one| one.note = "a\0b".to_owned()),
        ("period", |one| one.period = period("2026-Q3")),
        ("period", |one| one.period = period("2199-01")),
        ("period", |one| one.period = None),
        ("note", |one| one.note = "x".repeat(2001)),
        ("unit_id", |one| one.unit_id = "?".to_owned()),
        ("request_id", |one| one.request_id = "?".to_owned()),
    ];
    for (field, change) in wrong {
        let mut entry = entry(&finance, setting.city, "10");
        change(&mut entry);
        let answer = create(&setting, &setting.finance_officer, entry).await;
        assert_eq!(refused(answer), invalid(field));
    }
    let unknown = create(
        &setting,
        &setting.finance_officer,
        entry(&new_id(), setting.city, "10"),
    )
    .await;
    assert_eq!(refused(unknown), because(Code::NotFound, "NOT_FOUND"));
}

#[sqlx::test]
async fn figures_and_plans_after_a_units_end_are_of_who_came_after(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    let one = |code: &str| pb::CreateSubmissionRequest {
        period: period(code),
        ..entry(&id, setting.former, "10")
    };
    let answer = create(&setting, &setting.statistician, one("2025-07")).await;
    let details = answer.as_ref().unwrap_err().get_error_details();
    let violation = details.bad_request().unwrap().field_violations[0].clone();
    let told = "the unit ended on 30 June 2025; since then it is a figure of Unit 27595";
    assert_eq!(violation.description, told);
    assert_eq!(refused(answer), invalid("period"));
    // What was left to report still can be.
    let last = create(&setting, &setting.statistician, one("2025-06"));
    let last = last.await.unwrap().into_inner();

    let observations = vec![figure(&id, setting.former, "2025-07", "6")];
    let request = pb::ImportObservationsRequest {
        request_id: new_id(),
        observations,
    };
    let request = by(&setting.statistician, request);
    let answer = setting.observations().import_observations(request).await;
    assert_eq!(refused(answer), invalid("observations[0].period"));

    for (code, is_refused) in [("2025", false), ("2026", true)] {
        let mut target = target(&id, setting.former, "100");
        target.period = period(code);
        let request = by(&setting.statistician, set(target));
        let answer = setting.targets().set_target(request).await;
        assert_eq!(answer.is_err(), is_refused, "{answer:?}");
        if is_refused {
            assert_eq!(refused(answer), invalid("target.period"));
        }
    }

    // It turns out to have ended earlier: what waits goes back.
    setting.directory.apply([Entry::Unit(Unit {
        id: setting.former.to_string(),
        valid_from: "2020-01-01".to_owned(),
        valid_to: "2025-05-31".to_owned(),
        parent_id: setting.city.to_string(),
        ..Default::default()
    })]);
    let answer = approve(&setting, &setting.statistician, &last).await;
    assert_eq!(refused(answer), invalid("id"));
}

#[sqlx::test]
async fn a_draft_becomes_what_is_entered_next(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    let draft = pb::CreateSubmissionRequest {
        draft: true,
        ..entry(&finance, setting.city, "10")
    };
    let draft = create(&setting, &setting.finance_officer, draft)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(draft.state(), SubmissionState::Draft);
    let answer = approve(&setting, &setting.finance_approver, &draft).await;
    assert_eq!(
        refused(answer),
        because(Code::FailedPrecondition, "NOT_SUBMITTED")
    );
    // Nobody overwrites a draft unread, neither with a draft nor on the way to the approver.
    for (is_draft, etag) in [(true, ""), (false, ""), (true, "9"), (false, "9")] {
        let unread = pb::CreateSubmissionRequest {
            draft: is_draft,
            etag: etag.to_owned(),
            ..entry(&finance, setting.city, "12")
        };
        let answer = create(&setting, &setting.finance_approver, unread).await;
        assert_eq!(refused(answer), because(Code::Aborted, "ETAG_MISMATCH"));
    }
    let read = pb::CreateSubmissionRequest {
        etag: draft.etag.clone(),
        ..entry(&finance, setting.city, "11")
    };
    let sent = create(&setting, &setting.finance_officer, read.clone()).await;
    let sent = sent.unwrap().into_inner();
    let gone = pb::CreateSubmissionRequest {
        request_id: new_id(),
        ..read
    };
    let answer = create(&setting, &setting.finance_officer, gone).await;
    assert_eq!(refused(answer), because(Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!((&sent.id, sent.value.as_str()), (&draft.id, "11"));
    let stale = pb::Submission {
        etag: draft.etag,
        ..sent
    };
    let answer = approve(&setting, &setting.finance_approver, &stale).await;
    assert_eq!(refused(answer), because(Code::Aborted, "ETAG_MISMATCH"));
}

#[sqlx::test]
async fn the_unusual_is_told_in_the_callers_language(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, _) = setting.two_indicators().await;
    setting
        .publish(&finance, setting.city, &[("2026-09", "100")])
        .await;
    let usual = create(
        &setting,
        &setting.finance_officer,
        entry(&finance, setting.city, "110"),
    )
    .await;
    assert!(usual.unwrap().into_inner().warnings.is_empty());
    let tenfold = pb::CreateSubmissionRequest {
        draft: true,
        period: period("2026-08"),
        ..entry(&finance, setting.city, "1")
    };
    setting
        .publish(&finance, setting.city, &[("2026-07", "100")])
        .await;
    let tenfold = create(&setting, &setting.finance_officer, tenfold)
        .await
        .unwrap()
        .into_inner();
    assert!(
        tenfold.warnings[0].contains("tenfold"),
        "{:?}",
        tenfold.warnings
    );
    let mut request = by(
        &setting.finance_officer,
        pb::GetSubmissionRequest { id: tenfold.id },
    );
    request
        .metadata_mut()
        .insert("accept-language", "vi".parse().unwrap());
    let vietnamese = setting
        .submissions()
        .get_submission(request)
        .await
        .unwrap()
        .into_inner();
    assert!(
        vietnamese.warnings[0].contains("10 lần"),
        "{:?}",
        vietnamese.warnings
    );
}
