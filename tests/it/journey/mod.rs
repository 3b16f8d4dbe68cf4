//! The main job of the city, from the demonstration to the rated answer, through the product's own doors.

mod board;
mod demonstration;
mod explanation;
mod feedback;

use e2e::{City, Http, MailServer, Options};
use serde_json::{Value, json};

/// What the steps need to know of the demonstration.
pub struct World {
    /// The city's own unit.
    pub city: String,
    /// The Department of Finance.
    pub finance: String,
    /// The ward Sài Gòn, with its label point.
    pub saigon: Value,
    /// Disbursement of public investment, which finance owns and reports for the city.
    pub disbursement: String,
}

impl World {
    /// Looks them up.
    pub async fn of(rest: &Http) -> Self {
        let unit = |key: &'static str, kind: &'static str| async move {
            let query = [("kinds", kind), ("query", key), ("page_size", "1000")];
            let units = rest.get_with("/v1/units", &query).await.ok();
            let units = units["units"].as_array().unwrap();
            let found = units.iter().find(|unit| unit["key"] == key);
            found
                .unwrap_or_else(|| panic!("no unit {key}: {units:?}"))
                .clone()
        };
        let id = |unit: Value| unit["id"].as_str().unwrap().to_owned();
        Self {
            city: id(unit("79", "UNIT_KIND_CITY").await),
            finance: id(unit("D-FIN", "UNIT_KIND_DEPARTMENT").await),
            saigon: unit("26740", "UNIT_KIND_WARD").await,
            disbursement: indicator(rest, "HCM.04.04").await,
        }
    }

    /// The ward's id.
    pub fn saigon(&self) -> &str {
        self.saigon["id"].as_str().unwrap()
    }
}

/// The id of an indicator.
pub async fn indicator(rest: &Http, code: &str) -> String {
    let indicator = rest.get(&format!("/v1/indicators/{code}")).await.ok();
    indicator["id"].as_str().unwrap().to_owned()
}

/// The fields that a refusal over REST names.
pub fn fields(answer: &Value) -> Vec<&str> {
    details(answer, "BadRequest")
        .and_then(|request| request["fieldViolations"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|violation| violation["field"].as_str())
        .collect()
}

/// The reason of a refusal over REST.
pub fn reason(answer: &Value) -> &str {
    let info = details(answer, "ErrorInfo");
    info.and_then(|info| info["reason"].as_str())
        .unwrap_or_default()
}

fn details<'a>(answer: &'a Value, kind: &str) -> Option<&'a Value> {
    answer["details"].as_array()?.iter().find(|detail| {
        detail["@type"]
            .as_str()
            .is_some_and(|name| name.ends_with(kind))
    })
}

/// A body with a new request id.
pub fn request(mut body: Value) -> Value {
    body["requestId"] = json!(e2e::request_id());
    body
}

async fn main_job(city: &City, mail: &MailServer) {
    let chairman = city.rest("chairman").await;
    let world = World::of(&chairman).await;
    demonstration::is_whole(city, &world).await;
    board::follows_figures(city, &world).await;
    explanation::goes_its_way(city, &world, mail).await;
    feedback::is_answered(city, &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_process() {
    let mail = MailServer::start().await;
    let options = Options {
        smtp: Some(mail.url()),
        ..Options::default()
    };
    let mut city = City::up(options).await;
    eprintln!("first start: ready after {:.1?}", city.start);
    main_job(&city, &mail).await;
    eprintln!(
        "memory, Postgres included: {} MiB (debug build)",
        city.memory()
    );
    city.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_network() {
    let mail = MailServer::start().await;
    let options = Options {
        smtp: Some(mail.url()),
        ..Options::default()
    };
    let mut city = City::serve(options).await;
    eprintln!("seven processes serve after {:.1?}", city.start);
    main_job(&city, &mail).await;
    board::outlives_its_service(&mut city).await;
    city.stop().await;
}
