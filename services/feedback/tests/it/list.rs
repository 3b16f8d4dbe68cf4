use super::*;

#[sqlx::test]
async fn what_cannot_be_looked_for_is_named(db: PgPool) {
    let world = world(db).await;
    let mut staff = world.staff();
    let never = Some(prost_types::Timestamp {
        seconds: 8_210_266_876_799,
        nanos: 0,
    });
    let counted = pb::GetFeedbackStatisticsRequest {
        from: never,
        ..Default::default()
    };
    let status = staff
        .get_feedback_statistics(by(&world.officer, counted))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["from"]);
    let map = pb::GetFeedbackHeatMapRequest {
        category_code: "waste\0".to_owned(),
        ..Default::default()
    };
    let status = staff
        .get_feedback_heat_map(by(&world.officer, map))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["category_code"]);
    let cases: crate::Spoilt<pb::ListFeedbackRequest, 4> = [
        ("states", |list| list.states = vec![1, 77]),
        ("timeliness", |list| list.timeliness = 77),
        ("query", |list| list.query = "rác\0".to_owned()),
        ("field_code", |list| list.field_code = "\0".to_owned()),
    ];
    for (field, spoil) in cases {
        let mut list = pb::ListFeedbackRequest::default();
        spoil(&mut list);
        let status = staff
            .list_feedback(by(&world.officer, list))
            .await
            .unwrap_err();
        assert_eq!(fields(&status), [field]);
    }
    let list = pb::ListFeedbackRequest {
        from: never,
        ..Default::default()
    };
    let status = staff
        .list_feedback(by(&world.officer, list))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["from"]);
}

/// Items of all states, places and ages, some answered late; straight into the table, for they must be of the past.
async fn fill(world: &World, count: i32) {
    sqlx::query(
        "INSERT INTO feedback (id, tracking_code, category_code, field_code, title, body, folded, longitude, latitude,
            address, place_unit_id, unit_id, channel, state, create_time, route_deadline, route_time, answer_deadline,
            answer_time, list_key)
        SELECT gen_random_uuid(), n::text, 'waste', CASE WHEN n % 3 = 0 THEN 'T06' ELSE 'T07' END, 'Rác ' || n, '',
            'rac ' || n, 106.5, 10.5, '', CASE WHEN n % 5 = 0 THEN $1 ELSE $2 END,
            CASE WHEN n % 4 = 0 THEN $1 WHEN n % 4 = 1 THEN $3 ELSE $2 END, 'web',
            CASE WHEN answer IS NULL THEN 'routed' WHEN n % 2 = 0 THEN 'answered' ELSE 'rejected' END, start, start,
            start, due, answer,
            CASE WHEN answer IS NULL THEN extract(epoch FROM due)::bigint
                ELSE 20000000000 - extract(epoch FROM answer)::bigint END
        FROM (SELECT n, start, start + interval '7 days' AS due,
                CASE WHEN n % 7 = 0 THEN NULL ELSE start + make_interval(days => n % 11) END AS answer
            FROM (SELECT n, now() - make_interval(hours => n) AS start FROM generate_series(1, $4) AS n) AS a) AS b",
    )
    .bind(world.ward)
    .bind(Uuid::now_v7())
    .bind(world.department)
    .bind(count)
    .execute(&world.db)
    .await
    .unwrap();
}

impl World {
    /// The titles of all pages.
    async fn titles(&self, person: &str, list: &pb::ListFeedbackRequest) -> Vec<String> {
        let mut request = pb::ListFeedbackRequest {
            page_size: 60,
            ..list.clone()
        };
        let mut titles = Vec::new();
        loop {
            let page = self
                .staff()
                .list_feedback(by(person, request.clone()))
                .await;
            let page = page.unwrap().into_inner();
            titles.extend(page.feedback.into_iter().map(|item| item.title));
            if page.next_page_token.is_empty() {
                return titles;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// What a condition selects, in the order of lists.
    async fn selected(&self, condition: &str) -> Vec<String> {
        let query = format!("SELECT title FROM feedback WHERE {condition} ORDER BY list_key, id");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&self.db)
            .await
            .unwrap()
    }
}

#[sqlx::test]
async fn every_filter_selects_within_the_scope(db: PgPool) {
    let world = world(db).await;
    fill(&world, 400).await;
    let (ward, department) = (world.ward, world.department);
    let of_ward = format!("(unit_id = '{ward}' OR place_unit_id = '{ward}')");
    let late = "COALESCE(answer_time, now()) > answer_deadline";
    let list = pb::ListFeedbackRequest::default;
    let day = chrono::Utc::now().timestamp() - 5 * 86_400;
    let states = |states: &[pb::FeedbackState]| pb::ListFeedbackRequest {
        states: states.iter().map(|state| (*state).into()).collect(),
        ..list()
    };
    let cases = [
        (list(), "true".to_owned()),
        (
            pb::ListFeedbackRequest {
                unit_id: department.to_string(),
                ..list()
            },
            format!("unit_id = '{department}'"),
        ),
        (
            pb::ListFeedbackRequest {
                place_unit_id: ward.to_string(),
                ..list()
            },
            format!("place_unit_id = '{ward}'"),
        ),
        (
            pb::ListFeedbackRequest {
                field_code: "T06".to_owned(),
                ..list()
            },
            "field_code = 'T06'".to_owned(),
        ),
        (
            states(&[pb::FeedbackState::Routed]),
            "state = 'routed'".to_owned(),
        ),
        (
            states(&[pb::FeedbackState::Answered]),
            "state = 'answered'".to_owned(),
        ),
        (
            states(&[pb::FeedbackState::Routed, pb::FeedbackState::Rejected]),
            "state IN ('routed', 'rejected')".to_owned(),
        ),
        (
            pb::ListFeedbackRequest {
                timeliness: pb::Timeliness::Late.into(),
                ..list()
            },
            late.to_owned(),
        ),
        (
            pb::ListFeedbackRequest {
                timeliness: pb::Timeliness::DueSoon.into(),
                ..list()
            },
            "answer_time IS NULL AND answer_deadline BETWEEN now() AND now() + interval '1 day'"
                .to_owned(),
        ),
        (
            pb::ListFeedbackRequest {
                timeliness: pb::Timeliness::OnTime.into(),
                ..list()
            },
            format!(
                "NOT {late} AND (answer_time IS NOT NULL OR answer_deadline >= now() + interval '1 day')"
            ),
        ),
        (
            pb::ListFeedbackRequest {
                from: Some(prost_types::Timestamp {
                    seconds: day,
                    nanos: 0,
                }),
                ..list()
            },
            format!("create_time >= to_timestamp({day})"),
        ),
        (
            pb::ListFeedbackRequest {
                query: "Rác 77".to_owned(),
                ..list()
            },
            "title = 'Rác 77'".to_owned(),
        ),
    ];
    for (request, condition) in cases {
        let all = world.selected(&condition).await;
        assert!(!all.is_empty(), "{condition}");
        assert_eq!(world.titles(&world.dispatcher, &request).await, all);
        let own = world.selected(&format!("{condition} AND {of_ward}")).await;
        assert_eq!(world.titles(&world.officer, &request).await, own);
    }
}

#[sqlx::test]
async fn a_page_costs_what_is_on_it_however_much_there_is(db: PgPool) {
    let world = world(db).await;
    fill(&world, 20_000).await;
    sqlx::query("ANALYZE").execute(&world.db).await.unwrap();
    let page = |state: pb::FeedbackState| pb::ListFeedbackRequest {
        page_size: 50,
        states: vec![state.into()],
        ..Default::default()
    };
    for person in [&world.dispatcher, &world.officer] {
        for state in [pb::FeedbackState::Routed, pb::FeedbackState::Answered] {
            let mut request = page(state);
            for _ in 0..2 {
                let mut staff = world.staff();
                let call = staff.list_feedback(by(person, request.clone()));
                let (rows, page) = testing::rows_read(&world.db, call).await;
                let page = page.unwrap().into_inner();
                assert_eq!(page.feedback.len(), 50);
                assert!((50..4000).contains(&rows), "{rows} rows for {state:?}");
                request.page_token = page.next_page_token;
            }
        }
    }
}
