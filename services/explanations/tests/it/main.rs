//! The service through its generated client, on loopback, over a database of its own.
#![expect(
    clippy::type_complexity,
    reason = "tables of what is spoilt in a request"
)]
#![expect(clippy::unwrap_used, reason = "tests")]

mod attachments;
mod create;
mod forecasting;
mod read;
mod steps;

use chassis::testing::{self, City, Running};
use chrono::{TimeDelta, Utc};
use prost_types::Timestamp;
use proto::{
    explanations::v1::{self as pb, explanation_service_client::ExplanationServiceClient},
    identity::v1::UnitKind,
};
use sqlx::PgPool;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A city with a leader, two wards, a department with a field, and forecasting beside the service.
struct World {
    running: Running,
    _objects: tempfile::TempDir,
    objects: std::path::PathBuf,
    db: PgPool,
    directory: chassis::Directory,
    city: Uuid,
    ward: Uuid,
    department: Uuid,
    leader: String,
    vice: String,
    head: String,
    officer: String,
    neighbour: String,
    department_head: String,
    indicator: Uuid,
}

async fn world(db: PgPool) -> World {
    let mut city = City::new();
    let ward = city.unit("W1", UnitKind::Ward, Some(city.root));
    let other = city.unit("W2", UnitKind::Ward, Some(city.root));
    let department = city.unit("D-FIN", UnitKind::Department, Some(city.root));
    let all = ["request", "review", "read"].map(|verb| format!("explanations.{verb}"));
    city.role("city_leader", &all.each_ref().map(String::as_str));
    city.role("unit_head", &["explanations.answer", "explanations.read"]);
    city.role("reader", &["explanations.read"]);
    city.role(
        "department_head",
        &[
            "explanations.answer",
            "explanations.read",
            "explanations.request",
            "explanations.review",
        ],
    );
    let root = city.root;
    let mut person = |name: &str, home, role: &str, fields: &[&str]| {
        let id = city.person(name, home);
        city.grant(&id, role, home, fields);
        id
    };
    let leader = person("Nguyễn Minh Trí", root, "city_leader", &[]);
    let vice = person("Trần Thu Hà", root, "city_leader", &[]);
    let head = person("Đặng Hồng Nhung", ward, "unit_head", &[]);
    let officer = person("Bùi Văn Khang", ward, "reader", &[]);
    let neighbour = person("Hàng Xóm", other, "unit_head", &[]);
    let department_head = person("Lê Quốc Bảo", department, "department_head", &["T06"]);

    let indicator = Uuid::now_v7();
    let forecasting = forecasting::serve(forecasting::Board {
        indicator,
        owner: department,
        units: vec![ward, root],
    })
    .await;
    let objects = tempfile::tempdir().unwrap();
    let config = testing::config(&[
        &format!("--discovery=static:forecasting={forecasting}"),
        &format!("--objects={}", objects.path().display()),
    ]);
    let directory = city.directory();
    let base = testing::base(explanations::NAME, db.clone(), directory.clone(), config).await;
    World {
        running: testing::run(explanations::server(base).unwrap()).await,
        objects: objects.path().join(explanations::NAME),
        _objects: objects,
        db,
        directory,
        city: root,
        ward,
        department,
        leader,
        vice,
        head,
        officer,
        neighbour,
        department_head,
        indicator,
    }
}

impl World {
    fn client(&self) -> ExplanationServiceClient<Channel> {
        ExplanationServiceClient::new(self.running.channel()).max_decoding_message_size(16 << 20)
    }

    fn question(&self) -> pb::CreateExplanationRequest {
        pb::CreateExplanationRequest {
            request_id: Uuid::now_v7().to_string(),
            indicator_id: self.indicator.to_string(),
            subject_unit_id: self.ward.to_string(),
            unit_id: String::new(),
            deadline: in_days(5),
            message: "Vì sao giải ngân chậm?".to_owned(),
        }
    }

    /// A request of the leader to the ward.
    async fn asked(&self) -> pb::Explanation {
        let request = by(&self.leader, self.question());
        let answer = self.client().create_explanation(request).await.unwrap();
        answer.into_inner()
    }

    async fn read(&self, person: &str, id: &str) -> Result<pb::Explanation, Status> {
        let request = pb::GetExplanationRequest { id: id.to_owned() };
        let answer = self.client().get_explanation(by(person, request)).await?;
        Ok(answer.into_inner())
    }

    fn answer(&self, to: &pb::Explanation) -> pb::AnswerExplanationRequest {
        pb::AnswerExplanationRequest {
            request_id: Uuid::now_v7().to_string(),
            id: to.id.clone(),
            etag: to.etag.clone(),
            cause: "Chậm giải phóng mặt bằng".to_owned(),
            action: "Tăng tổ công tác".to_owned(),
            remedy_date: (Utc::now() + TimeDelta::days(20)).date_naive().to_string(),
            attachment_ids: Vec::new(),
        }
    }

    /// A request of the leader that the ward has answered.
    async fn answered(&self) -> pb::Explanation {
        let asked = self.asked().await;
        let request = by(&self.head, self.answer(&asked));
        let answer = self.client().answer_explanation(request).await.unwrap();
        answer.into_inner()
    }

    /// The facts stated so far, oldest first.
    async fn facts(&self) -> Vec<pb::ExplanationChanged> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT data FROM chassis.outbox ORDER BY seq")
            .fetch_all(&self.db)
            .await
            .unwrap();
        rows.iter()
            .map(|data| prost::Message::decode(data.as_slice()).unwrap())
            .collect()
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

fn in_days(days: i64) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: (Utc::now() + TimeDelta::days(days)).timestamp(),
        nanos: 0,
    })
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
        .map(|v| v.field)
        .collect()
}

fn refused(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}
