//! The browser's session, against a small provider of the tests' own.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Form, Json, Router, extract::State, http::HeaderMap, routing::post};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::testing::{self, City};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use tokio::net::TcpListener;

use crate::{Answer, Running, fixture::Fixture, run, serve};

const PERSON: &str = "0198a0b0-0000-7000-8000-000000000001";

#[derive(Default)]
struct Provider {
    nonce: Mutex<String>,
    challenge: Mutex<String>,
    /// The one refresh token that is good.
    refresh: Mutex<String>,
    life: Mutex<u64>,
    asked: AtomicUsize,
    revoked: Mutex<Vec<String>>,
}

type Form2 = Form<HashMap<String, String>>;

async fn token(
    State(provider): State<Arc<Provider>>,
    Form(form): Form2,
) -> (StatusCode, Json<Value>) {
    provider.asked.fetch_add(1, Ordering::SeqCst);
    assert_eq!(form["client_id"], "gateway");
    assert_eq!(form["client_secret"], "the secret+of us");
    let is_good = match form["grant_type"].as_str() {
        "authorization_code" => {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
            assert_eq!(form["redirect_uri"], "http://localhost:8080/auth/callback");
            form["code"] == "the-code" && challenge == *provider.challenge.lock().unwrap()
        }
        _ => form["refresh_token"] == *provider.refresh.lock().unwrap(),
    };
    if !is_good {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant"})),
        );
    }
    let next = format!("refresh-{}", provider.asked.load(Ordering::SeqCst));
    provider.refresh.lock().unwrap().clone_from(&next);
    let id = json!({
        "iss": testing::ISSUER,
        "aud": "gateway",
        "exp": chrono::Utc::now().timestamp() + 60,
        "nonce": *provider.nonce.lock().unwrap(),
    });
    let id = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(id.to_string()));
    let answer = json!({
        "access_token": testing::token(PERSON),
        "expires_in": *provider.life.lock().unwrap(),
        "refresh_token": next,
        "id_token": id,
    });
    (StatusCode::OK, Json(answer))
}

async fn revoke(State(provider): State<Arc<Provider>>, Form(form): Form2) {
    provider.revoked.lock().unwrap().push(form["token"].clone());
}

async fn echo(headers: HeaderMap) -> Json<HashMap<String, String>> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    Json(
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
    )
}

impl Provider {
    async fn serve(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/oauth2/token", post(token))
            .route("/oauth2/revoke", post(revoke))
            .route("/oauth2/sign-in", axum::routing::get(echo))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

struct Browser {
    gateway: Running,
    provider: Arc<Provider>,
    cookies: Mutex<HashMap<String, String>>,
}

/// A browser before a gateway, with a provider whose access tokens live so long.
async fn browser(life: u64) -> Browser {
    let provider = Arc::new(Provider::default());
    *provider.life.lock().unwrap() = life;
    let identity = provider.serve().await;
    let fixture = serve(Fixture).await;
    let services = [("identity", identity), ("fixture", fixture)];
    Browser {
        gateway: run(&City::new(), &services, &[]).await,
        provider,
        cookies: Mutex::default(),
    }
}

impl Browser {
    async fn send(&self, request: http::request::Builder, body: &'static str) -> Answer {
        let cookies = self.cookies.lock().unwrap().clone();
        let cookies: Vec<_> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request
            .header("host", "localhost:8080")
            .header("cookie", cookies.join("; "));
        let answer = self.gateway.send(request, body).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = value.split(';').next().unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if value.is_empty() {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn sign_in(&self) -> Answer {
        let begun = self
            .send(Request::get("/auth/sign-in?return_to=/risk%3Funit%3D1"), "")
            .await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER);
        let location: http::Uri = begun.header("location").parse().unwrap();
        assert_eq!(location.path(), "/oauth2/authorize");
        let query: HashMap<_, _> = form_urlencoded::parse(location.query().unwrap().as_bytes())
            .into_owned()
            .collect();
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["client_id"], "gateway");
        self.provider
            .nonce
            .lock()
            .unwrap()
            .clone_from(&query["nonce"]);
        self.provider
            .challenge
            .lock()
            .unwrap()
            .clone_from(&query["code_challenge"]);
        let back = format!("/auth/callback?code=the-code&state={}", query["state"]);
        self.send(Request::get(back), "").await
    }

    fn change(&self) -> http::request::Builder {
        Request::post("/v1/things/7:change")
            .header("content-type", "application/json")
            .header("sec-fetch-site", "same-origin")
    }
}

#[tokio::test]
async fn a_browser_signs_in_calls_and_signs_out() {
    let browser = browser(600).await;
    let before = browser.send(browser.change(), "{}").await;
    assert_eq!(before.status, StatusCode::UNAUTHORIZED);
    let back = browser.sign_in().await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.text());
    assert_eq!(back.header("location"), "/risk?unit=1");
    assert_eq!(
        browser.cookies.lock().unwrap().keys().collect::<Vec<_>>(),
        ["__Host-civicmesh"]
    );

    let changed = browser.send(browser.change(), "{}").await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    let headers = &changed.json()["headers"];
    assert!(
        headers["authorization"]
            .as_str()
            .unwrap()
            .starts_with("Bearer ")
    );
    assert!(headers["cookie"].is_null());
    assert_eq!(
        browser.provider.asked.load(Ordering::SeqCst),
        1,
        "the token is kept"
    );

    let foreign = Request::post("/auth/sign-out").header("sec-fetch-site", "cross-site");
    assert_eq!(
        browser.send(foreign, "").await.status,
        StatusCode::FORBIDDEN
    );
    let out = Request::post("/auth/sign-out").header("sec-fetch-site", "same-origin");
    let held = browser.cookies.lock().unwrap().clone();
    assert_eq!(browser.send(out, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(*browser.provider.revoked.lock().unwrap(), ["refresh-1"]);
    assert!(browser.cookies.lock().unwrap().is_empty());
    // Whoever kept the cookie is nobody.
    *browser.cookies.lock().unwrap() = held;
    let after = browser.send(browser.change(), "{}").await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED);
    assert!(browser.cookies.lock().unwrap().is_empty());
}

#[tokio::test]
async fn foreign_pages_cannot_use_the_cookie() {
    let browser = browser(600).await;
    browser.sign_in().await;
    let post = |content_type: &str| {
        Request::post("/v1/things/7:change").header("content-type", content_type)
    };
    let refused = [
        post("application/json").header("sec-fetch-site", "cross-site"),
        post("application/json").header("sec-fetch-site", "same-site"),
        post("application/json").header("origin", "https://evil.example"),
        post("application/json"),
        post("text/plain").header("sec-fetch-site", "same-origin"),
        post("application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin"),
    ];
    for request in refused {
        let answer = browser.send(request, "{}").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        assert_eq!(answer.json()["details"][0]["reason"], "NOT_SAME_ORIGIN");
    }
    let own = post("application/json").header("origin", "http://localhost:8080");
    assert_eq!(browser.send(own, "{}").await.status, StatusCode::OK);

    let web = |site: &str| {
        Request::post("/civicmesh.fixture.v1.FixtureService/ChangeThing")
            .header("content-type", "application/grpc-web+proto")
            .header("sec-fetch-site", site)
    };
    let foreign = browser.send(web("cross-site"), "\0\0\0\0\0").await;
    assert!(foreign.header("grpc-status") == "7" || foreign.text().contains("grpc-status:7"));
    let own = browser.send(web("same-origin"), "\0\0\0\0\0").await;
    assert!(String::from_utf8_lossy(&own.body).contains("grpc-status:0"));
}

#[tokio::test]
async fn tokens_are_renewed_once_for_all_who_wait() {
    // Every token is within the margin of its end as soon as it is made.
    let browser = browser(30).await;
    browser.sign_in().await;
    *browser.provider.life.lock().unwrap() = 600;
    let before = browser.provider.asked.load(Ordering::SeqCst);
    let held = browser.cookies.lock().unwrap()["__Host-civicmesh"].clone();
    let calls = (0..8).map(|_| {
        let request = browser
            .change()
            .header("host", "localhost:8080")
            .header("cookie", format!("__Host-civicmesh={held}"));
        browser.gateway.send(request, "{}")
    });
    let answers = futures::future::join_all(calls).await;
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert!(
            answer.header("set-cookie").starts_with("__Host-civicmesh="),
            "the new one is told to all"
        );
    }
    assert_eq!(browser.provider.asked.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn an_ended_session_is_forgotten() {
    let browser = browser(30).await;
    browser.sign_in().await;
    "another".clone_into(&mut browser.provider.refresh.lock().unwrap());
    let read = browser.send(Request::get("/v1/things/7"), "").await;
    assert_eq!(read.status, StatusCode::OK, "what is public stays");
    assert!(browser.cookies.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_callback_that_was_not_asked_for_is_refused() {
    let browser = browser(600).await;
    let stray = browser
        .send(Request::get("/auth/callback?code=the-code&state=x"), "")
        .await;
    assert_eq!(stray.status, StatusCode::BAD_REQUEST);
    browser.send(Request::get("/auth/sign-in"), "").await;
    let other = browser
        .send(Request::get("/auth/callback?code=the-code&state=x"), "")
        .await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.provider.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn signing_in_begins_and_ends_here() {
    let browser = browser(600).await;
    let elsewhere = Request::get("/auth/sign-in?return_to=/x").header("host", "127.0.0.1:8080");
    let answer = browser.gateway.send(elsewhere, "").await;
    assert_eq!(
        answer.header("location"),
        "http://localhost:8080/auth/sign-in?return_to=%2Fx"
    );
}
