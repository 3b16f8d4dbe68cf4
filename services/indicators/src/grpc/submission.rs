use std::collections::HashMap;

use chassis::{
    Caller, Claimed, RequestKey,
    events::{self, Fact},
    language::{self, Language},
    page,
};
use chrono::Utc;
use prost::Message;
use proto::{
    indicators::v1::{self as pb, submission_service_server::SubmissionService},
    period::Period,
};
use sqlx::PgConnection;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Grpc, observation::publish};
use crate::{
    catalogue::Catalogue,
    duty,
    entry::Entry,
    error::Error,
    indicator,
    observation::{self, Observation, Record},
    opinion, parse,
    reach::Reach,
    submission::{self, Decision, Submission},
};

#[tonic::async_trait]
impl SubmissionService for Grpc {
    async fn create_submission(
        &self,
        request: Request<pb::CreateSubmissionRequest>,
    ) -> Result<Response<pb::Submission>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let id = parse::id("indicator_id", &request.indicator_id)?;
        let indicator = indicator::get(&self.base.db, &id.to_string()).await?;
        let unit = parse::unit(&self.base.directory, "unit_id", &request.unit_id)?;
        caller.require(
            "indicators.submit",
            indicator.responsible(unit.0, unit.1),
            None,
        )?;
        let today = duty::today(&self.base.db).await?;
        let entry = Entry::read(request, &indicator, unit, today)?;
        parse::demand_lasting("period", &self.base.directory, entry.unit_id, entry.period)?;
        let opinion = opinion::ask(&self.base.mesh, &indicator, &entry).await;
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(
            &caller.id(),
            "CreateSubmission",
            &request.request_id,
            request,
        )?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let warnings = submission::warn(&mut *tx, &indicator, &entry, opinion).await?;
        let submission =
            submission::create(&mut tx, &indicator, &entry, &warnings, &caller.id()).await?;
        state_change(&mut tx, &submission, &caller.id()).await?;
        let answer = submission.message(language::current());
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }

    async fn get_submission(
        &self,
        request: Request<pb::GetSubmissionRequest>,
    ) -> Result<Response<pb::Submission>, Status> {
        let scope = Caller::of(&request)?.scope("indicators.read");
        let id = parse::id("id", &request.get_ref().id)?;
        let submission = submission::get(&self.base.db, id).await?;
        if !submission.is_within(&scope) {
            return Err(Error::NotFound("submission", id.to_string()).into());
        }
        Ok(Response::new(submission.message(language::current())))
    }

    async fn list_submissions(
        &self,
        request: Request<pb::ListSubmissionsRequest>,
    ) -> Result<Response<pb::ListSubmissionsResponse>, Status> {
        let scope = Caller::of(&request)?.scope("indicators.read");
        let reach = Reach::of(&self.base.db, scope).await?;
        let request = request.get_ref();
        let size = page::size(request.page_size, 50, 200)?;
        let before = page::after(&request.page_token)?;
        let mut submissions =
            submission::list(&self.base.db, &reach, request, before, size as i64 + 1).await?;
        let next_page_token = page::cut(&mut submissions, size, |last| (last.create_time, last.id));
        let language = language::current();
        Ok(Response::new(pb::ListSubmissionsResponse {
            submissions: submissions
                .iter()
                .map(|one| one.message(language))
                .collect(),
            next_page_token,
        }))
    }

    async fn approve_submission(
        &self,
        request: Request<pb::ApproveSubmissionRequest>,
    ) -> Result<Response<pb::Submission>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let asked = Asked {
            method: "ApproveSubmission",
            request_id: &request.request_id,
            id: &request.id,
            etag: &request.etag,
            decision: Decision::Approve,
        };
        self.decide(caller, asked, request).await
    }

    async fn return_submission(
        &self,
        request: Request<pb::ReturnSubmissionRequest>,
    ) -> Result<Response<pb::Submission>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let asked = Asked {
            method: "ReturnSubmission",
            request_id: &request.request_id,
            id: &request.id,
            etag: &request.etag,
            decision: Decision::Return(parse::text("reason", &request.reason, 1, 2000)?),
        };
        self.decide(caller, asked, request).await
    }

    async fn list_due_reports(
        &self,
        request: Request<pb::ListDueReportsRequest>,
    ) -> Result<Response<pb::ListDueReportsResponse>, Status> {
        let scope = Caller::of(&request)?.scope("indicators.submit");
        let request = request.get_ref();
        let size = page::size(request.page_size, 50, 200)?;
        let after = page::after(&request.page_token)?;
        let unit_id = parse::optional_id("unit_id", &request.unit_id)?;
        let (db, directory) = (&self.base.db, &self.base.directory);
        let today = duty::today(db).await?;
        let limit = size as i64 + 1;
        let mut duties = duty::list(db, directory, &scope, unit_id, today, after, limit).await?;
        let next_page_token = page::cut(&mut duties, size, |last| {
            (last.due_date, last.indicator_id, last.unit_id)
        });

        let ids: Vec<String> = duties
            .iter()
            .map(|duty| duty.indicator_id.to_string())
            .collect();
        let catalogue = Catalogue::read(db, ids.iter().map(String::as_str)).await?;
        let ids: Vec<Uuid> = duties
            .iter()
            .filter_map(|duty| duty.submission_id)
            .collect();
        let submissions = submission::get_all(db, &ids).await?;
        let submissions: HashMap<Uuid, Submission> =
            submissions.into_iter().map(|one| (one.id, one)).collect();
        let report = |duty: duty::Duty| {
            let indicator = catalogue.of(duty.indicator_id)?.clone();
            let period = Period::from_index(indicator.frequency(), duty.next_index);
            let submission = duty.submission_id.and_then(|id| submissions.get(&id));
            Some(pb::DueReport {
                indicator: Some(indicator.into()),
                unit_id: duty.unit_id.to_string(),
                period: Some(period.into()),
                due_date: duty.due_date.to_string(),
                overdue: duty.due_date < today,
                submission: submission.map(|one| one.message(language::current())),
            })
        };
        Ok(Response::new(pb::ListDueReportsResponse {
            due_reports: duties.into_iter().filter_map(report).collect(),
            next_page_token,
        }))
    }
}

/// What is asked to be decided.
struct Asked<'a> {
    method: &'static str,
    request_id: &'a str,
    id: &'a str,
    etag: &'a str,
    decision: Decision<'a>,
}

impl Grpc {
    async fn decide(
        &self,
        caller: &Caller,
        asked: Asked<'_>,
        request: &impl Message,
    ) -> Result<Response<pb::Submission>, Status> {
        let id = parse::id("id", asked.id)?;
        let before = submission::get(&self.base.db, id).await?;
        caller.require("indicators.approve", before.responsible(), None)?;
        if matches!(asked.decision, Decision::Approve)
            && let Ok(period) = before.period.parse()
        {
            // The unit may have come to its end since.
            parse::demand_lasting("id", &self.base.directory, before.unit_id, period)?;
        }

        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let actor = caller.id();
        let key = RequestKey::new(&actor, asked.method, asked.request_id, request)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let submission =
            submission::decide(&mut tx, id, asked.etag, asked.decision, &actor).await?;
        if matches!(asked.decision, Decision::Approve) {
            self.record(&mut tx, &submission, &actor).await?;
        }
        state_change(&mut tx, &submission, &actor).await?;
        let answer = submission.message(language::current());
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }

    /// An approved figure counts from now on.
    async fn record(
        &self,
        tx: &mut PgConnection,
        submission: &Submission,
        actor: &str,
    ) -> Result<(), Error> {
        let record = Record {
            observation: Observation {
                id: Uuid::now_v7(),
                indicator_id: submission.indicator_id,
                unit_id: submission.unit_id,
                period: submission.period.clone(),
                period_index: submission.period_index,
                vintage: submission.vintage,
                value: submission.value,
                known_time: submission.decide_time.unwrap_or_else(Utc::now),
                source: format!("submission {}", submission.id),
                illustrative: false,
            },
            is_time_known: true,
            is_of_series: true,
            by_owner: submission.by_owner,
            submission_id: Some(submission.id),
        };
        let records = [record];
        let added = observation::record(tx, &self.base.directory, &records, actor).await?;
        let indicator = submission.indicator_id.to_string();
        let catalogue = Catalogue::read(&mut *tx, std::iter::once(indicator.as_str())).await?;
        publish(tx, &added, &records, &catalogue, actor).await
    }
}

/// States that a submission changed its state.
async fn state_change(
    tx: &mut PgConnection,
    submission: &Submission,
    actor: &str,
) -> Result<(), Error> {
    let message = pb::SubmissionChanged {
        submission: Some(submission.message(Language::Vi)),
    };
    let fact = Fact {
        subject: format!("submission/{}", submission.id),
        unit_ids: super::units(submission.unit_id, submission.responsible()),
        field_code: Some(submission.field_code.clone()),
        actor: actor.to_owned(),
        message: &message,
    };
    events::publish(tx, fact).await?;
    Ok(())
}
