//! The browser's session. Its one cookie holds the refresh token, encrypted; access tokens stay here, in memory.

use std::sync::Arc;

use anyhow::Context as _;
use chassis::{Refusal, mesh::Mesh};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, SET_COOKIE},
};
use tonic::{Code, Status, body::Body};

use crate::{Config, contract::OWN, transcode::error};

mod cookies;
mod oidc;
mod sign_in;
mod tokens;

pub use cookies::{COOKIE, Cookies, PENDING};
pub use sign_in::routes;
use tokens::{Access, Lost, Tokens};

/// The sessions of all browsers.
pub struct Session {
    cookies: Cookies,
    tokens: Tokens,
    provider: Arc<oidc::Provider>,
    public_url: String,
}

impl Session {
    /// Reads the key of the cookies from its file.
    pub fn open(config: &Config, mesh: &Mesh) -> anyhow::Result<Arc<Self>> {
        let path = &config.cookie_key_file;
        let key = std::fs::read_to_string(path)
            .with_context(|| format!("--cookie-key-file {}", path.display()))?;
        let channel = mesh.channel("identity").pass_through();
        let public_url = config.base.public_url.trim_end_matches('/').to_owned();
        Uri::try_from(&public_url).context("--public-url")?;
        let secret = config.base.client_secret.clone();
        let provider = Arc::new(oidc::Provider::new(channel, public_url.clone(), secret));
        Ok(Arc::new(Self {
            cookies: Cookies::new(&key).context("--cookie-key-file")?,
            tokens: Tokens::new(provider.clone()),
            provider,
            public_url,
        }))
    }

    /// Adds the token of the browser's session to a request that brings none of its own.
    pub async fn attach(
        &self,
        headers: &mut HeaderMap,
        changes: bool,
    ) -> Result<Attached, Refused> {
        if headers.contains_key(AUTHORIZATION) {
            return Ok(Attached::Nothing);
        }
        let Some(refresh) = self.cookies.session(headers) else {
            return Ok(Attached::Nothing);
        };
        if changes && !(self.is_same_origin(headers) && is_script(headers)) {
            return Err(Refused(forged()));
        }
        match self.tokens.access(&refresh).await {
            Ok(Access {
                header,
                refresh: now,
            }) => {
                headers.insert(AUTHORIZATION, header);
                if now == refresh {
                    Ok(Attached::Nothing)
                } else {
                    Ok(Attached::Cookies(self.cookies.keep(&now)))
                }
            }
            // The browser is nobody from now on; public methods still answer it.
            Err(Lost::Ended) => Ok(Attached::Cookies(self.cookies.forget())),
            Err(Lost::Unavailable(status)) => Err(Refused(status)),
        }
    }

    /// Whether a request comes from a page of ours, as the browser tells.
    fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get("sec-fetch-site") {
            return site == "same-origin";
        }
        let Some(origin) = headers.get(ORIGIN).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        origin == self.public_url
            || headers
                .get(HOST)
                .is_some_and(|host| authority.is_some_and(|authority| host == authority))
    }
}

/// No form and no link can send these: a foreign page would have to ask first, and is refused.
fn is_script(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/grpc") || kind.starts_with(b"application/json")
    })
}

fn forged() -> Status {
    Refusal::new(
        Code::PermissionDenied,
        "NOT_SAME_ORIGIN",
        "yêu cầu không đến từ trang của hệ thống",
        "the request does not come from a page of this system",
    )
    .into_status(OWN)
}

/// What the answer to a request must carry.
pub enum Attached {
    /// Nothing.
    Nothing,
    /// These cookies.
    Cookies(Vec<HeaderValue>),
}

impl Attached {
    /// Adds it.
    pub fn apply(self, headers: &mut HeaderMap) {
        if let Self::Cookies(cookies) = self {
            for cookie in cookies {
                headers.append(SET_COOKIE, cookie);
            }
        }
    }
}

/// Why a request is not let through.
pub struct Refused(Status);

impl Refused {
    /// As an answer to gRPC.
    #[must_use]
    pub fn into_grpc(self) -> Response<Body> {
        self.0.into_http()
    }

    /// As an answer to REST.
    #[must_use]
    pub fn into_rest(self) -> Response<Body> {
        error::response(&self.0)
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
