//! The gateway as a confidential client of identity (OpenID Connect, code flow with PKCE).

use std::time::Duration;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use chassis::{Refusal, config::Secret, mesh::MeshChannel};
use http::{HeaderValue, Method, Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use super::cookies::Pending;
use crate::contract::OWN;

/// The name under which identity knows the gateway.
pub const CLIENT: &str = "gateway";

/// An answer of the token endpoint is a few hundred bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Identity, as its client sees it.
pub struct Provider {
    channel: MeshChannel,
    public_url: String,
    secret: Secret,
}

/// What the token endpoint gives.
#[derive(Deserialize)]
pub struct Grant {
    /// The access token.
    pub access_token: String,
    /// Its life in seconds.
    pub expires_in: u64,
    /// The next refresh token; absent when the old one goes on.
    pub refresh_token: Option<String>,
    /// Says who signed in; only at sign-in.
    pub id_token: Option<String>,
}

#[derive(Deserialize)]
struct IdToken {
    iss: String,
    aud: Audience,
    exp: i64,
    nonce: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Why the token endpoint gives nothing.
pub enum Denied {
    /// The code or token is not good (any more).
    Invalid,
    /// Identity cannot be asked now.
    Unavailable(Status),
}

impl Provider {
    pub(super) fn new(channel: MeshChannel, public_url: String, secret: Secret) -> Self {
        Self {
            channel,
            public_url,
            secret,
        }
    }

    /// Where a browser goes to sign in.
    #[must_use]
    pub fn authorize_url(&self, pending: &Pending) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&pending.verifier));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", CLIENT)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", "openid offline_access")
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        format!("{}/oauth2/authorize?{query}", self.public_url)
    }

    fn redirect_uri(&self) -> String {
        format!("{}/auth/callback", self.public_url)
    }

    /// Redeems a code.
    pub async fn redeem(&self, code: &str, pending: &Pending) -> Result<Grant, Denied> {
        let redirect_uri = self.redirect_uri();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &pending.verifier),
        ];
        let grant: Grant = self.post("/oauth2/token", &form).await?;
        self.check(&grant, pending).map_err(|error| {
            tracing::warn!(
                error = format!("{error:#}"),
                "identity's ID token is refused"
            );
            Denied::Invalid
        })?;
        Ok(grant)
    }

    /// It came from the token endpoint itself, so its signature proves nothing more (OpenID Connect Core 3.1.3.7).
    fn check(&self, grant: &Grant, pending: &Pending) -> anyhow::Result<()> {
        let token = grant.id_token.as_deref().context("no ID token")?;
        let body = token.split('.').nth(1).context("not a JWT")?;
        let token: IdToken = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body)?)?;
        let is_for_us = match &token.aud {
            Audience::One(one) => one == CLIENT,
            Audience::Many(many) => many.iter().any(|one| one == CLIENT),
        };
        anyhow::ensure!(is_for_us, "another audience");
        anyhow::ensure!(token.iss == self.public_url, "another issuer");
        anyhow::ensure!(token.nonce == pending.nonce, "another nonce");
        anyhow::ensure!(token.exp > chrono::Utc::now().timestamp(), "expired");
        Ok(())
    }

    /// Makes a new access token.
    pub async fn refresh(&self, refresh: &str) -> Result<Grant, Denied> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.post("/oauth2/token", &form).await
    }

    /// Ends a session.
    pub async fn revoke(&self, refresh: &str) {
        let form = [("token", refresh), ("token_type_hint", "refresh_token")];
        if let Err(Denied::Unavailable(status)) = self.send("/oauth2/revoke", &form).await {
            tracing::warn!(code = ?status.code(), "a session could not be ended at identity");
        }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &'static str,
        form: &[(&str, &str)],
    ) -> Result<T, Denied> {
        let body = self.send(path, form).await?;
        serde_json::from_slice(&body).map_err(|error| {
            tracing::error!(%error, path, "identity's answer cannot be read");
            Denied::Unavailable(unavailable())
        })
    }

    async fn send(&self, path: &'static str, form: &[(&str, &str)]) -> Result<Bytes, Denied> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .append_pair("client_id", CLIENT)
            .append_pair("client_secret", self.secret.expose())
            .finish();
        let mut request = Request::new(Body::new(Full::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(path);
        *request.version_mut() = http::Version::HTTP_2;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let answer = self.channel.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        if let Some(status) = Status::from_header_map(answer.headers())
            && status.code() != Code::Ok
        {
            return Err(Denied::Unavailable(status));
        }
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_LIMIT)
            .collect()
            .await;
        match (status, body.map(http_body_util::Collected::to_bytes)) {
            (StatusCode::OK, Ok(body)) => Ok(body),
            (StatusCode::BAD_REQUEST, Ok(body)) if is_invalid_grant(&body) => Err(Denied::Invalid),
            (status, _) => {
                tracing::error!(%status, path, "identity does not serve its client");
                Err(Denied::Unavailable(unavailable()))
            }
        }
    }
}

/// Nobody can sign in or stay signed in for now.
pub fn unavailable() -> Status {
    Refusal::new(
        Code::Unavailable,
        "SIGN_IN_UNAVAILABLE",
        "hệ thống đăng nhập tạm thời không trả lời, hãy thử lại",
        "sign-in does not answer for now, try again",
    )
    .into_status(OWN)
}

fn is_invalid_grant(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
    }
    serde_json::from_slice(body).is_ok_and(|problem: Problem| problem.error == "invalid_grant")
}

impl Grant {
    /// How long the access token may be used.
    #[must_use]
    pub fn life(&self) -> Duration {
        Duration::from_secs(self.expires_in)
    }
}
