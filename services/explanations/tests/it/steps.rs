use super::*;

fn accept(of: &pb::Explanation) -> pb::AcceptExplanationRequest {
    pb::AcceptExplanationRequest {
        request_id: Uuid::now_v7().to_string(),
        id: of.id.clone(),
        etag: of.etag.clone(),
        note: "Đồng ý".to_owned(),
    }
}

pub(super) fn send_back(of: &pb::Explanation) -> pb::ReturnExplanationRequest {
    pb::ReturnExplanationRequest {
        request_id: Uuid::now_v7().to_string(),
        id: of.id.clone(),
        etag: of.etag.clone(),
        reason: "Thiếu mốc thời gian".to_owned(),
        deadline: None,
    }
}

fn withdraw(of: &pb::Explanation) -> pb::WithdrawExplanationRequest {
    pb::WithdrawExplanationRequest {
        request_id: Uuid::now_v7().to_string(),
        id: of.id.clone(),
        etag: of.etag.clone(),
        reason: "Nhầm chỉ tiêu".to_owned(),
    }
}

fn more_time(of: &pb::Explanation, days: i64) -> pb::RequestExtensionRequest {
    pb::RequestExtensionRequest {
        request_id: Uuid::now_v7().to_string(),
        id: of.id.clone(),
        etag: of.etag.clone(),
        deadline: in_days(days),
        reason: "Chờ số liệu quyết toán".to_owned(),
    }
}

fn decide(of: &pb::Explanation, grant: bool) -> pb::DecideExtensionRequest {
    pb::DecideExtensionRequest {
        request_id: Uuid::now_v7().to_string(),
        id: of.id.clone(),
        etag: of.etag.clone(),
        grant,
        note: String::new(),
    }
}

#[sqlx::test]
async fn an_answer_is_returned_given_again_and_accepted(db: PgPool) {
    let world = world(db).await;
    let mut client = world.client();
    let answered = world.answered().await;
    assert_eq!(answered.state(), pb::ExplanationState::Answered);
    let step = answered.thread.last().unwrap();
    assert_eq!(
        step.answer.as_ref().unwrap().cause,
        "Chậm giải phóng mặt bằng"
    );
    assert_eq!(
        step.answer.as_ref().unwrap().remedy_date,
        answered.commitment_date
    );

    let mut request = send_back(&answered);
    let deadline = in_days(9);
    request.deadline = deadline;
    let returned = client
        .return_explanation(by(&world.leader, request))
        .await
        .unwrap();
    let returned = returned.into_inner();
    assert_eq!(returned.state(), pb::ExplanationState::Returned);
    assert_eq!(
        returned.deadline,
        deadline.map(|time| Timestamp { nanos: 0, ..time })
    );

    let again = client
        .answer_explanation(by(&world.head, world.answer(&returned)))
        .await;
    let again = again.unwrap().into_inner();
    // Another leader may decide too.
    let accepted = client
        .accept_explanation(by(&world.vice, accept(&again)))
        .await;
    let accepted = accepted.unwrap().into_inner();
    assert_eq!(accepted.state(), pb::ExplanationState::Accepted);
    assert_eq!(accepted.commitment_date, again.commitment_date);
    let kinds: Vec<_> = accepted.thread.iter().map(pb::ThreadEntry::kind).collect();
    assert_eq!(
        kinds,
        [
            pb::ThreadEntryKind::Request,
            pb::ThreadEntryKind::Answer,
            pb::ThreadEntryKind::Return,
            pb::ThreadEntryKind::Answer,
            pb::ThreadEntryKind::Accept,
        ]
    );
    assert_eq!(world.facts().await.len(), 5);

    let late = client
        .withdraw_explanation(by(&world.leader, withdraw(&accepted)))
        .await;
    assert_eq!(
        told(&late.unwrap_err()),
        refused(Code::FailedPrecondition, "NOT_OPEN")
    );
    let late = client
        .answer_explanation(by(&world.head, world.answer(&accepted)))
        .await;
    assert_eq!(
        told(&late.unwrap_err()),
        refused(Code::FailedPrecondition, "NOT_OPEN")
    );
}

#[sqlx::test]
async fn only_the_unit_asked_answers(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    // In charge of the field, so it sees the request, but it was not asked.
    let status = client
        .answer_explanation(by(&world.department_head, world.answer(&asked)))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "OUTSIDE_SCOPE")
    );
    let status = client
        .answer_explanation(by(&world.neighbour, world.answer(&asked)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    for person in [&world.officer, &world.leader] {
        let request = by(person, world.answer(&asked));
        let status = client.answer_explanation(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    }
}

#[sqlx::test]
async fn only_the_requester_or_a_leader_decides(db: PgPool) {
    let world = world(db).await;
    let answered = world.answered().await;
    let mut client = world.client();
    let status = client
        .accept_explanation(by(&world.department_head, accept(&answered)))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "NOT_REQUESTER")
    );
    let status = client
        .withdraw_explanation(by(&world.department_head, withdraw(&answered)))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "NOT_REQUESTER")
    );
    let status = client
        .accept_explanation(by(&world.head, accept(&answered)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[sqlx::test]
async fn malformed_answers_name_their_field(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let good = world.answer(&asked);
    let cases: Vec<(&str, Box<dyn Fn(&mut pb::AnswerExplanationRequest)>)> = vec![
        ("request_id", Box::new(|a| a.request_id.clear())),
        ("id", Box::new(|a| a.id = "x".to_owned())),
        ("etag", Box::new(|a| a.etag.clear())),
        ("cause", Box::new(|a| a.cause.clear())),
        ("action", Box::new(|a| a.action = "x".repeat(4001))),
        (
            "remedy_date",
            Box::new(|a| a.remedy_date = "15/12/2026".to_owned()),
        ),
        (
            "remedy_date",
            Box::new(|a| a.remedy_date = "2020-01-01".to_owned()),
        ),
        (
            "attachment_ids",
            Box::new(|a| a.attachment_ids = vec!["x".to_owned()]),
        ),
        (
            "attachment_ids",
            Box::new(|a| a.attachment_ids = vec![Uuid::now_v7().to_string()]),
        ),
        (
            "attachment_ids",
            Box::new(|a| a.attachment_ids = vec![Uuid::now_v7().to_string(); 11]),
        ),
    ];
    for (field, spoil) in cases {
        let mut answer = good.clone();
        spoil(&mut answer);
        let status = world
            .client()
            .answer_explanation(by(&world.head, answer))
            .await
            .unwrap_err();
        assert_eq!(
            told(&status),
            refused(Code::InvalidArgument, "INVALID_FIELD")
        );
        assert_eq!(fields(&status), [field]);
    }
    let mut unknown = good;
    unknown.id = Uuid::now_v7().to_string();
    let status = world
        .client()
        .answer_explanation(by(&world.head, unknown))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[sqlx::test]
async fn an_old_etag_is_aborted_and_a_repeat_is_answered(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let answer = world.answer(&asked);
    let first = client
        .answer_explanation(by(&world.head, answer.clone()))
        .await
        .unwrap();
    let again = client
        .answer_explanation(by(&world.head, answer))
        .await
        .unwrap();
    let (first, again) = (first.into_inner(), again.into_inner());
    assert_eq!(first, again);
    assert_eq!(world.facts().await.len(), 2);

    let status = client
        .accept_explanation(by(&world.leader, accept(&asked)))
        .await
        .unwrap_err();
    assert_eq!(told(&status), refused(Code::Aborted, "ETAG_MISMATCH"));
    let status = client
        .return_explanation(by(&world.leader, send_back(&asked)))
        .await
        .unwrap_err();
    assert_eq!(told(&status), refused(Code::Aborted, "ETAG_MISMATCH"));
}

#[sqlx::test]
async fn what_was_not_answered_is_not_decided(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let status = client
        .accept_explanation(by(&world.leader, accept(&asked)))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::FailedPrecondition, "NOT_ANSWERED")
    );
    let status = client
        .return_explanation(by(&world.leader, send_back(&asked)))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::FailedPrecondition, "NOT_ANSWERED")
    );
    let mut request = send_back(&asked);
    request.reason.clear();
    let status = client
        .return_explanation(by(&world.leader, request))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["reason"]);
}

#[sqlx::test]
async fn more_time_is_asked_for_refused_and_granted(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    for days in [4, 61] {
        let request = by(&world.head, more_time(&asked, days));
        let status = client.request_extension(request).await.unwrap_err();
        assert_eq!(fields(&status), ["deadline"]);
    }
    let none = client
        .decide_extension(by(&world.leader, decide(&asked, true)))
        .await;
    assert_eq!(
        told(&none.unwrap_err()),
        refused(Code::FailedPrecondition, "NO_EXTENSION_PENDING")
    );

    let wanted = client
        .request_extension(by(&world.head, more_time(&asked, 8)))
        .await;
    let wanted = wanted.unwrap().into_inner();
    assert!(wanted.extension_deadline.is_some());
    assert_eq!(wanted.deadline, asked.deadline);
    let twice = client
        .request_extension(by(&world.head, more_time(&wanted, 9)))
        .await;
    assert_eq!(
        told(&twice.unwrap_err()),
        refused(Code::FailedPrecondition, "EXTENSION_PENDING")
    );

    let refusal = client
        .decide_extension(by(&world.leader, decide(&wanted, false)))
        .await;
    let refusal = refusal.unwrap().into_inner();
    assert_eq!(
        (refusal.extension_deadline, refusal.deadline),
        (None, asked.deadline)
    );
    let wanted = client
        .request_extension(by(&world.head, more_time(&refusal, 10)))
        .await;
    let wanted = wanted.unwrap().into_inner();
    let granted = client
        .decide_extension(by(&world.leader, decide(&wanted, true)))
        .await;
    let granted = granted.unwrap().into_inner();
    assert_eq!(granted.deadline, wanted.extension_deadline);
    assert_eq!(
        granted.thread.last().unwrap().kind(),
        pb::ThreadEntryKind::ExtensionGrant
    );
    assert_eq!(granted.thread.last().unwrap().deadline, granted.deadline);

    let answered = client
        .answer_explanation(by(&world.head, world.answer(&granted)))
        .await;
    let answered = answered.unwrap().into_inner();
    let late = client
        .request_extension(by(&world.head, more_time(&answered, 20)))
        .await;
    assert_eq!(
        told(&late.unwrap_err()),
        refused(Code::FailedPrecondition, "NOT_OPEN")
    );
}

#[sqlx::test]
async fn a_withdrawn_request_is_over(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let wanted = client
        .request_extension(by(&world.head, more_time(&asked, 8)))
        .await;
    let wanted = wanted.unwrap().into_inner();
    let withdrawn = client
        .withdraw_explanation(by(&world.leader, withdraw(&wanted)))
        .await;
    let withdrawn = withdrawn.unwrap().into_inner();
    assert_eq!(withdrawn.state(), pb::ExplanationState::Withdrawn);
    assert_eq!(withdrawn.extension_deadline, None);
    let twice = client
        .withdraw_explanation(by(&world.leader, withdraw(&withdrawn)))
        .await;
    assert_eq!(
        told(&twice.unwrap_err()),
        refused(Code::FailedPrecondition, "NOT_OPEN")
    );
}

impl World {
    /// Lets days go by for a request.
    async fn pass(&self, days: i32) {
        sqlx::query(
            "UPDATE explanation SET deadline = deadline - make_interval(days => $1),
                extension_deadline = extension_deadline - make_interval(days => $1)",
        )
        .bind(days)
        .execute(&self.db)
        .await
        .unwrap();
    }
}

#[sqlx::test]
async fn what_is_returned_late_is_due_in_two_working_days(db: PgPool) {
    let world = world(db).await;
    let answered = world.answered().await;
    let mut client = world.client();
    world.pass(30).await;
    let returned = client
        .return_explanation(by(&world.leader, send_back(&answered)))
        .await;
    let returned = returned.unwrap().into_inner();
    assert!(!returned.overdue);
    let due = returned.deadline.unwrap().seconds - Utc::now().timestamp();
    assert!(due > TimeDelta::days(1).num_seconds(), "{due}");
    // The record tells the new deadline too.
    assert_eq!(returned.thread.last().unwrap().deadline, returned.deadline);
}

#[sqlx::test]
async fn what_is_returned_in_time_keeps_its_deadline(db: PgPool) {
    let world = world(db).await;
    let answered = world.answered().await;
    let returned = world
        .client()
        .return_explanation(by(&world.leader, send_back(&answered)))
        .await;
    let returned = returned.unwrap().into_inner();
    assert_eq!(returned.deadline, answered.deadline);
    assert_eq!(returned.thread.last().unwrap().deadline, None);
}

#[sqlx::test]
async fn time_that_has_passed_is_not_granted(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let wanted = client
        .request_extension(by(&world.head, more_time(&asked, 8)))
        .await;
    let wanted = wanted.unwrap().into_inner();
    world.pass(9).await;
    let granted = client
        .decide_extension(by(&world.leader, decide(&wanted, true)))
        .await;
    assert_eq!(
        told(&granted.unwrap_err()),
        refused(Code::FailedPrecondition, "EXTENSION_PASSED")
    );
    let declined = client
        .decide_extension(by(&world.leader, decide(&wanted, false)))
        .await;
    assert_eq!(declined.unwrap().into_inner().extension_deadline, None);
}
