//! Loads the demonstration city through the services' own doors. Every request is repeatable: what is there stays.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use chassis::{Mesh, calendar::city_date};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use prost::Message;
use prost_types::Timestamp;
use proto::{
    calendar::v1::{Frequency, Period},
    feedback::v1::{self as feedback, feedback_service_client::FeedbackServiceClient},
    identity::v1::{
        self as identity, account_service_client::AccountServiceClient,
        directory_service_client::DirectoryServiceClient,
    },
    indicators::v1::{
        self as indicators, indicator_service_client::IndicatorServiceClient,
        observation_service_client::ObservationServiceClient,
        target_service_client::TargetServiceClient,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use tonic::Code;
use uuid::Uuid;

/// The password of every demonstration account; the accounts are for looking around on one's own machine.
pub const PASSWORD: &str = "civicmesh-demo-2026";

const PASSING: [Code; 3] = [
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::Unavailable,
];

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../demo/", $name)).as_slice()
    };
}

/// Loads everything that is not there yet.
pub async fn load(mesh: &Mesh) -> anyhow::Result<()> {
    let now = Utc::now();
    let units = patiently(|| load_units(mesh)).await.context("units")?;
    let (accounts, catalogue) = futures::join!(
        patiently(|| load_accounts(mesh, &units)),
        patiently(|| load_catalogue(mesh, &units))
    );
    accounts.context("accounts")?;
    let catalogue = catalogue.context("catalogue")?;
    let (figures, feedback) = futures::join!(
        patiently(|| load_figures(mesh, &units, &catalogue, now)),
        patiently(|| load_feedback(mesh, &units, now))
    );
    figures.context("figures")?;
    feedback.context("feedback")
}

/// The logins of the demonstration accounts with what they are for, to print on start.
#[must_use]
pub fn accounts() -> Vec<(String, String)> {
    rows::<AccountRow>(file!("accounts.csv"))
        .unwrap_or_default()
        .into_iter()
        .map(|row| {
            (
                row.login,
                format!("{} ({})", row.roles.replace('_', " "), row.unit_key),
            )
        })
        .collect()
}

/// Units reach the other services a moment after identity took them in; until then they are refused as unknown. A busy
/// machine may also miss a deadline. What is refused for such a reason is sent again: what is there by then stays.
async fn patiently<T, F>(load: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let outcome = load().await;
        let may_pass = outcome.as_ref().is_err_and(|error| {
            error
                .downcast_ref::<tonic::Status>()
                .is_some_and(|status| PASSING.contains(&status.code()))
        });
        if !may_pass || Instant::now() > deadline {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

type Ids = HashMap<String, String>;

fn rows<T: DeserializeOwned>(file: &[u8]) -> anyhow::Result<Vec<T>> {
    csv::Reader::from_reader(file)
        .deserialize()
        .collect::<Result<_, _>>()
        .context("a demonstration file is damaged")
}

/// The same request has the same id at every start: by its name, or by its content where that depends on the day.
fn request_id(of: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, of).to_string()
}

fn id(ids: &Ids, key: &str) -> anyhow::Result<String> {
    ids.get(key)
        .cloned()
        .ok_or_else(|| anyhow!("{key:?} is not known"))
}

fn code<E>(name: &str, find: impl Fn(&str) -> Option<E>, prefix: &str) -> anyhow::Result<E> {
    let full = format!("{prefix}_{}", name.to_ascii_uppercase());
    find(&full).ok_or_else(|| anyhow!("{full} is not in the contract"))
}

fn instant(text: &str) -> anyhow::Result<DateTime<Utc>> {
    Ok(DateTime::parse_from_rfc3339(text)
        .with_context(|| text.to_owned())?
        .to_utc())
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: 0,
    }
}

fn split(list: &str) -> Vec<String> {
    list.split('|')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[derive(Deserialize)]
struct UnitRow {
    key: String,
    code: String,
    kind: String,
    name_vi: String,
    name_en: String,
    parent_key: String,
    valid_from: String,
    valid_to: String,
    fields: String,
    lon: Option<f64>,
    lat: Option<f64>,
}

#[derive(Deserialize)]
struct ChangeRow {
    date: String,
    kind: String,
    from_key: String,
    to_key: String,
    weight: String,
    basis: String,
    quality: String,
}

async fn load_units(mesh: &Mesh) -> anyhow::Result<Ids> {
    let mut client = DirectoryServiceClient::new(mesh.channel("identity"));
    let mut request = identity::ImportUnitsRequest {
        request_id: request_id(b"units"),
        ..Default::default()
    };
    for row in rows::<UnitRow>(file!("units.csv"))? {
        request.parent_keys.push(row.parent_key);
        request.units.push(identity::Unit {
            key: row.key,
            code: row.code,
            kind: code(&row.kind, identity::UnitKind::from_str_name, "UNIT_KIND")?.into(),
            name_vi: row.name_vi,
            name_en: row.name_en,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            field_codes: split(&row.fields),
            longitude: row.lon.unwrap_or_default(),
            latitude: row.lat.unwrap_or_default(),
            ..Default::default()
        });
    }
    for row in rows::<ChangeRow>(file!("unit_changes.csv"))? {
        request.changes.push(identity::UnitChange {
            date: row.date,
            kind: code(
                &row.kind,
                identity::UnitChangeKind::from_str_name,
                "UNIT_CHANGE_KIND",
            )?
            .into(),
            from_key: row.from_key,
            to_key: row.to_key,
            weight: row.weight,
            basis: row.basis,
            quality: row.quality,
        });
    }
    client.import_units(request).await?;

    let mut ids = Ids::new();
    let mut request = identity::ListUnitsRequest {
        valid_on: "all".to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    loop {
        let page = client.list_units(request.clone()).await?.into_inner();
        ids.extend(page.units.into_iter().map(|unit| (unit.key, unit.id)));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}

#[derive(Deserialize)]
struct AccountRow {
    login: String,
    name_vi: String,
    email: String,
    phone: String,
    roles: String,
    unit_key: String,
    grant_unit_key: String,
    fields: String,
    language: String,
}

async fn load_accounts(mesh: &Mesh, units: &Ids) -> anyhow::Result<()> {
    let mut client = AccountServiceClient::new(mesh.channel("identity"));
    for row in rows::<AccountRow>(file!("accounts.csv"))? {
        let request = identity::CreateAccountRequest {
            request_id: request_id(format!("account {}", row.login).as_bytes()),
            login: row.login.clone(),
            display_name: row.name_vi,
            home_unit_id: id(units, &row.unit_key)?,
            language: row.language,
            email: row.email,
            phone: row.phone,
            password: PASSWORD.to_owned(),
        };
        let account = match client.create_account(request).await {
            Ok(account) => account.into_inner(),
            Err(status) if status.code() == Code::AlreadyExists => continue,
            Err(status) => return Err(status).context(row.login),
        };
        for role in split(&row.roles) {
            let grant = identity::CreateGrantRequest {
                request_id: request_id(format!("grant {role} {}", row.login).as_bytes()),
                principal_id: account.id.clone(),
                role,
                unit_id: id(units, &row.grant_unit_key)?,
                field_codes: split(&row.fields),
                valid_to: None,
            };
            client
                .create_grant(grant)
                .await
                .with_context(|| row.login.clone())?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct IndicatorRow {
    code: String,
    name_vi: String,
    name_en: String,
    field_code: String,
    field_vi: String,
    field_en: String,
    unit_vi: String,
    unit_code: String,
    frequency: String,
    direction: String,
    aggregation: String,
    weight: String,
    ytd_rule: String,
    kind: String,
    groups: String,
    owner_key: String,
    decimals: i32,
    min: String,
    max: String,
    source: String,
    numerator: String,
    denominator: String,
    factor: String,
}

/// A formula of one part above and one below the line.
fn formula(row: &IndicatorRow) -> Option<indicators::Formula> {
    let term = |code: &str| indicators::FormulaTerm {
        indicator_code: code.to_owned(),
        ..Default::default()
    };
    (!row.numerator.is_empty()).then(|| indicators::Formula {
        numerator: vec![term(&row.numerator)],
        denominator: vec![term(&row.denominator)],
        factor: row.factor.clone(),
    })
}

async fn load_catalogue(mesh: &Mesh, units: &Ids) -> anyhow::Result<Ids> {
    let mut client = IndicatorServiceClient::new(mesh.channel("indicators"));
    let mut request = indicators::ImportIndicatorsRequest {
        request_id: request_id(file!("indicators.csv")),
        ..Default::default()
    };
    for row in rows::<IndicatorRow>(file!("indicators.csv"))? {
        request.indicators.push(indicators::Indicator {
            frequency: code(&row.frequency, Frequency::from_str_name, "FREQUENCY")?.into(),
            direction: code(
                &row.direction,
                indicators::Direction::from_str_name,
                "DIRECTION",
            )?
            .into(),
            aggregation: code(
                &row.aggregation,
                indicators::Aggregation::from_str_name,
                "AGGREGATION",
            )?
            .into(),
            year_rule: code(
                &row.ytd_rule,
                indicators::YearRule::from_str_name,
                "YEAR_RULE",
            )?
            .into(),
            kind: code(
                &row.kind,
                indicators::IndicatorKind::from_str_name,
                "INDICATOR_KIND",
            )?
            .into(),
            owner_unit_id: id(units, &row.owner_key)?,
            formula: formula(&row),
            code: row.code,
            name_vi: row.name_vi,
            name_en: row.name_en,
            field_code: row.field_code,
            field_vi: row.field_vi,
            field_en: row.field_en,
            measure_vi: row.unit_vi,
            measure_code: row.unit_code,
            weight: row.weight,
            groups: split(&row.groups),
            decimals: row.decimals,
            minimum: row.min,
            maximum: row.max,
            source: row.source,
            ..Default::default()
        });
    }
    client.import_indicators(request).await?;

    let mut ids = Ids::new();
    let mut request = indicators::ListIndicatorsRequest {
        page_size: 200,
        ..Default::default()
    };
    loop {
        let page = client.list_indicators(request.clone()).await?.into_inner();
        ids.extend(
            page.indicators
                .into_iter()
                .map(|indicator| (indicator.code, indicator.id)),
        );
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}

#[derive(Deserialize)]
struct TargetRow {
    indicator: String,
    unit_key: String,
    period: String,
    author: String,
    kind: String,
    comparator: String,
    value: String,
    value_high: String,
    source: String,
    illustrative: u8,
}

#[derive(Deserialize)]
struct ObservationRow {
    indicator: String,
    unit_key: String,
    period: String,
    vintage: String,
    value: String,
    known_time: String,
    source: String,
    illustrative: u8,
}

async fn load_figures(
    mesh: &Mesh,
    units: &Ids,
    catalogue: &Ids,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let mut targets = Vec::new();
    let year = city_date(now).year().to_string();
    for row in rows::<TargetRow>(file!("targets.csv"))? {
        // Next year's plan is made when its year begins.
        if row.period.get(..4) > Some(&*year) {
            continue;
        }
        let comparator = match row.comparator.as_str() {
            "ge" => indicators::Comparator::AtLeast,
            "le" => indicators::Comparator::AtMost,
            _ => indicators::Comparator::Within,
        };
        targets.push(indicators::Target {
            indicator_id: id(catalogue, &row.indicator)?,
            unit_id: id(units, &row.unit_key)?,
            period: Some(Period { code: row.period }),
            author: code(
                &row.author,
                indicators::TargetAuthor::from_str_name,
                "TARGET_AUTHOR",
            )?
            .into(),
            kind: code(
                &row.kind,
                indicators::TargetKind::from_str_name,
                "TARGET_KIND",
            )?
            .into(),
            comparator: comparator.into(),
            value: row.value,
            upper_value: row.value_high,
            source: row.source,
            illustrative: row.illustrative == 1,
            ..Default::default()
        });
    }
    let mut request = indicators::ImportTargetsRequest {
        request_id: String::new(),
        targets,
    };
    request.request_id = request_id(&request.encode_to_vec());
    TargetServiceClient::new(mesh.channel("indicators"))
        .import_targets(request)
        .await
        .context("targets")?;

    let mut observations = Vec::new();
    for row in rows::<ObservationRow>(file!("observations.csv"))? {
        let known_time = instant(&row.known_time)?;
        // What nobody could know yet stays in the file.
        if known_time > now {
            continue;
        }
        observations.push(indicators::Observation {
            indicator_id: id(catalogue, &row.indicator)?,
            unit_id: id(units, &row.unit_key)?,
            period: Some(Period { code: row.period }),
            vintage: code(&row.vintage, indicators::Vintage::from_str_name, "VINTAGE")?.into(),
            value: row.value,
            known_time: Some(timestamp(known_time)),
            source: row.source,
            illustrative: row.illustrative == 1,
            ..Default::default()
        });
    }
    let mut client = ObservationServiceClient::new(mesh.channel("indicators"))
        .max_encoding_message_size(16 * 1024 * 1024);
    for part in observations.chunks(5_000) {
        let mut request = indicators::ImportObservationsRequest {
            request_id: String::new(),
            observations: part.to_vec(),
        };
        request.request_id = request_id(&request.encode_to_vec());
        client
            .import_observations(request)
            .await
            .context("observations")?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct CategoryRow {
    code: String,
    name_vi: String,
    name_en: String,
    field_code: String,
    route_to: String,
    answer_working_days: i32,
    route_minutes: i32,
}

#[derive(Deserialize)]
struct FeedbackRow {
    category: String,
    title_vi: String,
    body_vi: String,
    lon: f64,
    lat: f64,
    channel: String,
    created: String,
    routed_after_s: Option<i64>,
    answered_after_h: Option<f64>,
    rating: Option<i32>,
    answer_vi: String,
}

async fn load_feedback(mesh: &Mesh, units: &Ids, now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut request = feedback::ImportFeedbackRequest::default();
    for row in rows::<CategoryRow>(file!("categories.csv"))? {
        request.categories.push(feedback::Category {
            route_unit_id: match row.route_to.as_str() {
                "ward" | "dispatcher" => String::new(),
                key => id(units, key)?,
            },
            screened: row.route_to == "dispatcher",
            code: row.code,
            name_vi: row.name_vi,
            name_en: row.name_en,
            field_code: row.field_code,
            route_minutes: row.route_minutes,
            answer_working_days: row.answer_working_days,
        });
    }
    let boundaries: serde_json::Value = serde_json::from_slice(file!("boundaries.geojson"))?;
    for feature in boundaries["features"]
        .as_array()
        .context("boundaries.geojson has no features")?
    {
        let code = feature["properties"]["code"]
            .as_str()
            .context("a boundary has no code")?;
        request.boundaries.push(feedback::Boundary {
            unit_id: id(units, code)?,
            geojson: feature["geometry"].to_string(),
        });
    }
    let items = rows::<FeedbackRow>(file!("feedback.csv"))?;
    let shift = shift(&items, now)?;
    for (number, row) in items.into_iter().enumerate() {
        request
            .items
            .extend(past_feedback(number, row, shift, now)?);
    }
    request.request_id = request_id(&request.encode_to_vec());
    FeedbackServiceClient::new(mesh.channel("feedback"))
        .max_encoding_message_size(16 * 1024 * 1024)
        .import_feedback(request)
        .await?;
    Ok(())
}

/// Whole weeks, so that days of the week stay, that bring the end of the file to now or after it.
fn shift(items: &[FeedbackRow], now: DateTime<Utc>) -> anyhow::Result<TimeDelta> {
    let mut end = DateTime::UNIX_EPOCH;
    for row in items {
        end = end.max(instant(&row.created)?);
    }
    let week = TimeDelta::weeks(1).num_seconds();
    let weeks = (now - end).num_seconds().div_euclid(week) + 1;
    Ok(TimeDelta::weeks(weeks))
}

/// An item as it is now; none if it is still to come.
fn past_feedback(
    number: usize,
    row: FeedbackRow,
    shift: TimeDelta,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<feedback::PastFeedback>> {
    let created = instant(&row.created)? + shift;
    if created > now {
        return Ok(None);
    }
    let until_now = |time: &DateTime<Utc>| *time <= now;
    let routed = row
        .routed_after_s
        .map(|seconds| created + TimeDelta::seconds(seconds))
        .filter(until_now);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "hours of a few weeks, in seconds"
    )]
    let answered = row
        .answered_after_h
        .map(|hours| created + TimeDelta::seconds((hours * 3600.0) as i64))
        .filter(until_now);
    let is_answered = answered.is_some();
    Ok(Some(feedback::PastFeedback {
        key: format!("demo-{number:04}"),
        category_code: row.category,
        title: row.title_vi,
        body: row.body_vi,
        point: Some(feedback::Point {
            longitude: row.lon,
            latitude: row.lat,
        }),
        channel: code(&row.channel, feedback::Channel::from_str_name, "CHANNEL")?.into(),
        create_time: Some(timestamp(created)),
        route_time: routed.map(timestamp),
        answer_time: answered.map(timestamp),
        answer: if is_answered {
            row.answer_vi
        } else {
            String::new()
        },
        rating: row.rating.filter(|_| is_answered).unwrap_or_default(),
        illustrative: true,
    }))
}
