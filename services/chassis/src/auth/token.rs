//! The access token: what it says, and how it is verified.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::Utc;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Keys, token_expired, token_invalid};
use crate::Refusal;

/// The audience of every access token of the mesh.
pub const AUDIENCE: &str = "civicmesh";

/// The `typ` of an access token (RFC 9068), which an ID token never has.
pub const TOKEN_TYPE: &str = "at+jwt";

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 5;

/// Verified tokens remembered at most; beyond, those that ended go, then all.
const REMEMBERED: usize = 20_000;

/// Whether a person or a service calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person who signed in.
    Person,
    /// A service of the mesh or an integrator.
    Service,
}

/// What an access token says: who, through which client, how strongly signed in. Never rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// UUID of the person, client id of the service.
    pub sub: String,
    /// The session; services have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The client that the token was issued to.
    pub client_id: String,
    /// Person or service.
    pub kind: Kind,
    /// The unit the person works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_unit: Option<Uuid>,
    /// How the person proved who they are, such as "pwd".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// When the person signed in, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// When the token was issued.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
}

/// Verifies access tokens. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    validation: Validation,
    keys: Keys,
    verified: RwLock<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Verifier {
    /// A verifier of the tokens of one issuer (the mesh's public address).
    #[must_use]
    pub fn new(issuer: &str, keys: Keys) -> Self {
        // The algorithm is ours to state, never the token's: with a list of one, "none" and HS256 fail by themselves.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = LEEWAY;
        Self {
            inner: Arc::new(Inner {
                validation,
                keys,
                verified: RwLock::default(),
            }),
        }
    }

    /// Verifies a token.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, Refusal> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.remembered(&hash) {
            return if claims.exp + LEEWAY.cast_signed() > Utc::now().timestamp() {
                Ok(claims)
            } else {
                Err(token_expired())
            };
        }
        let header = decode_header(token).map_err(|_| token_invalid())?;
        let is_access_token = header
            .typ
            .as_deref()
            .is_some_and(|kind| kind.eq_ignore_ascii_case(TOKEN_TYPE));
        if !is_access_token || header.alg != Algorithm::EdDSA {
            return Err(token_invalid());
        }
        let kid = header.kid.ok_or_else(token_invalid)?;
        let key = self.inner.keys.get(&kid).await?;
        let claims = decode::<Claims>(token, &key, &self.inner.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => token_expired(),
                _ => token_invalid(),
            })?
            .claims;
        let claims = Arc::new(claims);
        self.remember(hash, Arc::clone(&claims));
        Ok(claims)
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Arc<Claims>> {
        let verified = self.inner.verified.read();
        verified
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
    }

    fn remember(&self, hash: [u8; 32], claims: Arc<Claims>) {
        let verified = self.inner.verified.write();
        let mut verified = verified.unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            let now = Utc::now().timestamp();
            verified.retain(|_, claims| claims.exp > now);
            if verified.len() >= REMEMBERED {
                verified.clear();
            }
        }
        verified.insert(hash, claims);
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::testing;

    async fn reason(token: &str) -> Result<String, &'static str> {
        let result = testing::verifier().verify(token).await;
        match result {
            Ok(claims) => Ok(claims.sub.clone()),
            Err(refusal) => {
                assert_eq!(refusal.code(), Code::Unauthenticated);
                Err(refusal.reason())
            }
        }
    }

    #[tokio::test]
    async fn a_good_token_is_accepted_twice() {
        let verifier = testing::verifier();
        let id = Uuid::now_v7().to_string();
        let token = testing::token(&id);
        assert_eq!(verifier.verify(&token).await.unwrap().sub, id);
        assert_eq!(verifier.verify(&token).await.unwrap().kind, Kind::Person);
        assert_eq!(
            verifier
                .verify(&testing::service_token("robot"))
                .await
                .unwrap()
                .kind,
            Kind::Service
        );
    }

    #[tokio::test]
    async fn bad_tokens_are_refused() {
        let id = Uuid::now_v7().to_string();
        assert_eq!(
            reason(&testing::expired_token(&id)).await,
            Err("TOKEN_EXPIRED")
        );
        for bad in testing::forged_tokens(&id) {
            assert_eq!(reason(&bad).await, Err("TOKEN_INVALID"), "{bad}");
        }
    }
}
