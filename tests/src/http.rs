//! A small HTTP client that shows what a browser would hide: every redirect, every cookie.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// Longest time one answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A client of the gateway: a program with a token, or a browser with cookies.
pub struct Http {
    /// The gateway's address, such as `http://localhost:8080`.
    pub origin: String,
    /// Sent as `accept-language`.
    pub language: &'static str,
    token: Option<String>,
    cookies: Mutex<BTreeMap<String, String>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} {error}: {}", self.status, self.text()))
    }

    /// The body as JSON of a request that was served.
    ///
    /// # Panics
    /// When it was not.
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self.json()
    }

    /// The value of a header, empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Http {
    /// A client without token and cookies.
    #[must_use]
    pub fn new(origin: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            origin: origin.to_owned(),
            language: "vi",
            token: None,
            cookies: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// A client that sends a token.
    #[must_use]
    pub fn with_token(origin: &str, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..Self::new(origin)
        }
    }

    /// The same client in another language.
    #[must_use]
    pub fn in_language(self, language: &'static str) -> Self {
        Self { language, ..self }
    }

    /// Gets a path of the gateway, or a whole address.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Opens a page as a browser's address line does.
    pub async fn open(&self, path: &str) -> Answer {
        let headers = [
            ("accept", "text/html,application/xhtml+xml"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        self.send(Method::GET, path, &headers, Bytes::new()).await
    }

    /// Gets a path with query parameters.
    pub async fn get_with(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        self.get(&format!("{path}?{}", form(query))).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.send(Method::POST, path, &kind, body.to_string().into())
            .await
    }

    /// Posts an HTML form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, path, &kind, form(fields).into())
            .await
    }

    /// Sends a request and reads the answer whole. Redirects are not followed.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let what = format!("{method} {path}");
        let answer = tokio::time::timeout(LIMIT, async {
            let (parts, body) = self.stream(method, path, headers, body).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            }
        });
        answer
            .await
            .unwrap_or_else(|_| panic!("no answer within {LIMIT:?}: {what}"))
    }

    /// Sends a request; the answer's body is still to come.
    pub async fn stream(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<hyper::body::Incoming> {
        let address = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.origin)
        };
        let mut request = Request::builder()
            .method(method)
            .uri(&address)
            .header(header::ACCEPT_LANGUAGE, self.language);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let cookies = self.cookies();
        if !cookies.is_empty() {
            // As browsers do for a page's own scripts.
            request = request
                .header(header::COOKIE, cookies)
                .header(header::ORIGIN, &self.origin)
                .header("sec-fetch-site", "same-origin");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let answer = self
            .client
            .request(request)
            .await
            .unwrap_or_else(|error| panic!("{address}: {error:?}"));
        self.remember(answer.headers());
        answer
    }

    /// A cookie's value.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<_> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn remember(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        for cookie in headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.to_ascii_lowercase().contains("max-age=0") || value.is_empty() {
                cookies.remove(name.trim());
            } else {
                cookies.insert(name.trim().to_owned(), value.to_owned());
            }
        }
    }
}

/// Encodes query parameters and form fields.
#[must_use]
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The value of a query parameter.
#[must_use]
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    Some(decode(value))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let code = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(code, 16).unwrap());
                rest = tail;
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
