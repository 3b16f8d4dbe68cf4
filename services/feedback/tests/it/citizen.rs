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
    let cases: crate::Spoilt<pb::FileFeedbackRequest, 6> = [
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

impl World {
    async fn rate(
        &self,
        code: &str,
        rating: i32,
        comment: &str,
    ) -> Result<pb::TrackedFeedback, Status> {
        let request = pb::RateFeedbackRequest {
            request_id: request_id(),
            tracking_code: code.to_owned(),
            rating,
            comment: comment.to_owned(),
        };
        let rated = self.citizen().rate_feedback(request).await?;
        Ok(rated.into_inner())
    }

    async fn facts(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM chassis.outbox")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }
}

#[sqlx::test]
async fn a_rating_is_corrected_for_thirty_days(db: PgPool) {
    let world = world(db).await;
    let code = world.filed().await;
    let status = world.rate(&code, 5, "").await.unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::FailedPrecondition, "NOT_ANSWERED")
    );
    let item = world.item(&world.officer, &code).await;
    let answer = pb::AnswerFeedbackRequest {
        request_id: request_id(),
        id: item.id,
        etag: item.etag,
        text: "Đã thu gom sáng nay.".to_owned(),
    };
    world
        .staff()
        .answer_feedback(by(&world.officer, answer))
        .await
        .unwrap();
    let status = world.rate(&code, 6, "").await.unwrap_err();
    assert_eq!(fields(&status), ["rating"]);

    world.rate(&code, 2, "Chưa sạch.").await.unwrap();
    let facts = world.facts().await;
    world.rate(&code, 2, "Chưa sạch.").await.unwrap();
    assert_eq!(world.facts().await, facts, "nothing new was said");
    let rated = world.rate(&code, 4, "Đã sạch.").await.unwrap();
    assert_eq!(world.facts().await, facts + 1);
    assert_eq!(rated.rating, 4);
    let ratings: Vec<_> = rated
        .steps
        .iter()
        .filter(|step| step.kind() == pb::FeedbackStepKind::Rated)
        .map(|step| step.text.as_str())
        .collect();
    assert_eq!(ratings, ["Đã sạch."]);

    sqlx::query("UPDATE feedback SET answer_time = answer_time - interval '31 days'")
        .execute(&world.db)
        .await
        .unwrap();
    let status = world.rate(&code, 1, "").await.unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::FailedPrecondition, "RATING_CLOSED")
    );
    assert_eq!(world.track(&code).await.rating, 4);
}

#[sqlx::test]
async fn the_clocks_are_the_databases(db: PgPool) {
    let world = world(db).await;
    let code = world.filed().await;
    let item = world.item(&world.officer, &code).await;
    let (created, due) = (item.create_time.unwrap(), item.answer_deadline.unwrap());
    // Five working days, at the end of the last one's office hours.
    assert!(due.seconds - created.seconds > 4 * 86_400);
    assert_eq!((due.seconds + 7 * 3600) % 86_400, 17 * 3600);
    let progress = pb::ReportProgressRequest {
        request_id: request_id(),
        id: item.id,
        etag: item.etag,
        text: "Đang điều xe đến thu gom.".to_owned(),
        promise_date: "2020-01-01".to_owned(),
    };
    let status = world
        .staff()
        .report_progress(by(&world.officer, progress))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["promise_date"]);
}
