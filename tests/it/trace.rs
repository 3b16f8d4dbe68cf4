//! One trace from the click to the mail server, and one to the statement in the database, across seven processes.

use std::time::Duration;

use bytes::Bytes;
use e2e::{City, Http, MailServer, Options, Seen, Spans};
use http::Method;
use serde_json::{Value, json};

use crate::journey::{World, request};

/// The context that a page of the console sends: its trace, its own span.
struct Click {
    trace: String,
    span: String,
}

impl Click {
    fn new() -> Self {
        Self {
            trace: format!("{:032x}", rand::random::<u128>()),
            span: format!("{:016x}", rand::random::<u64>()),
        }
    }

    async fn send(&self, http: &Http, method: Method, path: &str, body: &Value) -> Value {
        let context = format!("00-{}-{}-01", self.trace, self.span);
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let headers = [
            ("content-type", "application/json"),
            ("traceparent", &*context),
        ];
        http.send(method, path, &headers, body).await.ok()
    }
}

/// The processes on a way, each once in a row.
fn processes(way: &[Seen]) -> Vec<&str> {
    let mut names: Vec<_> = way.iter().map(|span| span.process.as_str()).collect();
    names.dedup();
    names
}

fn print(title: &str, way: &[Seen]) {
    eprintln!("{title}:");
    for span in way {
        let length = span.length.as_secs_f64() * 1e3;
        eprintln!("  {:<14} {} ({length:.1} ms)", span.process, span.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clicks_are_followed_to_the_statement_and_to_the_mail_server() {
    let (spans, otlp) = Spans::receive().await;
    let mail = MailServer::start().await;
    let options = Options {
        smtp: Some(mail.url()),
        otlp: Some(otlp),
        ..Options::default()
    };
    let mut city = City::serve(options).await;
    let leader = city.browser("chairman").await.http;
    let world = World::of(&leader).await;
    a_click_reaches_the_database(&spans, &leader).await;
    a_request_reaches_the_mail_server(&spans, &leader, &world).await;
    city.stop().await;
}

async fn a_click_reaches_the_database(spans: &Spans, leader: &Http) {
    let click = Click::new();
    click
        .send(
            leader,
            Method::GET,
            "/v1/risk-items?page_size=20",
            &Value::Null,
        )
        .await;
    let is_statement = |span: &Seen| {
        span.process == "forecasting" && span.attributes.contains_key("db.query.text")
    };
    let way = spans
        .way(&click.trace, &click.span, "a statement", is_statement)
        .await;
    print("from the click to the statement", &way);
    assert_eq!(processes(&way), ["gateway", "forecasting"]);
    let (first, last) = (&way[0], &way[way.len() - 1]);
    assert_eq!(first.kind, 2, "the gateway's span serves: {first:?}");
    let text = &last.attributes["db.query.text"];
    assert!(text.to_uppercase().contains("SELECT"), "{text}");
}

async fn a_request_reaches_the_mail_server(spans: &Spans, leader: &Http, world: &World) {
    let deadline = leader.get("/v1/deadlines").await.ok()["deadlines"][0]["deadline"].clone();
    let click = Click::new();
    let body = request(json!({
        "indicatorId": world.disbursement,
        "subjectUnitId": world.city,
        "deadline": deadline,
        "message": "Vì sao giải ngân chậm?",
    }));
    click
        .send(leader, Method::POST, "/v1/explanations", &body)
        .await;
    let is_sending =
        |span: &Seen| span.process == "notifications" && span.name.to_lowercase().contains("smtp");
    let way = spans
        .way(
            &click.trace,
            &click.span,
            "an SMTP conversation",
            is_sending,
        )
        .await;
    print("from the click to the mail server", &way);
    assert_eq!(
        processes(&way),
        ["gateway", "explanations", "notifications"]
    );
    let length = way[way.len() - 1].length;
    assert!(
        length > Duration::ZERO && length < Duration::from_secs(5),
        "{length:?}"
    );
    // Each hop's server span hangs below the client span of the hop before.
    for pair in way.windows(2) {
        assert_eq!(pair[1].parent, pair[0].id, "{pair:?}");
    }
}
