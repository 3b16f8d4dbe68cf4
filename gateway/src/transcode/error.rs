//! A gRPC status as an HTTP answer: one table of codes, a JSON body shaped as `google.rpc.Status`.

use std::time::Duration;

use bytes::Bytes;
use chassis::{Refusal, telemetry};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The HTTP status of a gRPC code, as `google.rpc.Code` recommends.
#[must_use]
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // nginx's "client closed request"; nobody is left to read it.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a call that failed.
#[must_use]
pub fn response(status: &Status) -> Response<Body> {
    response_as(http_status(status.code()), status)
}

/// The answer to a call that failed, where HTTP knows better what it was.
#[must_use]
pub fn response_as(http: StatusCode, status: &Status) -> Response<Body> {
    let details = status.get_error_details();
    let mut body = json!({
        "code": i32::from(status.code()),
        "status": name(status.code()),
        "message": status.message(),
        "details": described(&details),
    });
    let trace = telemetry::trace_id();
    if !trace.is_empty() {
        body["traceId"] = trace.into();
    }
    let mut response = json_response(http, body.to_string().into());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if http == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let delay = details.retry_info().and_then(|retry| retry.retry_delay);
    if let Some(delay) = delay {
        headers.insert(RETRY_AFTER, whole_seconds(delay).into());
    }
    response
}

/// The answer to what the gateway itself refuses.
#[must_use]
pub fn refusal(http: Option<StatusCode>, refusal: Refusal) -> Response<Body> {
    let status = refusal.into_status(crate::contract::OWN);
    response_as(http.unwrap_or_else(|| http_status(status.code())), &status)
}

/// An answer in JSON.
#[must_use]
pub fn json_response(http: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(body)));
    *response.status_mut() = http;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

fn described(details: &ErrorDetails) -> Vec<Value> {
    let mut list = Vec::new();
    let mut add = |kind: &str, mut value: Value| {
        value["@type"] = format!("type.googleapis.com/google.rpc.{kind}").into();
        list.push(value);
    };
    if let Some(info) = details.error_info() {
        add(
            "ErrorInfo",
            json!({"reason": info.reason, "domain": info.domain, "metadata": info.metadata}),
        );
    }
    if let Some(bad) = details.bad_request() {
        let violations = bad.field_violations.iter();
        let violations: Vec<_> = violations
            .map(|one| json!({"field": one.field, "description": one.description}))
            .collect();
        add("BadRequest", json!({"fieldViolations": violations}));
    }
    if let Some(info) = details.resource_info() {
        add(
            "ResourceInfo",
            json!({"resourceType": info.resource_type, "resourceName": info.resource_name}),
        );
    }
    if let Some(text) = details.localized_message() {
        add(
            "LocalizedMessage",
            json!({"locale": text.locale, "message": text.message}),
        );
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let delay = format!("{}s", delay.as_secs_f64());
        add("RetryInfo", json!({"retryDelay": delay}));
    }
    list
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
