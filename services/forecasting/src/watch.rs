//! The changes of the board, for open streams: one reader of the service's own feed serves all of them.

use std::{pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use chassis::{Base, Caller, Directory, directory::Scope};
use futures::{Stream, stream};
use prost::Message;
use proto::{
    events::v1::{Event, SubscribeRequest, event_feed_service_client::EventFeedServiceClient},
    forecasting::v1 as pb,
};
use tokio::{sync::broadcast, time::Instant};
use tonic::Status;
use uuid::Uuid;

use crate::{error::Error, load::is_local};

/// The contract promises one every 10 seconds.
const HEARTBEAT: Duration = Duration::from_secs(9);
/// Changes that a slow reader may be behind; then its stream ends.
const BEHIND: usize = 4096;

/// A line that changed, and whom it concerns.
#[derive(Debug)]
struct Change {
    unit_ids: Vec<Uuid>,
    field_code: String,
    message: pb::RiskChanged,
}

/// What a stream shows.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only of these units.
    pub units: Option<Vec<Uuid>>,
    /// Only of this field.
    pub field_code: Option<String>,
    /// Only of this indicator.
    pub indicator_id: Option<Uuid>,
    /// Leaves out figures of wards, communes and special zones.
    pub city_level_only: bool,
}

impl Wanted {
    fn has(&self, change: &Change, directory: &Directory) -> bool {
        let item = change.message.item.as_ref();
        let indicator = item.and_then(|item| item.indicator.as_ref());
        let unit = item.and_then(|item| item.unit_id.parse::<Uuid>().ok());
        let of = |units: &Vec<Uuid>| change.unit_ids.iter().any(|unit| units.contains(unit));
        self.units.as_ref().is_none_or(of)
            && (self.field_code.as_ref()).is_none_or(|field| *field == change.field_code)
            && self
                .indicator_id
                .is_none_or(|id| indicator.is_some_and(|indicator| indicator.id == id.to_string()))
            && !(self.city_level_only
                && unit
                    .and_then(|unit| directory.unit(unit))
                    .is_some_and(|unit| is_local(unit.kind)))
    }
}

/// Who waits for changes. Empty while the feed cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<ArcSwapOption<broadcast::Sender<Arc<Change>>>>);

impl Watch {
    /// Reads the service's feed until the service stops. Whenever that ends, so do all streams: they may have missed
    /// something.
    pub async fn run(self, base: Base) -> anyhow::Result<()> {
        loop {
            if let Err(error) = self.follow(&base).await {
                tracing::debug!(error = format!("{error:#}"), "the own feed was interrupted");
            }
            self.0.store(None);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn follow(&self, base: &Base) -> anyhow::Result<()> {
        let mut feed = EventFeedServiceClient::new(base.mesh.channel(base.name));
        let request = SubscribeRequest {
            types: vec!["civicmesh.forecasting.v1.RiskChanged".to_owned()],
            latest: true,
            ..Default::default()
        };
        let mut stream = feed.subscribe(request).await?.into_inner();
        let sender = Arc::new(broadcast::Sender::new(BEHIND));
        // The first message tells where the feed stands: from there on nothing is missed.
        while let Some(message) = stream.message().await? {
            if let Some(event) = message.event {
                // Fails while nobody waits.
                let _ = sender.send(Arc::new(change(&event)?));
            }
            if self.0.load().is_none() {
                self.0.store(Some(sender.clone()));
            }
        }
        Ok(())
    }

    /// Streams what a caller may see and wants to.
    pub fn stream(
        &self,
        caller: Caller,
        permission: &'static str,
        wanted: Wanted,
        directory: Directory,
    ) -> Result<Changes, Status> {
        let sender = self.0.load_full();
        let sender = sender.ok_or(Error::NotFollowed)?;
        let reader = Reader {
            changes: sender.subscribe(),
            caller,
            permission,
            wanted,
            directory,
            heartbeat: Instant::now(),
        };
        let messages = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            let message = reader.next().await?;
            let rest = message.is_ok().then_some(reader);
            Some((message, rest))
        });
        Ok(Box::pin(messages))
    }
}

fn change(event: &Event) -> anyhow::Result<Change> {
    let units = event.unit_ids.iter().map(|unit| unit.parse());
    Ok(Change {
        unit_ids: units.collect::<Result<_, _>>()?,
        field_code: event.field_code.clone(),
        message: pb::RiskChanged::decode(event.data.as_slice())?,
    })
}

/// The messages of one stream.
pub type Changes = Pin<Box<dyn Stream<Item = Result<pb::WatchRiskResponse, Status>> + Send>>;

struct Reader {
    changes: broadcast::Receiver<Arc<Change>>,
    caller: Caller,
    permission: &'static str,
    wanted: Wanted,
    directory: Directory,
    heartbeat: Instant,
}

impl Reader {
    /// The next change or heartbeat; None when changes were missed or the token ends.
    async fn next(&mut self) -> Option<Result<pb::WatchRiskResponse, Status>> {
        loop {
            let change = match tokio::time::timeout_at(self.heartbeat, self.changes.recv()).await {
                Ok(change) => Some(change.ok()?),
                Err(_) => None,
            };
            if self.caller.is_expired() {
                return None;
            }
            if let Err(refusal) = self.caller.demand_current() {
                return Some(Err(refusal.into()));
            }
            let Some(change) = change else {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Some(Ok(pb::WatchRiskResponse::default()));
            };
            let scope: Scope = self.caller.scope(self.permission);
            let may_see = |unit: &Uuid| scope.covers(*unit, Some(&change.field_code));
            if change.unit_ids.iter().any(may_see) && self.wanted.has(&change, &self.directory) {
                self.heartbeat = Instant::now() + HEARTBEAT;
                return Some(Ok(pb::WatchRiskResponse {
                    item: change.message.item.clone(),
                    status_before: change.message.status_before,
                }));
            }
        }
    }
}
