//! `AccountService` and `AuditService`.

use chassis::events::{Consumer, Event};
use proto::identity::v1 as pb;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tonic::Code;
use uuid::Uuid;

use crate::{PASSWORD, World, eventually, id, new_account, new_grant, refusal};

#[sqlx::test(migrations = false)]
async fn accounts_are_created_once_and_within_the_own_units(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    world.person("admin", "unit_admin", &world.ward).await;
    let mut admin = world.accounts(&world.token("admin").await);

    let request = new_account("an.nguyen", &world.ward);
    let account = admin
        .create_account(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        admin
            .create_account(request.clone())
            .await
            .unwrap()
            .into_inner(),
        account
    );
    let reused = pb::CreateAccountRequest {
        display_name: "Other".into(),
        ..request
    };
    assert_eq!(
        refusal(admin.create_account(reused).await),
        (Code::AlreadyExists, "REQUEST_ID_REUSED".into())
    );
    let taken = admin
        .create_account(new_account("an.nguyen", &world.ward))
        .await;
    assert_eq!(refusal(taken), (Code::AlreadyExists, "LOGIN_TAKEN".into()));
    let outside = admin
        .create_account(new_account("binh", &world.health))
        .await;
    assert_eq!(
        refusal(outside),
        (Code::PermissionDenied, "OUTSIDE_SCOPE".into())
    );
    for spoiled in [
        pb::CreateAccountRequest {
            login: "An!".into(),
            ..new_account("x", &world.ward)
        },
        pb::CreateAccountRequest {
            password: "short".into(),
            ..new_account("binh", &world.ward)
        },
        pb::CreateAccountRequest {
            email: "nobody".into(),
            ..new_account("binh", &world.ward)
        },
        pb::CreateAccountRequest {
            home_unit_id: id(),
            ..new_account("binh", &world.ward)
        },
    ] {
        assert_eq!(
            refusal(admin.create_account(spoiled).await).0,
            Code::InvalidArgument
        );
    }

    assert_eq!(
        admin
            .get_account(pb::GetAccountRequest {
                id: account.id.clone()
            })
            .await
            .unwrap()
            .into_inner(),
        account
    );
    let other = world.person("doctor", "unit_head", &world.health).await;
    let hidden = admin.get_account(pb::GetAccountRequest { id: other }).await;
    assert_eq!(refusal(hidden).0, Code::NotFound);
    let listed = admin
        .list_accounts(pb::ListAccountsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .accounts;
    assert_eq!(
        listed.iter().map(|a| a.login.as_str()).collect::<Vec<_>>(),
        ["admin", "an.nguyen"]
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn nobody_grants_more_than_he_may(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let own = world.person("admin", "unit_admin", &world.ward).await;
    let clerk = world.person("clerk", "citizen", &world.ward).await;
    let mut admin = world.accounts(&world.token("admin").await);

    let grant = admin
        .create_grant(new_grant(&clerk, "reporting_officer", &world.ward))
        .await
        .unwrap()
        .into_inner();
    let exceeds = (Code::PermissionDenied, "EXCEEDS_OWN_RIGHTS".to_owned());
    for role in ["platform_admin", "city_leader", "mesh", "installer"] {
        assert_eq!(
            refusal(
                admin
                    .create_grant(new_grant(&clerk, role, &world.ward))
                    .await
            ),
            exceeds,
            "{role}"
        );
    }
    let himself = admin
        .create_grant(new_grant(&own, "reporting_officer", &world.ward))
        .await;
    assert_eq!(refusal(himself), exceeds);
    let fields = pb::CreateGrantRequest {
        field_codes: vec!["T15".into()],
        ..new_grant(&clerk, "unit_head", &world.ward)
    };
    assert_eq!(refusal(admin.create_grant(fields).await), exceeds);
    let outside = admin
        .create_grant(new_grant(&clerk, "reporting_officer", &world.city))
        .await;
    assert_eq!(
        refusal(outside),
        (Code::PermissionDenied, "OUTSIDE_SCOPE".into())
    );
    for wrong in [
        new_grant(&clerk, "emperor", &world.ward),
        new_grant(&id(), "approver", &world.ward),
        new_grant(&clerk, "approver", &id()),
    ] {
        assert_eq!(
            refusal(admin.create_grant(wrong).await).0,
            Code::InvalidArgument
        );
    }
    let mut clerk_client = world.accounts(&world.token("clerk").await);
    let missing = clerk_client
        .create_grant(new_grant(&own, "citizen", &world.ward))
        .await;
    assert_eq!(
        refusal(missing),
        (Code::PermissionDenied, "PERMISSION_MISSING".into())
    );

    let profile = clerk_client
        .get_my_profile(pb::GetMyProfileRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(
        profile
            .permissions
            .contains(&"indicators.submit".to_owned())
    );
    admin
        .revoke_grant(pb::RevokeGrantRequest {
            request_id: id(),
            id: grant.id,
        })
        .await
        .unwrap();
    let profile = clerk_client
        .get_my_profile(pb::GetMyProfileRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(profile.permissions.is_empty());
    let unknown = admin
        .revoke_grant(pb::RevokeGrantRequest {
            request_id: id(),
            id: id(),
        })
        .await;
    assert_eq!(refusal(unknown).0, Code::NotFound);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_disabled_account_is_out_at_once(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let person = world.person("clerk", "citizen", &world.ward).await;
    let mut clerk = world.accounts(&world.token("clerk").await);
    clerk
        .get_my_profile(pb::GetMyProfileRequest {})
        .await
        .unwrap();
    let mut admin = world.accounts(&world.service("civicmesh").await);
    let mut request = pb::SetAccountDisabledRequest {
        request_id: id(),
        id: person,
        disabled: true,
        etag: "7".into(),
    };
    let stale = admin.set_account_disabled(request.clone()).await;
    assert_eq!(refusal(stale), (Code::Aborted, "ETAG_MISMATCH".into()));
    request.etag = "1".into();
    request.request_id = id();
    assert!(
        admin
            .set_account_disabled(request)
            .await
            .unwrap()
            .into_inner()
            .disabled
    );
    let refused = clerk.get_my_profile(pb::GetMyProfileRequest {}).await;
    assert_eq!(
        refusal(refused),
        (Code::Unauthenticated, "TOKEN_INVALID".into())
    );
    assert!(
        crate::sign_in::code(&world, "clerk", PASSWORD)
            .await
            .is_err()
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_person_changes_language_and_password(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let other = world.token("clerk").await;
    let mut clerk = world.accounts(&world.token("clerk").await);
    let profile = clerk
        .set_my_language(pb::SetMyLanguageRequest {
            language: "en".into(),
        })
        .await
        .unwrap();
    assert_eq!(profile.into_inner().principal.unwrap().language, "en");
    let wrong = clerk
        .set_my_language(pb::SetMyLanguageRequest {
            language: "fr".into(),
        })
        .await;
    assert_eq!(refusal(wrong).0, Code::InvalidArgument);

    let change = |current: &str, new: &str| pb::ChangeMyPasswordRequest {
        request_id: id(),
        current_password: current.into(),
        new_password: new.into(),
    };
    let wrong = clerk
        .change_my_password(change("wrong password", "another long password"))
        .await;
    assert_eq!(
        refusal(wrong),
        (Code::PermissionDenied, "WRONG_PASSWORD".into())
    );
    let short = clerk.change_my_password(change(PASSWORD, "short")).await;
    assert_eq!(refusal(short).0, Code::InvalidArgument);
    clerk
        .change_my_password(change(PASSWORD, "another long password"))
        .await
        .unwrap();
    clerk
        .get_my_profile(pb::GetMyProfileRequest {})
        .await
        .unwrap();
    let ended = world
        .accounts(&other)
        .get_my_profile(pb::GetMyProfileRequest {})
        .await;
    assert_eq!(refusal(ended).0, Code::Unauthenticated);
    assert!(
        crate::sign_in::code(&world, "clerk", PASSWORD)
            .await
            .is_err()
    );
    assert!(
        crate::sign_in::code(&world, "clerk", "another long password")
            .await
            .is_ok()
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn contacts_are_for_services(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let person = world.person("clerk", "citizen", &world.ward).await;
    let request = pb::BatchGetContactsRequest {
        person_ids: vec![person, id()],
    };
    let mut service = world.accounts(&world.service("gateway").await);
    let contacts = service
        .batch_get_contacts(request.clone())
        .await
        .unwrap()
        .into_inner()
        .contacts;
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].email, "clerk@demo.example");
    let clerk = world
        .accounts(&world.token("clerk").await)
        .batch_get_contacts(request)
        .await;
    assert_eq!(
        refusal(clerk),
        (Code::PermissionDenied, "PERMISSION_MISSING".into())
    );
    let many = pb::BatchGetContactsRequest {
        person_ids: vec![id(); 501],
    };
    assert_eq!(
        refusal(service.batch_get_contacts(many).await).0,
        Code::InvalidArgument
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn every_fact_is_in_the_audit_log_and_tampering_shows(
    pool: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options.clone()).await;
    let person = world.person("inspector", "inspector", &world.city).await;
    let mut audit = world.audit(&world.token("inspector").await);
    let request = pb::ListAuditEntriesRequest {
        subject: person.clone(),
        ..Default::default()
    };
    let entry = eventually(async || {
        audit
            .list_audit_entries(request.clone())
            .await
            .unwrap()
            .into_inner()
            .entries
            .pop()
    })
    .await;
    assert_eq!(entry.r#type, "civicmesh.identity.v1.PrincipalChanged");
    assert_eq!(
        (entry.source.as_str(), entry.actor.as_str()),
        ("identity", "civicmesh")
    );
    let request = pb::ListAuditEntriesRequest {
        page_size: 2,
        ..Default::default()
    };
    let page = audit
        .list_audit_entries(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.entries[0].number, page.entries[1].number + 1);
    let request = pb::ListAuditEntriesRequest {
        page_token: page.next_page_token,
        ..request
    };
    let next = audit
        .list_audit_entries(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next.entries[0].number + 1, page.entries[1].number);
    world.stop().await;

    let db = pool.connect_with(options).await.unwrap();
    assert_eq!(identity::audit::verify(&db).await.unwrap(), None);
    // Many at once, some of them again: as when a feed was restored.
    let unit_id = Uuid::now_v7();
    let stated: Vec<Event> = (0..5)
        .map(|number| Event {
            id: Uuid::now_v7(),
            source: "feedback".to_owned(),
            kind: "civicmesh.feedback.v1.FeedbackReceived".to_owned(),
            subject: format!("item {number}"),
            time: chrono::Utc::now(),
            unit_ids: vec![unit_id; number],
            field_code: None,
            actor: "feedback".to_owned(),
            traceparent: String::new(),
            data: vec![7; number],
        })
        .collect();
    for batch in [&stated[..3], &stated[2..], &stated] {
        let mut tx = db.begin().await.unwrap();
        let recorder = identity::audit::Recorder("feedback");
        recorder.handle_all(&mut tx, batch).await.unwrap();
        tx.commit().await.unwrap();
    }
    let subjects: Vec<String> = sqlx::query_scalar(
        "SELECT subject FROM audit_entry WHERE source = 'feedback' ORDER BY number",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(subjects, ["item 0", "item 1", "item 2", "item 3", "item 4"]);
    assert_eq!(identity::audit::verify(&db).await.unwrap(), None);
    for (tamper, at) in [
        (
            "UPDATE audit_entry SET unit_ids = unit_ids || gen_random_uuid() WHERE number = 4",
            4,
        ),
        (
            "UPDATE audit_entry SET actor = 'somebody' WHERE number = 2",
            2,
        ),
        ("DELETE FROM audit_entry WHERE number = 2", 2),
    ] {
        sqlx::query(tamper).execute(&db).await.unwrap();
        assert_eq!(identity::audit::verify(&db).await.unwrap(), Some(at));
    }
}
