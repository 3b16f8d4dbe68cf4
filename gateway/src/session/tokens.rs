//! Access tokens, in memory only, renewed before they expire, once for all requests that wait.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tonic::Status;

use super::oidc::{Denied, Grant, Provider, unavailable};

/// A token is renewed when less of its life is left.
const MARGIN: Duration = Duration::from_secs(60);

/// Sessions remembered at most, and the idleness after which one is forgotten; its cookie brings it back.
const CAPACITY: usize = 50_000;
const IDLE: Duration = Duration::from_secs(15 * 60);

/// A session's tokens.
pub struct Access {
    /// For `authorization`.
    pub header: HeaderValue,
    /// The refresh token that the browser must hold from now on.
    pub refresh: String,
}

/// Why there is no token.
#[derive(Debug)]
pub enum Lost {
    /// The session has ended.
    Ended,
    /// Identity cannot be asked.
    Unavailable(Status),
}

/// The sessions in memory. The old and the new refresh token of a session lead to the same entry, so that requests
/// already under way with the old one do not look like theft to identity.
pub struct Tokens {
    provider: Arc<Provider>,
    shared: Arc<Shared>,
}

struct Shared {
    entries: Mutex<HashMap<[u8; 32], Arc<Entry>>>,
    start: Instant,
}

struct Entry {
    used: AtomicU64,
    state: Arc<tokio::sync::Mutex<State>>,
}

#[derive(Clone)]
struct State {
    refresh: String,
    access: Option<(HeaderValue, Instant)>,
    ended: bool,
}

impl Tokens {
    pub(super) fn new(provider: Arc<Provider>) -> Self {
        Self {
            provider,
            shared: Arc::new(Shared {
                entries: Mutex::default(),
                start: Instant::now(),
            }),
        }
    }

    /// The access token of a session.
    pub async fn access(&self, refresh: &str) -> Result<Access, Lost> {
        let entry = self.shared.entry(refresh);
        let state = entry.state.clone().lock_owned().await;
        if state.ended {
            return Err(Lost::Ended);
        }
        let now = Instant::now();
        if let Some((header, expires)) = &state.access
            && now + MARGIN < *expires
        {
            return Ok(Access {
                header: header.clone(),
                refresh: state.refresh.clone(),
            });
        }
        // Carried through even if the browser goes away: a token that was renewed and then lost ends the session.
        let renewal = renew(self.provider.clone(), self.shared.clone(), entry, state);
        let renewed = tokio::spawn(renewal).await;
        renewed.unwrap_or_else(|error| Err(Lost::Unavailable(chassis::internal(error))))
    }

    /// Takes in a session that has just begun.
    pub async fn begin(&self, grant: &Grant) {
        if let Some(refresh) = &grant.refresh_token {
            let entry = self.shared.entry(refresh);
            entry.state.lock().await.access = usable(grant);
        }
    }

    /// Ends a session; answers the refresh token to revoke.
    pub async fn end(&self, refresh: &str) -> String {
        let entry = self.shared.entry(refresh);
        let mut state = entry.state.lock().await;
        state.ended = true;
        state.access = None;
        state.refresh.clone()
    }
}

async fn renew(
    provider: Arc<Provider>,
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    mut state: tokio::sync::OwnedMutexGuard<State>,
) -> Result<Access, Lost> {
    match provider.refresh(&state.refresh).await {
        Ok(grant) => {
            state.access = usable(&grant);
            if let Some(refresh) = grant.refresh_token {
                shared.alias(&refresh, entry);
                state.refresh = refresh;
            }
        }
        Err(Denied::Invalid) => {
            state.ended = true;
            return Err(Lost::Ended);
        }
        // What is left of the old token carries over a short absence of identity.
        Err(Denied::Unavailable(status)) => {
            let is_usable = state
                .access
                .as_ref()
                .is_some_and(|(_, expires)| Instant::now() < *expires);
            if !is_usable {
                return Err(Lost::Unavailable(status));
            }
        }
    }
    let header = state.access.as_ref().map(|(header, _)| header.clone());
    let header = header.ok_or_else(|| Lost::Unavailable(unavailable()))?;
    Ok(Access {
        header,
        refresh: state.refresh.clone(),
    })
}

fn usable(grant: &Grant) -> Option<(HeaderValue, Instant)> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", grant.access_token)).ok()?;
    header.set_sensitive(true);
    Some((header, Instant::now() + grant.life()))
}

impl Shared {
    fn entry(&self, refresh: &str) -> Arc<Entry> {
        let now = self.start.elapsed().as_secs();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            let idle = now.saturating_sub(IDLE.as_secs());
            entries.retain(|_, entry| entry.used.load(Ordering::Relaxed) >= idle);
        }
        let entry = entries.entry(hash(refresh)).or_insert_with(|| {
            let state = State {
                refresh: refresh.to_owned(),
                access: None,
                ended: false,
            };
            Arc::new(Entry {
                used: AtomicU64::new(now),
                state: Arc::new(tokio::sync::Mutex::new(state)),
            })
        });
        entry.used.store(now, Ordering::Relaxed);
        entry.clone()
    }

    fn alias(&self, refresh: &str, entry: Arc<Entry>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(hash(refresh), entry);
    }
}

fn hash(refresh: &str) -> [u8; 32] {
    Sha256::digest(refresh).into()
}
