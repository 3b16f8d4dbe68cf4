//! What the mesh costs, as ratios against a peer in the same run: the same call without the gateway, the same rows
//! straight from Postgres. `scripts/bench calls` runs it; loopback only, a minute at most.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "prints a table for people"
)]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use e2e::{City, Options, Rpc, connect};
use proto::{
    feedback::v1::{ListFeedbackRequest, feedback_service_client::FeedbackServiceClient},
    forecasting::v1::{
        GetThresholdsRequest, ListRiskItemsRequest, forecast_service_client::ForecastServiceClient,
    },
};

/// How long each figure is measured, after a tenth of it to warm up.
const SPAN: Duration = Duration::from_secs(3);
/// Callers at once.
const CALLERS: usize = 8;

/// Calls a second, and their median length.
#[derive(Clone, Copy)]
struct Figure {
    rate: f64,
    median: Duration,
}

/// Calls again and again, several at once.
async fn measure<F: Future<Output = ()> + Send>(
    call: impl Fn() -> F + Clone + Send + 'static,
) -> Figure {
    let warm = Instant::now();
    while warm.elapsed() < SPAN / 10 {
        call().await;
    }
    let begun = Instant::now();
    let loops = (0..CALLERS).map(|_| {
        let call = call.clone();
        async move {
            let mut lengths = Vec::new();
            while begun.elapsed() < SPAN {
                let start = Instant::now();
                call().await;
                lengths.push(start.elapsed());
            }
            lengths
        }
    });
    let mut lengths: Vec<_> = futures::future::join_all(loops).await.concat();
    lengths.sort();
    Figure {
        rate: lengths.len() as f64 / begun.elapsed().as_secs_f64(),
        median: lengths[lengths.len() / 2],
    }
}

/// The same from pgbench, Postgres's own measure.
fn pgbench(database: &str, statement: &str) -> Figure {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), statement).unwrap();
    let seconds = SPAN.as_secs().to_string();
    let callers = CALLERS.to_string();
    let output = Command::new("pgbench")
        .args([
            "-n", "-M", "prepared", "-T", &seconds, "-c", &callers, "-j", "2", "-f",
        ])
        .arg(file.path())
        .arg(database)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line =
            line.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)));
        line.split_whitespace()
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    Figure {
        rate: number("tps = "),
        median: Duration::from_secs_f64(number("latency average = ") / 1e3),
    }
}

fn row(what: &str, own: Figure, peer_name: &str, peer: Figure) {
    println!(
        "{what:<34}{:>9.0}/s {:>8.2} ms   {peer_name:<26}{:>9.0}/s {:>8.2} ms   {:>5.2} ×",
        own.rate,
        own.median.as_secs_f64() * 1e3,
        peer.rate,
        peer.median.as_secs_f64() * 1e3,
        own.rate / peer.rate
    );
}

async fn thresholds(rpc: Rpc) -> Figure {
    measure(move || {
        let mut client = ForecastServiceClient::new(rpc.clone());
        async move {
            client
                .get_thresholds(GetThresholdsRequest {})
                .await
                .unwrap();
        }
    })
    .await
}

async fn board(rpc: Rpc) -> Figure {
    measure(move || {
        let mut client = ForecastServiceClient::new(rpc.clone());
        async move {
            let request = ListRiskItemsRequest {
                page_size: 50,
                ..Default::default()
            };
            client.list_risk_items(request).await.unwrap();
        }
    })
    .await
}

async fn feedback(rpc: Rpc) -> Figure {
    measure(move || {
        let mut client = FeedbackServiceClient::new(rpc.clone());
        async move {
            let request = ListFeedbackRequest {
                page_size: 50,
                ..Default::default()
            };
            client.list_feedback(request).await.unwrap();
        }
    })
    .await
}

async fn rest(city: &City, path: &'static str) -> Figure {
    let http = std::sync::Arc::new(city.rest("chairman").await);
    measure(move || {
        let http = http.clone();
        async move {
            http.get(path).await.ok();
        }
    })
    .await
}

#[tokio::main]
async fn main() {
    let options = Options {
        gateway: &[
            "--rate-caller=1000000:1000000",
            "--rate-address=1000000:1000000",
        ],
        ..Options::default()
    };
    let mut city = City::serve(options).await;
    let token = city.token("chairman").await;
    let gateway = connect(&city.url, Some(&token));
    let straight = |name: &str| connect(&format!("http://{}", city.ports[name]), Some(&token));
    println!(
        "{CALLERS} callers at once on loopback, {} s each; the last column is ours against the peer",
        SPAN.as_secs()
    );

    let peer = thresholds(straight("forecasting")).await;
    row(
        "small read, through the gateway",
        thresholds(gateway.clone()).await,
        "straight to the service",
        peer,
    );
    let peer = board(straight("forecasting")).await;
    row(
        "page of the board, gateway",
        board(gateway.clone()).await,
        "straight to the service",
        peer,
    );
    row(
        "page of the board, REST",
        rest(&city, "/v1/risk-items?page_size=50").await,
        "gRPC, straight",
        peer,
    );

    let statement = "SELECT * FROM feedback ORDER BY create_time DESC, id DESC LIMIT 50;";
    let raw = pgbench(&city.database("feedback"), statement);
    let own = feedback(straight("feedback")).await;
    row(
        "page of feedback, straight",
        own,
        "the same rows by pgbench",
        raw,
    );
    row(
        "page of feedback, gateway",
        feedback(gateway).await,
        "the same rows by pgbench",
        raw,
    );
    city.stop().await;
}
