//! The pages of the provider: plain HTML without scripts, for any screen and any reader.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use chassis::language::{self, Language};

use super::no_store;
use crate::session;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#17212b;--paper:#f4f6f8;--card:#fff;--line:#5c6b7a;--accent:#0b5cad;--bad:#a3161a}
@media (prefers-color-scheme:dark){:root{--ink:#e9eef3;--paper:#11171d;--card:#1a222b;--line:#8fa0b1;--accent:#7db8f2;--bad:#ff9d9d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:16px;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,'Segoe UI',Roboto,'Noto Sans',sans-serif}
main{width:100%;max-width:400px;background:var(--card);padding:24px;border-radius:12px}
h1{font-size:1.375rem;line-height:1.3;margin:0 0 4px}
p{margin:0 0 16px}
label{display:block;font-weight:600;margin:16px 0 4px}
input{width:100%;font:inherit;padding:10px 12px;border:1px solid var(--line);border-radius:8px;background:var(--card);color:var(--ink)}
button{width:100%;margin-top:24px;padding:12px;font:inherit;font-weight:600;border:0;border-radius:8px;background:var(--accent);color:var(--card);cursor:pointer}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.problem{border:2px solid var(--bad);border-radius:8px;padding:10px 12px;color:var(--bad);font-weight:600}
nav{margin-top:20px;text-align:center}
a{color:var(--accent)}
";

/// What went wrong at the last try.
#[derive(Clone, Copy)]
pub enum Problem {
    /// Login or password; not said which.
    Wrong,
    /// Too many failures.
    Locked,
    /// The form was not ours, or is too old.
    FormExpired,
    /// Somebody else knows the password: the person chooses another.
    Replace,
    /// The new password is too short or too long.
    Length,
    /// The new password was not written twice alike.
    Differ,
}

impl Problem {
    fn text(self, language: Language) -> &'static str {
        match self {
            Self::Wrong => language.pick(
                "Tên đăng nhập hoặc mật khẩu không đúng. Hãy kiểm tra rồi thử lại.",
                "The login or the password is wrong. Check both and try again.",
            ),
            Self::Locked => language.pick(
                "Đã thử sai quá nhiều lần. Hãy chờ ít phút rồi thử lại.",
                "Too many wrong attempts. Wait a few minutes and try again.",
            ),
            Self::FormExpired => language.pick(
                "Biểu mẫu đã hết hạn. Hãy đăng nhập lại.",
                "The form has expired. Sign in again.",
            ),
            Self::Replace => language.pick(
                "Mật khẩu này do người khác đặt. Hãy nhập lại mật khẩu này và đặt một mật khẩu mới, khác, chỉ bạn biết.",
                "Somebody else chose this password. Give it once more and choose another one that only you know.",
            ),
            Self::Length => language.pick(
                "Mật khẩu mới phải có từ 12 đến 256 ký tự.",
                "The new password must have 12 to 256 characters.",
            ),
            Self::Differ => language.pick(
                "Hai lần nhập mật khẩu mới không giống nhau.",
                "The new password was not written twice alike.",
            ),
        }
    }
}

/// The sign-in form.
pub struct Form<'a> {
    pub language: Language,
    /// The request of the client, as it came.
    pub query: &'a str,
    pub redirect_uri: &'a str,
    /// The value that the cookie holds too.
    pub form: &'a str,
    pub login: &'a str,
    pub problem: Option<Problem>,
}

pub fn sign_in(form: &Form<'_>) -> Response {
    let language = form.language;
    let problem = form.problem.map_or_else(String::new, |problem| {
        let text = problem.text(language);
        format!(r#"<p class="problem" id="problem" role="alert">{text}</p>"#)
    });
    let invalid = match form.problem {
        Some(Problem::Wrong) => r#" aria-invalid="true" aria-describedby="problem""#,
        _ => "",
    };
    let new_password = match form.problem {
        Some(Problem::Replace | Problem::Length | Problem::Differ) => new_password(language),
        _ => String::new(),
    };
    let query: Vec<&str> = form
        .query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("ui_locales="))
        .collect();
    // The field that is still to be filled has the focus.
    let (focus_login, focus_password) = if form.login.is_empty() {
        (" autofocus", "")
    } else {
        ("", " autofocus")
    };
    let title = language.pick("Đăng nhập", "Sign in");
    let body = format!(
        r#"<h1>{title}</h1><p>{about}</p>{problem}
<form method="post" action="/oauth2/sign-in?{query}&amp;ui_locales={own}">
<input type="hidden" name="form" value="{value}">
<label for="login">{login}</label>
<input id="login" name="login" value="{known}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required{invalid}{focus_login}>
<label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required{invalid}{focus_password}>{new_password}
<button type="submit">{title}</button>
</form>
<nav><a href="/oauth2/sign-in?{query}&amp;ui_locales={other}" lang="{other}" hreflang="{other}">{switch}</a></nav>"#,
        about = language.pick(
            "Hệ thống quản trị thực thi trên nền tảng số",
            "Executive governance platform"
        ),
        query = escape(&query.join("&")),
        own = language.code(),
        value = escape(form.form),
        login = language.pick("Tên đăng nhập", "Login"),
        known = escape(form.login),
        password = language.pick("Mật khẩu", "Password"),
        other = language.pick("en", "vi"),
        switch = language.pick("English", "Tiếng Việt"),
    );
    page(language, title, &body, Some(form.redirect_uri))
}

/// The fields for another password.
fn new_password(language: Language) -> String {
    let field = |name: &str, label: &str| {
        format!(
            r#"
<label for="{name}">{label}</label>
<input id="{name}" name="{name}" type="password" autocomplete="new-password" minlength="12" maxlength="256" required>"#
        )
    };
    let new = language.pick("Mật khẩu mới", "New password");
    let again = language.pick("Mật khẩu mới, lần nữa", "New password again");
    field("new_password", new) + &field("new_password_again", again)
}

/// The client or its address is not known: nothing is sent there.
pub fn refused(language: Language) -> Response {
    let title = language.pick("Không thể đăng nhập", "Cannot sign in");
    let text = language.pick(
        "Ứng dụng gửi bạn đến đây chưa được đăng ký hoặc dùng sai địa chỉ trở về. Hãy báo người quản trị.",
        "The application that sent you here is not registered, or its return address is wrong. Tell your administrator.",
    );
    let body = format!(r#"<h1>{title}</h1><p class="problem" role="alert">{text}</p>"#);
    let mut response = page(language, title, &body, None);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

pub fn signed_out() -> Response {
    let language = language::current();
    let title = language.pick("Bạn đã đăng xuất", "You are signed out");
    page(language, title, &format!("<h1>{title}</h1>"), None)
}

fn page(language: Language, title: &str, body: &str, redirect_uri: Option<&str>) -> Response {
    let nonce = session::secret();
    // Browsers hold the redirect after a form to `form-action` too, so the client's own address belongs to it.
    let client = redirect_uri.and_then(origin).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' {client}; frame-ancestors 'none'; base-uri 'none'"
    );
    let html = format!(
        r#"<!doctype html><html lang="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><title>{title} · civicmesh</title><style nonce="{nonce}">{STYLE}</style></head><body><main>{body}</main></body></html>"#,
        language.code()
    );
    let mut response = no_store(Html(html).into_response());
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The origin of an address that was checked against the client's.
fn origin(uri: &str) -> Option<&str> {
    let host = uri.find("://")? + 3;
    let end = uri[host..]
        .find(['/', '?', '#'])
        .map_or(uri.len(), |at| host + at);
    Some(&uri[..end])
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_outside_is_escaped() {
        assert_eq!(
            escape(r#""><script>'&"#),
            "&quot;&gt;&lt;script&gt;&#39;&amp;"
        );
        assert_eq!(
            origin("http://127.0.0.1:4711/callback"),
            Some("http://127.0.0.1:4711")
        );
        assert_eq!(origin("https://city.example"), Some("https://city.example"));
    }
}
