//! Programs: services of the mesh, integrators, and what people sign in through.

use std::path::Path;

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use chassis::{
    auth::{AUDIENCE, Claims, Kind, TOKEN_TYPE},
    events::{self, Fact},
};
use chrono::Utc;
use proto::identity::v1 as pb;
use sha2::{Digest, Sha256};
use sqlx::{PgExecutor, PgPool};

use crate::{error::Result, key::Signer};

/// How long a service's token lives, in seconds.
pub const SERVICE_TOKEN_LIFE: i64 = 600;

/// A program.
pub struct Client {
    pub id: String,
    pub display_name: String,
    pub secret_hash: Option<Vec<u8>>,
    pub redirect_uris: Vec<String>,
    pub is_service: bool,
    pub disabled: bool,
}

impl From<&Client> for pb::Principal {
    fn from(client: &Client) -> Self {
        Self {
            id: client.id.clone(),
            display_name: client.display_name.clone(),
            home_unit_id: String::new(),
            language: "vi".to_owned(),
            disabled: client.disabled,
            service: true,
        }
    }
}

impl Client {
    /// Whether it has no secret: a program on the user's own machine.
    #[must_use]
    pub fn is_public(&self) -> bool {
        !self.is_service
    }

    /// Whether this is its secret. Hashes are compared: their bytes tell nothing of the secret's.
    #[must_use]
    pub fn proves_itself(&self, secret: &str) -> bool {
        let hash = Sha256::digest(secret.as_bytes());
        !self.disabled
            && self
                .secret_hash
                .as_deref()
                .is_some_and(|known| known == hash.as_slice())
    }

    /// Whether a code may be sent to this address. The port of a loopback address varies (RFC 8252, 7.3).
    #[must_use]
    pub fn may_redirect_to(&self, uri: &str, public_url: &str) -> bool {
        self.redirect_uris.iter().any(|known| {
            let known = known.replace("{public_url}", public_url);
            uri == known
                || (self.is_public() && without_loopback_port(uri).as_deref() == Some(&known))
        })
    }
}

fn without_loopback_port(uri: &str) -> Option<String> {
    ["http://127.0.0.1:", "http://localhost:"]
        .iter()
        .find_map(|start| {
            let rest = uri.strip_prefix(start)?;
            let (port, path) = rest.split_once('/')?;
            port.parse::<u16>().ok()?;
            Some(format!("{}/{path}", start.trim_end_matches(':')))
        })
}

pub async fn find(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<Client>> {
    sqlx::query_as!(
        Client,
        "SELECT id, display_name, secret_hash, redirect_uris, is_service, disabled FROM client WHERE id = $1",
        id
    )
    .fetch_optional(db)
    .await
}

/// All services, for the directory.
pub async fn services(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Client>> {
    sqlx::query_as!(
        Client,
        "SELECT id, display_name, secret_hash, redirect_uris, is_service, disabled FROM client WHERE is_service"
    )
    .fetch_all(db)
    .await
}

/// The token of a service that proved itself.
pub fn token(signer: &Signer, issuer: &str, client: &Client) -> Result<(String, i64)> {
    let now = Utc::now().timestamp();
    let expire = now + SERVICE_TOKEN_LIFE;
    let token = signer.sign(
        TOKEN_TYPE,
        &Claims {
            iss: issuer.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: client.id.clone(),
            sid: None,
            client_id: client.id.clone(),
            kind: Kind::Service,
            home_unit: None,
            acr: None,
            auth_time: None,
            iat: now,
            exp: expire,
        },
    )?;
    Ok((token, expire))
}

/// Reads `NAME SHA256` lines; the hash in hexadecimal or base64. Blank lines and those with `#` do not count.
pub fn read(path: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("clients file {}", path.display()))?;
    let mut clients = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let hash = line
            .split_once(char::is_whitespace)
            .and_then(|(name, hash)| Some((name, decode(hash.trim())?)));
        match hash {
            Some((name, hash)) if hash.len() == 32 => clients.push((name.to_owned(), hash)),
            _ => bail!(
                "clients file, line {}: write NAME SHA256-OF-SECRET",
                index + 1
            ),
        }
    }
    Ok(clients)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return STANDARD.decode(text).ok();
    }
    (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Sets the secrets of these services. A name not known yet becomes an integrator's account, without any right.
pub async fn put(db: &PgPool, clients: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    for (id, hash) in clients {
        let mut tx = db.begin().await?;
        let added = sqlx::query_as!(
            Client,
            "INSERT INTO client (id, display_name, secret_hash, is_service) VALUES ($1, $1, $2, true)
             ON CONFLICT (id) DO NOTHING
             RETURNING id, display_name, secret_hash, redirect_uris, is_service, disabled",
            id,
            hash
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(client) = added {
            let fact = Fact {
                subject: id.clone(),
                unit_ids: Vec::new(),
                field_code: None,
                actor: "identity".to_owned(),
                message: &pb::PrincipalChanged {
                    principal: Some((&client).into()),
                },
            };
            events::publish(&mut tx, fact).await?;
        } else {
            sqlx::query!(
                "UPDATE client SET secret_hash = $2 WHERE id = $1 AND is_service",
                id,
                hash
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(redirect: &str, is_service: bool) -> Client {
        Client {
            id: "x".into(),
            display_name: "x".into(),
            secret_hash: Some(Sha256::digest("secret").to_vec()),
            redirect_uris: vec![redirect.into()],
            is_service,
            disabled: false,
        }
    }

    #[test]
    fn redirects_are_exact_but_for_the_loopback_port() {
        let cli = client("http://127.0.0.1/callback", false);
        assert!(cli.may_redirect_to("http://127.0.0.1:4711/callback", ""));
        for bad in [
            "http://127.0.0.1:4711/other",
            "http://127.0.0.1:4711@evil.example/callback",
            "https://127.0.0.1/callback",
            "http://evil.example/callback",
        ] {
            assert!(!cli.may_redirect_to(bad, ""), "{bad}");
        }
        let gateway = client("{public_url}/auth/callback", true);
        assert!(
            gateway.may_redirect_to("https://city.example/auth/callback", "https://city.example")
        );
        assert!(!gateway.may_redirect_to(
            "https://city.example.evil/auth/callback",
            "https://city.example"
        ));
    }

    #[test]
    fn only_the_secret_proves_a_client() {
        let mut service = client("", true);
        assert!(service.proves_itself("secret"));
        assert!(!service.proves_itself(""));
        service.disabled = true;
        assert!(!service.proves_itself("secret"));
        service.disabled = false;
        service.secret_hash = None;
        assert!(!service.proves_itself(""));
    }
}
