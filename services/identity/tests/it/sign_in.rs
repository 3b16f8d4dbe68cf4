//! The OpenID Provider over HTTP.

use http::{Method, StatusCode};
use proto::identity::v1 as pb;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tonic::Code;

use crate::{PASSWORD, World, eventually, new_account, refusal};

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http%3A%2F%2F127.0.0.1%3A4711%2Fcallback";

fn query() -> String {
    format!(
        "client_id=cli&redirect_uri={REDIRECT}&response_type=code&scope=openid&state=s%26t&nonce=n1&\
         code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?
        .1
        .split_once(end)
        .map(|(found, _)| found)
}

/// Signs in through the form: the code, or the status that came instead.
pub async fn code(world: &World, login: &str, password: &str) -> Result<String, StatusCode> {
    code_for(world, &query(), login, password).await
}

async fn code_for(
    world: &World,
    query: &str,
    login: &str,
    password: &str,
) -> Result<String, StatusCode> {
    let path = format!("/oauth2/sign-in?{query}");
    let (status, headers, page) = world.http(Method::GET, &path, &[], "").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let cookie = headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let form = between(&page, r#"name="form" value=""#, "\"").unwrap();
    let body = format!(
        "login={login}&password={}&form={form}",
        password.replace(' ', "+")
    );
    let (status, headers, page) = world
        .http(Method::POST, &path, &[("cookie", cookie)], &body)
        .await;
    if status != StatusCode::SEE_OTHER {
        assert_eq!(status == StatusCode::OK, page.contains("new_password"));
        return Err(status);
    }
    let location = headers["location"].to_str().unwrap();
    Ok(between(&format!("{location}&"), "code=", "&")
        .unwrap()
        .to_owned())
}

/// Nothing of an earlier sign-in gives a code: only the form does.
async fn asks_for_the_password(world: &World, query: &str) {
    let path = format!("/oauth2/authorize?{query}");
    let cookie = [("cookie", "civicmesh_sign_in=earlier")];
    let (status, headers, _) = world.http(Method::GET, &path, &cookie, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let location = headers["location"].to_str().unwrap();
    assert!(location.starts_with("/oauth2/sign-in?"), "{location}");
    let (status, _, page) = world.http(Method::GET, location, &cookie, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(r#"type="password""#));
}

async fn post(world: &World, path: &str, body: &str) -> (StatusCode, Value) {
    let (status, _, body) = world.http(Method::POST, path, &[], body).await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

pub async fn redeem(world: &World, code: &str, verifier: &str) -> (StatusCode, Value) {
    let body = format!(
        "grant_type=authorization_code&client_id=cli&code={code}&redirect_uri={REDIRECT}&code_verifier={verifier}"
    );
    post(world, "/oauth2/token", &body).await
}

async fn refresh(world: &World, token: &str) -> (StatusCode, Value) {
    let body = format!("grant_type=refresh_token&client_id=cli&refresh_token={token}");
    post(world, "/oauth2/token", &body).await
}

fn invalid_grant((status, body): (StatusCode, Value)) {
    assert_eq!(
        (status, body["error"].as_str()),
        (StatusCode::BAD_REQUEST, Some("invalid_grant"))
    );
}

async fn profile(world: &World, tokens: &Value) -> Result<(), (Code, String)> {
    let token = tokens["access_token"].as_str().unwrap();
    let profile = world
        .accounts(token)
        .get_my_profile(pb::GetMyProfileRequest {})
        .await;
    if profile.is_ok() {
        Ok(())
    } else {
        Err(refusal(profile))
    }
}

#[sqlx::test(migrations = false)]
async fn a_person_signs_in_with_code_and_pkce(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let (status, headers, _) = world
        .http(
            Method::GET,
            &format!("/oauth2/authorize?{}", query()),
            &[],
            "",
        )
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(
        headers["location"]
            .to_str()
            .unwrap()
            .starts_with("/oauth2/sign-in?client_id=cli&")
    );

    let tokens = world.sign_in("CLERK").await;
    profile(&world, &tokens).await.unwrap();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let (status, _, body) = world
        .http(
            Method::GET,
            "/oauth2/userinfo",
            &[("authorization", &bearer)],
            "",
        )
        .await;
    let info: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, info["preferred_username"].as_str()),
        (StatusCode::OK, Some("clerk"))
    );
    let (status, _, _) = world.http(Method::GET, "/oauth2/userinfo", &[], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let (_, _, body) = world
        .http(Method::GET, "/.well-known/openid-configuration", &[], "")
        .await;
    let discovery: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(discovery["issuer"], world.url);
    let (_, _, body) = world.http(Method::GET, "/oauth2/jwks", &[], "").await;
    let keys: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");
    assert!(keys["keys"][0].get("d").is_none());
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn the_form_is_plain_bilingual_and_ours(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let path = format!("/oauth2/sign-in?{}", query());
    let (_, headers, page) = world.http(Method::GET, &path, &[], "").await;
    assert!(page.contains("Tên đăng nhập") && page.contains(r#"<html lang="vi">"#));
    assert!(!page.contains("<script"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("form-action 'self' http://127.0.0.1:4711;")
    );
    let (_, _, page) = world
        .http(Method::GET, &path, &[("accept-language", "en")], "")
        .await;
    assert!(page.contains("Password") && page.contains("ui_locales=vi"));
    let hint = format!("{path}&login_hint=%22%3E%3Cscript%3E");
    let (_, _, page) = world.http(Method::GET, &hint, &[], "").await;
    assert!(!page.contains("<script"));

    // without the cookie that came with the form, or with another, nothing is looked at
    for cookie in ["", "civicmesh_sign_in=other"] {
        let body = format!("login=clerk&password={PASSWORD}&form=forged");
        let (status, _, _) = world
            .http(Method::POST, &path, &[("cookie", cookie)], &body)
            .await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn wrong_requests_are_refused_and_sent_nowhere_unknown(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    let authorize = async |query: String| {
        let (status, headers, _) = world
            .http(Method::GET, &format!("/oauth2/authorize?{query}"), &[], "")
            .await;
        let location = headers
            .get("location")
            .map(|value| value.to_str().unwrap().to_owned());
        (status, location)
    };
    for query in [
        query().replace("client_id=cli", "client_id=nobody"),
        query().replace("4711%2Fcallback", "4711%2Felsewhere"),
        query().replace("127.0.0.1", "evil.example"),
        String::new(),
    ] {
        assert_eq!(authorize(query).await, (StatusCode::BAD_REQUEST, None));
    }
    for (query, error) in [
        (query().replace("S256", "plain"), "invalid_request"),
        (
            query().replace(&format!("code_challenge={CHALLENGE}&"), ""),
            "invalid_request",
        ),
        (
            query().replace("response_type=code", "response_type=token"),
            "unsupported_response_type",
        ),
        (
            query().replace("scope=openid", "scope=email"),
            "invalid_scope",
        ),
        (format!("{}&prompt=none", query()), "login_required"),
    ] {
        let (status, location) = authorize(query).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let location = location.unwrap();
        assert!(
            location.starts_with(&format!("http://127.0.0.1:4711/callback?error={error}&")),
            "{location}"
        );
        assert!(location.contains("state=s%26t"));
    }
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_code_works_once_with_its_verifier(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let stolen = code(&world, "clerk", PASSWORD).await.unwrap();
    invalid_grant(redeem(&world, &stolen, &"x".repeat(43)).await);
    invalid_grant(redeem(&world, &stolen, VERIFIER).await);
    invalid_grant(redeem(&world, "unknown", VERIFIER).await);

    let code = code(&world, "clerk", PASSWORD).await.unwrap();
    let (status, tokens) = redeem(&world, &code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK);
    // a second use ends what the first began
    invalid_grant(redeem(&world, &code, VERIFIER).await);
    assert_eq!(
        profile(&world, &tokens).await.unwrap_err().0,
        Code::Unauthenticated
    );
    invalid_grant(refresh(&world, tokens["refresh_token"].as_str().unwrap()).await);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_refresh_token_used_twice_ends_the_session(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let first = world.sign_in("clerk").await;
    let (status, second) = refresh(&world, first["refresh_token"].as_str().unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    profile(&world, &second).await.unwrap();
    invalid_grant(refresh(&world, first["refresh_token"].as_str().unwrap()).await);
    invalid_grant(refresh(&world, second["refresh_token"].as_str().unwrap()).await);
    assert_eq!(
        profile(&world, &second).await,
        Err((Code::Unauthenticated, "TOKEN_INVALID".into()))
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn the_gateway_keeps_its_refresh_token_and_needs_its_secret(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let redirect = format!("{}/auth/callback", world.url);
    let query = query()
        .replace("client_id=cli", "client_id=gateway")
        .replace(REDIRECT, &redirect);
    let code = code_for(&world, &query, "clerk", PASSWORD).await.unwrap();
    let body = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={redirect}&code_verifier={VERIFIER}"
    );
    let unproven = post(
        &world,
        "/oauth2/token",
        &format!("{body}&client_id=gateway"),
    )
    .await;
    assert_eq!(
        (unproven.0, unproven.1["error"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("invalid_client"))
    );
    let proof = "client_id=gateway&client_secret=secret+of+gateway";
    let (status, tokens) = post(&world, "/oauth2/token", &format!("{body}&{proof}")).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let token = tokens["refresh_token"].as_str().unwrap();
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    for _ in 0..2 {
        let (status, again) = post(&world, "/oauth2/token", &format!("{body}&{proof}")).await;
        assert_eq!(
            (status, &again["refresh_token"]),
            (StatusCode::OK, &tokens["refresh_token"])
        );
    }
    invalid_grant(refresh(&world, token).await);

    let (status, _) = post(&world, "/oauth2/revoke", &format!("token={token}&{proof}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        profile(&world, &tokens).await.unwrap_err().0,
        Code::Unauthenticated
    );
    invalid_grant(post(&world, "/oauth2/token", &format!("{body}&{proof}")).await);
    asks_for_the_password(&world, &query).await;
    let (status, service) = post(
        &world,
        "/oauth2/token",
        &format!("grant_type=client_credentials&{proof}"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    profile(&world, &service).await.unwrap();
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn signing_out_ends_the_session_everywhere(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let tokens = world.sign_in("clerk").await;
    let hint = tokens["id_token"].as_str().unwrap();
    // an access token or a stranger's address does nothing
    let access = tokens["access_token"].as_str().unwrap();
    world
        .http(
            Method::GET,
            &format!("/oauth2/logout?id_token_hint={access}"),
            &[],
            "",
        )
        .await;
    profile(&world, &tokens).await.unwrap();
    let path = format!(
        "/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri=http%3A%2F%2Fevil.example%2F"
    );
    let (status, headers, _) = world.http(Method::GET, &path, &[], "").await;
    assert_eq!((status, headers.get("location")), (StatusCode::OK, None));
    assert_eq!(
        profile(&world, &tokens).await.unwrap_err().0,
        Code::Unauthenticated
    );
    let path = format!(
        "/oauth2/logout?post_logout_redirect_uri={}/&state=x",
        world.url
    );
    let (status, headers, _) = world.http(Method::GET, &path, &[], "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(
        headers["location"],
        format!("{}/?state=x", world.url).as_str()
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_session_ended_at_one_replica_ends_at_the_others(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options.clone()).await;
    let other = world.replica(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    let tokens = world.sign_in("clerk").await;
    eventually(async || profile(&other, &tokens).await.ok()).await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let (status, _) = post(
        &world,
        "/oauth2/revoke",
        &format!("client_id=cli&token={token}"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        profile(&world, &tokens).await.unwrap_err().0,
        Code::Unauthenticated
    );
    let refused = eventually(async || profile(&other, &tokens).await.err()).await;
    assert_eq!(refused.0, Code::Unauthenticated);
    other.stop().await;
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_password_that_an_administrator_chose_is_replaced(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    world.person("admin", "unit_admin", &world.ward).await;
    let mut admin = world.accounts(&world.token("admin").await);
    admin
        .create_account(new_account("clerk", &world.ward))
        .await
        .unwrap();
    let same = format!("{PASSWORD}&new_password={PASSWORD}&new_password_again={PASSWORD}");
    let differ =
        format!("{PASSWORD}&new_password=only+I+know+this&new_password_again=only+I+know+that");
    let short = format!("{PASSWORD}&new_password=short&new_password_again=short");
    for sent in [PASSWORD, &same, &differ, &short] {
        assert_eq!(code(&world, "clerk", sent).await, Err(StatusCode::OK));
    }
    let new = "only+I+know+this";
    let sent = format!("{PASSWORD}&new_password={new}&new_password_again={new}");
    code(&world, "clerk", &sent).await.unwrap();
    code(&world, "clerk", new).await.unwrap();
    assert_eq!(
        code(&world, "clerk", PASSWORD).await,
        Err(StatusCode::UNAUTHORIZED)
    );
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn signing_in_and_out_and_failing_are_recorded(_: PgPoolOptions, options: PgConnectOptions) {
    let world = World::start(options).await;
    let clerk = world.person("clerk", "citizen", &world.ward).await;
    world.person("inspector", "inspector", &world.city).await;
    let mut audit = world.audit(&world.token("inspector").await);
    let tokens = world.sign_in("clerk").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    post(
        &world,
        "/oauth2/revoke",
        &format!("client_id=cli&token={token}"),
    )
    .await;
    for _ in 0..5 {
        code(&world, "clerk", "wrong").await.unwrap_err();
    }
    let mut kinds = async |request: pb::ListAuditEntriesRequest| {
        let answer = audit.list_audit_entries(request).await.unwrap();
        let entries = answer.into_inner().entries.into_iter();
        entries
            .map(|entry| entry.r#type.rsplit('.').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let about = pb::ListAuditEntriesRequest {
        subject: clerk.clone(),
        ..Default::default()
    };
    let told = eventually(async || Some(kinds(about.clone()).await).filter(|told| told.len() == 8));
    let mut expected = vec!["SignInLocked"];
    expected.extend(["SignInFailed"; 5]);
    expected.extend(["SignedIn", "PrincipalChanged"]);
    assert_eq!(told.await, expected);
    let by = pb::ListAuditEntriesRequest {
        actor: clerk,
        ..Default::default()
    };
    assert_eq!(kinds(by).await, ["SessionRevoked", "SignedIn"]);
    world.stop().await;
}

#[sqlx::test(migrations = false)]
async fn guessing_is_slowed_down_alike_for_known_and_unknown_logins(
    _: PgPoolOptions,
    options: PgConnectOptions,
) {
    let world = World::start(options).await;
    world.person("clerk", "citizen", &world.ward).await;
    for login in ["clerk", "nobody"] {
        for _ in 0..5 {
            assert_eq!(
                code(&world, login, "wrong").await,
                Err(StatusCode::UNAUTHORIZED)
            );
        }
        assert_eq!(
            code(&world, login, "wrong").await,
            Err(StatusCode::TOO_MANY_REQUESTS)
        );
        assert_eq!(
            code(&world, login, PASSWORD).await,
            Err(StatusCode::TOO_MANY_REQUESTS)
        );
    }
    world.stop().await;
}
