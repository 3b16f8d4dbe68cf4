//! What the handlers share, and identity's own view of the directory.

use std::{sync::Arc, time::Duration};

use chassis::{Base, Directory, auth::Verifier};
use prost::{Message, Name};
use proto::identity::v1::{self as pb, export_directory_response::Entry};
use sqlx::{Connection, PgPool, postgres::PgListener};
use tokio::sync::Mutex;

use crate::{account, client, error::Result, grant, key::Signer, session, unit};

/// Changes of other replicas are looked for at least this often.
const AT_LEAST: Duration = Duration::from_secs(30);

/// A burst of changes, such as an import, is read once.
const PAUSE: Duration = Duration::from_millis(100);

/// The facts that make a new reading necessary.
const OTHERS: [fn() -> String; 4] = [
    pb::UnitChanged::full_name,
    pb::RoleChanged::full_name,
    pb::PrincipalChanged::full_name,
    pb::GrantChanged::full_name,
];

/// What the handlers share.
#[derive(Clone)]
pub struct Identity {
    pub db: PgPool,
    pub directory: Directory,
    pub verifier: Verifier,
    pub signer: Signer,
    /// The address that browsers use; the issuer of tokens.
    pub issuer: String,
    reading: Arc<Mutex<()>>,
}

impl Identity {
    pub fn new(base: &Base, signer: Signer) -> Self {
        Self {
            db: base.db.clone(),
            directory: base.directory.clone(),
            verifier: base.verifier.clone(),
            signer,
            issuer: base.config.public_url.clone(),
            reading: Arc::default(),
        }
    }

    /// Takes over what other replicas change. Who changes something on this one calls `reload` or `apply` at once.
    pub async fn keep_directory(self) -> anyhow::Result<()> {
        loop {
            if let Err(error) = self.listen().await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "own directory not kept, tried again"
                );
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn listen(&self) -> anyhow::Result<()> {
        let mut listener = PgListener::connect_with(&self.db).await?;
        listener.listen("chassis_feed").await?;
        // Read first: what is stated meanwhile is told twice rather than never.
        let mut position = sqlx::query_scalar!("SELECT position FROM chassis.feed")
            .fetch_one(&self.db)
            .await?;
        self.reload().await?;
        loop {
            position = self.catch_up(position).await?;
            if let Ok(heard) = tokio::time::timeout(AT_LEAST, listener.recv()).await {
                heard?;
                tokio::time::sleep(PAUSE).await;
                while let Some(Ok(Some(_))) = drain(&mut listener).await {}
            }
        }
    }

    /// Takes in what was stated after a position, and answers the newest. Sessions end all the time and are taken in
    /// one by one; anything else is rare and read anew.
    async fn catch_up(&self, position: i64) -> anyhow::Result<i64> {
        let news = sqlx::query!(
            r#"SELECT max(position) AS position, coalesce(bool_or(type = ANY($2)), false) AS "is_other!",
                coalesce(array_agg(data) FILTER (WHERE type = $3), '{}') AS "ended!"
             FROM chassis.outbox WHERE position > $1"#,
            position,
            &OTHERS.map(|name| name()),
            pb::SessionRevoked::full_name()
        )
        .fetch_one(&self.db)
        .await?;
        if news.is_other {
            self.reload().await?;
        } else if !news.ended.is_empty() {
            let mut ended = Vec::new();
            for data in news.ended {
                let fact = pb::SessionRevoked::decode(data.as_slice())?;
                ended.push(Entry::SessionRevoked(fact));
            }
            self.apply(ended).await;
        }
        Ok(news.position.unwrap_or(position))
    }

    /// Takes in single changes, after a reading under way that may not have them.
    pub async fn apply(&self, entries: Vec<Entry>) {
        let _reading = self.reading.lock().await;
        self.directory.apply(entries);
    }

    /// Reads the directory anew; one at a time, so that an older reading never replaces a newer one.
    pub async fn reload(&self) -> anyhow::Result<()> {
        let _reading = self.reading.lock().await;
        self.directory.replace(entries(&self.db).await?)
    }
}

/// What is waiting already, if anything.
async fn drain(
    listener: &mut PgListener,
) -> Option<sqlx::Result<Option<sqlx::postgres::PgNotification>>> {
    tokio::time::timeout(Duration::ZERO, listener.try_recv())
        .await
        .ok()
}

/// The whole directory, as of one moment.
pub async fn entries(db: &PgPool) -> anyhow::Result<Vec<Entry>> {
    read(db).await.map_err(|error| match error {
        crate::error::Error::Refused(status) => status.into(),
        crate::error::Error::Database(error) => error.into(),
        crate::error::Error::Internal(error) => error,
    })
}

async fn read(db: &PgPool) -> Result<Vec<Entry>> {
    let mut connection = db.acquire().await?;
    let mut tx = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let mut entries = Vec::new();
    let units = unit::all(&mut *tx).await?;
    entries.extend(units.into_iter().map(|unit| Entry::Unit(unit.into())));
    let roles = grant::roles(&mut *tx).await?;
    entries.extend(roles.into_iter().map(Entry::Role));
    let clients = client::services(&mut *tx).await?;
    entries.extend(clients.iter().map(|client| Entry::Principal(client.into())));
    let accounts = account::all(&mut *tx).await?;
    entries.extend(
        accounts
            .iter()
            .map(|account| Entry::Principal(account.into())),
    );
    let grants = grant::all(&mut *tx).await?;
    entries.extend(
        grants
            .into_iter()
            .map(|grant| Entry::Grant(pb::Grant::from(grant))),
    );
    let revoked = session::revoked(&mut *tx).await?;
    entries.extend(revoked.into_iter().map(Entry::SessionRevoked));
    tx.commit().await?;
    Ok(entries)
}
