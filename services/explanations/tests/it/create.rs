use super::*;

#[sqlx::test]
async fn a_leader_asks_and_the_evidence_is_frozen(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    assert_eq!(asked.code, "YC-0001");
    assert_eq!(asked.state(), pb::ExplanationState::Sent);
    assert_eq!(asked.unit_id, world.ward.to_string());
    assert_eq!(asked.requester_name, "Nguyễn Minh Trí");
    assert_eq!(asked.field_code, "T06");
    assert!(!asked.overdue);
    let evidence = asked.evidence.as_ref().unwrap();
    assert_eq!(
        evidence.item.as_ref().unwrap().unit_id,
        asked.subject_unit_id
    );
    assert_eq!(evidence.item.as_ref().unwrap().year_to_date, "30.7");
    assert_eq!(evidence.forecast.as_ref().unwrap().method, "ets");
    assert!(evidence.freeze_time.is_some());
    assert_eq!(asked.thread.len(), 1);
    assert_eq!(asked.thread[0].kind(), pb::ThreadEntryKind::Request);
    assert_eq!(asked.thread[0].unit_id, "");

    let facts = world.facts().await;
    assert_eq!(facts.len(), 1);
    let fact = facts[0].explanation.as_ref().unwrap();
    assert_eq!(fact.id, asked.id);
    assert_eq!((&fact.evidence, fact.thread.len()), (&None, 0));
    assert_eq!(facts[0].indicator_name_en, "Public investment disbursed");
    assert_eq!(facts[0].entry, asked.thread.first().cloned());

    // The line of exactly this unit, though the board's first page is another's.
    let mut request = world.question();
    request.subject_unit_id = world.city.to_string();
    let asked = world
        .client()
        .create_explanation(by(&world.leader, request))
        .await
        .unwrap();
    let asked = asked.into_inner();
    assert_eq!(
        asked.evidence.unwrap().item.unwrap().unit_id,
        world.city.to_string()
    );
    // The city's figure is explained by the indicator's owner.
    assert_eq!(asked.unit_id, world.department.to_string());
    assert_eq!(asked.code, "YC-0002");
}

#[sqlx::test]
async fn a_repeated_request_is_answered_the_same(db: PgPool) {
    let world = world(db).await;
    let request = world.question();
    let mut client = world.client();
    let first = client
        .create_explanation(by(&world.leader, request.clone()))
        .await
        .unwrap();
    let again = client
        .create_explanation(by(&world.leader, request.clone()))
        .await
        .unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    assert_eq!(world.facts().await.len(), 1);

    let mut other = request;
    other.message = "Khác".to_owned();
    let status = client
        .create_explanation(by(&world.leader, other))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::AlreadyExists, "REQUEST_ID_REUSED")
    );
}

#[sqlx::test]
async fn one_leader_asks_about_one_figure_once_at_a_time(db: PgPool) {
    let world = world(db).await;
    let first = world.asked().await;
    let mut client = world.client();
    let status = client
        .create_explanation(by(&world.leader, world.question()))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::FailedPrecondition, "ALREADY_OPEN")
    );
    // Another leader may.
    client
        .create_explanation(by(&world.vice, world.question()))
        .await
        .unwrap();
    // And the first one again, once it is closed.
    let request = pb::WithdrawExplanationRequest {
        request_id: Uuid::now_v7().to_string(),
        id: first.id,
        etag: first.etag,
        reason: String::new(),
    };
    client
        .withdraw_explanation(by(&world.leader, request))
        .await
        .unwrap();
    world.asked().await;
}

#[sqlx::test]
async fn malformed_questions_name_their_field(db: PgPool) {
    let world = world(db).await;
    let good = world.question();
    let cases: Vec<(&str, Box<dyn Fn(&mut pb::CreateExplanationRequest)>)> = vec![
        ("request_id", Box::new(|q| q.request_id = "1".to_owned())),
        (
            "indicator_id",
            Box::new(|q| q.indicator_id = "HCM".to_owned()),
        ),
        ("subject_unit_id", Box::new(|q| q.subject_unit_id.clear())),
        ("unit_id", Box::new(|q| q.unit_id = "x".to_owned())),
        ("deadline", Box::new(|q| q.deadline = None)),
        ("deadline", Box::new(|q| q.deadline = in_days(-1))),
        ("deadline", Box::new(|q| q.deadline = in_days(61))),
        ("message", Box::new(|q| q.message = " \n".to_owned())),
        ("message", Box::new(|q| q.message = "ố".repeat(4001))),
    ];
    for (field, spoil) in cases {
        let mut question = good.clone();
        spoil(&mut question);
        let status = world
            .client()
            .create_explanation(by(&world.leader, question))
            .await
            .unwrap_err();
        assert_eq!(
            told(&status),
            refused(Code::InvalidArgument, "INVALID_FIELD")
        );
        assert_eq!(fields(&status), [field]);
    }
    let mut longest = good;
    longest.message = "ố".repeat(4000);
    world
        .client()
        .create_explanation(by(&world.leader, longest))
        .await
        .unwrap();
}

#[sqlx::test]
async fn unknown_figures_and_units_are_not_found(db: PgPool) {
    let world = world(db).await;
    let mut no_figures = world.question();
    no_figures.subject_unit_id = world.department.to_string();
    let mut no_unit = world.question();
    no_unit.subject_unit_id = Uuid::now_v7().to_string();
    let mut no_indicator = world.question();
    no_indicator.indicator_id = Uuid::now_v7().to_string();
    for question in [no_figures, no_unit, no_indicator] {
        let request = by(&world.leader, question);
        let status = world
            .client()
            .create_explanation(request)
            .await
            .unwrap_err();
        assert_eq!(told(&status), refused(Code::NotFound, "NOT_FOUND"));
    }
}

#[sqlx::test]
async fn who_may_not_ask_is_refused(db: PgPool) {
    let world = world(db).await;
    let mut client = world.client();
    let status = client
        .create_explanation(world.question())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = client
        .create_explanation(by(&world.head, world.question()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);

    // The department asks about its field in any ward, and learns nothing about figures outside of it.
    let asked = client
        .create_explanation(by(&world.department_head, world.question()))
        .await;
    assert_eq!(
        asked.unwrap().into_inner().thread[0].unit_id,
        world.department.to_string()
    );
    let mut elsewhere = world.question();
    elsewhere.indicator_id = Uuid::now_v7().to_string();
    let status = client
        .create_explanation(by(&world.department_head, elsewhere))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "OUTSIDE_SCOPE")
    );
}

#[sqlx::test]
async fn forecasting_away_is_unavailable_but_repeats_are_answered(db: PgPool) {
    let world = world(db).await;
    let question = world.question();
    let request = by(&world.leader, question.clone());
    let first = world.client().create_explanation(request).await.unwrap();

    // A second replica that cannot reach forecasting.
    let config = testing::config(&[
        "--discovery=static:forecasting=http://127.0.0.1:9",
        &format!("--objects={}", world.objects.display()),
    ]);
    let directory = world.directory.clone();
    let base = testing::base(explanations::NAME, world.db.clone(), directory, config).await;
    let alone = testing::run(explanations::server(base).unwrap()).await;
    let mut client = ExplanationServiceClient::new(alone.channel());
    let again = client
        .create_explanation(by(&world.leader, question))
        .await
        .unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    let request = by(&world.vice, world.question());
    let status = client.create_explanation(request).await.unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::Unavailable, "FORECASTING_UNAVAILABLE")
    );
}
