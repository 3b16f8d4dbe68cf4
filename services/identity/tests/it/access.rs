//! Tokens good and bad against a running service.

use proto::identity::v1::{
    self as pb, account_service_client::AccountServiceClient,
    token_service_client::TokenServiceClient,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tonic::Code;

use crate::{World, forged, refusal};

#[sqlx::test(migrations = false)]
async fn forged_tokens_are_refused_even_by_public_methods(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    let person = world.person("clerk", "citizen", &world.ward).await;
    let tokens = world.sign_in("clerk").await;
    let good = tokens["access_token"].as_str().unwrap();
    world
        .accounts(good)
        .get_my_profile(pb::GetMyProfileRequest {})
        .await
        .unwrap();

    let mut bad = forged(&person);
    // an ID token is no access token; nor is a token with another's body
    bad.push(tokens["id_token"].as_str().unwrap().to_owned());
    let service = world.service("civicmesh").await;
    let parts: Vec<&str> = good.split('.').collect();
    let other: Vec<&str> = service.split('.').collect();
    bad.push(format!("{}.{}.{}", parts[0], other[1], parts[2]));
    for token in bad {
        let refused = world
            .accounts(&token)
            .get_my_profile(pb::GetMyProfileRequest {})
            .await;
        assert_eq!(
            refusal(refused),
            (Code::Unauthenticated, "TOKEN_INVALID".into()),
            "{token}"
        );
        let channel = tonic::service::interceptor::InterceptedService::new(
            world.channel.clone(),
            crate::Bearer(token),
        );
        let public = TokenServiceClient::new(channel)
            .get_keys(pb::GetKeysRequest {})
            .await;
        assert_eq!(refusal(public).0, Code::Unauthenticated);
    }
    let anonymous = AccountServiceClient::new(world.channel.clone())
        .get_my_profile(pb::GetMyProfileRequest {})
        .await;
    assert_eq!(
        refusal(anonymous),
        (Code::Unauthenticated, "TOKEN_MISSING".into())
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn only_services_of_the_mesh_export_the_directory(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    world.person("boss", "platform_admin", &world.city).await;
    let request = pb::ExportDirectoryRequest {};
    for token in [world.token("boss").await, world.service("partner").await] {
        let refused = world.directory(&token).export_directory(request).await;
        assert_eq!(refusal(refused).0, Code::PermissionDenied);
    }
    let mut stream = world
        .directory(&world.service("gateway").await)
        .export_directory(request)
        .await
        .unwrap()
        .into_inner();
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        last = message.entry;
    }
    assert!(
        matches!(last, Some(pb::export_directory_response::Entry::Cursor(cursor)) if !cursor.is_empty())
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_wrong_secret_gets_no_token(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let mut client = TokenServiceClient::new(world.channel.clone());
    for (id, secret) in [
        ("civicmesh", "wrong"),
        ("civicmesh", ""),
        ("feedback", ""),
        ("nobody", "x"),
        ("cli", ""),
    ] {
        let request = pb::IssueServiceTokenRequest {
            client_id: id.into(),
            client_secret: secret.into(),
        };
        let refused = client.issue_service_token(request).await;
        assert_eq!(
            refusal(refused),
            (Code::Unauthenticated, "CLIENT_REFUSED".into()),
            "{id}"
        );
    }
    world.stop().await;
}
