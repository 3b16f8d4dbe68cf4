//! The cookies: encrypted and authenticated, for this host alone, out of reach of scripts.

use axum::response::IntoResponse as _;
use axum_extra::extract::{
    PrivateCookieJar,
    cookie::{Cookie, Key, SameSite},
};
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

/// Holds the refresh token.
pub const COOKIE: &str = "__Host-civicmesh";

/// Holds what a sign-in that has begun must end with.
pub const PENDING: &str = "__Host-civicmesh-sign-in";

/// How long a person may take to sign in.
pub const PENDING_SECONDS: i64 = 900;

/// What a sign-in that has begun must end with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Ties the answer to this browser.
    pub state: String,
    /// Ties the ID token to this sign-in.
    pub nonce: String,
    /// Proves that the code is redeemed by who asked for it.
    pub verifier: String,
    /// Where to go afterwards.
    pub return_to: String,
}

/// Makes and reads the cookies.
pub struct Cookies {
    key: Key,
}

impl Cookies {
    /// With a key made of a secret text, such as 32 random bytes in hexadecimal.
    pub fn new(secret: &str) -> anyhow::Result<Self> {
        let secret = secret.trim();
        anyhow::ensure!(secret.len() >= 32, "32 characters at least are needed");
        let key = Key::from(&Sha512::digest(secret));
        Ok(Self { key })
    }

    /// The refresh token of a request.
    pub fn session(&self, headers: &HeaderMap) -> Option<String> {
        let cookie = self.jar(headers).get(COOKIE)?;
        Some(cookie.value().to_owned())
    }

    /// Sets the session's cookie. It ends with the browser: offices share computers.
    pub fn keep(&self, refresh: &str) -> Vec<HeaderValue> {
        self.set(cookie(COOKIE, refresh.to_owned()))
    }

    /// Ends the session's cookie.
    pub fn forget(&self) -> Vec<HeaderValue> {
        vec![ended(COOKIE)]
    }

    /// The sign-in that a request ends.
    pub fn pending(&self, headers: &HeaderMap) -> Option<Pending> {
        let cookie = self.jar(headers).get(PENDING)?;
        serde_json::from_str(cookie.value()).ok()
    }

    /// Sets the cookie of a sign-in.
    pub fn begin(&self, pending: &Pending) -> anyhow::Result<Vec<HeaderValue>> {
        let mut cookie = cookie(PENDING, serde_json::to_string(pending)?);
        cookie.set_max_age(Some(
            std::time::Duration::from_secs(PENDING_SECONDS.unsigned_abs()).try_into()?,
        ));
        Ok(self.set(cookie))
    }

    /// Ends the cookie of a sign-in.
    pub fn finish(&self) -> HeaderValue {
        ended(PENDING)
    }

    fn jar(&self, headers: &HeaderMap) -> PrivateCookieJar {
        PrivateCookieJar::from_headers(headers, self.key.clone())
    }

    fn set(&self, cookie: Cookie<'static>) -> Vec<HeaderValue> {
        let jar = PrivateCookieJar::new(self.key.clone()).add(cookie);
        let response = jar.into_response();
        let cookies = response.headers().get_all(SET_COOKIE).iter();
        cookies.cloned().collect()
    }
}

fn cookie(name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .http_only(true)
        .secure(true)
        .same_site(SameSite::Lax)
        .path("/")
        .build()
}

fn ended(name: &'static str) -> HeaderValue {
    let text = format!("{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE as HEADER;

    use super::*;

    fn random() -> String {
        format!("{:032x}", rand::random::<u128>())
    }

    fn sent(set: &[HeaderValue]) -> HeaderMap {
        let pair = set[0].to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(HEADER, pair.parse().unwrap())])
    }

    #[test]
    fn the_session_is_encrypted_and_bound_to_this_host() {
        let cookies = Cookies::new(&random()).unwrap();
        let set = cookies.keep("the-refresh-token");
        let text = set[0].to_str().unwrap();
        assert!(!text.contains("the-refresh-token"));
        assert!(text.starts_with("__Host-civicmesh="));
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(text.contains(attribute), "{text}");
        }
        assert!(!text.contains("Domain") && !text.contains("Max-Age"));
        assert_eq!(
            cookies.session(&sent(&set)).as_deref(),
            Some("the-refresh-token")
        );
    }

    #[test]
    fn a_foreign_or_altered_cookie_is_none() {
        let ours = Cookies::new(&random()).unwrap();
        let theirs = Cookies::new(&random()).unwrap();
        assert_eq!(ours.session(&sent(&theirs.keep("x"))), None);
        let forged = HeaderMap::from_iter([(HEADER, "__Host-civicmesh=plain".parse().unwrap())]);
        assert_eq!(ours.session(&forged), None);
        // The name is authenticated too: one cookie cannot stand in for the other.
        let pending = ours.keep("x")[0].to_str().unwrap().replace(COOKIE, PENDING);
        assert_eq!(ours.pending(&sent(&[pending.parse().unwrap()])), None);
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(Cookies::new("short\n").is_err());
    }
}
