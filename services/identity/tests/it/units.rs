//! `DirectoryService`.

use std::time::{Duration, Instant};

use chassis::Directory;
use proto::identity::v1::{self as pb, UnitChangeKind, UnitKind};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{World, eventually, id, new_grant, refusal, unit};

fn merge(from: &str, to: &str, weight: &str) -> pb::UnitChange {
    pb::UnitChange {
        date: "2025-07-01".into(),
        kind: UnitChangeKind::Merge.into(),
        from_key: from.into(),
        to_key: to.into(),
        weight: weight.into(),
        basis: "area".into(),
        quality: "confirmed".into(),
    }
}

#[sqlx::test(migrations = false)]
async fn a_whole_city_is_imported_at_once_and_a_repeat_changes_nothing(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::bare(options).await;
    let token = world.service("civicmesh").await;
    let mut units = vec![unit("79", UnitKind::City)];
    let mut changes = Vec::new();
    for index in 0..2000 {
        units.push(unit(&format!("{}", 10_000 + index), UnitKind::Ward));
    }
    for index in 0..750 {
        let from = format!("{}", 10_000 + index);
        changes.push(merge(&from, &format!("{}", 11_000 + index), "0.250000"));
        changes.push(merge(&from, "11999", "0.750000"));
    }
    let mut parent_keys = vec!["79".to_owned(); units.len()];
    parent_keys[0] = String::new();
    let request = pb::ImportUnitsRequest {
        request_id: id(),
        units,
        parent_keys,
        changes,
    };

    let mut client = world.directory(&token);
    let start = Instant::now();
    let done = client
        .import_units(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!((done.added, done.corrected), (2001, 0));
    // the same request answers the same; a new one finds nothing to do
    let again = client
        .import_units(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((again.added, again.corrected), (2001, 0));
    let mut other = pb::ImportUnitsRequest {
        request_id: id(),
        ..request
    };
    let nothing = client
        .import_units(other.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((nothing.added, nothing.corrected), (0, 0));
    other.request_id = id();
    other.units[5].name_vi = "Tên mới".into();
    let one = client.import_units(other).await.unwrap().into_inner();
    assert_eq!((one.added, one.corrected), (0, 1));

    let units = world.all_units().await;
    let request = pb::ListUnitChangesRequest {
        unit_id: units["10000"].id.clone(),
    };
    let changes = client
        .list_unit_changes(request)
        .await
        .unwrap()
        .into_inner()
        .changes;
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0].weight, "0.25");
    // A unit says itself what it came from.
    for (code, count) in [("11000", 1), ("11999", 750), ("10000", 0)] {
        let request = pb::ListUnitsRequest {
            query: code.to_owned(),
            ..Default::default()
        };
        let found = client.list_units(request).await.unwrap().into_inner().units;
        let came_from = &found[0].predecessors;
        assert_eq!(came_from.len(), count, "{code}");
        if count == 1 {
            assert_eq!(came_from[0].unit_id, units["10000"].id);
            assert_eq!(came_from[0].weight, "0.25");
        }
    }
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_wrong_import_names_the_entry_and_changes_nothing(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    let mut client = world.directory(&world.service("civicmesh").await);
    let good = pb::ImportUnitsRequest {
        request_id: String::new(),
        units: vec![unit("A", UnitKind::Ward), unit("B", UnitKind::Ward)],
        parent_keys: vec!["79".into(), "79".into()],
        changes: vec![merge("A", "B", "1")],
    };
    let wrong: Vec<(&str, Box<dyn Fn(&mut pb::ImportUnitsRequest)>)> = vec![
        (
            "units[1].valid_from",
            Box::new(|r| r.units[1].valid_from = "1.7.2025".into()),
        ),
        (
            "units[1].valid_to",
            Box::new(|r| r.units[1].valid_to = "2019-01-01".into()),
        ),
        ("units[0].kind", Box::new(|r| r.units[0].kind = 0)),
        ("units[1].key", Box::new(|r| r.units[1].key = "A".into())),
        (
            "parent_keys[0]",
            Box::new(|r| r.parent_keys[0] = "nowhere".into()),
        ),
        (
            "parent_keys[0]",
            Box::new(|r| r.parent_keys = vec!["B".into(), "A".into()]),
        ),
        (
            "changes[0].weight",
            Box::new(|r| r.changes[0].weight = "0.9".into()),
        ),
        (
            "changes[0].to_key",
            Box::new(|r| r.changes[0].to_key = "nowhere".into()),
        ),
        (
            "changes[0].to_key",
            Box::new(|r| r.changes[0].to_key = "A".into()),
        ),
        (
            "changes[0].to_key",
            Box::new(|r| r.changes.push(merge("B", "A", "1"))),
        ),
        (
            "changes[0].to_key",
            Box::new(|r| r.units[1].valid_from = "2025-07-02".into()),
        ),
        (
            "changes[0].to_key",
            Box::new(|r| r.units[1].valid_to = "2025-06-30".into()),
        ),
        (
            "changes[0].weight",
            Box::new(|r| {
                let [mut one, mut other] = ["B", "79"].map(|to| merge("A", to, "0.5"));
                one.set_kind(UnitChangeKind::Rename);
                other.set_kind(UnitChangeKind::Rename);
                r.changes = vec![one, other];
            }),
        ),
        (
            "changes[0].weight",
            Box::new(|r| r.changes[0].weight = "0".into()),
        ),
        (
            "units[0].valid_from",
            Box::new(|r| r.units[0].valid_from = "0026-01-01".into()),
        ),
        (
            "units[0].valid_to",
            Box::new(|r| r.units[0].valid_to = "+10000-01-01".into()),
        ),
        (
            "changes[0].date",
            Box::new(|r| r.units[0].valid_to = "2025-07-01".into()),
        ),
        (
            "changes[1].date",
            Box::new(|r| {
                let later = pb::UnitChange {
                    date: "2026-07-01".into(),
                    ..merge("A", "79", "0.5")
                };
                r.changes = vec![merge("A", "B", "0.5"), later];
            }),
        ),
    ];
    for (field, spoil) in wrong {
        let mut request = pb::ImportUnitsRequest {
            request_id: id(),
            ..good.clone()
        };
        spoil(&mut request);
        let status = client.import_units(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        let details = tonic_types::StatusExt::get_error_details(&status);
        let named = details.bad_request().unwrap().field_violations[0]
            .field
            .clone();
        assert_eq!(named, field);
    }
    assert_eq!(world.all_units().await.len(), 3);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_told_of_an_old_unit_replaces_what_was_told_before(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    let mut client = world.directory(&world.service("civicmesh").await);
    let keys = ["A", "B", "C"];
    let mut tell = async |changes| {
        let request = pb::ImportUnitsRequest {
            request_id: id(),
            units: keys.map(|key| unit(key, UnitKind::Ward)).into(),
            parent_keys: keys.map(|_| "79".into()).into(),
            changes,
        };
        let told = client.import_units(request).await;
        let units = world.all_units().await;
        let came_from = keys.map(|key| {
            let unit = units[key].predecessors.iter();
            unit.map(|one| (one.unit_id.clone(), one.weight.clone()))
                .collect::<Vec<_>>()
        });
        (told.map(|_| ()), came_from, units["A"].id.clone())
    };
    let (told, came_from, a) = tell(vec![merge("A", "B", "1")]).await;
    told.unwrap();
    assert_eq!(came_from, [vec![], vec![(a.clone(), "1".into())], vec![]]);

    // On another day and elsewhere: once, not twice.
    let corrected = pb::UnitChange {
        date: "2026-01-01".into(),
        ..merge("A", "C", "1")
    };
    let (told, came_from, _) = tell(vec![corrected]).await;
    told.unwrap();
    assert_eq!(came_from, [vec![], vec![], vec![(a.clone(), "1".into())]]);

    // In a circle through what is stored: refused, and nothing is told.
    let (told, came_from, _) = tell(vec![merge("C", "A", "1")]).await;
    assert_eq!(told.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(came_from, [vec![], vec![], vec![(a, "1".into())]]);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_told_of_a_unit_follows_its_end(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let mut client = world.directory(&world.service("civicmesh").await);
    // A ends on this day, if any, and B begins.
    let mut tell = async |end: &str, begin: &str, changes: Vec<pb::UnitChange>| {
        let mut units = ["A", "B"].map(|key| unit(key, UnitKind::Ward));
        units[0].valid_to = end.into();
        units[1].valid_from = begin.into();
        let request = pb::ImportUnitsRequest {
            request_id: id(),
            units: units.into(),
            parent_keys: vec!["79".into(); 2],
            changes,
        };
        let told = client.import_units(request).await.map(|_| ());
        let request = pb::ListUnitChangesRequest {
            unit_id: world.all_units().await["A"].id.clone(),
        };
        let changes = client.list_unit_changes(request).await.unwrap();
        let days = changes.into_inner().changes.into_iter();
        (told, days.map(|change| change.date).collect::<Vec<_>>())
    };
    let (told, days) = tell("2025-06-30", "2025-07-01", vec![merge("A", "B", "1")]).await;
    told.unwrap();
    assert_eq!(days, ["2025-07-01"]);
    let (told, days) = tell("2025-12-31", "2025-07-01", vec![]).await;
    told.unwrap();
    assert_eq!(days, ["2026-01-01"]);
    assert_eq!(world.all_units().await["B"].predecessors.len(), 1);

    // Not to before there is what it goes into.
    for (end, begin) in [("2025-05-31", "2025-07-01"), ("2025-12-31", "2026-02-01")] {
        let (told, days) = tell(end, begin, vec![]).await;
        assert_eq!(told.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(days, ["2026-01-01"]);
    }

    // It does not end after all.
    let (told, days) = tell("", "2025-07-01", vec![]).await;
    told.unwrap();
    assert_eq!(days, [""; 0]);
    assert_eq!(world.all_units().await["B"].predecessors, []);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn units_are_listed_by_pages_and_found_without_marks(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    let mut client = world.directory(&world.service("civicmesh").await);
    let mut request = pb::ListUnitsRequest {
        page_size: 2,
        ..Default::default()
    };
    let first = client
        .list_units(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.units.len(), 2);
    request.page_token = first.next_page_token;
    let second = client.list_units(request).await.unwrap().into_inner();
    assert_eq!(
        (second.units.len(), second.next_page_token.as_str()),
        (1, "")
    );

    let request = pb::ListUnitsRequest {
        query: "ben nghe 267".into(),
        ..Default::default()
    };
    let found = client.list_units(request).await.unwrap().into_inner().units;
    assert_eq!(found.len(), 1);
    assert_eq!(
        client
            .get_unit(pb::GetUnitRequest {
                id: found[0].id.clone()
            })
            .await
            .unwrap()
            .into_inner(),
        found[0]
    );
    let unknown = client.get_unit(pb::GetUnitRequest { id: id() }).await;
    assert_eq!(refusal(unknown).0, Code::NotFound);
    let malformed = client.get_unit(pb::GetUnitRequest { id: "7".into() }).await;
    assert_eq!(refusal(malformed).0, Code::InvalidArgument);
    let unknown = client.list_units(pb::ListUnitsRequest {
        kinds: vec![77],
        ..Default::default()
    });
    assert_eq!(refusal(unknown.await).0, Code::InvalidArgument);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_unit_that_ends_ends_its_grants(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let person = world.person("head", "unit_head", &world.ward).await;
    let token = world.service("civicmesh").await;
    let mut ended = unit("26740", UnitKind::Ward);
    ended.valid_to = "2025-06-30".into();
    let request = pb::ImportUnitsRequest {
        request_id: id(),
        units: vec![ended],
        parent_keys: vec!["79".into()],
        changes: Vec::new(),
    };
    world.directory(&token).import_units(request).await.unwrap();
    let request = pb::ListGrantsRequest {
        principal_id: person,
        include_ended: true,
        ..Default::default()
    };
    let grants = world
        .accounts(&token)
        .list_grants(request.clone())
        .await
        .unwrap()
        .into_inner()
        .grants;
    assert!(grants[0].valid_to.is_some());
    let request = pb::ListGrantsRequest {
        include_ended: false,
        ..request
    };
    assert!(
        world
            .accounts(&token)
            .list_grants(request)
            .await
            .unwrap()
            .into_inner()
            .grants
            .is_empty()
    );
    let mut accounts = world.accounts(&world.token("head").await);
    let profile = accounts.get_my_profile(pb::GetMyProfileRequest {});
    assert!(profile.await.unwrap().into_inner().permissions.is_empty());
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_withdrawn_grant_ends_in_other_services_within_seconds(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    let person = world.person("head", "unit_head", &world.ward).await;
    let gateway = world.service("gateway").await;

    // another service's directory, as it follows identity
    let directory = Directory::load(None).await.unwrap();
    let shutdown = CancellationToken::new();
    let channel = tonic::service::interceptor::InterceptedService::new(
        world.channel.clone(),
        crate::Bearer(gateway),
    );
    let following = tokio::spawn(directory.clone().follow(channel, shutdown.clone()));
    let ward = world.ward.parse().unwrap();
    eventually(async || {
        directory
            .permits(&person, "indicators.approve", ward, None)
            .then_some(())
    })
    .await;

    let mut admin = world.accounts(&world.service("civicmesh").await);
    let request = pb::ListGrantsRequest {
        principal_id: person.clone(),
        ..Default::default()
    };
    let grant = admin
        .list_grants(request)
        .await
        .unwrap()
        .into_inner()
        .grants
        .remove(0);
    let request = pb::RevokeGrantRequest {
        request_id: id(),
        id: grant.id.clone(),
    };
    let start = Instant::now();
    assert!(
        admin
            .revoke_grant(request.clone())
            .await
            .unwrap()
            .into_inner()
            .revoked
    );
    eventually(async || (!directory.holds(&person, "indicators.approve")).then_some(())).await;
    eprintln!(
        "a withdrawn grant ended elsewhere after {:?}",
        start.elapsed()
    );
    // again, and a new one arrives too
    assert!(
        admin
            .revoke_grant(request)
            .await
            .unwrap()
            .into_inner()
            .revoked
    );
    admin
        .create_grant(new_grant(&person, "approver", &world.ward))
        .await
        .unwrap();
    eventually(async || directory.holds(&person, "indicators.approve").then_some(())).await;
    shutdown.cancel();
    following.await.unwrap();
    world.stop().await;
}
