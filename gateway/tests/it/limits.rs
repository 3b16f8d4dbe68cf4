//! Limits of rate.

use chassis::testing;
use http::{Request, StatusCode};

use crate::with_fixture;

#[tokio::test]
async fn an_address_without_a_token_is_limited() {
    let gateway = with_fixture(&["--rate-address=0.01:3", "--rate-caller=0.01:5"]).await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/v1/things/7").await.status, StatusCode::OK);
    }
    let refused = gateway.get("/v1/things/7").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let body = refused.json();
    assert_eq!(body["details"][0]["reason"], "TOO_MANY_CALLS");
    assert_eq!(
        body["details"][1]["@type"],
        "type.googleapis.com/google.rpc.RetryInfo"
    );
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 50);
    // Whoever has a token is counted alone.
    let token = format!(
        "Bearer {}",
        testing::token("0198a0b0-0000-7000-8000-000000000001")
    );
    let ask = || Request::get("/v1/things/7").header("authorization", &token);
    for _ in 0..5 {
        assert_eq!(gateway.send(ask(), "").await.status, StatusCode::OK);
    }
    let refused = gateway.send(ask(), "").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn who_signs_in_and_out_is_limited_too() {
    let gateway = with_fixture(&["--rate-address=0.01:3"]).await;
    for path in ["/auth/sign-in", "/auth/callback", "/oauth2/authorize"] {
        let answer = gateway.get(path).await;
        assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    }
    let refused = gateway.get("/auth/callback?code=x&state=y").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(gateway.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn public_writes_are_limited_more() {
    let gateway = with_fixture(&["--rate-public-write=0.01:2"]).await;
    for _ in 0..2 {
        assert_eq!(
            gateway.post("/v1/things", "{}").await.status,
            StatusCode::OK
        );
    }
    let refused = gateway.post("/v1/things", "{}").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(gateway.get("/v1/things/7").await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_our_own_proxies_say_where_a_caller_is() {
    let seen = async |flags: &[&str]| {
        let gateway = with_fixture(flags).await;
        let request = Request::get("/v1/things/7").header("x-forwarded-for", "1.1.1.1, 2.2.2.2");
        let thing = gateway.send(request, "").await.json();
        thing["headers"]["x-forwarded-for"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(seen(&[]).await, "127.0.0.1");
    assert_eq!(seen(&["--trusted-proxies=1"]).await, "2.2.2.2");
    assert_eq!(seen(&["--trusted-proxies=2"]).await, "1.1.1.1");
    assert_eq!(seen(&["--trusted-proxies=3"]).await, "127.0.0.1");
}
