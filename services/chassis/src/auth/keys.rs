//! The public keys of identity: fetched, kept, asked again when a token names an unknown one.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use proto::identity::v1::{GetKeysRequest, token_service_client::TokenServiceClient};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tonic::{Code, client::GrpcService};

use super::token_invalid;
use crate::Refusal;

/// A forged key id must not make every request ask identity.
const BETWEEN_FETCHES: Duration = Duration::from_secs(3);

/// Keys are asked anew after this, so that one that was withdrawn ends.
const FRESH: Duration = Duration::from_secs(300);

/// Gets a JSON Web Key Set.
pub type Fetch = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// The keys that tokens are verified with. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    fetch: Fetch,
    known: ArcSwap<Known>,
    /// When a fetch was last tried; locked during one, so that a burst of requests makes one.
    tried: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    fetched: Option<Instant>,
}

impl Keys {
    /// Keys from somewhere.
    #[must_use]
    pub fn new(fetch: Fetch) -> Self {
        Self {
            inner: Arc::new(Inner {
                fetch,
                known: ArcSwap::default(),
                tried: Mutex::default(),
            }),
        }
    }

    /// The key of an id. Without any answer of identity so far the refusal says to retry, not to sign in again.
    pub async fn get(&self, kid: &str) -> Result<Arc<DecodingKey>, Refusal> {
        let known = self.inner.known.load();
        if let Some(key) = known.keys.get(kid) {
            if known.fetched.is_some_and(|time| time.elapsed() > FRESH) {
                // Served stale meanwhile, and for as long as identity is away.
                let keys = self.clone();
                tokio::spawn(async move { keys.refresh().await });
            }
            return Ok(Arc::clone(key));
        }
        self.refresh().await;
        let known = self.inner.known.load();
        if known.fetched.is_none() {
            return Err(Refusal::new(
                Code::Unavailable,
                "KEYS_UNAVAILABLE",
                "chưa thể kiểm tra mã truy cập, hãy thử lại",
                "access tokens cannot be verified for the moment, try again",
            ));
        }
        known.keys.get(kid).cloned().ok_or_else(token_invalid)
    }

    async fn refresh(&self) {
        let mut tried = self.inner.tried.lock().await;
        if tried.is_some_and(|time| time.elapsed() < BETWEEN_FETCHES) {
            return;
        }
        match self.fetch().await {
            Ok(keys) => self.inner.known.store(Arc::new(Known {
                keys,
                fetched: Some(Instant::now()),
            })),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "keys of identity not fetched");
            }
        }
        *tried = Some(Instant::now());
    }

    async fn fetch(&self) -> anyhow::Result<HashMap<String, Arc<DecodingKey>>> {
        let set: JwkSet =
            serde_json::from_str(&(self.inner.fetch)().await?).context("not a key set")?;
        let mut keys = HashMap::new();
        for key in &set.keys {
            // Only Ed25519 keys: each key has the one algorithm.
            if let (Some(kid), Ok(decoding)) = (&key.common.key_id, DecodingKey::from_jwk(key))
                && decoding.family() == jsonwebtoken::AlgorithmFamily::Ed
            {
                keys.insert(kid.clone(), Arc::new(decoding));
            }
        }
        Ok(keys)
    }
}

/// Fetches through identity's `TokenService`; what it answers is kept in the service's database for a start while
/// identity is away.
pub fn mesh_keys<C>(channel: C, db: Option<PgPool>) -> Fetch
where
    C: GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
    C::Future: Send,
    C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    Arc::new(move || {
        let mut client = TokenServiceClient::new(channel.clone());
        let db = db.clone();
        Box::pin(async move {
            let answer = client.get_keys(GetKeysRequest {}).await;
            match (answer, db) {
                (Ok(keys), Some(db)) => {
                    let jwks = keys.into_inner().jwks;
                    keep(&db, &jwks).await?;
                    Ok(jwks)
                }
                (Ok(keys), None) => Ok(keys.into_inner().jwks),
                (Err(status), Some(db)) => kept(&db).await?.ok_or_else(|| status.into()),
                (Err(status), None) => Err(status.into()),
            }
        })
    })
}

async fn keep(db: &PgPool, jwks: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO chassis.directory_entry (kind, key, data) VALUES ('keys', 'jwks', $1)
         ON CONFLICT (kind, key) DO UPDATE SET data = excluded.data",
        jwks.as_bytes()
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn kept(db: &PgPool) -> anyhow::Result<Option<String>> {
    let data = sqlx::query_scalar!(
        "SELECT data FROM chassis.directory_entry WHERE kind = 'keys' AND key = 'jwks'"
    )
    .fetch_optional(db)
    .await?;
    Ok(data.map(String::from_utf8).transpose()?)
}
