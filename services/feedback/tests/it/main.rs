//! The service through its generated clients, on loopback, over a database of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod citizen;
mod import;
mod list;
mod photo;

use std::time::{Duration, Instant};

use chassis::{
    objects::Objects,
    testing::{self, City, Running},
};
use proto::{
    feedback::v1::{
        self as pb, feedback_service_client::FeedbackServiceClient,
        public_feedback_service_client::PublicFeedbackServiceClient,
    },
    identity::v1::UnitKind,
};
use sqlx::PgPool;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

/// Fields, with how each is spoilt in a good request.
type Spoilt<M, const N: usize> = [(&'static str, fn(&mut M)); N];

/// A city of one ward and one department, with the category "waste" of the ward of the place.
struct World {
    running: Running,
    objects: Objects,
    _folder: tempfile::TempDir,
    db: PgPool,
    ward: Uuid,
    department: Uuid,
    dispatcher: String,
    officer: String,
    configurator: String,
    local_configurator: String,
}

async fn world(db: PgPool) -> World {
    let mut city = City::new();
    let root = city.root;
    let ward = city.unit("W1", UnitKind::Ward, Some(root));
    let department = city.unit("D-ENV", UnitKind::Department, Some(root));
    city.role("dispatcher", &["feedback.read", "feedback.dispatch"]);
    city.role("case_officer", &["feedback.read", "feedback.answer"]);
    city.role("configurator", &["feedback.configure"]);
    let mut person = |name: &str, role: &str, unit| {
        let id = city.person(name, unit);
        city.grant(&id, role, unit, &[]);
        id
    };
    let dispatcher = person("Võ Thanh Tùng", "dispatcher", root);
    let officer = person("Dương Gia Huy", "case_officer", ward);
    let configurator = person("Tạ Việt Dũng", "configurator", root);
    let local_configurator = person("Hồ Mỹ Duyên", "configurator", ward);
    let folder = tempfile::tempdir().unwrap();
    let config = testing::config(&[&format!("--objects={}", folder.path().display())]);
    let objects = Objects::open(&config, feedback::NAME).unwrap();
    let base = testing::base(feedback::NAME, db.clone(), city.directory(), config).await;
    let world = World {
        running: testing::run(feedback::server(base).await.unwrap()).await,
        objects,
        _folder: folder,
        db,
        ward,
        department,
        dispatcher,
        officer,
        configurator,
        local_configurator,
    };
    let import = by(&world.configurator, world.layout());
    world.staff().import_feedback(import).await.unwrap();
    world
}

impl World {
    fn citizen(&self) -> PublicFeedbackServiceClient<Channel> {
        PublicFeedbackServiceClient::new(self.running.channel())
    }

    fn staff(&self) -> FeedbackServiceClient<Channel> {
        FeedbackServiceClient::new(self.running.channel())
    }

    /// The category and the ward's boundary.
    fn layout(&self) -> pb::ImportFeedbackRequest {
        pb::ImportFeedbackRequest {
            request_id: request_id(),
            categories: vec![pb::Category {
                code: "waste".to_owned(),
                name_vi: "Rác thải".to_owned(),
                name_en: "Waste".to_owned(),
                field_code: "T06".to_owned(),
                route_minutes: 5,
                answer_working_days: 5,
                ..Default::default()
            }],
            boundaries: vec![pb::Boundary {
                unit_id: self.ward.to_string(),
                geojson: r#"{"type":"Polygon",
                    "coordinates":[[[106,10],[107,10],[107,11],[106,11],[106,10]]]}"#
                    .to_owned(),
            }],
            items: Vec::new(),
        }
    }
}

impl World {
    fn filing(&self) -> pb::FileFeedbackRequest {
        pb::FileFeedbackRequest {
            request_id: request_id(),
            category_code: "waste".to_owned(),
            title: "Rác tồn đọng".to_owned(),
            body: "Ba ngày nay không ai thu gom rác trước hẻm.".to_owned(),
            point: Some(pb::Point {
                longitude: 106.5,
                latitude: 10.5,
            }),
            ..Default::default()
        }
    }

    /// Files an item, which goes to the ward; answers its tracking code.
    async fn filed(&self) -> String {
        let filed = self.citizen().file_feedback(self.filing()).await.unwrap();
        filed.into_inner().tracking_code
    }

    async fn track(&self, tracking_code: &str) -> pb::TrackedFeedback {
        let request = pb::TrackFeedbackRequest {
            tracking_code: tracking_code.to_owned(),
        };
        let tracked = self.citizen().track_feedback(request).await.unwrap();
        tracked.into_inner()
    }

    /// The item as somebody of the staff sees it.
    async fn item(&self, person: &str, tracking_code: &str) -> pb::Feedback {
        let id: Uuid = sqlx::query_scalar("SELECT id FROM feedback WHERE tracking_code = $1")
            .bind(tracking_code)
            .fetch_one(&self.db)
            .await
            .unwrap();
        let request = pb::GetFeedbackRequest { id: id.to_string() };
        let item = self
            .staff()
            .get_feedback(by(person, request))
            .await
            .unwrap();
        item.into_inner()
    }
}

/// Waits until there is something.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited too long");
    }
}

fn request_id() -> String {
    Uuid::now_v7().to_string()
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

/// The fields that a refusal names.
fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request().unwrap();
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

fn refused(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}
