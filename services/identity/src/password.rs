//! Passwords: Argon2id on the blocking pool, and the delays that guessing meets.

use std::sync::LazyLock;

use anyhow::Context;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use chassis::Refusal;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Shortest password.
const SHORTEST: usize = 12;

/// Longest password; hashing must not be a way to keep us busy.
const LONGEST: usize = 256;

/// Each hash takes 19 MiB and tens of milliseconds of a core.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// What an unknown login is verified against, so that it takes as long as a known one.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    Argon2::default()
        .hash_password(b"nobody has this password")
        .map(|hash| hash.to_string())
        .unwrap_or_default()
});

/// Refuses passwords that are too short or too long.
pub fn check(field: &str, password: &str) -> Result<(), Refusal> {
    let length = password.chars().count();
    if (SHORTEST..=LONGEST).contains(&length) {
        return Ok(());
    }
    Err(Refusal::invalid(
        field,
        format!("mật khẩu phải có từ {SHORTEST} đến {LONGEST} ký tự"),
        format!("a password has {SHORTEST} to {LONGEST} characters"),
    ))
}

/// Hashes a password with a salt of its own.
pub async fn hash(password: &str) -> anyhow::Result<String> {
    let password = password.to_owned();
    let _permit = AT_ONCE.acquire().await?;
    spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| anyhow::anyhow!("password not hashed: {error}"))
    })
    .await?
}

/// Whether a password is the hashed one; takes as long when there is none.
pub async fn verify(password: &str, hash: Option<String>) -> anyhow::Result<bool> {
    let password = password.to_owned();
    let _permit = AT_ONCE.acquire().await?;
    spawn_blocking(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let hash = PasswordHash::new(&hash)
            .map_err(|error| anyhow::anyhow!("{error}"))
            .context("stored password hash is malformed")?;
        let same = password.len() <= 4 * LONGEST
            && Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok();
        Ok(same && known)
    })
    .await?
}

/// Who tries: the login as typed, known or not, and the address it comes from.
pub struct Attempt {
    keys: Vec<String>,
    free: Vec<i32>,
}

impl Attempt {
    /// An attempt; without an address only the login counts.
    pub fn new(login: &str, address: Option<&str>) -> Self {
        let mut attempt = Self {
            keys: vec![format!(
                "login:{}",
                login.chars().take(64).collect::<String>()
            )],
            free: vec![5],
        };
        if let Some(address) = address {
            attempt.keys.push(format!("address:{address}"));
            // Offices share an address.
            attempt.free.push(50);
        }
        attempt
    }

    /// Until when no further attempt is looked at.
    pub async fn locked_until(&self, db: &PgPool) -> sqlx::Result<Option<DateTime<Utc>>> {
        let until = sqlx::query_scalar!(
            "SELECT max(locked_until) FROM sign_in_failure WHERE key = ANY($1) AND locked_until > now()",
            &self.keys
        )
        .fetch_one(db)
        .await?;
        Ok(until)
    }

    /// Counts a failure. From the fifth of a login on (the fiftieth of an address) each doubles the delay, from 15
    /// seconds to 15 minutes; an hour without failures forgets.
    pub async fn failed(&self, db: &PgPool) -> sqlx::Result<()> {
        sqlx::query!(
            "INSERT INTO sign_in_failure AS f (key, failures, last_time, locked_until)
             SELECT key, 1, now(), now() FROM unnest($1::text[]) AS key ORDER BY key
             ON CONFLICT (key) DO UPDATE SET last_time = now(),
                failures = CASE WHEN f.last_time < now() - interval '1 hour' THEN 1 ELSE f.failures + 1 END",
            &self.keys
        )
        .execute(db)
        .await?;
        sqlx::query!(
            "UPDATE sign_in_failure f
             SET locked_until = now() + least(interval '15 minutes',
                interval '15 seconds' * power(2, least(f.failures - a.free, 10)))
             FROM unnest($1::text[], $2::int[]) AS a (key, free)
             WHERE f.key = a.key AND f.failures >= a.free",
            &self.keys,
            &self.free
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Forgets the failures of the login. Those of the address stay: a guesser has a login of his own too.
    pub async fn succeeded(&self, db: &PgPool) -> sqlx::Result<()> {
        sqlx::query!("DELETE FROM sign_in_failure WHERE key = $1", self.keys[0])
            .execute(db)
            .await?;
        Ok(())
    }
}

/// Forgets failures of yesterday.
pub async fn prune(db: &PgPool) -> sqlx::Result<()> {
    let day = Utc::now() - TimeDelta::days(1);
    sqlx::query!("DELETE FROM sign_in_failure WHERE last_time < $1", day)
        .execute(db)
        .await?;
    Ok(())
}
