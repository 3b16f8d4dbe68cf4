//! A process from start to stop: ready while its database answers, registered while it serves, drained when told.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, routing::get};
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};

use crate::{
    Config,
    connections::{Limits, serve_connections},
    discovery::Discovery,
    guard::Guard,
};

/// How often the database is asked whether it is there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// And as long as it is not ready, so that a start is not held up.
const PING_INTERVAL_BEFORE: Duration = Duration::from_millis(100);
const PING_LIMIT: Duration = Duration::from_secs(2);
/// A single ping may fail because the connection was closed on the way.
const PINGS_MISSED: u32 = 2;
/// Between NOT_SERVING and the closing of the door, for clients to go elsewhere.
const NOTICE: Duration = Duration::from_millis(500);
/// How long after the shutdown a task that heeds it may go on with what it began. With what comes before and after,
/// this stays within the 30 seconds that a pod is given.
const TASK_GRACE: Duration = Duration::from_secs(20);
/// How long a background task may take to reach an await at which it is cut.
const TASK_LIMIT: Duration = Duration::from_secs(5);

/// A background task. It deals with passing failures itself; when it gives up, the process stops.
pub type Task = (&'static str, BoxFuture<'static, anyhow::Result<()>>);

/// The common part of all processes: services through `Server`, the gateway with its own tower service.
pub struct Lifecycle {
    name: &'static str,
    config: Arc<Config>,
    discovery: Discovery,
    db: Option<PgPool>,
    reporter: HealthReporter,
    services: Vec<&'static str>,
    ready: watch::Sender<bool>,
    condition: Condition,
    streams: CancellationToken,
    finishing: Vec<Task>,
}

/// What must hold, besides the database, before requests may be sent.
type Condition = Arc<dyn Fn() -> bool + Send + Sync>;

impl Lifecycle {
    /// Starts out not ready. `services` are the names, besides "" and the process's own, that health is told of.
    pub async fn new(
        name: &'static str,
        config: Arc<Config>,
        discovery: Discovery,
        db: Option<PgPool>,
        mut services: Vec<&'static str>,
    ) -> (Self, HealthServer<impl Health>) {
        let (reporter, health) = tonic_health::server::health_reporter();
        services.extend(["", name]);
        let lifecycle = Self {
            name,
            config,
            discovery,
            db,
            reporter,
            services,
            ready: watch::channel(false).0,
            condition: Arc::new(|| true),
            streams: CancellationToken::new(),
            finishing: Vec::new(),
        };
        report(&lifecycle.reporter, &lifecycle.services, false).await;
        (lifecycle, health)
    }

    /// Not ready as long as this does not hold, either.
    #[must_use]
    pub fn ready_when(mut self, condition: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.condition = Arc::new(condition);
        self
    }

    /// Runs tasks that heed the shutdown themselves: they are given time to finish what they began.
    #[must_use]
    pub fn finishing(mut self, tasks: Vec<Task>) -> Self {
        self.finishing = tasks;
        self
    }

    /// The layer that gRPC calls pass first.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard::new(&self.config, self.streams.clone())
    }

    /// Cancelled when open streams are to end, before the drain.
    #[must_use]
    pub fn streams(&self) -> CancellationToken {
        self.streams.clone()
    }

    /// `/healthz` (the process lives) and `/readyz` (it may be sent requests).
    pub fn probes(&self) -> Router {
        let ready = self.ready.subscribe();
        Router::new().route("/healthz", get(async || "ok")).route(
            "/readyz",
            get(async move || {
                if *ready.borrow() {
                    (StatusCode::OK, "ready")
                } else {
                    (StatusCode::SERVICE_UNAVAILABLE, "not ready")
                }
            }),
        )
    }

    /// Serves until shutdown (or until a task gives up), then: NOT_SERVING and out of the registry, a short notice,
    /// open streams ended, calls under way waited for within the drain limit, tasks cancelled and awaited. Tasks that
    /// heed the shutdown are waited for until 20 seconds after it, then cut too.
    pub async fn serve<S>(
        self,
        listener: TcpListener,
        service: S,
        tasks: Vec<Task>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()>
    where
        S: tower::Service<
                Request<Incoming>,
                Response = Response<tonic::body::Body>,
                Error = Infallible,
            > + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        let address = self.address(&listener)?;
        let limits = Limits {
            drain: self.config.drain,
            ..Limits::default()
        };
        let (leave, door) = (CancellationToken::new(), CancellationToken::new());
        // What is spawned below ends too when this future is dropped.
        let _guards = (leave.clone().drop_guard(), door.clone().drop_guard());
        let connections = tokio::spawn(serve_connections(listener, service, limits, door.clone()));
        let watching = tokio::spawn(readiness(
            self.db.clone(),
            self.condition.clone(),
            self.reporter.clone(),
            self.services.clone(),
            self.ready.clone(),
            leave.clone(),
        ));
        let registering = tokio::spawn(registration(
            self.discovery.clone(),
            self.name,
            address,
            leave.clone(),
        ));
        tracing::info!(service = self.name, %address, "serving");

        let (ending, cut) = (CancellationToken::new(), CancellationToken::new());
        let mut running = JoinSet::new();
        spawn(&mut running, tasks, &ending);
        spawn(&mut running, self.finishing, &cut);
        let outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            Err(error) = first_failure(&mut running) => Err(error),
        };

        tracing::info!(service = self.name, "stopping");
        let grace = tokio::time::sleep(TASK_GRACE);
        leave.cancel();
        let _ = watching.await;
        let _ = registering.await;
        tokio::time::sleep(NOTICE.min(self.config.drain / 4)).await;
        self.streams.cancel();
        door.cancel();
        let _ = connections.await;
        ending.cancel();
        // After a failure nobody was told to finish.
        let is_finished = outcome.is_ok()
            && tokio::select! {
                () = ended(&mut running) => true,
                () = grace => false,
            };
        cut.cancel();
        let is_ended = is_finished
            || tokio::time::timeout(TASK_LIMIT, ended(&mut running))
                .await
                .is_ok();
        if !is_ended {
            tracing::warn!(service = self.name, "background tasks did not end in time");
        }
        tracing::info!(service = self.name, "stopped");
        outcome
    }

    /// Under which address others reach this process.
    fn address(&self, listener: &TcpListener) -> anyhow::Result<std::net::SocketAddr> {
        let local = listener.local_addr().context("the listener's address")?;
        let address = self.config.advertise.unwrap_or(local);
        anyhow::ensure!(
            !self.discovery.registers() || !address.ip().is_unspecified(),
            "--advertise (CIVICMESH_ADVERTISE) is missing: {address} is no address to reach this process by"
        );
        Ok(address)
    }
}

/// Runs tasks until they end or are cut at an await.
fn spawn(running: &mut JoinSet<anyhow::Result<()>>, tasks: Vec<Task>, cut: &CancellationToken) {
    for (name, task) in tasks {
        let cut = cut.clone();
        running.spawn(async move {
            let result = cut.run_until_cancelled_owned(task).await;
            result
                .unwrap_or(Ok(()))
                .with_context(|| format!("task {name}"))
        });
    }
}

async fn ended(running: &mut JoinSet<anyhow::Result<()>>) {
    while running.join_next().await.is_some() {}
}

/// Waits until a task fails or panics. One that ends well is done.
async fn first_failure(running: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = running.join_next().await {
        let result = ended.context("a background task panicked").flatten();
        if let Err(error) = result {
            tracing::error!(error = format!("{error:#}"), "background task gave up");
            return Err(error);
        }
    }
    std::future::pending().await
}

async fn report(reporter: &HealthReporter, services: &[&str], ready: bool) {
    let status = if ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}

/// Keeps health in step with the database, until the process leaves.
async fn readiness(
    db: Option<PgPool>,
    condition: Condition,
    reporter: HealthReporter,
    services: Vec<&'static str>,
    ready: watch::Sender<bool>,
    leave: CancellationToken,
) {
    let mut connection = None;
    let mut missed = PINGS_MISSED;
    loop {
        let Some(alive) = leave
            .run_until_cancelled(ping(db.as_ref(), &mut connection))
            .await
        else {
            break;
        };
        missed = if alive { 0 } else { missed.saturating_add(1) };
        let is_ready = missed < PINGS_MISSED && condition();
        if *ready.borrow() != is_ready {
            tracing::info!(ready = is_ready, "readiness changed");
            ready.send_replace(is_ready);
            report(&reporter, &services, is_ready).await;
        }
        let pause = if is_ready {
            PING_INTERVAL
        } else {
            PING_INTERVAL_BEFORE
        };
        if leave
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            break;
        }
    }
    ready.send_replace(false);
    report(&reporter, &services, false).await;
}

/// Asks through a connection of its own: a pool that is busy says nothing of the database.
async fn ping(db: Option<&PgPool>, connection: &mut Option<PgConnection>) -> bool {
    let Some(db) = db else {
        return true;
    };
    let ping = async {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(PgConnection::connect_with(&db.connect_options()).await?),
        };
        connection.ping().await
    };
    let is_alive = matches!(tokio::time::timeout(PING_LIMIT, ping).await, Ok(Ok(())));
    if !is_alive {
        *connection = None;
    }
    is_alive
}

/// Registers, again and again until it succeeds; deregisters when the process leaves.
async fn registration(
    discovery: Discovery,
    name: &'static str,
    address: std::net::SocketAddr,
    leave: CancellationToken,
) {
    let mut pause = Duration::from_millis(250);
    loop {
        match leave
            .run_until_cancelled(discovery.register(name, address))
            .await
        {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(registration))) => {
                leave.cancelled().await;
                return registration.deregister().await;
            }
            Some(Err(error)) => tracing::warn!(error = format!("{error:#}"), "not registered yet"),
        }
        leave.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}
