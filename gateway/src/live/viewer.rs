//! One browser that watches.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chassis::{Caller, Directory, Refusal};
use futures::{Stream, stream};
use proto::gateway::v1::{LiveTopic, WatchResponse};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use tonic::Status;

use super::hub::{Change, Hub, News};

/// The contract promises one every 15 seconds.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How often the viewer's right to watch at all is looked at.
const CHECK: Duration = Duration::from_secs(2);

/// A viewer. Holds no queue of its own: whoever reads too slowly loses its place among the news and is reset.
pub struct Viewer {
    hub: Arc<Hub>,
    directory: Directory,
    caller: Caller,
    principal: String,
    topics: HashSet<LiveTopic>,
    backlog: std::vec::IntoIter<Arc<Change>>,
    news: Receiver<News>,
    last: u64,
    // The first message goes out at once: it tells the number to continue after.
    hello: Option<WatchResponse>,
    heartbeat: Instant,
    ended: bool,
}

impl Viewer {
    /// Begins to watch; no topics means all.
    pub fn new(
        hub: Arc<Hub>,
        directory: Directory,
        caller: Caller,
        topics: HashSet<LiveTopic>,
        after: u64,
    ) -> Result<Self, Refusal> {
        let start = hub.start(after)?;
        let first = start.backlog.first().map(|change| change.sequence - 1);
        let last = first.unwrap_or(start.last);
        Ok(Self {
            principal: caller.id(),
            hello: Some(message(last, start.reset)),
            backlog: start.backlog.into_iter(),
            news: start.news,
            heartbeat: Instant::now() + HEARTBEAT,
            ended: false,
            hub,
            directory,
            caller,
            topics,
            last,
        })
    }

    /// The messages; ends with the token or the session.
    pub fn stream(self) -> impl Stream<Item = Result<WatchResponse, Status>> + Send {
        stream::unfold(self, |mut viewer| async move {
            let message = viewer.next().await?;
            viewer.ended = message.is_err();
            viewer.heartbeat = Instant::now() + HEARTBEAT;
            Some((message, viewer))
        })
    }

    async fn next(&mut self) -> Option<Result<WatchResponse, Status>> {
        if let Some(hello) = self.hello.take() {
            return Some(Ok(hello));
        }
        loop {
            // A browser comes back with a fresh token and the last number.
            if self.ended || self.caller.is_expired() {
                return None;
            }
            if let Err(refusal) = self.caller.demand_current() {
                return Some(Err(refusal.into()));
            }
            if let Some(change) = self.backlog.next() {
                if let Some(message) = self.take(&change) {
                    return Some(Ok(message));
                }
                continue;
            }
            let wait = self.heartbeat.min(Instant::now() + CHECK);
            match tokio::time::timeout_at(wait, self.news.recv()).await {
                Ok(Ok(News::Change(change))) => {
                    if let Some(message) = self.take(&change) {
                        return Some(Ok(message));
                    }
                }
                Ok(Ok(News::Reset(sequence))) => return Some(Ok(self.reset(sequence))),
                Ok(Err(RecvError::Lagged(_))) => return self.restart(),
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => {}
            }
            if self.heartbeat <= Instant::now() {
                return Some(Ok(message(self.last, false)));
            }
        }
    }

    /// What is told of a change; nothing if it is not this viewer's.
    fn take(&mut self, change: &Change) -> Option<WatchResponse> {
        self.last = change.sequence;
        let is_wanted = self.topics.is_empty() || self.topics.contains(&change.topic);
        if !is_wanted || !change.is_visible(&self.directory, &self.principal) {
            return None;
        }
        Some(WatchResponse {
            sequence: change.sequence,
            topic: change.topic.into(),
            id: change.id.clone(),
            reset: false,
            time: change.time,
        })
    }

    fn restart(&mut self) -> Option<Result<WatchResponse, Status>> {
        match self.hub.start(0) {
            Ok(start) => {
                self.news = start.news;
                Some(Ok(self.reset(start.last)))
            }
            Err(refusal) => Some(Err(refusal.into())),
        }
    }

    fn reset(&mut self, sequence: u64) -> WatchResponse {
        self.last = sequence;
        message(sequence, true)
    }
}

fn message(sequence: u64, reset: bool) -> WatchResponse {
    WatchResponse {
        sequence,
        topic: LiveTopic::Unspecified.into(),
        id: String::new(),
        reset,
        time: Some(std::time::SystemTime::now().into()),
    }
}
