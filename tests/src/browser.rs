//! Signing in as people do, page by page: the authorization code flow with PKCE, once for the console's cookie and once
//! for a program's tokens; and the live stream as the console reads it, over gRPC-Web.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use proto::gateway::v1::{WatchRequest, WatchResponse};
use sha2::{Digest, Sha256};

use crate::{
    Answer, Http,
    http::{form, parameter},
};

/// The public client for programs on a person's own machine.
const PROGRAM: &str = "cli";
/// Nobody listens there: the redirect is read, not followed.
const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// A person's browser with its cookies.
pub struct Browser {
    /// Its requests.
    pub http: Http,
}

impl Browser {
    /// Opens a page of the console and signs in; ends where the sign-in led to.
    pub async fn sign_in(
        origin: &str,
        login: &str,
        password: &str,
        return_to: &str,
    ) -> (Self, String) {
        let http = Http::new(origin);
        let start = http
            .open(&format!(
                "/auth/sign-in?{}",
                form(&[("return_to", return_to)])
            ))
            .await;
        let page = follow(&http, start).await;
        let answer = fill(&http, &page, login, password).await;
        let mut location = redirect(&answer);
        // The provider's redirect to the door's callback, and from there to the page wanted.
        for _ in 0..4 {
            if location.contains("/auth/callback") || location.contains("/oauth2/") {
                location = redirect(&http.open(&location).await);
            }
        }
        (Self { http }, location)
    }

    /// Watches what changes, as the console does.
    pub async fn watch(&self, request: &WatchRequest) -> Watch {
        let body = request.encode_to_vec();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let frame = [&[0], &length[..], &body].concat();
        let headers = [
            ("content-type", "application/grpc-web+proto"),
            ("x-grpc-web", "1"),
        ];
        let answer = self
            .http
            .stream(
                Method::POST,
                "/civicmesh.gateway.v1.LiveService/Watch",
                &headers,
                frame.into(),
            )
            .await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        let status = answer.headers().get("grpc-status");
        assert!(status.is_none_or(|code| code == "0"), "{answer:?}");
        Watch {
            body: answer.into_body(),
            held: BytesMut::new(),
        }
    }
}

/// A live stream over gRPC-Web.
pub struct Watch {
    body: hyper::body::Incoming,
    held: BytesMut,
}

impl Watch {
    /// The next message, heartbeats included; none at the stream's end.
    pub async fn next(&mut self) -> Option<WatchResponse> {
        loop {
            if let Some((kind, message)) = self.frame() {
                if kind & 0x80 != 0 {
                    return None;
                }
                return Some(WatchResponse::decode(message).unwrap());
            }
            let more = self.body.frame().await?.unwrap();
            if let Ok(data) = more.into_data() {
                self.held.extend_from_slice(&data);
            }
        }
    }

    /// The next message that is wanted.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&WatchResponse) -> bool,
    ) -> WatchResponse {
        let wait = async {
            loop {
                let message = self.next().await;
                let message = message.unwrap_or_else(|| panic!("the stream ended before {what}"));
                if wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(limit, wait)
            .await
            .unwrap_or_else(|_| panic!("not on the live stream within {limit:?}: {what}"))
    }

    fn frame(&mut self) -> Option<(u8, Bytes)> {
        let head = self.held.get(..5)?;
        let kind = head[0];
        let length = usize::try_from(u32::from_be_bytes(head[1..].try_into().unwrap())).unwrap();
        if self.held.len() < 5 + length {
            return None;
        }
        self.held.advance(5);
        Some((kind, self.held.split_to(length).freeze()))
    }
}

/// The access token that a program gets when a person signs in through it.
pub(crate) async fn program_token(origin: &str, login: &str, password: &str) -> String {
    let http = Http::new(origin);
    let verifier = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let state = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    let query = [
        ("response_type", "code"),
        ("client_id", PROGRAM),
        ("redirect_uri", REDIRECT),
        ("scope", "openid"),
        ("state", &state),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let start = http
        .open(&format!("/oauth2/authorize?{}", form(&query)))
        .await;
    let page = follow(&http, start).await;
    let location = redirect(&fill(&http, &page, login, password).await);
    assert!(location.starts_with(REDIRECT), "{location}");
    assert_eq!(parameter(&location, "state").as_deref(), Some(&*state));
    let code = parameter(&location, "code").unwrap_or_else(|| panic!("no code in {location}"));
    let answer = http
        .post_form(
            "/oauth2/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", REDIRECT),
                ("client_id", PROGRAM),
                ("code_verifier", &verifier),
            ],
        )
        .await;
    answer.ok()["access_token"].as_str().unwrap().to_owned()
}

/// Follows redirects to a page.
async fn follow(http: &Http, mut answer: Answer) -> Answer {
    for _ in 0..6 {
        if !answer.status.is_redirection() {
            break;
        }
        answer = http.open(&redirect(&answer)).await;
    }
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer
}

fn redirect(answer: &Answer) -> String {
    assert!(
        answer.status.is_redirection(),
        "no redirect: {} {}",
        answer.status,
        answer.text()
    );
    answer.header("location").to_owned()
}

/// Fills in the sign-in form that a page shows, hidden fields and all.
async fn fill(http: &Http, page: &Answer, login: &str, password: &str) -> Answer {
    let html = page.text();
    let form = tags(&html, "form").next();
    let form = form.unwrap_or_else(|| panic!("no form on the page:\n{html}"));
    let action = attribute(form, "action").unwrap_or_else(|| "/oauth2/sign-in".to_owned());
    let mut fields = Vec::new();
    for input in tags(&html, "input") {
        let Some(name) = attribute(input, "name") else {
            continue;
        };
        let value = match attribute(input, "type").as_deref() {
            Some("password") => password.to_owned(),
            Some("hidden") => attribute(input, "value").unwrap_or_default(),
            Some("checkbox" | "submit" | "button") => continue,
            _ => login.to_owned(),
        };
        fields.push((name, value));
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    http.post_form(&action, &fields).await
}

fn tags<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let open = format!("<{name}");
    html.match_indices(&open)
        .map(|(at, _)| &html[at..])
        .map(|rest| &rest[..rest.find('>').unwrap_or(rest.len())])
        .collect::<Vec<_>>()
        .into_iter()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
