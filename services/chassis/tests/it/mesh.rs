//! Balancing, retries, ejection, deadlines between services.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tonic::Code;

use crate::fixture::{Fixture, READ, Replica, WRITE, call, mesh, nobody, send, until};
use proto::identity::v1 as pb;

async fn three() -> Vec<Replica> {
    let mut replicas = Vec::new();
    for name in ["one", "two", "three"] {
        replicas.push(Replica::start(Fixture::new(name)).await);
    }
    replicas
}

fn urls(replicas: &[Replica]) -> Vec<String> {
    replicas.iter().map(Replica::url).collect()
}

#[tokio::test]
async fn calls_are_spread_over_the_replicas() {
    let replicas = three().await;
    let mesh = mesh(&urls(&replicas));
    for _ in 0..300 {
        call(mesh.channel("a"), READ, "").await.unwrap();
    }
    for replica in &replicas {
        assert!(
            replica.calls() > 60,
            "{} got {}",
            replica.fixture.name,
            replica.calls()
        );
    }
}

#[tokio::test]
async fn the_less_busy_replica_is_picked() {
    let replicas = [
        Replica::start(Fixture::new("one")).await,
        Replica::start(Fixture::new("two")).await,
    ];
    let mesh = mesh(&urls(&replicas));
    let mut hung = Vec::new();
    for number in 1..=10 {
        hung.push(tokio::spawn(call(mesh.channel("a"), WRITE, "hang")));
        until("the hung call has arrived", || async {
            replicas.iter().map(Replica::calls).sum::<usize>() == number
        })
        .await;
    }
    assert_eq!(replicas.each_ref().map(Replica::calls), [5, 5]);
    hung.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn no_read_is_lost_when_a_replica_dies() {
    let mut replicas = three().await;
    let mesh = mesh(&urls(&replicas));
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let mesh = mesh.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2 * number)).await;
                call(mesh.channel("a"), READ, "").await
            })
        })
        .collect();
    let first = &mut replicas[0];
    let calls_of_first = first.fixture.calls.clone();
    until("the first replica has work", || async {
        calls_of_first.load(Ordering::SeqCst) > 10
    })
    .await;
    first.kill().await;
    for answer in calls {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_write_that_was_never_sent_goes_to_another_replica() {
    let replica = Replica::start(Fixture::new("one")).await;
    let mesh = mesh(&[nobody().await, nobody().await, replica.url()]);
    for _ in 0..20 {
        call(mesh.channel("a"), WRITE, "").await.unwrap();
    }
    assert_eq!(replica.calls(), 20);
}

#[tokio::test]
async fn a_write_that_may_have_been_done_is_not_repeated() {
    let replicas = three().await;
    let mesh = mesh(&urls(&replicas));
    for replica in &replicas {
        replica.fixture.broken.store(true, Ordering::SeqCst);
    }
    let status = call(mesh.channel("a"), WRITE, "").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(replicas.iter().map(Replica::calls).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_failing_replica_is_left_alone_and_comes_back() {
    let replicas = three().await;
    let mesh = mesh(&urls(&replicas));
    let bad = &replicas[0];
    bad.fixture.broken.store(true, Ordering::SeqCst);
    for _ in 0..60 {
        call(mesh.channel("a"), READ, "").await.unwrap();
    }
    let seen = bad.calls();
    assert!(seen <= 6, "a broken replica got {seen} calls");
    bad.fixture.broken.store(false, Ordering::SeqCst);
    until("the healed replica has work again", || async {
        call(mesh.channel("a"), READ, "").await.unwrap();
        bad.calls() > seen + 10
    })
    .await;
}

#[tokio::test]
async fn the_last_replica_is_never_given_up() {
    let replica = Replica::start(Fixture::new("one")).await;
    let mesh = mesh(&[replica.url()]);
    replica.fixture.broken.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        call(mesh.channel("a"), READ, "").await.unwrap_err();
    }
    replica.fixture.broken.store(false, Ordering::SeqCst);
    call(mesh.channel("a"), READ, "").await.unwrap();
}

#[tokio::test]
async fn retries_do_not_drown_a_failing_service() {
    let replicas = three().await;
    let mesh = mesh(&urls(&replicas));
    for replica in &replicas {
        replica.fixture.broken.store(true, Ordering::SeqCst);
    }
    for _ in 0..100 {
        call(mesh.channel("a"), READ, "").await.unwrap_err();
    }
    let tries: usize = replicas.iter().map(Replica::calls).sum();
    assert_eq!(tries, 110, "a hundred calls and ten retries");
}

#[tokio::test]
async fn a_hanging_replica_does_not_cost_the_call() {
    let good = Replica::start(Fixture::new("good")).await;
    // Accepts, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mesh = mesh(&[url, good.url()]);
    for _ in 0..4 {
        let mut request = tonic::Request::new(pb::GetUnitRequest::default());
        request.set_timeout(Duration::from_secs(2));
        let answer = send(mesh.channel("a"), READ, request).await;
        assert_eq!(answer.unwrap(), "good");
    }
}

#[tokio::test]
async fn a_deadline_shrinks_from_hop_to_hop() {
    let inner = Replica::start(Fixture::new("inner")).await;
    let mut fixture = Fixture::new("middle");
    fixture.next = Some(mesh(&[inner.url()]));
    let middle = Replica::start(fixture).await;
    let mut fixture = Fixture::new("outer");
    fixture.next = Some(mesh(&[middle.url()]));
    let outer = Replica::start(fixture).await;

    let mut request = tonic::Request::new(pb::GetUnitRequest { id: "left".into() });
    request.set_timeout(Duration::from_secs(3));
    let left = send(outer.channel(), READ, request).await.unwrap();
    let left: Vec<u64> = left.split(' ').map(|text| text.parse().unwrap()).collect();
    println!("left of 3 s, in µs: {left:?}");
    assert_eq!(left.len(), 3);
    assert!(left[0] <= 3_000_000 && left[2] > 1_000_000);
    // The margin for the way home is kept back at every hop.
    assert!(left[0] >= left[1] + 20_000 && left[1] >= left[2] + 20_000);
}

#[tokio::test]
async fn time_is_up_when_the_caller_says_so() {
    let replica = Replica::start(Fixture::new("one")).await;
    let mesh = mesh(&[replica.url()]);
    let mut request = tonic::Request::new(pb::GetUnitRequest { id: "hang".into() });
    request.set_timeout(Duration::from_millis(200));
    let begun = Instant::now();
    let status = send(mesh.channel("a"), READ, request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_unknown_service_is_unavailable() {
    let mesh = mesh(&[]);
    let status = call(mesh.channel("a"), READ, "").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
