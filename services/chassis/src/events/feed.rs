//! The serving side of a service's feed.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, stream};
use sqlx::PgPool;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use proto::events::v1::{
    self as pb,
    event_feed_service_server::{EventFeedService, EventFeedServiceServer},
};

use super::{
    cursor::{Cursor, Standing},
    park, retain, sequence,
};
use crate::{
    Caller, Refusal,
    auth::permission_missing,
    directory::{MESH_PERMISSION, Scope},
    internal,
    parse::timestamp,
};

/// The permission to follow feeds. Who is not of the mesh needs the permission to read what a feed carries as well.
const SUBSCRIBE: &str = "events.subscribe";
/// The permission to see and replay what is parked.
const OPERATE: &str = "platform.operate";
/// The contract promises one every 15 seconds.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Positions looked at by one read.
const WINDOW: i64 = 500;

/// The feed of this service: gives positions, serves readers, deletes what is old.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    /// What those who are not of the mesh must hold to read this feed; without one it is the mesh's alone.
    permission: Option<&'static str>,
    db: PgPool,
    retention: Duration,
    head: watch::Sender<i64>,
    /// Ends open streams, so that a process can drain.
    end: CancellationToken,
}

impl Feed {
    /// The feed of the service of this name, over its database. Besides the mesh those may follow it who hold
    /// `permission`, as far as they hold it. Streams end when `shutdown` is cancelled.
    #[must_use]
    pub fn new(
        name: &'static str,
        permission: Option<&'static str>,
        db: PgPool,
        retention: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            permission,
            db,
            retention,
            head: watch::Sender::new(0),
            end: shutdown,
        }))
    }

    /// The gRPC service, to be added to the server.
    #[must_use]
    pub fn service(&self) -> EventFeedServiceServer<Self> {
        EventFeedServiceServer::new(self.clone())
    }

    /// The feed's work in the background, until `shutdown` is cancelled. Every replica runs it.
    pub async fn run(&self) {
        let inner = &self.0;
        tokio::join!(
            sequence::run(&inner.db, &inner.head, &inner.end),
            retain::run(&inner.db, inner.retention, &inner.end)
        );
    }

    /// Deletes what is old and read, now; answers how many events.
    pub async fn retain(&self) -> sqlx::Result<i64> {
        retain::pass(&self.0.db, self.0.retention).await
    }

    fn demand_own(&self, service: &str) -> Result<(), Refusal> {
        if service.is_empty() || service == self.0.name {
            return Ok(());
        }
        Err(Refusal::invalid(
            "service",
            format!("đây là luồng sự kiện của {}", self.0.name),
            format!("this is the feed of {}", self.0.name),
        ))
    }

    async fn start(&self, request: &pb::SubscribeRequest) -> Result<Cursor, Status> {
        let db = &self.0.db;
        if request.latest && !request.cursor.is_empty() {
            return Err(Refusal::invalid(
                "latest",
                "không dùng cùng với cursor",
                "must not come together with a cursor",
            )
            .into());
        }
        if request.latest {
            return Cursor::newest(db).await.map_err(internal);
        }
        if request.cursor.is_empty() {
            return Cursor::oldest(db).await.map_err(internal);
        }
        let cursor = Cursor::decode(&request.cursor)?;
        cursor.verify(db).await?.demand_good()?;
        Ok(cursor)
    }
}

impl Inner {
    /// Where a caller may follow feeds, and where it may read what this one carries; refused if it may not at all.
    fn scopes(&self, caller: &Caller) -> Result<[Scope; 2], Refusal> {
        let follows = caller.scope(SUBSCRIBE);
        if caller.is_of_mesh() {
            return Ok([follows.clone(), follows]);
        }
        let permission = self.permission.unwrap_or(MESH_PERMISSION);
        let reads = caller.scope(permission);
        if self.permission.is_none() || reads.is_empty() {
            return Err(permission_missing(permission));
        }
        Ok([follows, reads])
    }
}

/// One reader's way through the feed.
struct Reader {
    feed: Arc<Inner>,
    head: watch::Receiver<i64>,
    caller: Caller,
    types: Option<Vec<String>>,
    cursor: Cursor,
    ready: VecDeque<pb::SubscribeResponse>,
    heartbeat: Instant,
}

impl Reader {
    /// The next message, an event or a heartbeat; None when the process stops or the token ends.
    async fn next(&mut self) -> Option<Result<pb::SubscribeResponse, Status>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Some(Ok(message));
            }
            // A stream lives no longer than its token; the reader comes back with a fresh one.
            if self.feed.end.is_cancelled() || self.caller.is_expired() {
                return None;
            }
            if let Err(refusal) = self.caller.demand_current() {
                return Some(Err(refusal.into()));
            }
            let head = *self.head.borrow_and_update();
            let before = self.cursor;
            if let Err(status) = self.read().await {
                return Some(Err(status));
            }
            if !self.ready.is_empty() || self.cursor.position < head && self.cursor != before {
                continue;
            }
            if Instant::now() >= self.heartbeat {
                self.ready.push_back(pb::SubscribeResponse {
                    event: None,
                    cursor: self.cursor.encode(),
                });
                continue;
            }
            tokio::select! {
                () = self.feed.end.cancelled() => {}
                () = tokio::time::sleep_until(self.heartbeat) => {}
                changed = self.head.changed() => if changed.is_err() { return None },
            }
        }
    }

    /// Reads the next window: one statement, so that deletion cannot come between what it sees.
    async fn read(&mut self) -> Result<(), Status> {
        let [follows, reads] = self.feed.scopes(&self.caller)?;
        let rows = sqlx::query!(
            r#"WITH head AS MATERIALIZED (
                SELECT f.deleted_position, last.position, last.id
                FROM chassis.feed AS f LEFT JOIN LATERAL (
                    SELECT o.position, o.id FROM chassis.outbox AS o
                    WHERE o.position > $1 AND o.position <= $1 + $2
                    ORDER BY o.position DESC LIMIT 1
                ) AS last ON true
            )
            SELECT head.deleted_position AS "deleted_position!", head.position AS "head_position?",
                head.id AS "head_id?", o.position AS "position?", o.id AS "id?", o.type AS "kind?",
                o.subject AS "subject?", o.unit_ids AS "unit_ids?", o.field_code, o.actor AS "actor?",
                o.traceparent AS "traceparent?", o.time AS "time?", o.data AS "data?"
            FROM head LEFT JOIN chassis.outbox AS o ON o.position > $1 AND o.position <= head.position
                AND ($3::text[] IS NULL OR o.type = ANY($3))
                AND ($4 OR o.unit_ids && $5 OR o.field_code = ANY($6))
                AND ($7 OR o.unit_ids && $8 OR o.field_code = ANY($9))
            ORDER BY o.position"#,
            self.cursor.position,
            WINDOW,
            self.types.as_deref(),
            follows.all,
            &follows.units,
            &follows.fields,
            reads.all,
            &reads.units,
            &reads.fields
        )
        .fetch_all(&self.feed.db)
        .await
        .map_err(internal)?;
        for row in rows {
            if row.deleted_position > self.cursor.position && self.ready.is_empty() {
                Standing::Expired.demand_good()?;
            }
            if let (Some(position), Some(id), Some(time)) = (row.position, row.id, row.time) {
                self.ready.push_back(pb::SubscribeResponse {
                    event: Some(pb::Event {
                        id: id.to_string(),
                        source: self.feed.name.to_owned(),
                        r#type: row.kind.unwrap_or_default(),
                        subject: row.subject.unwrap_or_default(),
                        time: Some(timestamp(time)),
                        unit_ids: row
                            .unit_ids
                            .unwrap_or_default()
                            .iter()
                            .map(Uuid::to_string)
                            .collect(),
                        field_code: row.field_code.unwrap_or_default(),
                        actor: row.actor.unwrap_or_default(),
                        traceparent: row.traceparent.unwrap_or_default(),
                        data: row.data.unwrap_or_default(),
                    }),
                    cursor: Cursor { position, id }.encode(),
                });
            }
            if let (Some(position), Some(id)) = (row.head_position, row.head_id) {
                self.cursor = Cursor { position, id };
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl EventFeedService for Feed {
    type SubscribeStream =
        Pin<Box<dyn Stream<Item = Result<pb::SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = Caller::of(&request)?.clone();
        self.0.scopes(&caller)?;
        let request = request.into_inner();
        let cursor = self.start(&request).await?;
        let reader = Reader {
            feed: self.0.clone(),
            head: self.0.head.subscribe(),
            caller,
            types: Some(request.types).filter(|types| !types.is_empty()),
            cursor,
            ready: VecDeque::new(),
            // At once, so that the reader knows where it stands.
            heartbeat: Instant::now(),
        };
        let messages = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            let message = reader.next().await?;
            let rest = message.is_ok().then_some(reader);
            Some((message, rest))
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn acknowledge_events(
        &self,
        request: Request<pb::AcknowledgeEventsRequest>,
    ) -> Result<Response<pb::AcknowledgeEventsResponse>, Status> {
        let caller = Caller::of(&request)?;
        self.0.scopes(caller)?;
        let principal = caller.id();
        let request = request.into_inner();
        self.demand_own(&request.service)?;
        if request.consumer.is_empty() || request.consumer.len() > 200 {
            return Err(Refusal::invalid(
                "consumer",
                "phải có từ 1 đến 200 byte",
                "must have 1 to 200 bytes",
            )
            .into());
        }
        let cursor = Cursor::decode(&request.cursor)?;
        if cursor.verify(&self.0.db).await? == Standing::Forked {
            return Err(Refusal::invalid(
                "cursor",
                "không phải là con trỏ của luồng này",
                "is not a cursor of this feed",
            )
            .into());
        }
        let kept = sqlx::query!(
            "INSERT INTO chassis.feed_consumer (name, principal, position) VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET position = excluded.position, seen_time = now()
            WHERE feed_consumer.principal = excluded.principal",
            request.consumer,
            principal,
            cursor.position
        )
        .execute(&self.0.db)
        .await
        .map_err(internal)?;
        if kept.rows_affected() == 0 {
            return Err(Refusal::new(
                Code::PermissionDenied,
                "NOT_YOUR_CONSUMER",
                "tên này đã được một bên khác đăng ký",
                "another caller has registered this name",
            )
            .into());
        }
        Ok(Response::new(pb::AcknowledgeEventsResponse {}))
    }

    async fn list_parked_events(
        &self,
        request: Request<pb::ListParkedEventsRequest>,
    ) -> Result<Response<pb::ListParkedEventsResponse>, Status> {
        self.demand_own(&request.get_ref().service)?;
        // A feed's parked events are of any unit.
        Caller::of(&request)?.require_everywhere(OPERATE)?;
        park::list(&self.0.db, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn replay_parked_events(
        &self,
        request: Request<pb::ReplayParkedEventsRequest>,
    ) -> Result<Response<pb::ReplayParkedEventsResponse>, Status> {
        self.demand_own(&request.get_ref().service)?;
        // A feed's parked events are of any unit.
        Caller::of(&request)?.require_everywhere(OPERATE)?;
        park::replay(&self.0.db, request.get_ref())
            .await
            .map(Response::new)
    }
}
