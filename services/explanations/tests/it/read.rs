use super::*;

#[sqlx::test]
async fn the_units_first_reader_makes_it_seen_once(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    // The requester's own reading does not count, nor another leader's.
    world.read(&world.leader, &asked.id).await.unwrap();
    let unseen = world.read(&world.vice, &asked.id).await.unwrap();
    assert_eq!(unseen.state(), pb::ExplanationState::Sent);

    let seen = world.read(&world.head, &asked.id).await.unwrap();
    assert_eq!(seen.state(), pb::ExplanationState::Seen);
    assert_eq!(seen.thread.len(), 2);
    assert_eq!(seen.thread[1].kind(), pb::ThreadEntryKind::Seen);
    assert_eq!(seen.thread[1].actor_name, "Đặng Hồng Nhung");
    assert_eq!(seen.thread[1].unit_id, world.ward.to_string());
    // A leader with the request on screen may still decide.
    assert_eq!(seen.etag, asked.etag);

    let again = world.read(&world.officer, &asked.id).await.unwrap();
    assert_eq!(again.thread.len(), 2);
    assert_eq!(world.facts().await.len(), 2);
}

#[sqlx::test]
async fn two_first_readers_at_once_are_one(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let (a, b) = tokio::join!(
        world.read(&world.head, &asked.id),
        world.read(&world.officer, &asked.id)
    );
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(world.facts().await.len(), 2);
}

#[sqlx::test]
async fn others_see_nothing(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let status = world.read(&world.neighbour, &asked.id).await.unwrap_err();
    assert_eq!(told(&status), refused(Code::NotFound, "NOT_FOUND"));
    let list = |person: &str| {
        let request = by(person, pb::ListExplanationsRequest::default());
        let mut client = world.client();
        async move {
            let page = client.list_explanations(request).await.unwrap();
            page.into_inner().explanations
        }
    };
    assert_eq!(list(&world.neighbour).await, []);
    let line = &list(&world.head).await[0];
    assert_eq!(line.id, asked.id);
    assert_eq!(line.thread, []);
    let evidence = line.evidence.as_ref().unwrap();
    assert!(evidence.item.is_some() && evidence.forecast.is_none());
    let whole = world.read(&world.leader, &asked.id).await.unwrap();
    assert!(whole.evidence.unwrap().forecast.is_some());
    // The department in charge of the field sees every ward's.
    assert_eq!(list(&world.department_head).await.len(), 1);

    let unknown = world.read(&world.leader, &Uuid::now_v7().to_string()).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    let malformed = world.read(&world.leader, "x").await.unwrap_err();
    assert_eq!(fields(&malformed), ["id"]);
}

#[sqlx::test]
async fn lists_go_from_the_next_deadline_to_the_last_closed(db: PgPool) {
    let world = world(db).await;
    // Straight into the table: a deadline in the past cannot be asked for.
    for (number, state, days) in [
        (1, "SENT", 9),
        (2, "ACCEPTED", -5),
        (3, "RETURNED", -1),
        (4, "WITHDRAWN", -3),
        (5, "ANSWERED", -2),
    ] {
        sqlx::query(
            "INSERT INTO explanation (id, number, indicator_id, indicator_name_vi, indicator_name_en,
                subject_unit_id, unit_id, field_code, state, requester_id, requester_name, message, deadline,
                evidence, forecast, update_time)
            VALUES ($1, $2, $3, '', '', $4, $4, 'T06', $5, $6, '', '', now() + make_interval(days => $7), '', '',
                now() + make_interval(days => $7))",
        )
        .bind(Uuid::now_v7())
        .bind(i64::from(number))
        .bind(Uuid::now_v7())
        .bind(world.ward)
        .bind(state)
        .bind(world.leader.parse::<Uuid>().unwrap())
        .bind(days)
        .execute(&world.db)
        .await
        .unwrap();
    }
    let mut pages = Vec::new();
    let mut request = pb::ListExplanationsRequest {
        page_size: 2,
        ..Default::default()
    };
    loop {
        let page = world
            .client()
            .list_explanations(by(&world.head, request.clone()))
            .await;
        let page = page.unwrap().into_inner();
        let codes: Vec<_> = page
            .explanations
            .iter()
            .map(|line| (line.code.clone(), line.overdue))
            .collect();
        pages.push(codes);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let line = |code: &str, overdue| (code.to_owned(), overdue);
    // An answer that is in is never overdue.
    assert_eq!(
        pages,
        [
            vec![line("YC-0005", false), line("YC-0003", true)],
            vec![line("YC-0001", false), line("YC-0004", false)],
            vec![line("YC-0002", false)],
        ]
    );
    let open = pb::ListExplanationsRequest {
        open_only: true,
        unit_id: world.ward.to_string(),
        ..Default::default()
    };
    let open = world
        .client()
        .list_explanations(by(&world.head, open))
        .await
        .unwrap();
    assert_eq!(open.into_inner().explanations.len(), 3);

    for (field, request) in [
        (
            "page_size",
            pb::ListExplanationsRequest {
                page_size: 201,
                ..Default::default()
            },
        ),
        (
            "page_token",
            pb::ListExplanationsRequest {
                page_token: "x".to_owned(),
                ..Default::default()
            },
        ),
        (
            "unit_id",
            pb::ListExplanationsRequest {
                unit_id: "x".to_owned(),
                ..Default::default()
            },
        ),
    ] {
        let status = world
            .client()
            .list_explanations(by(&world.head, request))
            .await
            .unwrap_err();
        assert_eq!(fields(&status), [field]);
    }
}

#[sqlx::test]
async fn deadlines_are_proposed_in_working_days(db: PgPool) {
    let world = world(db).await;
    let request = by(&world.head, pb::ListDeadlinesRequest {});
    let deadlines = world
        .client()
        .list_deadlines(request)
        .await
        .unwrap()
        .into_inner()
        .deadlines;
    let days: Vec<_> = deadlines
        .iter()
        .map(|deadline| deadline.working_days)
        .collect();
    assert_eq!(days, [1, 3, 5, 10]);
    for pair in deadlines.windows(2) {
        assert!(pair[0].deadline.unwrap().seconds < pair[1].deadline.unwrap().seconds);
    }
    let holidays: i64 =
        sqlx::query_scalar("SELECT count(*) FROM chassis.holiday WHERE date >= '2025-01-01'")
            .fetch_one(&world.db)
            .await
            .unwrap();
    assert!(holidays > 30);
}

#[sqlx::test]
async fn closed_requests_are_listed_by_every_right_to_see_them(db: PgPool) {
    let world = world(db).await;
    let (elsewhere, indicator) = (Uuid::now_v7(), Uuid::now_v7());
    let leader = world.leader.parse::<Uuid>().unwrap();
    // Asked of, about, in a field: one of each is of the ward, of the department's field, or of the leader.
    for (number, unit, subject, field, requester) in [
        (1, world.ward, elsewhere, "T01", elsewhere),
        (2, elsewhere, world.ward, "T01", elsewhere),
        (3, world.ward, world.ward, "T06", leader),
        (4, elsewhere, elsewhere, "T06", elsewhere),
        (5, elsewhere, elsewhere, "T01", elsewhere),
    ] {
        sqlx::query(
            "INSERT INTO explanation (id, number, indicator_id, indicator_name_vi, indicator_name_en,
                subject_unit_id, unit_id, field_code, state, requester_id, requester_name, message, deadline,
                evidence, forecast, update_time)
            VALUES ($1, $2, $3, '', '', $4, $5, $6, 'ACCEPTED', $7, '', '', now(), '', '',
                now() - make_interval(days => $2::integer))",
        )
        .bind(Uuid::now_v7())
        .bind(i64::from(number))
        .bind(if number == 1 { indicator } else { Uuid::now_v7() })
        .bind(subject)
        .bind(unit)
        .bind(field)
        .bind(requester)
        .execute(&world.db)
        .await
        .unwrap();
    }
    let list = pb::ListExplanationsRequest::default;
    let of_ward = pb::ListExplanationsRequest {
        unit_id: world.ward.to_string(),
        ..list()
    };
    let of_indicator = pb::ListExplanationsRequest {
        indicator_id: indicator.to_string(),
        ..list()
    };
    for (person, request, expected) in [
        (&world.head, list(), vec![1, 2, 3]),
        (&world.department_head, list(), vec![3, 4]),
        (&world.leader, list(), vec![1, 2, 3, 4, 5]),
        (&world.neighbour, list(), vec![]),
        (&world.head, of_ward.clone(), vec![1, 3]),
        (&world.department_head, of_ward, vec![3]),
        (&world.leader, of_indicator.clone(), vec![1]),
        (&world.department_head, of_indicator, vec![]),
    ] {
        let mut request = request;
        request.page_size = 2;
        let mut codes = Vec::new();
        loop {
            let page = world
                .client()
                .list_explanations(by(person, request.clone()))
                .await;
            let page = page.unwrap().into_inner();
            codes.extend(page.explanations.into_iter().map(|line| line.code));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let expected: Vec<_> = expected.iter().map(|n| format!("YC-{n:04}")).collect();
        assert_eq!(codes, expected);
    }
}

#[sqlx::test]
async fn a_page_costs_what_is_on_it_however_much_there_is(db: PgPool) {
    let world = world(db).await;
    sqlx::query(
        "INSERT INTO explanation (id, indicator_id, indicator_name_vi, indicator_name_en, subject_unit_id, unit_id,
            field_code, state, requester_id, requester_name, message, deadline, evidence, forecast, update_time)
        SELECT gen_random_uuid(), gen_random_uuid(), '', '', ward, ward, 'T06',
            CASE WHEN n % 400 = 0 THEN 'SENT' ELSE 'ACCEPTED' END, gen_random_uuid(), '', '',
            now() - make_interval(hours => n), '', '', now() - make_interval(hours => n)
        FROM (SELECT n, CASE WHEN n % 20 = 0 THEN $1 ELSE gen_random_uuid() END AS ward
            FROM generate_series(1, 40000) AS n) AS a",
    )
    .bind(world.ward)
    .execute(&world.db)
    .await
    .unwrap();
    sqlx::query("ANALYZE").execute(&world.db).await.unwrap();
    for person in [&world.leader, &world.head] {
        let mut request = pb::ListExplanationsRequest {
            page_size: 50,
            ..Default::default()
        };
        // Open ones, then closed ones.
        for _ in 0..3 {
            let mut client = world.client();
            let call = client.list_explanations(by(person, request.clone()));
            let (rows, page) = testing::rows_read(&world.db, call).await;
            let page = page.unwrap().into_inner();
            assert_eq!(page.explanations.len(), 50);
            assert!((50..1000).contains(&rows), "{rows} rows");
            request.page_token = page.next_page_token;
        }
    }
}
