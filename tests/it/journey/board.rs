//! Steps 2 and 3: a figure is entered, approved, and changes the board on open screens.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use e2e::{Browser, City, Http, Watch, eventually, median};
use proto::{
    calendar::v1::Period,
    forecasting::v1::{
        ListRiskItemsRequest, RiskItem, RiskStatus, WatchRiskRequest, WatchRiskResponse,
        forecast_service_client::ForecastServiceClient,
    },
    gateway::v1::{LiveTopic, WatchRequest},
    indicators::v1::{
        CreateSubmissionRequest, SubmissionState,
        submission_service_client::SubmissionServiceClient,
    },
};
use serde_json::{Value, json};
use tonic::{Code, Streaming};

use super::{World, fields, indicator, reason, request};

/// Figures by indicator, and of which month before the present one: of the last month as the department is asked to, the
/// first typed as Vietnamese write it; the others come early.
const FIGURES: [(&str, u32, &str); 5] = [
    ("HCM.04.04", 1, "52,10"),
    ("HCM.03.01", 1, "5410"),
    ("HCM.03.02", 0, "60120"),
    ("HCM.04.05", 0, "702,5"),
    ("HCM.06.01", 0, "66480"),
];

pub async fn follows_figures(city: &City, world: &World) {
    wrong_numbers_are_refused(city, world).await;
    nobody_approves_the_own_figure(city, world).await;

    let leader = city.browser("chairman").await;
    is_filled(&leader.http).await;
    let mut live = watch(&leader).await;
    let mut told = watch_risk(city, "chairman", &world.city).await;
    let mut told_ward = watch_risk(city, "saigon.head", "").await;
    let mut measured = Vec::new();
    for figure in FIGURES {
        measured.push(approval_reaches_the_board(city, world, &leader, &mut live, figure).await);
    }
    eprintln!(
        "approval to changed board: median {:.0?} of {measured:.0?}",
        median(measured.clone())
    );
    assert!(median(measured) <= Duration::from_secs(2));
    // Over gRPC as well, and to a ward only what is its own.
    for (code, ..) in FIGURES {
        let is_it = |item: &RiskItem| item.indicator.as_ref().is_some_and(|one| one.code == code);
        while !change(&mut told).await.as_ref().is_some_and(is_it) {}
    }
    while let Some(item) = change(&mut told_ward).await {
        assert_ne!(item.unit_id, world.city);
    }
    the_worst_comes_first(city).await;
}

/// Follows the changes of the board over gRPC, those of a unit and below it if one is named.
async fn watch_risk(city: &City, login: &str, unit_id: &str) -> Streaming<WatchRiskResponse> {
    let mut rpc = ForecastServiceClient::new(city.rpc(login).await);
    let request = WatchRiskRequest {
        unit_id: unit_id.to_owned(),
        city_level_only: !unit_id.is_empty(),
        ..Default::default()
    };
    let mut stream = rpc.watch_risk(request).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.item, None, "a heartbeat at once");
    stream
}

/// The next line that changed; nothing when a heartbeat comes first.
async fn change(stream: &mut Streaming<WatchRiskResponse>) -> Option<RiskItem> {
    let message = tokio::time::timeout(Duration::from_secs(20), stream.message());
    let message = message.await.expect("at least heartbeats");
    message.unwrap().unwrap().item
}

/// Waits until forecasting has heard all that the demonstration loaded: the board no longer changes.
async fn is_filled(leader: &Http) {
    let begun = Instant::now();
    let seen = Mutex::new((Value::Null, begun));
    eventually("the board is filled", Duration::from_secs(90), async || {
        let now = leader.get("/v1/risk-summary").await.ok();
        let mut seen = seen.lock().unwrap();
        if now != seen.0 {
            *seen = (now, Instant::now());
        }
        let counts = seen.0["counts"].as_array();
        let is_full = counts.is_some_and(|counts| !counts.is_empty());
        (is_full && seen.1.elapsed() > Duration::from_secs(3)).then_some(())
    })
    .await;
    let rest = seen.lock().unwrap().1 - begun;
    eprintln!("the board came to rest {rest:.1?} after it was asked first");
}

/// Opens the live stream, as a browser with the board open.
pub async fn watch(browser: &Browser) -> Watch {
    let topics = [LiveTopic::Risk, LiveTopic::Explanation, LiveTopic::Feedback];
    browser
        .watch(&WatchRequest {
            topics: topics.map(Into::into).to_vec(),
            after: 0,
        })
        .await
}

async fn wrong_numbers_are_refused(city: &City, world: &World) {
    let officer = city.rest("finance.officer").await;
    let mut rpc = SubmissionServiceClient::new(city.rpc("finance.officer").await);
    // A text, an ambiguous one, two out of range, nothing, a number of a computer's kind.
    for value in ["nhiều", "1.234", "250", "-1", "", "NaN"] {
        let body = json!({
            "indicatorId": world.disbursement,
            "unitId": world.city,
            "period": {"code": e2e::month(1)},
            "value": value,
        });
        let refused = officer.post("/v1/submissions", &request(body)).await;
        assert_eq!(refused.status, 400, "{value:?}: {}", refused.text());
        assert_eq!(fields(&refused.json()), ["value"], "{value:?}");

        let message = CreateSubmissionRequest {
            request_id: e2e::request_id(),
            indicator_id: world.disbursement.clone(),
            unit_id: world.city.clone(),
            period: Some(Period {
                code: e2e::month(1),
            }),
            value: value.to_owned(),
            ..Default::default()
        };
        let refused = rpc.create_submission(message).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{value:?}");
        assert_eq!(e2e::call::fields(&refused), ["value"], "{value:?}");
    }
    for (period, field) in [
        ("2026-Q4", "period"),
        ("2099-01", "period"),
        ("2026-13", "period"),
    ] {
        let body = json!({
            "indicatorId": world.disbursement,
            "unitId": world.city,
            "period": {"code": period},
            "value": "52,1",
        });
        let refused = officer.post("/v1/submissions", &request(body)).await;
        assert_eq!(refused.status, 400, "{period}: {}", refused.text());
        let named = refused.json();
        let named = fields(&named);
        assert!(
            named.iter().all(|name| name.starts_with(field)),
            "{period}: {named:?}"
        );
        assert!(!named.is_empty(), "{period}");
    }
}

/// Not even with both rights, which are given and withdrawn here.
async fn nobody_approves_the_own_figure(city: &City, world: &World) {
    let officer = city.rest("finance.officer").await;
    let approver = city.rest("finance.approver").await;
    let admin = city.rest("unitadmin").await;
    let me = approver.get("/v1/me").await.ok();
    let body = json!({
        "principalId": me["principal"]["id"],
        "role": "reporting_officer",
        "unitId": world.city,
    });
    let begun = Instant::now();
    let grant = admin.post("/v1/grants", &request(body)).await.ok();

    let both = indicator(&officer, "HCM.03.03").await;
    let own = request(json!({
        "indicatorId": both,
        "unitId": world.city,
        "period": {"code": e2e::month(0)},
        "value": "3190",
    }));
    let submission = eventually(
        "the grant holds everywhere",
        Duration::from_secs(5),
        async || {
            let answer = approver.post("/v1/submissions", &own).await;
            answer.status.is_success().then(|| answer.json())
        },
    )
    .await;
    eprintln!("a new grant holds after {:.0?}", begun.elapsed());
    let refused = approve(&approver, &submission).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(reason(&refused.json()), "OWN_FIGURE");
    // Whoever may only enter figures approves none.
    let refused = approve(&officer, &submission).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    // Sent back, so that the month is free again.
    let head = city.rest("finance.head").await;
    let path = format!(
        "/v1/submissions/{}:return",
        submission["id"].as_str().unwrap()
    );
    let back = json!({"etag": submission["etag"], "reason": "Chỉ để thử quyền."});
    let back = head.post(&path, &request(back)).await.ok();
    assert_eq!(back["state"], "SUBMISSION_STATE_RETURNED");

    let path = format!("/v1/grants/{}:revoke", grant["id"].as_str().unwrap());
    let begun = Instant::now();
    admin.post(&path, &request(json!({}))).await.ok();
    eventually(
        "the withdrawn grant has ended everywhere",
        Duration::from_secs(5),
        async || {
            let body = request(json!({
                "indicatorId": both,
                "unitId": world.city,
                "period": {"code": e2e::month(0)},
                "value": "3190",
                "draft": true,
            }));
            let answer = approver.post("/v1/submissions", &body).await;
            (answer.status == 403).then_some(())
        },
    )
    .await;
    eprintln!("a withdrawn grant has ended after {:.0?}", begun.elapsed());
}

async fn approve(rest: &Http, submission: &Value) -> e2e::Answer {
    let path = format!(
        "/v1/submissions/{}:approve",
        submission["id"].as_str().unwrap()
    );
    rest.post(&path, &request(json!({"etag": submission["etag"]})))
        .await
}

/// Enters and approves a figure of the city; the answer is how long the open board took to show it.
async fn approval_reaches_the_board(
    city: &City,
    world: &World,
    leader: &Browser,
    live: &mut Watch,
    (code, before, value): (&str, u32, &str),
) -> Duration {
    let period = &*e2e::month(before);
    let officer = city.rest("finance.officer").await;
    let id = indicator(&officer, code).await;
    let submission = enter(city, world, &id, period, value).await;
    let approver = city.rest("finance.approver").await;
    let begun = Instant::now();
    let approved = approve(&approver, &submission).await.ok();
    assert_eq!(approved["state"], "SUBMISSION_STATE_APPROVED");
    let changed = format!("{id}/{}", world.city);
    live.until(
        &format!("{code} on the board"),
        Duration::from_secs(10),
        |message| message.topic() == LiveTopic::Risk && message.id == changed,
    )
    .await;
    let query = [("indicator_id", id.as_str()), ("unit_id", &world.city)];
    let board = leader.http.get_with("/v1/risk-items", &query).await.ok();
    let took = begun.elapsed();
    let item = &board["items"][0];
    let last = &item["lastObservation"];
    assert_eq!(last["period"]["code"], period, "{item}");
    assert_eq!(last["value"], submission["value"], "{item}");
    assert_eq!(item["illustrative"], true, "its history is made up");
    took
}

/// Enters a figure over gRPC, as a department's own system does.
async fn enter(city: &City, world: &World, id: &str, period: &str, value: &str) -> Value {
    let mut rpc = SubmissionServiceClient::new(city.rpc("finance.officer").await);
    let message = CreateSubmissionRequest {
        request_id: e2e::request_id(),
        indicator_id: id.to_owned(),
        unit_id: world.city.clone(),
        period: Some(Period {
            code: period.to_owned(),
        }),
        value: value.to_owned(),
        ..Default::default()
    };
    let first = rpc
        .create_submission(message.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.state(), SubmissionState::Submitted);
    let again = rpc.create_submission(message).await.unwrap().into_inner();
    assert_eq!(first, again, "the same request gets the same answer");
    json!({"id": first.id, "etag": first.etag, "value": first.value})
}

/// Enters, approves and waits until the board shows it; the later figure of the explanation's step.
pub async fn report(city: &City, world: &World, id: &str, period: &str, value: &str) {
    let submission = enter(city, world, id, period, value).await;
    let approver = city.rest("finance.approver").await;
    approve(&approver, &submission).await.ok();
    let leader = city.rest("chairman").await;
    eventually(
        "the board shows the later figure",
        Duration::from_secs(10),
        async || {
            let query = [("indicator_id", id), ("unit_id", world.city.as_str())];
            let board = leader.get_with("/v1/risk-items", &query).await.ok();
            let last = &board["items"][0]["lastObservation"];
            (last["period"]["code"] == period).then_some(())
        },
    )
    .await;
}

/// Forecasting is lost while screens are open: figures are still entered and approved, and the same screens follow once
/// it is back.
pub async fn outlives_its_service(city: &mut City) {
    let leader = city.browser("chairman").await;
    let world = World::of(&city.rest("chairman").await).await;
    let id = indicator(&leader.http, "HCM.03.01").await;
    let mut live = watch(&leader).await;
    let mut told = watch_risk(city, "chairman", &world.city).await;

    city.kill_service("forecasting").await;
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Err(status) = told.message().await {
                return status;
            }
        }
    });
    let end = end.await.expect("a stream does not outlive its service");
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
    let refused = leader.http.get("/v1/risk-items").await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let period = e2e::month(0);
    let begun = Instant::now();
    let submission = enter(city, &world, &id, &period, "5240").await;
    let approver = city.rest("finance.approver").await;
    let approved = approve(&approver, &submission).await.ok();
    assert_eq!(approved["state"], "SUBMISSION_STATE_APPROVED");
    eprintln!(
        "entered and approved without forecasting in {:.1?}",
        begun.elapsed()
    );

    let begun = Instant::now();
    city.restart_service("forecasting").await;
    eprintln!("forecasting serves again after {:.1?}", begun.elapsed());
    let changed = format!("{id}/{}", world.city);
    let query = [("indicator_id", id.as_str()), ("city_level_only", "true")];
    loop {
        live.until("a change of the line", Duration::from_secs(30), |message| {
            message.topic() == LiveTopic::Risk && message.id == changed
        })
        .await;
        let board = leader.http.get_with("/v1/risk-items", &query).await.ok();
        let last = &board["items"][0]["lastObservation"];
        if last["period"]["code"] == *period {
            assert_eq!(last["value"], "5240", "{board}");
            break;
        }
    }
    eprintln!("the open screen shows it after {:.1?}", begun.elapsed());
    drop(watch_risk(city, "chairman", &world.city).await);
}

async fn the_worst_comes_first(city: &City) {
    let mut rpc = ForecastServiceClient::new(city.rpc("chairman").await);
    let request = ListRiskItemsRequest {
        city_level_only: true,
        page_size: 500,
        ..Default::default()
    };
    let board = rpc
        .list_risk_items(request)
        .await
        .unwrap()
        .into_inner()
        .items;
    assert!(board.len() >= 40, "{} items", board.len());
    let rank = |status: RiskStatus| match status {
        RiskStatus::Missed => 0,
        RiskStatus::Red => 1,
        RiskStatus::Orange => 2,
        RiskStatus::Green => 3,
        RiskStatus::Met => 4,
        RiskStatus::Overdue => 5,
        RiskStatus::Grey | RiskStatus::Unspecified => 6,
    };
    let order: Vec<_> = board
        .iter()
        .filter(|item| !matches!(item.status(), RiskStatus::Missed | RiskStatus::Met))
        .map(|item| {
            let probability = item.assessment.as_ref().and_then(|a| a.probability);
            (rank(item.status()), probability.unwrap_or(1.0))
        })
        .collect();
    assert!(
        order.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.1 <= b.1)),
        "{order:?}"
    );
    assert_eq!(order[0].0, 1, "something is red: {order:?}");
    for item in &board {
        let assessment = item.assessment.as_ref();
        if let (RiskStatus::Red, Some(assessment)) = (item.status(), assessment) {
            assert!(!assessment.outturn.is_empty(), "{item:?}");
            assert!(assessment.target.is_some(), "{item:?}");
        }
    }
    let mut counts = std::collections::BTreeMap::new();
    for item in &board {
        *counts.entry(item.status().as_str_name()).or_insert(0) += 1;
    }
    eprintln!("the board: {counts:?}");
}
