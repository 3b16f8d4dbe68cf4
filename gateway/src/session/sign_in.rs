//! `/auth`: where a browser signs in and out.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Uri,
    header::{ACCEPT, CACHE_CONTROL, HOST, LOCATION, SET_COOKIE},
};
use tonic::body::Body;

use super::{Session, cookies::Pending, error, forged, oidc::Denied, text};

/// The routes below `/auth`.
pub fn routes(session: Arc<Session>) -> Router {
    Router::new()
        .route("/auth/sign-in", get(sign_in))
        .route("/auth/callback", get(callback))
        .route("/auth/sign-out", post(sign_out))
        .with_state(session)
}

async fn sign_in(
    State(session): State<Arc<Session>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let return_to = parameter(&uri, "return_to")
        .filter(|path| is_own_path(path))
        .unwrap_or_else(|| "/".to_owned());
    // The cookie must be set under the name that the browser comes back to.
    if !session.is_public_host(&uri, &headers) {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", &return_to)
            .finish();
        return redirect(&format!("{}/auth/sign-in?{query}", session.public_url));
    }
    let pending = Pending {
        state: random(),
        nonce: random(),
        verifier: random(),
        return_to,
    };
    let mut response = redirect(&session.provider.authorize_url(&pending));
    match session.cookies.begin(&pending) {
        Ok(cookies) => append(&mut response, cookies),
        Err(problem) => return error::response(&chassis::internal(problem)),
    }
    response
}

async fn callback(
    State(session): State<Arc<Session>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let pending = session.cookies.pending(&headers).filter(|pending| {
        let state = parameter(&uri, "state").unwrap_or_default();
        // Both sides are known to who sends them, so that timing tells nothing.
        state == pending.state
    });
    let Some(pending) = pending else {
        return failed(
            "Phiên đăng nhập đã quá hạn. Hãy thử lại.\nThis sign-in is no longer good. Start again: /auth/sign-in\n",
        );
    };
    let Some(code) = parameter(&uri, "code") else {
        return failed("Đăng nhập bị từ chối.\nSign-in was refused. Start again: /auth/sign-in\n");
    };
    match session.provider.redeem(&code, &pending).await {
        Ok(grant) => {
            session.tokens.begin(&grant).await;
            let Some(refresh) = &grant.refresh_token else {
                return failed("Hệ thống đăng nhập không cấp phiên.\nIdentity gave no session.\n");
            };
            let mut response = redirect(&pending.return_to);
            append(&mut response, session.cookies.keep(refresh));
            append(&mut response, vec![session.cookies.finish()]);
            response
        }
        Err(Denied::Invalid) => failed(
            "Mã đăng nhập không còn hiệu lực. Hãy thử lại.\nThe code is no longer good. Start again: /auth/sign-in\n",
        ),
        Err(Denied::Unavailable(status)) => error::response(&status),
    }
}

async fn sign_out(State(session): State<Arc<Session>>, headers: HeaderMap) -> Response<Body> {
    if !session.is_same_origin(&headers) {
        return error::response(&forged());
    }
    if let Some(refresh) = session.cookies.session(&headers) {
        let current = session.tokens.end(&refresh).await;
        session.provider.revoke(&current).await;
    }
    let navigates = headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    let mut response = if navigates {
        redirect("/")
    } else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    };
    append(&mut response, session.cookies.forget());
    response
}

impl Session {
    fn is_public_host(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get(HOST).and_then(|host| host.to_str().ok());
        let named = named.or_else(|| uri.authority().map(http::uri::Authority::as_str));
        let public = self.public_url.split_once("://").map(|(_, host)| host);
        named.is_none() || named == public
    }
}

/// A path of this origin: never another host, in whatever spelling browsers forgive.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn redirect(target: &str) -> Response<Body> {
    let Ok(target) = HeaderValue::try_from(encoded(target)) else {
        return failed("Địa chỉ không hợp lệ.\nNot an address.\n");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, target);
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    response
}

/// Headers are ASCII; a path may not be.
fn encoded(target: &str) -> String {
    percent_encoding::utf8_percent_encode(target, percent_encoding::CONTROLS).to_string()
}

fn failed(problem: &'static str) -> Response<Body> {
    text(StatusCode::BAD_REQUEST, problem)
}

fn append(response: &mut Response<Body>, cookies: Vec<HeaderValue>) {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_returned_to() {
        for path in ["/", "/risk?unit=1#x", "/đơn-vị"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "evil",
            "/\tx",
        ] {
            assert!(!is_own_path(path), "{path}");
        }
    }
}
