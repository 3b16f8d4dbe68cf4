//! The token endpoint.

use axum::{
    Form, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chassis::auth::TOKEN_TYPE;
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;

use super::{ID_TOKEN_TYPE, IdClaims, error::OauthError};
use crate::{
    client::{self, Client},
    session::{self, Session},
    state::Identity,
};

/// The parameters of all grant types.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct TokenRequest {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
    refresh_token: String,
    client_id: String,
    client_secret: String,
}

/// The client of a request, proven by its secret; a public one by name only.
async fn authenticate(
    identity: &Identity,
    headers: &HeaderMap,
    id: &str,
    secret: &str,
) -> Result<Client, OauthError> {
    let (id, secret) = basic(headers).unwrap_or_else(|| (id.to_owned(), secret.to_owned()));
    let client = client::find(&identity.db, &id)
        .await?
        .ok_or(OauthError::InvalidClient)?;
    let proven = !client.disabled && (client.is_public() || client.proves_itself(&secret));
    proven.then_some(client).ok_or(OauthError::InvalidClient)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

pub async fn token(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Result<Response, OauthError> {
    let client = authenticate(
        &identity,
        &headers,
        &request.client_id,
        &request.client_secret,
    )
    .await?;
    match request.grant_type.as_str() {
        "authorization_code" => {
            let redeemed = session::redeem(
                &identity,
                &client,
                &request.code,
                &request.redirect_uri,
                &request.code_verifier,
            );
            let (session, refresh, nonce) = redeemed.await?.ok_or(OauthError::InvalidGrant)?;
            tokens(&identity, &session, &refresh, nonce)
        }
        "refresh_token" => {
            let refreshed = session::refresh(&identity, &client, &request.refresh_token);
            let (session, refresh) = refreshed.await?.ok_or(OauthError::InvalidGrant)?;
            tokens(&identity, &session, &refresh, String::new())
        }
        "client_credentials" if client.is_service => {
            let (token, expire) = client::token(&identity.signer, &identity.issuer, &client)?;
            Ok(answer(json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": expire - Utc::now().timestamp(),
            })))
        }
        "client_credentials" => Err(OauthError::UnauthorizedClient),
        "" => Err(OauthError::InvalidRequest("grant_type is missing")),
        _ => Err(OauthError::UnsupportedGrantType),
    }
}

fn tokens(
    identity: &Identity,
    session: &Session,
    refresh: &str,
    nonce: String,
) -> Result<Response, OauthError> {
    let claims = session.claims(&identity.issuer);
    let id_claims = IdClaims {
        iss: identity.issuer.clone(),
        sub: claims.sub.clone(),
        aud: session.client_id.clone(),
        sid: session.id.to_string(),
        iat: claims.iat,
        exp: claims.exp,
        auth_time: session.auth_time.timestamp(),
        acr: claims.acr.clone().unwrap_or_default(),
        nonce,
        name: session.display_name.clone(),
        preferred_username: session.login.clone(),
        locale: session.language.clone(),
    };
    Ok(answer(json!({
        "access_token": identity.signer.sign(TOKEN_TYPE, &claims)?,
        "token_type": "Bearer",
        "expires_in": claims.exp - claims.iat,
        "refresh_token": refresh,
        "refresh_expires_in": (session.expire_time - Utc::now()).num_seconds(),
        "id_token": identity.signer.sign(ID_TOKEN_TYPE, &id_claims)?,
        "scope": "openid profile offline_access",
    })))
}

fn answer(body: serde_json::Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// What to revoke (RFC 7009).
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RevokeRequest {
    token: String,
    client_id: String,
    client_secret: String,
}

/// Ends the session of a refresh token.
pub async fn revoke(
    State(identity): State<Identity>,
    headers: HeaderMap,
    Form(request): Form<RevokeRequest>,
) -> Result<StatusCode, OauthError> {
    let client = authenticate(
        &identity,
        &headers,
        &request.client_id,
        &request.client_secret,
    )
    .await?;
    session::end_by_token(&identity, &client, &request.token).await?;
    Ok(StatusCode::OK)
}
