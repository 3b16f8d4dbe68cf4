//! The service over loopback with a database of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod due;
mod entry;
mod formula;
mod import;
mod indicator;
mod observation;
mod submission;
mod target;

use chassis::{
    Directory,
    testing::{self, City, Running},
};
use chrono::NaiveDate;
use proto::{
    calendar::v1::{Frequency, Period},
    identity::v1::UnitKind,
    indicators::v1::{
        self as pb, indicator_service_client::IndicatorServiceClient,
        observation_service_client::ObservationServiceClient,
        submission_service_client::SubmissionServiceClient,
        target_service_client::TargetServiceClient,
    },
};
use sqlx::PgPool;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A running service, units, and people who may do this and that.
pub struct Setting {
    pub running: Running,
    pub db: PgPool,
    pub directory: Directory,
    pub city: Uuid,
    pub finance: Uuid,
    pub health: Uuid,
    pub ward: Uuid,
    pub other_ward: Uuid,
    pub country: Uuid,
    /// A district that became a commune in July 2025.
    pub former: Uuid,
    pub statistician: String,
    pub finance_statistician: String,
    pub leader: String,
    pub finance_officer: String,
    pub finance_approver: String,
    pub ward_officer: String,
    pub ward_approver: String,
    pub other_officer: String,
    pub health_head: String,
}

impl Setting {
    pub async fn new(db: PgPool) -> Self {
        let mut city = City::new();
        let root = city.root;
        let finance = city.unit("D-FIN", UnitKind::Department, Some(root));
        let health = city.unit("D-HLT", UnitKind::Department, Some(root));
        let ward = city.unit("26740", UnitKind::Ward, Some(root));
        let other_ward = city.unit("26743", UnitKind::Ward, Some(root));
        let country = city.unit("VN", UnitKind::Country, None);
        let former = city.unit("784", UnitKind::District, Some(root));
        let since = NaiveDate::from_ymd_opt(2025, 7, 1).unwrap();
        city.successor("27595", UnitKind::Commune, since, &[(former, "1")]);
        let all = ["read", "define", "plan", "publish", "submit", "approve"];
        let all = all.map(|verb| format!("indicators.{verb}"));
        city.role("statistician", &all.each_ref().map(String::as_str));
        city.role("reader", &["indicators.read"]);
        city.role("officer", &["indicators.read", "indicators.submit"]);
        city.role(
            "approver",
            &["indicators.read", "indicators.submit", "indicators.approve"],
        );
        let mut person = |name: &str, role: &str, unit, fields: &[&str]| {
            let id = city.person(name, unit);
            city.grant(&id, role, unit, fields);
            id
        };
        let statistician = person("Statistician", "statistician", root, &[]);
        let finance_statistician =
            person("Finance statistician", "statistician", finance, &["T04"]);
        let leader = person("Leader", "reader", root, &[]);
        let finance_officer = person("Finance officer", "officer", finance, &["T04"]);
        let finance_approver = person("Finance approver", "approver", finance, &["T04"]);
        let ward_officer = person("Ward officer", "officer", ward, &[]);
        let ward_approver = person("Ward approver", "approver", ward, &[]);
        let other_officer = person("Other officer", "approver", other_ward, &[]);
        let health_head = person("Health head", "reader", health, &["T16"]);
        let directory = city.directory();
        let base = testing::base(
            "indicators",
            db.clone(),
            directory.clone(),
            testing::config(&[]),
        )
        .await;
        Self {
            running: testing::run(indicators::server(base)).await,
            db,
            directory,
            city: root,
            finance,
            health,
            ward,
            other_ward,
            country,
            former,
            statistician,
            finance_statistician,
            leader,
            finance_officer,
            finance_approver,
            ward_officer,
            ward_approver,
            other_officer,
            health_head,
        }
    }

    pub fn indicators(&self) -> IndicatorServiceClient<Channel> {
        IndicatorServiceClient::new(self.running.channel())
    }

    pub fn targets(&self) -> TargetServiceClient<Channel> {
        TargetServiceClient::new(self.running.channel())
    }

    pub fn observations(&self) -> ObservationServiceClient<Channel> {
        ObservationServiceClient::new(self.running.channel())
    }

    pub fn submissions(&self) -> SubmissionServiceClient<Channel> {
        SubmissionServiceClient::new(self.running.channel())
    }

    /// Defines indicators; answers their ids.
    pub async fn define(&self, indicators: Vec<pb::Indicator>) -> Vec<String> {
        let codes: Vec<String> = indicators.iter().map(|one| one.code.clone()).collect();
        let request = pb::ImportIndicatorsRequest {
            request_id: new_id(),
            indicators,
        };
        let request = by(&self.statistician, request);
        self.indicators().import_indicators(request).await.unwrap();
        let mut ids = Vec::new();
        for id in codes {
            let request = by(&self.leader, pb::GetIndicatorRequest { id });
            let indicator = self.indicators().get_indicator(request).await.unwrap();
            ids.push(indicator.into_inner().id);
        }
        ids
    }

    /// A monthly indicator of Finance and one of Health.
    pub async fn two_indicators(&self) -> (String, String) {
        let finance = self.indicator("HCM.04.03", "T04", self.finance);
        let health = self.indicator("HCM.16.04", "T16", self.health);
        let ids = self.define(vec![finance, health]).await;
        (ids[0].clone(), ids[1].clone())
    }

    pub fn indicator(&self, code: &str, field: &str, owner: Uuid) -> pb::Indicator {
        pb::Indicator {
            code: code.to_owned(),
            name_vi: format!("Giải ngân vốn đầu tư {code}"),
            name_en: format!("Investment disbursed {code}"),
            field_code: field.to_owned(),
            field_vi: "Đầu tư".to_owned(),
            field_en: "Investment".to_owned(),
            measure_vi: "tỷ đồng".to_owned(),
            measure_code: "1e9 VND".to_owned(),
            frequency: Frequency::Month.into(),
            direction: pb::Direction::Up.into(),
            aggregation: pb::Aggregation::Sum.into(),
            year_rule: pb::YearRule::Sum.into(),
            kind: pb::IndicatorKind::Process.into(),
            groups: vec!["GOV".to_owned(), "SECTOR".to_owned()],
            owner_unit_id: owner.to_string(),
            decimals: 0,
            minimum: "0".to_owned(),
            maximum: "400000".to_owned(),
            source: "test".to_owned(),
            ..Default::default()
        }
    }

    /// Records figures as already published, official.
    pub async fn publish(&self, indicator: &str, unit: Uuid, figures: &[(&str, &str)]) {
        let observations = figures
            .iter()
            .map(|(period, value)| figure(indicator, unit, period, value));
        let request = pb::ImportObservationsRequest {
            request_id: new_id(),
            observations: observations.collect(),
        };
        let request = by(&self.statistician, request);
        self.observations()
            .import_observations(request)
            .await
            .unwrap();
    }

    /// The types of the facts stated so far.
    pub async fn facts(&self) -> Vec<String> {
        let facts = sqlx::query_scalar("SELECT type FROM chassis.outbox ORDER BY seq");
        facts.fetch_all(&self.db).await.unwrap()
    }
}

pub fn figure(indicator: &str, unit: Uuid, of: &str, value: &str) -> pb::Observation {
    pb::Observation {
        indicator_id: indicator.to_owned(),
        unit_id: unit.to_string(),
        period: period(of),
        vintage: pb::Vintage::Official.into(),
        value: value.to_owned(),
        source: "test".to_owned(),
        ..Default::default()
    }
}

pub fn period(code: &str) -> Option<Period> {
    Some(Period {
        code: code.to_owned(),
    })
}

pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// A request of a person, who reads English.
pub fn by<T>(person: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = format!("Bearer {}", testing::token(person));
    request
        .metadata_mut()
        .insert("authorization", token.parse().unwrap());
    request
        .metadata_mut()
        .insert("accept-language", "en".parse().unwrap());
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
