//! The OpenID Provider over HTTP. The gateway passes `/oauth2/` and `/.well-known/` on to here.

mod authorize;
mod error;
mod page;
mod token;

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{session, state::Identity};
use error::OauthError;

/// The `typ` of an ID token: never an access token's.
const ID_TOKEN_TYPE: &str = "JWT";

/// What an ID token says of a person to a client.
#[derive(Serialize, Deserialize)]
struct IdClaims {
    iss: String,
    sub: String,
    aud: String,
    sid: String,
    iat: i64,
    exp: i64,
    auth_time: i64,
    acr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    nonce: String,
    name: String,
    preferred_username: String,
    locale: String,
}

/// The paths of the provider.
pub fn router(identity: Identity) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/oauth-authorization-server", get(discovery))
        .route("/oauth2/jwks", get(jwks))
        .route("/oauth2/authorize", get(authorize::authorize))
        .route(
            "/oauth2/sign-in",
            get(authorize::form).post(authorize::sign_in),
        )
        .route("/oauth2/token", post(token::token))
        .route("/oauth2/revoke", post(token::revoke))
        .route("/oauth2/userinfo", get(userinfo).post(userinfo))
        .route("/oauth2/logout", get(logout).post(logout_form))
        .with_state(identity)
}

async fn discovery(State(identity): State<Identity>) -> Json<Value> {
    let issuer = &identity.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
        "userinfo_endpoint": format!("{issuer}/oauth2/userinfo"),
        "end_session_endpoint": format!("{issuer}/oauth2/logout"),
        "jwks_uri": format!("{issuer}/oauth2/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": ["sub", "sid", "auth_time", "acr", "nonce", "name", "preferred_username", "locale", "email"],
        "ui_locales_supported": ["vi", "en"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(State(identity): State<Identity>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        (header::CACHE_CONTROL, "public, max-age=60"),
    ];
    (headers, identity.signer.jwks()).into_response()
}

async fn userinfo(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> Result<Response, OauthError> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(OauthError::InvalidToken)?;
    let claims = identity
        .verifier
        .verify(token)
        .await
        .map_err(|_| OauthError::InvalidToken)?;
    let session = claims.sid.as_deref().and_then(|id| id.parse().ok());
    let session = match session {
        Some(id) => session::alive(&identity.db, id).await?,
        None => None,
    };
    let session = session.ok_or(OauthError::InvalidToken)?;
    let answer = json!({
        "sub": session.account_id,
        "name": session.display_name,
        "preferred_username": session.login,
        "locale": session.language,
        "home_unit": session.home_unit_id,
        "email": session.email,
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// What ends a session (OpenID Connect RP-Initiated Logout).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Logout {
    id_token_hint: String,
    post_logout_redirect_uri: String,
    state: String,
}

async fn logout(
    State(identity): State<Identity>,
    Query(request): Query<Logout>,
) -> Result<Response, OauthError> {
    end_session(&identity, request).await
}

async fn logout_form(
    State(identity): State<Identity>,
    Form(request): Form<Logout>,
) -> Result<Response, OauthError> {
    end_session(&identity, request).await
}

/// Ends the session that the ID token names: it was given to the client alone, so it proves the wish.
async fn end_session(identity: &Identity, request: Logout) -> Result<Response, OauthError> {
    if let Some(claims) =
        identity
            .signer
            .open::<IdClaims>(ID_TOKEN_TYPE, &identity.issuer, &request.id_token_hint)
        && let Ok(session) = claims.sid.parse()
    {
        let tx = identity.db.begin().await?;
        session::end(identity, tx, session, &claims.sub).await?;
    }
    // Only back to ourselves: an open redirect would lend our name to others.
    let back = &request.post_logout_redirect_uri;
    let own = back
        .strip_prefix(&identity.issuer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !own {
        return Ok(page::signed_out());
    }
    let uri = match request.state.as_str() {
        "" => back.clone(),
        state => authorize::with_query(back, &[("state", state)]),
    };
    Ok(no_store(Redirect::to(&uri).into_response()))
}

fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
