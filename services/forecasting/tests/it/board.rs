use chassis::{calendar::city_date, testing};
use chrono::Utc;
use proto::{
    forecasting::v1::{self as pb, RiskStatus},
    indicators::v1::{Direction, Target, TargetAuthor},
};
use sqlx::PgPool;

use crate::{Setting, about_hundred, by, indicator, invalid, refused, target, this_month};

/// A red of Finance, a green of Health, a grey of Finance, a green of the ward in the field of Health, a late one of
/// the ward.
async fn five(db: PgPool) -> Setting {
    let setting = Setting::new(db).await;
    let (city, ward, finance) = (setting.city, setting.ward, setting.finance);
    let lines = [
        ("1 GREY", "T04", city, "1", 0),
        ("2 GREEN", "T16", city, "900", 0),
        ("3 RED", "T04", city, "1500", 0),
        ("4 GREEN", "T16", ward, "900", 0),
        ("5 LATE", "T04", ward, "900", 4),
    ];
    for (code, field, unit, value, late) in lines {
        let mut indicator = indicator(code, field, if field == "T04" { finance } else { city });
        if code == "1 GREY" {
            indicator.direction = Direction::Context.into();
        }
        let figures = about_hundred(&indicator, unit, 36, late);
        setting
            .feed(&indicator, &[target(&indicator, unit, value)], &figures)
            .await;
        setting.assessed(&indicator, unit).await;
    }
    setting
}

/// The codes listed, page by page.
async fn codes(setting: &Setting, person: &str, request: pb::ListRiskItemsRequest) -> Vec<String> {
    let mut request = pb::ListRiskItemsRequest {
        page_size: 1,
        ..request
    };
    let mut codes = Vec::new();
    loop {
        let page = by(person, request.clone());
        let page = setting
            .client()
            .list_risk_items(page)
            .await
            .unwrap()
            .into_inner();
        codes.extend(
            page.items
                .into_iter()
                .map(|item| item.indicator.unwrap().code),
        );
        if page.next_page_token.is_empty() {
            return codes;
        }
        request.page_token = page.next_page_token;
    }
}

#[sqlx::test]
async fn red_comes_first_and_what_cannot_be_assessed_last(db: PgPool) {
    let setting = five(db).await;
    let all = codes(&setting, &setting.leader, Default::default()).await;
    assert_eq!(all[0], "3 RED");
    assert_eq!(all[3..], ["5 LATE", "1 GREY"]);
    let mut greens = all[1..3].to_vec();
    greens.sort();
    assert_eq!(greens, ["2 GREEN", "4 GREEN"]);
    let asked = pb::ListRiskItemsRequest {
        page_size: 501,
        ..Default::default()
    };
    let answer = setting
        .client()
        .list_risk_items(by(&setting.leader, asked))
        .await;
    assert_eq!(refused(answer), invalid("page_size"));
}

#[sqlx::test]
async fn the_board_is_filtered(db: PgPool) {
    let setting = five(db).await;
    let statuses = pb::ListRiskItemsRequest {
        statuses: vec![RiskStatus::Red.into(), RiskStatus::Overdue.into()],
        ..Default::default()
    };
    assert_eq!(
        codes(&setting, &setting.leader, statuses).await,
        ["3 RED", "5 LATE"]
    );
    let city_level = pb::ListRiskItemsRequest {
        city_level_only: true,
        ..Default::default()
    };
    assert_eq!(
        codes(&setting, &setting.leader, city_level).await,
        ["3 RED", "2 GREEN", "1 GREY"]
    );
    let ward = pb::ListRiskItemsRequest {
        unit_id: setting.ward.to_string(),
        field_code: "T16".to_owned(),
        ..Default::default()
    };
    assert_eq!(codes(&setting, &setting.leader, ward).await, ["4 GREEN"]);
    let owner = pb::ListRiskItemsRequest {
        unit_id: setting.finance.to_string(),
        ..Default::default()
    };
    assert_eq!(
        codes(&setting, &setting.leader, owner).await,
        ["3 RED", "1 GREY"]
    );
}

#[sqlx::test]
async fn the_board_is_filtered_by_sets_and_plans(db: PgPool) {
    let setting = Setting::new(db).await;
    let lines = [
        (
            "1 EVEN",
            &["GOV", "QD05"][..],
            TargetAuthor::Government,
            "1200",
        ),
        ("2 RED", &["GOV"], TargetAuthor::Council, "1500"),
        ("3 GREEN", &[], TargetAuthor::City, "900"),
    ];
    for (code, groups, author, value) in lines {
        let mut one = indicator(code, "T04", setting.finance);
        one.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let figures = about_hundred(&one, setting.city, 36, 0);
        let mut plan = target(&one, setting.city, value);
        plan.set_author(author);
        setting.feed(&one, &[plan], &figures).await;
        setting.assessed(&one, setting.city).await;
    }
    let year = this_month().year();
    let none: &[&str] = &[];
    for (request, found) in [
        (
            pb::ListRiskItemsRequest {
                group: "GOV".to_owned(),
                ..Default::default()
            },
            &["1 EVEN", "2 RED"][..],
        ),
        (
            pb::ListRiskItemsRequest {
                target_author: TargetAuthor::Council.into(),
                ..Default::default()
            },
            &["2 RED"],
        ),
        (
            pb::ListRiskItemsRequest {
                target_period: year.to_string(),
                group: "QD05".to_owned(),
                ..Default::default()
            },
            &["1 EVEN"],
        ),
        (
            pb::ListRiskItemsRequest {
                target_period: (year - 1).to_string(),
                ..Default::default()
            },
            none,
        ),
        (
            pb::ListRiskItemsRequest {
                decisive_only: true,
                ..Default::default()
            },
            &["1 EVEN"],
        ),
    ] {
        let mut listed = codes(&setting, &setting.leader, request.clone()).await;
        listed.sort();
        assert_eq!(listed, found, "{request:?}");
        let counted = pb::GetRiskSummaryRequest {
            group: request.group,
            target_author: request.target_author,
            target_period: request.target_period,
            decisive_only: request.decisive_only,
            ..Default::default()
        };
        let counted = by(&setting.leader, counted);
        let summary = setting.client().get_risk_summary(counted).await.unwrap();
        let count: i32 = summary
            .into_inner()
            .counts
            .iter()
            .map(|one| one.count)
            .sum();
        assert_eq!(usize::try_from(count).unwrap(), found.len());
    }
}

#[sqlx::test]
async fn what_can_be_nobodys_question_is_refused(db: PgPool) {
    let setting = Setting::new(db).await;
    let of_period = |code: &str| pb::ListRiskItemsRequest {
        target_period: code.to_owned(),
        ..Default::default()
    };
    let of_statuses = |statuses: &[i32]| pb::ListRiskItemsRequest {
        statuses: statuses.to_vec(),
        ..Default::default()
    };
    let of_field = pb::ListRiskItemsRequest {
        field_code: "\0".to_owned(),
        ..Default::default()
    };
    for (request, field) in [
        (of_field, "field_code"),
        (of_period("abc"), "target_period"),
        (of_statuses(&[RiskStatus::Red.into(), 0]), "statuses"),
        (of_statuses(&[99]), "statuses"),
        (
            pb::ListRiskItemsRequest {
                target_author: 77,
                ..Default::default()
            },
            "target_author",
        ),
    ] {
        let request = by(&setting.leader, request);
        let answer = setting.client().list_risk_items(request).await;
        assert_eq!(refused(answer), invalid(field));
    }
}

#[sqlx::test]
async fn the_board_and_its_counts_are_cut_to_the_scope(db: PgPool) {
    let setting = five(db).await;
    for (person, sees) in [
        (
            &setting.leader,
            vec!["1 GREY", "2 GREEN", "3 RED", "4 GREEN", "5 LATE"],
        ),
        (&setting.finance_head, vec!["1 GREY", "3 RED"]),
        (&setting.health_head, vec!["2 GREEN", "4 GREEN"]),
        (&setting.ward_head, vec!["4 GREEN", "5 LATE"]),
    ] {
        let mut seen = codes(&setting, person, Default::default()).await;
        seen.sort();
        assert_eq!(seen, sees);
        let request = by(person, pb::GetRiskSummaryRequest::default());
        let summary = setting
            .client()
            .get_risk_summary(request)
            .await
            .unwrap()
            .into_inner();
        let counted: i32 = summary.counts.iter().map(|count| count.count).sum();
        assert_eq!(counted as usize, sees.len());
        assert!(summary.update_time.is_some());
    }
    let request = pb::GetRiskSummaryRequest {
        city_level_only: true,
        ..Default::default()
    };
    let summary = setting
        .client()
        .get_risk_summary(by(&setting.leader, request))
        .await
        .unwrap();
    let summary = summary.into_inner();
    let counts: Vec<_> = summary
        .counts
        .iter()
        .map(|count| (count.status(), count.count))
        .collect();
    assert_eq!(
        counts,
        [
            (RiskStatus::Red, 1),
            (RiskStatus::Green, 1),
            (RiskStatus::Grey, 1)
        ]
    );
}

#[sqlx::test]
async fn who_asks_for_an_authors_targets_sees_series_judged_by_them(db: PgPool) {
    let setting = Setting::new(db).await;
    let year = this_month().year();
    let mut series = Vec::new();
    for (code, plans) in [
        ("1 COUNCIL", &[(TargetAuthor::Council, year, "1500")][..]),
        (
            "2 BOTH",
            &[
                (TargetAuthor::Government, year, "1500"),
                (TargetAuthor::Council, year, "900"),
            ],
        ),
        (
            "3 LATER",
            &[
                (TargetAuthor::Council, year, "1500"),
                (TargetAuthor::Council, year + 1, "900"),
            ],
        ),
        ("4 NONE", &[]),
    ] {
        let field = if code == "2 BOTH" { "T16" } else { "T04" };
        let one = indicator(code, field, setting.finance);
        let figures = about_hundred(&one, setting.city, 36, 0);
        let plans: Vec<Target> = plans
            .iter()
            .map(|(author, year, value)| {
                let mut plan = target(&one, setting.city, value);
                plan.set_author(*author);
                plan.period = Some(proto::calendar::v1::Period {
                    code: year.to_string(),
                });
                plan
            })
            .collect();
        setting.feed(&one, &plans, &figures).await;
        setting.assessed(&one, setting.city).await;
        series.push(one);
    }
    let ask = |author: TargetAuthor, period: i32| pb::ListRiskItemsRequest {
        target_author: author.into(),
        target_period: if period > 0 {
            period.to_string()
        } else {
            String::new()
        },
        page_size: 1,
        ..Default::default()
    };
    let (council, government) = (TargetAuthor::Council, TargetAuthor::Government);
    let red = pb::RiskStatus::Red;
    let green = pb::RiskStatus::Green;
    for (request, expected) in [
        (
            ask(council, 0),
            &[("1 COUNCIL", red), ("2 BOTH", green), ("3 LATER", red)][..],
        ),
        (
            ask(council, year),
            &[("1 COUNCIL", red), ("2 BOTH", green), ("3 LATER", red)],
        ),
        (ask(government, 0), &[("2 BOTH", red)]),
        (
            ask(TargetAuthor::Unspecified, year),
            &[("1 COUNCIL", red), ("2 BOTH", red), ("3 LATER", red)],
        ),
        (ask(council, year + 1), &[("3 LATER", green)]),
        (ask(government, year + 1), &[]),
    ] {
        let mut all = Vec::new();
        let mut next = request.clone();
        loop {
            let mut client = setting.client();
            let page = client
                .list_risk_items(by(&setting.leader, next.clone()))
                .await;
            let page = page.unwrap().into_inner();
            all.extend(page.items);
            if page.next_page_token.is_empty() {
                break;
            }
            next.page_token = page.next_page_token;
        }
        assert!(
            all.is_sorted_by_key(|item| item.status != i32::from(red)),
            "red first"
        );
        for item in &all {
            let line = item.assessment.as_ref().unwrap();
            let target = line.target.as_ref().unwrap();
            assert_eq!(line.status, item.status);
            assert!(
                [0, target.author].contains(&request.target_author),
                "{item:?}"
            );
        }
        let mut found: Vec<(&str, pb::RiskStatus)> = all
            .iter()
            .map(|item| {
                (
                    item.indicator.as_ref().unwrap().code.as_str(),
                    item.status(),
                )
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{request:?}");
        let counted = pb::GetRiskSummaryRequest {
            target_author: request.target_author,
            target_period: request.target_period.clone(),
            ..Default::default()
        };
        let summary = setting
            .client()
            .get_risk_summary(by(&setting.leader, counted))
            .await;
        let counts = summary.unwrap().into_inner().counts;
        let of = |status| expected.iter().filter(|(_, one)| *one == status).count();
        for status in [red, green] {
            let count = counts
                .iter()
                .find(|one| one.status() == status)
                .map_or(0, |one| one.count);
            assert_eq!(usize::try_from(count).unwrap(), of(status), "{status:?}");
        }
        // Departments see those they own or of their field this way, too; a ward sees none of the city's.
        let of_field = expected.iter().filter(|(code, _)| *code == "2 BOTH");
        for (person, count) in [
            (&setting.finance_head, expected.len()),
            (&setting.health_head, of_field.count()),
            (&setting.ward_head, 0),
        ] {
            let request = pb::ListRiskItemsRequest {
                page_size: 10,
                ..request.clone()
            };
            let page = setting.client().list_risk_items(by(person, request)).await;
            assert_eq!(page.unwrap().into_inner().items.len(), count);
        }
    }

    // A target that leaves the line as it is is news all the same: a board of its author's may be open.
    let [_, both, ..] = &series[..] else {
        unreachable!("four series");
    };
    let mut plan = target(both, setting.city, "910");
    plan.set_author(TargetAuthor::City);
    let before = setting.facts().await;
    setting.feed(both, &[plan], &[]).await;
    setting.is_settled().await;
    assert_eq!(setting.facts().await, before + 1);
}

#[sqlx::test]
async fn a_page_costs_what_is_on_it_however_much_there_is(db: PgPool) {
    let setting = Setting::new(db).await;
    // 200 indicators of 200 units: the city, a ward, others; Health has one of 40 fields, few are in a set, are judged by
    // the council's targets or decided by the next figure.
    sqlx::query(
        "INSERT INTO assessment (indicator_id, unit_id, responsible_unit_id, field_code, is_local, status, status_rank,
            probability_rank, gap_rank, thresholds_version, city_date, update_time, forecast, item, is_hindcast,
            model_version, groups, target_author, target_period, is_decisive)
        SELECT indicator, unit, unit, 'T' || n % 40, u > 1, 1, n % 3 + 1, n * u, n, 1, $3, now(), '', '', true, 32767,
            CASE WHEN n = 1 THEN ARRAY['GOV'] ELSE '{}' END, CASE WHEN n = 2 THEN $4::smallint ELSE 1 END,
            CASE WHEN n = 3 THEN '2030' ELSE '2026' END, n = 4
        FROM (SELECT n, gen_random_uuid() AS indicator FROM generate_series(1, 200) AS n) AS a,
            (SELECT u, CASE u WHEN 1 THEN $1 WHEN 2 THEN $2 ELSE gen_random_uuid() END AS unit
            FROM generate_series(1, 200) AS u) AS b",
    )
    .bind(setting.city)
    .bind(setting.ward)
    .bind(city_date(Utc::now()))
    .bind(i16::try_from(i32::from(TargetAuthor::Council)).unwrap())
    .execute(&setting.db)
    .await
    .unwrap();
    sqlx::query("ANALYZE").execute(&setting.db).await.unwrap();
    let whole = pb::ListRiskItemsRequest {
        page_size: 50,
        ..Default::default()
    };
    let filtered = |change: &dyn Fn(&mut pb::ListRiskItemsRequest)| {
        let mut request = whole.clone();
        change(&mut request);
        request
    };
    let of_leader = [
        (200, whole.clone()),
        (200, filtered(&|one| one.city_level_only = true)),
        (
            200,
            filtered(&|one| one.statuses = vec![RiskStatus::Green.into()]),
        ),
        (800, filtered(&|one| one.unit_id = setting.ward.to_string())),
        (200, filtered(&|one| one.field_code = "T16".to_owned())),
        (800, filtered(&|one| one.group = "GOV".to_owned())),
        (
            800,
            filtered(&|one| one.set_target_author(TargetAuthor::Council)),
        ),
        (800, filtered(&|one| one.target_period = "2030".to_owned())),
        (200, filtered(&|one| one.decisive_only = true)),
    ];
    let of_others = [
        (&setting.ward_head, 800, whole.clone()),
        // All lines of its field and of its units are sorted.
        (&setting.health_head, 6_000, whole.clone()),
        (
            &setting.health_head,
            6_000,
            filtered(&|one| one.set_target_author(TargetAuthor::Council)),
        ),
    ];
    let of_leader = of_leader.map(|(most, request)| (&setting.leader, most, request));
    for (person, most, mut request) in of_leader.into_iter().chain(of_others) {
        for _ in 0..2 {
            let mut client = setting.client();
            let call = client.list_risk_items(by(person, request.clone()));
            let (rows, page) = testing::rows_read(&setting.db, call).await;
            let page = page.unwrap().into_inner();
            assert!(rows < most, "{rows} rows for {request:?}");
            request.page_token = page.next_page_token;
        }
    }
}
