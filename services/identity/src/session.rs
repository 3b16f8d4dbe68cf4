//! Sessions of people: begun by a code, kept up by refresh tokens, ended.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::{
    auth::{AUDIENCE, Claims, Kind},
    events::{self, Fact},
};
use chrono::{DateTime, TimeDelta, Utc};
use proto::identity::v1::{self as pb, export_directory_response::Entry};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool, PgTransaction};
use uuid::Uuid;

use crate::{
    account::Credentials, client::Client, error::Result, parse::timestamp, state::Identity,
};

/// A working day; after it the person signs in again.
const SESSION_LIFE: TimeDelta = TimeDelta::hours(12);

/// How long an access token lives.
const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(10);

/// How long a code lives.
const CODE_LIFE: TimeDelta = TimeDelta::seconds(60);

/// How people prove who they are so far.
const ACR: &str = "pwd";

/// A session, and whom it is of.
pub struct Session {
    pub id: Uuid,
    pub account_id: Uuid,
    pub client_id: String,
    pub auth_time: DateTime<Utc>,
    pub expire_time: DateTime<Utc>,
    pub login: String,
    pub display_name: String,
    pub language: String,
    pub email: String,
    pub home_unit_id: Uuid,
}

impl Session {
    /// What its access tokens say.
    #[must_use]
    pub fn claims(&self, issuer: &str) -> Claims {
        let now = Utc::now();
        Claims {
            iss: issuer.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: self.account_id.to_string(),
            sid: Some(self.id.to_string()),
            client_id: self.client_id.clone(),
            kind: Kind::Person,
            home_unit: Some(self.home_unit_id),
            acr: Some(ACR.to_owned()),
            auth_time: Some(self.auth_time.timestamp()),
            iat: now.timestamp(),
            exp: (now + TOKEN_LIFE).min(self.expire_time).timestamp(),
        }
    }
}

/// Where a code was asked for, and what must come back with it.
pub struct Asked<'a> {
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub challenge: &'a str,
    pub nonce: &'a str,
}

/// A secret to hand out; only its hash is kept.
#[must_use]
pub fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Whether a verifier belongs to a challenge (RFC 7636, S256).
#[must_use]
pub fn belongs(verifier: &str, challenge: &str) -> bool {
    (43..=128).contains(&verifier.len()) && URL_SAFE_NO_PAD.encode(hash(verifier)) == challenge
}

/// Begins the session of a person who signed in; the answer is the code.
pub async fn begin(
    db: &PgPool,
    account: &Credentials,
    asked: &Asked<'_>,
    address: &str,
) -> Result<String> {
    let code = secret();
    let id = Uuid::now_v7();
    let now = Utc::now();
    let mut tx = db.begin().await?;
    sqlx::query!(
        "WITH session AS (
            INSERT INTO session (id, account_id, client_id, auth_time, expire_time) VALUES ($1, $2, $3, $4, $5))
         INSERT INTO authorization_code (hash, session_id, redirect_uri, challenge, nonce, expire_time)
         VALUES ($6, $1, $7, $8, $9, $10)",
        id,
        account.id,
        asked.client_id,
        now,
        now + SESSION_LIFE,
        hash(&code),
        asked.redirect_uri,
        asked.challenge,
        asked.nonce,
        now + CODE_LIFE
    )
    .execute(&mut *tx)
    .await?;
    let message = pb::SignedIn {
        session_id: id.to_string(),
        client_id: asked.client_id.to_owned(),
        address: address.to_owned(),
    };
    let fact = Fact {
        subject: account.id.to_string(),
        unit_ids: vec![account.home_unit_id],
        field_code: None,
        actor: account.id.to_string(),
        message: &message,
    };
    events::publish(&mut tx, fact).await?;
    tx.commit().await?;
    Ok(code)
}

/// States that a sign-in failed, and that its address must wait from now on if `locks`.
pub async fn failed(
    db: &PgPool,
    account: Option<&Credentials>,
    address: &str,
    locks: bool,
) -> Result<()> {
    let account_id = account.map(|account| account.id.to_string());
    let account_id = account_id.unwrap_or_default();
    let failed = pb::SignInFailed {
        account_id: account_id.clone(),
        address: address.to_owned(),
    };
    let mut tx = db.begin().await?;
    events::publish(&mut tx, attempt(account, address, &failed)).await?;
    if locks {
        let locked = pb::SignInLocked {
            account_id,
            address: address.to_owned(),
        };
        events::publish(&mut tx, attempt(account, address, &locked)).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// A fact about an attempt; who made it is not known but for the address.
fn attempt<'a, M>(account: Option<&Credentials>, address: &str, message: &'a M) -> Fact<'a, M> {
    Fact {
        subject: account.map_or_else(|| "unknown".to_owned(), |account| account.id.to_string()),
        unit_ids: account.iter().map(|account| account.home_unit_id).collect(),
        field_code: None,
        actor: address.to_owned(),
        message,
    }
}

/// Redeems a code, once: the session with its first refresh token and the request's nonce. A second use ends the session, for one of the two was a
/// thief's.
pub async fn redeem(
    identity: &Identity,
    client: &Client,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
) -> Result<Option<(Session, String, String)>> {
    let mut tx = identity.db.begin().await?;
    let row = sqlx::query!(
        "SELECT c.session_id, c.redirect_uri, c.challenge, c.nonce, c.expire_time, c.use_time, s.client_id
         FROM authorization_code c JOIN session s ON s.id = c.session_id WHERE c.hash = $1 FOR UPDATE OF c",
        hash(code)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row.filter(|row| row.client_id == client.id) else {
        return Ok(None);
    };
    if row.use_time.is_some() {
        end(identity, tx, row.session_id, "identity").await?;
        return Ok(None);
    }
    sqlx::query!(
        "UPDATE authorization_code SET use_time = now() WHERE hash = $1",
        hash(code)
    )
    .execute(&mut *tx)
    .await?;
    let good = row.expire_time > Utc::now()
        && row.redirect_uri == redirect_uri
        && belongs(verifier, &row.challenge);
    let granted = if good {
        grant(&mut tx, row.session_id).await?
    } else {
        None
    };
    tx.commit().await?;
    Ok(granted.map(|(session, refresh)| (session, refresh, row.nonce)))
}

/// A session that has not ended, of an account that lets its person in.
pub async fn alive(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Session>> {
    let session = sqlx::query_as!(
        Session,
        "SELECT s.id, s.account_id, s.client_id, s.auth_time, s.expire_time, a.login, a.display_name, a.language,
            a.email, a.home_unit_id
         FROM session s JOIN account a ON a.id = s.account_id
         WHERE s.id = $1 AND s.revoke_time IS NULL AND s.expire_time > now() AND NOT a.disabled",
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(session)
}

/// A session that is alive, with a new refresh token: stored in the transaction that uses up what it is given for, or
/// an honest second try would look like theft.
async fn grant(tx: &mut PgConnection, session: Uuid) -> Result<Option<(Session, String)>> {
    let Some(session) = alive(&mut *tx, session).await? else {
        return Ok(None);
    };
    let token = secret();
    sqlx::query!(
        "INSERT INTO refresh_token (hash, session_id) VALUES ($1, $2)",
        hash(&token),
        session.id
    )
    .execute(tx)
    .await?;
    Ok(Some((session, token)))
}

/// Refreshes: the session, with the token to use next. A client with a secret keeps its token, which is worth nothing
/// without the secret; a public one uses each once, and a second use ends the session.
pub async fn refresh(
    identity: &Identity,
    client: &Client,
    token: &str,
) -> Result<Option<(Session, String)>> {
    let mut tx = identity.db.begin().await?;
    let row = sqlx::query!(
        "SELECT r.session_id, r.use_time, s.client_id
         FROM refresh_token r JOIN session s ON s.id = r.session_id WHERE r.hash = $1 FOR UPDATE OF r",
        hash(token)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row.filter(|row| row.client_id == client.id) else {
        return Ok(None);
    };
    if !client.is_public() {
        let session = alive(&mut *tx, row.session_id).await?;
        return Ok(session.map(|session| (session, token.to_owned())));
    }
    if row.use_time.is_some() {
        end(identity, tx, row.session_id, "identity").await?;
        return Ok(None);
    }
    sqlx::query!(
        "UPDATE refresh_token SET use_time = now() WHERE hash = $1",
        hash(token)
    )
    .execute(&mut *tx)
    .await?;
    let granted = grant(&mut tx, row.session_id).await?;
    tx.commit().await?;
    Ok(granted)
}

/// Ends the session that a refresh token of this client belongs to, if any (RFC 7009).
pub async fn end_by_token(identity: &Identity, client: &Client, token: &str) -> Result<()> {
    let session = sqlx::query!(
        "SELECT s.id, s.account_id FROM refresh_token r JOIN session s ON s.id = r.session_id WHERE r.hash = $1 AND s.client_id = $2",
        hash(token),
        client.id
    )
    .fetch_optional(&identity.db)
    .await?;
    if let Some(session) = session {
        let tx = identity.db.begin().await?;
        end(identity, tx, session.id, &session.account_id.to_string()).await?;
    }
    Ok(())
}

/// Ends a session; its tokens are refused here at once, elsewhere within seconds.
pub async fn end(
    identity: &Identity,
    mut tx: PgTransaction<'_>,
    id: Uuid,
    actor: &str,
) -> Result<()> {
    let ended = end_where(&mut tx, Some(id), None, None, actor).await?;
    tx.commit().await?;
    if !ended.is_empty() {
        identity.apply(ended).await;
    }
    Ok(())
}

/// Ends all sessions of an account but one.
pub async fn end_all(
    tx: &mut PgConnection,
    account: Uuid,
    but: Option<Uuid>,
    actor: &str,
) -> Result<()> {
    end_where(tx, None, Some(account), but, actor).await?;
    Ok(())
}

async fn end_where(
    tx: &mut PgConnection,
    id: Option<Uuid>,
    account: Option<Uuid>,
    but: Option<Uuid>,
    actor: &str,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        "UPDATE session s SET revoke_time = now() FROM account a
         WHERE a.id = s.account_id AND s.revoke_time IS NULL AND s.expire_time > now()
            AND ($1::uuid IS NULL OR s.id = $1) AND ($2::uuid IS NULL OR s.account_id = $2)
            AND ($3::uuid IS NULL OR s.id <> $3)
         RETURNING s.id, a.home_unit_id",
        id,
        account,
        but
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut ended = Vec::new();
    for row in rows {
        let message = pb::SessionRevoked {
            session_id: row.id.to_string(),
            revoke_time: Some(timestamp(Utc::now())),
        };
        let fact = Fact {
            subject: row.id.to_string(),
            unit_ids: vec![row.home_unit_id],
            field_code: None,
            actor: actor.to_owned(),
            message: &message,
        };
        events::publish(&mut *tx, fact).await?;
        ended.push(Entry::SessionRevoked(message));
    }
    Ok(ended)
}

/// Sessions that were ended and whose tokens may still live, for the directory.
pub async fn revoked(db: impl PgExecutor<'_>) -> Result<Vec<pb::SessionRevoked>> {
    let rows = sqlx::query!(
        r#"SELECT id, revoke_time AS "revoke_time!" FROM session WHERE revoke_time > $1"#,
        Utc::now() - TOKEN_LIFE * 2
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| pb::SessionRevoked {
            session_id: row.id.to_string(),
            revoke_time: Some(timestamp(row.revoke_time)),
        })
        .collect())
}

/// Forgets sessions that ended yesterday, with their codes and refresh tokens.
pub async fn prune(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM session WHERE expire_time < $1",
        Utc::now() - TimeDelta::days(1)
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_belongs_to_its_challenge_only() {
        // RFC 7636, appendix B
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(belongs(
            verifier,
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        ));
        assert!(!belongs(verifier, verifier));
        assert!(!belongs("short", &URL_SAFE_NO_PAD.encode(hash("short"))));
    }
}
