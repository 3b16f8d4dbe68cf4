//! The contract's service: what is asked is read and permitted here.

use chassis::{Base, Caller, Claimed, RequestKey, directory::Scope, page, parse::known};
use proto::{
    forecasting::v1::{self as pb, RiskStatus, forecast_service_server::ForecastService},
    indicators::v1::TargetAuthor,
    period::Period,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    accuracy,
    board::{self, Filter},
    check,
    error::Error,
    explain::explain,
    load::is_local,
    overview::{self, Sight},
    scenario::{self, Scenario, Stage, texts},
    threshold,
    watch::{Changes, Wanted, Watch},
};

const READ: &str = "forecasting.read";

/// Answers calls.
#[derive(Clone)]
pub struct Grpc {
    base: Base,
    watch: Watch,
}

impl Grpc {
    /// Answers calls with what a running service has.
    #[must_use]
    pub fn new(base: Base, watch: Watch) -> Self {
        Self { base, watch }
    }

    /// Whether a scope covers wards, communes and special zones alone.
    fn is_local(&self, scope: &Scope) -> bool {
        let is_local = |unit: &Uuid| {
            let unit = self.base.directory.unit(*unit);
            unit.is_some_and(|unit| is_local(unit.kind))
        };
        !scope.all && scope.fields.is_empty() && scope.units.iter().all(is_local)
    }

    /// A unit and those below it; nothing when none is asked for.
    fn units(&self, unit_id: &str) -> Result<Option<Vec<Uuid>>, Error> {
        let unit = optional_id("unit_id", unit_id)?;
        Ok(unit.map(|unit| self.base.directory.subtree(unit)))
    }
}

/// A short code, if one is given. Postgres cannot hold NUL.
fn code(field: &'static str, text: &str) -> Result<Option<String>, Error> {
    if text.contains(char::is_control) {
        return Err(Error::Invalid {
            field,
            vi: "không được chứa ký tự điều khiển",
            en: "must not contain control characters",
        });
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A period as the contract writes it.
fn period(
    field: &'static str,
    asked: &Option<proto::calendar::v1::Period>,
) -> Result<Period, Error> {
    Period::try_from(asked).map_err(|_| Error::Invalid {
        field,
        vi: "phải là một kỳ như 2025, 2025-H1, 2025-Q3 hoặc 2025-09",
        en: "must be a period such as 2025, 2025-H1, 2025-Q3 or 2025-09",
    })
}

/// The code of the period that targets are asked for of, if one is.
fn target_period(code: &str) -> Result<Option<String>, Error> {
    if code.is_empty() {
        return Ok(None);
    }
    let asked = proto::calendar::v1::Period {
        code: code.to_owned(),
    };
    Ok(Some(period("target_period", &Some(asked))?.to_string()))
}

/// The statuses that are asked for, if any are.
fn statuses(request: &pb::ListRiskItemsRequest) -> Result<Option<Vec<RiskStatus>>, Error> {
    let statuses = request.statuses.iter().map(|status| {
        let known = RiskStatus::try_from(*status).ok();
        known.filter(|status| *status != RiskStatus::Unspecified)
    });
    let statuses: Option<Vec<RiskStatus>> = statuses.collect();
    let statuses = statuses.ok_or(Error::Invalid {
        field: "statuses",
        vi: "phải là các trạng thái như RISK_STATUS_RED",
        en: "must be statuses such as RISK_STATUS_RED",
    })?;
    Ok((!statuses.is_empty()).then_some(statuses))
}

fn id(field: &'static str, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::Invalid {
        field,
        vi: "phải là một mã UUID",
        en: "must be a UUID",
    })
}

fn optional_id(field: &'static str, text: &str) -> Result<Option<Uuid>, Error> {
    (!text.is_empty()).then(|| id(field, text)).transpose()
}

#[tonic::async_trait]
impl ForecastService for Grpc {
    async fn list_risk_items(
        &self,
        request: Request<pb::ListRiskItemsRequest>,
    ) -> Result<Response<pb::ListRiskItemsResponse>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let size = page::size(request.page_size, 100, 500)?;
        let after = page::after(&request.page_token)?;
        let filter = Filter {
            statuses: statuses(request)?,
            units: self.units(&request.unit_id)?,
            field_code: code("field_code", &request.field_code)?,
            indicator_id: optional_id("indicator_id", &request.indicator_id)?,
            city_level_only: request.city_level_only,
            group: code("group", &request.group)?,
            target_author: target_author(request.target_author)?,
            target_period: target_period(&request.target_period)?,
            decisive_only: request.decisive_only,
        };
        let mut lines = board::list(&self.base.db, &scope, &filter, after, size as i64 + 1).await?;
        let next_page_token = page::cut(&mut lines, size, |line| line.place);
        Ok(Response::new(pb::ListRiskItemsResponse {
            items: lines.into_iter().map(|line| line.item).collect(),
            next_page_token,
        }))
    }

    async fn get_risk_summary(
        &self,
        request: Request<pb::GetRiskSummaryRequest>,
    ) -> Result<Response<pb::RiskSummary>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let filter = Filter {
            units: self.units(&request.unit_id)?,
            field_code: code("field_code", &request.field_code)?,
            city_level_only: request.city_level_only,
            group: code("group", &request.group)?,
            target_author: target_author(request.target_author)?,
            target_period: target_period(&request.target_period)?,
            decisive_only: request.decisive_only,
            ..Filter::default()
        };
        let (counts, update_time) = board::count(&self.base.db, &scope, &filter).await?;
        Ok(Response::new(pb::RiskSummary {
            counts,
            update_time: update_time.map(chassis::parse::timestamp),
        }))
    }

    type WatchRiskStream = Changes;

    async fn watch_risk(
        &self,
        request: Request<pb::WatchRiskRequest>,
    ) -> Result<Response<Changes>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.get_ref();
        let wanted = Wanted {
            units: self.units(&request.unit_id)?,
            field_code: code("field_code", &request.field_code)?,
            indicator_id: optional_id("indicator_id", &request.indicator_id)?,
            city_level_only: request.city_level_only,
        };
        let directory = self.base.directory.clone();
        let changes = self.watch.stream(caller, READ, wanted, directory)?;
        Ok(Response::new(changes))
    }

    async fn get_outlook(
        &self,
        request: Request<pb::GetOutlookRequest>,
    ) -> Result<Response<pb::Outlook>, Status> {
        let caller = Caller::of(&request)?;
        let sight = Sight {
            forecasts: caller.scope(READ),
            explanations: caller.scope("explanations.read"),
        };
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let outlook = overview::read(&self.base, &sight, indicator, unit).await?;
        Ok(Response::new(outlook))
    }

    async fn get_forecast(
        &self,
        request: Request<pb::GetForecastRequest>,
    ) -> Result<Response<pb::Forecast>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let forecast = board::forecast(&self.base.db, &scope, indicator, unit).await?;
        Ok(Response::new(forecast))
    }

    async fn explain_status(
        &self,
        request: Request<pb::ExplainStatusRequest>,
    ) -> Result<Response<pb::StatusExplanation>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let (forecast, item) = board::whole(&self.base.db, &scope, indicator, unit).await?;
        Ok(Response::new(explain(&forecast, &item)))
    }

    async fn try_scenario(
        &self,
        request: Request<pb::TryScenarioRequest>,
    ) -> Result<Response<pb::Forecast>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let scenario = Scenario::read(texts!(request), read_value)?;
        let series = (indicator, unit);
        let stage = Stage::load(&self.base, &scope, series, &[&scenario]).await?;
        let assessed = tokio::task::spawn_blocking(move || stage.play(&scenario));
        let mut forecast = assessed.await.map_err(chassis::internal)??.forecast;
        forecast.history.clear();
        Ok(Response::new(forecast))
    }

    async fn save_scenario(
        &self,
        request: Request<pb::SaveScenarioRequest>,
    ) -> Result<Response<pb::Scenario>, Status> {
        let caller = Caller::of(&request)?;
        let (scope, actor) = (caller.scope(READ), caller.id());
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let name = scenario::name(&request.name)?;
        let scenario = Scenario::read(texts!(request), read_value)?;
        let series = (indicator, unit);
        let stage = Stage::load(&self.base, &scope, series, &[&scenario]).await?;
        let assessed = tokio::task::spawn_blocking(move || stage.play(&scenario));
        let assessed = assessed.await.map_err(chassis::internal)??;
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(&actor, "SaveScenario", &request.request_id, request)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let supposed = (texts!(request), assessed.item.assessment);
        let directory = &self.base.directory;
        let answer = scenario::keep(&mut tx, directory, series, &actor, &name, supposed).await?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }

    async fn list_scenarios(
        &self,
        request: Request<pb::ListScenariosRequest>,
    ) -> Result<Response<pb::ListScenariosResponse>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let scenarios = scenario::list(&self.base, &scope, (indicator, unit)).await?;
        Ok(Response::new(pb::ListScenariosResponse { scenarios }))
    }

    async fn delete_scenario(
        &self,
        request: Request<pb::DeleteScenarioRequest>,
    ) -> Result<Response<pb::DeleteScenarioResponse>, Status> {
        let caller = Caller::of(&request)?;
        let scenario = id("id", &request.get_ref().id)?;
        scenario::delete(&self.base.db, &caller.scope(READ), scenario, &caller.id()).await?;
        Ok(Response::new(pb::DeleteScenarioResponse {}))
    }

    async fn get_accuracy(
        &self,
        request: Request<pb::GetAccuracyRequest>,
    ) -> Result<Response<pb::ForecastAccuracy>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let indicator_id = optional_id("indicator_id", &request.indicator_id)?;
        let unit_id = optional_id("unit_id", &request.unit_id)?;
        let filter = accuracy::Filter {
            // Those of all wards are too many, but some people's are all there is to them.
            city_level_only: indicator_id.is_none() && unit_id.is_none() && !self.is_local(&scope),
            indicator_id,
            unit_id,
            field_code: code("field_code", &request.field_code)?,
        };
        let accuracy = accuracy::read(&self.base.db, &scope, &filter).await?;
        Ok(Response::new(accuracy))
    }

    async fn check_value(
        &self,
        request: Request<pb::CheckValueRequest>,
    ) -> Result<Response<pb::CheckValueResponse>, Status> {
        let scope = Caller::of(&request)?.scope(READ);
        let request = request.get_ref();
        let indicator = id("indicator_id", &request.indicator_id)?;
        let unit = id("unit_id", &request.unit_id)?;
        let value: f64 = read_value(&request.value)?;
        let period = period("period", &request.period)?;
        let forecast = board::forecast(&self.base.db, &scope, indicator, unit).await?;
        let of = forecast.indicator.as_ref();
        if of.is_some_and(|indicator| indicator.frequency() != period.frequency()) {
            return Err(Error::Invalid {
                field: "period",
                vi: "phải là một kỳ theo tần suất báo cáo của chỉ tiêu",
                en: "must be a period as often as the indicator is reported",
            }
            .into());
        }
        let answer = tokio::task::spawn_blocking(move || check::check(&forecast, period, value));
        Ok(Response::new(answer.await.map_err(chassis::internal)?))
    }

    async fn get_thresholds(
        &self,
        _: Request<pb::GetThresholdsRequest>,
    ) -> Result<Response<pb::Thresholds>, Status> {
        Ok(Response::new(
            threshold::current(&self.base.db).await?.into(),
        ))
    }

    async fn set_thresholds(
        &self,
        request: Request<pb::SetThresholdsRequest>,
    ) -> Result<Response<pb::Thresholds>, Status> {
        let caller = Caller::of(&request)?;
        caller.require_everywhere("forecasting.configure")?;
        let actor = caller.id();
        let request = request.get_ref();
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(&actor, "SetThresholds", &request.request_id, request)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let answer = pb::Thresholds::from(threshold::set(&mut tx, request, &actor).await?);
        threshold::wake(&mut tx).await?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }
}

/// The author of targets that is asked for, if any is.
fn target_author(author: i32) -> Result<Option<i16>, Error> {
    let author: TargetAuthor = known("target_author", author)?;
    let author = i16::try_from(i32::from(author)).unwrap_or_default();
    Ok(Some(author).filter(|author| *author != 0))
}

/// Reads a decimal as the contract writes it.
fn read_value(text: &str) -> Result<f64, Error> {
    let is_plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    let value = is_plain.then(|| text.parse().ok()).flatten();
    value
        .filter(|value: &f64| value.is_finite())
        .ok_or(Error::Invalid {
            field: "value",
            vi: "phải là một số thập phân như 8.03",
            en: "must be a decimal such as 8.03",
        })
}
