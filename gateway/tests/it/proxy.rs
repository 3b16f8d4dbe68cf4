//! Plain HTTP that is passed through.

use std::net::SocketAddr;

use axum::{Json, Router, http::HeaderMap, routing::any};
use chassis::testing::City;
use http::{Request, StatusCode, Uri};
use serde_json::json;
use tokio::net::TcpListener;

use crate::run;

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = async |uri: Uri, headers: HeaderMap, body: String| {
        let headers: serde_json::Map<_, _> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect();
        let answer = json!({"path": uri.path_and_query().unwrap().as_str(), "headers": headers, "body": body});
        (
            StatusCode::IM_A_TEAPOT,
            [("set-cookie", "sso=1")],
            Json(answer),
        )
    };
    let router = Router::new().fallback(any(echo));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn identity_is_reached_with_its_own_cookies_only() {
    let gateway = run(
        &City::new(),
        &[("identity", echo().await)],
        &["--public-url=https://city.example"],
    )
    .await;
    let request = Request::post("/oauth2/sign-in?a=b%20c")
        .header(
            "cookie",
            "sso=2; __Host-civicmesh=secret; __Host-civicmesh-sign-in=secret; other=3",
        )
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", "Basic eDp5")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-host", "evil.example")
        .header("x-user-id", "root");
    let answer = gateway.send(request, "login=1").await;
    assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.header("set-cookie"), "sso=1");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let seen = answer.json();
    assert_eq!(seen["path"], "/oauth2/sign-in?a=b%20c");
    assert_eq!(seen["body"], "login=1");
    let headers = &seen["headers"];
    assert_eq!(headers["cookie"], "sso=2; other=3");
    assert_eq!(headers["authorization"], "Basic eDp5");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-host"], "city.example");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert!(headers["x-user-id"].is_null());
    assert_eq!(
        gateway
            .get("/.well-known/openid-configuration")
            .await
            .status,
        StatusCode::IM_A_TEAPOT
    );
}

#[tokio::test]
async fn without_identity_the_answer_says_so() {
    let gateway = run(
        &City::new(),
        &[("identity", "127.0.0.1:1".parse().unwrap())],
        &[],
    )
    .await;
    let answer = gateway.get("/oauth2/authorize").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.json()["details"][0]["reason"],
        "UPSTREAM_UNAVAILABLE"
    );
}
