use super::*;

#[sqlx::test]
async fn the_citizen_reads_what_is_meant_for_citizens(db: PgPool) {
    let world = world(db).await;
    let code = world.filed().await;
    let item = world.item(&world.dispatcher, &code).await;
    let route = pb::RouteFeedbackRequest {
        request_id: request_id(),
        id: item.id,
        etag: item.etag,
        unit_id: world.department.to_string(),
        reason: "Phường né việc".to_owned(),
    };
    let routed = world
        .staff()
        .route_feedback(by(&world.dispatcher, route))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(routed.steps.last().unwrap().text, "Phường né việc");
    let reject = pb::RejectFeedbackRequest {
        request_id: request_id(),
        id: routed.id,
        etag: routed.etag,
        reason: "Đã có phản ánh khác về việc này.".to_owned(),
    };
    world
        .staff()
        .reject_feedback(by(&world.dispatcher, reject.clone()))
        .await
        .unwrap();

    let tracked = world.track(&code).await;
    assert_eq!(tracked.unit_name, "Đơn vị D-ENV");
    let steps: Vec<_> = tracked
        .steps
        .iter()
        .map(|step| (step.kind(), step.text.as_str(), step.actor_name.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            (pb::FeedbackStepKind::Received, "", ""),
            (pb::FeedbackStepKind::Routed, "", ""),
            (pb::FeedbackStepKind::Routed, "", ""),
            (pb::FeedbackStepKind::Rejected, reject.reason.as_str(), ""),
        ]
    );
}

#[sqlx::test]
async fn control_characters_are_refused_where_they_are(db: PgPool) {
    let world = world(db).await;
    let cases: [(&str, fn(&mut pb::FileFeedbackRequest)); 6] = [
        ("title", |filing| filing.title = "abc\0def".to_owned()),
        ("title", |filing| filing.title = "hai\ndòng".to_owned()),
        ("body", |filing| filing.body = "Một lỗi\0 lạ".to_owned()),
        ("address", |filing| filing.address = "\u{1b}[31m".to_owned()),
        ("category_code", |filing| {
            filing.category_code = "waste\0".to_owned();
        }),
        ("contact.name", |filing| {
            filing.contact = Some(pb::Contact {
                name: "An\0".to_owned(),
                ..Default::default()
            });
        }),
    ];
    for (field, spoil) in cases {
        let mut filing = world.filing();
        spoil(&mut filing);
        let status = world.citizen().file_feedback(filing).await.unwrap_err();
        assert_eq!(
            told(&status),
            refused(Code::InvalidArgument, "INVALID_FIELD")
        );
        assert_eq!(fields(&status), [field]);
    }
    let mut filing = world.filing();
    filing.body = "Dòng một,\r\n\tdòng hai.".to_owned();
    world.citizen().file_feedback(filing).await.unwrap();
}
