//! What is followed of each service, and how.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use chassis::mesh::MeshChannel;
use prost::{Message, Name};
use proto::{
    events::v1::{Event, SubscribeRequest, event_feed_service_client::EventFeedServiceClient},
    explanations::v1::ExplanationChanged,
    feedback::v1::FeedbackChanged,
    forecasting::v1::RiskChanged,
    gateway::v1::LiveTopic,
    indicators::v1::SubmissionChanged,
    notifications::v1::NotificationChanged,
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::hub::{Change, Hub};

/// The feed sends a heartbeat every 15 seconds at least; after this long without one the connection is dead.
const SILENCE: Duration = Duration::from_secs(40);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is followed of one service.
pub struct Source {
    /// The service.
    pub service: &'static str,
    topic: LiveTopic,
    permission: Option<&'static str>,
    kind: fn() -> String,
    read: fn(&[u8]) -> anyhow::Result<Told>,
}

/// What an event tells: of which thing, and to whom alone.
struct Told {
    id: String,
    person: Option<String>,
}

impl Told {
    fn all(id: String) -> Self {
        Self { id, person: None }
    }
}

/// One per service.
pub static SOURCES: [Source; 5] = [
    Source {
        service: "forecasting",
        topic: LiveTopic::Risk,
        permission: Some("forecasting.read"),
        kind: RiskChanged::full_name,
        read: |data| {
            let item = RiskChanged::decode(data)?.item.context("no item")?;
            let indicator = item.indicator.context("no indicator")?.id;
            Ok(Told::all(format!("{indicator}/{}", item.unit_id)))
        },
    },
    Source {
        service: "explanations",
        topic: LiveTopic::Explanation,
        permission: Some("explanations.read"),
        kind: ExplanationChanged::full_name,
        read: |data| {
            let change = ExplanationChanged::decode(data)?;
            Ok(Told::all(change.explanation.context("no explanation")?.id))
        },
    },
    Source {
        service: "feedback",
        topic: LiveTopic::Feedback,
        permission: Some("feedback.read"),
        kind: FeedbackChanged::full_name,
        read: |data| {
            let change = FeedbackChanged::decode(data)?;
            Ok(Told::all(change.feedback.context("no feedback")?.id))
        },
    },
    Source {
        service: "indicators",
        topic: LiveTopic::Submission,
        permission: Some("indicators.read"),
        kind: SubmissionChanged::full_name,
        read: |data| {
            let change = SubmissionChanged::decode(data)?;
            Ok(Told::all(change.submission.context("no submission")?.id))
        },
    },
    Source {
        service: "notifications",
        topic: LiveTopic::Notification,
        permission: None,
        kind: NotificationChanged::full_name,
        read: |data| {
            Ok(Told {
                id: String::new(),
                person: Some(NotificationChanged::decode(data)?.person_id),
            })
        },
    },
];

impl Source {
    fn change(&self, event: &Event) -> anyhow::Result<Change> {
        let told = (self.read)(&event.data)?;
        let units = event.unit_ids.iter().map(|id| id.parse());
        Ok(Change {
            sequence: 0,
            topic: self.topic,
            id: told.id,
            permission: self.permission,
            units: units.collect::<Result<_, _>>().context("unit_ids")?,
            field: Some(event.field_code.clone()).filter(|code| !code.is_empty()),
            person: told.person,
            time: event.time,
        })
    }
}

/// Follows one service until shutdown. Never gives up; viewers are told when something may have been missed.
pub async fn follow(
    source: &'static Source,
    channel: MeshChannel,
    hub: Arc<Hub>,
    shutdown: CancellationToken,
) {
    let mut place = Place::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let followed = follow_once(source, channel.clone(), &hub, &mut place);
        let Some(result) = shutdown.run_until_cancelled(followed).await else {
            return;
        };
        // A feed that was read ends with its token, which is no trouble.
        if place.advanced {
            pause = FIRST_PAUSE;
        }
        if let Err(error) = result {
            let error = format!("{error:#}");
            tracing::debug!(error, service = source.service, "feed lost, trying again");
        }
        let jittered = pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        let slept = shutdown.run_until_cancelled(tokio::time::sleep(jittered));
        if slept.await.is_none() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How far a feed was read.
#[derive(Default)]
struct Place {
    cursor: String,
    advanced: bool,
}

async fn follow_once(
    source: &Source,
    channel: MeshChannel,
    hub: &Hub,
    place: &mut Place,
) -> anyhow::Result<()> {
    place.advanced = false;
    let request = SubscribeRequest {
        latest: place.cursor.is_empty(),
        cursor: place.cursor.clone(),
        types: vec![(source.kind)()],
    };
    let subscribed = EventFeedServiceClient::new(channel)
        .subscribe(request)
        .await;
    let mut stream = match subscribed {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            // The feed no longer knows where we were: begin anew, and say so.
            if matches!(status.code(), Code::OutOfRange | Code::InvalidArgument) {
                place.cursor.clear();
            }
            return Err(status.into());
        }
    };
    if place.cursor.is_empty() {
        hub.reset();
    }
    loop {
        let message = tokio::time::timeout(SILENCE, stream.message());
        let Some(message) = message.await.context("the feed fell silent")?? else {
            return Ok(());
        };
        if let Some(event) = &message.event {
            match source.change(event) {
                Ok(change) => hub.publish(change),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, event = event.id, "an event cannot be told");
                }
            }
        }
        if !message.cursor.is_empty() {
            place.cursor = message.cursor;
            place.advanced = true;
        }
    }
}
