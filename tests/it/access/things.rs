//! What callers reach for: of each kind one of a department and one of a ward.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{City, Http};
use serde_json::{Value, json};

use crate::journey::{World, indicator, request};

/// Base64 of a small document.
pub const PDF: &str =
    "JVBERi0xLjQKMSAwIG9iajw8L1R5cGUvQ2F0YWxvZz4+ZW5kb2JqCnRyYWlsZXI8PC9Sb290IDEgMCBSPj4KJSVFT0YK";

/// Whose thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The Department of Finance's (feedback: the Department of Construction's).
    Department,
    /// The ward Sài Gòn's.
    Ward,
}

pub const SIDES: [Side; 2] = [Side::Department, Side::Ward];

/// What kind of thing, which says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A figure: its unit's, its owner's, its field's.
    Figure,
    /// The duty to report a figure.
    Report,
    /// An explanation request.
    Request,
    /// The duty to answer one.
    Answer,
    /// The right to ask and to decide.
    Review,
    /// An item of feedback.
    Item,
    /// The duty to answer it.
    Case,
    /// A person's account.
    Account,
}

struct Own {
    indicator: String,
    subject: String,
    home: String,
    officer: String,
    grant: String,
    submission: String,
    explanation: String,
    attachment: String,
    item: String,
    code: String,
    place: String,
    photo: String,
}

/// One of each kind and side.
pub struct Things {
    department: Own,
    ward: Own,
    /// The Department of Construction.
    pub construction: String,
    /// A deadline for new requests.
    pub deadline: Value,
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

impl Things {
    /// Makes them as people would.
    pub async fn make(city: &City) -> Self {
        let leader = city.rest("chairman").await;
        let world = World::of(&leader).await;
        let deadline = leader.get("/v1/deadlines").await.ok()["deadlines"][2]["deadline"].clone();
        let service = indicator(&leader, "HCM.X2.02").await;
        let query = [("query", "D-CON"), ("page_size", "10")];
        let units = leader.get_with("/v1/units", &query).await.ok();
        let construction = text(&units["units"][0]["id"]);
        let of_ward = Making {
            city,
            leader: &leader,
            deadline: &deadline,
            account: "saigon",
            indicator: service,
            subject: world.saigon().to_owned(),
            home: world.saigon().to_owned(),
            category: "waste",
            point: json!({"longitude": world.saigon["longitude"], "latitude": world.saigon["latitude"]}),
        };
        let of_department = Making {
            account: "finance",
            indicator: world.disbursement.clone(),
            subject: world.city.clone(),
            home: world.finance.clone(),
            category: "bus",
            // Far from Sài Gòn: on Côn Đảo.
            point: json!({"longitude": 106.60, "latitude": 8.69}),
            ..of_ward.clone()
        };
        Self {
            department: of_department.make().await,
            ward: of_ward.make().await,
            construction,
            deadline,
        }
    }

    fn own(&self, side: Side) -> &Own {
        match side {
            Side::Department => &self.department,
            Side::Ward => &self.ward,
        }
    }

    /// Indicator and unit of a figure.
    pub fn series_of(&self, side: Side) -> Value {
        json!({"indicatorId": self.own(side).indicator, "unitId": self.own(side).subject})
    }

    /// Where the item lies: the unit of the place.
    pub fn place(&self, side: Side) -> &str {
        &self.own(side).place
    }

    /// A step of an explanation, with the text that it wants.
    pub fn step(&self, side: Side, field: &str) -> Value {
        json!({
            "requestId": e2e::request_id(),
            "id": self.own(side).explanation,
            "etag": e2e::STALE,
            field: "Nêu rõ từng dự án.",
        })
    }

    /// A step of a feedback item, with the text that it wants.
    pub fn work(&self, side: Side, field: &str) -> Value {
        json!({
            "requestId": e2e::request_id(),
            "id": self.own(side).item,
            "etag": e2e::STALE,
            field: "Đã kiểm tra tại chỗ và lên kế hoạch sửa.",
        })
    }
}

macro_rules! own {
    ($($name:ident),+) => {
        impl Things {
            $(pub fn $name(&self, side: Side) -> &str {
                &self.own(side).$name
            })+
        }
    };
}

own!(
    indicator,
    subject,
    home,
    officer,
    grant,
    submission,
    explanation,
    attachment,
    item,
    code,
    photo
);

/// What is needed to make the things of one side.
#[derive(Clone)]
struct Making<'a> {
    city: &'a City,
    leader: &'a Http,
    deadline: &'a Value,
    account: &'static str,
    indicator: String,
    subject: String,
    home: String,
    category: &'static str,
    point: Value,
}

impl Making<'_> {
    async fn make(self) -> Own {
        let officer = self.city.rest(&format!("{}.officer", self.account)).await;
        let me = officer.get("/v1/me").await.ok();
        let submission = officer
            .post(
                "/v1/submissions",
                &request(json!({
                    "indicatorId": self.indicator,
                    "unitId": self.subject,
                    "period": {"code": e2e::month(1)},
                    "value": "91,2",
                })),
            )
            .await
            .ok();
        self.wait_for_hindcasts().await;
        let (explanation, attachment) = self.explanation().await;
        let [item, code, place, photo] = self.item().await;
        Own {
            officer: text(&me["principal"]["id"]),
            grant: self.grant(&me["principal"]["id"]).await,
            submission: text(&submission["id"]),
            explanation,
            attachment,
            item,
            code,
            place,
            photo,
            indicator: self.indicator,
            subject: self.subject,
            home: self.home,
        }
    }

    /// The past of the demonstration's series is forecast once nothing else is to do.
    async fn wait_for_hindcasts(&self) {
        let query = [
            ("indicator_id", &*self.indicator),
            ("unit_id", &*self.subject),
        ];
        let limit = Duration::from_secs(120);
        e2e::eventually("the past is forecast", limit, async || {
            let answer = self.leader.get_with("/v1/forecast-accuracy", &query).await;
            answer.ok()["seriesCount"]
                .as_i64()
                .filter(|count| *count > 0)
        })
        .await;
    }

    async fn grant(&self, person: &Value) -> String {
        let admin = self.city.rest("unitadmin").await;
        let body = json!({"principalId": person, "role": "reporting_officer", "unitId": self.home});
        text(&admin.post("/v1/grants", &request(body)).await.ok()["id"])
    }

    /// A request with a document in its answer.
    async fn explanation(&self) -> (String, String) {
        let body = json!({
            "indicatorId": self.indicator,
            "subjectUnitId": self.subject,
            "deadline": self.deadline,
            "message": "Vì sao chậm?",
        });
        let asked = self
            .leader
            .post("/v1/explanations", &request(body))
            .await
            .ok();
        let id = text(&asked["id"]);
        let head = self.city.rest(&format!("{}.head", self.account)).await;
        let document = json!({"name": "a.pdf", "contentType": "application/pdf", "content": PDF});
        let path = format!("/v1/explanations/{id}/attachments");
        let attachment = head.post(&path, &request(document)).await.ok();
        let seen = head.get(&format!("/v1/explanations/{id}")).await.ok();
        let answer = json!({
            "etag": seen["etag"],
            "cause": "Chậm",
            "action": "Nhanh",
            "remedyDate": "2099-12-15",
            "attachmentIds": [attachment["id"]],
        });
        let path = format!("/v1/explanations/{id}:answer");
        head.post(&path, &request(answer)).await.ok();
        (id, text(&attachment["id"]))
    }

    /// An item with a photo, as the leader sees it: its id, tracking code, place and photo.
    async fn item(&self) -> [String; 4] {
        let citizen = self.city.stranger();
        let picture = STANDARD
            .decode(include_str!("../journey/photo.b64").trim())
            .unwrap();
        let picture = json!({"contentType": "image/jpeg", "content": STANDARD.encode(picture)});
        let photo = citizen
            .post("/v1/public/photos", &request(picture))
            .await
            .ok();
        let body = json!({
            "categoryCode": self.category,
            "title": format!("Phản ánh để thử quyền {}", self.account),
            "body": "Một phản ánh để thử xem ai được xem.",
            "point": self.point,
            "photoIds": [photo["id"]],
        });
        let filed = citizen
            .post("/v1/public/feedback", &request(body))
            .await
            .ok();
        let code = text(&filed["feedback"]["code"]);
        let found = e2e::eventually("the item", std::time::Duration::from_secs(10), async || {
            let list = self
                .leader
                .get_with("/v1/feedback", &[("query", &*code)])
                .await
                .ok();
            let item = list["feedback"].get(0)?.clone();
            (item["state"] == "FEEDBACK_STATE_ROUTED").then_some(item)
        })
        .await;
        let [id, place] = ["id", "placeUnitId"].map(|name| text(&found[name]));
        [id, code, place, text(&photo["id"])]
    }
}
