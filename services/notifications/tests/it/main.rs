//! The service between real feeds, an identity of the contract and an SMTP server, over a database of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod identity;
mod notices;
mod operating;
mod sending;
mod smtp;

use std::time::Duration;

use chassis::{
    Server,
    config::Secret,
    events::{self, Fact},
    mesh::{Mesh, TokenSource},
    testing::{self, City, Running},
};
use prost::{Message, Name};
use proto::{
    explanations::v1 as explanations,
    identity::v1::UnitKind,
    notifications::v1::{self as pb, notification_service_client::NotificationServiceClient},
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

use smtp::Mailbox;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A city, the feeds of the other services, identity, a mail server, and the service among them.
struct World {
    replica: Replica,
    _feeds: Vec<Running>,
    mailbox: Mailbox,
    db: PgPool,
    directory: chassis::Directory,
    config: notifications::Config,
    ward: Uuid,
    department: Uuid,
    city: Uuid,
    leader: String,
    head: String,
    deputy: String,
    approver: String,
    department_approver: String,
    case_officer: String,
    operator: String,
    neighbour: String,
}

async fn world(db: PgPool) -> World {
    world_with(db, true).await
}

async fn world_with(db: PgPool, mail: bool) -> World {
    let mut city = City::new();
    let root = city.root;
    let ward = city.unit("W1", UnitKind::Ward, Some(root));
    let other = city.unit("W2", UnitKind::Ward, Some(root));
    let department = city.unit("D-FIN", UnitKind::Department, Some(root));
    city.role("unit_head", &["explanations.answer", "explanations.read"]);
    city.role("approver", &["indicators.approve"]);
    city.role("case_officer", &["feedback.answer"]);
    city.role("operator", &["notifications.operate"]);
    city.mesh("notifications");
    let mut person = |name: &str, role: &str, unit: Uuid| {
        let id = city.person(name, unit);
        city.grant(&id, role, unit, &["T06"]);
        id
    };
    let leader = person("Nguyễn Minh Trí", "unit_head", root);
    let head = person("Đặng Hồng Nhung", "unit_head", ward);
    let deputy = person("Bùi Văn Khang", "unit_head", ward);
    let approver = person("Hồ Mỹ Duyên", "approver", ward);
    let department_approver = person("Võ Thanh Tùng", "approver", department);
    let case_officer = person("Dương Gia Huy", "case_officer", ward);
    let operator = person("Tạ Việt Dũng", "operator", root);
    let neighbour = person("Hàng Xóm", "unit_head", other);
    let directory = city.directory();
    // Each process of the mesh keeps connections that listen: the pool of a test alone is too small for five.
    let options = db.connect_options().as_ref().clone();
    let db = PgPoolOptions::new()
        .max_connections(30)
        .connect_lazy_with(options);

    // The facts of the others come through real feeds, over the same database.
    let mut feeds = Vec::new();
    let identity = identity::serve(directory.clone()).await;
    let mut discovery = format!("--discovery=static:identity={identity}");
    for name in ["explanations", "indicators", "feedback"] {
        let alone = testing::config(&[]);
        let source = testing::base(name, db.clone(), directory.clone(), alone).await;
        let feed = testing::run(Server::new(source)).await;
        discovery.push_str(&format!(",{name}=http://{}", feed.address));
        feeds.push(feed);
    }
    let mailbox = Mailbox::start().await;
    let config = notifications::Config {
        base: testing::config(&[&discovery]),
        smtp: mail.then(|| mailbox.url().parse::<Secret>().unwrap()),
        mail_from: "Civicmesh <no-reply@city.example>".to_owned(),
        mail_connections: 4,
        mail_pause: Duration::from_millis(50),
    };
    let replica = start(&db, &directory, &config).await;
    World {
        replica,
        _feeds: feeds,
        mailbox,
        db,
        directory,
        config,
        ward,
        department,
        city: root,
        leader,
        head,
        deputy,
        approver,
        department_approver,
        case_officer,
        operator,
        neighbour,
    }
}

/// One process of the service.
struct Replica {
    running: Running,
    shutdown: CancellationToken,
}

impl Replica {
    /// Stops as on SIGTERM and waits for the end.
    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        self.running.stop().await
    }
}

/// Starts the service; several replicas may run over one database.
async fn start(
    db: &PgPool,
    directory: &chassis::Directory,
    config: &notifications::Config,
) -> Replica {
    let settings = config.base.clone();
    let name = notifications::NAME;
    let mut base = testing::base(name, db.clone(), directory.clone(), settings).await;
    let token = format!("Bearer {}", testing::service_token(name));
    let token = TokenSource::Fixed(token.parse().unwrap());
    base.mesh = Mesh::with_tokens(&config.base, token).unwrap();
    let shutdown = CancellationToken::new();
    let server = notifications::server(base, config, shutdown.clone()).unwrap();
    Replica {
        running: testing::run(server).await,
        shutdown,
    }
}

impl World {
    fn client(&self) -> NotificationServiceClient<Channel> {
        NotificationServiceClient::new(self.replica.running.channel())
    }

    /// States a fact as its service would.
    async fn state<M: Message + Name>(&self, actor: &str, subject: &str, message: &M) {
        let mut tx = self.db.begin().await.unwrap();
        let fact = Fact {
            subject: subject.to_owned(),
            unit_ids: vec![self.ward],
            field_code: Some("T06".to_owned()),
            actor: actor.to_owned(),
            message,
        };
        events::publish(&mut tx, fact).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A step of the leader's request to the ward; answers the request's id.
    async fn step(&self, kind: explanations::ThreadEntryKind, actor: &str) -> String {
        self.step_of(self.ward, kind, actor).await
    }

    /// A step of the leader's request to a unit.
    async fn step_of(
        &self,
        unit: Uuid,
        kind: explanations::ThreadEntryKind,
        actor: &str,
    ) -> String {
        let id = Uuid::now_v7().to_string();
        let changed = explanations::ExplanationChanged {
            explanation: Some(explanations::Explanation {
                id: id.clone(),
                code: "YC-0147".to_owned(),
                subject_unit_id: unit.to_string(),
                unit_id: unit.to_string(),
                field_code: "T06".to_owned(),
                requester_id: self.leader.clone(),
                // 2026-11-27 17:00 in the city
                deadline: Some(prost_types::Timestamp {
                    seconds: 1_795_773_600,
                    nanos: 0,
                }),
                ..Default::default()
            }),
            entry: Some(explanations::ThreadEntry {
                kind: kind.into(),
                actor_id: actor.to_owned(),
                actor_name: "Người làm".to_owned(),
                ..Default::default()
            }),
            indicator_name_vi: "Giải ngân đầu tư công".to_owned(),
            indicator_name_en: "Public investment disbursed".to_owned(),
        };
        self.state(actor, &id, &changed).await;
        id
    }

    async fn notices(&self, person: &str) -> Vec<pb::Notification> {
        let request = by(person, pb::ListMyNotificationsRequest::default());
        let page = self.client().list_my_notifications(request).await.unwrap();
        page.into_inner().notifications
    }

    /// The person's notices, once there are as many.
    async fn notices_of(&self, person: &str, count: usize) -> Vec<pb::Notification> {
        until(async || {
            let notices = self.notices(person).await;
            (notices.len() >= count).then_some(notices)
        })
        .await
    }

    async fn deliveries(&self) -> Vec<pb::Delivery> {
        let request = by(&self.operator, pb::ListDeliveriesRequest::default());
        let page = self.client().list_deliveries(request).await.unwrap();
        page.into_inner().deliveries
    }

    /// The newest delivery to a person, once it is in this state.
    async fn delivery(&self, person: &str, state: pb::DeliveryState) -> pb::Delivery {
        until(async || {
            let deliveries = self.deliveries().await;
            deliveries
                .into_iter()
                .find(|delivery| delivery.person_id == person)
                .filter(|delivery| delivery.state() == state)
        })
        .await
    }

    /// What of one type was stated so far.
    async fn facts<M: Message + Name + Default>(&self) -> Vec<M> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT data FROM chassis.outbox WHERE type = $1 ORDER BY seq")
                .bind(M::full_name())
                .fetch_all(&self.db)
                .await
                .unwrap();
        rows.iter()
            .map(|data| M::decode(data.as_slice()).unwrap())
            .collect()
    }
}

/// Waits until there is something.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited too long");
    }
}

/// A call by a person.
fn by<T>(person: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = format!("Bearer {}", testing::token(person));
    request
        .metadata_mut()
        .insert("authorization", token.parse().unwrap());
    request
}

/// What a refusal says to programs.
fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap();
    (status.code(), info.reason)
}

fn refused(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}
