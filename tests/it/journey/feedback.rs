//! Step 6: a citizen without an account files feedback with a photo, follows it, and rates the answer.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{City, Http};
use proto::{
    feedback::v1::{
        AnswerFeedbackRequest, FeedbackState, GetFeedbackRequest,
        feedback_service_client::FeedbackServiceClient,
    },
    gateway::v1::LiveTopic,
};
use serde_json::{Value, json};

use super::{World, board, fields, request};

pub async fn is_answered(city: &City, world: &World) {
    let citizen = city.stranger();
    let leader = city.browser("chairman").await;
    let mut live = board::watch(&leader).await;
    let before = count(&leader.http, world.saigon()).await;

    let place = &world.saigon;
    let point = json!({"longitude": place["longitude"], "latitude": place["latitude"]});
    places_are_found(&citizen, place).await;
    let photo = upload(&citizen).await;
    let filed = file(&citizen, &point, &photo).await;
    let tracking = filed["trackingCode"].as_str().unwrap().to_owned();
    let code = filed["feedback"]["code"].clone();
    assert_eq!(filed["feedback"]["placeName"], place["nameVi"]);

    let officer = city.rest("saigon.case").await;
    let item = find(&officer, &code).await;
    let id = item["id"].as_str().unwrap().to_owned();
    live.until("the new item", Duration::from_secs(5), |message| {
        message.topic() == LiveTopic::Feedback && message.id == id
    })
    .await;
    assert_eq!(item["placeUnitId"], place["id"]);
    assert_eq!(
        item["unitId"], place["id"],
        "waste goes to the ward of the place"
    );
    assert_eq!(item["state"], "FEEDBACK_STATE_ROUTED");
    assert_eq!(item["routedLate"], false);
    for clock in ["routeDeadline", "routeTime", "answerDeadline"] {
        assert!(item[clock].is_string(), "{clock}: {item}");
    }
    photo_is_clean(&officer, &id, &item).await;
    only_those_in_charge_see_it(city, &id).await;

    answer(city, &id).await;
    let tracked = citizen
        .get(&format!("/v1/public/feedback/{tracking}"))
        .await
        .ok();
    assert_eq!(tracked["state"], "FEEDBACK_STATE_ANSWERED", "{tracked}");
    for step in tracked["steps"].as_array().unwrap() {
        assert_eq!(step["actorName"], "", "officials' names stay inside");
    }
    let path = format!("/v1/public/feedback/{tracking}:rate");
    let refused = citizen.post(&path, &request(json!({"rating": 6}))).await;
    assert_eq!(fields(&refused.json()), ["rating"], "{}", refused.text());
    let rated = citizen
        .post(&path, &request(json!({"rating": 4, "comment": "Nhanh."})))
        .await
        .ok();
    assert_eq!(rated["rating"], 4);

    let after = count(&leader.http, world.saigon()).await;
    assert_eq!(after.received, before.received + 1, "{before:?} {after:?}");
    assert_eq!(after.on_time, before.on_time + 1, "{before:?} {after:?}");
    let from = [("place_unit_id", world.saigon()), ("page_size", "200")];
    let list = leader.http.get_with("/v1/feedback", &from).await.ok();
    let shown = list["feedback"].as_array().unwrap();
    assert!(
        shown
            .iter()
            .any(|item| item["code"] == code && item["rating"] == 4)
    );
    let map = leader.http.get("/v1/feedback-heat-map").await.ok();
    assert!(!map["cells"].as_array().unwrap().is_empty());
    category_decides_where(city, &citizen, &point).await;
}

async fn places_are_found(citizen: &Http, place: &Value) {
    let longitude = place["longitude"].to_string();
    let latitude = place["latitude"].to_string();
    let query = [
        ("point.longitude", &*longitude),
        ("point.latitude", &*latitude),
    ];
    let found = citizen
        .get_with("/v1/public/places:locate", &query)
        .await
        .ok();
    assert_eq!(found["unitId"], place["id"]);
    // Hoàn Kiếm lake is beautiful, and in Hà Nội.
    let query = [
        ("point.longitude", "105.8522"),
        ("point.latitude", "21.0287"),
    ];
    let outside = citizen.get_with("/v1/public/places:locate", &query).await;
    assert_eq!(outside.status, 400, "{}", outside.text());
}

/// A camera's JPEG: its place and maker are in an EXIF block that must not be kept.
fn photo() -> Vec<u8> {
    let plain = STANDARD.decode(include_str!("photo.b64").trim()).unwrap();
    assert_eq!(plain[..2], [0xff, 0xd8]);
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0GPS 10.7769N 106.7009E SECRETCAM".to_vec();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let mut photo = vec![0xff, 0xd8, 0xff, 0xe1];
    photo.extend(length);
    photo.append(&mut exif);
    photo.extend(&plain[2..]);
    photo
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

async fn upload(citizen: &Http) -> Value {
    assert!(contains(&photo(), b"SECRETCAM"));
    let body = json!({"contentType": "image/jpeg", "content": STANDARD.encode(photo())});
    let wrong = json!({"contentType": "image/jpeg", "content": STANDARD.encode(b"<html>")});
    let refused = citizen.post("/v1/public/photos", &request(wrong)).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    citizen.post("/v1/public/photos", &request(body)).await.ok()
}

async fn file(citizen: &Http, point: &Value, photo: &Value) -> Value {
    let body = json!({
        "categoryCode": "waste",
        "title": "Rác tồn đọng trước hẻm",
        "body": "Ba ngày nay không ai thu gom rác trước hẻm, mùi rất nặng.",
        "point": point,
        "photoIds": [photo["id"]],
        "contact": {"name": "Một người dân", "phone": "+84901234567"},
    });
    let mut short = body.clone();
    short["title"] = json!("Rác");
    let refused = citizen.post("/v1/public/feedback", &request(short)).await;
    assert_eq!(fields(&refused.json()), ["title"], "{}", refused.text());
    let mut sea = body.clone();
    sea["point"] = json!({"longitude": 110.0, "latitude": 12.0});
    let refused = citizen.post("/v1/public/feedback", &request(sea)).await;
    let named = refused.json();
    assert!(fields(&named)[0].starts_with("point"), "{}", refused.text());
    let first = request(body);
    let filed = citizen.post("/v1/public/feedback", &first).await.ok();
    let again = citizen.post("/v1/public/feedback", &first).await.ok();
    assert_eq!(again["trackingCode"], filed["trackingCode"], "filed once");
    filed
}

/// The item as the officer sees it, once it is routed.
async fn find(officer: &Http, code: &Value) -> Value {
    e2e::eventually("the officer's item", Duration::from_secs(5), async || {
        let query = [("states", "FEEDBACK_STATE_ROUTED"), ("page_size", "200")];
        let list = officer.get_with("/v1/feedback", &query).await.ok();
        let items = list["feedback"].as_array().unwrap();
        items.iter().find(|item| item["code"] == *code).cloned()
    })
    .await
}

async fn photo_is_clean(officer: &Http, id: &str, item: &Value) {
    let whole = officer.get(&format!("/v1/feedback/{id}")).await.ok();
    assert_eq!(whole["contact"]["name"], "Một người dân", "{whole}");
    let photo = item["photos"].get(0).or_else(|| whole["photos"].get(0));
    let photo = photo.unwrap()["id"].as_str().unwrap();
    let kept = officer
        .get(&format!("/v1/feedback/{id}/photos/{photo}"))
        .await;
    assert_eq!(kept.header("content-type"), "image/jpeg");
    assert_eq!(kept.body[..2], [0xff, 0xd8]);
    for secret in [&b"Exif"[..], b"GPS", b"SECRETCAM"] {
        assert!(
            !contains(&kept.body, secret),
            "{}",
            String::from_utf8_lossy(secret)
        );
    }
}

async fn only_those_in_charge_see_it(city: &City, id: &str) {
    let path = format!("/v1/feedback/{id}");
    let elsewhere = city.rest("health.head").await.get(&path).await;
    assert_eq!(elsewhere.status, 404, "{}", elsewhere.text());
    let reporter = city.rest("saigon.officer").await.get(&path).await;
    assert_eq!(reporter.status, 403, "{}", reporter.text());
    // A leader sees the item, not who filed it.
    let leader = city.rest("chairman").await.get(&path).await.ok();
    assert!(leader["contact"].is_null(), "{leader}");
}

async fn answer(city: &City, id: &str) {
    let mut rpc = FeedbackServiceClient::new(city.rpc("saigon.case").await);
    let item = GetFeedbackRequest { id: id.to_owned() };
    let item = rpc.get_feedback(item).await.unwrap().into_inner();
    let request = AnswerFeedbackRequest {
        request_id: e2e::request_id(),
        id: id.to_owned(),
        etag: item.etag,
        text: "Đã thu gom sáng nay và lắp thêm thùng rác.".to_owned(),
    };
    let answered = rpc.answer_feedback(request).await.unwrap().into_inner();
    assert_eq!(answered.state(), FeedbackState::Answered);
    assert!(answered.answer_time.is_some());
}

#[derive(Debug)]
struct Count {
    received: i64,
    on_time: i64,
}

/// What the leader's screen counts for a unit.
async fn count(leader: &Http, unit: &str) -> Count {
    let statistics = leader.get("/v1/feedback-statistics").await.ok();
    let by_unit = statistics["byUnit"].as_array().unwrap();
    let row = by_unit.iter().find(|row| row["key"] == unit);
    let number = |name: &str| {
        row.and_then(|row| row[name].as_str())
            .map_or(0, |text| text.parse().unwrap())
    };
    Count {
        received: number("received"),
        on_time: number("onTime"),
    }
}

/// The same place, another category: another unit.
async fn category_decides_where(city: &City, citizen: &Http, point: &Value) {
    let body = json!({
        "categoryCode": "road",
        "title": "Ổ gà trước số 12",
        "body": "Mặt đường hư hỏng nặng, đã có người ngã.",
        "point": point,
    });
    let filed = citizen
        .post("/v1/public/feedback", &request(body))
        .await
        .ok();
    let officer = city.rest("construction.case").await;
    let item = find(&officer, &filed["feedback"]["code"]).await;
    assert_ne!(
        item["unitId"], item["placeUnitId"],
        "roads go to the department"
    );
}
