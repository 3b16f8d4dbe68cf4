//! The service over loopback with a database of its own, fed as its follower feeds it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod accuracy;
mod assessment;
mod board;
mod check;
mod derive;
mod forecast;
mod hierarchy;
mod lineage;
mod outlook;
mod queue;
mod scenario;
mod speed;
mod threshold;

use std::time::Duration;

use chassis::{
    Directory,
    calendar::city_date,
    testing::{self, City, Running},
};
use chrono::{Datelike, Utc};
use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb, RiskStatus, forecast_service_client::ForecastServiceClient},
    identity::v1::{Unit, UnitKind},
    indicators::v1::{
        Comparator, Direction, Indicator, Observation, Target, TargetAuthor, TargetKind, Vintage,
        YearRule,
    },
    period::Period,
};
use sqlx::PgPool;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A running service, units, and people who may do this and that.
pub struct Setting {
    pub running: Running,
    pub db: PgPool,
    pub city: Uuid,
    pub finance: Uuid,
    pub health: Uuid,
    pub ward: Uuid,
    /// Two former districts, the second of which went into the commune by half.
    pub former: [Uuid; 2],
    /// Exists since half a year ago.
    pub commune: Uuid,
    pub leader: String,
    pub admin: String,
    pub ward_admin: String,
    pub finance_head: String,
    pub health_head: String,
    pub ward_head: String,
    pub directory: Directory,
}

impl Setting {
    pub async fn new(db: PgPool) -> Self {
        let mut city = City::new();
        let root = city.root;
        let finance = city.unit("D-FIN", UnitKind::Department, Some(root));
        let health = city.unit("D-HLT", UnitKind::Department, Some(root));
        let ward = city.unit("26740", UnitKind::Ward, Some(root));
        let former = ["760", "761"].map(|code| city.unit(code, UnitKind::District, Some(root)));
        let since = this_month().plus(-6).first_day();
        let shares = [(former[0], "1"), (former[1], "0.5")];
        let commune = city.successor("27595", UnitKind::Commune, since, &shares);
        city.role("reader", &["forecasting.read"]);
        city.role("leader", &["forecasting.read", "explanations.read"]);
        city.role("admin", &["forecasting.read", "forecasting.configure"]);
        let mut person = |name: &str, role: &str, unit, fields: &[&str]| {
            let id = city.person(name, unit);
            city.grant(&id, role, unit, fields);
            id
        };
        let leader = person("Leader", "leader", root, &[]);
        let admin = person("Admin", "admin", root, &[]);
        let ward_admin = person("Ward admin", "admin", ward, &[]);
        let finance_head = person("Finance head", "reader", finance, &[]);
        let health_head = person("Health head", "reader", health, &["T16"]);
        let ward_head = person("Ward head", "reader", ward, &[]);
        let directory = city.directory();
        let config = testing::config(&[]);
        let base = testing::base("forecasting", db.clone(), directory.clone(), config).await;
        Self {
            running: testing::run(forecasting::server(base)).await,
            db,
            city: root,
            finance,
            health,
            ward,
            former,
            commune,
            leader,
            admin,
            ward_admin,
            finance_head,
            health_head,
            ward_head,
            directory,
        }
    }

    /// A unit of the city as the directory states it.
    pub fn unit(&self, id: Uuid, code: &str, kind: UnitKind) -> Unit {
        Unit {
            id: id.to_string(),
            key: code.to_owned(),
            code: code.to_owned(),
            kind: kind.into(),
            parent_id: self.city.to_string(),
            valid_from: "1975-04-30".to_owned(),
            ..Default::default()
        }
    }

    /// How many lines somebody's board counts.
    pub async fn counted(&self, person: &str) -> i32 {
        let request = by(person, pb::GetRiskSummaryRequest::default());
        let answer = self.client().get_risk_summary(request).await.unwrap();
        answer.into_inner().counts.iter().map(|one| one.count).sum()
    }

    pub fn client(&self) -> ForecastServiceClient<Channel> {
        ForecastServiceClient::new(self.running.channel())
    }

    /// Makes facts known as the follower does, in one transaction.
    pub async fn feed(&self, indicator: &Indicator, targets: &[Target], figures: &[Observation]) {
        let mut tx = self.db.begin().await.unwrap();
        forecasting::copy::keep_indicators(
            &mut tx,
            &self.directory,
            std::slice::from_ref(indicator),
        )
        .await
        .unwrap();
        forecasting::copy::keep_targets(&mut tx, &self.directory, targets)
            .await
            .unwrap();
        forecasting::copy::keep_observations(&mut tx, &self.directory, figures)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// The line of one indicator of one unit, once it is as demanded.
    pub async fn line(
        &self,
        indicator: &Indicator,
        unit: Uuid,
        demand: impl Fn(&pb::RiskItem) -> bool,
    ) -> pb::RiskItem {
        let request = pb::ListRiskItemsRequest {
            indicator_id: indicator.id.clone(),
            unit_id: unit.to_string(),
            ..Default::default()
        };
        let find = async || {
            let request = by(&self.leader, request.clone());
            let page = self
                .client()
                .list_risk_items(request)
                .await
                .unwrap()
                .into_inner();
            let own = |item: &pb::RiskItem| item.unit_id == unit.to_string();
            page.items.into_iter().find(own).filter(&demand)
        };
        until(find).await
    }

    pub async fn assessed(&self, indicator: &Indicator, unit: Uuid) -> pb::RiskItem {
        self.line(indicator, unit, |_| true).await
    }

    pub async fn queue_is_empty(&self) {
        until(async || {
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM recompute")
                .fetch_one(&self.db)
                .await
                .unwrap();
            (left == 0).then_some(())
        })
        .await;
    }

    /// Waits until nothing is queued and all wholes are added up.
    pub async fn is_settled(&self) {
        until(async || {
            let left: i64 = sqlx::query_scalar(
                "SELECT (SELECT count(*) FROM recompute)
                    + (SELECT count(*) FROM assessment WHERE NOT is_added_up)",
            )
            .fetch_one(&self.db)
            .await
            .unwrap();
            (left == 0).then_some(())
        })
        .await;
    }

    pub async fn outlook(&self, person: &str, indicator: &Indicator, unit: Uuid) -> pb::Outlook {
        let request = pb::GetOutlookRequest {
            indicator_id: indicator.id.clone(),
            unit_id: unit.to_string(),
        };
        let answer = self.client().get_outlook(by(person, request)).await;
        answer.unwrap().into_inner()
    }

    /// How many facts were stated so far.
    pub async fn facts(&self) -> i64 {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM chassis.outbox WHERE type LIKE '%RiskChanged'",
        );
        count.fetch_one(&self.db).await.unwrap()
    }
}

/// Waits until there is an answer, for half a minute at most.
pub async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking)
        .await
        .expect("half a minute has passed")
}

pub fn this_month() -> Period {
    Period::containing(Frequency::Month, city_date(Utc::now()))
}

pub fn indicator(code: &str, field: &str, owner: Uuid) -> Indicator {
    Indicator {
        id: new_id(),
        code: code.to_owned(),
        name_vi: code.to_owned(),
        name_en: code.to_owned(),
        field_code: field.to_owned(),
        frequency: Frequency::Month.into(),
        direction: Direction::Up.into(),
        year_rule: YearRule::Sum.into(),
        owner_unit_id: owner.to_string(),
        report_days: 5,
        version: 1,
        ..Default::default()
    }
}

pub fn figure(indicator: &Indicator, unit: Uuid, of: Period, value: &str) -> Observation {
    Observation {
        id: new_id(),
        indicator_id: indicator.id.clone(),
        unit_id: unit.to_string(),
        period: Some(of.into()),
        vintage: Vintage::Official.into(),
        value: value.to_owned(),
        known_time: Some(prost_types::Timestamp {
            seconds: Utc::now().timestamp(),
            nanos: 0,
        }),
        ..Default::default()
    }
}

/// Figures of about 100 for months up to the last full one, less `late`.
pub fn about_hundred(
    indicator: &Indicator,
    unit: Uuid,
    months: i32,
    late: i32,
) -> Vec<Observation> {
    let value = |period: Period| (100 + (period.index() * 7 % 11) - 5).to_string();
    (1 + late..=months + late)
        .rev()
        .map(|back| this_month().plus(-back))
        .map(|period| figure(indicator, unit, period, &value(period)))
        .collect()
}

/// At least this much this year, as the city plans.
pub fn target(indicator: &Indicator, unit: Uuid, value: &str) -> Target {
    let year = city_date(Utc::now()).year();
    Target {
        id: new_id(),
        indicator_id: indicator.id.clone(),
        unit_id: unit.to_string(),
        period: Period::new(Frequency::Year, year, 1).map(Into::into),
        author: TargetAuthor::City.into(),
        kind: TargetKind::Base.into(),
        comparator: Comparator::AtLeast.into(),
        value: value.to_owned(),
        version: 1,
        ..Default::default()
    }
}

pub fn status(item: &pb::RiskItem) -> RiskStatus {
    item.status()
}

pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A request of a person.
pub fn by<T>(person: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = format!("Bearer {}", testing::token(person));
    request
        .metadata_mut()
        .insert("authorization", token.parse().unwrap());
    request
}

/// The code, the reason and the first field that a call is refused with.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String, String) {
    let status = answer.unwrap_err();
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    let field = details
        .bad_request()
        .and_then(|bad| bad.field_violations.first());
    (
        status.code(),
        reason.unwrap_or_default(),
        field
            .map(|violation| violation.field.clone())
            .unwrap_or_default(),
    )
}

pub fn invalid(field: &str) -> (Code, String, String) {
    (
        Code::InvalidArgument,
        "INVALID_FIELD".to_owned(),
        field.to_owned(),
    )
}

pub fn because(code: Code, reason: &str) -> (Code, String, String) {
    (code, reason.to_owned(), String::new())
}
