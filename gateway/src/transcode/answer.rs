//! The HTTP answer to a call that succeeded: JSON, or the raw bytes of a `google.api.HttpBody`.

use bytes::Bytes;
use chassis::access::Rule;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Code, body::Body};

use super::{Route, error, message};

/// What a browser may show in place; anything else is downloaded, so that nothing uploaded runs as a page of ours.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// Answers with a message.
#[must_use]
pub fn response(route: &Route, request: &HeaderMap, bytes: Bytes) -> Response<Body> {
    let output = route.method.descriptor.output();
    let (mut response, tag) = if output.full_name() == "google.api.HttpBody" {
        match proto::google::api::HttpBody::decode(bytes) {
            Ok(body) => (raw(&body.content_type, body.data.into()), None),
            Err(error) => return unreadable(&error.into()),
        }
    } else {
        match message::response(&output, &bytes) {
            Ok(json) => {
                let tag = tag(&json);
                (error::json_response(StatusCode::OK, json.into()), Some(tag))
            }
            Err(error) => return unreadable(&error),
        }
    };
    cache(route, request, &mut response, tag);
    response
}

fn unreadable(error: &anyhow::Error) -> Response<Body> {
    tracing::error!(
        error = format!("{error:#}"),
        "a service's message does not fit the contract"
    );
    let refusal = chassis::Refusal::new(Code::Internal, "INTERNAL", "lỗi nội bộ", "internal error");
    error::refusal(None, refusal)
}

fn raw(content_type: &str, data: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(data)));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(content_type)
        .ok()
        .filter(|kind| !kind.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let disposition = if SHOWN.contains(&content_type) {
        "inline"
    } else {
        "attachment"
    };
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, sandbox);
    response
}

/// A weak tag: compression changes the bytes, not what they say.
pub fn tag(body: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(body);
    let hex: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("W/\"{hex}\"")).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Only what anybody may read is kept by caches: a list for a minute, one thing by its id not without asking again.
fn cache(
    route: &Route,
    request: &HeaderMap,
    response: &mut Response<Body>,
    tag: Option<HeaderValue>,
) {
    let is_public_read = route.method.rule == Rule::Public && route.verb == http::Method::GET;
    let is_anonymous = !request.contains_key(AUTHORIZATION);
    let control = if !is_public_read {
        "no-store"
    } else if is_anonymous && route.template.fields().next().is_none() {
        "public, max-age=60"
    } else {
        "private, no-cache"
    };
    let vary = HeaderValue::from_static("accept-language, authorization, cookie");
    set(response, CACHE_CONTROL, HeaderValue::from_static(control));
    set(response, VARY, vary);
    if !is_public_read {
        return;
    }
    set(
        response,
        ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    let Some(tag) = tag else { return };
    if is_known(request, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
    }
    set(response, ETAG, tag);
}

fn set(response: &mut Response<Body>, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

/// Whether the caller has this already.
pub fn is_known(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let strong = tag.to_str().unwrap_or_default().trim_start_matches("W/");
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == strong)
}
