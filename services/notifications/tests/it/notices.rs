use explanations::ThreadEntryKind;
use proto::{calendar::v1::Period, feedback::v1 as feedback, indicators::v1 as indicators};

use super::*;

fn read(id: &str) -> pb::MarkNotificationsReadRequest {
    pb::MarkNotificationsReadRequest { id: id.to_owned() }
}

#[sqlx::test]
async fn both_sides_hear_of_each_others_steps_and_nobody_of_the_own(db: PgPool) {
    let world = world_with(db, false).await;
    for (kind, actor) in [
        (ThreadEntryKind::Request, &world.leader),
        (ThreadEntryKind::Seen, &world.head),
        (ThreadEntryKind::Answer, &world.head),
        (ThreadEntryKind::Return, &world.leader),
        (ThreadEntryKind::ExtensionRequest, &world.head),
        (ThreadEntryKind::ExtensionGrant, &world.leader),
        (ThreadEntryKind::ExtensionRefusal, &world.leader),
        (ThreadEntryKind::Accept, &world.leader),
        (ThreadEntryKind::Withdraw, &world.leader),
    ] {
        world.step(kind, actor).await;
    }
    let topics = |notices: Vec<pb::Notification>| -> Vec<pb::Topic> {
        notices.iter().rev().map(pb::Notification::topic).collect()
    };
    let of_head = world.notices_of(&world.head, 6).await;
    assert_eq!(
        of_head[5].title,
        "YC-0147: yêu cầu giải trình “Giải ngân đầu tư công”"
    );
    assert!(of_head[5].body.contains("Đơn vị W1"), "{}", of_head[5].body);
    assert!(
        of_head[5].body.contains("17:00 ngày 27/11/2026"),
        "{}",
        of_head[5].body
    );
    assert_eq!(
        topics(of_head),
        [
            pb::Topic::ExplanationRequested,
            pb::Topic::ExplanationReturned,
            pb::Topic::ExplanationExtension,
            pb::Topic::ExplanationExtension,
            pb::Topic::ExplanationAccepted,
            pb::Topic::ExplanationWithdrawn,
        ]
    );
    assert_eq!(
        topics(world.notices_of(&world.leader, 2).await),
        [
            pb::Topic::ExplanationAnswered,
            pb::Topic::ExplanationExtension
        ]
    );
    for person in [&world.neighbour, &world.approver, &world.operator] {
        assert_eq!(world.notices(person).await, []);
    }
    let told: Vec<_> = world.facts::<pb::NotificationChanged>().await;
    let to_leader = told
        .iter()
        .filter(|changed| changed.person_id == world.leader);
    assert_eq!(to_leader.count(), 2);
}

#[sqlx::test]
async fn reading_marks_all_up_to_the_newest_read(db: PgPool) {
    let world = world_with(db, false).await;
    for count in 1..=3 {
        world.step(ThreadEntryKind::Request, &world.leader).await;
        world.notices_of(&world.head, count).await;
    }
    let notices = world.notices_of(&world.head, 3).await;
    let mut client = world.client();
    for _ in 0..2 {
        let request = by(&world.head, read(&notices[1].id));
        let marked = client.mark_notifications_read(request).await.unwrap();
        assert_eq!(marked.into_inner().unread, 1);
    }
    let unread = pb::ListMyNotificationsRequest {
        unread_only: true,
        ..Default::default()
    };
    let page = client
        .list_my_notifications(by(&world.head, unread))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((page.notifications.len(), page.unread), (1, 1));
    assert_eq!(page.notifications[0].id, notices[0].id);

    // Two pages, stable while new ones come.
    let mut request = pb::ListMyNotificationsRequest {
        page_size: 2,
        ..Default::default()
    };
    let first = client
        .list_my_notifications(by(&world.head, request.clone()))
        .await
        .unwrap();
    world.step(ThreadEntryKind::Request, &world.leader).await;
    world.notices_of(&world.head, 4).await;
    request.page_token = first.into_inner().next_page_token;
    let second = client
        .list_my_notifications(by(&world.head, request))
        .await
        .unwrap();
    let second = second.into_inner();
    assert_eq!(second.notifications.len(), 1);
    assert_eq!(second.notifications[0].id, notices[2].id);

    for (person, id, code) in [
        (&world.leader, notices[0].id.as_str(), Code::NotFound),
        (&world.head, &Uuid::now_v7().to_string(), Code::NotFound),
        (&world.head, "x", Code::InvalidArgument),
    ] {
        let status = client
            .mark_notifications_read(by(person, read(id)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), code);
    }
    let status = client
        .mark_notifications_read(read(&notices[0].id))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[sqlx::test]
async fn approvers_hear_of_figures_and_who_entered_one_of_its_return(db: PgPool) {
    let world = world_with(db, false).await;
    let indicator = indicators::Indicator {
        id: Uuid::now_v7().to_string(),
        name_vi: "Thu ngân sách".to_owned(),
        name_en: "Budget revenue".to_owned(),
        field_code: "T06".to_owned(),
        owner_unit_id: world.department.to_string(),
        ..Default::default()
    };
    let changed = indicators::IndicatorChanged {
        indicator: Some(indicator.clone()),
    };
    world.state("indicators", &indicator.id, &changed).await;
    let submit = async |unit: Uuid, state: indicators::SubmissionState, actor: &str| {
        let submission = indicators::Submission {
            id: Uuid::now_v7().to_string(),
            indicator_id: indicator.id.clone(),
            unit_id: unit.to_string(),
            period: Some(Period {
                code: "2026-10".to_owned(),
            }),
            state: state.into(),
            submitter_id: world.head.clone(),
            ..Default::default()
        };
        let changed = indicators::SubmissionChanged {
            submission: Some(submission.clone()),
        };
        world.state(actor, &submission.id, &changed).await;
    };
    submit(world.ward, indicators::SubmissionState::Draft, &world.head).await;
    submit(
        world.ward,
        indicators::SubmissionState::Submitted,
        &world.head,
    )
    .await;
    // The city's figure is approved by the indicator's owner.
    submit(
        world.city,
        indicators::SubmissionState::Submitted,
        &world.head,
    )
    .await;
    submit(
        world.ward,
        indicators::SubmissionState::Returned,
        &world.approver,
    )
    .await;

    let returned = world.notices_of(&world.head, 1).await;
    assert_eq!(
        returned[0].title,
        "Số liệu bị trả lại: “Thu ngân sách” kỳ 2026-10"
    );
    for person in [&world.approver, &world.department_approver] {
        let waiting = world.notices_of(person, 1).await;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].topic(), pb::Topic::Submission);
        assert_eq!(waiting[0].path, "/reporting");
    }
}

#[sqlx::test]
async fn case_officers_hear_of_feedback_routed_to_their_unit(db: PgPool) {
    let world = world_with(db, false).await;
    let routed = async |code: &str, illustrative| {
        let item = feedback::Feedback {
            id: Uuid::now_v7().to_string(),
            code: code.to_owned(),
            category_vi: "Chiếu sáng công cộng".to_owned(),
            category_en: "Street lighting".to_owned(),
            body: "Tên tôi là …".to_owned(),
            unit_id: world.ward.to_string(),
            illustrative,
            ..Default::default()
        };
        let changed = feedback::FeedbackChanged {
            feedback: Some(item.clone()),
            step: Some(feedback::FeedbackStep {
                kind: feedback::FeedbackStepKind::Routed.into(),
                ..Default::default()
            }),
        };
        world.state("feedback", &item.id, &changed).await;
    };
    routed("PA-1", true).await;
    routed("PA-2", false).await;
    let notices = world.notices_of(&world.case_officer, 1).await;
    assert_eq!(notices.len(), 1);
    assert_eq!(
        notices[0].title,
        "PA-2: phản ánh mới về Chiếu sáng công cộng"
    );
    assert!(!notices[0].body.contains("Tên tôi"));
    assert_eq!(world.notices(&world.head).await, []);
}

#[sqlx::test]
async fn who_asked_hears_that_nobody_can_answer(db: PgPool) {
    let world = world(db).await;
    let kind = ThreadEntryKind::Request;
    let id = world.step_of(world.department, kind, &world.leader).await;
    let notice = &world.notices_of(&world.leader, 1).await[0];
    assert_eq!(notice.path, format!("/explanations/{id}"));
    assert!(
        notice.title.contains("chưa có người nhận"),
        "{}",
        notice.title
    );
    // Where somebody can, only they are told.
    world.step(kind, &world.leader).await;
    world.notices_of(&world.head, 1).await;
    assert_eq!(world.notices(&world.leader).await.len(), 1);
}
