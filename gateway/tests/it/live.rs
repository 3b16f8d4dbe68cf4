//! The live hub, before feeds that the tests write.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use chassis::testing::{self, City};
use futures::{Stream, StreamExt as _};
use proto::{
    events::v1::{
        self as events, Event, SubscribeRequest, SubscribeResponse,
        event_feed_service_server::{EventFeedService, EventFeedServiceServer},
    },
    feedback::v1::{Feedback, FeedbackChanged},
    forecasting::v1::{RiskChanged, RiskItem},
    gateway::v1::{LiveTopic, WatchRequest, WatchResponse, live_service_client::LiveServiceClient},
    identity::v1::{Grant, UnitKind, export_directory_response::Entry},
    indicators::v1::Indicator,
    notifications::v1::NotificationChanged,
};
use tokio::sync::broadcast;
use tonic::{
    Request, Response, Status, Streaming, service::interceptor::InterceptedService,
    transport::Channel,
};
use uuid::Uuid;

use crate::{DEADLINE, Running, bearer, run, serve};

/// A feed; `subscribed` are the requests that opened it.
#[derive(Clone)]
struct Feed {
    events: broadcast::Sender<Option<Event>>,
    subscribed: Arc<Mutex<Vec<SubscribeRequest>>>,
}

#[tonic::async_trait]
impl EventFeedService for Feed {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let events = tokio_stream::wrappers::BroadcastStream::new(self.events.subscribe());
        self.subscribed.lock().unwrap().push(request.into_inner());
        let hello = SubscribeResponse {
            event: None,
            cursor: "c0".to_owned(),
        };
        let messages = events
            .take_while(|event| std::future::ready(matches!(event, Ok(Some(_)))))
            .map(|event| {
                Ok(SubscribeResponse {
                    event: event.unwrap(),
                    cursor: "c1".to_owned(),
                })
            });
        Ok(Response::new(Box::pin(
            futures::stream::iter([Ok(hello)]).chain(messages),
        )))
    }

    async fn acknowledge_events(
        &self,
        _: Request<events::AcknowledgeEventsRequest>,
    ) -> Result<Response<events::AcknowledgeEventsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_parked_events(
        &self,
        request: Request<events::ListParkedEventsRequest>,
    ) -> Result<Response<events::ListParkedEventsResponse>, Status> {
        Ok(Response::new(events::ListParkedEventsResponse {
            next_page_token: request.into_inner().service,
            ..Default::default()
        }))
    }

    async fn replay_parked_events(
        &self,
        _: Request<events::ReplayParkedEventsRequest>,
    ) -> Result<Response<events::ReplayParkedEventsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

impl Feed {
    async fn new() -> (Self, SocketAddr) {
        let feed = Self {
            events: broadcast::channel(4096).0,
            subscribed: Arc::default(),
        };
        let address = serve(EventFeedServiceServer::new(feed.clone())).await;
        (feed, address)
    }

    async fn is_followed(&self, times: usize) {
        crate::until(async || {
            self.subscribed.lock().unwrap().len() >= times && self.events.receiver_count() > 0
        })
        .await;
    }

    fn tell<M: prost::Name>(&self, message: &M, units: &[Uuid], field: &str) {
        let event = Event {
            id: Uuid::now_v7().to_string(),
            r#type: M::full_name(),
            unit_ids: units.iter().map(Uuid::to_string).collect(),
            field_code: field.to_owned(),
            data: message.encode_to_vec(),
            ..Event::default()
        };
        self.events.send(Some(event)).unwrap();
    }

    fn tell_feedback(&self, id: &str, units: &[Uuid], field: &str) {
        let feedback = Feedback {
            id: id.to_owned(),
            ..Feedback::default()
        };
        let change = FeedbackChanged {
            feedback: Some(feedback),
            step: None,
        };
        self.tell(&change, units, field);
    }
}

async fn watch(gateway: &Running, person: &str, request: WatchRequest) -> Streaming<WatchResponse> {
    let token = testing::token(person);
    let mut client: LiveServiceClient<InterceptedService<Channel, _>> =
        LiveServiceClient::with_interceptor(gateway.channel(), bearer(&token));
    client.watch(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchResponse>) -> WatchResponse {
    let message = tokio::time::timeout(DEADLINE, stream.message());
    message.await.unwrap().unwrap().unwrap()
}

/// The next change, heartbeats and the resets of the start left out.
async fn change(stream: &mut Streaming<WatchResponse>) -> (LiveTopic, String) {
    loop {
        let message = next(stream).await;
        if message.topic() != LiveTopic::Unspecified {
            return (message.topic(), message.id);
        }
    }
}

struct Scene {
    gateway: Running,
    feedback: Feed,
    notifications: Feed,
    forecasting: Feed,
    wards: [Uuid; 2],
    officer: String,
    head: String,
    grant: Uuid,
}

async fn scene() -> Scene {
    let (feedback, a) = Feed::new().await;
    let (notifications, b) = Feed::new().await;
    let (forecasting, c) = Feed::new().await;
    let mut city = City::new();
    let wards = ["27001", "27002"].map(|code| city.unit(code, UnitKind::Ward, Some(city.root)));
    city.role("officer", &["feedback.read"]);
    city.role("leader", &["feedback.read", "forecasting.read"]);
    let officer = city.person("Officer", wards[0]);
    let grant = city.grant(&officer, "officer", wards[0], &["F01"]);
    let head = city.person("Head", city.root);
    city.grant(&head, "leader", city.root, &[]);
    let services = [("feedback", a), ("notifications", b), ("forecasting", c)];
    let gateway = run(&city, &services, &[]).await;
    feedback.is_followed(1).await;
    notifications.is_followed(1).await;
    forecasting.is_followed(1).await;
    Scene {
        gateway,
        feedback,
        notifications,
        forecasting,
        wards,
        officer,
        head,
        grant,
    }
}

#[tokio::test]
async fn each_viewer_sees_what_it_may_read_now() {
    let scene = scene().await;
    let first = &scene.feedback.subscribed.lock().unwrap()[0].clone();
    assert!(first.latest && first.types == ["civicmesh.feedback.v1.FeedbackChanged"]);
    let mut officer = watch(&scene.gateway, &scene.officer, WatchRequest::default()).await;
    let mut head = watch(&scene.gateway, &scene.head, WatchRequest::default()).await;
    let told = |id: &str| (LiveTopic::Feedback, id.to_owned());

    scene
        .feedback
        .tell_feedback("other-ward", &[scene.wards[1]], "");
    scene
        .feedback
        .tell_feedback("own-ward", &[scene.wards[0]], "");
    scene
        .feedback
        .tell_feedback("own-field", &[scene.wards[1]], "F01");
    assert_eq!(change(&mut officer).await, told("own-ward"));
    assert_eq!(change(&mut officer).await, told("own-field"));
    assert_eq!(change(&mut head).await, told("other-ward"));

    // A grant withdrawn stops it at once, within the open stream.
    scene.gateway.directory.apply([Entry::Grant(Grant {
        id: scene.grant.to_string(),
        principal_id: scene.officer.clone(),
        role: "officer".to_owned(),
        unit_id: scene.wards[0].to_string(),
        valid_from: Some(prost_types::Timestamp::default()),
        revoked: true,
        ..Grant::default()
    })]);
    scene
        .feedback
        .tell_feedback("no-longer", &[scene.wards[0]], "F01");
    let notice = NotificationChanged {
        person_id: scene.officer.clone(),
    };
    for expected in ["own-ward", "own-field", "no-longer"] {
        assert_eq!(change(&mut head).await, told(expected));
    }
    scene.notifications.tell(&notice, &[], "");
    assert_eq!(
        change(&mut officer).await,
        (LiveTopic::Notification, String::new())
    );

    let item = RiskItem {
        indicator: Some(Indicator {
            id: "indicator".to_owned(),
            ..Indicator::default()
        }),
        unit_id: "unit".to_owned(),
        ..RiskItem::default()
    };
    let risk = RiskChanged {
        item: Some(item),
        status_before: 0,
    };
    scene.forecasting.tell(&risk, &[scene.wards[1]], "");
    // The notice was the officer's alone.
    assert_eq!(
        change(&mut head).await,
        (LiveTopic::Risk, "indicator/unit".to_owned())
    );
}

#[tokio::test]
async fn topics_are_chosen_and_places_resumed() {
    let scene = scene().await;
    let only = |after| WatchRequest {
        topics: vec![LiveTopic::Feedback.into()],
        after,
    };
    let mut head = watch(&scene.gateway, &scene.head, only(0)).await;
    let start = next(&mut head).await;
    assert!(!start.reset && start.topic() == LiveTopic::Unspecified);
    scene.notifications.tell(
        &NotificationChanged {
            person_id: scene.head.clone(),
        },
        &[],
        "",
    );
    scene.feedback.tell_feedback("1", &[scene.wards[0]], "");
    let one = loop {
        let message = next(&mut head).await;
        if message.topic() == LiveTopic::Feedback {
            break message;
        }
    };
    drop(head);
    scene.feedback.tell_feedback("2", &[scene.wards[0]], "");
    scene.feedback.tell_feedback("3", &[scene.wards[0]], "");
    let mut again = watch(&scene.gateway, &scene.head, only(one.sequence)).await;
    assert!(!next(&mut again).await.reset);
    assert_eq!(change(&mut again).await.1, "2");
    assert_eq!(change(&mut again).await.1, "3");

    let mut lost = watch(&scene.gateway, &scene.head, only(7)).await;
    assert!(next(&mut lost).await.reset, "a number of another run");
}

#[tokio::test]
async fn a_feed_that_ends_is_taken_up_where_it_was() {
    let scene = scene().await;
    let mut head = watch(&scene.gateway, &scene.head, WatchRequest::default()).await;
    scene.feedback.tell_feedback("1", &[scene.wards[0]], "");
    assert_eq!(change(&mut head).await.1, "1");
    scene.feedback.events.send(None).unwrap();
    scene.feedback.is_followed(2).await;
    let second = scene.feedback.subscribed.lock().unwrap()[1].clone();
    assert_eq!((second.cursor.as_str(), second.latest), ("c1", false));
    crate::until(async || scene.feedback.events.receiver_count() == 1).await;
    scene.feedback.tell_feedback("2", &[scene.wards[0]], "");
    assert_eq!(change(&mut head).await.1, "2");
}

#[tokio::test]
async fn a_stranger_and_a_revoked_session_see_nothing() {
    let scene = scene().await;
    let mut anonymous = LiveServiceClient::new(scene.gateway.channel());
    let refused = anonymous.watch(WatchRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);

    let mut officer = watch(&scene.gateway, &scene.officer, WatchRequest::default()).await;
    next(&mut officer).await;
    let mut city = City::new();
    let other = city.person("Other", city.root);
    let mut disabled = city.principal(&other);
    disabled.id.clone_from(&scene.officer);
    disabled.disabled = true;
    scene.gateway.directory.apply([Entry::Principal(disabled)]);
    let ended = loop {
        let message = tokio::time::timeout(DEADLINE, officer.message())
            .await
            .unwrap();
        match message {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(ended.unwrap_err().code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn whose_feed_is_meant_is_said_in_the_path() {
    let (_feed, address) = Feed::new().await;
    let mut city = City::new();
    city.role("operator", &["platform.operate"]);
    let operator = city.person("Operator", city.root);
    city.grant(&operator, "operator", city.root, &[]);
    let gateway = run(&city, &[("feedback", address)], &[]).await;
    let token = format!("Bearer {}", testing::token(&operator));
    let ask = |service: &str| {
        http::Request::get(format!("/v1/feeds/{service}/parked-events"))
            .header("authorization", &token)
    };
    let answer = gateway.send(ask("feedback"), "").await;
    assert_eq!(answer.status, http::StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["nextPageToken"], "feedback");
    let unknown = gateway.send(ask("nowhere"), "").await;
    assert_eq!(unknown.status, http::StatusCode::BAD_REQUEST);
    assert_eq!(unknown.json()["details"][0]["reason"], "UNKNOWN_SERVICE");
}
