//! REST, made from descriptors alone.

use chassis::testing;
use http::{Request, StatusCode};
use serde_json::json;

use crate::with_fixture;

#[tokio::test]
async fn an_unheard_of_service_is_reached() {
    let gateway = with_fixture(&[]).await;
    let answer = gateway
        .get("/v1/things/a%2Fb?display_name=%C4%91&kind=KIND_LARGE&tags=x&tags=y&period.code=2025-Q3&createTime=2026-01-02T03:04:05Z&size=9007199254740993&is_good=true")
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let mut thing = answer.json();
    thing["headers"] = json!({});
    assert_eq!(
        thing,
        json!({
            "id": "a/b",
            "displayName": "đ",
            "kind": "KIND_LARGE",
            "tags": ["x", "y"],
            "createTime": "2026-01-02T03:04:05Z",
            "period": {"code": "2025-Q3"},
            "headers": {},
            "size": "9007199254740993",
            "isGood": true,
        })
    );
    let further = gateway.get("/v1/kinds/KIND_LARGE/things/7").await.json();
    assert_eq!(
        (&further["id"], &further["kind"]),
        (&json!("7"), &json!("KIND_LARGE"))
    );
}

#[tokio::test]
async fn bodies_are_read_whole_or_as_one_field() {
    let gateway = with_fixture(&[]).await;
    let part = r#"{"display_name": "part", "period": {"code": "2025"}}"#;
    let request = Request::put("/v1/things/7/part").header("content-type", "application/json");
    let put = gateway.send(request, part).await.json();
    assert_eq!(put["id"], "7");
    assert_eq!(put["displayName"], "part");
    assert_eq!(put["period"]["code"], "2025");

    let token = format!(
        "Bearer {}",
        testing::token("0198a0b0-0000-7000-8000-000000000001")
    );
    let change = || {
        Request::post("/v1/things/7:change")
            .header("authorization", &token)
            .header("content-type", "application/json")
    };
    let changed = gateway
        .send(change(), r#"{"id": "other", "size": 5}"#)
        .await;
    assert_eq!(changed.json()["id"], "7", "the path counts");
    assert_eq!(changed.json()["size"], "5");
    assert_eq!(changed.header("cache-control"), "no-store");
    let anonymous = gateway.post("/v1/things/7:change", "{}").await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    assert_eq!(anonymous.header("www-authenticate"), "Bearer");
    assert_eq!(anonymous.json()["details"][0]["reason"], "TOKEN_MISSING");
}

#[tokio::test]
async fn what_is_unknown_is_refused_by_name() {
    let gateway = with_fixture(&[]).await;
    for (answer, field) in [
        (gateway.get("/v1/things/7?nothing=1").await, "nothing"),
        (
            gateway.get("/v1/things/7?period.nothing=1").await,
            "period.nothing",
        ),
        (gateway.get("/v1/things/7?size=many").await, "size"),
        (
            gateway.post("/v1/things", r#"{"period": {"x": 1}}"#).await,
            "period.x",
        ),
        (
            gateway.post("/v1/things", r#"{"tags": ["a", 1]}"#).await,
            "tags[1]",
        ),
    ] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let body = answer.json();
        assert_eq!(body["code"], 3);
        assert_eq!(
            body["details"][1]["@type"],
            "type.googleapis.com/google.rpc.BadRequest"
        );
        assert_eq!(
            body["details"][1]["fieldViolations"][0]["field"], field,
            "{body}"
        );
    }
    assert_eq!(
        gateway.get("/v1/nothing").await.status,
        StatusCode::NOT_FOUND
    );
    let delete = gateway.send(Request::delete("/v1/things/7"), "").await;
    assert_eq!(delete.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(delete.header("allow"), "GET");
    let broken = gateway.post("/v1/things", "{").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    let form = Request::post("/v1/things").header("content-type", "text/plain");
    let form = gateway.send(form, "{}").await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn errors_keep_their_details_and_no_secrets() {
    let gateway = with_fixture(&[]).await;
    for (code, http) in [
        (1, 499),
        (2, 500),
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (7, 403),
        (8, 429),
        (9, 400),
        (10, 409),
        (11, 400),
        (12, 501),
        (13, 500),
        (14, 503),
        (15, 500),
        (16, 401),
    ] {
        let answer = gateway.get(&format!("/v1/failures/{code}")).await;
        assert_eq!(answer.status.as_u16(), http, "{code}");
        let body = answer.json();
        assert_eq!(body["code"], code);
        assert_eq!(body["message"], "không được");
        assert_eq!(answer.header("retry-after"), "2");
        assert_eq!(
            body["details"],
            json!([
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TESTED", "domain": "fixture", "metadata": {}},
                {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "period.code", "description": "is wrong"}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"},
            ])
        );
    }
}

#[tokio::test]
async fn raw_bodies_are_sent_as_they_are() {
    let gateway = with_fixture(&[]).await;
    let page = gateway.get("/v1/things/page/file").await;
    assert_eq!(page.body, "<script>alert(1)</script>");
    assert_eq!(page.header("content-type"), "text/html");
    assert_eq!(page.header("content-disposition"), "attachment");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; sandbox"
    );
    let picture = gateway.get("/v1/things/picture/file").await;
    assert_eq!(picture.header("content-disposition"), "inline");
}

#[tokio::test]
async fn public_reads_are_cached_by_tag() {
    let gateway = with_fixture(&[]).await;
    let list = gateway.get("/v1/things?size=1").await;
    assert_eq!(list.header("cache-control"), "public, max-age=60");
    let one = gateway.get("/v1/things/7/file").await;
    assert_eq!(one.header("cache-control"), "private, no-cache");
    let tag = list.header("etag");
    assert!(tag.starts_with("W/\""));
    let again = Request::get("/v1/things?size=1").header("if-none-match", tag);
    let again = gateway.send(again, "").await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    assert_eq!(again.header("etag"), tag);
    let other = Request::get("/v1/things?size=2").header("if-none-match", tag);
    let other = gateway.send(other, "").await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(other.json()["size"], "2");
}

#[tokio::test]
async fn large_requests_are_refused() {
    let gateway = with_fixture(&["--body-limit=1000"]).await;
    let large = format!(r#"{{"displayName": "{}"}}"#, "x".repeat(2000));
    let answer = gateway.post("/v1/things", &large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json()["details"][0]["reason"], "REQUEST_TOO_LARGE");
}

#[tokio::test]
async fn answers_are_compressed_when_worth_it() {
    let gateway = with_fixture(&[]).await;
    let ask = |size: usize| {
        let path = format!("/v1/things/7?display_name={}", "x".repeat(size));
        Request::get(path).header("accept-encoding", "gzip, br")
    };
    let answer = gateway.send(ask(2000), "").await;
    assert_eq!(answer.header("content-encoding"), "br");
    assert!(answer.body.len() < 1000);
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable() {
    let gateway = crate::run(
        &testing::City::new(),
        &[("fixture", "127.0.0.1:1".parse().unwrap())],
        &[],
    )
    .await;
    let request = Request::get("/v1/things/7").header("accept-language", "en");
    let answer = gateway.send(request, "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().contains("not available"), "{}", answer.text());
}

#[tokio::test]
async fn the_description_comes_from_the_same_descriptors() {
    let gateway = with_fixture(&[]).await;
    let answer = gateway.get("/openapi.json").await;
    let api = answer.json();
    assert_eq!(api["openapi"], "3.1.0");
    let get = &api["paths"]["/v1/things/{id}"]["get"];
    assert_eq!(get["operationId"], "FixtureService.GetThing");
    assert!(
        get["description"]
            .as_str()
            .unwrap()
            .starts_with("Answers with the thing")
    );
    assert_eq!(get["security"], json!([]));
    let names: Vec<_> = get["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert!(names.contains(&&json!("period.code")) && names.contains(&&json!("id")));
    assert!(!names.contains(&&json!("headers")));
    let change = &api["paths"]["/v1/things/{id}:change"]["post"];
    assert_eq!(
        change["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/civicmesh.fixture.v1.Thing"
    );
    let thing = &api["components"]["schemas"]["civicmesh.fixture.v1.Thing"];
    assert_eq!(thing["properties"]["createTime"]["format"], "date-time");
    assert_eq!(
        thing["properties"]["displayName"]["description"],
        "Its name."
    );
    assert!(api["paths"]["/v1/units/{id}"]["get"]["security"][0]["bearer"].is_array());
    // Every reference leads somewhere.
    let text = answer.text();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(api["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
