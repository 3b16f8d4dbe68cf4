//! How the directory is kept, and follows identity.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use prost::{Message, Name};
use proto::{
    events::v1::{Event, SubscribeRequest, event_feed_service_client::EventFeedServiceClient},
    identity::v1::{
        self as pb, directory_service_client::DirectoryServiceClient,
        export_directory_response::Entry,
    },
};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, client::GrpcService};

use super::{
    Directory, Inner,
    snapshot::{REVOKED_KEPT, Snapshot},
};
use crate::parse::optional_instant;

/// The facts of identity that the directory follows.
pub const EVENT_TYPES: [&str; 5] = [
    "civicmesh.identity.v1.UnitChanged",
    "civicmesh.identity.v1.RoleChanged",
    "civicmesh.identity.v1.PrincipalChanged",
    "civicmesh.identity.v1.GrantChanged",
    "civicmesh.identity.v1.SessionRevoked",
];

/// The feed sends a heartbeat every 15 seconds; without one for this long the connection is dead.
const SILENCE: Duration = Duration::from_secs(40);

/// Events taken in at once when many are waiting.
const BATCH: usize = 500;

impl Directory {
    /// Loads what the last run kept; without a database the directory lives in memory only.
    pub async fn load(db: Option<PgPool>) -> anyhow::Result<Self> {
        let mut snapshot = Snapshot::default();
        let mut cursor = None;
        if let Some(db) = &db {
            let rows = sqlx::query!(
                "SELECT kind, data FROM chassis.directory_entry
                WHERE kind <> 'keys' AND (end_time IS NULL OR end_time > now())"
            )
            .fetch_all(db)
            .await?;
            cursor = sqlx::query_scalar!("SELECT cursor FROM chassis.directory_cursor")
                .fetch_optional(db)
                .await?;
            for row in rows {
                match decode(&row.kind, &row.data) {
                    Ok(entry) => snapshot.apply_all([entry]),
                    // Written by a newer version before it was rolled back, perhaps.
                    Err(error) => tracing::warn!(%error, "directory entry skipped"),
                }
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                snapshot: Arc::new(snapshot).into(),
                loaded: watch::Sender::new(cursor.is_some()),
                cursor: cursor.into(),
                db,
                fixed: false,
            }),
        })
    }

    /// Follows identity until shutdown: the whole first, changes from then on. Never gives up.
    pub async fn follow<C>(self, channel: C, shutdown: CancellationToken)
    where
        C: GrpcService<tonic::body::Body> + Clone,
        C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
    {
        if self.inner.fixed {
            return shutdown.cancelled().await;
        }
        let mut wait = Duration::from_millis(100);
        loop {
            let result = shutdown
                .run_until_cancelled(self.follow_once(channel.clone(), &mut wait))
                .await;
            let Some(result) = result else {
                return;
            };
            if let Err(error) = result {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "lost identity's feed, trying again"
                );
            }
            let pause = wait.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            if shutdown
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
            wait = (wait * 2).min(Duration::from_secs(3));
        }
    }

    async fn follow_once<C>(&self, channel: C, wait: &mut Duration) -> anyhow::Result<()>
    where
        C: GrpcService<tonic::body::Body> + Clone,
        C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
    {
        let cursor = match self.cursor() {
            Some(cursor) => cursor,
            None => self.import(channel.clone()).await?,
        };
        let request = SubscribeRequest {
            cursor,
            types: EVENT_TYPES.map(str::to_owned).to_vec(),
            latest: false,
        };
        let stream = match EventFeedServiceClient::new(channel)
            .subscribe(request)
            .await
        {
            Ok(stream) => stream.into_inner(),
            Err(status) => return self.lost(status),
        };
        let mut batches = stream.ready_chunks(BATCH);
        loop {
            let batch = tokio::time::timeout(SILENCE, batches.next())
                .await
                .context("identity's feed fell silent")?;
            // The caller's token has ended, as all do; or identity stops, and a new call will tell.
            let Some(batch) = batch else {
                return Ok(());
            };
            let mut entries = Vec::new();
            let mut last = None;
            let mut failed = None;
            for message in batch {
                match message {
                    Ok(message) => {
                        entries.extend(message.event.as_ref().and_then(entry_of));
                        last = Some(message.cursor);
                    }
                    Err(status) => failed = Some(status),
                }
            }
            if let Some(cursor) = last.filter(|cursor| !cursor.is_empty()) {
                *wait = Duration::from_millis(100);
                self.take(entries, cursor).await?;
            }
            if let Some(status) = failed {
                return self.lost(status);
            }
        }
    }

    /// A cursor that the feed no longer knows means: begin again with the whole.
    fn lost(&self, status: tonic::Status) -> anyhow::Result<()> {
        if status.code() == Code::OutOfRange {
            self.set_cursor(None);
        }
        Err(status.into())
    }

    async fn import<C>(&self, channel: C) -> anyhow::Result<String>
    where
        C: GrpcService<tonic::body::Body>,
        C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <C::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
    {
        let mut stream = DirectoryServiceClient::new(channel)
            .export_directory(pb::ExportDirectoryRequest {})
            .await?
            .into_inner();
        let mut entries = Vec::new();
        while let Some(message) = stream.message().await? {
            match message.entry {
                Some(Entry::Cursor(cursor)) => {
                    if let Some(db) = &self.inner.db {
                        keep(db, &entries, &cursor, true).await?;
                    }
                    self.replace(entries)?;
                    self.set_cursor(Some(cursor.clone()));
                    return Ok(cursor);
                }
                Some(entry) => entries.push(entry),
                None => {}
            }
        }
        bail!("identity's export ended without a cursor")
    }

    async fn take(&self, entries: Vec<Entry>, cursor: String) -> anyhow::Result<()> {
        if entries.is_empty() && self.cursor().as_ref() == Some(&cursor) {
            return Ok(());
        }
        // Memory first: a right that was withdrawn must end even while the own database is away.
        if !entries.is_empty() {
            self.apply(entries.clone());
        }
        // Replicas write the same entries; whoever lags behind writes an older state with its own older cursor, from
        // which a restart catches up again.
        if let Some(db) = &self.inner.db {
            keep(db, &entries, &cursor, false).await?;
        }
        self.set_cursor(Some(cursor));
        Ok(())
    }

    fn cursor(&self) -> Option<String> {
        let cursor = self.inner.cursor.lock();
        cursor.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_cursor(&self, cursor: Option<String>) {
        *self
            .inner
            .cursor
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = cursor;
    }
}

async fn keep(db: &PgPool, entries: &[Entry], cursor: &str, whole: bool) -> sqlx::Result<()> {
    let mut kinds = Vec::new();
    let mut keys = Vec::new();
    let mut data = Vec::new();
    let mut ends = Vec::new();
    // One statement cannot write a row twice, so only the last of each key is kept, sorted so that replicas lock in one order.
    let mut latest = std::collections::BTreeMap::new();
    for entry in entries {
        if let Some((kind, key, bytes)) = encode(entry) {
            latest.insert((kind, key), (bytes, end_of(entry)));
        }
    }
    for ((kind, key), (bytes, end)) in latest {
        kinds.push(kind.to_owned());
        keys.push(key);
        data.push(bytes);
        ends.push(end);
    }
    let mut tx = db.begin().await?;
    sqlx::query!(
        "INSERT INTO chassis.directory_cursor (cursor) VALUES ($1)
         ON CONFLICT (singleton) DO UPDATE SET cursor = excluded.cursor",
        cursor
    )
    .execute(&mut *tx)
    .await?;
    if whole {
        sqlx::query!("DELETE FROM chassis.directory_entry WHERE kind <> 'keys'")
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query!(
        "INSERT INTO chassis.directory_entry (kind, key, data, end_time)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[])
         ON CONFLICT (kind, key) DO UPDATE SET data = excluded.data, end_time = excluded.end_time",
        &kinds,
        &keys,
        &data,
        &ends as &[Option<DateTime<Utc>>]
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("DELETE FROM chassis.directory_entry WHERE end_time <= now()")
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

fn encode(entry: &Entry) -> Option<(&'static str, String, Vec<u8>)> {
    Some(match entry {
        Entry::Unit(unit) => ("unit", unit.id.clone(), unit.encode_to_vec()),
        Entry::Role(role) => ("role", role.code.clone(), role.encode_to_vec()),
        Entry::Principal(principal) => {
            let key = principal.id.clone();
            ("principal", key, principal.encode_to_vec())
        }
        Entry::Grant(grant) => ("grant", grant.id.clone(), grant.encode_to_vec()),
        Entry::SessionRevoked(session) => {
            let key = session.session_id.clone();
            ("session", key, session.encode_to_vec())
        }
        Entry::Cursor(_) => return None,
    })
}

/// When an entry is of no more use: an ended session some time later, a grant when it ends or is withdrawn.
fn end_of(entry: &Entry) -> Option<DateTime<Utc>> {
    match entry {
        Entry::Grant(grant) if grant.revoked => Some(DateTime::UNIX_EPOCH),
        Entry::Grant(grant) => optional_instant("valid_to", grant.valid_to).ok()?,
        Entry::SessionRevoked(session) => {
            let time = optional_instant("revoke_time", session.revoke_time).ok()?;
            Some(time.unwrap_or_else(Utc::now) + REVOKED_KEPT)
        }
        _ => None,
    }
}

fn decode(kind: &str, data: &[u8]) -> anyhow::Result<Entry> {
    Ok(match kind {
        "unit" => Entry::Unit(pb::Unit::decode(data)?),
        "role" => Entry::Role(pb::Role::decode(data)?),
        "principal" => Entry::Principal(pb::Principal::decode(data)?),
        "grant" => Entry::Grant(pb::Grant::decode(data)?),
        "session" => Entry::SessionRevoked(pb::SessionRevoked::decode(data)?),
        other => bail!("directory entry of unknown kind {other}"),
    })
}

/// The entry of a fact; none for facts of other kinds and for one that cannot be read.
fn entry_of(event: &Event) -> Option<Entry> {
    let data = event.data.as_slice();
    let kind = event.r#type.as_str();
    let entry = if kind == pb::UnitChanged::full_name() {
        pb::UnitChanged::decode(data).map(|fact| fact.unit.map(Entry::Unit))
    } else if kind == pb::RoleChanged::full_name() {
        pb::RoleChanged::decode(data).map(|fact| fact.role.map(Entry::Role))
    } else if kind == pb::PrincipalChanged::full_name() {
        pb::PrincipalChanged::decode(data).map(|fact| fact.principal.map(Entry::Principal))
    } else if kind == pb::GrantChanged::full_name() {
        pb::GrantChanged::decode(data).map(|fact| fact.grant.map(Entry::Grant))
    } else if kind == pb::SessionRevoked::full_name() {
        pb::SessionRevoked::decode(data).map(|fact| Some(Entry::SessionRevoked(fact)))
    } else {
        Ok(None)
    };
    entry.unwrap_or_else(|error| {
        tracing::error!(event.id, %error, "event of identity cannot be read");
        None
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::{parse::timestamp, postgres::migrate_chassis};

    async fn kept(db: &PgPool) -> Vec<String> {
        sqlx::query_scalar("SELECT key FROM chassis.directory_entry ORDER BY kind DESC, key")
            .fetch_all(db)
            .await
            .unwrap()
    }

    fn ended(session: &str, ago: TimeDelta) -> Entry {
        Entry::SessionRevoked(pb::SessionRevoked {
            session_id: session.to_owned(),
            revoke_time: Some(timestamp(Utc::now() - ago)),
        })
    }

    #[sqlx::test(migrations = false)]
    async fn what_has_ended_is_not_kept(db: PgPool) {
        migrate_chassis(&db).await.unwrap();
        let mut grant = pb::Grant {
            id: Uuid::now_v7().to_string(),
            ..pb::Grant::default()
        };
        let over = pb::Grant {
            id: Uuid::now_v7().to_string(),
            valid_to: Some(timestamp(Utc::now() - TimeDelta::days(1))),
            ..pb::Grant::default()
        };
        let entries = [
            ended("fresh", TimeDelta::minutes(1)),
            ended("old", TimeDelta::hours(2)),
            Entry::Grant(grant.clone()),
            Entry::Grant(over),
        ];
        keep(&db, &entries, "1", false).await.unwrap();
        assert_eq!(kept(&db).await, ["fresh", &grant.id]);
        grant.revoked = true;
        keep(&db, &[Entry::Grant(grant)], "2", false).await.unwrap();
        assert_eq!(kept(&db).await, ["fresh"]);
    }

    #[sqlx::test(migrations = false)]
    async fn an_entry_of_a_newer_version_is_skipped(db: PgPool) {
        migrate_chassis(&db).await.unwrap();
        keep(&db, &[ended("fresh", TimeDelta::zero())], "1", false)
            .await
            .unwrap();
        let newer =
            "INSERT INTO chassis.directory_entry (kind, key, data) VALUES ('later', 'x', '')";
        sqlx::query(newer).execute(&db).await.unwrap();
        let directory = Directory::load(Some(db)).await.unwrap();
        assert!(directory.is_loaded() && directory.is_revoked("fresh"));
    }
}
