//! What happens when everything ends at once, and when it cannot begin.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::Duration,
};

use e2e::{City, MailServer, Options, Process};
use serde_json::json;

use crate::journey::{World, request};

const HEAD: &str = "finance.head@demo.civicmesh.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_amid_a_request_loses_nothing_and_writes_once() {
    let mail = MailServer::start().await;
    let options = Options {
        smtp: Some(mail.url()),
        ..Options::default()
    };
    let mut city = City::up(options).await;
    let leader = city.rest("chairman").await;
    let world = World::of(&leader).await;
    let deadline = leader.get("/v1/deadlines").await.ok()["deadlines"][0]["deadline"].clone();
    let ask = |message: &str| {
        request(json!({
            "indicatorId": world.disbursement,
            "subjectUnitId": world.city,
            "deadline": deadline,
            "message": message,
        }))
    };
    let first = ask("Vì sao giải ngân chậm?");
    let asked = leader.post("/v1/explanations", &first).await.ok();
    city.kill9().await;

    city.restart().await;
    eprintln!("ready again after kill -9: {:.1?}", city.start);
    assert!(city.start <= Duration::from_secs(10), "{:?}", city.start);
    let id = asked["id"].as_str().unwrap();
    // The same browser and the same request, as after any lost connection.
    let leader = city.rest("chairman").await;
    let again = leader.post("/v1/explanations", &first).await.ok();
    assert_eq!(again["id"], id, "the repeated request asks nothing new");
    let kept = leader.get(&format!("/v1/explanations/{id}")).await.ok();
    assert_eq!(kept["message"], asked["message"]);
    assert_eq!(kept["evidence"], asked["evidence"]);
    assert_eq!(
        kept["thread"].as_array().unwrap().len(),
        1,
        "{}",
        kept["thread"]
    );
    mail.wait(HEAD, id, Duration::from_secs(20)).await;
    // When a later request's e-mail is there, whatever the first one still caused is there too.
    let other = city.rest("vicechair").await;
    let later = other
        .post("/v1/explanations", &ask("And again?"))
        .await
        .ok();
    let later = later["id"].as_str().unwrap();
    mail.wait(HEAD, later, Duration::from_secs(20)).await;
    let about = |id: &str| {
        let letters = mail.taken(HEAD);
        letters
            .iter()
            .filter(|letter| letter.text.contains(id))
            .count()
    };
    assert_eq!(
        [about(id), about(later)],
        [1, 1],
        "each request is told once"
    );

    city.stop().await;
    city.restart().await;
    eprintln!("ready at the second start: {:.1?}", city.start);
    assert!(city.start <= Duration::from_secs(10), "{:?}", city.start);
    refuses_a_second_process(&city).await;
    let leader = city.rest("chairman").await;
    leader.get(&format!("/v1/explanations/{id}")).await.ok();
    city.stop().await;
}

/// What a process that cannot start says, and how it ends.
async fn failure(arguments: &[String]) -> String {
    let mut process = Process::start("civicmesh", arguments, None);
    let status = process.ended(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(1), "{}", process.output().join("\n"));
    let text = process.output().join("\n");
    assert!(!text.contains("panicked"), "{text}");
    text
}

async fn refuses_a_second_process(city: &City) {
    let port = city.url.rsplit(':').next().unwrap();
    let text = failure(&city.arguments(&format!("127.0.0.1:{port}"))).await;
    assert!(
        text.contains("is taken") && text.contains("--listen"),
        "{text}"
    );
    let text = failure(&city.arguments("127.0.0.1:0")).await;
    assert!(text.contains("another civicmesh runs in"), "{text}");
}

#[tokio::test]
async fn what_stops_a_start_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let data = format!("--data={}", folder.path().join("data").display());
    let up = |more: &[&str]| {
        let own = ["up", "--log=warn", &data];
        own.iter()
            .chain(more)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = failure(&up(&[&format!("--listen={address}")])).await;
    assert!(
        text.contains(&address.to_string()) && text.contains("is taken"),
        "{text}"
    );

    let text = failure(&up(&["--listen=127.0.0.1:0", "--postgres=/nonexistent"])).await;
    assert!(
        text.contains("--postgres") && text.contains("initdb"),
        "{text}"
    );

    let serve = ["serve", "identity", "--listen", &address.to_string()].map(ToOwned::to_owned);
    let text = failure(&serve).await;
    assert!(
        text.contains(&address.to_string()) && text.contains("is taken"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unprivileged_account_runs_it_too() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("not root: every other test already runs as an unprivileged account");
        return;
    }
    let options = Options {
        user: Some("nobody"),
        empty: true,
        ..Options::default()
    };
    let mut city = City::up(options).await;
    assert_ne!(fs::metadata(city.data().join("postgres")).unwrap().uid(), 0);
    let answer = city
        .stranger()
        .get("/.well-known/openid-configuration")
        .await
        .ok();
    assert_eq!(answer["issuer"], city.url);
    city.stop().await;
}
