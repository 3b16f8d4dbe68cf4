//! Passwords: Argon2id on the blocking pool, and the delays that guessing meets.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::LazyLock,
};

use anyhow::Context;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use chassis::Refusal;
use chrono::{DateTime, Utc};
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

/// How many attempts may come at once, and after how many seconds one more.
struct Limit {
    key: String,
    burst: f64,
    pause: f64,
}

impl Limit {
    /// Takes an attempt, if there is one; otherwise answers when there will be.
    async fn take(&self, db: &PgPool) -> sqlx::Result<Taken> {
        let taken = sqlx::query_scalar!(
            r#"INSERT INTO sign_in_limit AS l (key, full_time) VALUES ($1, now() + make_interval(secs => $2))
             ON CONFLICT (key) DO UPDATE
             SET full_time = greatest(l.full_time, now()) + make_interval(secs => $2)
             WHERE l.full_time <= now() + make_interval(secs => $3)
             RETURNING full_time > now() + make_interval(secs => $3) AS "is_last!""#,
            self.key,
            self.pause,
            self.slack()
        )
        .fetch_optional(db)
        .await?;
        if let Some(is_last) = taken {
            return Ok(Taken::Yes { is_last });
        }
        let next = sqlx::query_scalar!(
            r#"SELECT full_time - make_interval(secs => $2) AS "next!" FROM sign_in_limit WHERE key = $1"#,
            self.key,
            self.slack()
        )
        .fetch_optional(db)
        .await?;
        Ok(Taken::No(next.unwrap_or_else(Utc::now)))
    }

    /// How far ahead of now an attempt may find `full_time`.
    fn slack(&self) -> f64 {
        self.pause * (self.burst - 1.0)
    }

    async fn give_back(&self, db: &PgPool) -> sqlx::Result<()> {
        sqlx::query!(
            "UPDATE sign_in_limit SET full_time = full_time - make_interval(secs => $2) WHERE key = $1",
            self.key,
            self.pause
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Whether an attempt is looked at.
pub enum Taken {
    /// It is; the next one must wait if `is_last`.
    Yes { is_last: bool },
    /// Not before this time.
    No(DateTime<Utc>),
}

/// Who tries: the login as typed, known or not, and the address it comes from.
pub struct Attempt {
    /// That login from that address: 5 at once, then one each three minutes. A stranger elsewhere locks nobody out.
    own: Limit,
    /// All logins from that address. Offices share one, and type wrongly all day long.
    address: Limit,
    /// That login from addresses it is not known to use.
    login: Limit,
    known: String,
    network: String,
}

impl Attempt {
    /// An attempt; without an address all count as from one.
    pub fn new(login: &str, address: Option<&str>) -> Self {
        let login: String = login.chars().take(64).collect();
        let address = network(address.unwrap_or_default());
        let limit = |key: String, burst, pause| Limit { key, burst, pause };
        Self {
            own: limit(format!("own {login} {address}"), 5.0, 180.0),
            address: limit(format!("address {address}"), 100.0, 2.0),
            login: limit(format!("login {login}"), 30.0, 20.0),
            known: format!("known {login} {address}"),
            network: address,
        }
    }

    /// The address that counts; empty if there is none.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Counts the attempt before its password is looked at: many at once must not all find the door still open.
    pub async fn begin(&self, db: &PgPool) -> sqlx::Result<Taken> {
        let own = self.own.take(db).await?;
        if let Taken::No(_) = own {
            return Ok(own);
        }
        let address = self.address.take(db).await?;
        if let Taken::No(_) = address {
            self.own.give_back(db).await?;
            return Ok(address);
        }
        if !self.is_known(db).await?
            && let login @ Taken::No(_) = self.login.take(db).await?
        {
            self.own.give_back(db).await?;
            self.address.give_back(db).await?;
            return Ok(login);
        }
        Ok(own)
    }

    async fn is_known(&self, db: &PgPool) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM sign_in_limit WHERE key = $1 AND full_time > now()) AS "is_known!""#,
            self.known
        )
        .fetch_one(db)
        .await
    }

    /// Forgets the failures of the login here, and knows the address from now on. Failures of the address and of the
    /// login elsewhere stay: a guesser has a login of his own too.
    pub async fn succeeded(&self, db: &PgPool) -> sqlx::Result<()> {
        self.address.give_back(db).await?;
        if !self.is_known(db).await? {
            self.login.give_back(db).await?;
        }
        sqlx::query!(
            "WITH forgotten AS (DELETE FROM sign_in_limit WHERE key = $1)
             INSERT INTO sign_in_limit (key, full_time) VALUES ($2, now() + interval '30 days')
             ON CONFLICT (key) DO UPDATE SET full_time = excluded.full_time",
            self.own.key,
            self.known
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// What counts as one address: of IPv6 the network, for a host has 2^64 addresses to choose from.
fn network(address: &str) -> String {
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V6(address)) => Ipv6Addr::from(u128::from(address) >> 64 << 64).to_string(),
        Ok(address) => address.to_string(),
        Err(_) => String::new(),
    }
}

/// Forgets what is full again.
pub async fn prune(db: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM sign_in_limit WHERE full_time < now()")
        .execute(db)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tries(db: &PgPool, login: &str, address: &str) -> bool {
        let attempt = Attempt::new(login, Some(address));
        matches!(attempt.begin(db).await.unwrap(), Taken::Yes { .. })
    }

    #[sqlx::test]
    async fn a_stranger_locks_himself_out_not_the_login(db: PgPool) {
        let home = Attempt::new("chairman", Some("10.0.0.1"));
        home.begin(&db).await.unwrap();
        home.succeeded(&db).await.unwrap();
        for _ in 0..5 {
            assert!(tries(&db, "chairman", "6.6.6.6").await);
        }
        assert!(!tries(&db, "chairman", "6.6.6.6").await);
        assert!(tries(&db, "clerk", "6.6.6.6").await);
        // Many strangers together are slowed down, the person at home is not.
        let mut let_in = 5;
        for host in 0..50 {
            let_in += usize::from(tries(&db, "chairman", &format!("7.7.7.{host}")).await);
        }
        assert!((30..55).contains(&let_in), "{let_in}");
        assert!(tries(&db, "chairman", "10.0.0.1").await);
    }

    #[sqlx::test]
    async fn an_office_may_mistype_all_day(db: PgPool) {
        let mut clerk = 0;
        while clerk < 1000 && tries(&db, &format!("clerk-{clerk}"), "10.0.0.1").await {
            clerk += 1;
        }
        assert!((100..1000).contains(&clerk));
        assert!(tries(&db, "late", "10.0.0.2").await);
        sqlx::query!("UPDATE sign_in_limit SET full_time = full_time - interval '20 seconds'")
            .execute(&db)
            .await
            .unwrap();
        for clerk in 0..10 {
            assert!(tries(&db, &format!("later-{clerk}"), "10.0.0.1").await);
        }
    }

    #[sqlx::test]
    async fn guesses_at_once_count_as_one_after_the_other(db: PgPool) {
        let guesses = (0..12).map(|_| tries(&db, "clerk", "6.6.6.6"));
        let looked_at = futures::future::join_all(guesses).await;
        assert_eq!(looked_at.into_iter().filter(|taken| *taken).count(), 5);
    }

    #[test]
    fn a_network_is_one_address() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
