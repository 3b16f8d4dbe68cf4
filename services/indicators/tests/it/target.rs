use proto::indicators::v1 as pb;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::{Setting, because, by, invalid, new_id, period, refused};

pub fn target(indicator: &str, unit: Uuid, value: &str) -> pb::Target {
    pb::Target {
        indicator_id: indicator.to_owned(),
        unit_id: unit.to_string(),
        period: period("2026"),
        author: pb::TargetAuthor::City.into(),
        kind: pb::TargetKind::Base.into(),
        comparator: pb::Comparator::AtLeast.into(),
        value: value.to_owned(),
        ..Default::default()
    }
}

pub fn set(target: pb::Target) -> pb::SetTargetRequest {
    pb::SetTargetRequest {
        request_id: new_id(),
        target: Some(target),
        ..Default::default()
    }
}

fn over(etag: &str, target: pb::Target) -> pb::SetTargetRequest {
    pb::SetTargetRequest {
        etag: etag.to_owned(),
        ..set(target)
    }
}

#[sqlx::test]
async fn a_target_gets_versions_and_a_repeat_the_first_answer(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    let mut client = setting.targets();
    let request = set(target(&id, setting.city, "148000"));
    let first = client
        .set_target(by(&setting.statistician, request.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((first.version, first.value.as_str()), (1, "148000"));
    let second = over("1", target(&id, setting.city, "150000.5"));
    let second = client
        .set_target(by(&setting.statistician, second))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((second.version, &second.id), (2, &first.id));
    let again = client
        .set_target(by(&setting.statistician, request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, first, "a repeated request_id");
    let same = over("2", target(&id, setting.city, "150000.50"));
    let same = client
        .set_target(by(&setting.statistician, same))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(same.version, 2, "the same value is no new version");
    let facts = setting.facts().await;
    assert_eq!(
        facts
            .iter()
            .filter(|fact| fact.ends_with("TargetSet"))
            .count(),
        2
    );
    let versions: i64 = sqlx::query_scalar("SELECT count(*) FROM target_version")
        .fetch_one(&setting.db)
        .await
        .unwrap();
    assert_eq!(versions, 2);
}

#[sqlx::test]
async fn a_target_is_set_over_what_was_read(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    let one = || target(&id, setting.city, "1");
    let two = || target(&id, setting.city, "2");
    for (request, is_set) in [
        (over("1", one()), false),
        (set(one()), true),
        (set(two()), false),
        (set(one()), false),
        (over("2", two()), false),
        (over("1", two()), true),
        (over("1", one()), false),
    ] {
        let answer = setting
            .targets()
            .set_target(by(&setting.statistician, request.clone()))
            .await;
        if is_set {
            answer.unwrap();
        } else {
            assert_eq!(
                refused(answer),
                because(Code::Aborted, "ETAG_MISMATCH"),
                "{request:?}"
            );
        }
    }
    let versions: i64 = sqlx::query_scalar("SELECT count(*) FROM target_version")
        .fetch_one(&setting.db)
        .await
        .unwrap();
    assert_eq!(versions, 2);
}

#[sqlx::test]
async fn a_target_that_is_wrong_is_refused_with_its_field(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, _) = setting.two_indicators().await;
    type Change = fn(&mut pb::Target);
    let wrong: [(&str, Change); 8] = [
        ("target.value", |one| one.value = "8,03".to_owned()),
        ("target.author", |one| one.author = 0),
        ("target.kind", |one| one.kind = 0),
        ("target.comparator", |one| one.comparator = 0),
        ("target.upper_value", |one| one.upper_value = "9".to_owned()),
        ("target.upper_value", |one| {
            one.comparator = pb::Comparator::Within.into()
        }),
        ("target.period", |one| one.period = period("2026-13")),
        ("target.unit_id", |one| one.unit_id = new_id()),
    ];
    for (field, change) in wrong {
        let mut target = target(&id, setting.city, "10");
        change(&mut target);
        let answer = setting
            .targets()
            .set_target(by(&setting.statistician, set(target)))
            .await;
        assert_eq!(refused(answer), invalid(field));
    }
    let unknown = set(target(&new_id(), setting.city, "10"));
    let answer = setting
        .targets()
        .set_target(by(&setting.statistician, unknown))
        .await;
    assert_eq!(refused(answer), because(Code::NotFound, "NOT_FOUND"));
    let mut none = set(target(&id, setting.city, "10"));
    none.target = None;
    let answer = setting
        .targets()
        .set_target(by(&setting.statistician, none))
        .await;
    assert_eq!(refused(answer), invalid("target"));
}

#[sqlx::test]
async fn an_import_is_all_or_nothing_and_repeats(db: PgPool) {
    let setting = Setting::new(db).await;
    let (id, other) = setting.two_indicators().await;
    let import = async |targets: Vec<pb::Target>| {
        let request = pb::ImportTargetsRequest {
            request_id: new_id(),
            targets,
        };
        setting
            .targets()
            .import_targets(by(&setting.statistician, request))
            .await
    };
    let good = || {
        vec![
            target(&id, setting.city, "1"),
            target(&other, setting.ward, "2"),
        ]
    };
    let mut bad = good();
    bad[1].value = "x".to_owned();
    assert_eq!(refused(import(bad).await), invalid("targets[1].value"));
    let mut bad = good();
    bad[1].indicator_id = new_id();
    assert_eq!(
        refused(import(bad).await),
        invalid("targets[1].indicator_id")
    );
    let mut bad = good();
    bad[1] = bad[0].clone();
    assert_eq!(refused(import(bad).await), invalid("targets[1].period"));
    assert_eq!(import(good()).await.unwrap().into_inner().added, 2);
    assert_eq!(import(good()).await.unwrap().into_inner().added, 0);
}

#[sqlx::test]
async fn targets_are_cut_to_the_scope(db: PgPool) {
    let setting = Setting::new(db).await;
    let (finance, health) = setting.two_indicators().await;
    for target in [
        target(&finance, setting.city, "1"),
        target(&health, setting.city, "2"),
        target(&health, setting.ward, "3"),
        target(&health, setting.other_ward, "4"),
    ] {
        setting
            .targets()
            .set_target(by(&setting.statistician, set(target)))
            .await
            .unwrap();
    }
    for (person, sees) in [
        (&setting.leader, vec!["1", "2", "3", "4"]),
        (&setting.finance_officer, vec!["1"]),
        (&setting.health_head, vec!["2", "3", "4"]),
        (&setting.ward_officer, vec!["3"]),
    ] {
        let mut values = Vec::new();
        let mut request = pb::ListTargetsRequest {
            page_size: 1,
            ..Default::default()
        };
        loop {
            let page = setting
                .targets()
                .list_targets(by(person, request.clone()))
                .await
                .unwrap()
                .into_inner();
            values.extend(page.targets.into_iter().map(|target| target.value));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        values.sort();
        assert_eq!(values, sees);
    }
    let denied = set(target(&health, setting.ward, "9"));
    let answer = setting
        .targets()
        .set_target(by(&setting.ward_officer, denied))
        .await;
    assert_eq!(refused(answer).0, Code::PermissionDenied);
}
