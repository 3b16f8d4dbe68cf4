//! The last changes, numbered, and the way they reach everybody who watches.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use chassis::{Refusal, directory::Directory};
use prost_types::Timestamp;
use proto::gateway::v1::LiveTopic;
use tokio::sync::broadcast;
use tonic::Code;
use uuid::Uuid;

/// Changes kept for viewers who come back.
pub const KEPT: usize = 8192;

/// Changes a viewer may be behind before it is told to read again.
const BEHIND: usize = 1024;

/// Streams at most.
const VIEWERS: usize = 20_000;

/// Bits of a number that count; those above tell one run of the gateway from another.
const COUNTER_BITS: u32 = 40;

/// Something changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its number.
    pub sequence: u64,
    /// What kind of thing.
    pub topic: LiveTopic,
    /// Which.
    pub id: String,
    /// The permission that lets see it; none for what is told to one person.
    pub permission: Option<&'static str>,
    /// The units it concerns; empty for the whole city.
    pub units: Vec<Uuid>,
    /// The field it belongs to.
    pub field: Option<String>,
    /// The person it is told to.
    pub person: Option<String>,
    /// When.
    pub time: Option<Timestamp>,
}

impl Change {
    /// Whether a principal may know of it now.
    #[must_use]
    pub fn is_visible(&self, directory: &Directory, principal: &str) -> bool {
        if let Some(person) = &self.person {
            return person == principal;
        }
        let Some(permission) = self.permission else {
            return false;
        };
        if self.units.is_empty() {
            return directory.holds(principal, permission);
        }
        let field = self.field.as_deref();
        self.units
            .iter()
            .any(|unit| directory.permits(principal, permission, *unit, field))
    }
}

/// What viewers receive.
#[derive(Clone, Debug)]
pub enum News {
    /// Something changed.
    Change(Arc<Change>),
    /// Changes were missed; go on from this number.
    Reset(u64),
}

/// The hub.
pub struct Hub {
    state: Mutex<State>,
    news: broadcast::Sender<News>,
}

struct State {
    last: u64,
    reset: u64,
    ring: VecDeque<Arc<Change>>,
}

/// Where a viewer begins.
pub struct Start {
    /// What it missed, in order.
    pub backlog: Vec<Arc<Change>>,
    /// It missed more than is kept.
    pub reset: bool,
    /// The newest number.
    pub last: u64,
    /// What comes from now on.
    pub news: broadcast::Receiver<News>,
}

impl Default for Hub {
    fn default() -> Self {
        // Numbers of another replica, or of this one before a restart, must not be taken for ours.
        let run = u64::from(rand::random::<u16>()) + 1;
        let first = run << COUNTER_BITS;
        Self {
            state: Mutex::new(State {
                last: first,
                reset: first,
                ring: VecDeque::new(),
            }),
            news: broadcast::channel(BEHIND).0,
        }
    }
}

impl Hub {
    /// Tells a change; its number is given here.
    pub fn publish(&self, mut change: Change) {
        let mut state = self.state();
        state.last += 1;
        change.sequence = state.last;
        let change = Arc::new(change);
        if state.ring.len() >= KEPT {
            state.ring.pop_front();
        }
        state.ring.push_back(change.clone());
        // Under the lock, so that whoever starts sees it once. Nobody watching is no error.
        let _ = self.news.send(News::Change(change));
    }

    /// Tells that changes were missed.
    pub fn reset(&self) {
        let mut state = self.state();
        state.last += 1;
        state.reset = state.last;
        state.ring.clear();
        let _ = self.news.send(News::Reset(state.last));
    }

    /// Begins to watch, now (0) or after a number.
    pub fn start(&self, after: u64) -> Result<Start, Refusal> {
        if self.news.receiver_count() >= VIEWERS {
            return Err(Refusal::new(
                Code::ResourceExhausted,
                "TOO_MANY_VIEWERS",
                "quá nhiều người đang theo dõi, hãy thử lại sau",
                "too many are watching, try again later",
            ));
        }
        let state = self.state();
        let oldest = state
            .ring
            .front()
            .map_or(state.last + 1, |change| change.sequence);
        let is_known = (state.reset..=state.last).contains(&after) && after + 1 >= oldest;
        let backlog = if is_known {
            let missed = state.ring.iter().filter(|change| change.sequence > after);
            missed.cloned().collect()
        } else {
            Vec::new()
        };
        Ok(Start {
            backlog,
            reset: after != 0 && !is_known,
            last: state.last,
            news: self.news.subscribe(),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: usize) -> Change {
        Change {
            sequence: 0,
            topic: LiveTopic::Feedback,
            id: id.to_string(),
            permission: Some("feedback.read"),
            units: Vec::new(),
            field: None,
            person: None,
            time: None,
        }
    }

    fn missed(hub: &Hub, after: u64) -> Option<Vec<String>> {
        let start = hub.start(after).unwrap();
        let ids = start.backlog.iter().map(|change| change.id.clone());
        (!start.reset).then(|| ids.collect())
    }

    #[test]
    fn who_comes_back_gets_what_it_missed() {
        let hub = Hub::default();
        let start = hub.start(0).unwrap();
        hub.publish(change(1));
        hub.publish(change(2));
        assert_eq!(missed(&hub, start.last).unwrap(), ["1", "2"]);
        assert_eq!(missed(&hub, start.last + 1).unwrap(), ["2"]);
        assert_eq!(missed(&hub, start.last + 2).unwrap(), Vec::<String>::new());
        assert!(missed(&hub, 0).unwrap().is_empty());
    }

    #[test]
    fn who_cannot_be_caught_up_is_reset() {
        let hub = Hub::default();
        let first = hub.start(0).unwrap().last;
        assert_eq!(missed(&hub, first + 1), None, "a number of the future");
        assert_eq!(missed(&hub, 7), None, "a number of another run");
        for id in 0..=KEPT {
            hub.publish(change(id));
        }
        assert_eq!(missed(&hub, first), None, "longer ago than is kept");
        assert_eq!(missed(&hub, first + 1).unwrap().len(), KEPT);
        hub.reset();
        assert_eq!(missed(&hub, first + 5), None, "before a reset");
        let last = hub.start(0).unwrap().last;
        assert_eq!(missed(&hub, last).unwrap().len(), 0);
    }
}
