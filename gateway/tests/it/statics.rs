//! The console's files.

use std::fs;

use chassis::testing::City;
use http::{Request, StatusCode};

use crate::{Running, run};

async fn console() -> Running {
    let gateway = run(&City::new(), &[], &[]).await;
    let folder = gateway.folder.path().join("console");
    fs::create_dir_all(folder.join("assets")).unwrap();
    for (name, text) in [
        ("index.html", "the console"),
        ("portal.html", "the portal"),
        ("sw.js", "worker"),
        ("robots.txt", "robots"),
        ("assets/app-1.js", "plain"),
        ("assets/app-1.js.br", "as brotli"),
        ("assets/app-1.js.gz", "as gzip"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    gateway
}

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn pages_carry_the_policy() {
    let gateway = console().await;
    let page = gateway.get("/").await;
    assert_eq!(page.text(), "the console");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types svelte-trusted-html default"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert!(page.header("permissions-policy").contains("camera=()"));
    assert_eq!(page.header("strict-transport-security"), "");
    assert_eq!(gateway.get("/portal").await.text(), "the portal");
    assert_eq!(
        gateway.get("/sw.js").await.header("cache-control"),
        "no-cache"
    );
    assert_eq!(gateway.get("/robots.txt").await.text(), "robots");

    let secure = run(&City::new(), &[], &["--public-url=https://city.example"]).await;
    let answer = secure.get("/").await;
    assert!(
        answer
            .header("strict-transport-security")
            .starts_with("max-age=")
    );
}

#[tokio::test]
async fn assets_are_compressed_beforehand_and_kept_for_ever() {
    let gateway = console().await;
    for (accepted, text) in [
        ("br, gzip", "as brotli"),
        ("gzip", "as gzip"),
        ("", "plain"),
    ] {
        let request = Request::get("/assets/app-1.js").header("accept-encoding", accepted);
        let asset = gateway.send(request, "").await;
        assert_eq!(asset.text(), text);
        assert!(asset.header("content-type").contains("javascript"));
        assert_eq!(
            asset.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
    }
}

#[tokio::test]
async fn what_a_browser_holds_is_not_sent_again() {
    let gateway = console().await;
    for path in ["/", "/sw.js", "/assets/app-1.js"] {
        let first = gateway.get(path).await;
        let held = first.header("last-modified");
        assert!(!held.is_empty(), "{path}");
        let again = Request::get(path).header("if-modified-since", held);
        let again = gateway.send(again, "").await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
        assert!(again.body.is_empty());
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
    }
}

#[tokio::test]
async fn only_navigations_fall_back_to_the_console() {
    let gateway = console().await;
    let ask = async |path: &str, accept: &str| {
        let request = Request::get(path).header("accept", accept);
        let answer = gateway.send(request, "").await;
        (answer.status, answer.text().to_owned())
    };
    let page = (StatusCode::OK, "the console".to_owned());
    assert_eq!(ask("/risk/12", BROWSER).await, page);
    for (path, accept) in [
        ("/assets/missing.js", BROWSER),
        ("/missing.png", BROWSER),
        ("/risk/12", "*/*"),
        ("/../../etc/passwd", BROWSER),
        ("/%2e%2e/%2e%2e/etc/passwd", "*/*"),
    ] {
        let (status, text) = ask(path, accept).await;
        assert!(
            status == StatusCode::NOT_FOUND
                || (status, text.as_str()) == (StatusCode::OK, "the console"),
            "{path}"
        );
        assert!(!text.contains("root:"));
    }
    assert_eq!(
        ask("/assets/missing.js", BROWSER).await.0,
        StatusCode::NOT_FOUND
    );
    let posted = gateway.post("/risk", "{}").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask("/v1/nothing", BROWSER).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_console_that_is_not_built_says_how() {
    let gateway = run(&City::new(), &[], &[]).await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("npm run build"), "{}", answer.text());
}
