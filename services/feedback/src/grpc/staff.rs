//! What staff do, cut to their units and fields.

use chassis::{
    Caller, Claimed, RequestKey,
    calendar::city_date,
    page,
    parse::{known, optional_instant},
};
use chrono::{NaiveDate, TimeDelta, Utc};
use h3o::Resolution;
use prost::Message;
use prost_types::Timestamp;
use proto::{
    feedback::v1::{self as pb, feedback_service_server::FeedbackService},
    google::api::HttpBody,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Grpc, actor_name, parse_id, parse_optional_id, some};
use crate::{
    error::Error,
    feedback::{self, Filter, Step, Transition},
    import, photo,
    place::Places,
    rollup, text,
};

#[tonic::async_trait]
impl FeedbackService for Grpc {
    async fn get_feedback(
        &self,
        request: Request<pb::GetFeedbackRequest>,
    ) -> Result<Response<pb::Feedback>, Status> {
        let caller = Caller::of(&request)?;
        let id = parse_id("id", &request.get_ref().id)?;
        let mut db = self.base.db.acquire().await.map_err(Error::from)?;
        let item = feedback::get(&mut *db, &caller.scope("feedback.read"), id).await?;
        Ok(Response::new(self.whole(&mut db, item, caller).await?))
    }

    async fn list_feedback(
        &self,
        request: Request<pb::ListFeedbackRequest>,
    ) -> Result<Response<pb::ListFeedbackResponse>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.get_ref();
        let size = page::size(message.page_size, 50, 200)?;
        let filter = self.filter(message)?;
        let (items, next_page_token) = feedback::list(
            &self.base.db,
            &caller.scope("feedback.read"),
            &filter,
            size,
            &message.page_token,
        )
        .await?;
        let feedback = items.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListFeedbackResponse {
            feedback,
            next_page_token,
        }))
    }

    async fn get_feedback_statistics(
        &self,
        request: Request<pb::GetFeedbackStatisticsRequest>,
    ) -> Result<Response<pb::FeedbackStatistics>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.get_ref();
        let units = self.units_below(&message.unit_id)?;
        let from = since(message.from)?;
        let field = some("field_code", &message.field_code)?;
        let scope = caller.scope("feedback.read");
        let statistics = rollup::statistics(
            &self.base.db,
            &scope,
            from,
            units.as_deref(),
            field.as_deref(),
        )
        .await?;
        Ok(Response::new(statistics))
    }

    async fn get_feedback_heat_map(
        &self,
        request: Request<pb::GetFeedbackHeatMapRequest>,
    ) -> Result<Response<pb::FeedbackHeatMap>, Status> {
        let caller = Caller::of(&request)?;
        let message = request.get_ref();
        let asked = if message.resolution == 0 {
            8
        } else {
            message.resolution
        };
        let resolution = u8::try_from(asked)
            .ok()
            .and_then(|asked| Resolution::try_from(asked).ok())
            .filter(|resolution| rollup::RESOLUTIONS.contains(resolution))
            .ok_or_else(|| Error::invalid("resolution", "phải từ 7 đến 9", "must be 7 to 9"))?;
        let from = since(message.from)?;
        let category = some("category_code", &message.category_code)?;
        let scope = caller.scope("feedback.read");
        let map =
            rollup::heat_map(&self.base.db, &scope, from, resolution, category.as_deref()).await?;
        Ok(Response::new(map))
    }

    async fn route_feedback(
        &self,
        request: Request<pb::RouteFeedbackRequest>,
    ) -> Result<Response<pb::Feedback>, Status> {
        let caller = Caller::of(&request)?.clone();
        let message = request.into_inner();
        let unit = parse_id("unit_id", &message.unit_id)?;
        let reason = text::passage("reason", &message.reason, 0, 2000)?;
        let change = Change {
            permission: "feedback.dispatch",
            method: "RouteFeedback",
            kind: "routed",
        };
        let given = Given::new(&message.request_id, &message.id, &message.etag, &message)?;
        let target = self.base.directory.unit(unit);
        let step = |item: &feedback::Feedback, today| {
            if !target.is_some_and(|unit| unit.is_valid_on(today)) {
                return Err(Error::invalid(
                    "unit_id",
                    "không có đơn vị này hoặc đơn vị đã ngừng hoạt động",
                    "there is no such unit, or it has ended",
                ));
            }
            if item.unit_id.is_some() && reason.is_empty() {
                return Err(Error::invalid(
                    "reason",
                    "cần nêu lý do khi chuyển lại",
                    "say why when it is routed again",
                ));
            }
            Ok((Transition::Route(unit), reason, Some(unit), None))
        };
        Ok(Response::new(
            self.change(&caller, change, given, step).await?,
        ))
    }

    async fn reject_feedback(
        &self,
        request: Request<pb::RejectFeedbackRequest>,
    ) -> Result<Response<pb::Feedback>, Status> {
        let caller = Caller::of(&request)?.clone();
        let message = request.into_inner();
        let reason = text::passage("reason", &message.reason, 10, 2000)?;
        let change = Change {
            permission: "feedback.dispatch",
            method: "RejectFeedback",
            kind: "rejected",
        };
        let given = Given::new(&message.request_id, &message.id, &message.etag, &message)?;
        let step =
            |item: &feedback::Feedback, _| Ok((Transition::Reject, reason, item.unit_id, None));
        Ok(Response::new(
            self.change(&caller, change, given, step).await?,
        ))
    }

    async fn report_progress(
        &self,
        request: Request<pb::ReportProgressRequest>,
    ) -> Result<Response<pb::Feedback>, Status> {
        let caller = Caller::of(&request)?.clone();
        let message = request.into_inner();
        let text = text::passage("text", &message.text, 10, 4000)?;
        let promise: Option<NaiveDate> = message.promise_date.parse().ok();
        let change = Change {
            permission: "feedback.answer",
            method: "ReportProgress",
            kind: "progress",
        };
        let given = Given::new(&message.request_id, &message.id, &message.etag, &message)?;
        let step = |item: &feedback::Feedback, today| {
            let promise = promise.filter(|date| *date >= today).ok_or_else(|| {
                Error::invalid(
                    "promise_date",
                    "viết theo dạng 2026-11-30, từ hôm nay trở đi",
                    "write it as 2026-11-30, today or later",
                )
            })?;
            Ok((Transition::Progress, text, item.unit_id, Some(promise)))
        };
        Ok(Response::new(
            self.change(&caller, change, given, step).await?,
        ))
    }

    async fn answer_feedback(
        &self,
        request: Request<pb::AnswerFeedbackRequest>,
    ) -> Result<Response<pb::Feedback>, Status> {
        let caller = Caller::of(&request)?.clone();
        let message = request.into_inner();
        let text = text::passage("text", &message.text, 10, 4000)?;
        let change = Change {
            permission: "feedback.answer",
            method: "AnswerFeedback",
            kind: "answered",
        };
        let given = Given::new(&message.request_id, &message.id, &message.etag, &message)?;
        let step =
            |item: &feedback::Feedback, _| Ok((Transition::Answer, text, item.unit_id, None));
        Ok(Response::new(
            self.change(&caller, change, given, step).await?,
        ))
    }

    async fn download_photo(
        &self,
        request: Request<pb::DownloadPhotoRequest>,
    ) -> Result<Response<HttpBody>, Status> {
        let caller = Caller::of(&request)?;
        let id = parse_id("id", &request.get_ref().id)?;
        let feedback_id = parse_id("feedback_id", &request.get_ref().feedback_id)?;
        let mut db = self.base.db.acquire().await.map_err(Error::from)?;
        let item = feedback::get(&mut *db, &caller.scope("feedback.read"), feedback_id).await?;
        let missing = || Error::NotFound("photo", id.to_string());
        let photos = photo::of(&mut db, item.id).await?;
        let photo = photos
            .into_iter()
            .find(|photo| photo.id == id)
            .ok_or_else(missing)?;
        let content = self
            .objects
            .get(&photo::key(id))
            .await
            .map_err(Error::from)?
            .ok_or_else(missing)?;
        Ok(Response::new(HttpBody {
            content_type: photo.content_type,
            data: content.to_vec(),
            extensions: Vec::new(),
        }))
    }

    async fn import_feedback(
        &self,
        request: Request<pb::ImportFeedbackRequest>,
    ) -> Result<Response<pb::ImportFeedbackResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        // What is configured here holds for every ward.
        caller.require_everywhere("feedback.configure")?;
        Ok(Response::new(
            self.import(&caller, &request.into_inner()).await?,
        ))
    }
}

/// What a kind of change needs.
struct Change {
    permission: &'static str,
    method: &'static str,
    kind: &'static str,
}

/// What a caller gives with every change.
struct Given<'a, M> {
    request_id: &'a str,
    id: Uuid,
    etag: &'a str,
    message: &'a M,
}

impl<'a, M: Message> Given<'a, M> {
    fn new(request_id: &'a str, id: &str, etag: &'a str, message: &'a M) -> Result<Self, Error> {
        Ok(Self {
            request_id,
            id: parse_id("id", id)?,
            etag,
            message,
        })
    }
}

/// The transition, the text, the unit concerned and the date promised, planned for an item on a day.
type Planned = (Transition, String, Option<Uuid>, Option<NaiveDate>);

impl Grpc {
    async fn change<M: Message>(
        &self,
        caller: &Caller,
        change: Change,
        given: Given<'_, M>,
        plan: impl FnOnce(&feedback::Feedback, NaiveDate) -> Result<Planned, Error> + Send,
    ) -> Result<pb::Feedback, Error> {
        let key = RequestKey::new(&caller.id(), change.method, given.request_id, given.message)?;
        let mut tx = self.base.db.begin().await?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(answer);
        }
        let item = feedback::get(&mut *tx, &caller.scope("feedback.read"), given.id).await?;
        // Who may read an item may not yet change it: that is for the unit in charge, or for dispatchers of the place.
        let unit = match change.permission {
            "feedback.answer" => item.unit_id.ok_or(Error::NotRouted)?,
            _ => item.unit_id.unwrap_or(item.place_unit_id),
        };
        caller.require(change.permission, unit, Some(&item.field_code))?;
        item.demand_open()?;
        item.demand_etag(given.etag)?;
        let today = city_date(feedback::now(&mut *tx).await?);
        let (transition, text, unit_id, promise_date) = plan(&item, today)?;
        let step = Step {
            kind: change.kind,
            actor_id: caller.id(),
            actor_name: actor_name(&self.base, caller),
            text,
            unit_id,
            promise_date,
        };
        let item = feedback::transition(&mut tx, &item, transition, step).await?;
        let answer = self.whole(&mut tx, item, caller).await?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(answer)
    }

    async fn import(
        &self,
        caller: &Caller,
        message: &pb::ImportFeedbackRequest,
    ) -> Result<pb::ImportFeedbackResponse, Error> {
        let key = RequestKey::new(&caller.id(), "ImportFeedback", &message.request_id, message)?;
        let bounds = [
            ("categories", message.categories.len(), 200),
            ("boundaries", message.boundaries.len(), 1000),
            ("items", message.items.len(), 2000),
        ];
        for (field, length, most) in bounds {
            if length > most {
                return Err(Error::invalid(
                    field,
                    format!("tối đa {most} mục"),
                    format!("{most} entries at most"),
                ));
            }
        }
        let mut tx = self.base.db.begin().await?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(answer);
        }
        let mut changed = import::categories(&mut tx, &message.categories).await?;
        changed += import::boundaries(&mut tx, &message.boundaries).await?;
        if !message.items.is_empty() {
            // Its own, for nobody else may see boundaries that can still be rolled back, nor take them away.
            let places = Places::default();
            places.refresh_from(&mut tx).await?;
            changed +=
                import::items(&mut tx, &places, &self.base.directory, &message.items).await?;
        }
        let answer = pb::ImportFeedbackResponse {
            changed: i32::try_from(changed).unwrap_or(i32::MAX),
        };
        key.keep(&mut tx, &answer).await?;
        tx.commit().await?;
        self.places.refresh(&self.base.db).await?;
        Ok(answer)
    }

    fn filter(&self, message: &pb::ListFeedbackRequest) -> Result<Filter, Error> {
        let states = message.states.iter().map(|state| known("states", *state));
        let states: Vec<pb::FeedbackState> = states.collect::<Result<_, _>>()?;
        let states = states.into_iter().filter_map(feedback::state_name);
        let states: Vec<String> = states.map(str::to_owned).collect();
        let timeliness = match known("timeliness", message.timeliness)? {
            pb::Timeliness::OnTime => Some("on_time"),
            pb::Timeliness::DueSoon => Some("due_soon"),
            pb::Timeliness::Late => Some("late"),
            pb::Timeliness::Unspecified => None,
        };
        Ok(Filter {
            units: self.units_below(&message.unit_id)?,
            field_code: some("field_code", &message.field_code)?,
            states: (!states.is_empty()).then_some(states),
            timeliness: timeliness.map(str::to_owned),
            from: optional_instant("from", message.from)?,
            query: some("query", &message.query)?.map(|query| text::fold(&query)),
            place_unit_id: parse_optional_id("place_unit_id", &message.place_unit_id)?,
        })
    }

    fn units_below(&self, unit_id: &str) -> Result<Option<Vec<Uuid>>, Error> {
        Ok(parse_optional_id("unit_id", unit_id)?.map(|id| self.base.directory.subtree(id)))
    }
}

/// The city's day from which is counted; 28 days ago if none is asked for.
fn since(from: Option<Timestamp>) -> Result<NaiveDate, Error> {
    let from = optional_instant("from", from)?.unwrap_or_else(|| Utc::now() - TimeDelta::days(28));
    Ok(city_date(from))
}
