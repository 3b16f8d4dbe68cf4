//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within limits, until told to stop; then drains, bounded.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rand::RngExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, Sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// What one process lets its peers take. tonic and hyper have none of these by default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at most; further ones are closed at once, so that their clients go elsewhere.
    pub connections: usize,
    /// How long a new connection may take to say what it wants.
    pub handshake: Duration,
    /// Calls at once on one connection.
    pub streams: u32,
    /// Bytes of headers of one call.
    pub headers: u32,
    /// Silence after which a peer is asked whether it is still there, and after which time it is given up.
    pub keepalive: (Duration, Duration),
    /// Age (a tenth more or less) at which a connection is closed gracefully, so that new replicas get load.
    pub age: Duration,
    /// How long calls under way are waited for after the stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(5),
            streams: 100,
            headers: 32 * 1024,
            keepalive: (Duration::from_secs(30), Duration::from_secs(10)),
            age: Duration::from_secs(30 * 60),
            drain: Duration::from_secs(10),
        }
    }
}

/// The peer of a request's connection, found in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves a tower service until `stop` is cancelled and what is under way is done, or `limits.drain` has passed.
/// Answers whether everything was done in time.
pub async fn serve_connections<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) -> bool
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let tasks = Tasks {
        tracker: TaskTracker::new(),
        abort: CancellationToken::new(),
    };
    let builder = Arc::new(protocol(&limits, tasks.clone()));
    let slots = Arc::new(Semaphore::new(limits.connections));
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!("too many connections, closing a new one");
            continue;
        };
        // Without it each new stream costs 44 ms: Nagle waits for the peer's delayed ACK.
        let _ = stream.set_nodelay(true);
        let connection = connection(
            Socket::new(stream, limits.handshake),
            peer,
            builder.clone(),
            service.clone(),
            limits.clone(),
            stop.clone(),
        );
        tasks.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    tasks.finish(limits.drain).await
}

/// Waits for the next connection; none once stopped.
async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok(accepted) => return Some(accepted),
            // A peer that is gone again is its own affair; out of file descriptors is ours, and passes.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                let pause = tokio::time::sleep(Duration::from_millis(50));
                stop.run_until_cancelled(pause).await?;
            }
        }
    }
}

fn protocol(limits: &Limits, tasks: Tasks) -> Builder<Tasks> {
    let mut builder = Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake)
        .max_buf_size(limits.headers as usize)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.headers)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        .keep_alive_interval(limits.keepalive.0)
        .keep_alive_timeout(limits.keepalive.1)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024);
    builder
}

async fn connection<S, B>(
    socket: Socket,
    peer: SocketAddr,
    builder: Arc<Builder<Tasks>>,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A peer that resets its streams frees them at once for HTTP/2, not for us: this bounds what it has running.
    let running = Arc::new(Semaphore::new(limits.streams as usize));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let (running, service) = (running.clone(), service.clone());
        request.extensions_mut().insert(Peer(peer));
        request
            .extensions_mut()
            .insert(tonic::transport::server::TcpConnectInfo {
                local_addr: None,
                remote_addr: Some(peer),
            });
        async move {
            let _permit = running.acquire().await;
            service.oneshot(request).await
        }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let age = limits.age.mul_f64(rand::rng().random_range(0.9..1.1));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(age) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Runs the tasks of connections, so that they can be waited for and, when time is up, ended.
#[derive(Clone)]
struct Tasks {
    tracker: TaskTracker,
    abort: CancellationToken,
}

impl Tasks {
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.tracker.spawn(async move {
            abort.run_until_cancelled(future).await;
        });
    }

    async fn finish(self, limit: Duration) -> bool {
        self.tracker.close();
        let in_time = tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_ok();
        if !in_time {
            tracing::warn!(
                tasks = self.tracker.len(),
                "drain limit reached, ending what is left"
            );
            self.abort.cancel();
            self.tracker.wait().await;
        }
        in_time
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.spawn(async move {
            future.await;
        });
    }
}

/// Bytes of the HTTP/2 preface; a request of HTTP/1.1 is hardly shorter.
const PREFACE: usize = 24;

/// A connection that must send its first bytes in time: hyper itself would wait for ever.
struct Socket {
    stream: TcpStream,
    received: usize,
    handshake: Pin<Box<Sleep>>,
}

impl Socket {
    fn new(stream: TcpStream, handshake: Duration) -> Self {
        Self {
            stream,
            received: 0,
            handshake: Box::pin(tokio::time::sleep_until(Instant::now() + handshake)),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.received >= PREFACE {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        if self.handshake.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.received += buffer.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
