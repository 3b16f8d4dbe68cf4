use proto::{calendar::v1::Frequency, indicators::v1 as pb};
use sqlx::PgPool;
use tonic::Code;

use crate::{Setting, because, by, invalid, new_id, refused};

async fn codes(setting: &Setting, request: pb::ListIndicatorsRequest) -> (Vec<String>, String) {
    let request = by(&setting.ward_officer, request);
    let page = setting
        .indicators()
        .list_indicators(request)
        .await
        .unwrap()
        .into_inner();
    let codes = page.indicators.into_iter().map(|indicator| indicator.code);
    (codes.collect(), page.next_page_token)
}

#[sqlx::test]
async fn indicators_are_listed_by_code_in_pages(db: PgPool) {
    let setting = Setting::new(db).await;
    let list = (1..=5)
        .rev()
        .map(|n| setting.indicator(&format!("HCM.04.0{n}"), "T04", setting.finance));
    setting.define(list.collect()).await;
    let mut request = pb::ListIndicatorsRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let (codes, token) = codes(&setting, request.clone()).await;
        pages.push(codes.len());
        if token.is_empty() {
            break;
        }
        request.page_token = token;
    }
    assert_eq!(pages, [2, 2, 1]);
    let asked = pb::ListIndicatorsRequest {
        page_size: 201,
        ..Default::default()
    };
    let answer = setting
        .indicators()
        .list_indicators(by(&setting.leader, asked))
        .await;
    assert_eq!(refused(answer), invalid("page_size"));
    let asked = pb::ListIndicatorsRequest {
        page_token: "§".to_owned(),
        ..Default::default()
    };
    let answer = setting
        .indicators()
        .list_indicators(by(&setting.leader, asked))
        .await;
    assert_eq!(refused(answer), invalid("page_token"));
    let asked = pb::ListIndicatorsRequest {
        query: "a\0b".to_owned(),
        ..Default::default()
    };
    let answer = setting
        .indicators()
        .list_indicators(by(&setting.leader, asked))
        .await;
    assert_eq!(refused(answer), invalid("query"));
}

#[sqlx::test]
async fn indicators_are_found_without_marks_by_field_and_set(db: PgPool) {
    let setting = Setting::new(db).await;
    setting.two_indicators().await;
    for (query, field_code, group, found) in [
        ("giai ngan", "", "", 2),
        ("ĐẦU TƯ hcm.16", "", "", 1),
        ("hcm.16", "", "", 1),
        ("disbursed HCM.04", "", "", 1),
        ("", "T16", "", 1),
        ("", "", "GOV", 2),
        ("", "", "QD05", 0),
    ] {
        let request = pb::ListIndicatorsRequest {
            query: query.to_owned(),
            field_code: field_code.to_owned(),
            group: group.to_owned(),
            ..Default::default()
        };
        assert_eq!(
            codes(&setting, request).await.0.len(),
            found,
            "{query} {field_code} {group}"
        );
    }
}

#[sqlx::test]
async fn one_indicator_is_got_by_id_or_code(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    let get = |id: String| by(&setting.leader, pb::GetIndicatorRequest { id });
    let indicator = setting
        .indicators()
        .get_indicator(get(id))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(indicator.code, "HCM.04.03");
    assert_eq!(indicator.minimum, "0");
    assert_eq!(indicator.version, 1);
    let answer = setting
        .indicators()
        .get_indicator(get("HCM.99.99".to_owned()))
        .await;
    assert_eq!(refused(answer), because(Code::NotFound, "NOT_FOUND"));
}

#[sqlx::test]
async fn an_import_adds_corrects_and_repeats(db: PgPool) {
    let setting = Setting::new(db).await;
    let mut client = setting.indicators();
    let mut request = pb::ImportIndicatorsRequest {
        request_id: new_id(),
        indicators: vec![
            setting.indicator("A.1", "T04", setting.finance),
            setting.indicator("A.2", "T04", setting.finance),
        ],
    };
    let counts = |added, corrected| pb::ImportIndicatorsResponse { added, corrected };
    for _ in 0..2 {
        let answer = client
            .import_indicators(by(&setting.statistician, request.clone()))
            .await;
        assert_eq!(answer.unwrap().into_inner(), counts(2, 0));
    }
    request.request_id = new_id();
    let answer = client
        .import_indicators(by(&setting.statistician, request.clone()))
        .await;
    assert_eq!(
        answer.unwrap().into_inner(),
        counts(0, 0),
        "a repeat under another id"
    );
    request.indicators[1].name_en = "Renamed".to_owned();
    let answer = client
        .import_indicators(by(&setting.statistician, request.clone()))
        .await;
    assert_eq!(
        refused(answer),
        because(Code::AlreadyExists, "REQUEST_ID_REUSED")
    );
    request.request_id = new_id();
    let answer = client
        .import_indicators(by(&setting.statistician, request))
        .await;
    assert_eq!(answer.unwrap().into_inner(), counts(0, 1));
    let facts = setting.facts().await;
    assert_eq!(facts, ["civicmesh.indicators.v1.IndicatorChanged"; 3]);
}

#[sqlx::test]
async fn an_import_names_the_entry_that_is_wrong(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    setting
        .publish(&id, setting.city, &[("2026-09", "100")])
        .await;
    type Change = fn(&mut pb::Indicator);
    let wrong: [(&str, Change); 11] = [
        ("name_en", |one| one.name_en = "a\0b".to_owned()),
        ("groups", |one| one.groups = vec!["\0".to_owned()]),
        ("report_days", |one| one.report_days = 367),
        ("name_vi", |one| one.name_vi.clear()),
        ("code", |one| one.code = "HCM.16.05".to_owned()),
        ("direction", |one| one.direction = 0),
        ("kind", |one| one.kind = 77),
        ("owner_unit_id", |one| one.owner_unit_id = new_id()),
        ("minimum", |one| one.minimum = "1,5".to_owned()),
        ("maximum", |one| one.maximum = "-1".to_owned()),
        ("decimals", |one| one.decimals = 99),
    ];
    let import = async |indicators: Vec<pb::Indicator>| {
        let request = pb::ImportIndicatorsRequest {
            request_id: new_id(),
            indicators,
        };
        setting
            .indicators()
            .import_indicators(by(&setting.statistician, request))
            .await
    };
    for (field, change) in wrong {
        let first = setting.indicator("HCM.16.05", "T16", setting.health);
        let mut second = setting.indicator("HCM.16.06", "T16", setting.health);
        change(&mut second);
        let answer = import(vec![first, second]).await;
        assert_eq!(refused(answer), invalid(&format!("indicators[1].{field}")));
    }
    let mut other = setting.indicator("HCM.04.03", "T04", setting.finance);
    other.frequency = Frequency::Quarter.into();
    let answer = import(vec![other]).await;
    assert_eq!(refused(answer), invalid("indicators[0].frequency"));
    assert_eq!(refused(import(Vec::new()).await), invalid("indicators"));
}

#[sqlx::test]
async fn only_who_defines_for_the_whole_city_imports(db: PgPool) {
    let setting = Setting::new(db).await;
    let indicator = setting.indicator("A.1", "T04", setting.finance);
    for (person, reason) in [
        (&setting.leader, "PERMISSION_MISSING"),
        (&setting.finance_statistician, "OUTSIDE_SCOPE"),
    ] {
        let request = pb::ImportIndicatorsRequest {
            request_id: new_id(),
            indicators: vec![indicator.clone()],
        };
        let answer = setting
            .indicators()
            .import_indicators(by(person, request))
            .await;
        assert_eq!(refused(answer), because(Code::PermissionDenied, reason));
    }
}
