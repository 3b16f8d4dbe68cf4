//! What the handlers share, and identity's own view of the directory.

use std::{sync::Arc, time::Duration};

use chassis::{Base, Directory, auth::Verifier};
use proto::identity::v1::{self as pb, export_directory_response::Entry};
use sqlx::{Connection, PgPool, postgres::PgListener};
use tokio::sync::Mutex;

use crate::{account, client, error::Result, grant, key::Signer, session, unit};

/// Changes of other replicas are looked for at least this often.
const AT_LEAST: Duration = Duration::from_secs(30);

/// A burst of changes, such as an import, is read once.
const PAUSE: Duration = Duration::from_millis(100);

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

    /// Reads the directory anew when another replica changed it. Who changes it on this one calls `reload` at once.
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
        listener.listen("chassis_outbox").await?;
        loop {
            self.reload().await?;
            if let Ok(heard) = tokio::time::timeout(AT_LEAST, listener.recv()).await {
                heard?;
                tokio::time::sleep(PAUSE).await;
                while let Some(Ok(Some(_))) = drain(&mut listener).await {}
            }
        }
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
