//! The console's files, as its build left them in a folder, compressed beforehand.

use std::path::{Path, PathBuf};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use tonic::body::Body;
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

/// What the console's pages may do: nothing that is not its own, and no text becomes code.
pub const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html default";

const INDEX: &str = "/index.html";
const PORTAL: &str = "/portal.html";

/// Serves the console.
#[derive(Clone)]
pub struct Statics {
    folder: PathBuf,
    files: ServeDir,
}

impl Statics {
    /// Serves this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let files = ServeDir::new(folder)
            .append_index_html_on_directories(false)
            .precompressed_br()
            .precompressed_gzip();
        Self {
            folder: folder.to_owned(),
            files,
        }
    }

    /// Answers a request.
    pub async fn serve(self, method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD\n".to_owned());
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        let path = page(uri.path()).unwrap_or(uri.path()).to_owned();
        let mut response = self.file(&path, &method, &headers).await;
        let mut served = path;
        if response.status() == StatusCode::NOT_FOUND && is_navigation(uri.path(), &headers) {
            served = INDEX.to_owned();
            response = self.file(&served, &method, &headers).await;
        }
        if response.status() == StatusCode::NOT_FOUND {
            return self.missing(&served);
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching(&served)));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        response
    }

    async fn file(&self, path: &str, method: &Method, headers: &HeaderMap) -> Response<Body> {
        let mut request = Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        let Ok(uri) = path.parse() else {
            return plain(StatusCode::NOT_FOUND, String::new());
        };
        *request.uri_mut() = uri;
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        let response = self.files.clone().oneshot(request).await;
        response
            .unwrap_or_else(|never| match never {})
            .map(Body::new)
    }

    fn missing(&self, served: &str) -> Response<Body> {
        let is_unbuilt =
            (served == INDEX || served == PORTAL) && !self.folder.join("index.html").exists();
        let text = if is_unbuilt {
            format!(
                "The console is not in {}.\nBuild it with `npm ci && npm run build` in gateway/console, \
                 or name its folder with --console.\n",
                self.folder.display()
            )
        } else {
            "not found\n".to_owned()
        };
        plain(StatusCode::NOT_FOUND, text)
    }
}

/// The page of an address that is no file.
fn page(path: &str) -> Option<&'static str> {
    match path {
        "/" => Some(INDEX),
        "/portal" => Some(PORTAL),
        path if path.starts_with("/portal/") => Some(PORTAL),
        _ => None,
    }
}

/// A browser that goes to an address within the console; a missing file is never answered with a page.
fn is_navigation(path: &str, headers: &HeaderMap) -> bool {
    let takes_pages = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let last = path.rsplit('/').next().unwrap_or_default();
    // Codes of indicators have dots as names of files have.
    let is_file = last.contains('.') && !path.starts_with("/indicators/");
    takes_pages && !path.starts_with("/assets/") && !is_file
}

/// Names below `/assets` change with their content; pages and the service worker must be asked for each time.
fn caching(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/assets/") => "public, max-age=31536000, immutable",
        "/sw.js" => "no-cache",
        path if path.ends_with(".html") => "no-cache",
        _ => "public, max-age=3600",
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Adds the headers that protect pages, where an answer has none of its own.
pub fn protect(headers: &mut HeaderMap, is_https: bool) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), payment=(), usb=(), geolocation=(self)",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if is_https {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_navigations_fall_back_to_the_page() {
        let accepts = |text: &str| HeaderMap::from_iter([(ACCEPT, text.parse().unwrap())]);
        let browser = accepts("text/html,application/xhtml+xml,*/*;q=0.8");
        assert!(is_navigation("/risk/12", &browser));
        assert!(is_navigation("/indicators/HCM.03.01", &browser));
        assert!(!is_navigation("/risk/12", &accepts("*/*")));
        assert!(!is_navigation("/risk/12", &HeaderMap::new()));
        assert!(!is_navigation("/assets/app.js", &browser));
        assert!(!is_navigation("/favicon.ico", &browser));
    }
}
