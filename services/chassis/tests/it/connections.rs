//! Peers that misbehave, and innocents beside them.

use std::time::{Duration, Instant};

use chassis::{connections::Limits, testing};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use crate::fixture::{Fixture, READ, Replica, WRITE, call, mesh, until};

async fn start(limits: Limits) -> Replica {
    Replica::with(Fixture::new("one"), &testing::config(&[]), limits).await
}

#[tokio::test]
async fn who_says_nothing_is_shown_out() {
    let replica = start(Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    // Nothing, half a preface, half a header.
    for words in [
        "",
        "PRI * HTTP/2",
        "GET / HTTP/1.1\r\nhost: somewhere\r\nx-",
    ] {
        let mut stream = TcpStream::connect(replica.address).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let begun = Instant::now();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let ended = tokio::time::timeout(Duration::from_secs(5), read).await;
        assert!(ended.is_ok(), "{words:?} may stay");
        assert!(begun.elapsed() >= Duration::from_millis(200), "{words:?}");
    }
    call(replica.channel(), READ, "").await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let replica = start(Limits {
        connections: 3,
        ..Limits::default()
    })
    .await;
    let channel = replica.channel();
    call(channel.clone(), READ, "").await.unwrap();
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(TcpStream::connect(replica.address).await.unwrap());
    }
    let mut refused = TcpStream::connect(replica.address).await.unwrap();
    let mut nothing = Vec::new();
    let read = refused.read_to_end(&mut nothing);
    let ended = tokio::time::timeout(Duration::from_secs(1), read).await;
    assert!(ended.is_ok(), "closed at once");
    call(channel, READ, "").await.unwrap();
    drop(others);
    until("a place is free again", || async {
        call(replica.channel(), READ, "").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let replica = start(Limits::default()).await;
    let channel = replica.channel();
    let mut request = tonic::Request::new(proto::identity::v1::GetUnitRequest::default());
    let large = "x".repeat(60_000);
    request
        .metadata_mut()
        .insert("x-large", large.parse().unwrap());
    crate::fixture::send(channel.clone(), READ, request)
        .await
        .unwrap_err();
    assert_eq!(replica.calls(), 0);
    call(channel, READ, "").await.unwrap();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Opens streams and resets them at once, as fast as it can, until the server shows it out. Byte by byte, for a client
/// library would not send what is dropped.
async fn rapid_reset(replica: &Replica, count: u32) -> u32 {
    let mut stream = TcpStream::connect(replica.address).await.unwrap();
    let mut headers = vec![0x83, 0x86, 0x04, u8::try_from(WRITE.len()).unwrap()];
    headers.extend(WRITE.bytes());
    headers.extend(b"\x01\x01a\x0f\x10\x10application/grpc\x00\x02te\x08trailers");
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend(frame(4, 0, 0, &[]));
    // The first stream is a true call: when it is served too, the frames are good.
    hello.extend(frame(1, 4, 1, &headers));
    hello.extend(frame(0, 1, 1, &[0; 5]));
    stream.write_all(&hello).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), stream.readable())
        .await
        .unwrap()
        .unwrap();
    for number in 1..=count {
        let id = number * 2 + 1;
        let mut bytes = frame(1, 4, id, &headers);
        bytes.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
        if stream.write_all(&bytes).await.is_err() {
            return number;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_do_not_hurt_innocents() {
    let replica = start(Limits::default()).await;
    let innocent = replica.channel();
    let attack = async {
        let mut sent = 0;
        for _ in 0..20 {
            sent += rapid_reset(&replica, 10_000).await;
        }
        sent
    };
    let calls = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..500 {
            let begun = Instant::now();
            call(innocent.clone(), READ, "").await.unwrap();
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (sent, slowest) = tokio::join!(attack, calls);
    assert!(
        replica.calls() > 500,
        "no call of an attacker was understood"
    );
    println!("{sent} streams reset; 500 of 500 calls answered, the slowest in {slowest:?}");
    assert!(slowest < Duration::from_secs(2));
}

#[tokio::test]
async fn calls_beyond_the_limit_of_a_connection_wait() {
    let replica = start(Limits {
        streams: 5,
        ..Limits::default()
    })
    .await;
    // The first burst is sent before the limit is known, and what is too much is refused unseen: even a write may then
    // be sent again.
    let mesh = mesh(&[replica.url()]);
    let calls = (0..50).map(|_| call(mesh.channel("a"), WRITE, ""));
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(replica.calls(), 50);
}

#[tokio::test]
async fn a_drain_lets_calls_finish_and_ends_in_time() {
    let limits = Limits {
        drain: Duration::from_millis(900),
        ..Limits::default()
    };
    let replica = start(limits).await;
    let (pause, hang) = (replica.channel(), replica.channel());
    let pause = tokio::spawn(call(pause, READ, "pause"));
    let hang = tokio::spawn(call(hang, READ, "hang"));
    until("both calls are under way", || async {
        replica.calls() == 2
    })
    .await;
    let begun = Instant::now();
    replica.stop.cancel();
    assert_eq!(pause.await.unwrap().unwrap(), "one");
    assert!(!replica.ended.await.unwrap(), "the hung call was ended");
    let took = begun.elapsed();
    println!("drained in {took:?} of 900 ms");
    assert!(took >= Duration::from_millis(800) && took < Duration::from_secs(3));
    let status = hang.await.unwrap().unwrap_err();
    assert!(matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
    ));
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let replica = start(Limits::default()).await;
    let channel = replica.channel();
    call(channel.clone(), READ, "").await.unwrap();
    let begun = Instant::now();
    replica.stop.cancel();
    assert!(replica.ended.await.unwrap());
    assert!(begun.elapsed() < Duration::from_secs(1));
}
