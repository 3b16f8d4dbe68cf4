//! Steps 4 and 5: a leader asks, the unit is told by e-mail, answers, is asked again, and is accepted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{Browser, City, Http, MailServer, PASSWORD};
use proto::{
    explanations::v1::{
        GetExplanationRequest, ThreadEntryKind,
        explanation_service_client::ExplanationServiceClient,
    },
    gateway::v1::LiveTopic,
};
use serde_json::{Value, json};

use super::{World, board, fields, reason, request};

const HEAD: &str = "finance.head@demo.civicmesh.example";
const LEADER: &str = "vicechair@demo.civicmesh.example";

pub async fn goes_its_way(city: &City, world: &World, mail: &MailServer) {
    let leader = city.browser("vicechair").await;
    let mut live = board::watch(&leader).await;
    let asked = ask(&leader.http, world).await;
    let id = asked["id"].as_str().unwrap().to_owned();
    let told_at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    live.until("the request", Duration::from_secs(5), |message| {
        message.topic() == LiveTopic::Explanation && message.id == id
    })
    .await;

    let head = open_from_mail(city, mail, &asked, told_at).await;
    let evidence = asked["evidence"].clone();
    assert_eq!(
        evidence["item"]["lastObservation"]["period"]["code"],
        e2e::month(1)
    );
    assert!(
        !evidence["forecast"]["history"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    let attachment = upload(&head.http, &id).await;
    let answered = answer(
        &head.http,
        &id,
        "Vướng giải phóng mặt bằng.",
        &[&attachment],
    )
    .await;
    assert_eq!(answered["state"], "EXPLANATION_STATE_ANSWERED");
    let returned = decide(
        &leader.http,
        &id,
        "return",
        json!({"reason": "Say which projects."}),
    )
    .await;
    assert_eq!(returned["state"], "EXPLANATION_STATE_RETURNED");
    // The same document serves the mended answer.
    let mended = "Ba dự án: Vành đai 3, Rạch Xuyên Tâm, QL13.";
    answer(&head.http, &id, mended, &[&attachment]).await;
    let accepted = decide(&leader.http, &id, "accept", json!({"note": "Good."})).await;
    assert_eq!(accepted["state"], "EXPLANATION_STATE_ACCEPTED");
    assert_eq!(accepted["commitmentDate"], remedy_date());

    the_thread_tells_all(city, &id).await;
    documents_are_kept(&leader.http, city, &id, &attachment).await;
    evidence_stays(city, world, &id, &evidence).await;
    each_step_is_told_once(mail, &id).await;
}

async fn ask(leader: &Http, world: &World) -> Value {
    let deadlines = leader.get("/v1/deadlines").await.ok();
    let deadline = deadlines["deadlines"][1]["deadline"].clone();
    let body = json!({
        "indicatorId": world.disbursement,
        "subjectUnitId": world.city,
        "deadline": deadline,
        "message": "Why is disbursement behind the plan, and what is done about it?",
    });
    let late = json!({
        "indicatorId": world.disbursement,
        "subjectUnitId": world.city,
        "deadline": "2020-01-01T00:00:00Z",
        "message": "Why?",
    });
    let refused = leader.post("/v1/explanations", &request(late)).await;
    assert_eq!(fields(&refused.json()), ["deadline"], "{}", refused.text());

    let first = request(body.clone());
    let asked = leader.post("/v1/explanations", &first).await.ok();
    assert_eq!(asked["unitId"], world.finance, "the owner answers");
    assert_eq!(asked["state"], "EXPLANATION_STATE_SENT");
    let again = leader.post("/v1/explanations", &first).await.ok();
    assert_eq!(again["id"], asked["id"], "the same request asks once");
    let second = leader.post("/v1/explanations", &request(body)).await;
    assert_eq!(reason(&second.json()), "ALREADY_OPEN");
    asked
}

/// Waits for the e-mail, and opens the link in it as somebody who is not signed in.
async fn open_from_mail(city: &City, mail: &MailServer, asked: &Value, told_at: f64) -> Browser {
    let id = asked["id"].as_str().unwrap();
    let letter = mail.wait(HEAD, id, Duration::from_secs(10)).await;
    let took = letter.time - told_at;
    eprintln!(
        "request to e-mail at the server: {:.0} ms; {:?}",
        took * 1e3,
        letter.subject
    );
    assert!(took <= 2.0, "{took} s");
    let vietnamese = "ạảấầẩậắằặẹẻẽếềểễệịọỏốồổỗộớờởợụủứừửựỳỵỷỹđ";
    assert!(
        letter
            .text
            .chars()
            .any(|letter| vietnamese.contains(letter)),
        "in the person's language: {}",
        letter.text
    );
    assert!(!letter.message_id.is_empty());

    let from = letter
        .text
        .find(&city.url)
        .unwrap_or_else(|| panic!("no link: {}", letter.text));
    let link: String = letter.text[from..]
        .chars()
        .take_while(|letter| !letter.is_whitespace() && !"<>\"".contains(*letter))
        .collect();
    let path = &link[city.url.len()..];
    let page = city.stranger().open(path).await;
    assert_eq!(page.status, 200, "the console answers {path}");
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{:?}",
        page.headers
    );
    let refused = city.stranger().get(&format!("/v1/explanations/{id}")).await;
    assert_eq!(refused.status, 401);

    let (head, landed) = Browser::sign_in(&city.url, "finance.head", PASSWORD, path).await;
    assert!(
        landed.ends_with(path),
        "after sign-in at {landed}, wanted {path}"
    );
    let opened = head.http.get(&format!("/v1/explanations/{id}")).await.ok();
    assert_eq!(opened["state"], "EXPLANATION_STATE_SEEN", "{opened}");
    head
}

const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n\
    trailer<</Root 1 0 R>>\n%%EOF\n";

async fn upload(head: &Http, id: &str) -> Value {
    let path = format!("/v1/explanations/{id}/attachments");
    let body = |kind: &str, content: &[u8]| {
        request(json!({
            "name": "Tiến độ giải ngân.pdf",
            "contentType": kind,
            "content": STANDARD.encode(content),
        }))
    };
    let refused = head.post(&path, &body("text/html", b"<script>")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let attachment = head.post(&path, &body("application/pdf", PDF)).await.ok();
    assert_eq!(attachment["size"], PDF.len().to_string());
    attachment
}

fn remedy_date() -> &'static str {
    "2099-12-15"
}

async fn current(rest: &Http, id: &str) -> Value {
    rest.get(&format!("/v1/explanations/{id}")).await.ok()
}

async fn answer(head: &Http, id: &str, cause: &str, attachments: &[&Value]) -> Value {
    let etag = current(head, id).await["etag"].clone();
    let body = json!({
        "etag": etag,
        "cause": cause,
        "action": "Giao ban hàng tuần, thay nhà thầu chậm.",
        "remedyDate": remedy_date(),
        "attachmentIds": attachments.iter().map(|attachment| &attachment["id"]).collect::<Vec<_>>(),
    });
    let path = format!("/v1/explanations/{id}:answer");
    let mut incomplete = body.clone();
    incomplete["cause"] = json!("");
    let refused = head.post(&path, &request(incomplete)).await;
    assert_eq!(fields(&refused.json()), ["cause"], "{}", refused.text());
    head.post(&path, &request(body)).await.ok()
}

async fn decide(leader: &Http, id: &str, verb: &str, mut body: Value) -> Value {
    let path = format!("/v1/explanations/{id}:{verb}");
    body["etag"] = json!(e2e::STALE);
    let refused = leader.post(&path, &request(body.clone())).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    body["etag"] = current(leader, id).await["etag"].clone();
    leader.post(&path, &request(body)).await.ok()
}

async fn the_thread_tells_all(city: &City, id: &str) {
    let mut rpc = ExplanationServiceClient::new(city.rpc("inspector").await);
    let request = GetExplanationRequest { id: id.to_owned() };
    let told = rpc.get_explanation(request).await.unwrap().into_inner();
    let steps: Vec<_> = told.thread.iter().map(|entry| entry.kind()).collect();
    assert_eq!(
        steps,
        [
            ThreadEntryKind::Request,
            ThreadEntryKind::Seen,
            ThreadEntryKind::Answer,
            ThreadEntryKind::Return,
            ThreadEntryKind::Answer,
            ThreadEntryKind::Accept
        ]
    );
    for entry in &told.thread {
        assert!(
            !entry.actor_name.is_empty() && entry.create_time.is_some(),
            "{entry:?}"
        );
    }
    let times: Vec<_> = told
        .thread
        .iter()
        .map(|entry| entry.create_time.unwrap())
        .collect();
    assert!(times.is_sorted_by_key(|time| (time.seconds, time.nanos)));
}

async fn documents_are_kept(leader: &Http, city: &City, id: &str, attachment: &Value) {
    let path = format!(
        "/v1/explanations/{id}/attachments/{}",
        attachment["id"].as_str().unwrap()
    );
    let document = leader.get(&path).await;
    assert_eq!(document.status, 200);
    assert_eq!(document.header("content-type"), "application/pdf");
    assert_eq!(document.body, PDF);
    let elsewhere = city.rest("health.head").await.get(&path).await;
    assert_eq!(
        elsewhere.status,
        404,
        "another department's: {}",
        elsewhere.text()
    );
}

/// A later figure changes the board, never what was known when the question was asked.
async fn evidence_stays(city: &City, world: &World, id: &str, evidence: &Value) {
    board::report(city, world, &world.disbursement, &e2e::month(0), "60,4").await;
    let leader = city.rest("chairman").await;
    assert_eq!(current(&leader, id).await["evidence"], *evidence);
}

async fn each_step_is_told_once(mail: &MailServer, id: &str) {
    // Asked, returned, accepted to the unit; answered twice to the leader, in the leader's language.
    let about = |to: &str| {
        let mut letters = mail.taken(to);
        letters.retain(|letter| letter.text.contains(id));
        letters
    };
    e2e::eventually("all e-mails", Duration::from_secs(10), async || {
        (about(HEAD).len() >= 3 && about(LEADER).len() >= 2).then_some(())
    })
    .await;
    for (to, expected) in [(HEAD, 3), (LEADER, 2)] {
        let letters = about(to);
        let subjects: Vec<_> = letters.iter().map(|letter| &letter.subject).collect();
        assert_eq!(letters.len(), expected, "{to}: {subjects:?}");
        let mut ids: Vec<_> = letters.iter().map(|letter| &letter.message_id).collect();
        ids.dedup();
        assert_eq!(ids.len(), expected, "each its own Message-ID: {ids:?}");
    }
    let letter = &about(LEADER)[0];
    assert!(
        letter.text.is_ascii() || letter.language == "en" || letter.text.contains(" the "),
        "{letter:?}"
    );
}
