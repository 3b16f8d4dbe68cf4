//! The replicas of one service as this process sees them: connections, load, failures, the retry budget.

use std::{
    error::Error as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use rand::seq::IndexedRandom as _;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint as Transport, Error as TransportError};

use crate::discovery::{Endpoint, Watch};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Failures in a row after which a replica is left alone.
const EJECT_AFTER: u32 = 5;
/// How long at first; doubled with each further time.
const EJECT_TIME: Duration = Duration::from_secs(1);
const EJECT_TIME_MAX: Duration = Duration::from_secs(60);
/// Retries in hand at most, and what each success adds: a tenth more load than without retries, in the long run.
const BUDGET: f64 = 10.0;
const BUDGET_RATIO: f64 = 0.1;

/// One replica.
pub(super) struct Peer {
    endpoint: Endpoint,
    channel: Channel,
    outstanding: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    ejections: u32,
    until: Option<Instant>,
}

impl Peer {
    fn new(endpoint: Endpoint) -> Self {
        let channel = Transport::from(endpoint.address.clone())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Some(KEEPALIVE))
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(Duration::from_secs(10))
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .connect_lazy();
        Self {
            endpoint,
            channel,
            outstanding: AtomicUsize::new(0),
            health: Mutex::default(),
        }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Counts a call as under way until the answer is dropped.
    pub(super) fn occupy(self: &Arc<Self>) -> Occupied {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Occupied(self.clone())
    }

    fn is_ejected(&self, now: Instant) -> bool {
        self.health().until.is_some_and(|until| now < until)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn succeeded(&self) {
        let mut health = self.health();
        health.failures = 0;
        if health.until.take().is_some() {
            // Back from an ejection: the memory of it fades, so that the next one is short again only after a while.
            health.ejections = health.ejections.saturating_sub(1);
        }
    }

    fn failed(&self, certain: bool) {
        let now = Instant::now();
        let mut health = self.health();
        health.failures += 1;
        let on_probation = health.until.is_some_and(|until| until <= now);
        let is_ejected = health.until.is_some_and(|until| now < until);
        if !is_ejected && (certain || on_probation || health.failures >= EJECT_AFTER) {
            let time = EJECT_TIME * 2_u32.saturating_pow(health.ejections.min(10));
            health.ejections += 1;
            health.until = Some(now + time.min(EJECT_TIME_MAX));
            tracing::warn!(peer = %self.endpoint.address, failures = health.failures, "replica ejected");
        }
    }
}

/// A call under way at a replica.
pub(super) struct Occupied(Arc<Peer>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came of a call, as far as the replica's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answered, be it with a refusal.
    Answered,
    /// It said UNAVAILABLE, broke off, or took too long.
    Failed,
    /// Its caller had too little time to judge it by.
    Late,
    /// It has just started and knows nobody's rights yet.
    Starting,
    /// It is there but did not look at the call: too many at once, or just stopping.
    Refused,
    /// Nobody is there: the call was never sent.
    NotConnected,
}

impl Outcome {
    /// Tells a call that was never sent from one that may have been.
    pub(super) fn of(error: &TransportError) -> Self {
        let mut source = error.source();
        while let Some(error) = source {
            if error.is::<tonic::ConnectError>() {
                return Self::NotConnected;
            }
            let is_canceled = error
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_canceled);
            let is_refused = error
                .downcast_ref::<h2::Error>()
                .is_some_and(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM));
            if is_canceled || is_refused {
                return Self::Refused;
            }
            source = error.source();
        }
        Self::Failed
    }
}

/// The replicas of one service.
pub(super) struct Pool {
    watch: Watch,
    peers: ArcSwap<Vec<Arc<Peer>>>,
    budget: Mutex<f64>,
}

impl Pool {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch,
            peers: ArcSwap::default(),
            budget: Mutex::new(BUDGET),
        }
    }

    /// Waits until the source of endpoints has answered for the first time.
    pub(super) async fn known(&self, limit: Duration) {
        let mut endpoints = self.watch.endpoints.clone();
        let _ = tokio::time::timeout(limit, endpoints.wait_for(Option::is_some)).await;
    }

    /// The replicas known now. Those that stay keep their connection and their record.
    fn peers(&self) -> arc_swap::Guard<Arc<Vec<Arc<Peer>>>> {
        let known = self.watch.endpoints.borrow();
        let known = known.as_deref().unwrap_or_default();
        let peers = self.peers.load();
        let same = peers.len() == known.len()
            && peers
                .iter()
                .zip(known)
                .all(|(peer, endpoint)| peer.endpoint == *endpoint);
        if same {
            return peers;
        }
        self.peers.rcu(|peers| {
            let peer = |endpoint: &Endpoint| {
                let old = peers.iter().find(|peer| peer.endpoint == *endpoint);
                old.cloned()
                    .unwrap_or_else(|| Arc::new(Peer::new(endpoint.clone())))
            };
            known.iter().map(peer).collect::<Vec<_>>()
        });
        self.peers.load()
    }

    /// How many replicas there are.
    pub(super) fn len(&self) -> usize {
        self.peers().len()
    }

    /// Picks the less busy of two random replicas, among those not tried for this call and not ejected. When all are
    /// ejected the record is worth nothing, and any will do.
    pub(super) fn pick(&self, tried: &[Arc<Peer>]) -> Option<Arc<Peer>> {
        let peers = self.peers();
        let now = Instant::now();
        let fresh = |peer: &&Arc<Peer>| !tried.iter().any(|tried| Arc::ptr_eq(tried, peer));
        let healthy: Vec<_> = peers
            .iter()
            .filter(fresh)
            .filter(|peer| !peer.is_ejected(now))
            .collect();
        let candidates = if healthy.is_empty() {
            let fresh: Vec<_> = peers.iter().filter(fresh).collect();
            if fresh.is_empty() {
                peers.iter().collect()
            } else {
                fresh
            }
        } else {
            healthy
        };
        candidates
            .sample(&mut rand::rng(), 2)
            .min_by_key(|peer| peer.outstanding.load(Ordering::Relaxed))
            .map(|peer| Arc::clone(peer))
    }

    /// Notes what came of a call.
    pub(super) fn note(&self, peer: &Peer, outcome: Outcome) {
        match outcome {
            Outcome::Answered => {
                peer.succeeded();
                let mut budget = self.budget();
                *budget = (*budget + BUDGET_RATIO).min(BUDGET);
            }
            Outcome::Late | Outcome::Starting => {}
            Outcome::Failed | Outcome::Refused => peer.failed(false),
            Outcome::NotConnected => {
                peer.failed(true);
                self.watch.refresh();
            }
        }
    }

    /// Takes one retry out of the budget, if there is one: else retries would drown a service that is going under.
    pub(super) fn may_retry(&self) -> bool {
        let mut budget = self.budget();
        let enough = *budget >= 1.0;
        if enough {
            *budget -= 1.0;
        }
        enough
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, f64> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
