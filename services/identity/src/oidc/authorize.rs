//! Where people sign in: the code flow with PKCE, its form, and what guessing meets.

use std::fmt::Write;

use axum::{
    Form,
    extract::{Query, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use chassis::language::{self, Language};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{error::OauthError, no_store, page};
use crate::{
    account::{self, Credentials, normal_login},
    client::{self, Client},
    error::Result as Outcome,
    password::{self, Attempt, Taken},
    session::{self, Asked},
    state::Identity,
};

const COOKIE: &str = "civicmesh_sign_in";

/// What a client asks for.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Request {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    scope: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
    prompt: String,
    login_hint: String,
    ui_locales: String,
}

/// What a person sends.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct SignIn {
    login: String,
    password: String,
    new_password: String,
    new_password_again: String,
    form: String,
}

impl Request {
    /// The client that may ask this, or the answer that says what is wrong. Before client and address are known to
    /// belong together nothing is sent to the address.
    async fn check(&self, identity: &Identity) -> Result<Client, Box<Response>> {
        let client = client::find(&identity.db, &self.client_id)
            .await
            .map_err(|error| OauthError::from(error).into_response())?
            .filter(|client| !client.disabled)
            .ok_or_else(|| page::refused(self.language()))?;
        if !client.may_redirect_to(&self.redirect_uri, &identity.issuer) {
            return Err(page::refused(self.language()).into());
        }
        match self.problem() {
            None => Ok(client),
            Some((error, description)) => {
                let answer = [("error", error), ("error_description", description)];
                Err(self.back(identity, &answer).into())
            }
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.response_type != "code" {
            Some(("unsupported_response_type", "response_type must be code"))
        } else if !self.scope.split(' ').any(|scope| scope == "openid") {
            Some(("invalid_scope", "scope must contain openid"))
        } else if self.code_challenge_method != "S256" || self.code_challenge.len() != 43 {
            Some(("invalid_request", "PKCE with S256 is required"))
        } else if self.state.len() + self.nonce.len() > 2048 {
            Some(("invalid_request", "state and nonce are too long"))
        } else if self.prompt == "none" {
            Some(("login_required", "the person must sign in"))
        } else {
            None
        }
    }

    /// Sends the browser back to the client.
    fn back(&self, identity: &Identity, answer: &[(&str, &str)]) -> Response {
        let mut query = answer.to_vec();
        if !self.state.is_empty() {
            query.push(("state", &self.state));
        }
        query.push(("iss", &identity.issuer));
        no_store(Redirect::to(&with_query(&self.redirect_uri, &query)).into_response())
    }

    fn language(&self) -> Language {
        match self.ui_locales.split(' ').next() {
            None | Some("") => language::current(),
            Some(locale) => Language::parse(locale),
        }
    }
}

/// Adds parameters to an address.
pub fn with_query(uri: &str, query: &[(&str, &str)]) -> String {
    let mut uri = uri.to_owned();
    for (name, value) in query {
        uri.push(if uri.contains('?') { '&' } else { '?' });
        uri.push_str(name);
        uri.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

pub async fn authorize(
    State(identity): State<Identity>,
    RawQuery(query): RawQuery,
    Query(request): Query<Request>,
) -> Response {
    match request.check(&identity).await {
        Ok(_) => {
            let uri = format!("/oauth2/sign-in?{}", query.unwrap_or_default());
            no_store(Redirect::to(&uri).into_response())
        }
        Err(response) => *response,
    }
}

pub async fn form(
    State(identity): State<Identity>,
    RawQuery(query): RawQuery,
    Query(request): Query<Request>,
    headers: HeaderMap,
) -> Response {
    if let Err(response) = request.check(&identity).await {
        return *response;
    }
    let view = View {
        identity: &identity,
        request: &request,
        query: query.as_deref().unwrap_or_default(),
        headers: &headers,
        login: &request.login_hint,
    };
    view.render(StatusCode::OK, None)
}

pub async fn sign_in(
    State(identity): State<Identity>,
    RawQuery(query): RawQuery,
    Query(request): Query<Request>,
    headers: HeaderMap,
    Form(sent): Form<SignIn>,
) -> Response {
    if let Err(response) = request.check(&identity).await {
        return *response;
    }
    let view = View {
        identity: &identity,
        request: &request,
        query: query.as_deref().unwrap_or_default(),
        headers: &headers,
        login: &sent.login,
    };
    // The form must be ours: its value and the cookie that came with it are the same.
    if sent.form.is_empty() || cookie(&headers) != Some(&sent.form) {
        return view.render(StatusCode::FORBIDDEN, Some(page::Problem::FormExpired));
    }
    match prove(&identity, &headers, &sent).await {
        Ok(Proof::Account(account, address)) => {
            let asked = Asked {
                client_id: &request.client_id,
                redirect_uri: &request.redirect_uri,
                challenge: &request.code_challenge,
                nonce: &request.nonce,
            };
            match session::begin(&identity.db, &account, &asked, &address).await {
                Ok(code) => request.back(&identity, &[("code", &code)]),
                Err(error) => OauthError::from(error).into_response(),
            }
        }
        Ok(Proof::Replace(problem)) => view.render(StatusCode::OK, Some(problem)),
        Ok(Proof::Wrong) => view.render(StatusCode::UNAUTHORIZED, Some(page::Problem::Wrong)),
        Ok(Proof::Locked(until)) => {
            let seconds = (until - Utc::now()).num_seconds().max(1);
            let problem = Some(page::Problem::Locked);
            let mut response = view.render(StatusCode::TOO_MANY_REQUESTS, problem);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Err(error) => OauthError::from(error).into_response(),
    }
}

/// How a sign-in ended.
enum Proof {
    Account(Credentials, String),
    /// The password is right, but somebody else knows it.
    Replace(page::Problem),
    Wrong,
    Locked(DateTime<Utc>),
}

/// Proves who signs in. Known and unknown logins take the same way, so that neither answer nor time tells them apart.
async fn prove(identity: &Identity, headers: &HeaderMap, sent: &SignIn) -> Outcome<Proof> {
    let login = normal_login(&sent.login);
    let attempt = Attempt::new(&login, address(headers));
    let is_last = match attempt.begin(&identity.db).await? {
        Taken::Yes { is_last } => is_last,
        Taken::No(until) => return Ok(Proof::Locked(until)),
    };
    let known = account::by_login(&identity.db, &login).await?;
    let hash = known.as_ref().map(|account| account.password_hash.clone());
    let proven = password::verify(&sent.password, hash).await?;
    let address = attempt.network();
    let account = match known {
        Some(account) if proven => account,
        known => {
            session::failed(&identity.db, known.as_ref(), address, is_last).await?;
            return Ok(Proof::Wrong);
        }
    };
    attempt.succeeded(&identity.db).await?;
    if account.must_change_password {
        if let Some(problem) = unfit(sent) {
            return Ok(Proof::Replace(problem));
        }
        let hash = password::hash(&sent.new_password).await?;
        account::set_password_hash(&identity.db, account.id, &hash).await?;
    }
    tracing::info!(account.id = %account.id, "signed in");
    Ok(Proof::Account(account, address.to_owned()))
}

/// What is wrong with the new password, if one was sent at all.
fn unfit(sent: &SignIn) -> Option<page::Problem> {
    if sent.new_password.is_empty() || sent.new_password == sent.password {
        Some(page::Problem::Replace)
    } else if password::check("new_password", &sent.new_password).is_err() {
        Some(page::Problem::Length)
    } else if sent.new_password != sent.new_password_again {
        Some(page::Problem::Differ)
    } else {
        None
    }
}

/// The address that the gateway saw: the last one, for earlier ones may be made up.
fn address(headers: &HeaderMap) -> Option<&str> {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back()?;
    forwarded.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

/// The form, in answer to a request.
struct View<'a> {
    identity: &'a Identity,
    request: &'a Request,
    query: &'a str,
    headers: &'a HeaderMap,
    login: &'a str,
}

impl View<'_> {
    fn render(&self, status: StatusCode, problem: Option<page::Problem>) -> Response {
        // Several tabs share the cookie.
        let form = cookie(self.headers)
            .filter(|value| value.len() == 43)
            .map_or_else(session::secret, str::to_owned);
        let secure = if self.identity.issuer.starts_with("https:") {
            "; Secure"
        } else {
            ""
        };
        let cookie = format!(
            "{COOKIE}={form}; Path=/oauth2; HttpOnly; SameSite=Strict; Max-Age=3600{secure}"
        );
        let mut response = page::sign_in(&page::Form {
            language: self.request.language(),
            query: self.query,
            redirect_uri: &self.request.redirect_uri,
            form: &form,
            login: self.login,
            problem,
        });
        *response.status_mut() = status;
        if let Ok(cookie) = cookie.parse() {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped() {
        assert_eq!(
            with_query("http://x/y?a=1", &[("state", "ă &#")]),
            "http://x/y?a=1&state=%C4%83%20%26%23"
        );
    }

    #[test]
    fn only_the_last_address_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(address(&headers), None);
        headers.insert("x-forwarded-for", "1.1.1.1, 10.0.0.9".parse().unwrap());
        assert_eq!(address(&headers), Some("10.0.0.9"));
    }
}
