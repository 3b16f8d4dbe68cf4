//! The keys that tokens are signed with: made at the first start, kept in the database, rotated.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgPool;
use uuid::Uuid;

use chassis::auth::{Fetch, Keys};

/// A key signs for this long.
const SIGNS_FOR: TimeDelta = TimeDelta::days(30);

/// A new key is published for this long before it signs, so that all replicas and services know it by then.
const RIPENS_FOR: TimeDelta = TimeDelta::minutes(10);

/// A key that no longer signs verifies for a day more; tokens live 10 minutes, services may have been away.
const VERIFIES_FOR: TimeDelta = TimeDelta::days(31);

/// Signs tokens. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    db: PgPool,
    ring: Arc<ArcSwap<Ring>>,
}

struct Ring {
    kid: String,
    key: EncodingKey,
    jwks: String,
}

impl Signer {
    /// Loads the keys; makes the first.
    pub async fn load(db: PgPool) -> anyhow::Result<Self> {
        let ring = ring(&db).await?;
        Ok(Self {
            db,
            ring: Arc::new(ArcSwap::from_pointee(ring)),
        })
    }

    /// Signs claims as a token of a type.
    pub fn sign(&self, kind: &str, claims: &impl Serialize) -> anyhow::Result<String> {
        let ring = self.ring.load();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(kind.to_owned());
        header.kid = Some(ring.kid.clone());
        jsonwebtoken::encode(&header, claims, &ring.key).context("token not signed")
    }

    /// The claims of a token of ours, of this type, expired or not; none if it is not ours.
    #[must_use]
    pub fn open<C: DeserializeOwned>(&self, kind: &str, issuer: &str, token: &str) -> Option<C> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.typ.as_deref() != Some(kind) {
            return None;
        }
        let set: JwkSet = serde_json::from_str(&self.ring.load().jwks).ok()?;
        let key = DecodingKey::from_jwk(set.find(&header.kid?)?).ok()?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = jsonwebtoken::decode(token, &key, &validation).ok()?;
        Some(token.claims)
    }

    /// The public keys, as a JSON Web Key Set.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.ring.load().jwks.clone()
    }

    /// The public keys for this service's own verification.
    #[must_use]
    pub fn keys(&self) -> Keys {
        let signer = self.clone();
        let fetch: Fetch = Arc::new(move || {
            let signer = signer.clone();
            Box::pin(async move {
                signer.refresh().await?;
                Ok(signer.jwks())
            })
        });
        Keys::new(fetch)
    }

    /// Takes over what other replicas made, and rotates when it is time.
    pub async fn refresh(&self) -> anyhow::Result<()> {
        self.ring.store(Arc::new(ring(&self.db).await?));
        Ok(())
    }
}

async fn ring(db: &PgPool) -> anyhow::Result<Ring> {
    let mut tx = db.begin().await?;
    // Two replicas that start at once must not make two keys.
    sqlx::query!("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await?;
    let seed: [u8; 32] = rand::random();
    sqlx::query!(
        "INSERT INTO signing_key (kid, seed) SELECT $1, $2
         WHERE NOT EXISTS (SELECT FROM signing_key WHERE create_time > $3)",
        Uuid::now_v7().to_string(),
        &seed[..],
        Utc::now() - SIGNS_FOR
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "DELETE FROM signing_key WHERE create_time < $1",
        Utc::now() - VERIFIES_FOR
    )
    .execute(&mut *tx)
    .await?;
    let rows = sqlx::query!(
        "SELECT kid, seed, create_time FROM signing_key ORDER BY create_time DESC, kid DESC"
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let mut keys = Vec::new();
    for row in &rows {
        let mut jwk = Jwk::from_encoding_key(&encoding(&row.seed), Algorithm::EdDSA)?;
        jwk.common.key_id = Some(row.kid.clone());
        jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        keys.push(jwk);
    }
    let ripe = Utc::now() - RIPENS_FOR;
    let signing = rows.iter().find(|row| row.create_time <= ripe);
    // The first key of all signs at once.
    let signing = signing.or(rows.last()).context("there is a signing key")?;
    Ok(Ring {
        kid: signing.kid.clone(),
        key: encoding(&signing.seed),
        jwks: serde_json::json!({ "keys": keys }).to_string(),
    })
}

fn encoding(seed: &[u8]) -> EncodingKey {
    // PKCS#8 of an Ed25519 key (RFC 8410): this header, then the seed.
    const HEADER: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    EncodingKey::from_ed_der(&[&HEADER, seed].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[sqlx::test]
    async fn an_old_key_still_verifies_but_no_longer_signs(db: PgPool) {
        let signer = Signer::load(db.clone()).await.unwrap();
        let claims = json!({"iss": "us", "sub": "an", "exp": 4_102_444_800_u32});
        let old = signer.sign("JWT", &claims).unwrap();
        let again = Signer::load(db.clone()).await.unwrap();
        assert_eq!(again.jwks(), signer.jwks(), "a restart keeps the key");

        sqlx::query!("UPDATE signing_key SET create_time = now() - interval '30 days 1 hour'")
            .execute(&db)
            .await
            .unwrap();
        signer.refresh().await.unwrap();
        let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid;
        let still = signer.sign("JWT", &claims).unwrap();
        assert_eq!(kid(&old), kid(&still), "others must know a new key first");
        sqlx::query!("UPDATE signing_key SET create_time = create_time - interval '10 minutes'")
            .execute(&db)
            .await
            .unwrap();
        signer.refresh().await.unwrap();
        let new = signer.sign("JWT", &claims).unwrap();
        assert_ne!(kid(&old), kid(&new));
        for token in [&old, &new] {
            assert!(signer.open::<Value>("JWT", "us", token).is_some());
            assert!(signer.open::<Value>("JWT", "them", token).is_none());
            assert!(signer.open::<Value>("at+jwt", "us", token).is_none());
        }

        sqlx::query!("UPDATE signing_key SET create_time = create_time - interval '1 day'")
            .execute(&db)
            .await
            .unwrap();
        signer.refresh().await.unwrap();
        assert!(signer.open::<Value>("JWT", "us", &old).is_none());
        assert!(signer.open::<Value>("JWT", "us", &new).is_some());
    }
}
