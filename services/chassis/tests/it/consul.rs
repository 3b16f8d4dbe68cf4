//! The contract with a real Consul (scripts/install-consul): replicas come, go, and are killed.
#![expect(
    clippy::disallowed_methods,
    reason = "a test is told by environment where Consul is"
)]

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use chassis::{lifecycle::Lifecycle, mesh::Mesh, testing};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;
use tower::Layer as _;

use crate::fixture::{Fixture, READ, call, until};

fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CIVICMESH_TEST_CONSUL") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("consul"))
        .find(|file| file.is_file())
}

const TOKEN: &str = "6a2d1f1e-0000-4000-8000-000000000001";

struct Consul {
    url: String,
    process: Child,
    folder: tempfile::TempDir,
}

impl Consul {
    /// Starts it on ports of its own, and waits until it takes registrations.
    async fn start() -> Self {
        // Between the choice of a port and its use by Consul somebody else may take it; then Consul ends at once.
        for _ in 0..5 {
            let mut consul = Self::spawn();
            let leader = format!("{}/v1/status/leader", consul.url);
            let mut ended = None;
            until("Consul leads or has ended", || {
                ended = consul.process.try_wait().unwrap();
                let (over, leader) = (ended.is_some(), leader.clone());
                async move { over || leads(leader).await }
            })
            .await;
            let Some(status) = ended else {
                return consul;
            };
            let log = std::fs::read_to_string(consul.folder.path().join("log")).unwrap();
            println!("Consul ended with {status}: {log}");
        }
        panic!("Consul does not start; what it said is above");
    }

    fn spawn() -> Self {
        let binary = binary().expect(
            "consul on PATH or in CIVICMESH_TEST_CONSUL; scripts/install-consul DEST puts it there",
        );
        let folder = tempfile::tempdir().unwrap();
        let [http, dns, serf_lan, serf_wan, server, grpc] = testing::ports();
        let file = folder.path().join("settings.json");
        let settings = json!({
            "ports": {
                "http": http, "dns": dns, "serf_lan": serf_lan, "serf_wan": serf_wan, "server": server, "grpc": grpc,
            },
            // Nobody may do anything without the token.
            "acl": { "enabled": true, "default_policy": "deny", "tokens": { "master": TOKEN, "agent": TOKEN } },
        });
        std::fs::write(&file, settings.to_string()).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(binary)
            .args(["agent", "-dev", "-bind", "127.0.0.1"])
            .args(["-client", "127.0.0.1", "-log-level", "warn", "-config-file"])
            .arg(&file)
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            url: format!("http://127.0.0.1:{http}"),
            process,
            folder,
        }
    }
}

/// Whether the agent at this address has a leader.
async fn leads(url: String) -> bool {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let Ok(response) = client.get(url.parse().unwrap()).await else {
        return false;
    };
    let body = response.into_body().collect().await;
    body.is_ok_and(|body| body.to_bytes().len() > "\"\"".len())
}

fn config(url: &str) -> chassis::Config {
    let discovery = format!("--discovery=consul:{url}");
    let token = format!("--consul-token={TOKEN}");
    testing::config(&[&discovery, &token, "--drain=1s"])
}

/// Serves as service "a" until it is told to stop.
async fn replica(url: &str, name: &'static str, shutdown: CancellationToken) {
    let config = Arc::new(config(url));
    let discovery = chassis::discovery::Discovery::new(&config).unwrap();
    let (lifecycle, health) = Lifecycle::new("a", config, discovery, None, vec!["fixture"]).await;
    let routes = tonic::service::Routes::new(Fixture::new(name)).add_service(health);
    let service = lifecycle.guard().layer(routes);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = lifecycle.serve(listener, service, Vec::new(), shutdown);
    serving.await.unwrap();
}

/// Not a test: what `killed` runs as processes of their own, so that they can be killed.
#[tokio::test]
#[ignore = "runs as a child of the Consul test"]
async fn replica_process() {
    let url = std::env::var("TEST_CONSUL_URL").unwrap();
    replica(&url, "process", CancellationToken::new()).await;
}

fn spawn_process(url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["consul::replica_process", "--exact", "--ignored"])
        .env("TEST_CONSUL_URL", url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Calls the agent as an operator does.
async fn agent(method: Method, url: String) -> serde_json::Value {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("X-Consul-Token", TOKEN)
        .body(Empty::new())
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert!(response.status().is_success());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap_or_default()
}

/// What the mesh knows of service "a".
fn known(mesh: &Mesh) -> impl Fn() -> usize + use<> {
    let watch = mesh.discovery().watch("a");
    move || watch.endpoints.borrow().as_ref().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_come_go_and_are_killed() {
    let mut consul = Consul::start().await;
    let mesh = Mesh::new("test", &config(&consul.url)).unwrap();
    let count = known(&mesh);

    // Two in this process, which stop as they should; two processes, which will not.
    let stops = [CancellationToken::new(), CancellationToken::new()];
    let mut running = Vec::new();
    for (name, stop) in ["one", "two"].into_iter().zip(&stops) {
        let (url, stop) = (consul.url.clone(), stop.clone());
        running.push(tokio::spawn(async move { replica(&url, name, stop).await }));
    }
    let mut processes = [spawn_process(&consul.url), spawn_process(&consul.url)];
    until("all four are known", || async { count() == 4 }).await;
    let mut answers = HashMap::<String, usize>::new();
    for _ in 0..100 {
        let name = call(mesh.channel("a"), READ, "").await.unwrap();
        *answers.entry(name).or_default() += 1;
    }
    println!("answers over four replicas: {answers:?}");
    assert!(answers.len() == 3 && answers["process"] > 20);

    // Without the token nothing is to be seen.
    let flag = format!("--discovery=consul:{}", consul.url);
    let blind = Mesh::new("test", &testing::config(&[&flag])).unwrap();
    let status = call(blind.channel("a"), READ, "").await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);

    // The agent forgets a replica, as after a restart with an empty disk: it registers again.
    let services = agent(Method::GET, format!("{}/v1/agent/services", consul.url)).await;
    let forgotten = services.as_object().unwrap().keys().next().unwrap().clone();
    let path = format!("{}/v1/agent/service/deregister/{forgotten}", consul.url);
    agent(Method::PUT, path).await;
    until("one is forgotten", || async { count() == 3 }).await;
    until("it is back", || async { count() == 4 }).await;

    // kill -9: reads go on without an error, and the dead one is dropped by its check.
    processes[0].kill().await.unwrap();
    for _ in 0..200 {
        call(mesh.channel("a"), READ, "").await.unwrap();
    }
    until("the killed one is gone", || async { count() == 3 }).await;

    // A stop as it should be: not one call fails, repeatable or not.
    let stopped = running.remove(0);
    stops[0].cancel();
    let mut calls = 0;
    while !stopped.is_finished() {
        call(mesh.channel("a"), crate::fixture::WRITE, "")
            .await
            .unwrap();
        calls += 1;
    }
    stopped.await.unwrap();
    println!("{calls} writes while one replica stopped, none failed");
    until("the stopped one is gone", || async { count() == 2 }).await;

    // Consul itself dies: what was known stays known.
    consul.process.kill().await.unwrap();
    let seen: HashSet<_> =
        futures::future::join_all((0..50).map(|_| call(mesh.channel("a"), READ, "")))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(count(), 2);
    processes[1].kill().await.unwrap();
    stops[1].cancel();
    for replica in running {
        replica.await.unwrap();
    }
}

#[tokio::test]
async fn a_replica_must_have_an_address_that_others_reach() {
    let config = Arc::new(config("http://127.0.0.1:9"));
    let discovery = chassis::discovery::Discovery::new(&config).unwrap();
    let (lifecycle, health) = Lifecycle::new("a", config, discovery, None, Vec::new()).await;
    let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 0)))
        .await
        .unwrap();
    let routes = tonic::service::Routes::new(health);
    let serving = lifecycle.serve(listener, routes, Vec::new(), CancellationToken::new());
    let error = tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .unwrap();
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("CIVICMESH_ADVERTISE")
    );
}
