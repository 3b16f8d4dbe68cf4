//! Errors in the form of OAuth (RFC 6749, 5.2).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tonic::Status;

use crate::error::Error;

/// What a client is told.
#[derive(Debug)]
pub enum OauthError {
    /// Something is missing or malformed.
    InvalidRequest(&'static str),
    /// The client is unknown or its secret is wrong.
    InvalidClient,
    /// The code or refresh token is not good, or no longer.
    InvalidGrant,
    /// The client may not use this grant type.
    UnauthorizedClient,
    /// There is no such grant type.
    UnsupportedGrantType,
    /// The access token is not good.
    InvalidToken,
    /// We failed; logged already.
    Internal,
}

impl<E: Into<Error>> From<E> for OauthError {
    fn from(error: E) -> Self {
        // The conversion logs it.
        let _ = Status::from(error.into());
        Self::Internal
    }
}

impl OauthError {
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest(problem) => (StatusCode::BAD_REQUEST, "invalid_request", problem),
            Self::InvalidClient => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "the client is unknown or its secret is wrong",
            ),
            Self::InvalidGrant => (
                StatusCode::BAD_REQUEST,
                "invalid_grant",
                "the code or token is wrong, used, expired or of an ended session",
            ),
            Self::UnauthorizedClient => (
                StatusCode::BAD_REQUEST,
                "unauthorized_client",
                "the client may not use this grant type",
            ),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "use authorization_code, refresh_token or client_credentials",
            ),
            Self::InvalidToken => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "the access token is missing, expired or of an ended session",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "internal error",
            ),
        }
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let (status, error, description) = self.parts();
        let body = Json(json!({ "error": error, "error_description": description }));
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        let challenge = match self {
            Self::InvalidToken => "Bearer error=\"invalid_token\"",
            Self::InvalidClient => "Basic realm=\"civicmesh\"",
            _ => return response,
        };
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
        response
    }
}
